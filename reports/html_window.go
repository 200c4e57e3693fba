package reports

import (
	"cmp"
	"strconv"

	"kmon/analyze"
)

// What a page knows of each window, so that its scripts can add up those of a
// picked range: assets/window.js shows it in place of the table with the same id.

// Bounds of it.
const (
	windowRows    = 400     // most rows of a table
	windowClasses = 400_000 // most counts of latencies, of all tables
)

// windowTables are the tables that it can take the place of.
var windowTables = []string{"services", "edges", "disks", "cpu", "network"}

// How a column of a table is added up and shown.
const (
	sumCount  = 0 // a count
	sumAlarm  = 1 // a count that should be 0
	sumBytes  = 2
	sumBusyNs = 3 // time of threads, as the mean number of them
)

// windowTable is a table by window.
type windowTable struct {
	id, title string
	names     []string // heads of the columns that name a row
	sums      []windowSum
	latency   bool // rows have latencies
	rows      []windowRow
}

// windowSum is a column whose values add up.
type windowSum struct {
	head, hint string
	kind       int64
}

// windowRow is a row: for each of its points the window it is of, and its sums.
type windowRow struct {
	names   []string
	windows []int64                // rising
	sums    [][]int64              // by column, then point; a column is nil when it was not recorded
	longest []int64                // latency, by point; 0: none was measured
	classes [][]analyze.ClassCount // by point; nil: the row has none
}

// windowPage is all of it.
type windowPage struct {
	p      period
	lost   []int64 // exchanges, by window
	ns     []int64 // recorded, by window
	tables []windowTable
}

// newWindowPage collects the tables that can be narrowed; p is the time of the
// timeline.
func newWindowPage(a *analyze.Analysis, p period) windowPage {
	w := windowPage{p: p}
	count := (p.end - p.start) / p.window
	w.lost, w.ns = make([]int64, count), make([]int64, count)
	for i := range w.ns {
		from := p.start + int64(i)*p.window
		w.ns[i] = a.RecordedWithin(from, from+p.window)
	}
	for _, point := range servicePoints.thin(p, a.Series) {
		if i, ok := p.place(point.StartNs); ok {
			w.lost[i] = point.Lost
		}
	}
	for _, t := range []windowTable{w.services(a), w.edges(a), w.disks(a), w.cpus(a), w.network(a)} {
		if len(t.rows) > 0 {
			t.rows = t.rows[:min(len(t.rows), windowRows)]
			w.tables = append(w.tables, t)
		}
	}
	w.limit()
	return w
}

// place is the window of a time.
func (p period) place(ns int64) (int64, bool) {
	i := (ns - p.start) / p.window
	return i, ns >= p.start && ns < p.end
}

// limit takes the classes from the last rows of the longest tables until the page
// is small enough.
func (w *windowPage) limit() {
	left := windowClasses
	for row := range windowRows {
		for t := range w.tables {
			if row >= len(w.tables[t].rows) {
				continue
			}
			r := &w.tables[t].rows[row]
			for _, c := range r.classes {
				left -= len(c)
			}
			if left < 0 {
				r.classes = nil
			}
		}
	}
}

// rowOf reads the points of a series.
func rowOf[T any](w *windowPage, k points[T], series []T, sums []func(*T) int64, names ...string) windowRow {
	r := windowRow{sums: make([][]int64, len(sums))}
	for _, n := range names {
		r.names = append(r.names, cut(nameText(n), nameHTML))
	}
	merged := k.thin(w.p, series)
	for i := range merged {
		place, ok := w.p.place(*k.start(&merged[i]))
		if !ok {
			continue
		}
		r.windows = append(r.windows, place)
		for s, of := range sums {
			if of != nil {
				r.sums[s] = append(r.sums[s], of(&merged[i]))
			}
		}
	}
	return r
}

// withLatencies adds to a row what its points know of latencies.
func withLatencies[T any](r windowRow, w *windowPage, k points[T], series []T, of func(*T) (longest int64, classes []analyze.ClassCount)) windowRow {
	merged := k.thin(w.p, series)
	r.longest, r.classes = make([]int64, 0, len(merged)), make([][]analyze.ClassCount, 0, len(merged))
	any := false
	for i := range merged {
		if _, ok := w.p.place(*k.start(&merged[i])); ok {
			longest, classes := of(&merged[i])
			r.longest, r.classes = append(r.longest, longest), append(r.classes, classes)
			any = any || len(classes) > 0
		}
	}
	if !any {
		r.classes = nil
	}
	return r
}

var requestSums = []windowSum{{"Requests", hintRequests, sumCount}, {"Errors", "resets and unanswered", sumAlarm}}

// requestRow is a row of requests.
func (w *windowPage) requestRow(series []analyze.Point, names ...string) windowRow {
	r := rowOf(w, servicePoints, series, []func(*analyze.Point) int64{
		func(p *analyze.Point) int64 { return p.Requests }, func(p *analyze.Point) int64 { return p.Errors }}, names...)
	return withLatencies(r, w, servicePoints, series, func(p *analyze.Point) (int64, []analyze.ClassCount) {
		if p.Count == 0 {
			return 0, nil
		}
		return p.Max, p.Classes
	})
}

func (w *windowPage) services(a *analyze.Analysis) windowTable {
	t := windowTable{id: "services", title: "Services", names: []string{"Service"}, sums: requestSums, latency: true}
	for _, s := range connected(a) {
		if s.Requests > 0 && len(s.Series) > 0 {
			t.rows = append(t.rows, w.requestRow(s.Series, s.Name))
		}
	}
	return t
}

func (w *windowPage) edges(a *analyze.Analysis) windowTable {
	t := windowTable{id: "edges", title: "Edges", names: []string{"Client", "Server"}, sums: requestSums, latency: true}
	for _, e := range busiestEdges(a.Edges) {
		if e.Requests > 0 && len(e.Series) > 0 {
			t.rows = append(t.rows, w.requestRow(e.Series, e.Client, serverText(&e)))
		}
	}
	return t
}

func (w *windowPage) disks(a *analyze.Analysis) windowTable {
	t := windowTable{id: "disks", title: "Disks", names: []string{"Disk"}, latency: true,
		sums: []windowSum{{"IOs", "asked for in this time", sumCount}, {"Read", "", sumBytes}, {"Written", "", sumBytes}}}
	for _, d := range busiestDisks(a) {
		if d.IOs == 0 || len(d.Series) == 0 {
			continue
		}
		r := rowOf(w, diskPoints, d.Series, []func(*analyze.DiskPoint) int64{
			func(p *analyze.DiskPoint) int64 { return p.IOs },
			func(p *analyze.DiskPoint) int64 { return p.ReadBytes },
			func(p *analyze.DiskPoint) int64 { return p.WriteBytes }}, d.Name)
		t.rows = append(t.rows, withLatencies(r, w, diskPoints, d.Series, func(p *analyze.DiskPoint) (int64, []analyze.ClassCount) {
			if p.Count == 0 {
				return 0, nil
			}
			return p.Max, p.Classes
		}))
	}
	return t
}

func (w *windowPage) cpus(a *analyze.Analysis) windowTable {
	t := windowTable{id: "cpu", title: "CPU", names: []string{"Service"},
		sums: []windowSum{{"CPUs", "CPUs used, on average", sumBusyNs}, {"Run queue", hintQueueing, sumBusyNs}}}
	for _, s := range workers(a) {
		if len(s.CPUSeries) > 0 {
			t.rows = append(t.rows, rowOf(w, cpuPoints, s.CPUSeries, []func(*analyze.CPUPoint) int64{
				func(p *analyze.CPUPoint) int64 { return p.OnCPUNs },
				func(p *analyze.CPUPoint) int64 { return p.RunQueueNs }}, s.Name))
		}
	}
	return t
}

func (w *windowPage) network(a *analyze.Analysis) windowTable {
	t := windowTable{id: "network", title: "Network faults", names: []string{"Service"}, sums: []windowSum{
		{"Retransmits", hintRetransmits, sumAlarm}, {"Resets", "sent and received", sumAlarm},
		{"Drops", "packets, but for those of a normal close", sumAlarm}, {"Turned away", "connections for which a listener's queue had no room", sumAlarm}}}
	for i := range a.Network {
		n := &a.Network[i]
		sums := []func(*analyze.NetworkPoint) int64{nil, nil, nil, nil}
		if n.Retransmits != nil {
			sums[0] = func(p *analyze.NetworkPoint) int64 { return p.Retransmits }
		}
		if n.ResetsSent != nil || n.ResetsReceived != nil {
			sums[1] = func(p *analyze.NetworkPoint) int64 { return p.Resets }
		}
		if n.Drops != nil {
			sums[2] = func(p *analyze.NetworkPoint) int64 { return p.Drops }
		}
		if n.Overflows != nil {
			sums[3] = func(p *analyze.NetworkPoint) int64 { return p.Overflows }
		}
		if faulty(*n) && len(n.Series) > 0 {
			t.rows = append(t.rows, rowOf(w, faultPoints, n.Series, sums, n.Service))
		}
	}
	return t
}

// packWindows packs what the page knows of each window; "" when there is nothing.
func packWindows(a *analyze.Analysis) (string, error) {
	p := timelinePeriod(a)
	if p.end <= p.start || p.window <= 0 {
		return "", nil
	}
	w := newWindowPage(a, p)
	var b packer
	b.number(p.start / 1e9)
	b.number(p.start % 1e9)
	b.number(p.window)
	plain := func(_ int, n int64) int64 { return n }
	column64(&b, w.ns, plain)
	column64(&b, w.lost, plain)
	b.number(int64(len(w.tables)))
	for i := range w.tables {
		w.tables[i].pack(&b)
	}
	return b.pack()
}

// pack writes a table for assets/window.js.
func (t *windowTable) pack(b *packer) {
	b.text(t.id)
	b.text(t.title)
	b.number(int64(len(t.names)))
	for _, n := range t.names {
		b.text(n)
	}
	b.number(int64(len(t.sums)))
	for _, s := range t.sums {
		b.text(s.head)
		b.text(s.hint)
		b.number(s.kind)
	}
	latency := int64(0)
	if t.latency {
		latency = 1
	}
	b.number(latency)
	b.number(int64(len(t.rows)))
	for i := range t.rows {
		t.rows[i].pack(b)
	}
}

// pack writes a row: names, the distances of its windows, its sums, then the
// longest latency (0: none, else it and 1) and the counts by class of each.
func (r *windowRow) pack(b *packer) {
	for _, n := range r.names {
		b.text(n)
	}
	column64(b, r.windows, func(i int, w int64) int64 { return w - r.windows[max(0, i-1)] + first(i, r.windows) })
	for _, s := range r.sums {
		column64(b, s, func(_ int, n int64) int64 { return n })
	}
	column64(b, r.longest, func(_ int, ns int64) int64 {
		if ns == 0 {
			return 0
		}
		return ns + 1
	})
	column64(b, r.classes, func(_ int, c []analyze.ClassCount) int64 { return int64(len(c)) })
	for _, list := range r.classes {
		before := int32(0)
		for _, c := range list {
			b.number(int64(c.Class - before))
			b.number(c.Count)
			before = c.Class
		}
	}
}

// first is the first window itself, whose distance would be 0.
func first(i int, windows []int64) int64 {
	if i == 0 {
		return windows[0]
	}
	return 0
}

// mergedClasses adds two sorted lists up.
func mergedClasses(a, b []analyze.ClassCount) []analyze.ClassCount {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	out := make([]analyze.ClassCount, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := cmp.Compare(a[0].Class, b[0].Class); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, analyze.ClassCount{Class: a[0].Class, Count: a[0].Count + b[0].Count}), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// timeAttribute is a time for scripts: start and end in Unix ms, base 36, which
// is short.
func timeAttribute(from, to int64) string {
	return strconv.FormatInt(from/1e6, 36) + " " + strconv.FormatInt((to+1e6-1)/1e6, 36)
}
