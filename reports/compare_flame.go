package reports

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"kmon/analyze/compare"
)

// flameDelta is a function of one service's difference.
type flameDelta struct {
	*compare.FlameFunction
	of *compare.FlameDifference
}

// share is the difference as a part of the service's time.
func (d *flameDelta) share() float64 {
	return math.Abs(d.NewSelf-d.BaseSelf) / max(d.of.Base, d.of.New, 1e-300)
}

// flameTables are the largest differences of the stacks, a table each for time
// on and off the CPU, of what functions take themselves and, if wanted, with
// what they called.
func flameTables(c *compare.Result, callees bool) []table {
	tables := []table{}
	for _, kind := range []string{"on-cpu", "off-cpu"} {
		list := []flameDelta{}
		for i := range c.Flames {
			if f := &c.Flames[i]; f.Kind == kind {
				for j := range f.Functions {
					list = append(list, flameDelta{&f.Functions[j], f})
				}
			}
		}
		slices.SortStableFunc(list, func(a, b flameDelta) int { return cmp.Compare(b.share(), a.share()) })
		t := flameDeltas("functions-"+kind, kindTitle(kind)+" by function: the largest differences from BASE to NEW", list, callees)
		t.Note = flameNote(c, kind)
		tables = append(tables, t)
	}
	return tables
}

// flameDeltas lists functions.
func flameDeltas(id, title string, list []flameDelta, callees bool) table {
	amount := func(head, hint string, rank int, of func(*flameDelta) float64) spec[flameDelta] {
		return number(head, hint, rank, func(d *flameDelta) cell { return cell{Text: flameAmount(d.of, of(d))} })
	}
	specs := []spec[flameDelta]{
		{column{Head: "Service", Kind: kindName}, func(d *flameDelta) cell { return named(d.of.Service) }},
		{column{Head: "Function", Kind: kindName}, func(d *flameDelta) cell { return named(d.Name) }},
		{column{Head: "Module", Kind: kindName, Rank: 6, Optional: true}, func(d *flameDelta) cell { return named(d.Module) }},
		{column{Head: "Per", Hint: "what both sides are divided by", Rank: 3}, func(d *flameDelta) cell { return word(d.of.Per) }},
		amount("BASE", "its own time, without what it called", 0, func(d *flameDelta) float64 { return d.BaseSelf }),
		amount("NEW", "its own time, without what it called", 0, func(d *flameDelta) float64 { return d.NewSelf }),
		number("Difference", "NEW less BASE", 1, func(d *flameDelta) cell { return cell{Text: flameDifference(d.of, d.NewSelf-d.BaseSelf)} }),
		number("Change", "of BASE", 0, func(d *flameDelta) cell { return cell{Text: frameChange(d.State, d.BaseSelf, d.NewSelf)} }),
	}
	if callees {
		specs = append(specs,
			amount("BASE with callees", "with what it called", 5, func(d *flameDelta) float64 { return d.BaseTotal }),
			amount("NEW with callees", "with what it called", 5, func(d *flameDelta) float64 { return d.NewTotal }))
	}
	return build(id, title, list, specs)
}

// flameNote says what was left out; "" when nothing was.
func flameNote(c *compare.Result, kind string) string {
	unsure := 0
	for i := range c.Flames {
		if c.Flames[i].Kind == kind {
			unsure += c.Flames[i].Unsure
		}
	}
	switch {
	case kind == "off-cpu":
		return "Waiting for work counts, too: a service that is asked less waits longer."
	case unsure > 0:
		return CountText(int64(unsure)) + plural(unsure, " further function") + " differ by no more than sampling explains."
	}
	return ""
}

// flameAmount is an amount of time per request or second.
func flameAmount(f *compare.FlameDifference, v float64) string {
	if f.Unit == "samples" {
		return metricText("count", v)
	}
	return metricText("ns", v)
}

// flameDifference is an amount with its sign.
func flameDifference(f *compare.FlameDifference, v float64) string {
	if v > 0 {
		return "+" + flameAmount(f, v)
	}
	return flameAmount(f, v)
}

// frameChange says how a frame changed: relatively, or that one side lacks it.
func frameChange(state string, base, new float64) string {
	switch {
	case state == "new":
		return "NEW only"
	case state == "gone":
		return "GONE"
	case base <= 0:
		return absent // it was there, but never the leaf
	}
	return relativeText(new/base - 1)
}

// Sizes of the drawing of a difference, in pixels.
const (
	diffWidth  = 1200.0
	diffDepth  = 60 // deeper frames are left out
	diffFrames = 1200
	diffGraphs = 6
)

// diffGraph draws where the time of one service changed.
type diffGraph struct {
	flameView
	Service string
	of      *compare.FlameDifference
	deepest int
	left    int
}

// diffSpan is a frame and the part of the width it has.
type diffSpan struct {
	node  *compare.FlameNode
	x, w  float64
	depth int
}

// diffGraphsOf draws the differences, and says how many have no drawing.
func diffGraphsOf(c *compare.Result) (views []flameView, more int) {
	views = []flameView{}
	for i := range c.Flames {
		if len(views) == diffGraphs {
			return views, len(c.Flames) - i
		}
		views = append(views, drawDifference(&c.Flames[i], len(views)))
	}
	return views, 0
}

// drawDifference draws one tree, level by level. A frame is as wide as the mean
// of both sides, which adds up: what is new or gone has its place, too.
func drawDifference(f *compare.FlameDifference, index int) flameView {
	d := diffGraph{of: f}
	d.ID = "difference-" + strconv.Itoa(index+1)
	d.Title = kindTitle(f.Kind) + " per " + visible(f.Per) + " of " + cut(nameText(f.Service), nameHTML) + ": from BASE to NEW"
	level := []diffSpan{{&f.Root, 0, diffWidth, 0}}
	for len(level) > 0 {
		var next []diffSpan
		for _, s := range level {
			d.frame(s)
			next = append(next, d.below(s)...)
		}
		level = next
	}
	d.Width, d.Height = px(diffWidth), px(float64(d.deepest+1)*flameRow)
	d.Caption = "BASE " + flameAmount(f, f.Base) + ", NEW " + flameAmount(f, f.New) + " per " + visible(f.Per) + ", " + relativeText(f.New/f.Base-1) +
		". A frame is as wide as the mean of both; what it called stands below it."
	if d.left > 0 {
		d.Caption += " " + framesLeftOut(d.left)
	}
	return d.flameView
}

// frame draws one frame.
func (d *diffGraph) frame(s diffSpan) {
	d.deepest = max(d.deepest, s.depth)
	name := cut(nameText(s.node.Name), frameHTML)
	change := frameChange(s.node.State(), s.node.Base, s.node.New)
	title := name
	if s.node.Module != "" {
		title += " [" + cut(visible(s.node.Module), nameHTML) + "]"
	}
	title += ": BASE " + flameAmount(d.of, s.node.Base) + ", NEW " + flameAmount(d.of, s.node.New) + ", " +
		flameDifference(d.of, s.node.New-s.node.Base) + " (" + change + ")"
	y := float64(s.depth) * flameRow
	f := flameFrame{Box: box(s.x, y, max(0.5, s.w-0.5), flameRow-1, "frame "+diffClass(s.node, d.of), title)}
	if room := int((s.w - 6) / 6.3); room >= 4 {
		f.TX, f.TY = px(s.x+3), px(y+12)
		f.Label = cut(name, room)
		if room > columns(name)+columns(change)+1 {
			f.Label = name + " " + change
		}
	}
	d.Frames = append(d.Frames, f)
}

// below gives the children that are wide enough to draw.
func (d *diffGraph) below(s diffSpan) []diffSpan {
	var spans []diffSpan
	x := s.x
	for i := range s.node.Children {
		c := &s.node.Children[i]
		w := diffWidth * max(0, c.Base+c.New) / max(d.of.Base+d.of.New, 1e-300)
		w = math.Min(w, s.x+s.w-x)
		if w < flameLeast || s.depth+1 >= diffDepth || len(d.Frames)+len(spans) >= diffFrames {
			d.left++
		} else {
			spans = append(spans, diffSpan{c, x, w, s.depth + 1})
		}
		x += w
	}
	return spans
}

// diffSteps are the shares of the whole service's time from which a frame's
// difference has the next colour.
var diffSteps = []float64{0.002, 0.01, 0.04}

// diffClass is the colour of a frame: by how much of the service's time its
// difference is, and dashed when one side lacks it.
func diffClass(n *compare.FlameNode, f *compare.FlameDifference) string {
	delta := (n.New - n.Base) / max(f.Base, f.New, 1e-300)
	step := 0
	for _, least := range diffSteps {
		if math.Abs(delta) >= least {
			step++
		}
	}
	class := "same"
	if step > 0 {
		class = "more" + strconv.Itoa(step)
		if delta < 0 {
			class = "less" + strconv.Itoa(step)
		}
	}
	if state := n.State(); state != "changed" {
		class += " " + state
	}
	return class
}
