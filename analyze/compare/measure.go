package compare

import (
	"fmt"
	"math"
	"time"

	"kmon/analyze/stat"
)

// What a comparison needs at least.
const (
	minCoverage = 0.9
	// minWindows: of eight a side, ranks that don't mix give p = 0.00016, which is
	// significant among three hundred metrics.
	minWindows = 8
	// minRuns makes runs the unit.
	minRuns     = 3
	minRequests = 50
)

// measured is a metric of a subject on one side.
type measured struct {
	windows []unit
	runs    []unit
	value   Value
	missing string // why there is nothing, or too little
	absent  bool   // the side lacks the subject altogether
}

// measure gathers a metric of a subject over the runs of a side. per is what requests
// are counted by.
func measure(m *metricRule, k key, runs []*run, per quantity) measured {
	out := measured{absent: true, value: Value{Coverage: math.Inf(1)}}
	var latency stat.Sketch
	sum, requests := 0.0, 0.0
	for i, r := range runs {
		s := r.subjects[k]
		if s == nil {
			continue
		}
		out.absent = false
		one := r.measure(m, s, per)
		if one.missing != "" {
			out.missing = one.missing
			continue
		}
		for _, u := range one.units {
			u.run = i
			out.windows = append(out.windows, u)
		}
		if one.per > 0 {
			out.value.Runs++
			out.runs = append(out.runs, unit{value: one.value(m), sum: one.sum, per: one.per, run: i})
		}
		latency.Merge(&one.latency)
		sum, requests = sum+one.sum, requests+one.per
		out.value.Requests += int64(one.requests)
		out.value.Coverage = math.Min(out.value.Coverage, one.coverage)
	}
	out.value.Windows = len(out.windows)
	all := measuredRun{latency: latency, sum: sum, per: requests}
	if requests > 0 {
		out.value.Value = all.value(m)
	}
	return out
}

// measuredRun is a metric of a subject in one run.
type measuredRun struct {
	units    []unit
	latency  stat.Sketch
	sum, per float64
	requests float64
	coverage float64
	missing  string
}

// value is that of all windows.
func (r *measuredRun) value(m *metricRule) float64 {
	if m.quantile > 0 {
		return float64(r.latency.Quantile(m.quantile))
	}
	return r.sum / r.per
}

// least latencies that a quantile of a window takes.
func (m *metricRule) leastLatencies() int64 {
	switch {
	case m.quantile > 0.98:
		return 20
	case m.quantile > 0.9:
		return 10
	}
	return 5
}

// measure gathers a metric of a subject of this run.
func (g *run) measure(m *metricRule, s *series, per quantity) measuredRun {
	out := measuredRun{coverage: math.Min(g.leastOf(exchanges), g.leastOf(m.table))}
	switch {
	case math.IsNaN(g.leastOf(exchanges)):
		out.missing = "requests were not recorded"
		return out
	case math.IsNaN(g.leastOf(m.table)):
		out.missing = m.title + ": not recorded"
		return out
	}
	grid, steps := &g.grid, s.steps
	if n := int((g.intervalNs + g.widthNs - 1) / g.widthNs); m.byInterval && n > 1 {
		folded := g.folded(n)
		grid, steps = &folded, foldSteps(s.steps, n)
	}
	for _, i := range grid.usableIndexes(m.table) {
		w := &steps[i]
		n := w.sums[per]
		out.requests += n
		u := unit{window: i, per: n, sum: w.sums[m.sum]}
		switch {
		case m.quantile > 0:
			out.latency.Merge(&w.latency)
			if w.latency.Count() < m.leastLatencies() {
				continue
			}
			u.value = float64(w.latency.Quantile(m.quantile))
		case m.name == Rate:
			u.per = float64(grid.widthNs) / 1e9
			u.value = u.sum / u.per
		case math.IsNaN(u.sum):
			out.missing = m.title + ": not recorded"
			return out
		case n <= 0:
			continue
		default:
			u.value = u.sum / n
		}
		out.units = append(out.units, u)
		out.sum, out.per = out.sum+u.sum, out.per+u.per
	}
	return out
}

// tooLittle says why the windows of a side can't be compared; "": they can.
func (m *measured) tooLittle(side string, rule *metricRule, runs []*run, byRun bool) string {
	switch {
	case m.absent:
		return side + " lacks it"
	case m.missing != "":
		return side + ": " + m.missing
	case rule.name != Rate && m.value.Requests < minRequests:
		return fmt.Sprintf("%s has %d requests in the windows used, of at least %d", side, m.value.Requests, minRequests)
	case byRun && len(m.runs) < minRuns:
		return fmt.Sprintf("%s has %d runs with it, of at least %d", side, len(m.runs), minRuns)
	case byRun || len(m.windows) >= minWindows:
		return ""
	case rule.byInterval && runs[0].intervalNs > runs[0].widthNs:
		return fmt.Sprintf("%s has %d windows of at least %d, because it was added up over intervals of %s: record longer, or with --interval 1s",
			side, len(m.windows), minWindows, time.Duration(runs[0].intervalNs))
	}
	return fmt.Sprintf("%s has %d windows with enough requests, of at least %d: record longer", side, len(m.windows), minWindows)
}

// samples lists the values of units in order of time, evenly spread ones of many.
func samples(units []unit) []float64 {
	n := len(units)
	list := make([]float64, 0, min(n, MaxSamples))
	for i := range min(n, MaxSamples) {
		list = append(list, units[i*n/min(n, MaxSamples)].value)
	}
	return list
}
