package reports

import (
	"math"
	"slices"

	"kmon/analyze/compare"
)

// Sizes of a strip of samples, in pixels.
const (
	stripWidth  = 560.0
	stripLeft   = 52.0
	stripRight  = 16.0
	stripLane   = 24.0
	stripHeight = 2*stripLane + 22
	stripTick   = 2.5
	maxStrips   = 24
)

// stripView draws the values of both sides' windows or runs on one axis: what
// the verdict on a metric rests on.
type stripView struct {
	Title, About  string
	Width, Height string
	Ticks         []rect
	Medians       []stroke
	Axis          []stroke
	Labels        []label
}

// strips draws the samples of what changed, as far as there are any, and says
// how many have no drawing.
func strips(c *compare.Result) (views []stripView, more int) {
	views = []stripView{}
	rests, _ := decisive(c)
	for _, list := range [][]change{withOutcome(c, compare.Regression), withOutcome(c, compare.Improvement), withOutcome(c, compare.Changed), rests} {
		for i := range list {
			x := &list[i]
			if x.Base == nil || x.New == nil || len(x.Base.Samples) == 0 || len(x.New.Samples) == 0 {
				continue
			}
			if len(views) == maxStrips {
				more++
				continue
			}
			views = append(views, drawStrip(x, sampleUnit(c)))
		}
	}
	return views, more
}

// sampleUnit is what a sample is of.
func sampleUnit(c *compare.Result) string {
	if c.Settings.Unit == "run" {
		return "run"
	}
	return "window"
}

// drawStrip draws one metric.
func drawStrip(x *change, unit string) stripView {
	name := cut(nameText(x.Subject.Name), nameHTML)
	v := stripView{Title: name + ", " + visible(metricTitle(x)) + ": " + changeText(x), Width: px(stripWidth), Height: px(stripHeight),
		Ticks: []rect{}, Medians: []stroke{}, Axis: []stroke{}, Labels: []label{}}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range [][]float64{x.Base.Samples, x.New.Samples} {
		low, high = min(low, slices.Min(s)), max(high, slices.Max(s))
	}
	place := func(value float64) float64 {
		room := stripWidth - stripLeft - stripRight
		if high <= low {
			return stripLeft + room/2
		}
		return stripLeft + room*(value-low)/(high-low)
	}
	v.About = "Values of each " + unit
	for lane, side := range []struct {
		name, class string
		*compare.Value
	}{{"BASE", "base", x.Base}, {"NEW", "new", x.New}} {
		top := float64(lane) * stripLane
		for _, s := range side.Samples {
			v.Ticks = append(v.Ticks, box(place(s)-stripTick/2, top+5, stripTick, stripLane-8, side.class, side.name+" "+metricText(x.Unit, s)))
		}
		middle := side.Middle()
		at := place(middle)
		v.Medians = append(v.Medians, stroke{D: "M" + px(at) + "," + px(top+2) + " V" + px(top+stripLane), Class: "median",
			Title: side.name + ", the middle " + unit + ": " + metricText(x.Unit, middle)})
		v.Labels = append(v.Labels, label{px(stripLeft - 8), px(top + 17), "tick", "end", side.name})
		v.About += ", " + side.name + " around " + metricText(x.Unit, middle)
	}
	base := 2*stripLane + 3
	v.Axis = append(v.Axis, stroke{D: "M" + px(stripLeft) + "," + px(base) + " H" + px(stripWidth-stripRight), Class: "axis"})
	v.Labels = append(v.Labels, label{px(stripLeft), px(base + 14), "tick", "start", metricText(x.Unit, low)},
		label{px(stripWidth - stripRight), px(base + 14), "tick", "end", metricText(x.Unit, high)})
	return v
}
