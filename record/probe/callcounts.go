package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"kmon/bpf"
	"kmon/format"
)

// drainBatch is how many counts are taken out of the kernel with one call.
const drainBatch = 1024

// callCounts is the recorder's side of the kernel's two maps of counts.
type callCounts struct {
	calls          Calls
	side           uint32 // the map that programs write to
	full           bool   // the other map holds a whole interval
	startNs, endNs int64  // of that
}

// TurnCalls ends the interval of counts that began at startNs: from now on
// programs count in the other map. What was counted is to be fetched by Calls
// before the next turn, best a while later: then no program is at work on it
// any more.
func (s *Session) TurnCalls(startNs, endNs int64) error {
	c := &s.counts
	side, planned := s.collection.Variables[bpf.KmonVarCallsSide]
	if !planned || c.calls.Empty() {
		return nil
	}
	if err := side.Set(c.side ^ 1); err != nil {
		return fmt.Errorf("turn to the other map of counts: %w", err)
	}
	c.side ^= 1
	c.full, c.startNs, c.endNs = true, startNs, endNs
	return nil
}

// Calls takes the counts of the interval that the last TurnCalls ended out of
// the kernel; none when that was done already. Rows are sorted by process, kind
// and name.
func (s *Session) Calls() ([]format.Syscall, error) {
	c := &s.counts
	if !c.full {
		return nil, nil
	}
	c.full = false
	name := bpf.KmonMapCallsEven
	if c.side == 0 {
		name = bpf.KmonMapCallsOdd
	}
	sums, err := takeCounts(s.collection.Maps[name])
	if err != nil {
		return nil, fmt.Errorf("read counts of calls: %w", err)
	}
	return c.rows(sums), nil
}

// callOf is what one process called, on any CPU.
type callOf struct {
	tgid uint32
	id   uint16
}

// takeCounts empties a map that no program writes to.
func takeCounts(m *ebpf.Map) (map[callOf]bpf.KmonCallCount, error) {
	sums := map[callOf]bpf.KmonCallCount{}
	keys, counts := make([]bpf.KmonCallKey, drainBatch), make([]bpf.KmonCallCount, drainBatch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookupAndDelete(&cursor, keys, counts, nil)
		for i := range n {
			of := callOf{keys[i].Tgid, keys[i].Id}
			sums[of] = addCounts(sums[of], counts[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return sums, nil
		}
		if err != nil {
			return sums, err
		}
	}
}

func addCounts(a, b bpf.KmonCallCount) bpf.KmonCallCount {
	a.Count += b.Count
	a.Errors += b.Errors
	a.TotalNs += b.TotalNs
	a.MaxNs = max(a.MaxNs, b.MaxNs)
	return a
}

func (c *callCounts) rows(sums map[callOf]bpf.KmonCallCount) []format.Syscall {
	rows := make([]format.Syscall, 0, len(sums))
	for of, n := range sums {
		kind, name := c.calls.callName(of.id)
		row := format.Syscall{
			StartNs: c.startNs, EndNs: c.endNs, PID: int32(of.tgid), Kind: kind, Name: name,
			Count: int64(n.Count), Errors: int64(n.Errors), TotalNs: -1, MaxNs: -1,
		}
		if kind != format.CounterSyscall {
			row.Errors = -1
		} else if c.calls.Latency {
			row.TotalNs, row.MaxNs = int64(n.TotalNs), int64(n.MaxNs)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b format.Syscall) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return rows
}
