package compare

import (
	"math"
	"slices"

	"kmon/analyze/stat"
)

// clone gives a run that may be folded and cut; windows are shared, and stay as they
// are.
func (g *run) clone() *run {
	c := *g
	c.usable = slices.Clone(g.usable)
	c.subjects = make(map[key]*series, len(g.subjects))
	for k, s := range g.subjects {
		kept := *s
		c.subjects[k] = &kept
	}
	return &c
}

// alike brings recordings to windows of one width and to the same edges.
func alike(runs []*run) {
	width := int64(1)
	for _, r := range runs {
		width = multiple(width, r.widthNs)
	}
	for _, r := range runs {
		r.fold(int(width / r.widthNs))
	}
	unifyPorts(runs)
}

// multiple gives the least common one.
func multiple(a, b int64) int64 {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// fold makes one window of so many.
func (g *run) fold(n int) {
	if n <= 1 {
		return
	}
	g.grid = g.folded(n)
	for _, s := range g.subjects {
		s.steps = foldSteps(s.steps, n)
	}
	g.entry = foldSteps(g.entry, n)
	g.info.Partial = 0
	for _, ok := range g.usable {
		if !ok {
			g.info.Partial++
		}
	}
}

// unifyPorts keeps the edges of a pair of services apart by port where every run has
// that port, and makes one edge of the others: programs that listen on any free port
// have another one in each run.
func unifyPorts(runs []*run) {
	type place struct {
		client, server string
		port           int32
	}
	in := map[place]int{}
	for _, r := range runs {
		for k := range r.subjects {
			if k.service == "" {
				in[place{k.client, k.server, k.port}]++
			}
		}
	}
	for _, r := range runs {
		for _, k := range r.keys() {
			if k.service != "" || k.port == 0 || in[place{k.client, k.server, k.port}] == len(runs) {
				continue
			}
			s := r.subjects[k]
			delete(r.subjects, k)
			k.port = 0
			sum := r.at(k)
			if sum.end == "" {
				sum.end = s.end
			} else if sum.end != s.end {
				sum.end = "mixed"
			}
			for i := range s.steps {
				sum.steps[i].add(&s.steps[i])
			}
		}
	}
}

// dropWindows leaves out windows that lost too much, and those before the load was
// steady, and counts what is left.
func (g *run) dropWindows(o *Options) {
	for i, c := range g.coverage[exchanges] {
		if g.usable[i] && c < minCoverage {
			g.usable[i] = false
			g.info.Lost++
		}
	}
	if !o.KeepWarmUp {
		last := g.warmUp()
		for i := range last {
			if g.usable[i] {
				g.usable[i] = false
				g.info.WarmUp++
			}
		}
	}
	for i, ok := range g.usable {
		if ok {
			g.info.Windows++
			g.info.Requests += int64(g.entry[i].sums[requests])
		}
	}
	if ns := int64(g.info.Windows) * g.widthNs; ns > 0 {
		g.info.RatePerS = float64(g.info.Requests) * 1e9 / float64(ns)
	}
}

const (
	// warmUpShare is how much of a recording is dropped at most, warmUpEffect how far
	// from the rest it must be, and warmUpNoise by how many of its deviations.
	warmUpShare  = 0.3
	warmUpEffect = 0.2
	warmUpNoise  = 5.0
)

// warmUp gives how many windows at the start differ from the rest: where the rate or
// the median latency of what enters was another, up to the point that divides it best
// (the peak of the cumulated sum).
func (g *run) warmUp() int {
	var at []int // usable windows
	var rates, latencies []float64
	for i, ok := range g.usable {
		if ok && g.entry[i].sums[requests] > 0 && g.entry[i].latency.Count() > 0 {
			at = append(at, i)
			rates = append(rates, math.Log(g.entry[i].sums[requests]))
			latencies = append(latencies, math.Log(math.Max(float64(g.entry[i].latency.Quantile(0.5)), 1)))
		}
	}
	n := max(steadyFrom(rates), steadyFrom(latencies))
	if n == 0 {
		return 0
	}
	return at[n]
}

// steadyFrom gives the index of the first value of the steady part.
func steadyFrom(list []float64) int {
	if len(list) < 6 {
		return 0
	}
	most := int(warmUpShare * float64(len(list)))
	rest := list[most:]
	level := stat.Median(slices.Clone(rest))
	off := make([]float64, len(rest))
	for i, v := range rest {
		off[i] = math.Abs(v - level)
	}
	noise := math.Max(1.4826*stat.Median(off), 1e-3)
	sum, peak, from := 0.0, 0.0, 0
	sums := make([]float64, 0, most)
	for _, v := range list[:most] {
		sum += v - level
		sums = append(sums, math.Abs(sum))
	}
	for i, s := range sums {
		if s > peak {
			peak, from = s, i+1
		}
	}
	for ; from > 0; from-- { // the peak may lie within noise, behind the warm-up
		if v := math.Abs(list[from-1] - level); v > math.Max(warmUpEffect, warmUpNoise*noise) {
			return from
		}
	}
	return 0
}

// usableIndexes gives the windows of a folded grid that may be used for a table.
func (g *grid) usableIndexes(t table) []int {
	var list []int
	for i, ok := range g.usable {
		if ok && !(g.coverage[t][i] < minCoverage) && !math.IsNaN(g.coverage[t][i]) {
			list = append(list, i)
		}
	}
	return list
}

// leastOf gives the least coverage of a table over windows that were recorded
// throughout; NaN: not recorded.
func (g *grid) leastOf(t table) float64 {
	list := slices.DeleteFunc(slices.Clone(g.coverage[t]), math.IsNaN)
	if len(list) == 0 {
		return math.NaN()
	}
	return slices.Min(list)
}
