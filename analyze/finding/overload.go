package finding

import (
	"fmt"
	"slices"
)

// findOverload finds instances that are asked for more than they can do. They work
// as they always did, so this explains late answers and is no fault of theirs. In a
// window all of these:
//
//	cost / cost_ref ≤ max_cost_ratio                      (CPU time a unit of work)
//	latency / latency_ref ≥ min_latency_ratio, or an accept queue of stall_queue
//	received / received_ref ≥ stall_load_ratio, or
//	  full: a quota, a thread or the node's CPUs used up, with an accept queue and
//	  min_samples answers, and no quota that stops it
func findOverload(s *search) {
	now, _ := s.activities()
	for i := range now {
		a := &now[i]
		if s.judge(Overload, instanceName(a.Instance), a.sight) {
			s.overload(a)
		}
	}
}

func (s *search) overload(a *activity) {
	of := func(name string) float64 { return s.rules.of(Overload, name) }
	st, busy, n := s.stallOf(a), s.nodeBusy(a.Node), len(a.ok)
	hold, more := make([]bool, n), make([]bool, n)
	for i := range n {
		if !a.ok[i] || float64(answered(&a.Windows[i].Served)) < of("min_samples") || st.costs[i] > of("max_cost_ratio") {
			continue
		}
		late, queue := st.lates[i] >= of("min_latency_ratio"), st.queue[i] >= of("stall_queue")
		more[i] = st.loads[i] >= of("stall_load_ratio")
		stopped := a.throttled(span{i, i, 1}, s.in.WindowNs) >= of("max_throttled_share")
		hold[i] = more[i] && (late || queue) || queue && !stopped && s.full(a, i, busy[i]) != ""
	}
	if run, ok := longest(hold, int(of("min_windows"))); ok && !s.foundOf(LockLivelock, s.subject(a).Name) {
		s.add(s.overloadFinding(st, run, more, busy))
	}
}

// full says what an instance has used up in a window; "": nothing.
func (s *search) full(a *activity, i int, nodeBusy float64) string {
	least := s.rules.of(Overload, "min_full")
	if a.LimitCores > 0 && a.cores[i] >= least*a.LimitCores {
		return fmt.Sprintf("its quota of %.3g CPUs", a.LimitCores)
	}
	if cpus := float64(s.in.Nodes[a.Node].CPUs); nodeBusy >= least && a.cores[i] >= cpus/2 {
		return fmt.Sprintf("the node's %.0f CPUs", cpus)
	}
	for k := range s.in.Threads {
		if t := &s.in.Threads[k]; t.Instance == a.index && float64(t.Windows[i].OnCPUNs) >= least*float64(s.in.WindowNs) {
			return fmt.Sprintf("the CPU of its thread %d (%s)", t.TID, t.Comm)
		}
	}
	return ""
}

func (s *search) overloadFinding(st *stall, run span, more []bool, busy series) Finding {
	of := func(name string) float64 { return s.rules.of(Overload, name) }
	a := st.activity
	f := s.finding(Overload, s.subject(a), run)
	f.Severity, f.Reference = Info, "none: thresholds alone"
	f.Title = f.Subject.Name + " has used up its CPUs, and requests queue up"
	received := a.received.over(run)
	if r := st.loadRef; st.holds(more, run) {
		f.Reference = r.Source
		f.Title = fmt.Sprintf("%s gets %.1f times the requests it used to, and answers late", f.Subject.Name, r.ratio(received))
		f.Evidence = append(f.Evidence, fact("received_per_s", received, "%.4g requests a second, %.1f times the %.4g of %s", received, r.ratio(received), r.Median, r.Source).
			held(of("stall_load_ratio")*r.Median, r.Median))
	} else {
		f.Evidence = append(f.Evidence, fact("received_per_s", received, "%.4g requests a second", received))
	}
	if v := a.latency.over(run); st.lateRef.ratio(v) >= of("min_latency_ratio") {
		f.Evidence = append(f.Evidence, fact("latency_p50_ns", v, "answers take %s, %.1f times the %s of %s", timeText(v), st.lateRef.ratio(v), timeText(st.lateRef.Median), st.lateRef.Source).
			held(of("min_latency_ratio")*st.lateRef.Median, st.lateRef.Median))
	}
	if v := a.queue.over(run); v >= of("stall_queue") {
		f.Evidence = append(f.Evidence, fact("accept_queue", v, "%.0f connections wait to be accepted", v).held(of("stall_queue"), nan))
	}
	if v := st.costs.over(run); v <= of("max_cost_ratio") {
		f.Evidence = append(f.Evidence, fact("cpu_ns_per_work", a.cost.over(run), "%s of CPU time for each answer or 64 KiB moved, %.2f times what it was: it works as ever", timeText(a.cost.over(run)), v).
			held(of("max_cost_ratio")*st.costRef.Median, st.costRef.Median))
	}
	if what := s.full(a, run.last, busy[run.last]); what != "" {
		f.Evidence = append(f.Evidence, fact("on_cpu_cores", a.cores.over(run), "it uses %.2f CPUs, all of %s", a.cores.over(run), what))
	} else {
		f.CounterEvidence = append(f.CounterEvidence, fact("on_cpu_cores", a.cores.over(run), "it uses only %.2f CPUs: it may wait for something else (its pool, a lock, a service it asks)", a.cores.over(run)))
	}
	if v := a.failed.over(run); v >= of("stall_failed_per_s") && !slices.Contains(s.repeated, a.Service) {
		f.Severity = Warning
		f.Evidence = append(f.Evidence, fact("failed_per_s", v, "%.1f requests a second fail or are given up", v).held(of("stall_failed_per_s"), st.failedRef.value()))
	}
	f.Confidence = confidence(len(f.Evidence)-1, len(f.CounterEvidence), st.loadRef)
	f.Alternative = "each request asks for more than it did (other sizes, a cold cache): look at bytes and CPU time a request"
	f.NextStep = "who asks more: the edges to " + a.Service + " in the report; then more instances, or fewer requests at its clients"
	f.Coverage = a.within(run)
	return f
}
