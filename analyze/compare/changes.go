package compare

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

const (
	minDelta      = 0.33
	minAgreement  = 0.8
	loadTolerance = 0.1
	resamples     = 500
	// maxSubjects is how many services and edges are compared: those with the most
	// requests.
	maxSubjects = 300
)

// comparison is one under way.
type comparison struct {
	*Options
	base, new, noise []*run
	byRun            bool
	asked            bool // Options.MinEffect was given
	load             Load
	controls         []control
	asks             map[[2]string]bool // client, server; also through others
}

// tested is a change in the making.
type tested struct {
	Change
	rule      *metricRule
	key       key
	per       quantity
	estimate  estimate
	held      *held   // nil: against nothing
	raw       float64 // log of new / base, NaN: none
	limit     float64 // least relative change that anybody minds
	tolerable float64 // no change is said where any larger one would have been seen
	base, new measured
}

// changes compares every metric of every subject.
func (c *comparison) changes() (list []tested, warnings []string) {
	c.findControls()
	keys, left := c.subjects(c.wanted)
	c.findAsks(keys)
	if left > 0 {
		warnings = append(warnings, fmt.Sprintf("%d services and edges with the fewest requests are not compared: there are too many", left))
	}
	for _, k := range keys {
		per, ok := c.denominator(k)
		if !ok {
			continue
		}
		for i := range metrics {
			if t, ok := c.test(&metrics[i], k, per); ok {
				list = append(list, t)
			}
		}
	}
	for i := range list {
		if t := &list[i]; t.P != nil {
			c.addNoise(list, t)
			t.fillEstimate(c)
		}
	}
	for _, gate := range []bool{true, false} {
		c.adjust(list, gate)
	}
	for i := range list {
		c.conclude(&list[i])
	}
	slices.SortStableFunc(list, compareTested)
	return list, warnings
}

// subjects gives those wanted that both sides have, sorted.
func (c *comparison) subjects(wanted func(key) bool) (list []key, left int) {
	served := map[key]float64{}
	in := func(runs []*run) map[key]bool {
		all := map[key]bool{}
		for _, r := range runs {
			for k, s := range r.subjects {
				all[k] = true
				n := s.total(requests)
				if k.service != "" {
					n += s.total(asked)
				}
				served[k] += n
			}
		}
		return all
	}
	base, new := in(c.base), in(c.new)
	for k := range base {
		if new[k] && wanted(k) {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b key) int { return cmp.Or(cmp.Compare(served[b], served[a]), a.compare(b)) })
	if left = len(list) - maxSubjects; left > 0 {
		list = list[:maxSubjects]
	}
	slices.SortFunc(list, key.compare)
	return list, left
}

// wanted says whether the filter of services lets a subject pass.
func (c *comparison) wanted(k key) bool {
	return len(c.Services) == 0 || slices.ContainsFunc(c.Services, func(s string) bool { return s == k.service || s == k.client || s == k.server })
}

// denominator gives by which requests a subject's sums are divided: those that a
// service serves, or where it serves none, asks.
func (c *comparison) denominator(k key) (quantity, bool) {
	served, sent := 0.0, 0.0
	for _, r := range slices.Concat(c.base, c.new) {
		if s := r.subjects[k]; s != nil {
			served += s.total(requests)
			sent += s.total(asked)
		}
	}
	switch {
	case served > 0:
		return requests, true
	case k.service != "" && sent > 0:
		return asked, true
	}
	return 0, false
}

// test compares a metric of a subject; false: it has none such, or neither side
// recorded it.
func (c *comparison) test(m *metricRule, k key, per quantity) (tested, bool) {
	if k.service != "" && !m.service || k.service == "" && !m.edge {
		return tested{}, false
	}
	if per == asked && (m.quantile > 0 || m.table == exchanges && m.name != Rate) {
		return tested{}, false // of its edges
	}
	rule := *m
	if per == asked {
		rule.gate = false // who only asks is the load
		if m.name == Rate {
			rule.sum = asked
		}
	}
	t := tested{rule: &rule, key: k, per: per, raw: math.NaN()}
	t.base, t.new = measure(&rule, k, c.base, per), measure(&rule, k, c.new, per)
	if nothing := func(s *measured) bool { return s.absent || s.missing != "" && len(s.windows) == 0 }; nothing(&t.base) && nothing(&t.new) {
		return tested{}, false
	}
	t.Change = Change{Subject: k.subject(), Metric: m.name, Title: m.title, Unit: m.unit, End: c.end(k), Decisive: c.decisive(&rule, k)}
	t.fill()
	t.Reason = cmp.Or(t.base.tooLittle("base", &rule, c.base, c.byRun), t.new.tooLittle("new", &rule, c.new, c.byRun), c.incomparable(&rule, k))
	t.limit = c.minEffect(&t)
	t.MinEffect, t.tolerable = t.limit, t.limit
	if t.Reason == "" {
		c.estimateOf(&t)
	}
	return t, true
}

// fill writes the values of both sides.
func (t *tested) fill() {
	for _, side := range []struct {
		from *measured
		to   **Value
	}{{&t.base, &t.Base}, {&t.new, &t.New}} {
		if side.from.value.Runs > 0 && side.from.value.Windows > 0 {
			v := side.from.value
			*side.to = &v
		}
	}
	if t.Base != nil && t.New != nil {
		t.Absolute = pointer(t.New.Value - t.Base.Value)
	}
}

func pointer[T any](v T) *T { return &v }

// end gives whose end an edge was counted on; services have their own.
func (c *comparison) end(k key) string {
	if k.service != "" {
		return "server"
	}
	end := ""
	for _, r := range slices.Concat(c.base, c.new) {
		if s := r.subjects[k]; s != nil {
			if end == "" || end == s.end {
				end = s.end
			} else {
				end = "mixed"
			}
		}
	}
	return end
}

// incomparable says why both sides can't be held against each other.
func (c *comparison) incomparable(m *metricRule, k key) string {
	if k.service == "" && m.quantile > 0 && c.end(k) == "mixed" {
		return "its latencies were recorded at the client on some side and at the server on another"
	}
	if m.name == Syscalls {
		for _, r := range slices.Concat(c.base, c.new) {
			if r.counted != c.base[0].counted {
				return "both sides counted other system calls"
			}
		}
	}
	return ""
}

// decisive says whether the outcome of the whole rests on a change: the latency and
// the errors of what is asked from outside, or what a threshold names.
func (c *comparison) decisive(m *metricRule, k key) bool {
	if len(c.Thresholds) > 0 {
		return c.named(m.name, k)
	}
	if k.service == "" || m.name != P50 && m.name != P99 && m.name != Errors {
		return false
	}
	return slices.ContainsFunc(slices.Concat(c.base, c.new), func(r *run) bool { return r.entries[k.service] })
}

// named says whether a threshold names a metric of a subject.
func (c *comparison) named(m Metric, k key) bool {
	return slices.ContainsFunc(c.Thresholds, func(t Threshold) bool { return t.names(m, k) })
}

// minEffect is the least relative change that anybody minds.
func (c *comparison) minEffect(t *tested) float64 {
	least := c.MinEffect
	for i := range c.Thresholds {
		th := &c.Thresholds[i]
		if !th.names(t.rule.name, t.key) || t.Base == nil || t.Base.Value <= 0 {
			continue
		}
		switch th.Kind {
		case RelativeLimit:
			least = math.Abs(th.Limit)
		case AbsoluteLimit:
			least = math.Abs(th.Limit) / t.Base.Value
		}
	}
	if t.Base != nil && t.Base.Value > 0 {
		least = math.Max(least, t.rule.least/t.Base.Value)
	}
	return least
}

// unitsOf gives what is compared: windows or runs.
func (c *comparison) unitsOf(m *measured) []unit {
	if c.byRun {
		return m.runs
	}
	return m.windows
}

// units gives those of both sides.
func (c *comparison) units(t *tested) (base, new []unit) {
	if t.held != nil {
		return t.held.base, t.held.new
	}
	return c.unitsOf(&t.base), c.unitsOf(&t.new)
}

// estimateOf tests a change, as if identical recordings were the same.
func (c *comparison) estimateOf(t *tested) {
	base, new := c.units(t)
	e := &t.estimate
	switch {
	case t.rule.quantile == 0:
		*e = compareSums(base, new, c.Alpha, t.rule.count, 0)
	case c.byRun:
		*e = compareRuns(base, new, c.Alpha)
	default:
		*e = compareWindows(base, new, c.Alpha, resamples, t.random())
	}
	if e.known {
		t.raw = e.log
		c.estimateHeld(t)
	}
	t.P = pointer(e.p)
}

// estimateHeld tests a change against the controls. Runs show by themselves what the
// node adds, so of them the test that shows more is taken, at the price of two: all
// services may have become worse.
func (c *comparison) estimateHeld(t *tested) {
	h := c.hold(t)
	if h == nil {
		return
	}
	e := compareSums(h.base, h.new, c.Alpha, t.rule.count, 1)
	if c.byRun {
		e.widen(c.Alpha, h.margin)
	}
	if !c.byRun || e.p <= t.estimate.p {
		t.held, t.estimate = h, e
		t.Common = pointer(math.Exp(h.common) - 1)
	}
	if c.byRun {
		t.estimate.p = math.Min(2*t.estimate.p, 1)
	}
}

// fillEstimate writes what the test says.
func (t *tested) fillEstimate(c *comparison) {
	e := &t.estimate
	t.P, t.Delta = pointer(e.p), pointer(e.delta)
	t.Base.Samples, t.New.Samples = samples(c.unitsOf(&t.base)), samples(c.unitsOf(&t.new))
	if !e.known {
		return
	}
	t.Relative = pointer(math.Exp(e.log) - 1)
	t.Absolute = pointer(t.Base.Value * *t.Relative)
	t.Interval = &Interval{math.Exp(e.low) - 1, math.Exp(e.high) - 1}
	t.Detectable = pointer(e.detectable(c.Alpha))
	if c.byRun {
		base, new := c.units(t)
		t.Pairs, t.Agreeing = agreement(base, new, e.log)
	}
}

// random gives the random numbers of a change: always the same.
func (t *tested) random() *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %d %s", t.key.service, t.key.client, t.key.server, t.key.port, t.rule.name)
	return rand.New(rand.NewPCG(1, h.Sum64()))
}

// agreement counts the pairs of runs that differ in a direction.
func agreement(base, new []unit, log float64) (pairs, agreeing int) {
	for _, a := range base {
		for _, b := range new {
			pairs++
			if (b.value-a.value)*log > 0 {
				agreeing++
			}
		}
	}
	return pairs, agreeing
}

// adjust corrects the p of all changes that could show a regression, or of the
// others, for their number. What did not vary by as much as anybody minds, over both
// sides, is no test.
func (c *comparison) adjust(list []tested, gate bool) {
	var at []int
	var p []float64
	for i := range list {
		t := &list[i]
		if t.P != nil && t.rule.gate == gate && t.varies() {
			at = append(at, i)
			p = append(p, *t.P)
		}
	}
	for i, v := range adjusted(p) {
		list[at[i]].Adjusted = pointer(v)
	}
}

// varies says whether any two units differ by as much as anybody minds.
func (t *tested) varies() bool {
	low, high := math.Inf(1), 0.0
	for _, side := range [][]unit{t.base.windows, t.new.windows} {
		for _, u := range side {
			low, high = math.Min(low, u.value), math.Max(high, u.value)
		}
	}
	return high > low*(1+t.limit)
}

// compareTested puts regressions first, and the largest changes first in each group.
func compareTested(a, b tested) int {
	rank := func(o Outcome) int {
		return slices.Index([]Outcome{Regression, Improvement, Changed, Inconclusive, NoChange}, o)
	}
	size := func(t *tested) float64 {
		if t.estimate.known {
			return math.Abs(t.estimate.log)
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a.Outcome), rank(b.Outcome)), cmp.Compare(size(&b), size(&a)),
		strings.Compare(a.Subject.Name, b.Subject.Name), strings.Compare(string(a.Metric), string(b.Metric)))
}
