package compare

import (
	"cmp"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// A request needs more CPU time while its node is slower: other guests of the same
// host, clock speeds and caches make it so. Recordings of the same services on one
// virtual machine differed by 7 to 12% in it, and all services by it together (their
// correlation was 0.9, from second to second as from recording to recording). So the
// CPU time of a service is held against what others need in the same windows, its
// controls: an analysis of covariance. What they show is taken off as far as the
// service follows them. That the controls disagree, and that how far it follows them
// is an estimate, makes the error larger.

const (
	// minControls: one that changed by itself can't be told from the node.
	minControls = 2
	maxControls = 8 // those with the most requests
	// mostFollowed bounds the slope: services with cold caches follow by more than
	// those that compute.
	mostFollowed = 2.0
)

// place is that of a unit on its side; of runs the window is 0.
type place struct{ run, window int }

func (u *unit) place() place { return place{u.run, u.window} }

// What a control is known on.
const (
	onBase = iota
	onNew
	onNoise // by run
	onSides
)

// control is the CPU time a request of a service (log), by unit.
type control struct {
	key               key
	at                [onSides]map[place]float64
	asks              bool // and serves nothing: it is the load
	requests          int64
	level, difference float64 // of the means of base and new: their mean, and what they differ by
}

// findControls measures those services that others may be held against.
func (c *comparison) findControls() {
	m, _ := CPU.rule()
	keys, _ := c.subjects(func(k key) bool { return k.service != "" })
	for _, k := range keys {
		per, ok := c.denominator(k)
		if !ok {
			continue
		}
		base, new := measure(&m, k, c.base, per), measure(&m, k, c.new, per)
		if base.tooLittle("", &m, c.base, c.byRun) != "" || new.tooLittle("", &m, c.new, c.byRun) != "" {
			continue
		}
		one := control{key: k, asks: per == asked, requests: base.value.Requests + new.value.Requests}
		var okBase, okNew bool
		one.at[onBase], okBase = places(c.unitsOf(&base))
		one.at[onNew], okNew = places(c.unitsOf(&new))
		if !okBase || !okNew {
			continue
		}
		if noise := measure(&m, k, c.noise, per); len(noise.runs) == len(c.noise) {
			one.at[onNoise], _ = places(noise.runs)
		}
		c.controls = append(c.controls, one)
	}
	slices.SortStableFunc(c.controls, func(a, b control) int {
		switch {
		case a.asks && !b.asks:
			return 1
		case b.asks && !a.asks:
			return -1
		}
		return cmp.Compare(b.requests, a.requests)
	})
	c.controls = c.controls[:min(len(c.controls), maxControls+1)]
}

// places gives the logarithms of units; false when one has none.
func places(units []unit) (map[place]float64, bool) {
	list, ok := logs(units)
	if !ok {
		return nil, false
	}
	at := make(map[place]float64, len(units))
	for i := range list {
		at[units[i].place()] = list[i]
	}
	return at, true
}

// held is a service's CPU time beside that of its controls.
type held struct {
	base, new []unit // less what the controls show
	noise     []float64
	common    float64 // log: what was taken off of new / base
	margin    part    // of error of common
}

// hold holds the CPU time of a service against its controls; nil: it has too few.
func (c *comparison) hold(t *tested) *held {
	if t.rule.name != CPU {
		return nil
	}
	base, new := c.unitsOf(&t.base), c.unitsOf(&t.new)
	controls := c.controlsOf(t.key, base, new)
	if len(controls) < minControls {
		return nil
	}
	x, y := [2][]float64{}, [2][]float64{}
	for i, units := range [2][]unit{base, new} {
		list, ok := logs(units)
		if !ok {
			return nil
		}
		for k := range units {
			level, _ := levelAt(controls, i, units[k].place()) // controlsOf saw that all are there
			x[i] = append(x[i], level)
		}
		y[i] = list
	}
	f, ok := c.follow(base, new, x, y)
	if !ok {
		return nil
	}
	meanBase, _ := moments(x[0])
	meanNew, _ := moments(x[1])
	middle, difference := (meanBase+meanNew)/2, meanNew-meanBase
	h := &held{base: f.taken(base, x[0], middle), new: f.taken(new, x[1], middle), common: f.slope * difference}
	h.noise = c.heldNoise(t, controls, f.slope, middle)
	apart := disagree(controls)
	apart.variance *= f.slope * f.slope
	h.margin = added(apart, part{f.variance * difference * difference, f.df})
	return h
}

// controlsOf gives the controls of a service: others that have a value in every one of
// its units, and those that only ask just where it takes them to have enough.
func (c *comparison) controlsOf(k key, base, new []unit) []control {
	var list []control
	for _, o := range c.controls {
		if o.key == k || len(list) == maxControls || o.asks && len(list) >= minControls {
			continue
		}
		meanBase, okBase := meanAt(o.at[onBase], base)
		meanNew, okNew := meanAt(o.at[onNew], new)
		if okBase && okNew {
			o.level, o.difference = (meanBase+meanNew)/2, meanNew-meanBase
			list = append(list, o)
		}
	}
	return list
}

// meanAt gives the mean of a control over units; false when one lacks it.
func meanAt(at map[place]float64, units []unit) (float64, bool) {
	sum := 0.0
	for i := range units {
		v, ok := at[units[i].place()]
		if !ok {
			return 0, false
		}
		sum += v
	}
	return sum / float64(len(units)), true
}

// levelAt gives how much more than on average (log) the controls need in a unit of a
// side: the median, which one that changed by itself moves little. false: one was not
// measured in it.
func levelAt(controls []control, side int, p place) (float64, bool) {
	list := make([]float64, len(controls))
	for i, o := range controls {
		v, ok := o.at[side][p]
		if !ok {
			return 0, false
		}
		list[i] = v - o.level
	}
	return stat.Median(list), true
}

// disagree gives the variance of the mean of what the controls differ by, steadied by
// what is assumed: few of them may agree by chance.
func disagree(controls []control) part {
	list := make([]float64, len(controls))
	for i, o := range controls {
		list[i] = o.difference
	}
	_, variance := moments(list)
	n := float64(len(list))
	one := steadied(assumedApart, (n-1)*variance, n-1)
	return part{one.variance / n, one.df}
}

// following is how far a service follows its controls.
type following struct{ slope, variance, df float64 }

// follow fits it within the recordings, or of runs within the sides; false: there is
// too little for it.
func (c *comparison) follow(base, new []unit, x, y [2][]float64) (following, bool) {
	var xs, ys [][]float64
	for i, units := range [2][]unit{base, new} {
		if c.byRun {
			xs, ys = append(xs, centred(x[i])), append(ys, centred(y[i]))
		} else {
			xs, ys = append(xs, byRun(units, x[i])...), append(ys, byRun(units, y[i])...)
		}
	}
	var xx, xy, n float64
	for g := range xs {
		for i := range xs[g] {
			xx += xs[g][i] * xs[g][i]
			xy += xs[g][i] * ys[g][i]
			n++
		}
	}
	f := following{df: n - float64(len(xs)) - 1}
	if f.df < 3 || xx == 0 {
		return f, false
	}
	f.slope = math.Min(math.Max(xy/xx, 0), mostFollowed)
	rest, squares := make([][]float64, len(xs)), 0.0
	for g := range xs {
		for i := range xs[g] {
			r := ys[g][i] - f.slope*xs[g][i]
			rest[g] = append(rest[g], r)
			squares += r * r
		}
	}
	f.variance = squares / f.df / xx * inflation(rest...)
	return f, true
}

// taken gives units less what the controls show, as if these were at the middle.
func (f *following) taken(units []unit, x []float64, middle float64) []unit {
	list := slices.Clone(units)
	for i := range list {
		factor := math.Exp(-f.slope * (x[i] - middle))
		list[i].sum *= factor
		list[i].value *= factor
	}
	return list
}

// heldNoise gives the runs of an unchanged system (log), less what the controls show;
// nil where these were not measured in all of them.
func (c *comparison) heldNoise(t *tested, controls []control, slope, middle float64) []float64 {
	of := measure(t.rule, t.key, c.noise, t.per)
	list, ok := logs(of.runs)
	if !ok || len(list) < 2 {
		return nil
	}
	for i := range list {
		level, ok := levelAt(controls, onNoise, of.runs[i].place())
		if !ok {
			return nil
		}
		list[i] -= slope * (level - middle)
	}
	return list
}
