package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kmon/analyze/stat"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: got %.6g, want %.6g", what, got, want)
	}
}

// The values are those of the manuals of scipy.stats.mannwhitneyu and of R's
// wilcox.test, and of enumerations by hand.
func TestMannWhitney(t *testing.T) {
	u, p := mannWhitney([]float64{19, 22, 16, 29, 24}, []float64{20, 11, 17, 12})
	near(t, "scipy: U", u, 17, 0)
	near(t, "scipy: p", p, 0.1111111, 1e-6)
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	u, p = mannWhitney(x, y)
	near(t, "R: W", u, 35, 0)
	near(t, "R: p", p, 2*0.1272, 2e-4) // its example is one-sided
	u, p = mannWhitney([]float64{1, 1, 2}, []float64{2, 3, 3})
	near(t, "ties: U", u, 0.5, 0)
	near(t, "ties: p", p, 4.0/20, 1e-12) // of 20 draws {1,1,2} twice, {2,3,3} twice
	_, p = mannWhitney([]float64{5, 5, 5, 5}, []float64{5, 5, 5, 5})
	near(t, "all equal", p, 1, 0)
	many := make([]float64, 20)
	for i := range many {
		many[i] = float64(i)
	}
	_, p = mannWhitney(many, many)
	near(t, "normal, the same", p, 1, 0)
	shifted := slices.Clone(many)
	for i := range shifted {
		shifted[i] += 6.5
	}
	_, p = mannWhitney(many, shifted) // U = 91: z = (|91 − 200| − 0.5) / √(20·20·41/12)
	near(t, "normal, shifted", p, twoSided((200-91-0.5)/math.Sqrt(400*41.0/12)), 1e-9)
}

// R: median of outer differences; the example of wilcox.test has 0.305.
func TestShift(t *testing.T) {
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	slices.Sort(x)
	slices.Sort(y)
	near(t, "R", shift(y, x), 0.305, 1e-9)
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		a, b := make([]float64, 1+random.IntN(9)), make([]float64, 1+random.IntN(9))
		var all []float64
		for i := range a {
			a[i] = float64(random.IntN(20))
		}
		for i := range b {
			b[i] = float64(random.IntN(20))
			for _, v := range a {
				all = append(all, b[i]-v)
			}
		}
		slices.Sort(a)
		slices.Sort(b)
		near(t, "median of all differences", shift(a, b), stat.Median(all), 1e-9)
	}
}

// R: pt, qt, pnorm.
func TestDistributions(t *testing.T) {
	near(t, "2·pt(−2, 10)", studentTwoSided(2, 10), 0.07338803, 1e-7)
	near(t, "2·pt(−12.7062, 1)", studentTwoSided(12.706205, 1), 0.05, 1e-7)
	near(t, "qt(0.975, 5)", studentOf(0.05, 5), 2.570582, 1e-5)
	near(t, "qt(0.975, 30)", studentOf(0.05, 30), 2.042272, 1e-5)
	near(t, "qt(0.8, 8)", studentOf(0.4, 8), 0.8888895, 1e-5)
	near(t, "qnorm(0.975)", studentOf(0.05, math.Inf(1)), 1.959964, 1e-5)
	near(t, "2·pnorm(−3)", twoSided(3), 0.002699796, 1e-8)
	near(t, "of its own p", normalOf(twoSided(2.5)), 2.5, 1e-9)
}

// R: p.adjust(…, "BH").
func TestAdjusted(t *testing.T) {
	got := adjusted([]float64{0.01, 0.04, 0.03, 0.02, 0.5})
	for i, want := range []float64{0.05, 0.05, 0.05, 0.05, 0.5} {
		near(t, "p", got[i], want, 1e-12)
	}
	got = adjusted([]float64{0.001, 0.2, 0.9})
	for i, want := range []float64{0.003, 0.3, 0.9} {
		near(t, "p", got[i], want, 1e-12)
	}
	if len(adjusted(nil)) != 0 {
		t.Error("of nothing there is something")
	}
}

// Cliff's delta is that of the pairs, by hand.
func TestCliff(t *testing.T) {
	of := func(values ...float64) (list []unit) {
		for _, v := range values {
			list = append(list, unit{value: v})
		}
		return list
	}
	near(t, "above", cliff(of(1, 2, 3), of(4, 5)), 1, 0)
	near(t, "mixed", cliff(of(1, 2, 3), of(2, 2)), 0, 0)
	near(t, "below", cliff(of(1, 2, 3), of(1, 0)), (0.0+0-2+0-3+0)/6.0, 1e-12)
}

// Rates by hand: 30 of 1000 and 60 of 1000, evenly: R's glm(quasipoisson) has
// log 2 with the deviation √(1/30 + 1/60) at a dispersion of 1.
func TestCompareSums(t *testing.T) {
	side := func(each float64) (list []unit) {
		for i := range 10 {
			list = append(list, unit{value: each / 100, sum: each, per: 100, window: i})
		}
		return list
	}
	e := compareSums(side(3), side(6), 0.05, true, 0)
	near(t, "ratio", e.log, math.Log(2), 1e-12)
	near(t, "deviation", e.se, math.Sqrt(1.0/30+1.0/60), 1e-12)
	near(t, "p", e.p, studentTwoSided(math.Log(2)/math.Sqrt(0.05), 18), 1e-12)
	none := compareSums(side(0), side(1), 0.05, true, 0)
	near(t, "none and ten", none.p, 2*math.Pow(0.5, 10), 1e-12)
	if bytes := compareSums(side(0), side(5), 0.05, false, 0); !(bytes.p >= 0 && bytes.p < 1e-6) {
		t.Errorf("none, and the same in every window: %+v", bytes)
	}
	if both := compareSums(side(0), side(0), 0.05, true, 0); both.known || both.p != 1 {
		t.Errorf("none on both sides: %+v", both)
	}
}

// series1 is windows that resemble those before them by r.
func series1(random *rand.Rand, n int, level, sd, r float64) (list []unit) {
	v := random.NormFloat64()
	for i := range n {
		v = r*v + math.Sqrt(1-r*r)*random.NormFloat64()
		list = append(list, unit{value: math.Exp(level + sd*v), window: i})
	}
	return list
}

// Of recordings of the same system p falls below alpha no more often than it says,
// though neighbouring windows are alike; what is really there is found.
func TestWindowsThatAreAlike(t *testing.T) {
	for _, test := range []struct {
		name   string
		r      float64
		change float64
		least  int // of 400 below 5%
		most   int
	}{
		{"independent", 0, 0, 0, 24},
		{"alike", 0.5, 0, 0, 36},
		{"very alike", 0.7, 0, 0, 48},
		{"changed", 0.3, 0.10, 380, 400},
	} {
		random := rand.New(rand.NewPCG(11, 12))
		below := 0
		for range 400 {
			a, b := series1(random, 30, 0, 0.05, test.r), series1(random, 30, test.change, 0.05, test.r)
			if compareWindows(a, b, 0.05, 50, random).p < 0.05 {
				below++
			}
		}
		if below < test.least || below > test.most {
			t.Errorf("%s: p is below 0.05 in %d of 400, want %d to %d", test.name, below, test.least, test.most)
		}
	}
}

// The interval holds what is so about as often as it says.
func TestIntervalHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	held := 0
	for range 300 {
		e := compareWindows(series1(random, 20, 0, 0.05, 0.2), series1(random, 20, 0.1, 0.05, 0.2), 0.05, 200, random)
		e.widen(0.05, part{2 * 0.01 * 0.01, math.Inf(1)})
		if e.low <= 0.1 && e.high >= 0.1 {
			held++
		}
	}
	if held < 270 {
		t.Errorf("95%% intervals held the truth in %d of 300", held)
	}
}

// Whole runs: Welch's test has its level with five a side, and finds 10%.
func TestCompareRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	runs := func(level float64) (list []unit) {
		for i := range 5 {
			list = append(list, unit{value: math.Exp(level + 0.02*random.NormFloat64()), run: i})
		}
		return list
	}
	below, found := 0, 0
	for range 1000 {
		if compareRuns(runs(0), runs(0), 0.05).p < 0.05 {
			below++
		}
		if compareRuns(runs(0), runs(0.0953), 0.05).p < 0.001 {
			found++
		}
	}
	if below > 70 || found < 800 {
		t.Errorf("of the same %d of 1000 below 0.05, of 10%% %d below 0.001", below, found)
	}
}

// The first windows of a load that comes up slowly are found, those of a noisy load
// are not.
func TestSteadyFrom(t *testing.T) {
	warm := []float64{2, 1.2, 0.4, 0.01, 0, -0.01, 0.02, 0, 0.01, -0.02, 0, 0.01, 0, 0.02}
	if got := steadyFrom(warm); got != 3 {
		t.Errorf("warm-up of %d windows, want 3", got)
	}
	random := rand.New(rand.NewPCG(41, 42))
	dropped := 0
	for range 100 {
		var list []float64
		for range 12 {
			list = append(list, 0.1*random.NormFloat64())
		}
		if steadyFrom(list) > 0 {
			dropped++
		}
	}
	if dropped > 5 {
		t.Errorf("windows of %d of 100 steady loads are dropped", dropped)
	}
	if got := steadyFrom([]float64{9, 0, 0}); got != 0 {
		t.Errorf("of three windows %d are dropped", got)
	}
}

// Requests that were recorded, but in windows that lost too much, are not said to
// be missing.
func TestWhyTheLoadIsUnknown(t *testing.T) {
	some := &run{info: RunInfo{Requests: 90, Windows: 9}, grid: grid{widthNs: 1e9}}
	lossy, none := &run{info: RunInfo{Lost: 9}}, &run{}
	for _, c := range []struct {
		base, new *run
		want      string
	}{
		{some, none, "no requests were recorded of new."},
		{none, some, "no requests were recorded of base."},
		{none, none, "no requests were recorded of either side."},
		{some, lossy, "no requests of new are in windows without too much loss."},
	} {
		if got := compareLoad([]*run{c.base}, []*run{c.new}).Text; got != loadUnknown+c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
