package finding

import (
	"math"
	"slices"
	"testing"

	"kmon/analyze/stat"
)

func TestReference(t *testing.T) {
	nan := math.NaN()
	values := []float64{5, nan, 1, 3, 100, 4, nan}
	kept := slices.Clone(values)
	r := referenceOf(FromPeers, values)
	if r.Median != 4 || r.MAD != 1 || r.N != 5 || r.Source != FromPeers {
		t.Errorf("reference is %+v, want median 4, MAD 1 of 5", r)
	}
	for i := range values {
		if math.Float64bits(values[i]) != math.Float64bits(kept[i]) {
			t.Fatalf("the values were changed: %v", values)
		}
	}
	if got := r.ratio(12); got != 3 {
		t.Errorf("ratio of 12 is %v, want 3", got)
	}
	if got := r.z(14); math.Abs(got-6.745) > 1e-9 {
		t.Errorf("z of 14 is %v, want 6.745", got)
	}
}

// Values that hardly differ don't make the next one strange.
func TestReferenceOfEqualValues(t *testing.T) {
	r := referenceOf(FromQuiet, []float64{100, 100, 100})
	if got := r.z(110); math.Abs(got-0.6745*2) > 1e-9 {
		t.Errorf("z of a tenth more is %v, want 1.349: 10 over 5%% of 100", got)
	}
	if got := referenceOf(FromQuiet, []float64{0, 0}).z(5); got != 0 {
		t.Errorf("z over nothing is %v, want 0", got)
	}
}

// Without a reference nothing can be said, so no comparison holds.
func TestNoReference(t *testing.T) {
	for _, values := range [][]float64{nil, {math.NaN()}} {
		r := referenceOf(FromPeers, values)
		if r != (Reference{}) {
			t.Errorf("reference of %v is %+v, want none", values, r)
		}
		if got := r.ratio(3); !math.IsNaN(got) {
			t.Errorf("ratio without a reference is %v, want NaN", got)
		}
		if got := r.z(3); got != 0 {
			t.Errorf("z without a reference is %v, want 0", got)
		}
	}
	if got := referenceOf(FromPeers, []float64{0, 0, 0}).ratio(3); !math.IsNaN(got) {
		t.Errorf("ratio over 0 is %v, want NaN", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{1, 2, 3, 10}, 2.5},
	} {
		if got := stat.Median(slices.Clone(c.values)); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
	if got := stat.Median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v, want NaN", got)
	}
}

func TestLongestRun(t *testing.T) {
	for _, c := range []struct {
		hold string // x held
		want string // x: of the run
		held int
		ok   bool
	}{
		{"", "", 0, false},
		{"....", "....", 0, false},
		{"..x..", "..x..", 1, false},
		{".xx..", ".xx..", 2, false},
		{".xxx.", ".xxx.", 3, true},
		{"xxxxx", "xxxxx", 5, true},
		{"xx.xx", "xxxxx", 4, true},                // one of five may not hold
		{"xx..xx", "xx....", 2, false},             // two in a row end it
		{"x.x.x", "xxx..", 2, false},               // two of five
		{"x.xxx", "xxxxx", 4, true},                // a gap right after the first
		{"xxx.", "xxx.", 3, true},                  // not at the end
		{".xxx", ".xxx", 3, true},                  // nor at the beginning
		{"xxx.x.xxxx", "....xxxxxx", 5, true},      // the second gap comes too soon for the first run, not for the next
		{"xxx.xxxx.xxx", "xxxxxxxxxxxx", 10, true}, // gaps five apart
		{"xxx..xxxx", ".....xxxx", 4, true},        // the longer one
		{"xxx..xxx.", "xxx......", 3, true},        // the first of equals
	} {
		hold := make([]bool, len(c.hold))
		for i := range hold {
			hold[i] = c.hold[i] == 'x'
		}
		run, ok := longest(hold, 3)
		got := []byte{}
		for i := range hold {
			mark := byte('.')
			if run.held > 0 && i >= run.first && i <= run.last {
				mark = 'x'
			}
			got = append(got, mark)
		}
		if string(got) != c.want || run.held != c.held || ok != c.ok {
			t.Errorf("%s: run %s, %d held, %v; want %s, %d, %v", c.hold, got, run.held, ok, c.want, c.held, c.ok)
		}
	}
}

// Half a million windows that all hold are one pass, not one a window.
func TestLongestRunIsFast(t *testing.T) {
	hold := make([]bool, 500_000)
	for i := range hold {
		hold[i] = true
	}
	if run, _ := longest(hold, 3); run.held != len(hold) {
		t.Errorf("run holds %d, want %d", run.held, len(hold))
	}
}
