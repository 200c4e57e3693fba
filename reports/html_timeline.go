package reports

import (
	"cmp"
	"slices"
	"strconv"

	"kmon/analyze"
)

// Sizes of the timeline, in pixels. There is one for screens and paper, and one for
// phones, where the other's texts would be too small.
const (
	markLane    = 16.0
	findingLane = 19.0
	missingLane = 16.0
	letterWidth = 6.2 // of a text in the drawing, about
	laneMarks   = 200 // most marks drawn
	laneName    = 40  // columns of a mark's text
)

// timelineForm is one of its two forms.
type timelineForm struct {
	class       string
	left, right float64
	width       float64
	latency     float64 // height
	rate        float64 // height
	points      int64   // at most
	ticks       int     // of time, at most
	findings    int     // most that have a lane of their own
}

var timelineForms = []timelineForm{
	{class: "wide", width: 1240, left: 66, right: 1204, latency: 84, rate: 44, points: chartPoints, ticks: 12, findings: 6},
	{class: "phone", width: 366, left: 54, right: 340, latency: 84, rate: 44, points: 90, ticks: 4, findings: 5},
}

// timelineView is the whole recording on one axis of time: marks, findings, what
// is missing, latency and rate of all that was served.
type timelineView struct {
	chartView
	Class                    string
	Lanes                    []label    // their names, and those of marks and losses
	Bands                    []bandView // findings
	Missing                  []rect
	From, To, Step           string // Unix ms of the edges and of the windows that can be picked
	Left, Right, Top, Bottom string // of what can be picked
}

// bandView is the time of a finding. Anchor is "" where the page does not hold it.
type bandView struct {
	Box    rect
	Name   label // Text may be ""
	Anchor string
	Time   string // see timeAttribute
}

// timeline is the state while drawing one.
type timeline struct {
	chart
	out   timelineView
	form  timelineForm
	floor float64 // lower edge of the lanes so far
}

// drawTimelines draws both forms; none when there is no time to draw.
func drawTimelines(a *analyze.Analysis) []timelineView {
	views := []timelineView{}
	for _, form := range timelineForms {
		p := timelinePeriod(a)
		if p.end <= p.start || p.window <= 0 {
			return views
		}
		views = append(views, drawTimeline(a, form, p))
	}
	return views
}

// timelinePeriod is the time of the drawing, with the windows that can be picked.
func timelinePeriod(a *analyze.Analysis) period {
	p := servicePoints.period(a.WindowNs, a.Series)
	if len(a.Series) == 0 && a.WindowNs > 0 && a.EndNs > a.StartNs {
		p = period{start: a.StartNs / a.WindowNs * a.WindowNs, end: a.EndNs, window: a.WindowNs, merged: 1}.within(chartPoints)
	}
	if p.window > 0 && p.end > p.start { // whole windows
		p.end = p.start + (p.end-p.start+p.window-1)/p.window*p.window
	}
	return p
}

func drawTimeline(a *analyze.Analysis, form timelineForm, p period) timelineView {
	drawn := p.within(form.points)
	t := timeline{form: form, floor: 4}
	t.chart = chart{p: drawn, points: servicePoints.thin(drawn, a.Series), quantiles: timelineQuantiles, noun: "request"}
	t.area = area{width: form.width, left: form.left, right: form.right, ticks: form.ticks}
	t.out.Class, t.out.Lanes, t.out.Bands, t.out.Missing = form.class, []label{}, []bandView{}, []rect{}
	t.markLane(a.Marks)
	t.findingLanes(a)
	t.missingLane(a)
	t.plots(len(a.Series) > 0)
	t.dark(a.NotRecorded)
	t.tallMarks(a.Marks)
	t.About = "Timeline of the recording: marks, findings, what is missing, and latency and rate of all requests served; the numbers are in the tables below"
	t.out.chartView = t.chartView
	t.out.From, t.out.To, t.out.Step = milliseconds(p.start), milliseconds(p.end), milliseconds(p.window)
	t.out.Left, t.out.Right, t.out.Top, t.out.Bottom = px(t.left), px(t.right), "0", px(t.rateBottom)
	return t.out
}

// plots draws latency and rate below the lanes, if requests were recorded.
func (t *timeline) plots(recorded bool) {
	t.latencyTop = t.floor + 10
	t.latencyBottom = t.latencyTop + t.form.latency
	t.rateTop = t.latencyBottom + 14
	t.rateBottom = t.rateTop + t.form.rate
	if !recorded {
		t.rateBottom = t.latencyTop + findingLane
	}
	t.height = t.rateBottom + 22
	if recorded {
		t.draw(nil)
		return
	}
	t.Width, t.Height = px(t.width), px(t.height)
	t.Shades, t.Grid, t.Axis, t.Bars = []rect{}, []stroke{}, []label{}, []rect{}
	t.Lines, t.Marks, t.Hovers = []stroke{}, []stroke{}, []rect{}
	t.Axis = append(t.Axis, label{px(t.left + 4), px(t.rateBottom - 6), "tick", "start", "requests were not recorded"})
	t.timeAxis()
}

// timelineQuantiles are the lines of the timeline.
var timelineQuantiles = []quantileLine{serviceQuantiles[0], serviceQuantiles[2]}

// milliseconds is a time for scripts.
func milliseconds(ns int64) string {
	return strconv.FormatFloat(float64(ns)/1e6, 'f', -1, 64)
}

// within is a time cut to the drawing; ok is false for one outside.
func (t *timeline) within(from, to int64) (x0, x1 float64, ok bool) {
	if to < t.p.start || from > t.p.end || to < from {
		return 0, 0, false
	}
	return t.x(max(from, t.p.start)), t.x(min(to, t.p.end)), true
}

// lane opens a lane and names it.
func (t *timeline) lane(name string, height float64) (top float64) {
	top = t.floor
	t.floor += height
	if name != "" {
		t.out.Lanes = append(t.out.Lanes, label{px(t.left - 6), px(top + height - 5), "tick", "end", name})
	}
	return top
}

// markLane writes the marks' texts, as far as they do not meet.
func (t *timeline) markLane(all []analyze.Mark) {
	marks := t.drawnMarks(all)
	if len(marks) == 0 {
		return
	}
	top, free := t.lane("marks", markLane), t.left
	for i, m := range marks {
		x := t.x(m.TsNs)
		next := t.right + 30
		if i+1 < len(marks) {
			next = max(t.x(marks[i+1].TsNs), x+30) // it gives way to the next
		}
		room := int((next - x - 6) / letterWidth)
		text := cut(visible(m.Text), min(room, laneName))
		if x < free || room < 4 || text == "" {
			continue
		}
		free = x + 6 + float64(columns(text))*letterWidth
		t.out.Lanes = append(t.out.Lanes, label{px(x + 4), px(top + markLane - 5), "mark", "start", text})
	}
}

// drawnMarks are the marks within the drawing, by time, at most laneMarks.
func (t *timeline) drawnMarks(all []analyze.Mark) []analyze.Mark {
	marks := slices.DeleteFunc(copied(all), func(m analyze.Mark) bool { return m.TsNs < t.p.start || m.TsNs > t.p.end })
	slices.SortStableFunc(marks, func(x, y analyze.Mark) int { return cmp.Compare(x.TsNs, y.TsNs) })
	return marks[:min(len(marks), laneMarks)]
}

// tallMarks draws the marks over everything.
func (t *timeline) tallMarks(all []analyze.Mark) {
	for _, m := range t.drawnMarks(all) {
		t.Marks = append(t.Marks, stroke{
			D: "M" + px(t.x(m.TsNs)) + ",4 V" + px(t.rateBottom), Class: "mark",
			Title: clockText(m.TsNs) + " " + visible(m.Kind) + ": " + visible(m.Text),
		})
	}
}

// findingLanes draws a band for each finding; those beyond the lanes share one.
func (t *timeline) findingLanes(a *analyze.Analysis) {
	shared := -1.0
	name := "findings"
	for i := range a.Findings[:min(len(a.Findings), findingsMost)] {
		f := &a.Findings[i]
		x0, x1, ok := t.within(f.StartNs, f.EndNs)
		if !ok || f.EndNs <= f.StartNs {
			continue
		}
		if len(t.out.Bands) >= t.form.findings {
			if shared < 0 {
				shared = t.lane("more", findingLane)
			}
			t.band(f, i+1, x0, x1, shared, false)
			continue
		}
		t.band(f, i+1, x0, x1, t.lane(name, findingLane), true)
		name = ""
	}
}

// band draws one finding, and writes in, after or before it what it is.
func (t *timeline) band(f *finding, number int, x0, x1, top float64, named bool) {
	place := strconv.Itoa(number)
	b := bandView{Anchor: "finding-" + place, Time: timeAttribute(f.StartNs, f.EndNs)}
	title := place + ". " + nameText(string(f.Severity)) + ": " + nameText(f.Title)
	class := "band " + string(severityTone(f))
	b.Box = box(x0, top+1, max(x1-x0, 3), findingLane-4, class, title)
	if named {
		b.Name = t.beside(place+" "+string(f.Severity)+": "+string(f.Kind)+", "+f.Subject.Name, x0, max(x1, x0+3), top+findingLane-7)
	}
	t.out.Bands = append(t.out.Bands, b)
}

// beside places a text where there is most room for it.
func (t *timeline) beside(text string, x0, x1, y float64) label {
	text = nameText(text)
	need := float64(columns(text))*letterWidth + 8
	edge := t.width - 4
	switch {
	case need <= x1-x0, need > edge-x1 && need > x0-t.left && x1-x0 >= max(edge-x1, x0-t.left):
		return label{px(x0 + 4), px(y), "band", "start", cut(text, int((x1-x0-6)/letterWidth))}
	case need <= edge-x1, edge-x1 >= x0-t.left:
		return label{px(x1 + 4), px(y), "band", "start", cut(text, int((edge-x1-6)/letterWidth))}
	}
	return label{px(x0 - 4), px(y), "band", "end", cut(text, int((x0-t.left-6)/letterWidth))}
}

// missing is a time of which something is not known.
type missing struct {
	from, to int64
	lost     int64
	class    string
	title    string
}

// missingLane draws what was lost, left out or not recorded.
func (t *timeline) missingLane(a *analyze.Analysis) {
	all := []missing{}
	for _, g := range a.NotRecorded {
		all = append(all, missing{g.StartNs, g.EndNs, 0, "dark", "nothing was recorded for " + DurationText(g.EndNs-g.StartNs)})
	}
	for _, g := range a.LeftOut {
		all = append(all, missing{g.StartNs, g.EndNs, 0, "left-out", "not recorded because of --max-overhead: " + visible(g.What)})
	}
	for _, l := range a.Losses {
		all = append(all, missing{l.StartNs, l.EndNs, l.Count, "lossy", CountText(l.Count) + " rows of " + visible(l.Table) + " lost: " + visible(l.Cause)})
	}
	slices.SortStableFunc(all, func(x, y missing) int { return cmp.Compare(x.from, y.from) })
	all = slices.DeleteFunc(all, func(m missing) bool { _, _, ok := t.within(m.from, m.to); return !ok })
	if len(all) == 0 {
		return
	}
	top := t.lane("missing", missingLane)
	for _, m := range t.joined(all) {
		x0, x1, _ := t.within(m.from, m.to)
		t.out.Missing = append(t.out.Missing, box(x0, top+2, max(x1-x0, 3), missingLane-6, m.class, clockText(m.from)+" to "+clockText(m.to)+" UTC: "+m.title))
	}
}

// joined adds up losses that a reader could not tell apart.
func (t *timeline) joined(all []missing) []missing {
	list, last := []missing{}, -1
	for _, m := range all {
		if m.class == "lossy" && last >= 0 && t.x(max(m.from, t.p.start)) < t.x(min(list[last].to, t.p.end))+3 {
			list[last].to, list[last].lost = max(list[last].to, m.to), list[last].lost+m.lost
			list[last].title = CountText(list[last].lost) + " rows lost"
			continue
		}
		if m.class == "lossy" {
			last = len(list)
		}
		list = append(list, m)
	}
	return list
}

// dark shades what was not recorded at all over the plots.
func (t *timeline) dark(spans []analyze.Span) {
	for _, s := range spans {
		if x0, x1, ok := t.within(s.StartNs, s.EndNs); ok {
			t.Shades = append(t.Shades, box(x0, t.latencyTop, max(x1-x0, 1), t.rateBottom-t.latencyTop, "dark", "not recorded"))
		}
	}
}
