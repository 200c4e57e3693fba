package finding

import (
	"math"
	"testing"
)

func TestSeries(t *testing.T) {
	v := blank(4)
	if got := v.over(span{0, 3, 3}); !math.IsNaN(got) || len(v.known()) != 0 {
		t.Errorf("blank series has %v and %v", got, v.known())
	}
	v[1], v[3] = 7, 9
	if got := v.over(span{0, 3, 3}); got != 8 {
		t.Errorf("over all is %v, want 8", got)
	}
	if got := v.over(span{0, 1, 1}); got != 7 {
		t.Errorf("over the first two is %v, want 7", got)
	}
}

func TestQuietWindows(t *testing.T) {
	s := &search{rules: DefaultRules()}
	for _, c := range []struct {
		name   string
		values series
		median float64
		n      int
	}{
		{"flat: all are quiet", series{10, 11, 9, 10, 12, 8}, 10, 6},
		{"a fault in the second half", series{10, 11, 9, 10, 50, 60, 55, 50}, 10, 4},
		{"a fault in most of it", series{10, 50, 50, 50, 9, 50, 50, 50, 11}, 10, 3},
		{"what is wrong has no values", series{10, 11, 9, math.NaN(), math.NaN(), math.NaN()}, 10, 3},
		{"too few", series{10, 11}, 0, 0},
		{"too few known", series{10, 11, math.NaN()}, 0, 0},
		{"nothing", nil, 0, 0},
	} {
		if got := s.quietOf(c.values); got.Median != c.median || got.N != c.n {
			t.Errorf("%s: %+v, want median %v of %d", c.name, got, c.median, c.n)
		}
	}
}

func TestTimeText(t *testing.T) {
	for _, c := range []struct {
		ns   float64
		want string
	}{
		{0, "0s"}, {950, "950ns"}, {1234, "1.23µs"}, {9876543, "9.88ms"}, {12.345e9, "12.3s"}, {math.NaN(), "not known"},
		{9.2e18, "2555555h33m20s"},
	} {
		if got := timeText(c.ns); got != c.want {
			t.Errorf("%v ns is %q, want %q", c.ns, got, c.want)
		}
	}
}

func TestHeld(t *testing.T) {
	e := fact("cores", 2, "%d cores", 2).held(1, math.NaN())
	if e.Text != "2 cores" || *e.Threshold != 1 || e.Reference != nil {
		t.Errorf("evidence is %+v", e)
	}
	if e := fact("cores", 2, "").held(1, 0.5); *e.Reference != 0.5 {
		t.Errorf("reference is %v, want 0.5", *e.Reference)
	}
}

func TestFinite(t *testing.T) {
	inf, one := math.Inf(1), 1.0
	got := finite([]Evidence{
		{Name: "unknown", Value: math.NaN()},
		{Name: "known", Value: 2, Threshold: &inf, Reference: &one},
		{Name: "endless", Value: inf},
	})
	if len(got) != 1 || got[0].Name != "known" || got[0].Threshold != nil || got[0].Reference != &one {
		t.Errorf("kept %+v", got)
	}
}
