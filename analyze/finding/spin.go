package finding

import "fmt"

// findSpin finds threads that burn a CPU and hardly ever wait, while their instance
// gets little done and more requests wait than threads are busy. In a window all of:
//
//	on-CPU ≥ min_busy, or on-CPU + run queue ≥ min_busy ∧ on-CPU ≥ min_contended_busy
//	voluntary switches ≤ max_voluntary_per_s
//	a stall (see stall), and requests that wait, more than busy threads
//
// Without a reference nothing at all may have been answered for min_windows_alone.
// A thread that computes a long answer looks the same but for those who wait.
func findSpin(s *search) {
	now, _ := s.activities()
	for i := range now {
		a := &now[i]
		if s.judge(Spin, instanceName(a.Instance), a.sight) {
			s.spin(a)
		}
	}
}

func (s *search) spin(a *activity) {
	threads := s.threadsOf(a, span{0, len(a.ok) - 1, 0})
	spins, busy := make([][]bool, len(threads)), make([]float64, len(a.ok))
	least, any := int(s.rules.of(Spin, "min_windows")), false
	for k, t := range threads {
		spins[k] = s.spins(a, t, busy)
		if _, ok := longest(spins[k], least); ok && !poller(t.Comm) {
			any = true
		} else {
			spins[k] = nil
		}
	}
	if !any || s.foundOf(LockLivelock, s.subject(a).Name) {
		return
	}
	st, found := s.stallOf(a), false
	for k, t := range threads {
		if spins[k] != nil && s.spinOf(st, t, spins[k], busy) {
			found = true
			break // one finding an instance: the other threads are in its evidence
		}
	}
	if !found {
		s.checks[Spin].Rejected++
	}
}

// spins says in which windows a thread had a CPU for itself, and adds it to the
// busy ones.
func (s *search) spins(a *activity, t *Thread, busy []float64) []bool {
	of := func(name string) float64 { return s.rules.of(Spin, name) }
	hold, window := make([]bool, len(a.ok)), float64(s.in.WindowNs)
	for i := range hold {
		w := &t.Windows[i]
		on, ready := float64(w.OnCPUNs)/window, float64(w.OnCPUNs+w.RunQueueNs)/window
		burns := on >= of("min_busy") || on >= of("min_contended_busy") && ready >= of("min_busy")
		if burns {
			busy[i]++
		}
		hold[i] = a.ok[i] && burns && float64(w.Voluntary)/window*1e9 <= of("max_voluntary_per_s")
	}
	return hold
}

// foundOf says whether a kind was found on a subject.
func (s *search) foundOf(kind Kind, name string) bool {
	for _, f := range s.found {
		if f.Kind == kind && f.Subject.Name == name {
			return true
		}
	}
	return false
}

func (s *search) spinOf(st *stall, t *Thread, spins []bool, busy []float64) bool {
	hold, alone := make([]bool, len(spins)), make([]bool, len(spins))
	for i := range hold {
		crowd := st.waiting[i] > busy[i] || st.failed[i] >= s.rules.of(common, "stall_failed_per_s") || st.queue[i] >= s.rules.of(common, "stall_queue")
		hold[i] = spins[i] && st.less[i] && st.wanted[i] && (crowd || st.lates[i] >= s.rules.of(common, "stall_latency_ratio"))
		alone[i] = spins[i] && st.done[i] == 0 && st.unserved[i] && crowd
	}
	run, ok := longest(hold, int(s.rules.of(Spin, "min_windows")))
	if !ok {
		if run, ok = longest(alone, int(s.rules.of(Spin, "min_windows_alone"))); !ok {
			return false
		}
	}
	s.add(s.spinFinding(st, t, run))
	return true
}

func (s *search) spinFinding(st *stall, t *Thread, run span) Finding {
	a := st.activity
	subject := s.subject(a)
	subject.Type, subject.PID, subject.TID = "thread", t.PID, t.TID
	subject.Name = fmt.Sprintf("%s thread %d (%s)", subject.Name, t.TID, t.Comm)
	f := s.finding(Spin, subject, run)
	on, voluntary := blank(len(t.Windows)), blank(len(t.Windows))
	for i := range t.Windows {
		on[i] = float64(t.Windows[i].OnCPUNs) / float64(s.in.WindowNs)
		voluntary[i] = float64(t.Windows[i].Voluntary) / float64(s.in.WindowNs) * 1e9
	}
	f.Evidence = append(f.Evidence,
		fact("thread_busy", on.over(run), "the thread has a CPU for %s of the time", share(on.over(run))).held(s.rules.of(Spin, "min_busy"), nan),
		fact("voluntary_per_s", voluntary.over(run), "and waits for something %.1f times a second", voluntary.over(run)).held(s.rules.of(Spin, "max_voluntary_per_s"), nan))
	f.Evidence = append(f.Evidence, s.stallEvidence(st, run)...)
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
	f.NextStep = fmt.Sprintf("perf top -t %d, or the on-CPU flame graph of %s in the report: one hot loop without system calls is a spin", t.TID, a.Service)
	f.Coverage = a.within(run)
	return f
}
