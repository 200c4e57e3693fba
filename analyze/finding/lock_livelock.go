package finding

import (
	"fmt"
	"slices"
	"strings"
)

// findLockLivelock finds instances whose threads yield to each other, or fight for
// a lock, and get little done while requests wait. In a window all of these:
//
//	cores (+ run queue, where cores ≥ min_contended_cores) ≥ min_cores, or cores ≥ min_limit_share of its quota
//	a fight, one of
//	  yields to a neighbour: involuntary / slices ≥ min_involuntary ∧ slice ≤ max_slice_ns
//	  yields, on CPUs of their own: samples in sched_yield ≥ min_yield_share
//	  locks: samples in locks ≥ min_lock_share
//	  sleeps and wakes: voluntary / slices > 1 − min_involuntary ∧ slice ≤ max_sleep_slice_ns
//	                    ∧ waits for a lock or futex ≥ min_lock_wait_share of all
//	a stall (see stall), and requests that wait
//
// sched_yield leaves the thread runnable, so the kernel counts the switch as
// involuntary; preemption does that too, but after slices of milliseconds.
func findLockLivelock(s *search) {
	now, _ := s.activities()
	for i := range now {
		a := &now[i]
		if s.judge(LockLivelock, instanceName(a.Instance), a.sight) {
			s.lockLivelock(a)
		}
	}
}

func (s *search) lockLivelock(a *activity) {
	signs := make([]bool, len(a.ok))
	for i := range signs {
		signs[i] = a.ok[i] && s.fighting(a, i)
	}
	least := int(s.rules.of(LockLivelock, "min_windows"))
	if _, ok := longest(signs, least); !ok {
		return
	}
	st := s.stallOf(a)
	hold := make([]bool, len(signs))
	for i := range hold {
		hold[i] = signs[i] && (st.less[i] && st.wanted[i] || st.none[i] && st.unserved[i])
	}
	run, ok := longest(hold, least)
	if !ok || s.pollers(a, run) || s.usual(a, signs, hold, s.fighting) {
		s.checks[LockLivelock].Rejected++
		return
	}
	s.add(s.lockFinding(st, run))
}

// busyEnough says whether an instance used CPU time worth asking about.
func (s *search) busyEnough(a *activity, i int) bool {
	ready := a.cores[i] + float64(max(a.Windows[i].RunQueueNs, 0))/float64(s.in.WindowNs)
	least := s.rules.of(LockLivelock, "min_cores")
	return a.cores[i] >= least || a.cores[i] >= s.rules.of(LockLivelock, "min_contended_cores") && ready >= least ||
		a.LimitCores > 0 && a.cores[i] >= s.rules.of(LockLivelock, "min_limit_share")*a.LimitCores
}

// fighting says whether an instance fights in a window.
func (s *search) fighting(a *activity, i int) bool {
	return s.busyEnough(a, i) && len(s.fights(&a.Windows[i])) > 0
}

// fights are the signs of one in a window.
func (s *search) fights(w *InstanceWindow) []Evidence {
	of := func(name string) float64 { return s.rules.of(LockLivelock, name) }
	list := []Evidence{}
	slice, involuntary := float64(w.OnCPUNs)/max(float64(w.Timeslices), 1), float64(w.Involuntary)/max(float64(w.Timeslices), 1)
	if w.Timeslices > 0 && involuntary >= of("min_involuntary") && slice <= of("max_slice_ns") {
		list = append(list, fact("slice_ns", slice, "threads run for %s at a time, and %s of the switches left them runnable: they yield", timeText(slice), share(involuntary)).
			held(of("max_slice_ns"), nan))
	}
	if n := float64(w.OnCPUSamples); n >= s.rules.of(LockLivelock, "min_samples") {
		if v := float64(w.YieldSamples) / n; v >= of("min_yield_share") {
			list = append(list, fact("yield_share", v, "%s of the CPU samples are in sched_yield", share(v)).held(of("min_yield_share"), nan))
		}
		if v := float64(w.LockSamples) / n; v >= of("min_lock_share") {
			list = append(list, fact("lock_share", v, "%s of the CPU samples are in locks", share(v)).held(of("min_lock_share"), nan))
		}
	}
	locks, all := w.Waits.Lock.Count+w.Waits.Futex.Count, w.Waits.count()
	if v := float64(locks) / max(float64(all), 1); w.Timeslices > 0 && involuntary < 1-of("min_involuntary") && slice <= of("max_sleep_slice_ns") && all > 0 && v >= of("min_lock_wait_share") {
		list = append(list, fact("lock_wait_share", v, "threads run for %s at a time, and %s of the waits are for locks", timeText(slice), share(v)).held(of("min_lock_wait_share"), nan))
	}
	return list
}

// count is how many waits there were, but for work.
func (w *Waits) count() int64 {
	sum := int64(0)
	for _, wait := range []Wait{w.Lock, w.Futex, w.Disk, w.Network, w.Poll, w.Sleep, w.Pipe, w.PageFault, w.Other} {
		sum += max(wait.Count, 0)
	}
	return sum
}

func (s *search) lockFinding(st *stall, run span) Finding {
	a := st.activity
	f := s.finding(LockLivelock, s.subject(a), run)
	middle := run.first // the window in the run that is typical: of median cost
	for i := run.first; i <= run.last; i++ {
		if a.cost[i] == a.cost.over(run) {
			middle = i
		}
	}
	signs := s.fights(&a.Windows[middle])
	cores := a.cores.over(run)
	f.Evidence = append(f.Evidence, fact("on_cpu_cores", cores, "%.2f CPUs busy, and threads wait for %.2f more%s", cores, a.ready(run, s.in.WindowNs)-cores, s.busiest(a, run)).held(s.rules.of(LockLivelock, "min_cores"), nan))
	f.Evidence = append(append(f.Evidence, signs...), s.stallEvidence(st, run)...)
	f.CounterEvidence = s.stallCounter(st, run)
	f.Reference = "none: thresholds alone"
	if st.holds(st.less, run) {
		f.Reference = st.costRef.Source
	}
	f.Confidence = confidence(len(f.Evidence)-2, len(f.CounterEvidence), st.costRef)
	if st.costs.over(run) >= s.rules.of(LockLivelock, "critical_cost_ratio") && run.held >= int(s.rules.of(LockLivelock, "critical_windows")) {
		f.Severity = Critical
	}
	f.Title = fmt.Sprintf("%s keeps CPUs busy with threads that yield or fight for a lock, and gets little done while requests wait", f.Subject.Name)
	f.Alternative = "a lock that many threads need for a moment each (contention): then answers keep coming, only later"
	f.NextStep = "`perf record -g -p PID`, or the on-CPU flame graph of " + a.Service + " in the report: who calls sched_yield, futex or the lock, and for which lock"
	if f.Subject.PID > 0 {
		f.NextStep = strings.Replace(f.NextStep, "PID", fmt.Sprint(f.Subject.PID), 1)
	}
	f.Coverage = a.within(run)
	return f
}

// ready is how many threads of an instance had a CPU or waited for one in a run.
func (a *activity) ready(run span, windowNs int64) float64 {
	v := blank(len(a.ok))
	for i := range v {
		if a.ok[i] {
			v[i] = float64(a.Windows[i].OnCPUNs+max(a.Windows[i].RunQueueNs, 0)) / float64(windowNs)
		}
	}
	return v.over(run)
}

// busiest names the two busiest threads of a run.
func (s *search) busiest(a *activity, run span) string {
	var names []string
	for _, t := range s.threadsOf(a, run) {
		if len(names) < 2 {
			names = append(names, fmt.Sprintf("%s (thread %d)", t.Comm, t.TID))
		}
	}
	if names == nil {
		return ""
	}
	return ", most by " + strings.Join(names, " and ")
}

// confidence grows with the signals that agree, and with what they were held
// against.
func confidence(signals, against int, r Reference) float64 {
	c := 0.4 + 0.1*float64(signals) - 0.15*float64(against)
	switch {
	case r.N == 0:
		c -= 0.2
	case r.Source == FromBaseline:
		c += 0.1
	}
	return min(max(c, 0.1), 0.95)
}

// pollers are threads that burn a CPU on purpose, or work for a language's
// runtime, by the beginnings of their names.
var pollers = []string{
	"lcore-", "dpdk", "rte_", "vpp_", "reactor_", "spdk", "busy_poll", "napi/", "ksoftirqd", "swapper", "idle_inject", "kcompactd", "kswapd",
	"C1 Compiler", "C2 Compiler", "GC Thread", "G1 ", "VM Thread", "ZWorker", "ZDriver", "Shenandoah", "Concurrent Mark",
	"V8 Default", "V8Worker", ".NET Server GC", ".NET BGC", ".NET Tiered", "JIT",
}

func poller(comm string) bool {
	return slices.ContainsFunc(pollers, func(p string) bool { return strings.HasPrefix(comm, p) })
}

// pollers says whether those threads are the ones that burn the CPUs.
func (s *search) pollers(a *activity, run span) bool {
	list := s.threadsOf(a, run)
	return len(list) > 0 && poller(list[0].Comm)
}
