package finding

import (
	"fmt"
	"math"
	"slices"
)

// findSpin finds instances that burn a CPU and hardly ever wait, while they get
// little done and more requests wait than CPUs are busy. In a window all of:
//
//	a burnt CPU: of a thread, or of the whole instance (a runtime moves work
//	from thread to thread)
//	  on-CPU ≥ min_busy, or on-CPU + run queue ≥ min_busy ∧ on-CPU ≥ min_contended_busy
//	  a thread: voluntary switches ≤ max_voluntary_per_s; an instance: slice ≥ min_slice_ns
//	a stall (see stall), and requests that wait, more than CPUs are burnt
//
// Without a reference nothing at all may have been answered for min_windows_alone.
// A thread that computes a long answer looks the same but for those who wait.
func findSpin(s *search) {
	now, _ := s.activities()
	for i := range now {
		a := &now[i]
		if s.judge(Spin, instanceName(a.Instance), a.sight) && !s.foundOf(LockLivelock, s.subject(a).Name) {
			s.spin(a)
		}
	}
}

func (s *search) spin(a *activity) {
	n := len(a.ok)
	all := s.threadsOf(a, span{0, n - 1, 0})
	if len(all) > 0 && poller(all[0].Comm) {
		return
	}
	burns := make([]bool, n)
	for i := range burns {
		burns[i] = a.ok[i] && (s.burnsLong(a, i) || slices.ContainsFunc(all, func(t *Thread) bool { return s.spins(t, i) }))
	}
	least := int(s.rules.of(Spin, "min_windows"))
	if _, ok := longest(burns, least); !ok {
		return
	}
	st := s.stallOf(a)
	run, hold, ok := s.spinRun(st, burns)
	if !ok || s.usual(a, burns, hold, s.burnsLong) {
		s.checks[Spin].Rejected++
		return
	}
	s.add(s.spinFinding(st, s.spinner(all, run), run))
}

// burnsLong says whether an instance had a CPU in a window, in long slices.
func (s *search) burnsLong(a *activity, i int) bool {
	w := &a.Windows[i]
	return w.Timeslices > 0 && float64(w.OnCPUNs) >= s.rules.of(Spin, "min_slice_ns")*float64(w.Timeslices) && s.burns(w.OnCPUNs, w.RunQueueNs)
}

// burns says whether a window's CPU time is a CPU, as far as there was one.
func (s *search) burns(onCPUNs, runQueueNs int64) bool {
	on, ready := float64(onCPUNs)/float64(s.in.WindowNs), float64(onCPUNs+max(runQueueNs, 0))/float64(s.in.WindowNs)
	least := s.rules.of(Spin, "min_busy")
	return on >= least || on >= s.rules.of(Spin, "min_contended_busy") && ready >= least
}

// spins says whether a thread had a CPU in a window, and hardly ever waited.
func (s *search) spins(t *Thread, i int) bool {
	w := &t.Windows[i]
	return !poller(t.Comm) && s.burns(w.OnCPUNs, w.RunQueueNs) &&
		float64(w.Voluntary)/float64(s.in.WindowNs)*1e9 <= s.rules.of(Spin, "max_voluntary_per_s")
}

// spinner is the thread that spins in most of a run; nil: none does.
func (s *search) spinner(all []*Thread, run span) *Thread {
	for _, t := range all {
		n := 0
		for i := run.first; i <= run.last; i++ {
			if s.spins(t, i) {
				n++
			}
		}
		if 2*n > run.last+1-run.first {
			return t
		}
	}
	return nil
}

// foundOf says whether a kind was found on a subject.
func (s *search) foundOf(kind Kind, name string) bool {
	return slices.ContainsFunc(s.found, func(f Finding) bool { return f.Kind == kind && f.Subject.Name == name })
}

// spinRun is the run of windows that hold all conditions, and all that do.
func (s *search) spinRun(st *stall, burns []bool) (run span, hold []bool, ok bool) {
	hold, alone := make([]bool, len(burns)), make([]bool, len(burns))
	for i := range hold {
		crowd := st.waiting[i] > math.Ceil(st.cores[i]-0.1) || st.failed[i] >= s.rules.of(common, "stall_failed_per_s") || st.queue[i] >= s.rules.of(common, "stall_queue")
		hold[i] = burns[i] && st.less[i] && st.wanted[i] && (crowd || st.lates[i] >= s.rules.of(common, "stall_latency_ratio"))
		alone[i] = burns[i] && st.done[i] == 0 && st.unserved[i] && crowd
	}
	if run, ok := longest(hold, int(s.rules.of(Spin, "min_windows"))); ok {
		return run, hold, ok
	}
	run, ok = longest(alone, int(s.rules.of(Spin, "min_windows_alone")))
	return run, alone, ok
}

// spinEvidence is the CPU that is burnt; t is nil if no thread of its own does it.
func (s *search) spinEvidence(a *activity, t *Thread, run span) []Evidence {
	least := s.rules.of(Spin, "min_busy")
	if t == nil {
		cores := a.cores.over(run)
		return []Evidence{fact("on_cpu_cores", cores, "%.2f CPUs busy, in slices of milliseconds%s", cores, s.busiest(a, run)).held(least, nan)}
	}
	on, voluntary := blank(len(t.Windows)), blank(len(t.Windows))
	for i := range t.Windows {
		on[i] = float64(t.Windows[i].OnCPUNs) / float64(s.in.WindowNs)
		voluntary[i] = float64(t.Windows[i].Voluntary) / float64(s.in.WindowNs) * 1e9
	}
	return []Evidence{
		fact("thread_busy", on.over(run), "thread %d (%s) has a CPU for %s of the time", t.TID, t.Comm, share(on.over(run))).held(least, nan),
		fact("voluntary_per_s", voluntary.over(run), "and waits for something %.1f times a second", voluntary.over(run)).held(s.rules.of(Spin, "max_voluntary_per_s"), nan),
	}
}

func (s *search) spinFinding(st *stall, t *Thread, run span) Finding {
	a := st.activity
	subject, command := s.subject(a), fmt.Sprint("top -H -p ", s.subject(a).PID)
	if t != nil {
		subject.Type, subject.PID, subject.TID = "thread", t.PID, t.TID
		subject.Name = fmt.Sprintf("%s thread %d (%s)", subject.Name, t.TID, t.Comm)
		command = fmt.Sprint("perf top -t ", t.TID)
	} else if subject.PID == 0 {
		command = "top -H"
	}
	f := s.finding(Spin, subject, run)
	f.Evidence = append(s.spinEvidence(a, t, run), s.stallEvidence(st, run)...)
	f.CounterEvidence = s.stallCounter(st, run)
	f.Reference = "none: thresholds alone"
	if st.holds(st.less, run) {
		f.Reference = st.costRef.Source
		if st.costs.over(run) >= s.rules.of(Spin, "critical_cost_ratio") && run.held >= int(s.rules.of(Spin, "critical_windows")) {
			f.Severity = Critical
		}
	}
	f.Confidence = confidence(len(f.Evidence)-2, len(f.CounterEvidence), st.costRef)
	f.Title = fmt.Sprintf("%s burns a CPU while requests wait for %s", f.Subject.Name, a.Service)
	f.Alternative = "a long computation that a request asked for: then its answer comes, and the stacks change with its progress"
	f.NextStep = "`" + command + "`, or the on-CPU flame graph of " + a.Service + " in the report: one hot loop without system calls is a spin"
	f.Coverage = a.within(run)
	return f
}
