package finding

import (
	"cmp"
	"fmt"
	"slices"
)

// findCPUSaturation finds nodes whose CPUs are busy while threads wait for them:
//
//	on-CPU / (CPUs × window) ≥ min_busy
//	(run queue − throttled) / on-CPU, of all instances ≥ min_wait_ratio
//
// Instances whose threads yield to each other don't count: each waits for the
// other, and neither needs a CPU.
func findCPUSaturation(s *search) {
	for node := range s.in.Nodes {
		name := s.in.Nodes[node].Name
		v := s.sightOf(s.in, node, []table{intervals})
		if s.in.Nodes[node].CPUs <= 0 || !s.judge(CPUSaturation, name, v) {
			continue
		}
		busy, waits := s.nodeBusy(node), s.queued(node, v)
		hold := make([]bool, len(busy))
		for i := range hold {
			hold[i] = v.ok[i] && busy[i] >= s.rules.of(CPUSaturation, "min_busy") && waits[i] >= s.rules.of(CPUSaturation, "min_wait_ratio")
		}
		if run, ok := longest(hold, int(s.rules.of(CPUSaturation, "min_windows"))); ok {
			s.add(s.saturation(node, run, busy, waits, v))
		}
	}
}

// queued is how long the instances of a node waited for a CPU, in units of the time
// that they had one.
func (s *search) queued(node int, v sight) series {
	out := blank(len(v.ok))
	for i := range out {
		on, queue := int64(0), int64(0)
		for k := range s.in.Instances {
			in := &s.in.Instances[k]
			if w := &in.Windows[i]; in.Node == node && !s.yielding(w) {
				on, queue = on+max(w.OnCPUNs, 0), queue+max(w.RunQueueNs-max(w.ThrottledNs, 0), 0)
			}
		}
		if v.ok[i] && on > 0 {
			out[i] = float64(queue) / float64(on)
		}
	}
	return out
}

// yielding says whether the switches of a window are those of threads that yield.
func (s *search) yielding(w *InstanceWindow) bool {
	return w.Timeslices > 0 && float64(w.Involuntary) >= s.rules.of(LockLivelock, "min_involuntary")*float64(w.Timeslices) &&
		float64(w.OnCPUNs) <= s.rules.of(LockLivelock, "max_slice_ns")*float64(w.Timeslices)
}

func (s *search) saturation(node int, run span, busy, waits series, v sight) Finding {
	n := &s.in.Nodes[node]
	f := s.finding(CPUSaturation, Subject{Type: "node", Name: n.Name, Host: n.Name}, run)
	f.Severity, f.Reference, f.Coverage = Info, "none: thresholds alone", v.within(run)
	f.Title = fmt.Sprintf("the %d CPUs of %s are %s busy, and threads wait %.1f times as long for one as they have it", n.CPUs, n.Name, share(busy.over(run)), waits.over(run))
	f.Evidence = append(f.Evidence,
		fact("node_busy", busy.over(run), "CPUs %s busy", share(busy.over(run))).held(s.rules.of(CPUSaturation, "min_busy"), nan),
		fact("run_queue_ratio", waits.over(run), "%.2f s of waiting for a CPU for each second on one", waits.over(run)).held(s.rules.of(CPUSaturation, "min_wait_ratio"), nan))
	if e, ok := s.preempted(node, run); ok {
		f.Evidence = append(f.Evidence, e)
	} else {
		f.CounterEvidence = append(f.CounterEvidence, fact("preempted", 0, "most threads give up their CPU by themselves: they wait shortly and often"))
	}
	late := s.lateOn(node, run)
	if len(late) > 0 {
		f.Severity = Warning
		f.Evidence = append(f.Evidence, late...)
	} else {
		f.CounterEvidence = append(f.CounterEvidence, fact("late", 0, "no answers of this node are known to be late for it"))
	}
	f.Confidence = 0.6 + 0.1*float64(len(f.Evidence)-2)
	f.Alternative = "work that may wait (batch, builds, garbage collection) at the priority of work that may not"
	f.NextStep = "`top -H` and `pidstat -u -w 5` on " + n.Name + ", or CPU by service in the report: who uses the CPUs; then nice, quotas, or more CPUs"
	return f
}

// preempted is the evidence that the kernel took CPUs away: mostly involuntary
// switches, after slices of milliseconds.
func (s *search) preempted(node int, run span) (Evidence, bool) {
	on, slices, voluntary, involuntary := int64(0), int64(0), int64(0), int64(0)
	for k := range s.in.Instances {
		in := &s.in.Instances[k]
		for i := run.first; i <= run.last; i++ {
			if w := &in.Windows[i]; in.Node == node && !s.yielding(w) {
				on, slices = on+max(w.OnCPUNs, 0), slices+max(w.Timeslices, 0)
				voluntary, involuntary = voluntary+max(w.Voluntary, 0), involuntary+max(w.Involuntary, 0)
			}
		}
	}
	ratio, slice := float64(involuntary)/max(float64(voluntary), 1), float64(on)/max(float64(slices), 1)
	least, shortest := s.rules.of(CPUSaturation, "min_involuntary_ratio"), s.rules.of(CPUSaturation, "min_slice_ns")
	e := fact("involuntary_ratio", ratio, "%.1f involuntary switches for each voluntary one, after %s on a CPU", ratio, timeText(slice)).held(least, nan)
	return e, ratio >= least && slice >= shortest
}

// lateOn is the evidence that answers of a node's instances were late: at most the
// three worst.
func (s *search) lateOn(node int, run span) []Evidence {
	now, _ := s.activities()
	list := []Evidence{}
	for i := range now {
		a := &now[i]
		if a.Node != node {
			continue
		}
		alone := latencyMeasure
		alone.peers = false // replicas may suffer from the same
		r := s.norm(a, alone)
		v, least := a.latency.over(run), s.rules.of(CPUSaturation, "late_ratio")
		if r.ratio(v) >= least {
			list = append(list, fact("latency_p50_ns", v, "answers of %s take %s, %.1f times the %s of %s", instanceName(a.Instance), timeText(v), r.ratio(v), timeText(r.Median), r.Source).held(least*r.Median, r.Median))
		}
	}
	slices.SortStableFunc(list, func(x, y Evidence) int { return cmp.Compare(y.Value/(*y.Reference), x.Value/(*x.Reference)) })
	return list[:min(len(list), 3)]
}
