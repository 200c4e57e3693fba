package probe

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"

	"kmon/bpf"
	"kmon/format"
)

// setRoom gives maps less room than they have. States of sockets have no bound
// in their map: they are counted, where it is seen when a socket ends.
func (p Plan) setRoom(spec *ebpf.CollectionSpec, room map[string]uint32) error {
	for name, entries := range room {
		m := spec.Maps[name]
		if m == nil {
			continue // not of this plan
		}
		if name != bpf.KmonMapSockets {
			m.MaxEntries = entries
			continue
		}
		if err := setVariable(spec.Variables, bpf.KmonVarSocketsMax, uint64(entries)); err != nil {
			return err
		}
	}
	if p.place == inStorage && p.Has("tcp", "state") && !p.Has("tcp", "free") {
		return setVariable(spec.Variables, bpf.KmonVarSocketsMax, uint64(math.MaxUint64))
	}
	return nil
}

// replaceTargets makes the sets of targets hold what of t has room in them, and
// notes how many have none.
func (s *Session) replaceTargets(t Targets) error {
	maps := s.collection.Maps
	pids, a := replace(maps[bpf.KmonMapTargetTgids], s.targets.PIDs, t.PIDs)
	cgroups, b := replace(maps[bpf.KmonMapTargetCgroups], s.targets.CgroupIDs, t.CgroupIDs)
	ports, c := replace(maps[bpf.KmonMapTargetPorts], s.targets.Ports, t.Ports)
	if err := errors.Join(a, b, c); err != nil {
		return fmt.Errorf("set targets: %w", err)
	}
	s.homeless = len(t.PIDs) - len(pids) + len(t.CgroupIDs) - len(cgroups) + len(t.Ports) - len(ports)
	t.PIDs, t.CgroupIDs, t.Ports = pids, cgroups, ports
	s.targets = t
	return nil
}

// replace makes the set in m hold want instead of have, as far as there is room,
// and returns what it holds. All are sorted.
func replace[K cmp.Ordered](m *ebpf.Map, have, want []K) ([]K, error) {
	want = want[:min(len(want), int(m.MaxEntries()))]
	for _, key := range have { // first, for the new need their room
		if _, stays := slices.BinarySearch(want, key); stays {
			continue
		}
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("%s: delete %v: %w", m, key, err)
		}
	}
	for _, key := range want {
		if _, there := slices.BinarySearch(have, key); there {
			continue
		}
		if err := m.Put(key, uint8(1)); err != nil {
			return nil, fmt.Errorf("%s: put %v (room for %d): %w", m, key, m.MaxEntries(), err)
		}
	}
	return want, nil
}

// lostTargets counts the targets that have found no room since the last time:
// nothing of theirs is recorded.
func (s *Session) lostTargets() []Lost {
	more := s.homeless - s.homelessTold
	s.homelessTold = s.homeless
	if more <= 0 {
		return nil
	}
	return []Lost{{Collector: "proc", Table: "processes", Cause: format.LossStateFull, Count: int64(more)}}
}
