package reports

import (
	"math"

	"kmon/analyze"
)

// chartLimit is how many charts of a kind are in a report.
const chartLimit = 24

// area is where a chart draws, in pixels: latency above, rate below, time at the
// foot.
type area struct {
	width, height, left, right, latencyTop, latencyBottom, rateTop, rateBottom float64
	ticks                                                                      int // of time, at most
}

// chartArea is that of every chart but the timeline.
var chartArea = area{width: 600, height: 218, left: 62, right: 556, latencyTop: 12, latencyBottom: 132, rateTop: 152, rateBottom: 196, ticks: 6}

// chartView is the latency and rate of one service over time.
type chartView struct {
	Name, Caption, Note string
	Width, Height       string
	Shades              []rect   // partial windows and windows with losses
	Grid                []stroke // behind the data
	Axis                []label
	Bars                []rect   // requests, then errors
	Lines               []stroke // percentiles
	Marks               []stroke
	Hovers              []rect // invisible, one a point: tooltips
	Table               htmlTable
	Keys                []chartKey // what the lines are, where the section's legend does not say
	About               string     // what is drawn, for who does not see it
	Live                string     // its place among the charts that scripts draw
}

// chartKey names a line by its look.
type chartKey struct{ Class, Text string }

// chart is the state while drawing one.
type chart struct {
	chartView
	area
	p         period
	points    []analyze.Point
	quantiles []quantileLine
	noun      string  // what is counted
	low, high float64 // of the latency axis, ns
	busiest   float64 // of the rate axis, per second
}

// quantileLine is a line of latencies.
type quantileLine struct {
	name string
	of   func(*analyze.Point) int64
}

// serviceQuantiles are the lines of a service.
var serviceQuantiles = []quantileLine{
	{"p50", func(w *analyze.Point) int64 { return w.P50 }},
	{"p95", func(w *analyze.Point) int64 { return w.P95 }},
	{"p99", func(w *analyze.Point) int64 { return w.P99 }},
}

// charts draws the services that answered, busiest first, and says how many
// were left out. The live charts are the same for scripts.
func charts(a *analyze.Analysis) (views []chartView, live []liveChart, more int) {
	views = []chartView{}
	p := servicesPeriod(a)
	still := p.within(stillPoints(a))
	for _, s := range busiest(a.Services) {
		if s.Requests == 0 || len(s.Series) == 0 || p.window <= 0 || p.end <= p.start {
			continue
		}
		if len(views) == chartLimit {
			more++
			continue
		}
		live = append(live, liveService(servicePoints.thin(p, s.Series), p.window))
		s.Series = servicePoints.thin(still, s.Series)
		views = append(views, drawChart(a, &s, still, len(views)))
	}
	return views, live, more
}

// stillPoints is how many points a drawing and the table below it have, where
// scripts draw chartPoints: so many that all of a page take some 700 KB.
func stillPoints(a *analyze.Analysis) int64 {
	charts := min(len(a.Services), chartLimit) + min(len(a.Disks), chartLimit)
	return min(max(1200/int64(max(charts, 1)), 40), chartPoints)
}

// stillNote says what was added up in the drawing and the table.
func (p period) stillNote(counts string) string {
	if p.merged <= 1 {
		return ""
	}
	return "Each row of the table is " + CountText(p.merged) + " windows: " + counts + " added up, of each percentile the worst window."
}

// drawChart draws one service, whose series is thinned.
func drawChart(a *analyze.Analysis, s *analyze.Service, p period, index int) chartView {
	c := chart{area: chartArea, p: p, points: s.Series, quantiles: serviceQuantiles, noun: "request"}
	c.Name = cut(nameText(s.Name), nameHTML)
	c.About = "Latency percentiles and request rate of " + c.Name + " over time; the numbers are in the table below"
	c.Caption = CountText(s.Requests) + plural(int(s.Requests), " request") + " · p50 " +
		quantileText(s.Latency, s.Latency.P50) + " · p99 " + quantileText(s.Latency, s.Latency.P99)
	c.Note = p.stillNote("requests")
	c.draw(a.Marks)
	c.list(p.seriesTable(c.points), index)
	return c.chartView
}

// list puts the numbers of a chart below it; index is its place among all.
func (v *chartView) list(numbers table, index int) {
	numbers.ID, numbers.Title = "chart-"+CountText(int64(index+1)), "Numbers of "+v.Name
	v.Table = forHTML(numbers, len(numbers.Rows))
	v.Live = chartRef(index)
}

// draw draws the points, and marks over them.
func (c *chart) draw(marks []analyze.Mark) {
	c.Width, c.Height = px(c.width), px(c.height)
	c.Shades, c.Grid, c.Axis, c.Bars = []rect{}, []stroke{}, []label{}, []rect{}
	c.Lines, c.Marks, c.Hovers = []stroke{}, []stroke{}, []rect{}
	c.scales()
	c.shade()
	c.latencyAxis()
	c.rateAxis()
	c.timeAxis()
	c.bars()
	c.lines()
	c.marks(marks)
	c.hovers()
}

// x is the place of a time.
func (c *chart) x(ns int64) float64 {
	return c.left + (c.right-c.left)*float64(ns-c.p.start)/float64(c.p.end-c.p.start)
}

// wide is the width of a window.
func (c *chart) wide() float64 {
	return (c.right - c.left) * float64(c.p.window) / float64(c.p.end-c.p.start)
}

// latencyY is the place of a latency on the logarithmic axis.
func (c *chart) latencyY(ns float64) float64 {
	share := math.Log(max(ns, c.low)/c.low) / math.Log(c.high/c.low)
	return c.latencyBottom - (c.latencyBottom-c.latencyTop)*share
}

// rateY is the place of a rate.
func (c *chart) rateY(perS float64) float64 {
	return c.rateBottom - (c.rateBottom-c.rateTop)*perS/c.busiest
}

// perS is a count of a window as a rate.
func (c *chart) perS(n int64) float64 {
	return float64(n) * 1e9 / float64(c.p.window)
}

// scales fits the axes to the data.
func (c *chart) scales() {
	low, high, busiest := math.Inf(1), 0.0, 0.0
	for _, w := range c.points {
		busiest = max(busiest, c.perS(w.Requests), c.perS(w.Errors))
		if w.Count > 0 {
			for _, q := range c.quantiles {
				low, high = min(low, float64(max(1, q.of(&w)))), max(high, float64(q.of(&w)))
			}
		}
	}
	if high == 0 {
		low, high = 1e6, 1e7
	}
	c.low, c.high = roundDown(low), roundUp(max(high, low))
	if c.high <= c.low {
		c.high = c.low * 10
	}
	c.busiest = 1
	if busiest > 0 {
		c.busiest = roundUp(busiest)
	}
}

// lossNoun names what is lost: requests are made of exchanges.
func (c *chart) lossNoun() string {
	if c.noun == diskNoun {
		return "IOs"
	}
	return "exchanges"
}

// shade draws bands behind windows that are not to be trusted fully.
func (c *chart) shade() {
	for _, w := range c.points {
		x := c.x(w.StartNs)
		wide := min(c.wide(), c.right-x)
		if w.Partial {
			c.Shades = append(c.Shades, box(x, c.latencyTop, wide, c.rateBottom-c.latencyTop, "partial", "partial window"))
		}
		if w.Lost > 0 {
			c.Shades = append(c.Shades, box(x, c.latencyTop, wide, c.rateBottom-c.latencyTop, "lossy", CountText(w.Lost)+" "+c.lossNoun()+" lost"))
		}
	}
}

// latencyAxis draws the logarithmic axis.
func (c *chart) latencyAxis() {
	for _, tick := range logTicks(c.low, c.high) {
		y := c.latencyY(tick)
		c.Grid = append(c.Grid, stroke{D: "M" + px(c.left) + "," + px(y) + " H" + px(c.right), Class: "grid"})
		c.Axis = append(c.Axis, label{px(c.left - 6), px(y + 3.5), "tick", "end", roundText(int64(math.Round(tick)))})
	}
}

// roundText is a duration without the zeros that three digits would give a
// round number.
func roundText(ns int64) string {
	for _, u := range []struct {
		ns   int64
		name string
	}{{1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}} {
		if ns >= u.ns && ns%u.ns == 0 {
			return CountText(ns/u.ns) + u.name
		}
	}
	return DurationText(ns)
}

// rateAxis draws the base line and the top of the rate axis.
func (c *chart) rateAxis() {
	for _, rate := range []float64{0, c.busiest} {
		y := c.rateY(rate)
		c.Grid = append(c.Grid, stroke{D: "M" + px(c.left) + "," + px(y) + " H" + px(c.right), Class: "grid"})
	}
	top := rateText(c.busiest)
	if c.busiest >= 1 {
		top = CountText(int64(math.Round(c.busiest))) + "/s"
	}
	c.Axis = append(c.Axis,
		label{px(c.left - 6), px(c.rateY(c.busiest) + 3.5), "tick", "end", top},
		label{px(c.left - 6), px(c.rateY(0) + 3.5), "tick", "end", "0"})
}

// timeAxis draws round UTC times.
func (c *chart) timeAxis() {
	for _, t := range timeTicks(c.p.start, c.p.end, c.ticks) {
		x := c.x(t)
		c.Grid = append(c.Grid, stroke{D: "M" + px(x) + "," + px(c.rateBottom) + " v4", Class: "axis"})
		c.Axis = append(c.Axis, label{px(x), px(c.height - 6), "tick", "middle", clockText(t)})
	}
}

// bars draws requests and, in front, errors.
func (c *chart) bars() {
	wide := max(0.5, c.wide()*0.82)
	for _, w := range c.points {
		x := c.x(w.StartNs) + (c.wide()-wide)/2
		for _, b := range []struct {
			n     int64
			class string
			least float64 // height of the smallest bar, so that one error shows
		}{{w.Requests, "requests", 1}, {w.Errors, "errors", 5}} {
			if b.n > 0 {
				y := min(c.rateY(c.perS(b.n)), c.rateBottom-b.least)
				c.Bars = append(c.Bars, box(x, y, wide, c.rateBottom-y, b.class, ""))
			}
		}
	}
}

// lines draws the percentiles with their names at the right end.
func (c *chart) lines() {
	below := math.Inf(1)
	for _, q := range c.quantiles {
		d, end := c.line(q.of)
		if d == "" {
			continue
		}
		c.Lines = append(c.Lines, stroke{D: d, Class: q.name})
		y := min(end, below-11) // higher percentiles stand above lower ones
		below = y
		c.Axis = append(c.Axis, label{px(c.right + 5), px(y + 3.5), "end " + q.name, "start", q.name})
	}
}

// line is the path of one percentile, broken where a window has no samples,
// and the height of its end. A window between two gaps is a dot.
func (c *chart) line(of func(*analyze.Point) int64) (d string, end float64) {
	last := int64(0) // start of the window before, if it had samples
	for i := range c.points {
		w := &c.points[i]
		if w.Count == 0 {
			last = 0
			continue
		}
		joined := w.StartNs-last < c.p.window+c.p.window/2
		last = w.StartNs
		x, y := px(c.x(w.StartNs)+c.wide()/2), c.latencyY(float64(of(w)))
		if joined {
			d += " L" + x + "," + px(y)
		} else {
			d += " M" + x + "," + px(y) + " h0"
		}
		end = y
	}
	if d != "" {
		d = d[1:]
	}
	return d, end
}

// marks draws the marked moments.
func (c *chart) marks(marks []analyze.Mark) {
	for _, m := range marks {
		if m.TsNs < c.p.start || m.TsNs > c.p.end {
			continue
		}
		c.Marks = append(c.Marks, stroke{
			D:     "M" + px(c.x(m.TsNs)) + "," + px(c.latencyTop-6) + " V" + px(c.rateBottom),
			Class: "mark", Title: clockText(m.TsNs) + " " + visible(m.Kind) + ": " + visible(m.Text),
		})
	}
}

// hovers lays a tooltip over each point.
func (c *chart) hovers() {
	for _, w := range c.points {
		title := clockText(w.StartNs) + " UTC · " + CountText(w.Requests) + plural(int(w.Requests), " "+c.noun)
		for _, q := range c.quantiles {
			if w.Count > 0 {
				title += " · " + q.name + " " + DurationText(q.of(&w))
			}
		}
		if w.Errors > 0 {
			title += " · " + CountText(w.Errors) + plural(int(w.Errors), " error")
		}
		if w.Lost > 0 {
			title += " · " + CountText(w.Lost) + " lost"
		}
		if w.Partial {
			title += " · partial window"
		}
		x := c.x(w.StartNs)
		c.Hovers = append(c.Hovers, box(x, c.latencyTop, min(c.wide(), c.right-x), c.rateBottom-c.latencyTop, "hover", title))
	}
}
