package cpu

import (
	"cmp"

	"kmon/analyze/replay"
	"kmon/format"
)

// Memory is what memory rows add up to.
type Memory struct {
	// moments are sums over the processes, and over the cgroups, of a service
	// in one look.
	moments largest[momentKey, moment]
	groups  map[GroupKey]*Group
	kills   *replay.Sums[MemoryKey] // each at the look that noticed it
}

// MemoryKey is a service on the host of a capture.
type MemoryKey struct{ Service, Capture int32 }

type momentKey struct {
	service, capture int32
	ns               int64
}

type moment struct{ rss, current int64 }

// GroupKey names a cgroup of a service.
type GroupKey struct {
	Service, Capture int32
	Path             string
}

// Group is what one cgroup's rows tell.
type Group struct {
	LimitBytes        int64 // the least; 0: none
	firstNs, lastNs   int64
	firstOOM, lastOOM int64 // -1: not known
}

// maxGroups bounds the cgroups that are told apart.
const maxGroups = 1 << 14

func newMemory(w replay.Windows) Memory {
	return Memory{
		kills:  replay.NewSums[MemoryKey](w),
		groups: map[GroupKey]*Group{},
		moments: newLargest(maxMoments, func(m *moment) int64 { return max(m.rss, m.current) }, func(a, b momentKey) int {
			return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.capture, b.capture), cmp.Compare(a.ns, b.ns))
		}),
	}
}

// AddMemory counts a row of table memory; service is that of the process or
// of the cgroup.
func (p *Partial) AddMemory(from Source, service int32, row *format.Memory) {
	at := row.TsNs + from.OffsetNs
	if !p.Frame.Holds(at) {
		return
	}
	m := p.Memory.moments.at(momentKey{service, from.Capture, at})
	if row.PID != 0 {
		add(&m.rss, max(row.RSSBytes, 0))
		return
	}
	add(&m.current, max(row.CurrentBytes, 0))
	p.Memory.group(GroupKey{service, from.Capture, p.name(row.Cgroup)}, Group{
		LimitBytes: max(row.LimitBytes, 0), firstNs: at, lastNs: at, firstOOM: row.OOMKills, lastOOM: row.OOMKills,
	})
}

// group adds what rows tell of a cgroup.
func (m *Memory) group(k GroupKey, o Group) {
	g := m.groups[k]
	if g == nil {
		if len(m.groups) < maxGroups {
			m.groups[k] = &o
		}
		return
	}
	if o.LimitBytes > 0 && (g.LimitBytes == 0 || o.LimitBytes < g.LimitBytes) {
		g.LimitBytes = o.LimitBytes
	}
	m.kill(k, g, &o)
	m.kill(k, &o, g)
	if o.firstNs < g.firstNs || o.firstNs == g.firstNs && o.firstOOM < g.firstOOM {
		g.firstNs, g.firstOOM = o.firstNs, o.firstOOM
	}
	if o.lastNs > g.lastNs || o.lastNs == g.lastNs && o.lastOOM > g.lastOOM {
		g.lastNs, g.lastOOM = o.lastNs, o.lastOOM
	}
}

// kill counts what a look noticed that came after those of g. Rows come in time order.
func (m *Memory) kill(k GroupKey, g, later *Group) {
	if n := later.firstOOM - g.lastOOM; n > 0 && g.lastOOM >= 0 && later.firstNs > g.lastNs {
		m.kills.Add(MemoryKey{k.Service, k.Capture}, later.firstNs, replay.Sum{Values: [4]int64{n}})
	}
}

func (m *Memory) merge(o *Memory) {
	for k, v := range o.moments.sums {
		sum := m.moments.at(k)
		add(&sum.rss, v.rss)
		add(&sum.current, v.current)
	}
	m.moments.dropped += o.moments.dropped
	for k, g := range o.groups {
		m.group(k, *g)
	}
	m.kills.Merge(o.kills)
}

// Looks gives memory by window: processes killed since the look before; the largest are
// the sum over the processes at one look, and that over the cgroups, 0: not known. nil:
// some looks were left out.
func (m *Memory) Looks() *replay.Sums[MemoryKey] {
	if m.moments.dropped > 0 {
		return nil
	}
	looks := replay.NewSums[MemoryKey](m.kills.Windows)
	looks.Merge(m.kills)
	for k, v := range m.moments.sums {
		looks.Add(MemoryKey{k.service, k.capture}, k.ns, replay.Sum{Max: [2]int64{v.rss, v.current}})
	}
	return looks
}

// ServiceMemory is the memory of one service. Over several captures sums are
// of each one's largest.
type ServiceMemory struct {
	MaxRSSBytes, LastRSSBytes int64
	MaxCurrentBytes           int64
	LimitBytes                int64 // the least of its cgroups; 0: none
	OOMKills                  int64 // between the first look and the last
}

// Add adds another service's memory to s.
func (s *ServiceMemory) Add(o *ServiceMemory) {
	add(&s.MaxRSSBytes, o.MaxRSSBytes)
	add(&s.LastRSSBytes, o.LastRSSBytes)
	add(&s.MaxCurrentBytes, o.MaxCurrentBytes)
	add(&s.OOMKills, o.OOMKills)
	if o.LimitBytes > 0 && (s.LimitBytes == 0 || o.LimitBytes < s.LimitBytes) {
		s.LimitBytes = o.LimitBytes
	}
}

// Services gives the memory of each service that has any.
func (m *Memory) Services() map[int32]ServiceMemory {
	type place struct{ service, capture int32 }
	type peak struct{ rss, current, lastNs, last int64 }
	peaks := map[place]*peak{}
	for k, v := range m.moments.sums {
		at := place{k.service, k.capture}
		if peaks[at] == nil {
			peaks[at] = &peak{lastNs: k.ns, last: v.rss}
		}
		p := peaks[at]
		p.rss, p.current = max(p.rss, v.rss), max(p.current, v.current)
		if k.ns > p.lastNs {
			p.lastNs, p.last = k.ns, v.rss
		}
	}
	list := map[int32]ServiceMemory{}
	for at, p := range peaks {
		s := list[at.service]
		add(&s.MaxRSSBytes, p.rss)
		add(&s.LastRSSBytes, p.last)
		add(&s.MaxCurrentBytes, p.current)
		list[at.service] = s
	}
	for k, g := range m.groups {
		s := list[k.Service]
		if g.LimitBytes > 0 && (s.LimitBytes == 0 || g.LimitBytes < s.LimitBytes) {
			s.LimitBytes = g.LimitBytes
		}
		if g.firstOOM >= 0 && g.lastOOM > g.firstOOM {
			add(&s.OOMKills, g.lastOOM-g.firstOOM)
		}
		list[k.Service] = s
	}
	return list
}
