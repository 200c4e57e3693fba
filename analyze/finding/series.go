package finding

import (
	"fmt"
	"math"
	"slices"
	"time"

	"kmon/analyze/stat"
)

// series is a value a window; NaN: the window has none.
type series []float64

// blank is a series of n windows without values.
func blank(n int) series {
	v := make(series, n)
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}

// known are the values that there are.
func (v series) known() []float64 {
	return slices.DeleteFunc(slices.Clone(v), math.IsNaN)
}

// over is the median of a series over the windows of a run that have a value.
func (v series) over(run span) float64 { return stat.Median(v[run.first : run.last+1].known()) }

// fact is evidence without a threshold.
func fact(name string, value float64, text string, args ...any) Evidence {
	return Evidence{Name: name, Value: value, Text: fmt.Sprintf(text, args...)}
}

// held is the evidence with what it was held against; a reference that is NaN was
// not there.
func (e Evidence) held(threshold, reference float64) Evidence {
	e.Threshold = &threshold
	if !math.IsNaN(reference) {
		e.Reference = &reference
	}
	return e
}

// finite leaves out what has no value: a quantity of which nothing is known is no
// evidence, and no number of JSON either.
func finite(list []Evidence) []Evidence {
	strange := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
	kept := []Evidence{}
	for _, e := range list {
		if strange(e.Value) {
			continue
		}
		if e.Threshold != nil && strange(*e.Threshold) {
			e.Threshold = nil
		}
		if e.Reference != nil && strange(*e.Reference) {
			e.Reference = nil
		}
		kept = append(kept, e)
	}
	return kept
}

// timeText writes a duration with three digits.
func timeText(ns float64) string {
	if math.IsNaN(ns) {
		return "not known"
	}
	d := time.Duration(ns)
	for unit := time.Duration(1); ; unit *= 10 {
		if d.Abs() < 1000*unit || unit >= 1e15 {
			return d.Round(unit).String()
		}
	}
}

// ratioText writes how many times as much, as exactly as anybody can use.
func ratioText(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
}

// share writes a part of a whole.
func share(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }

// nan is a value that is not there.
var nan = math.NaN()
