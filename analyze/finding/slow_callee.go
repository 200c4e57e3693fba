package finding

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// A service is slow because of one that it asks: the mean latency of what it
// serves has risen, and min_share of the rise is time that it waits for that one's
// answers (latency × count of what it asks, by what it serves: calls one after
// another; calls at the same time count in full). The callee answers min_ratio
// times later than it did. From callee to callee the deepest such service is the
// subject; who waits for it, directly or not, is its evidence.
//
// The reference is a healthy capture, else the quiet windows: peers say nothing
// here, for replicas ask the same callee.
func findSlowCallee(s *search) {
	t := s.traffic()
	if len(t.cells) == 0 || !slices.ContainsFunc(t.cells, func(c cell) bool { return c.atClient }) {
		s.checks[SlowCallee].NotRecorded = "requests at their client's end"
		return
	}
	slow := s.waiting(t)
	roots := map[asked][]waiter{}
	for _, name := range slices.Sorted(maps.Keys(slow)) {
		w := slow[name]
		root := w
		for seen := map[string]bool{}; !seen[root.callee.service]; {
			seen[root.callee.service] = true
			if deeper, ok := slow[root.callee.service]; ok && overlapping(deeper.run, w.run) {
				root = deeper
			}
		}
		roots[root.callee] = append(roots[root.callee], w)
	}
	for _, callee := range slices.SortedFunc(maps.Keys(roots), func(a, b asked) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.port, b.port))
	}) {
		s.reportCallee(t, callee, roots[callee])
	}
}

func overlapping(a, b span) bool { return a.first <= b.last && b.first <= a.last }

// waiter is a service that waits for a slow callee.
type waiter struct {
	service     string
	callee      asked
	run         span
	served, ref float64 // mean latency and its reference, ns
	share       float64 // of the rise, that is the callee's
	ratio       float64 // of the callee's latency
	callNs      float64 // mean latency of a call
	cells       []int
}

// waiting gives the services that wait for a slow callee, by name.
func (s *search) waiting(t *traffic) map[string]waiter {
	instances := map[string][]int{}
	for i := range s.in.Instances {
		if len(t.asks(i)) > 0 {
			instances[s.in.Instances[i].Service] = append(instances[s.in.Instances[i].Service], i)
		}
	}
	found := map[string]waiter{}
	for _, name := range slices.Sorted(maps.Keys(instances)) {
		served := s.track(s.servedMean(s.in, instances[name]))
		if len(served.at.known()) < 2*int(s.rules.of(SlowCallee, "min_windows")) {
			s.insufficient(SlowCallee, name, "too few windows in which it served enough requests, all recorded")
			continue
		}
		served.base = s.baseOf(func(b *traffic, of []int) series { return s.servedMean(b.in, of) }, name)
		s.checks[SlowCallee].Judged++
		if w, ok := s.waits(t, name, instances[name], served); ok {
			found[name] = w
		}
	}
	return found
}

// baseOf is a series of a service in the healthy capture.
func (s *search) baseOf(of func(*traffic, []int) series, service string) Reference {
	if s.healthy == nil {
		return Reference{}
	}
	var list []int
	for i := range s.baseline.Instances {
		if s.baseline.Instances[i].Service == service {
			list = append(list, i)
		}
	}
	return referenceOf(FromBaseline, of(s.healthy, list))
}

// servedMean is the mean latency of what instances serve, by window.
func (s *search) servedMean(in *Input, instances []int) series {
	mean := blank(len(in.Windows))
	for w := range mean {
		total, count := s.servedIn(in, instances, w)
		if count >= s.rules.of(SlowCallee, "min_samples") {
			mean[w] = total / count
		}
	}
	return mean
}

// servedIn adds up the latencies of what instances served in a window, and counts
// them; nothing if the window has no say.
func (s *search) servedIn(in *Input, instances []int, w int) (sumNs, count float64) {
	if in.Windows[w].Partial {
		return 0, 0
	}
	for _, i := range instances {
		if in.Nodes[in.Instances[i].Node].Windows[w].Coverage.Exchanges < s.rules.of(SlowCallee, "min_coverage") {
			return 0, 0
		}
		r := &in.Instances[i].Windows[w].Served
		sumNs, count = sumNs+totalNs(r), count+float64(r.Latency.Count())
	}
	return sumNs, count
}

// perServed is how long instances wait for a callee for each request they serve.
func (s *search) perServed(t *traffic, instances []int, callee asked) series {
	each := blank(len(t.in.Windows))
	for w := range each {
		_, count := s.servedIn(t.in, instances, w)
		if count < s.rules.of(SlowCallee, "min_samples") {
			continue
		}
		sum := 0.0
		for _, i := range t.calls(instances, callee) {
			sum += totalNs(&t.cells[i].edge.Windows[w].AtClient)
		}
		each[w] = sum / count
	}
	return each
}

// perCall is the mean latency of instances' calls to a callee.
func (s *search) perCall(t *traffic, instances []int, callee asked) series {
	mean := blank(len(t.in.Windows))
	for w := range mean {
		sum, count := 0.0, 0.0
		for _, i := range t.calls(instances, callee) {
			r := &t.cells[i].edge.Windows[w].AtClient
			sum, count = sum+totalNs(r), count+float64(r.Latency.Count())
		}
		if !t.in.Windows[w].Partial && count >= s.rules.of(SlowCallee, "min_samples") {
			mean[w] = sum / count
		}
	}
	return mean
}

// calls are the cells of instances' requests to a callee.
func (t *traffic) calls(instances []int, callee asked) []int {
	var list []int
	for _, i := range instances {
		for _, k := range t.asks(i) {
			if c := &t.cells[k]; c.server.service == callee.service && c.edge.Port == callee.port {
				list = append(list, k)
			}
		}
	}
	return list
}

// waits finds the callee that explains most of a service's rise.
func (s *search) waits(t *traffic, service string, instances []int, served track) (best waiter, ok bool) {
	callees := map[asked]bool{}
	for _, i := range instances {
		for _, k := range t.asks(i) {
			callees[asked{t.cells[k].server.service, t.cells[k].edge.Port}] = true
		}
	}
	for _, callee := range slices.SortedFunc(maps.Keys(callees), func(a, b asked) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.port, b.port))
	}) {
		if callee.service == service {
			continue // replicas of one service that talk to each other
		}
		w, found := s.waitsFor(t, service, instances, served, callee)
		if found && (!ok || w.share*float64(w.run.held) > best.share*float64(best.run.held)) {
			best, ok = w, true
		}
	}
	return best, ok
}

func (s *search) waitsFor(t *traffic, service string, instances []int, served track, callee asked) (waiter, bool) {
	waits, call := s.track(s.perServed(t, instances, callee)), s.track(s.perCall(t, instances, callee))
	waits.base = s.baseOf(func(b *traffic, of []int) series { return s.perServed(b, of, callee) }, service)
	call.base = s.baseOf(func(b *traffic, of []int) series { return s.perCall(b, of, callee) }, service)
	servedRef, waitsRef, callRef := s.against(&served, nil), s.against(&waits, nil), s.against(&call, nil)
	if servedRef.N == 0 || waitsRef.N == 0 || callRef.N == 0 {
		return waiter{}, false
	}
	hold := make([]bool, len(t.in.Windows))
	for w := range hold {
		rise := served.at[w] - servedRef.Median
		hold[w] = servedRef.ratio(served.at[w]) >= s.rules.of(SlowCallee, "min_caller_ratio") && servedRef.z(served.at[w]) >= s.rules.of(SlowCallee, "min_z") &&
			rise >= 1e3*s.rules.of(SlowCallee, "min_added_us") &&
			waits.at[w]-waitsRef.Median >= s.rules.of(SlowCallee, "min_share")*rise &&
			callRef.ratio(call.at[w]) >= s.rules.of(SlowCallee, "min_ratio")
	}
	run, ok := longest(hold, int(s.rules.of(SlowCallee, "min_windows")))
	if !ok {
		return waiter{}, false
	}
	w := waiter{service: service, callee: callee, run: run, cells: t.calls(instances, callee)}
	w.served, w.ref, w.callNs = served.at.over(run), servedRef.Median, call.at.over(run)
	w.share = (waits.at.over(run) - waitsRef.Median) / (w.served - w.ref)
	w.ratio = callRef.ratio(w.callNs)
	return w, true
}

// reportCallee reports a slow callee with those that wait for it; its direct
// callers first.
func (s *search) reportCallee(t *traffic, callee asked, list []waiter) {
	slices.SortStableFunc(list, func(a, b waiter) int {
		direct := func(w waiter) int {
			if w.callee == callee {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(direct(a), direct(b)), cmp.Compare(b.run.held, a.run.held))
	})
	w := list[0]
	own, ownRef := s.ownEnd(t, w)
	f := s.finding(SlowCallee, s.calleeSubject(t, callee, w), w.run)
	f.Coverage = t.leastCoverage(w.cells, w.run)
	f.Reference = s.against(&t.cells[w.cells[0]].seen, nil).Source
	f.Confidence, f.lagNs = 0.6, w.served
	f.Title = fmt.Sprintf("%s answers %s times later than it did, and it holds up %s", callee.service, ratioText(w.ratio), waitersText(list))
	f.Alternative = fmt.Sprintf("%s asks it for more at once, or for other things, than before.", w.service)
	f.NextStep = fmt.Sprintf("look at %s in this report: what its threads wait for (off-CPU), its CPU, its disk, and its own callees if they were not recorded", callee.service)
	for i, w := range list {
		if i == 5 {
			break
		}
		f.Evidence = append(f.Evidence, fact("share_of_rise", w.share, "%s takes %s instead of %s a request; %s of the rise is time it waits for %s, which takes %s, %.1f times as long as it did",
			w.service, timeText(w.served), timeText(w.ref), share(min(w.share, 1)), w.callee.service, timeText(w.callNs), w.ratio).held(s.rules.of(SlowCallee, "min_share"), math.NaN()))
	}
	if !math.IsNaN(own) && own-ownRef < 0.5*(w.callNs-w.callNs/w.ratio) {
		f.CounterEvidence = append(f.CounterEvidence, fact("own_p50_ns", own, "its own end shows %s, against %s: most of the time passes outside it", timeText(own), timeText(ownRef)))
		f.Severity, f.Confidence = Info, f.Confidence-0.2 // it is the way to it, or its queue
	} else if !math.IsNaN(own) {
		f.Evidence = append(f.Evidence, fact("own_p50_ns", own, "its own end shows %s, against %s", timeText(own), timeText(ownRef)).held(ownRef, ownRef))
		f.Confidence += 0.2
	}
	if rate := s.calleeRate(t, w); rate >= s.rules.of(SlowCallee, "max_rate_ratio") {
		f.Severity = Info
		f.CounterEvidence = append(f.CounterEvidence, fact("rate_ratio", rate, "it is asked %.1f times as often as before: it may be the load", rate))
	}
	s.add(f)
}

func waitersText(list []waiter) string {
	var names []string
	for _, w := range list {
		names = append(names, w.service)
	}
	return few(names)
}

// calleeSubject is the service; an instance, if that makes up most of the rise
// among several.
func (s *search) calleeSubject(t *traffic, callee asked, w waiter) Subject {
	subject := Subject{Type: "service", Name: callee.service, Service: callee.service}
	if len(t.service[callee]) < 2 {
		return subject
	}
	sum, most, of := 0.0, 0.0, party{}
	by := map[party]float64{}
	for _, i := range w.cells {
		c := &t.cells[i]
		if more := s.added(c, w.run); more > 0 {
			sum += more
			by[c.server] += more
			if by[c.server] > most {
				most, of = by[c.server], c.server
			}
		}
	}
	if most >= s.rules.of(SlowCallee, "min_instance_share")*sum && of.instance != "" {
		return Subject{Type: "instance", Name: of.instance, Service: of.service, Host: of.host}
	}
	return subject
}

// added is how much longer the calls of a cell took in a run than before it, else
// than they should, in ns, all of them together; NaN: not known. However few they
// are: one that hardly answers is the one.
func (s *search) added(c *cell, run span) float64 {
	usual := s.against(&c.seen, nil).Median
	if sum, count := c.edge.called(0, run.first); count > 0 {
		usual = sum / count
	}
	sum, count := c.edge.called(run.first, run.last+1)
	return sum - count*usual
}

// called adds up the latencies of the requests of some windows, and counts them.
func (e *Edge) called(from, to int) (sumNs, count float64) {
	for w := from; w < to; w++ {
		r := &e.Windows[w].AtClient
		sumNs, count = sumNs+totalNs(r), count+float64(r.Latency.Count())
	}
	return sumNs, count
}

// ownEnd is the latency at the callee's own end in the run, and its reference.
func (s *search) ownEnd(t *traffic, w waiter) (own, ref float64) {
	var owns, refs []float64
	for _, i := range w.cells {
		c := &t.cells[i]
		if r := s.against(&c.own, nil); r.N > 0 {
			owns, refs = append(owns, c.own.at.over(w.run)), append(refs, r.Median)
		}
	}
	return stat.Median(series(owns).known()), stat.Median(refs)
}

// calleeRate is how often the callee was asked in the run, by the reference.
func (s *search) calleeRate(t *traffic, w waiter) float64 {
	var now, before float64
	for i := range t.cells {
		c := &t.cells[i]
		if c.server.service != w.callee.service || c.edge.Port != w.callee.port {
			continue
		}
		rate, ref := c.requests.at.over(w.run), c.requests.base
		if ref.N == 0 {
			ref = referenceOf(FromQuiet, c.requests.at[:w.run.first])
		}
		if !math.IsNaN(rate) && ref.N > 0 {
			now, before = now+rate, before+ref.Median
		}
	}
	return now / before
}
