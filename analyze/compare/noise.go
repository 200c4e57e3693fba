package compare

import (
	"math"
	"slices"

	"kmon/analyze/stat"
)

// What identical recordings differ by.

const (
	// priorFreedom is how many runs' worth of trust what is assumed of the spread has
	// beside what is measured.
	priorFreedom = 8

	// maxOthers is how many other services count at most, as so many runs.
	maxOthers = 8
)

// others gives by how much (log) the same metric changed of the other services, of one
// that no service passes on to another: CPU time, and what else its threads did. What
// nobody minds is left out: how a CPU is woken differs by as much.
func others(list []tested, t *tested) []float64 {
	if t.rule.table != intervals || t.held != nil {
		return nil
	}
	var logs []float64
	for i := range list {
		if o := &list[i]; o.Metric == t.Metric && o.key != t.key && !math.IsNaN(o.raw) {
			logs = append(logs, math.Max(math.Abs(o.raw)-math.Log1p(o.rule.least/o.Base.Value), 0))
		}
	}
	return logs
}

// addNoise takes into account what identical runs differ by.
func (c *comparison) addNoise(t *tested, others []float64) {
	s, ok := c.spread(t, others)
	if !ok || c.byRun && s.assumed {
		return // runs show by themselves what they differ by
	}
	variance := s.sd * s.sd * (1/float64(t.Base.Runs) + 1/float64(t.New.Runs))
	t.NoiseSpread, t.NoiseAssumed = pointer(math.Exp(math.Sqrt(variance))-1), s.assumed
	if s.assumed && !c.asked && !c.named(t.rule.name, t.key) {
		t.tolerable = math.Max(t.limit, SingleNoChange)
	}
	t.MinEffect = math.Max(t.MinEffect, math.Exp(2*math.Sqrt(variance))-1)
	if s.assumed { // noise that is slower than a window counts once
		variance -= t.estimate.slow
	} else { // what is measured holds the noise within a run, too
		variance -= t.estimate.se * t.estimate.se
	}
	parts := []part{{variance, s.df}}
	if t.held != nil && !c.byRun {
		parts = append(parts, t.held.margin)
	}
	t.estimate.widen(c.Alpha, parts...)
}

// spread gives what identical runs differ by in a metric: as measured, steadied by
// what is assumed, or that alone. false: nothing is known of it.
func (c *comparison) spread(t *tested, others []float64) (spread, bool) {
	assumed := spread{t.rule.spread, math.Inf(1), true}
	switch {
	case t.held != nil:
		assumed.sd = assumedHeldCPU
	case t.rule.quantile > 0 && t.End == "client":
		assumed.sd *= assumedAtClient
	}
	if assumed.sd > 0 && !c.byRun && len(c.noise) == 0 {
		base, new := c.units(t)
		assumed.seen(base, new, t.rule.quantile > 0, others)
	}
	if len(c.noise) == 0 {
		return assumed, assumed.sd > 0
	}
	list := c.noiseOf(t)
	if len(list) < 2 {
		return assumed, assumed.sd > 0
	}
	_, variance := moments(list)
	df := float64(len(list) - 1)
	both := steadied(assumed.sd, df*variance, df)
	return spread{math.Sqrt(both.variance), both.df, false}, true
}

// steadied gives the variance of what was measured, a sum of squares with degrees of
// freedom, steadied by the standard deviation that is assumed.
func steadied(assumed, squares, df float64) part {
	const prior = float64(priorFreedom)
	return part{(prior*assumed*assumed + squares) / (prior + df), prior + df}
}

// noiseOf gives a metric of the runs of an unchanged system (log); nil: some lack it.
func (c *comparison) noiseOf(t *tested) []float64 {
	if t.held != nil {
		return t.held.noise
	}
	of := measure(t.rule, t.key, c.noise, t.per)
	list, ok := logs(of.runs)
	if !ok {
		return nil
	}
	return list
}

// seen takes into account what the two recordings tell of their own noise. Each
// differs from itself, its first half from its second: slow noise, of which two
// recordings differ, has about the same strength on every scale of time. And where
// the other services need as much more, the machine is more likely to be slower than
// all of them to be worse.
func (s *spread) seen(base, new []unit, latencies bool, others []float64) {
	squares, n := 0.0, 0.0
	if len(others) > 1 {
		sd := 1.4826 * stat.Median(others)
		n = float64(min(len(others), maxOthers))
		squares = n * sd * sd / 2
	}
	for _, windows := range [][]unit{base, new} {
		starts := runStarts(windows)
		for i := range starts[1:] {
			if d, ok := halves(windows[starts[i]:starts[i+1]], latencies); ok {
				squares += d * d / 2
				n++
			}
		}
	}
	if both := steadied(s.sd, squares, n); both.variance > s.sd*s.sd {
		s.sd, s.df = math.Sqrt(both.variance), both.df
	}
}

// halves gives the logarithm of how the second half of a recording differs from the
// first.
func halves(windows []unit, latencies bool) (float64, bool) {
	first, second := windows[:len(windows)/2], windows[len(windows)/2:]
	if len(first) < 2 {
		return 0, false
	}
	if !latencies {
		sumA, perA := totals(first)
		sumB, perB := totals(second)
		d := math.Log(sumB / perB / (sumA / perA))
		return d, !math.IsNaN(d) && !math.IsInf(d, 0)
	}
	a, okA := logs(first)
	b, okB := logs(second)
	if !okA || !okB {
		return 0, false
	}
	slices.Sort(a)
	slices.Sort(b)
	return shift(a, b), true
}
