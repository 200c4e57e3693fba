package reports

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kmon/analyze"
)

// breakdownTitle heads what tells where the time of requests went.
const breakdownTitle = "Where the slow requests' time went"

// breakdownParts are the parts of a request's time in the order of the table and
// the drawing.
var breakdownParts = []struct{ name, head, hint string }{
	{"on-cpu", "On CPU", "the serving thread was on a CPU; in a virtual machine also what the host took of that time"},
	{"run-queue", "Run queue", "it could have run, but waited for a CPU"},
	{"lock", "Lock", "it waited for a lock or another thread (a futex; in Go also for work), or for a lock of the kernel on memory"},
	{"disk", "Disk", "it waited for a disk or within a filesystem"},
	{"sleep", "Sleep", "it let time pass"},
	{"callee", "Callees", "it waited for services that it had asked"},
	{"network", "Network", "it waited for a socket or a pipe, or in an event loop (in Go also for a timer), and was not seen asking anyone"},
	{"other-wait", "Other", "it waited for something else"},
	{"unknown", "Not known", "what the serving thread did is not known, and no service was seen being asked"},
}

// partHead is how a part is called.
func partHead(name string) string {
	for _, p := range breakdownParts {
		if p.name == name {
			return p.head
		}
	}
	return visible(name)
}

// broken is one range of latencies of a service.
type broken struct {
	service string
	which   string
	analyze.BreakdownBand
}

// part adds up the parts of a name: there may be several callees.
func (b *broken) part(name string) (ns int64) {
	for _, p := range b.Parts {
		if p.Name == name {
			ns += p.Ns
		}
	}
	return ns
}

// mostly names the largest part and its share.
func (b *broken) mostly() cell {
	if len(b.Parts) == 0 || b.MeanNs <= 0 {
		return cell{Text: absent}
	}
	p := slices.MaxFunc(b.Parts, func(x, y analyze.TimePart) int { return cmp.Compare(x.Ns, y.Ns) })
	text := strings.ToLower(partHead(p.Name))
	if p.Name == "on-cpu" {
		text = "on CPU"
	}
	if p.Callee != "" {
		text = nameText(p.Callee)
	}
	c := cell{Text: text + " " + wholePercent(p.Share)}
	if p.Name == analyze.PartUnknown {
		c.Tone = toneWarn
	}
	return c
}

// wholePercent is a share without decimals.
func wholePercent(share float64) string { return percentText(math.Round(100*share) / 100) }

// asked names the callees.
func (b *broken) asked() cell {
	var names []string
	for _, p := range b.Parts {
		if p.Name == analyze.PartCallee {
			names = append(names, nameText(p.Callee)+" "+DurationText(p.Ns))
		}
	}
	return word(strings.Join(names, ", "))
}

// brokenDown gives the services whose time is known, those whose slow requests took
// longest first.
func brokenDown(a *analyze.Analysis) []service {
	list := slices.DeleteFunc(copied(a.Services), func(s service) bool { return s.Breakdown == nil || s.Breakdown.Requests == 0 })
	slices.SortStableFunc(list, func(a, b service) int {
		return cmp.Or(cmp.Compare(b.Breakdown.Slow.MeanNs, a.Breakdown.Slow.MeanNs), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// bands are the two ranges of a service, the slow one first.
func bands(s *service) []broken {
	return []broken{
		{s.Name, "around p99", s.Breakdown.Slow},
		{s.Name, "around p50", s.Breakdown.Middle},
	}
}

// breakdownTable lists where the time of requests went.
func breakdownTable(a *analyze.Analysis) table {
	all := []broken{}
	for _, s := range brokenDown(a) {
		all = append(all, bands(&s)...)
	}
	specs := []spec[broken]{
		{column{Head: "Service", Kind: kindName}, func(b *broken) cell { return named(b.service) }},
		{column{Head: "Requests", Hint: "around p99: from p98 on; around p50: from p40 to p60; and those whose latency is hardly another"}, func(b *broken) cell { return word(b.which) }},
		number("Counted", "requests whose parts are averaged", 6, func(b *broken) cell { return counted(b.Requests) }),
		number("Mean", "latency of these requests on average: the parts add up to it", 0, func(b *broken) cell { return lasting(b.MeanNs) }),
		{column{Head: "Mostly", Hint: "the largest part, and its share", Kind: kindText}, (*broken).mostly},
	}
	for rank, p := range breakdownParts {
		specs = append(specs, odd(p.head, p.hint, 1+rank/4, func(b *broken) cell { return lasting(b.part(p.name)) }))
	}
	specs = append(specs,
		spec[broken]{column{Head: "Asked", Hint: "which services it waited for; of several at once the time is that of the one asked first", Kind: kindText, Rank: 4, Optional: true}, (*broken).asked},
		number("Thread known", "of these requests, those that one thread took and answered, and whose waits were recorded", 3, func(b *broken) cell {
			return covered(float64(b.Accounted)/float64(max(b.Requests, 1)), b.Requests > 0)
		}))
	t := build("breakdown", breakdownTitle, all, specs)
	t.Note = joinNotes(breakdownNote(a), lossNote(a, "exchanges"))
	return t
}

const breakdownMeaning = "A request on average, by what its thread did between the first message and the last; what the thread did for other requests meanwhile is in it."

// breakdownNote says what the parts are, and what they can't tell.
func breakdownNote(a *analyze.Analysis) string {
	var all analyze.Breakdown
	for _, s := range brokenDown(a) {
		all.Requests += s.Breakdown.Requests
		all.Accounted += s.Breakdown.Accounted
		all.HandedOver += s.Breakdown.HandedOver
		all.UnclearCalls += s.Breakdown.UnclearCalls
	}
	notes := []string{breakdownMeaning}
	if all.HandedOver > 0 {
		notes = append(notes, percentText(float64(all.HandedOver)/float64(all.Requests))+
			" of the requests were answered by another thread than took them: of these only callees are known.")
	}
	if rest := all.Requests - all.Accounted - all.HandedOver; rest > 0 {
		notes = append(notes, "Of "+percentText(float64(rest)/float64(all.Requests))+" the threads were not recorded, as of those that a reset ended.")
	}
	if all.UnclearCalls > 0 {
		notes = append(notes, CountText(all.UnclearCalls)+plural(int(min(all.UnclearCalls, 2)), " request")+
			" to others may belong to several requests at once: their time is that of no callee.")
	}
	return joinNotes(notes...)
}

// noBreakdown says why there is none; "" where there is one.
func noBreakdown(a *analyze.Analysis) string {
	served := slices.ContainsFunc(a.Services, func(s service) bool { return s.Ends == "server" && s.Latency.Count > 0 })
	switch {
	case len(brokenDown(a)) > 0, !served:
		return ""
	case a.Threads == nil:
		return "Not recorded: threads (collector cpu)."
	}
	return "Not recorded: the capture is of a kmon that did not yet keep what a thread waits for while it serves a request, or of a kernel that does not let it."
}
