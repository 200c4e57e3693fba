package analyze

import (
	"cmp"
	"slices"

	"kmon/analyze/finding"
	"kmon/analyze/replay"
)

// inputTables says which captures recorded what the rules look at.
type inputTables struct {
	exchanges, intervals, offCPU, onCPU, ios, netEvents, acceptQueues, limits, faults, drops, syscalls map[int32]bool
}

func (r *run) inputTables() inputTables {
	t := inputTables{
		exchanges: r.recorded("exchanges", "tcp"), intervals: r.recorded("intervals", "cpu"), offCPU: r.recorded("offcpu", "cpu"),
		onCPU: r.recorded("oncpu", "cpu"), ios: r.recorded("ios", "block"), limits: r.limitsRecorded(),
		syscalls: r.recorded("syscalls", "syscall"),
	}
	events := r.recorded("netevents", collectorDrop)
	t.netEvents, t.drops = events, r.recordedIndicators(events, indicatorDrop)
	t.acceptQueues = r.recordedIndicators(events, indicatorAcceptQueue)
	t.faults = r.recordedIndicators(events, indicatorRetransmit, indicatorResetsSent, indicatorResetsReceived)
	return t
}

// recordedIndicators gives those of the captures whose collector of network faults
// recorded some indicators.
func (r *run) recordedIndicators(captures map[int32]bool, indicators ...string) map[int32]bool {
	have := map[int32]bool{}
	for i := range captures {
		k := collector(r.captures[i], collectorDrop)
		lacks := func(name string) bool { return k != nil && (k.Variants[name] == "" || k.Missing[name] != "") }
		if !slices.ContainsFunc(indicators, lacks) {
			have[i] = true
		}
	}
	return have
}

// of gives 1 for the tables that any of the captures recorded.
func (t inputTables) of(captures []int32) finding.Coverage {
	any := func(have map[int32]bool) float64 {
		if slices.ContainsFunc(captures, func(c int32) bool { return have[c] }) {
			return 1
		}
		return finding.NotRecorded
	}
	return finding.Coverage{
		Exchanges: any(t.exchanges), Intervals: any(t.intervals), OffCPU: any(t.offCPU), OnCPU: any(t.onCPU),
		IOs: any(t.ios), Syscalls: any(t.syscalls), NetEvents: any(t.netEvents), AcceptQueues: any(t.acceptQueues), Limits: any(t.limits),
	}
}

// listWindows tells which windows were recorded throughout, on every host.
func (b *inputBuilder) listWindows() []finding.Window {
	list := make([]finding.Window, b.windows.Count)
	for i := range list {
		from := b.windows.BaseNs + int64(i)*b.windows.WidthNs
		to := from + b.windows.WidthNs
		list[i].Partial = from < b.start || to > b.end || slices.ContainsFunc(b.nodes, func(n inputNode) bool {
			return !b.recordedAll(n.captures, from, to)
		})
	}
	return list
}

// recordedAll says whether captures together recorded a time throughout.
func (b *inputBuilder) recordedAll(captures []int32, from, to int64) bool {
	var spans []Span
	for _, c := range captures {
		spans = append(spans, recorded(b.captures[c])...)
	}
	slices.SortFunc(spans, func(x, y Span) int { return cmp.Compare(x.StartNs, y.StartNs) })
	for _, s := range spans {
		if s.StartNs > from {
			return false
		}
		if from = max(from, s.EndNs); from >= to {
			return true
		}
	}
	return false
}

// addNodeWindows adds what was recorded of each node, and the sums of its windows.
func (b *inputBuilder) addNodeWindows() {
	for at := range b.nodes {
		node, n := &b.in.Nodes[at], &b.nodes[at]
		node.Windows = make([]finding.NodeWindow, b.windows.Count)
		for _, table := range b.covered() {
			list := b.windowCoverage(n.captures, table)
			for i := range node.Windows {
				*table.of(&node.Windows[i].Coverage) = list[i]
			}
		}
		for i := range node.Windows {
			w := &node.Windows[i]
			w.Drops, w.OnCPUNs, w.SoftirqNs = unless(n.drops), unless(n.has.Intervals > 0), unless(n.has.Intervals > 0)
			for _, c := range n.captures {
				if n.drops {
					w.Drops += b.gather.network[c].Drops[i]
				}
				if n.has.Intervals > 0 {
					w.SoftirqNs += b.gather.cpu.Captures[c].SoftirqNs[i]
				}
			}
		}
	}
	for i := range b.in.Instances {
		in := &b.in.Instances[i]
		for w := range in.Windows {
			if ns := in.Windows[w].OnCPUNs; ns > 0 {
				b.in.Nodes[in.Node].Windows[w].OnCPUNs += ns
			}
		}
	}
}

// unless gives the sum of nothing.
func unless(recorded bool) int64 {
	if recorded {
		return 0
	}
	return finding.NotRecorded
}

// coveredTable is a table whose coverage the rules ask for.
type coveredTable struct {
	name string
	have map[int32]bool              // captures that recorded it
	seen func(capture int32) []int64 // rows by window
	of   func(*finding.Coverage) *float64
}

func (b *inputBuilder) covered() []coveredTable {
	return []coveredTable{
		{"exchanges", b.tables.exchanges, b.seenExchanges, func(c *finding.Coverage) *float64 { return &c.Exchanges }},
		{"intervals", b.tables.intervals, func(c int32) []int64 { return b.gather.cpu.Captures[c].Intervals }, func(c *finding.Coverage) *float64 { return &c.Intervals }},
		{"offcpu", b.tables.offCPU, func(c int32) []int64 { return b.gather.cpu.Captures[c].OffCPU }, func(c *finding.Coverage) *float64 { return &c.OffCPU }},
		{"oncpu", b.tables.onCPU, func(c int32) []int64 { return b.gather.cpu.Captures[c].OnCPU }, func(c *finding.Coverage) *float64 { return &c.OnCPU }},
		{"ios", b.tables.ios, func(c int32) []int64 { return b.gather.disks[c].Rows }, func(c *finding.Coverage) *float64 { return &c.IOs }},
		{"syscalls", b.tables.syscalls, func(c int32) []int64 { return b.gather.cpu.Captures[c].Syscalls }, func(c *finding.Coverage) *float64 { return &c.Syscalls }},
		{"netevents", b.tables.netEvents, func(c int32) []int64 { return b.gather.network[c].Events }, func(c *finding.Coverage) *float64 { return &c.NetEvents }},
		{"acceptqueues", b.tables.acceptQueues, func(c int32) []int64 { return b.gather.network[c].QueueRows }, func(c *finding.Coverage) *float64 { return &c.AcceptQueues }},
		{"limits", b.tables.limits, func(c int32) []int64 { return b.gather.limits[c].rows }, func(c *finding.Coverage) *float64 { return &c.Limits }},
	}
}

// seenExchanges gives the requests of a capture by window: fewer than its rows, so
// that the coverage is rather too low.
func (b *inputBuilder) seenExchanges(capture int32) []int64 {
	seen := make([]int64, b.windows.Count)
	for i, cell := range b.topology.Cells {
		if cell.Capture == capture {
			windows := b.total.Stats(int32(i)).Windows
			for j := range windows {
				seen[b.index(windows[j].Index)] += windows[j].Requests
			}
		}
	}
	return seen
}

// windowCoverage gives the coverage of a table by window over the captures of a node.
func (b *inputBuilder) windowCoverage(captures []int32, t coveredTable) []float64 {
	n := int(b.windows.Count)
	list, seen, lost := make([]float64, n), make([]int64, n), make([]int64, n)
	dark, lit := make([]int64, n), make([]bool, n)
	kept := 1.0
	for _, i := range captures {
		if !t.have[i] {
			continue
		}
		c := b.captures[i]
		for w, rows := range t.seen(i) {
			seen[w] += rows
		}
		for _, l := range c.Losses {
			switch {
			case l.Table != t.name:
			case l.Count > 0:
				spread(lost, b.windows, l, c.OffsetNs)
			case isShed(l) && l.Count < 0:
				b.eachWindow(Span{l.StartNs + c.OffsetNs, l.EndNs + c.OffsetNs}, func(w int32, ns int64) { dark[w] += ns })
			}
		}
		for _, s := range recorded(c) {
			b.eachWindow(s, func(w int32, _ int64) { lit[w] = true })
		}
		kept = min(kept, readShare(c, t.name))
	}
	for w := range list {
		list[w] = finding.NotRecorded
		if lit[w] {
			list[w] = kept * ratio(seen[w], lost[w]) * recordedShare(dark[w], b.windows.WidthNs)
		}
	}
	return list
}

// readShare is the part of the rows written that could be read.
func readShare(c *replay.Capture, table string) float64 {
	written, read := writtenRows(c)[table], c.Rows[table]
	if written <= read {
		return 1
	}
	return float64(read) / float64(written)
}

// eachWindow calls fn with the part of a time in each window.
func (b *inputBuilder) eachWindow(s Span, fn func(window int32, ns int64)) {
	w := b.windows
	s.StartNs, s.EndNs = max(s.StartNs, w.BaseNs), min(s.EndNs, w.BaseNs+int64(w.Count)*w.WidthNs)
	for s.StartNs < s.EndNs {
		i := w.Of(s.StartNs)
		end := min(s.EndNs, w.BaseNs+int64(i+1)*w.WidthNs)
		if end <= s.StartNs {
			return // the clock is damaged
		}
		fn(i, end-s.StartNs)
		s.StartNs = end
	}
}
