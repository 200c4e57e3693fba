package reports

import (
	"maps"
	"math"
	"slices"

	"kmon/analyze"
)

const (
	lineServices  = 5 // services that have a line of their own beside that of all
	faultServices = 8 // services that have a chart of network faults
)

// lineChart is lines of one unit over time, from 0 up.
type lineChart struct {
	name, caption, about string
	p                    period
	unit                 int64 // of the live chart
	text                 func(perS float64) string
	starts               []int64
	flags                []int64 // see windowFlag
	lines                []line
}

// line is one of them: of each point the sum in its window, -1: not recorded.
type line struct {
	name   string
	values []int64
}

// scaled is a value of a line as it is drawn: time as the mean number of CPUs
// or threads, counts a second.
func (c *lineChart) scaled(v int64) float64 {
	if c.unit == unitFaults {
		return float64(v) * 1e9 / float64(c.p.window)
	}
	return float64(v) / float64(c.p.window)
}

// live is the chart for scripts.
func (c *lineChart) live() liveChart {
	live := liveChart{window: c.p.window, starts: c.starts, flags: c.flags}
	for _, l := range c.lines {
		live.series = append(live.series, liveSeries{cut(nameText(l.name), nameHTML), c.unit, func(i int) (int64, bool) { return l.values[i], l.values[i] >= 0 }})
	}
	return live
}

// view draws the chart, with its numbers; index is its place among all charts.
func (c *lineChart) view(marks []analyze.Mark, index int) chartView {
	d := chart{area: chartArea, p: c.p}
	d.Name, d.Caption, d.About = c.name, c.caption, c.about
	d.Width, d.Height = px(d.width), px(d.height)
	d.Shades, d.Grid, d.Axis, d.Bars = []rect{}, []stroke{}, []label{}, []rect{}
	d.Lines, d.Marks, d.Hovers, d.Keys = []stroke{}, []stroke{}, []rect{}, []chartKey{}
	c.axis(&d)
	d.timeAxis()
	for i, l := range c.lines {
		class := lineClass(i)
		d.Keys = append(d.Keys, chartKey{class, cut(nameText(l.name), nameHTML)})
		d.Lines = append(d.Lines, stroke{D: c.path(&d, l), Class: "line " + class})
	}
	d.marks(marks)
	c.hovers(&d)
	if c.p.merged > 1 {
		d.Note = "Each point is " + CountText(c.p.merged) + " windows, added up."
	}
	d.list(c.table(), index)
	return d.chartView
}

// lineClass is the look of a line by its place.
func lineClass(i int) string {
	return "n" + chartRef(i%6)
}

// axis draws the axis of values, and shades what is not to be trusted fully.
func (c *lineChart) axis(d *chart) {
	most := 0.0
	for _, l := range c.lines {
		for _, v := range l.values {
			most = max(most, c.scaled(v))
		}
	}
	d.busiest = 1
	if most > 0 {
		d.busiest = roundUp(most)
	}
	for i, start := range c.starts {
		x := d.x(start)
		wide := min(d.wide(), d.right-x)
		for _, s := range []struct {
			flag         int64
			class, title string
		}{{1, "partial", "partial window"}, {2, "lossy", "rows lost"}} {
			if c.flags[i]&s.flag != 0 {
				d.Shades = append(d.Shades, box(x, d.latencyTop, wide, d.rateBottom-d.latencyTop, s.class, s.title))
			}
		}
	}
	for part := range 5 {
		v := d.busiest * float64(part) / 4
		y := c.y(d, v)
		d.Grid = append(d.Grid, stroke{D: "M" + px(d.left) + "," + px(y) + " H" + px(d.right), Class: "grid"})
		if part%2 == 0 {
			d.Axis = append(d.Axis, label{px(d.left - 6), px(y + 3.5), "tick", "end", c.text(v)})
		}
	}
}

// y is the place of a value.
func (c *lineChart) y(d *chart, v float64) float64 {
	return d.rateBottom - (d.rateBottom-d.latencyTop)*v/d.busiest
}

// path draws a line as steps, a window each, broken where windows are missing.
func (c *lineChart) path(d *chart, l line) string {
	text, last := "", int64(math.MinInt64)
	for i, start := range c.starts {
		if l.values[i] < 0 {
			continue
		}
		y := px(c.y(d, c.scaled(l.values[i])))
		if text == "" || start-last > c.p.window+c.p.window/2 {
			text += "M" + px(d.x(start)) + "," + y
		} else {
			text += "V" + y
		}
		text += "H" + px(min(d.x(start)+d.wide(), d.right))
		last = start
	}
	return text
}

// hovers lays a tooltip over each point.
func (c *lineChart) hovers(d *chart) {
	for i, start := range c.starts {
		title := clockText(start) + " UTC"
		for _, l := range c.lines {
			if l.values[i] >= 0 {
				title += " · " + cut(nameText(l.name), nameHTML) + " " + c.text(c.scaled(l.values[i]))
			}
		}
		x := d.x(start)
		d.Hovers = append(d.Hovers, box(x, d.latencyTop, min(d.wide(), d.right-x), d.rateBottom-d.latencyTop, "hover", title))
	}
}

// table is the numbers of the chart, a column a line.
func (c *lineChart) table() table {
	points := make([]int, len(c.starts))
	for i := range points {
		points[i] = i
	}
	specs := []spec[int]{{column{Head: "UTC"}, func(i *int) cell { return word(pointTime(c.starts[*i], c.flags[*i]&1 != 0)) }}}
	for _, l := range c.lines {
		specs = append(specs, number(cut(nameText(l.name), nameHTML), "", 0, func(i *int) cell {
			switch {
			case l.values[*i] < 0:
				return cell{Text: absent}
			case l.values[*i] == 0:
				return cell{Text: "0", Tone: toneZero}
			}
			if c.unit == unitFaults {
				return alarmed(l.values[*i], toneWarn)
			}
			return cell{Text: c.text(c.scaled(l.values[*i]))}
		}))
	}
	return withTimes(build("", "Numbers", points, specs), c.starts, func(ns *int64) (int64, int64) { return *ns, *ns + c.p.window })
}

// cpuCharts draws the CPUs in use and the threads that waited for one, of all
// services and of those with most.
func cpuCharts(a *analyze.Analysis) (charts []lineChart) {
	p := cpuPeriod(a)
	for _, of := range []struct {
		name, caption, about string
		unit                 int64
		value                func(*analyze.CPUPoint) int64
		total                func(*analyze.CPU) int64
	}{
		{"CPUs in use", "threads that ran, on average of each window", "CPUs in use over time", unitCores,
			func(w *analyze.CPUPoint) int64 { return w.OnCPUNs }, func(c *analyze.CPU) int64 { return c.OnCPUNs }},
		{"Waiting for a CPU", hintQueueing, "Threads that waited for a CPU over time", unitThreads,
			func(w *analyze.CPUPoint) int64 { return w.RunQueueNs }, func(c *analyze.CPU) int64 { return c.RunQueueNs }},
	} {
		c := lineChart{name: of.name, caption: of.caption, about: of.about + ", by service; the numbers are in the table below", p: p, unit: of.unit, text: coresText}
		timed := slices.DeleteFunc(workers(a), func(s service) bool { return len(s.CPUSeries) == 0 })
		slices.SortStableFunc(timed, func(x, y service) int { return int(min(max(of.total(y.CPU)-of.total(x.CPU), -1), 1)) })
		series := make([][]analyze.CPUPoint, len(timed))
		for i := range timed {
			series[i] = cpuPoints.thin(p, timed[i].CPUSeries)
		}
		c.begin(series)
		for i := range timed {
			c.add(series[i], timed[i].Name, i < lineServices && of.total(timed[i].CPU) > 0, of.value)
		}
		if len(c.lines) > 0 && p.end > p.start {
			charts = append(charts, c)
		}
	}
	return charts
}

// begin sets the points of the chart: those of any series. A service has none in
// windows in which its node was not recorded.
func (c *lineChart) begin(all [][]analyze.CPUPoint) {
	flags := map[int64]int64{}
	for _, points := range all {
		for _, w := range points {
			flags[w.StartNs] |= windowFlag(w.Partial, w.Lost)
		}
	}
	c.starts = slices.Sorted(maps.Keys(flags))
	for _, start := range c.starts {
		c.flags = append(c.flags, flags[start])
	}
	if len(all) > 0 {
		c.lines = []line{{"all services", make([]int64, len(c.starts))}}
	}
}

// add adds the points of a service to the line of all, and as one of its own.
func (c *lineChart) add(points []analyze.CPUPoint, name string, own bool, value func(*analyze.CPUPoint) int64) {
	values := slices.Repeat([]int64{-1}, len(c.starts))
	for i, start := range c.starts {
		if len(points) > 0 && points[0].StartNs == start {
			values[i] = value(&points[0])
			c.lines[0].values[i] += values[i]
			points = points[1:]
		}
	}
	if own {
		c.lines = append(c.lines, line{name, values})
	}
}

// faultCharts draws the network faults of the services that had any, and says
// how many were left out.
func faultCharts(a *analyze.Analysis) (charts []lineChart, more int) {
	for i := range a.Network {
		n := &a.Network[i]
		p := faultPoints.period(a.WindowNs, n.Series).within(stillPoints(a))
		if !faulty(*n) || p.window <= 0 || p.end <= p.start {
			continue
		}
		if len(charts) == faultServices {
			more++
			continue
		}
		charts = append(charts, faultChart(n, p))
	}
	return charts, more
}

// faultChart draws one service: a line for each kind that was recorded.
func faultChart(n *networkCount, p period) lineChart {
	c := lineChart{name: cut(nameText(n.Service), nameHTML), p: p, unit: unitFaults, text: rateText,
		about: "Network faults over time; the numbers are in the table below"}
	if n.Service == "" {
		c.name = "on nobody's socket"
	}
	points := faultPoints.thin(p, n.Series)
	for _, w := range points {
		c.starts = append(c.starts, w.StartNs)
		c.flags = append(c.flags, windowFlag(w.Partial, 0))
	}
	for _, kind := range []struct {
		name  string
		known bool
		of    func(*analyze.NetworkPoint) int64
	}{
		{"retransmits", n.Retransmits != nil, func(w *analyze.NetworkPoint) int64 { return w.Retransmits }},
		{"resets", n.ResetsSent != nil || n.ResetsReceived != nil, func(w *analyze.NetworkPoint) int64 { return w.Resets }},
		{"drops", n.Drops != nil, func(w *analyze.NetworkPoint) int64 { return w.Drops }},
		{"turned away", n.Overflows != nil, func(w *analyze.NetworkPoint) int64 { return w.Overflows }},
	} {
		if !kind.known {
			continue
		}
		l, sum := line{name: kind.name}, int64(0)
		for i := range points {
			l.values = append(l.values, kind.of(&points[i]))
			sum += l.values[i]
		}
		c.lines = append(c.lines, l)
		if c.caption != "" {
			c.caption += " · "
		}
		c.caption += CountText(sum) + " " + kind.name
	}
	return c
}
