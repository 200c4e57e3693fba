package network

import (
	"strings"

	"kmon/analyze/replay"
	"kmon/format"
)

const (
	// maxKeys is how many keys of drops, and how many listeners, are told
	// apart.
	maxKeys = 4096
	// maxNames is how many addresses, reasons and stacks are, over all tallies.
	maxNames = 1 << 17
	// maxWindows is how many windows are, over all services.
	maxWindows = 1 << 19
)

// Other stands for the reasons and listeners beyond maxKeys.
const Other = "other"

// Accumulator adds rows of one capture up. It belongs to one goroutine.
type Accumulator struct {
	capture  int
	offsetNs int64
	windows  replay.Windows
	owners   *Owners
	service  func(pid int32, ns int64) (string, bool)
	partial  Partial
	names    int // in all tallies
	used     int // windows
}

// New gives an empty Accumulator for a capture whose monotonic times become
// Unix times by adding offsetNs. service names a process at a monotonic time
// (pid 0: nobody, "") and says whether it counts at all.
func New(capture int, offsetNs int64, w replay.Windows, o *Owners, service func(pid int32, ns int64) (string, bool)) *Accumulator {
	return &Accumulator{capture: capture, offsetNs: offsetNs, windows: w, owners: o, service: service}
}

// AddEvents counts rows. It keeps nothing of them.
func (a *Accumulator) AddEvents(rows []format.NetEvent) {
	for i := range rows {
		row := &rows[i]
		if !a.windows.Holds(row.TsNs+a.offsetNs) || row.Count <= 0 {
			continue
		}
		if service, ok := a.service(a.owners.ofEvent(row), row.TsNs); ok {
			a.addEvent(row, service)
		}
	}
}

func (a *Accumulator) addEvent(row *format.NetEvent, service string) {
	s := a.partial.Service(service)
	window := a.window(s, a.windows.Of(row.TsNs+a.offsetNs))
	local, remote := a.owners.ends(row)
	switch row.Kind {
	case format.NetRetransmit:
		s.Retransmits += row.Count
		window.Retransmits += row.Count
	case format.NetResetSent:
		s.ResetsSent += row.Count
		window.ResetsSent += row.Count
		tally(a, &s.Reasons, strings.Clone(row.Reason), row.Count)
	case format.NetResetReceived:
		s.ResetsReceived += row.Count
		window.ResetsReceived += row.Count
		tally(a, &s.Reasons, strings.Clone(row.Reason), row.Count)
	case format.NetDrop:
		s.Drops += row.Count
		window.Drops += row.Count
		a.addDrop(row, service, local, remote)
		return
	default:
		return // of a later kmon
	}
	tally(a, &s.Peers, strings.Clone(remote), row.Count)
}

// window gives the window of a service, one that nobody sees when there is no
// room for more.
func (a *Accumulator) window(s *Service, index int32) *Faults {
	if s.Windows[index] == nil {
		if a.used >= maxWindows {
			a.partial.Coarse = true
			return new(Faults)
		}
		a.used++
	}
	return made(&s.Windows, index)
}

func (a *Accumulator) addDrop(row *format.NetEvent, service, local, remote string) {
	key := DropKey{a.capture, row.Reason, row.Protocol, service}
	if a.partial.Drops[key] == nil {
		if len(a.partial.Drops) >= maxKeys {
			key = DropKey{Capture: a.capture, Reason: Other}
		}
		key.Reason = strings.Clone(key.Reason) // the row's may hold a whole page alive
	}
	d, first, last := made(&a.partial.Drops, key), row.TsNs+a.offsetNs, max(row.LastNs, row.TsNs)+a.offsetNs
	if d.Count == 0 {
		d.FirstNs, d.LastNs = first, last
	}
	d.Count += row.Count
	sumsIn(&a.partial.DropWindows, a.windows).Add(key, first, replay.Sum{Values: [4]int64{row.Count}})
	d.FirstNs, d.LastNs = min(d.FirstNs, first), max(d.LastNs, last)
	tally(a, &d.Peers, strings.Clone(remote), row.Count)
	tally(a, &d.Locals, strings.Clone(local), row.Count)
	if row.StackID > 0 {
		tally(a, &d.Stacks, row.StackID, row.Count)
	}
}

// tally counts a key, as long as there is room for it. Keys that say nothing
// are left out.
func tally[K interface{ string | int64 }](a *Accumulator, t *Tally[K], key K, n int64) {
	if _, known := (*t)[key]; !known {
		var nothing K
		if key == nothing || a.names >= maxNames {
			return
		}
		a.names++
	}
	t.add(key, n)
}

// AddQueues counts rows. It keeps nothing of them.
func (a *Accumulator) AddQueues(rows []format.AcceptQueue) {
	for i := range rows {
		row := &rows[i]
		if !a.windows.Holds(row.TsNs + a.offsetNs) {
			continue
		}
		pid := row.PID
		if pid == 0 {
			pid = a.owners.listening(row.NetnsID, row.Addr, row.Port, row.TsNs)
		}
		service, ok := a.service(pid, row.TsNs)
		if !ok {
			continue
		}
		if row.Overflows > 0 {
			s := a.partial.Service(service)
			s.Overflows += row.Overflows
			a.window(s, a.windows.Of(row.TsNs+a.offsetNs)).Overflows += row.Overflows
		}
		key := QueueKey{a.capture, row.NetnsID, row.Addr, row.Port}
		if a.partial.Queues[key] == nil {
			if len(a.partial.Queues) >= maxKeys {
				key = QueueKey{Capture: a.capture, Addr: Other}
			}
			key.Addr = strings.Clone(key.Addr)
		}
		q := Queue{Service: service, MaxDepth: max(row.Depth, 0), Limit: max(row.Limit, 0), Overflows: max(row.Overflows, 0)}
		made(&a.partial.Queues, key).merge(&q)
		sumsIn(&a.partial.QueueWindows, a.windows).Add(key, row.TsNs+a.offsetNs, replay.Sum{
			Values: [4]int64{q.Overflows}, Max: [2]int64{int64(q.MaxDepth), int64(q.Limit)}})
	}
}

// Partial gives what was added up so far, and empties the Accumulator.
func (a *Accumulator) Partial() *Partial {
	p := a.partial
	a.partial, a.names, a.used = Partial{}, 0, 0
	return &p
}
