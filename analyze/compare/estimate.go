package compare

import (
	"math"
	"math/rand/v2"
	"slices"
)

// unit is a metric of one window, or of one run.
type unit struct {
	value  float64 // a latency, or sum per request
	sum    float64 // of sums: what value is made of
	per    float64 // requests
	run    int
	window int // within the run, as folded
}

// estimate is what a test says of a change.
type estimate struct {
	log       float64 // of new / base
	se        float64 // of log, within the recordings (unit window) or between them (unit run)
	slow      float64 // variance: the part of se² that comes of windows that resemble the one before
	df        float64
	p         float64
	low, high float64 // of log; bounds of the interval
	delta     float64 // Cliff's
	known     bool    // log and what follows from it; false where a side has nothing at all
}

// values gives the values of units.
func values(units []unit) []float64 {
	list := make([]float64, len(units))
	for i, u := range units {
		list[i] = u.value
	}
	return list
}

// logs gives the logarithms; false when some value is none.
func logs(units []unit) ([]float64, bool) {
	list := make([]float64, len(units))
	for i, u := range units {
		if !(u.value > 0) {
			return nil, false
		}
		list[i] = math.Log(u.value)
	}
	return list, true
}

// byRun cuts a list of as many values as units where their runs end, each around its
// mean.
func byRun(units []unit, list []float64) [][]float64 {
	var cut [][]float64
	for at := 0; at < len(units); {
		end := at
		for end < len(units) && units[end].run == units[at].run {
			end++
		}
		cut = append(cut, centred(list[at:end]))
		at = end
	}
	return cut
}

// cliff gives Cliff's delta: how much more often new is above base than below it, of
// all pairs.
func cliff(base, new []unit) float64 {
	u, _ := mannWhitney(values(new), values(base))
	return 2*u/float64(len(base)*len(new)) - 1
}

// compareWindows compares latencies of windows by rank.
func compareWindows(base, new []unit, alpha float64, resamples int, random *rand.Rand) estimate {
	a, okA := logs(base)
	b, okB := logs(new)
	if !okA || !okB {
		return estimate{p: 1}
	}
	vif := inflation(slices.Concat(byRun(base, a), byRun(new, b))...)
	u, p := mannWhitney(b, a)
	e := estimate{known: true, df: float64(len(a) + len(b) - 2), delta: 2*u/float64(len(a)*len(b)) - 1}
	e.p = twoSided(normalOf(p) / math.Sqrt(vif))
	e.log = shift(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	shifts := bootstrap(base, new, a, b, resamples, random)
	_, variance := moments(shifts)
	e.se = math.Sqrt(math.Max(variance, leastVariance))
	cut := int(alpha / 2 * float64(len(shifts)))
	e.low, e.high = shifts[cut], shifts[len(shifts)-1-cut]
	return e
}

// leastVariance is that of latencies that fall into buckets of 1/64.
const leastVariance = 1e-6

// bootstrap draws both sides anew, in blocks of neighbouring windows of a run, and
// gives the shifts, sorted.
func bootstrap(base, new []unit, a, b []float64, resamples int, random *rand.Rand) []float64 {
	shifts := make([]float64, resamples)
	x, y := make([]float64, len(a)), make([]float64, len(b))
	startsA, startsB := runStarts(base), runStarts(new)
	for i := range shifts {
		redraw(x, a, startsA, random)
		redraw(y, b, startsB, random)
		slices.Sort(x)
		slices.Sort(y)
		shifts[i] = shift(x, y)
	}
	slices.Sort(shifts)
	return shifts
}

// runStarts gives where the runs begin in a list, and its length.
func runStarts(units []unit) []int {
	var starts []int
	for i, u := range units {
		if i == 0 || u.run != units[i-1].run {
			starts = append(starts, i)
		}
	}
	return append(starts, len(units))
}

// redraw fills to from blocks of each run, as long as the cube root of its windows.
func redraw(to, from []float64, starts []int, random *rand.Rand) {
	for r := range starts[1:] {
		first, n := starts[r], starts[r+1]-starts[r]
		length := max(int(math.Round(math.Cbrt(float64(n)))), 1)
		for at := 0; at < n; at += length {
			block := first + random.IntN(n-length+1)
			copy(to[first+at:first+min(at+length, n)], from[block:])
		}
	}
}

// compareSums compares sums per request as rates that vary by more, or less, than a
// Poisson process would (quasi-Poisson): their ratio, and its deviation from how much
// the units of a side vary around their rate.
// fitted is how many parameters the units were fitted with before.
func compareSums(base, new []unit, alpha float64, count bool, fitted float64) estimate {
	sumA, perA := totals(base)
	sumB, perB := totals(new)
	n := float64(len(base)+len(new)) - fitted
	if !(perA > 0 && perB > 0) || n < 4 {
		return estimate{p: 1}
	}
	residuals, dispersion := [][]float64{}, 0.0
	for _, side := range [][]unit{base, new} {
		sum, per := totals(side)
		list := make([]float64, len(side))
		for i, u := range side {
			if expected := u.per * sum / per; expected > 0 {
				list[i] = (u.sum - expected) / math.Sqrt(expected)
			}
			dispersion += list[i] * list[i] / (n - 2)
		}
		residuals = append(residuals, byRun(side, list)...)
	}
	if count {
		dispersion = math.Max(dispersion, 1)
	}
	slow := inflation(residuals...)
	dispersion *= slow
	e := estimate{df: n - 2, delta: cliff(base, new)}
	if sumA == 0 && sumB == 0 {
		e.p = 1
		return e
	}
	if sumA == 0 || sumB == 0 {
		dispersion = math.Max(dispersion, 1e-9) // nothing varies
		e.p = binomial(sumA/dispersion, sumB/dispersion, perA, perB)
		return e
	}
	e.known = true
	e.log = math.Log(sumB / perB / (sumA / perA))
	e.se = math.Sqrt(math.Max(dispersion*(1/sumA+1/sumB), leastVariance))
	e.slow = e.se * e.se * (1 - 1/slow)
	e.p = studentTwoSided(e.log/e.se, e.df)
	reach := studentOf(alpha, e.df) * e.se
	e.low, e.high = e.log-reach, e.log+reach
	return e
}

func totals(units []unit) (sum, per float64) {
	for _, u := range units {
		sum += u.sum
		per += u.per
	}
	return sum, per
}

// binomial gives the two-sided p of all n events falling on one of two sides that had
// a share of the requests each: the other has none.
func binomial(a, b, perA, perB float64) float64 {
	share := perA / (perA + perB)
	if b > a {
		share = 1 - share
	}
	return math.Min(2*math.Pow(share, a+b), 1)
}

// compareRuns compares latencies of whole runs by their logarithms (Welch's test).
// Ranks of five runs a side could at best give p = 0.008, which no correction over
// all metrics leaves significant.
func compareRuns(base, new []unit, alpha float64) estimate {
	a, okA := logs(base)
	b, okB := logs(new)
	if !okA || !okB || len(a) < 2 || len(b) < 2 {
		return estimate{p: 1}
	}
	meanA, varianceA := moments(a)
	meanB, varianceB := moments(b)
	partA, partB := varianceA/float64(len(a)), varianceB/float64(len(b))
	e := estimate{known: true, log: meanB - meanA, delta: cliff(base, new)}
	e.se = math.Sqrt(math.Max(partA+partB, leastVariance))
	e.df = float64(len(a) + len(b) - 2)
	if partA+partB > 0 {
		e.df = (partA + partB) * (partA + partB) / (partA*partA/float64(len(a)-1) + partB*partB/float64(len(b)-1))
	}
	e.p = studentTwoSided(e.log/e.se, e.df)
	reach := studentOf(alpha, e.df) * e.se
	e.low, e.high = e.log-reach, e.log+reach
	return e
}

// spread is what identical runs differ by: the standard deviation of the logarithm
// of a metric, known with so many degrees of freedom.
type spread struct {
	sd, df  float64
	assumed bool
}

// part is a part of a variance, and how well it is known.
type part struct{ variance, df float64 }

// added gives the sum of independent parts (Satterthwaite's degrees of freedom); those
// that are not above 0 are none.
func added(parts ...part) (sum part) {
	uncertain := 0.0
	for _, p := range parts {
		if p.variance > 0 {
			sum.variance += p.variance
			uncertain += p.variance * p.variance / p.df
		}
	}
	sum.df = sum.variance * sum.variance / uncertain
	return sum
}

// widen takes into account that two sides differ by more than their units show, even
// when nothing changed: parts are the variances of the difference.
func (e *estimate) widen(alpha float64, parts ...part) {
	more := added(parts...)
	if !e.known || more.variance <= 0 {
		return
	}
	total := added(part{e.se * e.se, e.df}, more)
	e.p = math.Max(e.p, studentTwoSided(e.log/math.Sqrt(total.variance), total.df))
	reach := studentOf(alpha, more.df) * math.Sqrt(more.variance)
	e.low = e.log - math.Hypot(e.log-e.low, reach)
	e.high = e.log + math.Hypot(e.high-e.log, reach)
	e.se, e.df = math.Sqrt(total.variance), total.df
}

// detectable gives the smallest change that such data would have shown four times of
// five, taken by itself.
func (e *estimate) detectable(alpha float64) float64 {
	return math.Exp((studentOf(alpha, e.df)+studentOf(0.4, e.df))*e.se) - 1
}
