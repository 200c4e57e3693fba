package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Run compares the recordings of base with those of new. It fails on files that are
// no captures, on options that make no sense, and when ctx ends; damage, loss and
// too little data don't fail, they are inconclusive.
func Run(ctx context.Context, base, new []Recording, o Options) (*Result, error) {
	if err := o.check(base, new); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress.total.Store(int64(len(base) + len(new) + len(o.Noise)))
	}
	var flames [2]flameSums
	var sides [3][]*Gathered
	for i, side := range []struct {
		name   string
		list   []Recording
		flames *flameSums
	}{{"base", base, &flames[0]}, {"new", new, &flames[1]}, {"noise", o.Noise, nil}} {
		var err error
		if sides[i], err = gatherAll(ctx, side.list, &o, side.flames); err != nil {
			return nil, fmt.Errorf("%s: %w", side.name, err)
		}
	}
	r := Compare(sides[0], sides[1], sides[2], o)
	r.Flames = flameDifferences(&flames[0], &flames[1], o.Services)
	return r, nil
}

// Gathered is what comparing needs of one recording. It does not change, and may be
// compared any number of times.
type Gathered struct{ run *run }

// Gather analyzes a recording for Compare; of the options it takes WindowNs,
// Workers and Version.
func Gather(ctx context.Context, r Recording, o Options) (*Gathered, error) {
	g, err := gather(ctx, r, &o, nil)
	if err != nil {
		return nil, err
	}
	return &Gathered{g}, nil
}

// Compare is Run of recordings that were gathered, but for Result.Flames. Options
// must make sense; noise takes the place of Options.Noise.
func Compare(base, new, noise []*Gathered, o Options) *Result {
	c := &comparison{Options: &o}
	asked := o.MinEffect != 0
	c.Alpha, c.MinEffect = cmp.Or(o.Alpha, DefaultAlpha), cmp.Or(o.MinEffect, DefaultMinEffect)
	c.base, c.new, c.noise = clones(base), clones(new), clones(noise)
	all := slices.Concat(c.base, c.new, c.noise)
	alike(all)
	for _, r := range all {
		r.dropWindows(&o)
	}
	return c.result(asked)
}

func clones(list []*Gathered) []*run {
	var runs []*run
	for _, g := range list {
		runs = append(runs, g.run.clone())
	}
	return runs
}

// check refuses options that make no sense.
func (o *Options) check(base, new []Recording) error {
	for name, list := range map[string][]Recording{"base": base, "new": new, "noise": o.Noise} {
		for _, r := range list {
			if len(r.Paths) == 0 {
				return fmt.Errorf("%s: a recording without a file", name)
			}
		}
	}
	switch {
	case len(base) == 0:
		return errors.New("base has no recording")
	case len(new) == 0:
		return errors.New("new has no recording")
	case len(o.Noise) == 1:
		return errors.New("noise takes two recordings and more: one does not show what they differ by")
	case o.Alpha < 0 || o.Alpha >= 0.5:
		return fmt.Errorf("alpha is %g: must be above 0 and below 0.5", o.Alpha)
	case o.MinEffect < 0 || o.MinEffect >= 10:
		return fmt.Errorf("the minimum effect is %g: must be above 0 and below 10", o.MinEffect)
	}
	for _, t := range o.Thresholds {
		if _, ok := t.Metric.rule(); !ok {
			return fmt.Errorf("threshold %q: no metric %q; there are %s", t.Text, t.Metric, MetricNames())
		}
	}
	return nil
}

// gatherAll analyzes recordings one after the other: what is kept of one is small.
func gatherAll(ctx context.Context, list []Recording, o *Options, flames *flameSums) ([]*Gathered, error) {
	var runs []*Gathered
	for _, r := range list {
		g, err := gather(ctx, r, o, flames)
		if err != nil {
			return nil, err
		}
		runs = append(runs, &Gathered{g})
		if o.Progress != nil {
			o.Progress.done.Add(1)
		}
	}
	return runs, nil
}

// result compares what was gathered.
func (c *comparison) result(asked bool) *Result {
	c.asked = asked
	c.byRun = min(len(c.base), len(c.new)) >= minRuns
	c.load = compareLoad(c.base, c.new)
	r := &Result{
		Schema: Schema, Version: c.Version, Settings: c.settings(), Load: c.load,
		Base: side(c.base), New: side(c.new), Appeared: c.appeared(c.base, c.new), Gone: c.appeared(c.new, c.base),
	}
	list, warnings := c.changes()
	r.Warnings = append([]string{}, append(c.warnings(r), warnings...)...)
	r.Changes = make([]Change, len(list))
	for i := range list {
		r.Changes[i] = list[i].Change
		r.Counts.add(list[i].Outcome)
	}
	r.Thresholds = c.judge(list)
	r.conclude(list)
	if len(c.noise) > 0 {
		r.Noise = c.noiseResult()
	}
	return r
}

func (n *Counts) add(o Outcome) {
	switch o {
	case Regression:
		n.Regressions++
	case Improvement:
		n.Improvements++
	case Changed:
		n.Changed++
	case NoChange:
		n.NoChange++
	default:
		n.Inconclusive++
	}
}

func (c *comparison) settings() Settings {
	s := Settings{
		Unit: "window", WindowNs: c.base[0].widthNs, Alpha: c.Alpha, MinEffect: c.MinEffect, MinEffectAsked: c.asked,
		MinDelta: minDelta, MinCoverage: minCoverage, MinWindows: minWindows, MinRuns: minRuns, MinRequests: minRequests,
		LoadTolerance: loadTolerance, Resamples: resamples, Services: c.Services,
	}
	if c.byRun {
		s.Unit = "run"
	}
	return s
}

func side(runs []*run) Side {
	s := Side{Runs: []RunInfo{}}
	for _, r := range runs {
		s.Runs = append(s.Runs, r.info)
		s.Windows += r.info.Windows
		s.Damaged = s.Damaged || r.info.Damaged
		s.Lossy = s.Lossy || r.info.Lost > 0
	}
	return s
}

// warnings tells what the reader should know first.
func (c *comparison) warnings(r *Result) []string {
	var list []string
	if n := min(len(c.base), len(c.new)); n < max(len(c.base), len(c.new)) && n < minRuns {
		list = append(list, fmt.Sprintf("a side has fewer than %d runs, so windows are compared and not runs", minRuns))
	}
	if len(c.noise) == 0 && !c.byRun {
		list = append(list, "what identical recordings differ by is assumed, not measured: give runs of an unchanged system with --noise-from, or several runs a side")
	}
	for _, s := range []struct {
		name string
		runs []*run
	}{{"base", c.base}, {"new", c.new}} {
		for _, g := range s.runs {
			if g.info.WarmUp > 0 {
				list = append(list, fmt.Sprintf("%s: the first %s of %s are left out as warm-up", s.name, counted(g.info.WarmUp, "window"), g.info.Files[0]))
			}
		}
	}
	return list
}

// noiseResult compares each run of an unchanged system with the next.
func (c *comparison) noiseResult() *Noise {
	n := &Noise{}
	for i, r := range c.noise {
		n.Runs = append(n.Runs, r.info)
		if i == 0 {
			continue
		}
		pair := &comparison{Options: c.Options, base: c.noise[i-1 : i], new: c.noise[i : i+1]}
		pair.load = compareLoad(pair.base, pair.new)
		list, _ := pair.changes()
		n.Pairs++
		if slices.ContainsFunc(list, func(t tested) bool { return t.Outcome == Regression || t.Outcome == Improvement }) {
			n.FalseAlarms++
		}
	}
	return n
}
