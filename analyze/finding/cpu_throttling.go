package finding

import (
	"fmt"
	"math"

	"kmon/analyze/stat"
)

// findCPUThrottling finds instances that a CPU quota keeps from running. From table
// limits, in a window:
//
//	throttled / (throttled + on-CPU) ≥ min_throttled_share
//	throttled ≥ min_throttled of the window
//	run-queue wait ≥ min_run_queue_share of throttled (its own threads waited)
//
// The last holds because the kernel counts a throttled thread as waiting for a CPU:
// on 6.18, a thread that spun for 4.05 s under a quota of 0.2 CPUs ran for 0.82 s
// and waited in run queues for 3.22 s (schedstat), while cpu.stat told 3.12 s of
// throttling and the thread gave up its CPU once. Two threads: 0.83 s and 7.32 s,
// and 8.55 s throttled, which is counted by CPU.
//
// Without the table nothing is said: a run queue that is long while the node has
// idle CPUs is what healthy services of a virtual machine show, too (2 to 9 times
// their time on CPUs, measured).
func findCPUThrottling(s *search) {
	now, _ := s.activities()
	tables := []table{intervals, {"limits", func(c *Coverage) float64 { return c.Limits }}}
	for i := range now {
		a := &now[i]
		v := s.sightOf(s.in, a.Node, tables)
		if s.judge(CPUThrottling, instanceName(a.Instance), v) {
			s.throttling(a, v)
		}
	}
}

// throttling judges by what the kernel counted.
func (s *search) throttling(a *activity, v sight) {
	of := func(name string) float64 { return s.rules.of(CPUThrottling, name) }
	n, window := len(v.ok), float64(s.in.WindowNs)
	hold, parts, times := make([]bool, n), blank(n), blank(n)
	for i := range n {
		w := &a.Windows[i]
		if !v.ok[i] || w.ThrottledNs < 0 || w.OnCPUNs < 0 {
			continue
		}
		throttled := float64(w.ThrottledNs)
		times[i] = throttled / window
		parts[i] = throttled / max(throttled+float64(w.OnCPUNs), 1)
		hold[i] = parts[i] >= of("min_throttled_share") && times[i] >= of("min_throttled") &&
			float64(w.RunQueueNs) >= of("min_run_queue_share")*min(throttled, window)
	}
	run, ok := longest(hold, int(of("min_windows")))
	if !ok {
		return
	}
	f := s.throttleFinding(a, v, run)
	quota := "a CPU quota"
	if a.LimitCores > 0 {
		quota = fmt.Sprintf("its quota of %.3g CPUs", a.LimitCores)
		cores := runMedian(run, func(i int) float64 { return float64(a.Windows[i].OnCPUNs) / window })
		f.Evidence = append(f.Evidence, fact("on_cpu_cores", cores, "it uses %.2f CPUs of a quota of %.3g", cores, a.LimitCores).held(a.LimitCores, nan))
	}
	f.Title = fmt.Sprintf("%s keeps %s from running %s of the time that it wants to", quota, f.Subject.Name, share(parts.over(run)))
	f.Evidence = append([]Evidence{
		fact("throttled_share", parts.over(run), "throttled for %s of the time that it had or wanted a CPU", share(parts.over(run))).held(of("min_throttled_share"), nan),
		fact("throttled_s_per_s", times.over(run), "throttled for %.2f s each second, over all CPUs", times.over(run)).held(of("min_throttled"), nan),
	}, f.Evidence...)
	f.Confidence = confidence(len(f.Evidence)+1, len(f.CounterEvidence), Reference{N: 1})
	f.Alternative = "it is asked for more than its quota is meant for"
	f.NextStep = "cpu.max and cpu.stat of its cgroup (limits of its pod or unit), and CPU by service in the report: raise the quota, or lower its threads"
	s.add(f)
}

// throttleFinding begins one: who, when, and whether its answers are late.
func (s *search) throttleFinding(a *activity, v sight, run span) Finding {
	f := s.finding(CPUThrottling, s.subject(a), run)
	f.Severity, f.Reference, f.Coverage = Info, "none: thresholds alone", v.within(run)
	r := s.norm(a, latencyMeasure)
	latency, least := a.latency.over(run), s.rules.of(CPUThrottling, "late_ratio")
	switch ratio := r.ratio(latency); {
	case ratio >= least:
		f.Severity, f.Reference = Warning, r.Source
		f.Evidence = append(f.Evidence, fact("latency_p50_ns", latency, "answers take %s, %.1f times the %s of %s", timeText(latency), ratio, timeText(r.Median), r.Source).held(least*r.Median, r.Median))
	case !math.IsNaN(ratio):
		f.CounterEvidence = append(f.CounterEvidence, fact("latency_p50_ns", latency, "its answers are no later than %s of %s", timeText(r.Median), r.Source))
	}
	return f
}

// runMedian is the median of a value over the windows of a run.
func runMedian(run span, value func(i int) float64) float64 {
	var list []float64
	for i := run.first; i <= run.last; i++ {
		list = append(list, value(i))
	}
	return stat.Median(list)
}
