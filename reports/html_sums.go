package reports

import (
	"cmp"
	"slices"
	"strconv"

	"kmon/analyze"
)

// The tables of a picked range that are of analyze.SumSeries: kept for the rows with
// most, in wider windows than the page's where there are many.

// Bounds of them.
const (
	sumWindows  = 30 // most of a table
	sumServices = 20 // that wait, or whose requests are divided
	sumCalls    = 60
	sumParts    = 40 // of the IO of all disks: users, and kinds of operations
	sumFaults   = 40 // kinds of drops, and listeners
	sumWaits    = 80 // kinds of waits of all services
)

// mostKnown is most of what is not known where it is 0.
func mostKnown(i int) pointSum {
	return func(w *analyze.SumPoint) int64 {
		if w.Max[i] <= 0 {
			return 0
		}
		return w.Max[i] + 1
	}
}

// pointSum reads a number of a window.
type pointSum = func(*analyze.SumPoint) int64

// sumPoints says how the points of a SumSeries are read.
var sumPoints = points[analyze.SumPoint]{
	func(w *analyze.SumPoint) *int64 { return &w.StartNs },
	func(*analyze.SumPoint) *bool { return new(bool) },
	func(to, w *analyze.SumPoint) {
		for len(to.Sums) < len(w.Sums) {
			to.Sums = append(to.Sums, 0)
		}
		for i, v := range w.Sums {
			to.Sums[i] += v
		}
		for len(to.Max) < len(w.Max) {
			to.Max = append(to.Max, -1)
		}
		for i, v := range w.Max {
			to.Max[i] = max(to.Max[i], v)
		}
	},
}

// sumTables are all of them.
func sumTables(a *analyze.Analysis) []windowTable {
	return append(breakdownWindows(a), waitWindows(a), threadWindows(a), callWindows(a), diskUserWindows(a), diskOperationWindows(a),
		queueWindows(a), dropWindows(a), memoryWindows(a), wakeWindows(a), waitDetailWindows(a),
		partWindows(a), streamWindows(a), connectionWindows(a))
}

// sumsOf makes a table of items: their names, and their series with the numbers of its
// sums to show. Items without windows, and beyond most, are not kept.
func sumsOf[T any](a *analyze.Analysis, t windowTable, items []T, most int, series func(*T) *analyze.SumSeries, row func(*T) (names []string, sums []pointSum)) windowTable {
	kept := slices.DeleteFunc(slices.Clone(items), func(x T) bool { return len(series(&x).Points) == 0 })
	kept = leading(kept, most)
	t.unkept = len(items) - len(kept)
	if len(kept) == 0 {
		return t
	}
	all := make([][]analyze.SumPoint, len(kept))
	for i := range kept {
		all[i] = series(&kept[i]).Points
	}
	p := sumPoints.period(series(&kept[0]).WidthNs, all...).within(sumWindows)
	if p.end <= p.start || p.window <= 0 {
		return t
	}
	t.own = newGrid(a, p)
	for i := range kept {
		names, sums := row(&kept[i])
		t.rows = append(t.rows, rowOf(p, sumPoints, all[i], sums, names...))
	}
	return t
}

// at gives one of the sums, in the unit that is packed.
func at(i int, unit int64) pointSum {
	return func(w *analyze.SumPoint) int64 { return (w.Sums[i] + unit/2) / unit }
}

// most gives one of the largest values and 1, as they are packed; 0: there was none.
func most(i int) pointSum { return func(w *analyze.SumPoint) int64 { return w.Max[i] + 1 } }

// lossInAll is what is missing from the numbers of the whole recording.
func lossInAll(a *analyze.Analysis, tables ...string) string {
	if note := lossNote(a, tables...); note != "" {
		return "Of the whole recording " + note
	}
	return ""
}

const intervalNote = "What was recorded as a sum over an interval is spread over it evenly."

// waitWindows is what services waited for.
func waitWindows(a *analyze.Analysis) windowTable {
	list := slices.DeleteFunc(workers(a), func(s service) bool { return len(s.OffCPU) == 0 })
	slices.SortStableFunc(list, func(a, b service) int { return cmp.Compare(waited(&b), waited(&a)) })
	t := windowTable{id: "waits", title: "What was waited for", names: []string{"Service"}}
	t.note = joinNotes("Threads that waited, on average; in brackets: in the rest of the recording.", intervalNote, waitsNote(a), lossInAll(a, "offcpu", "stacks", "frames"))
	words := []string{}
	for _, w := range waitWords {
		if slices.ContainsFunc(list, func(s service) bool { return waitOf(&s, w.word).TotalNs > 0 }) {
			words = append(words, w.word)
			t.sums = append(t.sums, windowSum{w.head, w.hint, sumBusyUs})
		}
	}
	return sumsOf(a, t, list, sumServices, func(s *service) *analyze.SumSeries { return &s.WaitSeries }, func(s *service) ([]string, []pointSum) {
		sums := make([]pointSum, len(words))
		for k, word := range words {
			if i := slices.IndexFunc(s.OffCPU, func(w analyze.Wait) bool { return w.For == word }); i >= 0 {
				sums[k] = at(i, 1e3)
			}
		}
		return []string{s.Name}, sums
	})
}

// waited is how long a service waited for anything but work.
func waited(s *service) (ns int64) {
	for _, w := range s.OffCPU {
		if w.For != "idle" {
			ns += w.TotalNs
		}
	}
	return ns
}

// threadWindows is what the busiest threads used.
func threadWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "threads", title: "Busiest threads", names: []string{"Service", "Thread", "TID"}, sums: []windowSum{
		{"CPUs", "CPUs used, on average; in brackets: in the rest of the recording", sumBusyUs},
		{"Run queue", "waiting for a CPU, on average; in brackets: in the rest of the recording", sumBusyUs}}}
	t.note = joinNotes("Those that are busiest in the whole recording.", intervalNote, lossInAll(a, "intervals"))
	return sumsOf(a, t, a.Threads, windowRows, func(x *analyze.Thread) *analyze.SumSeries { return &x.Series }, func(x *analyze.Thread) ([]string, []pointSum) {
		return []string{x.Service, x.Comm, strconv.Itoa(int(x.TID))}, []pointSum{at(0, 1e3), at(1, 1e3)}
	})
}

// wakeWindows is who woke whom.
func wakeWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "wakes", title: "Who wakes whom", names: []string{"Waker", "Woken"}, sums: []windowSum{
		{"Wake-ups", "", sumRated}, {"Back", hintBack, sumCount}}}
	t.note = joinNotes("Those that wake most in the whole recording.", intervalNote, lossInAll(a, "wakes"))
	return sumsOf(a, t, a.Wakes, windowRows, func(w *analyze.WakePair) *analyze.SumSeries { return &w.Series }, func(w *analyze.WakePair) ([]string, []pointSum) {
		return []string{threadText(w.WakerService, w.WakerComm, w.WakerTID), threadText(w.Service, w.Comm, w.TID)}, []pointSum{at(0, 1), at(1, 1)}
	})
}

// waitDetailWindows is how often services waited.
func waitDetailWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "wait-details", title: "Waits by kind", names: []string{"Service", "Waited for"}, sums: []windowSum{
		{"Waits", "that ended in this time", sumRated}, {"Each", "on average", sumEachUs}}}
	t.note = joinNotes(intervalNote, "Waits for callees, and for work, are not told apart one by one: see what was waited for.", lossInAll(a, "offcpu", "stacks", "frames"))
	all := allWaits(a)
	slices.SortStableFunc(all, func(a, b wait) int { return cmp.Compare(b.TotalNs, a.TotalNs) })
	return sumsOf(a, t, all, sumWaits, func(w *wait) *analyze.SumSeries { return &w.series }, func(w *wait) ([]string, []pointSum) {
		return []string{w.service, w.For}, []pointSum{at(0, 1), at(1, 1e3)}
	})
}

// callWindows is what services called.
func callWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "syscalls", title: "System calls", names: []string{"Service", "Call"}, sums: []windowSum{
		{"Calls", "", sumRated}, {"Errors", "calls that failed", sumAlarm}, {"Each", "time inside, on average", sumEachUs}}}
	t.note = joinNotes("Those that are called most in the whole recording.", intervalNote, lossInAll(a, "syscalls"))
	return sumsOf(a, t, a.Syscalls, sumCalls, func(x *analyze.SyscallCount) *analyze.SumSeries { return &x.Series }, func(x *analyze.SyscallCount) ([]string, []pointSum) {
		sums := []pointSum{at(0, 1), nil, nil}
		if x.Errors != nil {
			sums[1] = at(1, 1)
		}
		if x.TotalNs != nil {
			sums[2] = at(2, 1e3)
		}
		return []string{x.Service, x.Name}, sums
	})
}

// bandOf is one range of latencies of a service, for breakdownWindows.
type bandOf struct {
	broken
	callee string // of a row of what was asked
}

// breakdownWindows is where the time of requests went: by part, and which services
// were asked, which has no panel of its own.
func breakdownWindows(a *analyze.Analysis) []windowTable {
	parts := windowTable{id: "breakdown", title: breakdownTitle, names: []string{"Service", "Requests"}, ordered: true}
	parts.note = joinNotes("Of the requests that began in this time, those whose latency is around the p99 or p50 of the whole recording: a slow time has more of the first. "+
		"Which services were asked is in the drawing.", breakdownMeaning, lossInAll(a, "exchanges"))
	parts.sums = []windowSum{{"Counted", "requests whose parts are averaged", sumCount}, {"Mean", "latency of these requests on average: the parts add up to it", sumEachUs}}
	names := []string{}
	bandsOf, asked := []bandOf{}, []bandOf{}
	for _, s := range brokenDown(a) {
		for _, b := range bands(&s) {
			bandsOf = append(bandsOf, bandOf{broken: b})
			for _, p := range b.Parts {
				if p.Callee != "" {
					asked = append(asked, bandOf{b, p.Callee})
				}
			}
		}
	}
	for _, p := range breakdownParts {
		if slices.ContainsFunc(bandsOf, func(b bandOf) bool { return b.part(p.name) > 0 }) {
			names = append(names, p.name)
			parts.sums = append(parts.sums, windowSum{p.head, p.hint, sumEachUs})
		}
	}
	series := func(b *bandOf) *analyze.SumSeries { return &b.Series }
	parts = sumsOf(a, parts, bandsOf, 2*sumServices, series, func(b *bandOf) ([]string, []pointSum) {
		sums := []pointSum{at(0, 1), b.sum("")}
		for _, name := range names {
			sums = append(sums, b.sum(name))
		}
		return []string{b.service, b.latencies()}, sums
	})
	callees := windowTable{id: "asked", title: "Which services were asked", names: []string{"Service", "Requests", "Asked"}, sums: []windowSum{{"Time", "", sumCount}}}
	callees = sumsOf(a, callees, asked, 4*sumServices, series, func(b *bandOf) ([]string, []pointSum) {
		return []string{b.service, b.latencies(), b.callee}, []pointSum{b.called()}
	})
	return []windowTable{parts, callees}
}

// sum adds up the parts of a name, all for "", in µs: each is rounded for itself, so
// that they add up.
func (b *bandOf) sum(name string) pointSum {
	var list []pointSum
	for i, p := range b.Parts {
		if name == "" || p.Name == name {
			list = append(list, at(1+i, 1e3))
		}
	}
	return func(w *analyze.SumPoint) (us int64) {
		for _, of := range list {
			us += of(w)
		}
		return us
	}
}

// called is the time of the row's callee.
func (b *bandOf) called() pointSum {
	return at(1+slices.IndexFunc(b.Parts, func(p analyze.TimePart) bool { return p.Callee == b.callee && p.Name == analyze.PartCallee }), 1e3)
}

// latencies says which requests the row is of.
func (b *bandOf) latencies() string {
	if b.which == "around p99" {
		return b.which + ": from " + DurationText(b.FromNs) + " on"
	}
	return b.which + ": " + DurationText(b.FromNs) + " to " + DurationText(b.ToNs)
}

const longestHint = "in this time"

// diskUserWindows is who asked for IO.
func diskUserWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "disk-users", title: "Who used the disks", names: []string{"Disk", "Service", "Thread"}, sums: []windowSum{
		{"IOs", "asked for in this time", sumRated}, {"Read", "", sumBytes}, {"Written", "", sumBytes},
		{"Each", hintDiskLatency + ", on average", sumEachUs}, {"Longest", longestHint, sumLargestNs}}}
	t.note = joinNotes("Those that asked for most in the whole recording.", lossInAll(a, "ios"))
	users := diskUsers(a)
	slices.SortStableFunc(users, func(a, b diskUser) int { return cmp.Compare(b.IOs, a.IOs) })
	return sumsOf(a, t, users, sumParts, func(u *diskUser) *analyze.SumSeries { return &u.Series }, func(u *diskUser) ([]string, []pointSum) {
		return []string{u.disk, u.Service, u.Comm}, []pointSum{at(0, 1), at(1, 1), at(2, 1), at(3, 1e3), most(0)}
	})
}

// diskOperationWindows is what was asked for.
func diskOperationWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "disk-operations", title: "Disk operations by size", names: []string{"Disk", "Operation", "Up to"}, sums: []windowSum{
		{"IOs", "asked for in this time", sumRated}, {"Bytes", "", sumBytes}, {"Each", hintDiskLatency + ", on average", sumEachUs},
		{"Each in the device", "on average", sumEachUs}, {"Longest", longestHint, sumLargestNs}}}
	t.note = joinNotes("Those that were asked for most in the whole recording.", lossInAll(a, "ios"))
	all := diskOperations(a)
	slices.SortStableFunc(all, func(a, b diskOperation) int { return cmp.Compare(b.IOs, a.IOs) })
	return sumsOf(a, t, all, sumParts, func(o *diskOperation) *analyze.SumSeries { return &o.Series }, func(o *diskOperation) ([]string, []pointSum) {
		return []string{o.disk, o.Operation, orAbsent(o.SizeTo, BytesText)}, []pointSum{at(0, 1), at(1, 1), at(3, 1e3), at(2, 1e3), most(0)}
	})
}

// queueWindows is how full accept queues were.
func queueWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "accept-queues", title: "Accept queues", names: []string{"Listener", "Service"}, sums: []windowSum{
		{"Most waiting", "connections to be accepted, looked at once a second", sumLargest}, {"Limit", "the backlog it listens with; the kernel lets one more wait", sumLargest},
		{"Turned away", "connections for which the queue had no room, each time they asked", sumAlarm}}}
	t.note = lossInAll(a, "acceptqueues")
	return sumsOf(a, t, a.AcceptQueues, sumFaults, func(q *analyze.AcceptQueue) *analyze.SumSeries { return &q.Series }, func(q *analyze.AcceptQueue) ([]string, []pointSum) {
		return []string{q.Address, q.Service}, []pointSum{most(0), mostKnown(1), at(0, 1)}
	})
}

// dropWindows is the packets that the kernel gave up.
func dropWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "drops", title: "Dropped packets", names: []string{"Reason", "Protocol", "Service"}, sums: []windowSum{{"Packets", "", sumRated}}}
	t.note = lossInAll(a, "netevents")
	return sumsOf(a, t, a.Drops, sumFaults, func(d *analyze.Drop) *analyze.SumSeries { return &d.Series }, func(d *analyze.Drop) ([]string, []pointSum) {
		return []string{d.Reason, d.Protocol, d.Service}, []pointSum{at(0, 1)}
	})
}

// memoryWindows is the memory of services.
func memoryWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "memory", title: "Memory", names: []string{"Service"}, sums: []windowSum{
		{"Resident", "largest sum over the processes of the service at one look", sumLargestBytes},
		{"Cgroup", "largest memory charged to the service's cgroups, page cache included", sumLargestBytes},
		{"OOM kills", "processes killed for want of memory, at the look that noticed it", sumAlarm}}}
	t.note = joinNotes("“"+absent+"”: not known, or nobody looked in this time.", lossInAll(a, "memory"))
	return sumsOf(a, t, fullest(a), sumServices, func(s *service) *analyze.SumSeries { return &s.Memory.Series }, func(s *service) ([]string, []pointSum) {
		sums := []pointSum{mostKnown(0), mostKnown(1), nil}
		if s.Memory.MaxCurrentBytes > 0 { // it has cgroups
			sums[2] = at(0, 1)
		}
		return []string{s.Name}, sums
	})
}

// partWindows is what the latency of services was made of.
func partWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "parts", title: "Where the time goes", names: []string{"Service"}, sums: []windowSum{
		{"Timed", "requests with a latency", sumCount}, {"Upload", hintUpload + ", on average", sumEachUs},
		{"Server", hintServer + ", on average", sumEachUs}, {"Download", hintDownload + ", on average", sumEachUs}}}
	t.note = joinNotes("On average, of the services with most requests.", lossInAll(a, "exchanges"))
	return sumsOf(a, t, timedServices(a), windowRows, func(s *service) *analyze.SumSeries { return &s.PartSeries }, func(s *service) ([]string, []pointSum) {
		return []string{s.Name}, []pointSum{at(0, 1), at(1, 1e3), at(2, 1e3), at(3, 1e3)}
	})
}

// streamWindows is what does not read as request and answer.
func streamWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "streams", title: "Streams", names: []string{"Service"}, sums: []windowSum{
		{"Messages", "both ways", sumRated}, {"In", "", sumCount}, {"Out", "", sumCount}, {"One way", hintOneWay, sumCount}}}
	t.note = joinNotes("Of the services with most messages.", lossInAll(a, "exchanges"))
	return sumsOf(a, t, streaming(a), windowRows, func(s *service) *analyze.SumSeries { return &s.StreamSeries }, func(s *service) ([]string, []pointSum) {
		both := func(w *analyze.SumPoint) int64 { return w.Sums[0] + w.Sums[1] }
		return []string{s.Name}, []pointSum{both, at(0, 1), at(1, 1), at(2, 1)}
	})
}

// connectionWindows is what edges carried.
func connectionWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "connections", title: "Connections of the edges", names: []string{"Client", "Server"}, sums: []windowSum{
		{"Sent", "bytes sent by the client", sumBytes}, {"Received", "bytes received by the client", sumBytes}}}
	t.note = joinNotes("Of the edges with most requests.", lossInAll(a, "exchanges"))
	return sumsOf(a, t, busiestEdges(a.Edges), windowRows, func(e *edge) *analyze.SumSeries { return &e.ByteSeries }, func(e *edge) ([]string, []pointSum) {
		return []string{e.Client, serverText(e)}, []pointSum{at(0, 1), at(1, 1)}
	})
}
