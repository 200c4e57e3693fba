package reports

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// chartOf draws one service with a series.
func chartOf(points []analyze.Point, marks ...analyze.Mark) chartView {
	n := int64(0)
	for i := range points {
		points[i].StartNs = start + int64(i)*second
		n += points[i].Requests
	}
	s := analyze.Service{Name: "x", Requests: max(1, n), Series: points}
	a := &analyze.Analysis{WindowNs: second, Services: []analyze.Service{s}, Marks: marks}
	views, _, _ := charts(a)
	return views[0]
}

// busy is a window with samples.
func busy(p50 int64) analyze.Point {
	return analyze.Point{Requests: 10, Count: 10, P50: p50, P95: 2 * p50, P99: 4 * p50}
}

// TestGapsAreGaps: a window without samples ends the line; it is never drawn
// as a latency of 0.
func TestGapsAreGaps(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    []analyze.Point
		moves int // separate strokes of a line
		turns int // points that continue one
	}{
		{"whole", []analyze.Point{busy(1e6), busy(2e6), busy(1e6)}, 1, 2},
		{"gap", []analyze.Point{busy(1e6), busy(1e6), {}, busy(1e6), busy(1e6)}, 2, 2},
		{"lone dots", []analyze.Point{busy(1e6), {}, busy(1e6), {}, busy(1e6)}, 3, 0},
		{"untimed requests", []analyze.Point{busy(1e6), {Requests: 7}, busy(1e6)}, 2, 0},
	} {
		v := chartOf(c.in)
		if len(v.Lines) != 3 {
			t.Fatalf("%s: %d lines, want p50, p95, p99", c.name, len(v.Lines))
		}
		for _, line := range v.Lines {
			if m, l := strings.Count(line.D, "M"), strings.Count(line.D, "L"); m != c.moves || l != c.turns {
				t.Errorf("%s %s: %d strokes with %d turns, want %d and %d: %s", c.name, line.Class, m, l, c.moves, c.turns, line.D)
			}
		}
	}
	if v := chartOf([]analyze.Point{{}, {Errors: 3}, {}}); len(v.Lines) != 0 || len(v.Bars) != 1 {
		t.Errorf("without samples: %d lines and %d bars, want none and one of errors", len(v.Lines), len(v.Bars))
	}
}

// TestMissingWindowIsGap: a window that is not in the series is a gap too.
func TestMissingWindowIsGap(t *testing.T) {
	a := &analyze.Analysis{WindowNs: second, Services: []analyze.Service{{Name: "x", Requests: 1, Series: []analyze.Point{busy(1e6), busy(1e6)}}}}
	a.Services[0].Series[0].StartNs, a.Services[0].Series[1].StartNs = start, start+5*second
	views, _, _ := charts(a)
	if got := strings.Count(views[0].Lines[0].D, "M"); got != 2 {
		t.Errorf("%d strokes over a hole, want 2", got)
	}
}

func TestShadesAndMarks(t *testing.T) {
	points := []analyze.Point{busy(1e6), busy(1e6), busy(1e6)}
	points[0].Partial, points[1].Lost = true, 12
	v := chartOf(points,
		analyze.Mark{TsNs: start + second, Kind: "user", Text: "deploy"}, analyze.Mark{TsNs: start - second, Text: "before"})
	classes := []string{}
	for _, s := range v.Shades {
		classes = append(classes, s.Class+": "+s.Title)
	}
	if want := []string{"partial: partial window", "lossy: 12 exchanges lost"}; !reflect.DeepEqual(classes, want) {
		t.Errorf("shades %q, want %q", classes, want)
	}
	if len(v.Marks) != 1 || v.Marks[0].Title != "02:59:01 user: deploy" {
		t.Errorf("marks %+v, want the one within the chart", v.Marks)
	}
}

func TestThin(t *testing.T) {
	series := waves(1000, 100, millisecond)
	series[7].Errors, series[8].Lost = 2, 3
	p := servicePoints.period(second, series)
	points := servicePoints.thin(p, series)
	if len(points) > chartPoints || p.merged != 5 {
		t.Fatalf("%d points of %d windows, want 200 of 5", len(points), p.merged)
	}
	var want, got analyze.Point
	for _, w := range series {
		want.Requests, want.Errors, want.Lost, want.Count = want.Requests+w.Requests, want.Errors+w.Errors, want.Lost+w.Lost, want.Count+w.Count
		want.P99 = max(want.P99, w.P99)
	}
	for _, w := range points {
		got.Requests, got.Errors, got.Lost, got.Count = got.Requests+w.Requests, got.Errors+w.Errors, got.Lost+w.Lost, got.Count+w.Count
		got.P99 = max(got.P99, w.P99)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("thinned: %+v, want %+v", got, want)
	}
	if v := drawChart(&analyze.Analysis{}, &analyze.Service{Requests: 1, Series: points}, p, 0); !strings.Contains(v.Note, "5 windows") {
		t.Errorf("the chart does not say that it merges: %q", v.Note)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      []float64
	}{
		{1e6, 1e7, []float64{1e6, 2e6, 5e6, 1e7}},
		{5e4, 1e6, []float64{5e4, 1e5, 2e5, 5e5, 1e6}},
		{1e3, 1e9, []float64{1e3, 1e5, 1e7, 1e9}},
		{1, 10, []float64{1, 2, 5, 10}},
	} {
		got := logTicks(c.low, c.high)
		if len(got) != len(c.want) {
			t.Errorf("logTicks(%g, %g) = %v, want %v", c.low, c.high, got, c.want)
			continue
		}
		for i := range got {
			if got[i]/c.want[i] < 0.999 || got[i]/c.want[i] > 1.001 {
				t.Errorf("logTicks(%g, %g) = %v, want %v", c.low, c.high, got, c.want)
			}
		}
	}
	for _, length := range []int64{second / 5, second, 7 * second, 60 * second, 3600 * second, 30 * 86400 * second} {
		ticks := timeTicks(start, start+length, 6)
		if len(ticks) < 2 && length > second/5 || len(ticks) > 7 {
			t.Errorf("%d ns: %d ticks", length, len(ticks))
		}
	}
}

// A capture whose clock stands at the end of time had ticks without end.
func TestTicksAtTheEndOfTime(t *testing.T) {
	for _, c := range []struct{ start, end int64 }{
		{math.MaxInt64 - 10*second, math.MaxInt64}, {math.MinInt64, math.MinInt64 + 10*second}, {math.MinInt64, math.MaxInt64},
		{-5 * second, 5 * second}, {math.MaxInt64, math.MaxInt64}, {1, 0}, {math.MaxInt64, math.MinInt64},
	} {
		for _, limit := range []int{6, 10} {
			if ticks := timeTicks(c.start, c.end, limit); len(ticks) > limit || c.start < c.end && len(ticks) == 0 || !slices.IsSorted(ticks) {
				t.Errorf("from %d to %d: ticks %v", c.start, c.end, ticks)
			}
		}
	}
}

func TestRounding(t *testing.T) {
	for _, c := range []struct{ x, up, down float64 }{{1, 1, 1}, {1.1, 2, 1}, {4.9, 5, 2}, {5.1, 10, 5}, {100, 100, 100}, {0.3, 0.5, 0.2}, {99e6, 1e8, 5e7}} {
		if got := roundUp(c.x); got/c.up < 0.999 || got/c.up > 1.001 {
			t.Errorf("roundUp(%g) = %g, want %g", c.x, got, c.up)
		}
		if got := roundDown(c.x); got/c.down < 0.999 || got/c.down > 1.001 {
			t.Errorf("roundDown(%g) = %g, want %g", c.x, got, c.down)
		}
	}
}
