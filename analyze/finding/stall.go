package finding

// stall is how much less an instance gets done than it should for the CPU time it
// spends, and whether anybody waits for it. It is what spinning and livelock have
// in common; busy services that get on with it have none.
//
//	less(w) = cost(w) / cost_ref ≥ stall_cost_ratio  ∧  gap(w) / gap_ref ≥ stall_gap_ratio
//	          ∧ received(w) / received_ref < stall_load_ratio        (else it is load)
//	none(w) = work(w) per CPU second ≤ stall_work_per_cpu_s          (without a reference)
//
// cost is CPU time a unit of work, gap the time from answer to answer; the
// references are a healthy capture, replicas, or its own quiet windows.
type stall struct {
	*activity
	costRef, gapRef, loadRef, lateRef, waitingRef, failedRef Reference
	costs, gaps, loads, lates                                series // in units of the reference

	less, none []bool
	wanted     []bool // requests wait or fail, more than they used to
	unserved   []bool // requests wait or fail, however it used to be
}

func (s *search) stallOf(a *activity) *stall {
	n := len(s.in.Windows)
	st := &stall{activity: a, less: make([]bool, n), none: make([]bool, n), wanted: make([]bool, n), unserved: make([]bool, n)}
	st.costRef = s.norm(a, costMeasure)
	st.gapRef = s.norm(a, gapMeasure)
	st.loadRef = s.norm(a, loadMeasure)
	st.lateRef = s.norm(a, latencyMeasure)
	st.waitingRef = s.norm(a, waitingMeasure)
	st.failedRef = s.norm(a, failedMeasure)
	st.costs, st.gaps = a.cost.ratios(st.costRef), a.gap.ratios(st.gapRef)
	st.loads, st.lates = a.received.ratios(st.loadRef), a.latency.ratios(st.lateRef)
	for i := range n {
		if a.ok[i] {
			s.judgeStall(st, i)
		}
	}
	return st
}

// judgeStall judges a window. Comparisons with NaN don't hold.
func (s *search) judgeStall(st *stall, i int) {
	of := func(name string) float64 { return s.rules.of(common, name) }
	st.less[i] = st.costs[i] >= of("stall_cost_ratio") && st.gaps[i] >= of("stall_gap_ratio") && !(st.loads[i] >= of("stall_load_ratio"))
	st.none[i] = st.done[i] <= of("stall_work_per_cpu_s")*st.cores[i]
	waiting, failed := of("stall_waiting"), of("stall_failed_per_s")
	st.unserved[i] = st.waiting[i] >= waiting || st.failed[i] >= failed
	st.wanted[i] = st.waiting[i] >= max(waiting, 2*st.waitingRef.Median) ||
		st.failed[i] >= max(failed, 2*st.failedRef.Median) ||
		st.queue[i] >= of("stall_queue") || st.lates[i] >= of("stall_latency_ratio")
}

// evidence of a stall in a run: what was done for the CPU time, and who waits.
func (s *search) stallEvidence(st *stall, run span) []Evidence {
	of := func(name string) float64 { return s.rules.of(common, name) }
	list := []Evidence{}
	cost, done := st.cost.over(run), st.done.over(run)/max(st.cores.over(run), 1e-9)
	if r := st.costRef; st.holds(st.less, run) {
		list = append(list,
			fact("cpu_ns_per_work", cost, "%s of CPU time for each answer or 64 KiB moved, %.1f times the %s of %s", timeText(cost), r.ratio(cost), timeText(r.Median), r.Source).
				held(of("stall_cost_ratio")*r.Median, r.Median),
			fact("answer_gap_ns", st.gap.over(run), "an answer every %s, before every %s", timeText(st.gap.over(run)), timeText(st.gapRef.Median)).
				held(of("stall_gap_ratio")*st.gapRef.Median, st.gapRef.Median))
	} else {
		list = append(list, fact("work_per_cpu_s", done, "%.2g answers, or 64 KiB moved, for a second of CPU time", done).
			held(of("stall_work_per_cpu_s"), nan))
	}
	return append(list, s.demandEvidence(st, run)...)
}

// demandEvidence is who waits in a run; empty: nobody.
func (s *search) demandEvidence(st *stall, run span) []Evidence {
	of := func(name string) float64 { return s.rules.of(common, name) }
	list := []Evidence{}
	if v := st.waiting.over(run); v >= of("stall_waiting") {
		list = append(list, fact("requests_waiting", v, "%.0f requests wait for an answer when a window ends", v).held(of("stall_waiting"), st.waitingRef.value()))
	}
	if v := st.failed.over(run); v >= of("stall_failed_per_s") {
		list = append(list, fact("failed_per_s", v, "%.1f requests a second fail or are given up", v).held(of("stall_failed_per_s"), st.failedRef.value()))
	}
	if v := st.queue.over(run); v >= of("stall_queue") {
		list = append(list, fact("accept_queue", v, "%.0f connections wait to be accepted", v).held(of("stall_queue"), nan))
	}
	if v := st.latency.over(run); st.lateRef.ratio(v) >= of("stall_latency_ratio") {
		list = append(list, fact("latency_p50_ns", v, "answers take %s, %.1f times the %s of %s", timeText(v), st.lateRef.ratio(v), timeText(st.lateRef.Median), st.lateRef.Source).
			held(of("stall_latency_ratio")*st.lateRef.Median, st.lateRef.Median))
	}
	return list
}

// usual says whether signs are how an instance works, so that they tell nothing:
// they hold in most windows that did nothing wrong.
func (s *search) usual(a *activity, signs, hold []bool, before func(*activity, int) bool) bool {
	with, all := 0, 0
	count := func(a *activity, i int, sign bool) {
		if a.ok[i] && a.done[i] > 0 {
			all++
			if sign {
				with++
			}
		}
	}
	for i := range signs {
		if !hold[i] {
			count(a, i, signs[i])
		}
	}
	_, healthy := s.activities()
	for k := range healthy {
		h := &healthy[k]
		for i := 0; i < len(h.ok) && h.Service == a.Service; i++ {
			count(h, i, before(h, i))
		}
	}
	return float64(all) >= s.rules.of(common, "min_reference") && 2*with > all
}

// holds says whether most of a run does.
func (st *stall) holds(list []bool, run span) bool {
	return 2*misses(list[run.first:run.last+1]) < run.last+1-run.first
}

// value is the median; NaN without a reference.
func (r Reference) value() float64 {
	if r.N == 0 {
		return nan
	}
	return r.Median
}

// stallCounter is what speaks against a stall: other reasons to get less done.
func (s *search) stallCounter(st *stall, run span) []Evidence {
	list := []Evidence{}
	if v := st.loads.over(run); v >= (1+s.rules.of(common, "stall_load_ratio"))/2 {
		list = append(list, fact("load_ratio", v, "it gets %.1f times the requests it used to: some of it may be load", v))
	}
	if v := s.nodeBusy(st.Node).over(run); v >= s.rules.of(CPUSaturation, "min_busy") {
		list = append(list, fact("node_busy", v, "the node's CPUs are %s busy: threads also wait for each other's CPUs", share(v)))
	}
	if v := st.throttled(run, s.in.WindowNs); v > 0 {
		list = append(list, fact("throttled_share", v, "a CPU quota stops its threads for %s of the time", share(v)))
	}
	last := len(st.ok) - 1
	if run.last < last && st.waiting[last] < s.rules.of(common, "stall_waiting") && st.done[last] > st.done.over(run) {
		list = append(list, fact("ended", 1, "it ended by itself, and what waited was answered"))
	}
	return list
}

// throttled is the share of the time of a run in which a quota stopped threads.
func (a *activity) throttled(run span, windowNs int64) float64 {
	sum := int64(0)
	for i := run.first; i <= run.last; i++ {
		sum += max(a.Windows[i].ThrottledNs, 0)
	}
	return min(float64(sum)/float64(windowNs*int64(run.last+1-run.first)), 1)
}

// nodeBusy is the share of a node's CPU time that was used.
func (s *search) nodeBusy(node int) series {
	v := blank(len(s.in.Windows))
	if node < 0 || node >= len(s.in.Nodes) || s.in.Nodes[node].CPUs <= 0 {
		return v
	}
	n := &s.in.Nodes[node]
	for i := range v {
		if c := n.Windows[i].Coverage.Intervals; c >= s.rules.of(common, "min_coverage") && !s.in.Windows[i].Partial {
			v[i] = float64(n.Windows[i].OnCPUNs) / float64(int64(n.CPUs)*s.in.WindowNs)
		}
	}
	return v
}
