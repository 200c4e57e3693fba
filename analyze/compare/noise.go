package compare

import (
	"cmp"
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

// shared is what so many other services changed by, too (log).
type shared struct {
	change float64
	others int
}

// sharedBy gives what other services, which the machine slows down together, changed by
// as a service did: of what its threads did, the median of the same metric.
func (c *comparison) sharedBy(list []tested, t *tested) shared {
	switch {
	case t.rule.quantile > 0:
		return c.sharedLatency(list, t)
	case t.rule.table != intervals || t.held != nil:
		return shared{}
	}
	all := changesOf(list, t.Metric, func(k key) bool { return k != t.key })
	for i := range all {
		all[i] = math.Abs(all[i])
	}
	return sharedOf(all, stat.Median(all))
}

// sharedLatency is sharedBy of a latency. Latencies are passed on to who waits for the
// answer: one is held against those of services that neither ask this one nor are asked
// by it, through others too. And where other services wait longer for a CPU as well, or
// less, threads came to share CPUs in another way, which two recordings of the same may
// do: then it is held against how much longer its own service waits.
func (c *comparison) sharedLatency(list []tested, t *tested) shared {
	own := cmp.Or(t.key.service, t.key.server)
	apart := changesOf(list, t.Metric, func(k key) bool {
		return k.service != own && !c.asks[[2]string{own, k.service}] && !c.asks[[2]string{k.service, own}]
	})
	all := sharedOf(apart, together(apart, t.raw))
	waits := changesOf(list, RunQueue, func(k key) bool { return k.service != own })
	if together(waits, t.raw) > 0 {
		if wait := sharedOf(waits, math.Min(waited(list, t, own), math.Abs(t.raw))); wait.change > all.change {
			return wait
		}
	}
	return all
}

// waitedBy is the share of the requests that is thought to do all of the waiting for a
// CPU: those above a p95, which of a p99 wait five times as long as the mean tells.
// Chosen with the recordings of cmd/workload/compare on a restless machine.
const waitedBy = 0.05

// waited gives by how much (log) a latency may have changed by how its service waits for
// a CPU.
func waited(list []tested, t *tested, own string) float64 {
	i := slices.IndexFunc(list, func(o tested) bool { return o.Metric == RunQueue && o.key.service == own })
	if i < 0 || math.IsNaN(list[i].raw) || list[i].raw*t.raw <= 0 {
		return 0
	}
	waits := &list[i]
	more := waits.Base.Value * (math.Exp(waits.raw) - 1) * math.Max(waitedBy/(1-t.rule.quantile), 1)
	return math.Abs(math.Log(math.Max(1+more/t.Base.Value, 0.01)))
}

// sharedOf is a change that is shared with those of a list, if it has several.
func sharedOf(list []float64, change float64) shared {
	if len(list) < 2 {
		return shared{}
	}
	return shared{change, len(list)}
}

// changesOf gives by how much (log) a metric changed of the services that pass. What
// nobody minds is left out: how a CPU is woken differs by as much.
func changesOf(list []tested, m Metric, passes func(key) bool) (logs []float64) {
	for i := range list {
		if o := &list[i]; o.Metric == m && o.key.service != "" && passes(o.key) && !math.IsNaN(o.raw) {
			size := math.Max(math.Abs(o.raw)-math.Log1p(o.rule.least/o.Base.Value), 0)
			logs = append(logs, math.Copysign(size, o.raw))
		}
	}
	return logs
}

// together gives what more than half of the changes have in a direction, at least; 0:
// nothing.
func together(changes []float64, direction float64) float64 {
	if len(changes) == 0 {
		return 0
	}
	along := make([]float64, len(changes))
	for i, c := range changes {
		along[i] = math.Copysign(c, c*direction)
	}
	slices.Sort(along)
	return math.Max(along[(len(along)-1)/2], 0)
}

// findAsks notes which service asks which, also through others.
func (c *comparison) findAsks(keys []key) {
	servers := map[string][]string{}
	for _, k := range keys {
		if k.service == "" {
			servers[k.client] = append(servers[k.client], k.server)
		}
	}
	c.asks = map[[2]string]bool{}
	for client := range servers {
		for next := slices.Clone(servers[client]); len(next) > 0; {
			server := next[len(next)-1]
			next = next[:len(next)-1]
			if pair := [2]string{client, server}; !c.asks[pair] {
				c.asks[pair] = true
				next = append(next, servers[server]...)
			}
		}
	}
}

// addNoise takes into account what identical runs differ by.
func (c *comparison) addNoise(list []tested, t *tested) {
	s, ok := c.spread(list, t)
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
func (c *comparison) spread(list []tested, t *tested) (spread, bool) {
	assumed := spread{t.rule.spread, math.Inf(1), true}
	switch {
	case t.held != nil:
		assumed.sd = assumedHeldCPU
	case t.rule.quantile > 0 && t.End == "client":
		assumed.sd *= assumedAtClient
	}
	if assumed.sd > 0 && !c.byRun && len(c.noise) == 0 {
		base, new := c.units(t)
		assumed.seen(base, new, t.rule.quantile > 0, c.sharedBy(list, t))
	}
	if len(c.noise) == 0 {
		return assumed, assumed.sd > 0
	}
	runs := c.noiseOf(t)
	if len(runs) < 2 {
		return assumed, assumed.sd > 0
	}
	_, variance := moments(runs)
	df := float64(len(runs) - 1)
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
// the other services changed by as much, the machine is more likely to be slower than
// all of them to be worse.
func (s *spread) seen(base, new []unit, latencies bool, others shared) {
	sd, n := 1.4826*others.change, float64(min(others.others, maxOthers))
	squares := n * sd * sd / 2
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
