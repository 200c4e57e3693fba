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
)

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
	},
}

// sumTables are all of them.
func sumTables(a *analyze.Analysis) []windowTable {
	return append(breakdownWindows(a), waitWindows(a), threadWindows(a), callWindows(a))
}

// sumsOf makes a table of items: their names, and their series with the numbers of its
// sums to show. Items without windows, and beyond most, are not kept.
func sumsOf[T any](a *analyze.Analysis, t windowTable, items []T, most int, series func(*T) *analyze.SumSeries, row func(*T) (names []string, sums []func([]int64) int64)) windowTable {
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
		of := make([]func(*analyze.SumPoint) int64, len(sums))
		for k, sum := range sums {
			if sum != nil {
				of[k] = func(w *analyze.SumPoint) int64 { return sum(w.Sums) }
			}
		}
		t.rows = append(t.rows, rowOf(p, sumPoints, all[i], of, names...))
	}
	return t
}

// at gives one of the sums, in the unit that is packed.
func at(i int, unit int64) func([]int64) int64 {
	return func(sums []int64) int64 { return (sums[i] + unit/2) / unit }
}

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
	return sumsOf(a, t, list, sumServices, func(s *service) *analyze.SumSeries { return &s.WaitSeries }, func(s *service) ([]string, []func([]int64) int64) {
		sums := make([]func([]int64) int64, len(words))
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
	return sumsOf(a, t, a.Threads, windowRows, func(x *analyze.Thread) *analyze.SumSeries { return &x.Series }, func(x *analyze.Thread) ([]string, []func([]int64) int64) {
		return []string{x.Service, x.Comm, strconv.Itoa(int(x.TID))}, []func([]int64) int64{at(0, 1e3), at(1, 1e3)}
	})
}

// callWindows is what services called.
func callWindows(a *analyze.Analysis) windowTable {
	t := windowTable{id: "syscalls", title: "System calls", names: []string{"Service", "Call"}, sums: []windowSum{
		{"Calls", "", sumRated}, {"Errors", "calls that failed", sumAlarm}, {"Each", "time inside, on average", sumEachUs}}}
	t.note = joinNotes("Those that are called most in the whole recording.", intervalNote, lossInAll(a, "syscalls"))
	return sumsOf(a, t, a.Syscalls, sumCalls, func(x *analyze.SyscallCount) *analyze.SumSeries { return &x.Series }, func(x *analyze.SyscallCount) ([]string, []func([]int64) int64) {
		sums := []func([]int64) int64{at(0, 1), nil, nil}
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
	parts = sumsOf(a, parts, bandsOf, 2*sumServices, series, func(b *bandOf) ([]string, []func([]int64) int64) {
		sums := []func([]int64) int64{at(0, 1), b.sum("")}
		for _, name := range names {
			sums = append(sums, b.sum(name))
		}
		return []string{b.service, b.latencies()}, sums
	})
	callees := windowTable{id: "asked", title: "Which services were asked", names: []string{"Service", "Requests", "Asked"}, sums: []windowSum{{"Time", "", sumCount}}}
	callees = sumsOf(a, callees, asked, 4*sumServices, series, func(b *bandOf) ([]string, []func([]int64) int64) {
		return []string{b.service, b.latencies(), b.callee}, []func([]int64) int64{b.called()}
	})
	return []windowTable{parts, callees}
}

// sum adds up the parts of a name, all for "", in µs: each is rounded for itself, so
// that they add up.
func (b *bandOf) sum(name string) func([]int64) int64 {
	var list []func([]int64) int64
	for i, p := range b.Parts {
		if name == "" || p.Name == name {
			list = append(list, at(1+i, 1e3))
		}
	}
	return func(sums []int64) (us int64) {
		for _, of := range list {
			us += of(sums)
		}
		return us
	}
}

// called is the time of the row's callee.
func (b *bandOf) called() func([]int64) int64 {
	return at(1+slices.IndexFunc(b.Parts, func(p analyze.TimePart) bool { return p.Callee == b.callee && p.Name == analyze.PartCallee }), 1e3)
}

// latencies says which requests the row is of.
func (b *bandOf) latencies() string {
	if b.which == "around p99" {
		return b.which + ": from " + DurationText(b.FromNs) + " on"
	}
	return b.which + ": " + DurationText(b.FromNs) + " to " + DurationText(b.ToNs)
}
