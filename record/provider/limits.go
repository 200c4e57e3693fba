package provider

import (
	"cmp"
	"maps"
	"path"
	"slices"

	"kmon/format"
)

const (
	// maxLimited bounds the limits that are looked at each second: a file or two
	// is read for each. A node has a few hundred containers.
	maxLimited = 2048
	// The controllers of v1.
	controllerCPU = "cpu"
	controllerIO  = "blkio"
)

// limits knows the limits of CPU time and IO of the cgroups with targets. Which
// there are is found at each scan; only their counters are read each second.
type limits struct {
	cpu, io  hierarchy
	levels   map[levelKey]*level
	limited  map[limitKey]*limited
	skipped  int   // limits beyond maxLimited at the last scan
	lookedNs int64 // at the counters
}

// levelKey names the limit of one thing that one cgroup itself has.
type levelKey struct {
	path   string // in the controller's hierarchy
	device int64  // 0: CPU time
}

type level struct {
	levelKey
	bound   bound
	counted counts // at the last look
	grown   counts // between the last two
	known   bool   // it has been looked at
}

// bound is what a limit allows; 0 is no limit.
type bound struct {
	quotaNs, periodNs int64
	perS              ios
}

// counts only grow; those of a level are of CPU time or of IO. notKnown: could not
// be read.
type counts struct {
	periods, throttled, throttledNs int64
	done                            ios
}

type ios struct{ readBytes, writeBytes, reads, writes int64 }

// limitKey is whose limit of what.
type limitKey struct {
	cgroup string
	pid    int32
	device int64
}

// limited is who is held by the limits of some levels, the nearest first.
type limited struct {
	levels []*level
	told   format.Limit // the last row, without times and counts
	sent   bool
}

// place is where a process stands in the hierarchies that limit it.
type place struct{ cpu, io string }

func newLimits(f *files, ownPID int) limits {
	return limits{
		cpu: findHierarchy(f, controllerCPU, ownPID), io: findHierarchy(f, controllerIO, ownPID),
		levels: map[levelKey]*level{}, limited: map[limitKey]*limited{},
	}
}

// placeOf reads where a process is from the text of its cgroup file. usual is its
// cgroup in the hierarchy h, which on v2 is the only one.
func (l *limits) placeOf(h hierarchy, usual, text string) place {
	in := func(of hierarchy) string {
		if of == h {
			return usual
		}
		if p := of.parseCgroup(text)[0]; p != usual {
			return p
		}
		return usual // one copy
	}
	return place{cpu: in(l.cpu), io: in(l.io)}
}

// Limits tells how far limits were used since the last look: by Limits, or by
// Snapshot, which also looks which limits there are.
func (p *Provider) Limits(tsNs int64) []format.Limit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limits.look(p.files, tsNs)
}

// LimitSources says where limits are read, or why they are not.
func (p *Provider) LimitSources() (source, missing string) {
	l := &p.limits
	for _, h := range []hierarchy{l.cpu, l.io} {
		if h.id(p.files.root, "/") == 0 {
			return "", "no cgroup hierarchy at /" + h.mount
		}
		if h.astray() {
			return "", "kmon's own cgroup was not found in the host's"
		}
	}
	if l.cpu.name == hierarchyV2 && l.io.name == hierarchyV2 {
		return "cgroup v2", ""
	}
	if l.cpu.name == hierarchyV2 || l.io.name == hierarchyV2 {
		return "cgroup v1 and v2", ""
	}
	return "cgroup v1", ""
}

// scanLimits finds the limits that hold target processes.
func (p *Provider) scanLimits(sorted []*process) {
	t := p.targets()
	groups := map[string][]*process{}
	for _, e := range sorted {
		if !e.kernel && p.isTarget(t, e) {
			groups[e.row.Cgroup] = append(groups[e.row.Cgroup], e)
		}
	}
	s := limitScan{
		limits: &p.limits, files: p.files, above: map[bool]map[string][]*level{false: {}, true: {}},
		found: map[limitKey][]*level{}, used: map[levelKey]*level{}, seen: map[limitKey]bool{},
	}
	for cgroup, group := range groups {
		if cgroup != "" && !slices.ContainsFunc(group, func(e *process) bool { return e.place != group[0].place }) {
			s.find(limitKey{cgroup: cgroup}, group[0].place)
			continue
		}
		for _, e := range group { // they share the cgroup but not their limits
			s.find(limitKey{cgroup: cgroup, pid: e.row.PID}, e.place)
		}
	}
	s.keep()
}

// limitScan is one search for limits.
type limitScan struct {
	*limits
	files *files
	above map[bool]map[string][]*level // of IO or not → path → levels there and above
	found map[limitKey][]*level
	used  map[levelKey]*level
	seen  map[limitKey]bool // who was looked at, device 0
}

// find notes the limits of one place.
func (s *limitScan) find(who limitKey, at place) {
	s.seen[who] = true
	var list []*level
	if at.cpu != "" {
		list = append(list, s.levelsOf(at.cpu, false, s.quota)...)
	}
	switch {
	case at.io == "":
	case s.io.name == hierarchyV2:
		list = append(list, s.levelsOf(at.io, true, s.ioLimits)...)
	default: // v1 holds a cgroup to its own limits only, blk-throttle.c
		list = append(list, s.ioLimits(at.io)...)
	}
	for _, l := range list {
		who.device = l.device
		s.found[who] = append(s.found[who], l)
	}
}

// levelsOf gives the limits of a cgroup and those above it, the nearest first.
func (s *limitScan) levelsOf(cgroup string, io bool, own func(string) []*level) []*level {
	if list, ok := s.above[io][cgroup]; ok {
		return list
	}
	list := own(cgroup)
	if parent := path.Dir(cgroup); parent != cgroup && parent != "." {
		list = append(list, s.levelsOf(parent, io, own)...)
	}
	s.above[io][cgroup] = list
	return list
}

// level gives the level of a limit, as it was known before.
func (s *limitScan) level(cgroup string, device int64, b bound) *level {
	key := levelKey{cgroup, device}
	l := s.used[key]
	if l == nil {
		if l = s.levels[key]; l == nil {
			l = &level{levelKey: key}
		}
		s.used[key] = l
	}
	l.bound = b
	return l
}

// keep puts what was found in force. A limit that was lifted is told of once more.
func (s *limitScan) keep() {
	keys := slices.SortedFunc(maps.Keys(s.found), compareLimitKeys)
	s.skipped = max(0, len(keys)-maxLimited)
	keys = keys[:len(keys)-s.skipped]
	kept := make(map[limitKey]*limited, len(keys))
	for _, key := range keys {
		l := s.limited[key]
		if l == nil {
			l = new(limited)
		}
		l.levels = s.found[key]
		kept[key] = l
	}
	for key, l := range s.limited {
		who := limitKey{cgroup: key.cgroup, pid: key.pid}
		if kept[key] == nil && s.seen[who] && len(kept) < maxLimited && l.told.SetBy != "" {
			l.levels, kept[key] = nil, l
		}
	}
	s.limited, s.levels = kept, s.used
}

func compareLimitKeys(a, b limitKey) int {
	return cmp.Or(cmp.Compare(a.cgroup, b.cgroup), cmp.Compare(a.pid, b.pid), cmp.Compare(a.device, b.device))
}

// restate has the next look tell every limit.
func (l *limits) restate() {
	for _, one := range l.limited {
		one.sent = false
	}
}

// look reads the counters and gives the rows that are due, sorted.
func (l *limits) look(f *files, tsNs int64) []format.Limit {
	for _, level := range l.levels {
		now := l.read(f, level.levelKey)
		level.grown = counts{}
		if level.known {
			level.grown = now.since(level.counted)
		}
		level.counted = now
	}
	var rows []format.Limit
	for _, key := range slices.SortedFunc(maps.Keys(l.limited), compareLimitKeys) {
		if row, due := l.limited[key].take(key); due {
			row.StartNs, row.EndNs = l.lookedNs, tsNs
			if one := l.limited[key]; len(one.levels) > 0 && !one.strongest().known {
				row.StartNs = tsNs
			}
			rows = append(rows, row)
		}
		if len(l.limited[key].levels) == 0 {
			delete(l.limited, key)
		}
	}
	for _, level := range l.levels {
		level.known = true
	}
	l.lookedNs = tsNs
	return rows
}

// take gives the row of a limit, and whether it has something new to tell.
func (one *limited) take(key limitKey) (format.Limit, bool) {
	row := format.Limit{Cgroup: key.cgroup, PID: key.pid, DeviceID: key.device}
	var grown counts
	if len(one.levels) > 0 {
		l := one.strongest()
		row.SetBy, grown = l.path, l.grown
		row.QuotaNs, row.PeriodNs = l.bound.quotaNs, l.bound.periodNs
		row.ReadBytesPerS, row.WriteBytesPerS = l.bound.perS.readBytes, l.bound.perS.writeBytes
		row.ReadsPerS, row.WritesPerS = l.bound.perS.reads, l.bound.perS.writes
	}
	due := !one.sent || row != one.told || grown.throttled > 0 || grown.throttledNs > 0 || grown.done.any()
	one.told, one.sent = row, true
	row.Periods, row.ThrottledPeriods, row.ThrottledNs = grown.periods, grown.throttled, grown.throttledNs
	row.ReadBytes, row.WriteBytes = grown.done.readBytes, grown.done.writeBytes
	row.Reads, row.Writes = grown.done.reads, grown.done.writes
	return row, due
}

// strongest is the level that held most: of quotas the one that throttled, else
// the tightest; of limits of IO the one that was used most.
func (one *limited) strongest() *level {
	best := one.levels[0]
	for _, l := range one.levels[1:] {
		if order := cmp.Or(cmp.Compare(l.grown.throttledNs, best.grown.throttledNs), cmp.Compare(best.bound.cores(), l.bound.cores()),
			cmp.Compare(l.share(), best.share())); order > 0 {
			best = l
		}
	}
	return best
}

// cores is a quota as CPUs; 0 of IO.
func (b bound) cores() float64 {
	if b.periodNs <= 0 {
		return 0
	}
	return float64(b.quotaNs) / float64(b.periodNs)
}

// share is how much of its limits of IO was used, to compare levels with.
func (l *level) share() float64 {
	most := 0.0
	limit, done := l.bound.perS, l.grown.done
	for _, pair := range [][2]int64{{done.readBytes, limit.readBytes}, {done.writeBytes, limit.writeBytes}, {done.reads, limit.reads}, {done.writes, limit.writes}} {
		if pair[1] > 0 {
			most = max(most, float64(pair[0])/float64(pair[1]))
		}
	}
	return most
}

// since is what was counted after before. A cgroup made anew counts from 0.
func (c counts) since(before counts) counts {
	return counts{
		periods: grownBy(c.periods, before.periods), throttled: grownBy(c.throttled, before.throttled), throttledNs: grownBy(c.throttledNs, before.throttledNs),
		done: ios{grownBy(c.done.readBytes, before.done.readBytes), grownBy(c.done.writeBytes, before.done.writeBytes),
			grownBy(c.done.reads, before.done.reads), grownBy(c.done.writes, before.done.writes)},
	}
}

func grownBy(now, before int64) int64 {
	switch {
	case now == notKnown || before == notKnown:
		return notKnown
	case now < before:
		return now
	}
	return now - before
}

func (i ios) any() bool {
	return i.readBytes > 0 || i.writeBytes > 0 || i.reads > 0 || i.writes > 0
}
