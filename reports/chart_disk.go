package reports

import (
	"kmon/analyze"
)

// diskNoun is what the chart of a disk counts.
const diskNoun = "IO"

// diskQuantiles are the lines of a disk.
var diskQuantiles = []quantileLine{
	{"p50", func(w *analyze.Point) int64 { return w.P50 }},
	{"p99", func(w *analyze.Point) int64 { return w.P99 }},
	{"max", func(w *analyze.Point) int64 { return w.Max }},
}

// diskCharts draws the disks that were used, in the order of the analysis;
// first is the place of their first live chart.
func diskCharts(a *analyze.Analysis, first int) (views []chartView, live []liveChart) {
	views = []chartView{}
	for i := range a.Disks {
		d := a.Disks[i]
		p := diskPoints.period(a.WindowNs, d.Series)
		if d.IOs == 0 || p.window <= 0 || p.end <= p.start || len(views) == chartLimit {
			continue
		}
		whole, still := d.Series, p.within(stillPoints(a))
		d.Series = diskPoints.thin(p, whole)
		live = append(live, liveDisk(&d, p.window))
		drawn := d
		drawn.Series = diskPoints.thin(still, whole)
		views = append(views, drawDisk(a, &drawn, still, first+len(views)))
	}
	return views, live
}

// drawDisk draws one disk, whose series is thinned.
func drawDisk(a *analyze.Analysis, d *analyze.Disk, p period, index int) chartView {
	c := chart{area: chartArea, p: p, points: asPoints(d.Series), quantiles: diskQuantiles, noun: diskNoun}
	c.Name = cut(nameText(d.Name), nameHTML)
	c.About = "Latency percentiles and IOs a second of disk " + c.Name + " over time; the numbers are in the table below"
	c.Caption = CountText(d.IOs) + plural(int(d.IOs), " IO") + " · read " + BytesText(d.ReadBytes) + " · written " + BytesText(d.WriteBytes) +
		" · p50 " + quantileText(d.Latency, d.Latency.P50) + " · p99 " + quantileText(d.Latency, d.Latency.P99)
	c.Note = p.stillNote("IOs and bytes")
	c.draw(a.Marks)
	c.list(diskSeriesTable(d.Series, p.window), index)
	return c.chartView
}

// asPoints are the windows of a disk as points of a chart.
func asPoints(series []analyze.DiskPoint) []analyze.Point {
	points := make([]analyze.Point, len(series))
	for i, w := range series {
		points[i] = analyze.Point{StartNs: w.StartNs, Partial: w.Partial, Requests: w.IOs, Lost: w.Lost, Count: w.Count, P50: w.P50, P99: w.P99, Max: w.Max}
	}
	return points
}

// diskSeriesTable is the numbers of a disk's chart.
func diskSeriesTable(points []analyze.DiskPoint, window int64) table {
	seconds := float64(window) / 1e9
	latency := func(head string, of func(*analyze.DiskPoint) int64) spec[analyze.DiskPoint] {
		return number(head, "", 0, func(w *analyze.DiskPoint) cell {
			return cell{Text: quantileText(analyze.Distribution{Count: w.Count}, of(w))}
		})
	}
	return withTimes(build("", "Numbers", points, []spec[analyze.DiskPoint]{
		{column{Head: "UTC"}, func(w *analyze.DiskPoint) cell { return word(clockText(w.StartNs)) }},
		number("IOs", "", 0, func(w *analyze.DiskPoint) cell { return counted(w.IOs) }),
		number("Rate", "", 0, func(w *analyze.DiskPoint) cell { return cell{Text: rateText(float64(w.IOs) / seconds)} }),
		number("Read", "", 0, func(w *analyze.DiskPoint) cell { return cell{Text: BytesText(w.ReadBytes)} }),
		number("Written", "", 0, func(w *analyze.DiskPoint) cell { return cell{Text: BytesText(w.WriteBytes)} }),
		latency("p50", func(w *analyze.DiskPoint) int64 { return w.P50 }),
		latency("p99", func(w *analyze.DiskPoint) int64 { return w.P99 }),
		latency("max", func(w *analyze.DiskPoint) int64 { return w.Max }),
		odd("Lost", "IOs lost or left out in this window, all disks", 0, func(w *analyze.DiskPoint) cell { return alarmed(w.Lost, toneBad) }),
		windowColumn(func(w *analyze.DiskPoint) bool { return w.Partial }),
	}), points, func(w *analyze.DiskPoint) (int64, int64) { return w.StartNs, w.StartNs + window })
}
