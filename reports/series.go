package reports

import (
	"kmon/analyze"
)

// chartPoints is the most points a chart draws and lists.
const chartPoints = 240

// period is the time that charts show, the same for all of a report.
type period struct {
	start, end int64 // Unix ns
	window     int64 // width of a point; 0 when there is no series
	merged     int64 // windows in a point
}

// periodOf spans the series of the services.
func periodOf(services []analyze.Service, window int64) period {
	p := period{window: window, merged: 1}
	for i := range services {
		s := services[i].Series
		if len(s) == 0 {
			continue
		}
		if first := s[0].StartNs; p.start == 0 || first < p.start {
			p.start = first
		}
		p.end = max(p.end, s[len(s)-1].StartNs+window)
	}
	if window > 0 {
		windows := (p.end - p.start + window - 1) / window
		p.merged = max(1, (windows+chartPoints-1)/chartPoints)
		p.window = window * p.merged
	}
	return p
}

// thin merges the windows that fall into one point: counts add up, and of
// each percentile the worst stands, which the chart says.
func (p period) thin(series []analyze.Point) []analyze.Point {
	if p.merged <= 1 || p.window <= 0 {
		return series
	}
	out := []analyze.Point{}
	for _, w := range series {
		start := p.start + (w.StartNs-p.start)/p.window*p.window
		if len(out) == 0 || out[len(out)-1].StartNs != start {
			out = append(out, analyze.Point{StartNs: start})
		}
		o := &out[len(out)-1]
		o.Partial = o.Partial || w.Partial
		o.Requests += w.Requests
		o.Errors += w.Errors
		o.Lost += w.Lost
		if w.Count > 0 {
			o.Count += w.Count
			o.P50, o.P95 = max(o.P50, w.P50), max(o.P95, w.P95)
			o.P99, o.Max = max(o.P99, w.P99), max(o.Max, w.Max)
		}
	}
	return out
}

// seriesTable is the numbers of a chart.
func (p period) seriesTable(points []analyze.Point) table {
	seconds := float64(p.window) / 1e9
	quantile := func(head string, of func(*analyze.Point) int64) spec[analyze.Point] {
		return number(head, "", 0, func(w *analyze.Point) cell {
			return cell{Text: quantileText(analyze.Distribution{Count: w.Count}, of(w))}
		})
	}
	return build("", "Numbers", points, []spec[analyze.Point]{
		{column{Head: "UTC"}, func(w *analyze.Point) cell { return word(clockText(w.StartNs)) }},
		number("Requests", "", 0, func(w *analyze.Point) cell { return counted(w.Requests) }),
		number("Rate", "", 0, func(w *analyze.Point) cell { return cell{Text: rateText(float64(w.Requests) / seconds)} }),
		number("Errors", "resets and unanswered", 0, func(w *analyze.Point) cell { return alarmed(w.Errors, toneBad) }),
		quantile("p50", func(w *analyze.Point) int64 { return w.P50 }),
		quantile("p95", func(w *analyze.Point) int64 { return w.P95 }),
		quantile("p99", func(w *analyze.Point) int64 { return w.P99 }),
		quantile("max", func(w *analyze.Point) int64 { return w.Max }),
		odd("Lost", "exchanges lost in this window, all services", 0, func(w *analyze.Point) cell { return alarmed(w.Lost, toneBad) }),
		{column{Head: "Window", Optional: true}, func(w *analyze.Point) cell {
			if w.Partial {
				return word("partial")
			}
			return word("")
		}},
	})
}
