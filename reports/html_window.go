package reports

import (
	"slices"

	"kmon/analyze"
)

// What a page knows of each window, so that its scripts can add up those of a
// picked range: assets/window.js shows it in place of the table with the same id.

// Bounds of it.
const (
	windowRows    = 400     // most rows of a table
	windowPoints  = 18_000  // most windows of all its rows: those of many rows are wider
	windowClasses = 400_000 // most counts of latencies, of all tables
)

// windowTables are the tables that it can take the place of.
var windowTables = []string{"services", "edges", "disks", "cpu", "network", "breakdown", "waits", "threads", "syscalls",
	"disk-users", "disk-operations", "accept-queues", "drops", "memory", "wakes", "wait-details", "parts", "streams", "connections"}

// How a column of a table is added up and shown.
const (
	sumCount  = 0 // a count
	sumAlarm  = 1 // a count that should be 0
	sumBytes  = 2
	sumBusyNs = 3 // time of threads, as the mean number of them
	sumBusyUs = 4 // likewise, in µs and with that of the rest of the recording
	sumEachUs = 5 // time in µs, by the first sum
	sumRated  = 6 // a count whose rate is shown
	// These don't add up: of several windows the largest stands, and 0 says that there
	// was none, others are 1 more.
	sumLargest      = 7 // a count
	sumLargestBytes = 8
	sumLargestNs    = 9
)

// windowTable is a table by window.
type windowTable struct {
	id, title string
	note      string   // what its numbers are; "": it is as the table of the whole
	names     []string // heads of the columns that name a row
	sums      []windowSum
	latency   bool       // rows have latencies
	ordered   bool       // rows stay in their order
	own       windowGrid // its windows; none: those of the page
	unkept    int        // rows of the whole recording that have no windows
	rows      []windowRow
}

// windowGrid is some windows.
type windowGrid struct {
	p  period
	ns []int64 // recorded, by window
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
	windowGrid
	lost   []int64 // exchanges, by window
	tables []windowTable
}

// newGrid divides the time of p.
func newGrid(a *analyze.Analysis, p period) windowGrid {
	g := windowGrid{p: p, ns: make([]int64, max((p.end-p.start+p.window-1)/p.window, 0))}
	for i := range g.ns {
		from := p.start + int64(i)*p.window
		g.ns[i] = a.RecordedWithin(from, from+p.window)
	}
	return g
}

// newWindowPage collects the tables that can be narrowed; p is the time of the
// timeline.
func newWindowPage(a *analyze.Analysis, p period) windowPage {
	w := windowPage{windowGrid: newGrid(a, p)}
	w.lost = make([]int64, len(w.ns))
	for _, point := range servicePoints.thin(p, a.Series) {
		if i, ok := p.place(point.StartNs); ok {
			w.lost[i] = point.Lost
		}
	}
	tables := []windowTable{w.services(a), w.edges(a), w.disks(a), w.cpus(a), w.network(a)}
	for _, t := range slices.Concat(tables, sumTables(a), instanceWindows(a)) {
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
func rowOf[T any](p period, k points[T], series []T, sums []func(*T) int64, names ...string) windowRow {
	r := windowRow{sums: make([][]int64, len(sums))}
	for _, n := range names {
		r.names = append(r.names, cut(nameText(n), nameHTML))
	}
	merged := k.thin(p, series)
	for i := range merged {
		place, ok := p.place(*k.start(&merged[i]))
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
func withLatencies[T any](r windowRow, p period, k points[T], series []T, of func(*T) (longest int64, classes []analyze.ClassCount)) windowRow {
	merged := k.thin(p, series)
	r.longest, r.classes = make([]int64, 0, len(merged)), make([][]analyze.ClassCount, 0, len(merged))
	any := false
	for i := range merged {
		if _, ok := p.place(*k.start(&merged[i])); ok {
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

var requestSums = []windowSum{{"Requests", hintRequests, sumRated}, {"Errors", "resets and unanswered", sumAlarm}}

// requestRow is a row of requests.
func requestRow(p period, series []analyze.Point, names ...string) windowRow {
	r := rowOf(p, servicePoints, series, []func(*analyze.Point) int64{
		func(p *analyze.Point) int64 { return p.Requests }, func(p *analyze.Point) int64 { return p.Errors }}, names...)
	return withLatencies(r, p, servicePoints, series, func(p *analyze.Point) (int64, []analyze.ClassCount) {
		if p.Count == 0 {
			return 0, nil
		}
		return p.Max, p.Classes
	})
}

func (w *windowPage) services(a *analyze.Analysis) windowTable {
	t := windowTable{id: "services", title: "Services", names: []string{"Service"}, sums: requestSums, latency: true}
	services := windowedServices(a)
	p := w.wider(a, &t, len(services))
	for _, s := range services {
		t.rows = append(t.rows, requestRow(p, s.Series, s.Name))
	}
	return t
}

func (w *windowPage) edges(a *analyze.Analysis) windowTable {
	t := windowTable{id: "edges", title: "Edges", names: []string{"Client", "Server"}, sums: requestSums, latency: true}
	edges := windowedEdges(a)
	p := w.wider(a, &t, len(edges))
	for _, e := range edges {
		t.rows = append(t.rows, requestRow(p, e.Series, e.Client, serverText(&e)))
	}
	return t
}

// wider gives a table with so many rows wider windows than those of the page, if it
// needs them.
func (w *windowPage) wider(a *analyze.Analysis, t *windowTable, rows int) period {
	p := w.p.within(int64(max(windowPoints/max(rows, 1), sumWindows)))
	if p.window <= w.p.window {
		return w.p
	}
	t.own = newGrid(a, p)
	return p
}

// windowedServices and windowedEdges are those that have a row.
func windowedServices(a *analyze.Analysis) []service {
	return leading(slices.DeleteFunc(connected(a), func(s service) bool { return s.Requests == 0 || len(s.Series) == 0 }), windowRows)
}

func windowedEdges(a *analyze.Analysis) []analyze.Edge {
	return leading(slices.DeleteFunc(busiestEdges(a.Edges), func(e analyze.Edge) bool { return e.Requests == 0 || len(e.Series) == 0 }), windowRows)
}

// windowRefs are the rows of services and edges, from 1.
type windowRefs struct {
	services map[string]int
	edges    map[edgeRef]int
}

// edgeRef is what tells edges apart.
type edgeRef struct {
	client, server string
	port           int32
}

func newWindowRefs(a *analyze.Analysis) windowRefs {
	refs := windowRefs{map[string]int{}, map[edgeRef]int{}}
	for i, s := range windowedServices(a) {
		refs.services[s.Name] = i + 1
	}
	for i, e := range windowedEdges(a) {
		refs.edges[edgeRef{e.Client, e.Server, e.ServerPort}] = i + 1
	}
	return refs
}

func (w *windowPage) disks(a *analyze.Analysis) windowTable {
	t := windowTable{id: "disks", title: "Disks", names: []string{"Disk"}, latency: true,
		sums: []windowSum{{"IOs", "asked for in this time", sumRated}, {"Read", "", sumBytes}, {"Written", "", sumBytes}}}
	for _, d := range busiestDisks(a) {
		if d.IOs == 0 || len(d.Series) == 0 {
			continue
		}
		r := rowOf(w.p, diskPoints, d.Series, []func(*analyze.DiskPoint) int64{
			func(p *analyze.DiskPoint) int64 { return p.IOs },
			func(p *analyze.DiskPoint) int64 { return p.ReadBytes },
			func(p *analyze.DiskPoint) int64 { return p.WriteBytes }}, d.Name)
		t.rows = append(t.rows, withLatencies(r, w.p, diskPoints, d.Series, func(p *analyze.DiskPoint) (int64, []analyze.ClassCount) {
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
			t.rows = append(t.rows, rowOf(w.p, cpuPoints, s.CPUSeries, []func(*analyze.CPUPoint) int64{
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
			t.rows = append(t.rows, rowOf(w.p, faultPoints, n.Series, sums, n.Service))
		}
	}
	return t
}

// instanceWindows are the instances of each service that has several, in the wider
// windows of sums.
func instanceWindows(a *analyze.Analysis) (tables []windowTable) {
	for _, s := range connected(a) {
		t := windowTable{id: instancesID(serviceAnchor(s.Name)), title: "Instances", names: []string{"Instance", "Host"}, sums: requestSums, latency: true}
		var all [][]analyze.Point
		for _, i := range s.Instances {
			all = append(all, i.Series)
		}
		p := servicePoints.period(a.WindowNs, all...).within(sumWindows)
		if p.end <= p.start || p.window <= 0 {
			continue
		}
		t.own = newGrid(a, p)
		for _, i := range s.Instances {
			if len(i.Series) > 0 {
				t.rows = append(t.rows, requestRow(p, i.Series, i.Name, i.Host))
			}
		}
		t.unkept = len(s.Instances) - len(t.rows)
		tables = append(tables, t)
	}
	return tables
}
