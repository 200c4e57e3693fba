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

// points says how the points of one kind of series are read.
type points[T any] struct {
	start   func(*T) *int64 // of its window
	partial func(*T) *bool
	add     func(to, w *T) // adds a window to a point
}

// In a point of several windows counts add up, and of each percentile the worst
// stands, which the chart says.
var (
	servicePoints = points[analyze.Point]{
		func(w *analyze.Point) *int64 { return &w.StartNs },
		func(w *analyze.Point) *bool { return &w.Partial },
		func(to, w *analyze.Point) {
			to.Partial = to.Partial || w.Partial
			to.Requests += w.Requests
			to.Errors += w.Errors
			to.Lost += w.Lost
			to.Count += w.Count
			to.P50, to.P95 = max(to.P50, w.P50), max(to.P95, w.P95)
			to.P99, to.Max = max(to.P99, w.P99), max(to.Max, w.Max)
			to.Classes = mergedClasses(to.Classes, w.Classes)
		},
	}
	cpuPoints = points[analyze.CPUPoint]{
		func(w *analyze.CPUPoint) *int64 { return &w.StartNs },
		func(w *analyze.CPUPoint) *bool { return &w.Partial },
		func(to, w *analyze.CPUPoint) {
			to.Partial = to.Partial || w.Partial
			to.OnCPUNs += w.OnCPUNs
			to.RunQueueNs += w.RunQueueNs
			to.Lost += w.Lost
		},
	}
	diskPoints = points[analyze.DiskPoint]{
		func(w *analyze.DiskPoint) *int64 { return &w.StartNs },
		func(w *analyze.DiskPoint) *bool { return &w.Partial },
		func(to, w *analyze.DiskPoint) {
			to.Partial = to.Partial || w.Partial
			to.IOs += w.IOs
			to.ReadBytes += w.ReadBytes
			to.WriteBytes += w.WriteBytes
			to.Lost += w.Lost
			to.Count += w.Count
			to.P50, to.P99, to.Max = max(to.P50, w.P50), max(to.P99, w.P99), max(to.Max, w.Max)
			to.Classes = mergedClasses(to.Classes, w.Classes)
		},
	}
	faultPoints = points[analyze.NetworkPoint]{
		func(w *analyze.NetworkPoint) *int64 { return &w.StartNs },
		func(w *analyze.NetworkPoint) *bool { return &w.Partial },
		func(to, w *analyze.NetworkPoint) {
			to.Partial = to.Partial || w.Partial
			to.Retransmits += w.Retransmits
			to.Resets += w.Resets
			to.Drops += w.Drops
			to.Overflows += w.Overflows
		},
	}
)

// period spans some series.
func (k points[T]) period(window int64, all ...[]T) period {
	p := period{window: window, merged: 1}
	for _, series := range all {
		if len(series) == 0 {
			continue
		}
		if first := *k.start(&series[0]); p.start == 0 || first < p.start {
			p.start = first
		}
		p.end = max(p.end, *k.start(&series[len(series)-1])+window)
	}
	return p.within(chartPoints)
}

// thin merges the windows that fall into one point. A point that lacks some,
// because they were not recorded, is partial.
func (k points[T]) thin(p period, series []T) []T {
	if p.merged <= 1 || p.window <= 0 {
		return series
	}
	out, windows := []T{}, int64(0)
	for i := range series {
		w := &series[i]
		start := p.start + (*k.start(w)-p.start)/p.window*p.window
		if n := len(out); n == 0 || *k.start(&out[n-1]) != start {
			if n > 0 && windows < p.merged {
				*k.partial(&out[n-1]) = true
			}
			var point T
			*k.start(&point) = start
			out, windows = append(out, point), 0
		}
		windows++
		k.add(&out[len(out)-1], w)
	}
	return out
}

// within is p with at most so many points.
func (p period) within(points int64) period {
	if p.window <= 0 || p.end <= p.start {
		return p
	}
	width := p.window / p.merged
	windows := (p.end - p.start + width - 1) / width
	p.merged = max(1, (windows+points-1)/points)
	p.window = width * p.merged
	return p
}

// servicesPeriod spans the series of all services.
func servicesPeriod(a *analyze.Analysis) period {
	var all [][]analyze.Point
	for i := range a.Services {
		all = append(all, a.Services[i].Series)
	}
	return servicePoints.period(a.WindowNs, all...)
}

// cpuPeriod spans the CPU series of all services.
func cpuPeriod(a *analyze.Analysis) period {
	var all [][]analyze.CPUPoint
	for i := range a.Services {
		all = append(all, a.Services[i].CPUSeries)
	}
	return cpuPoints.period(a.WindowNs, all...)
}

// windowColumn marks windows that are only partly within the analyzed time.
func windowColumn[T any](partial func(*T) bool) spec[T] {
	return spec[T]{column{Head: "Window", Optional: true}, func(w *T) cell {
		if partial(w) {
			return word("partial")
		}
		return word("")
	}}
}

// seriesTable is the numbers of a chart.
func (p period) seriesTable(points []analyze.Point) table {
	seconds := float64(p.window) / 1e9
	quantile := func(head string, of func(*analyze.Point) int64) spec[analyze.Point] {
		return number(head, "", 0, func(w *analyze.Point) cell {
			return cell{Text: quantileText(analyze.Distribution{Count: w.Count}, of(w))}
		})
	}
	return withTimes(build("", "Numbers", points, []spec[analyze.Point]{
		{column{Head: "UTC"}, func(w *analyze.Point) cell { return word(clockText(w.StartNs)) }},
		number("Requests", "", 0, func(w *analyze.Point) cell { return counted(w.Requests) }),
		number("Rate", "", 0, func(w *analyze.Point) cell { return cell{Text: rateText(float64(w.Requests) / seconds)} }),
		number("Errors", "resets and unanswered", 0, func(w *analyze.Point) cell { return alarmed(w.Errors, toneBad) }),
		quantile("p50", func(w *analyze.Point) int64 { return w.P50 }),
		quantile("p95", func(w *analyze.Point) int64 { return w.P95 }),
		quantile("p99", func(w *analyze.Point) int64 { return w.P99 }),
		quantile("max", func(w *analyze.Point) int64 { return w.Max }),
		odd("Lost", "exchanges lost in this window, all services", 0, func(w *analyze.Point) cell { return alarmed(w.Lost, toneBad) }),
		windowColumn(func(w *analyze.Point) bool { return w.Partial }),
	}), points, func(w *analyze.Point) (int64, int64) { return w.StartNs, w.StartNs + p.window })
}
