package reports

import (
	"strconv"

	"kmon/analyze"
)

// The units of a series in the page, as assets/charts.js reads them.
const (
	unitNs      = 0
	unitRate    = 1 // a count of each window
	unitBytes   = 2 // likewise
	unitCores   = 3 // ns of a window, as the mean number of CPUs
	unitThreads = 4 // likewise of threads
	unitFaults  = 5 // as unitRate, drawn as lines
)

// liveSeries is one line of a chart that scripts draw: of window i the value,
// and whether there is one.
type liveSeries struct {
	name string
	unit int64
	of   func(i int) (value int64, measured bool)
}

// liveChart is one chart that scripts draw.
type liveChart struct {
	starts []int64 // of the windows, Unix ns
	window int64   // ns
	flags  []int64 // of the windows: 1 partial, 2 with losses
	series []liveSeries
}

// packSeries packs charts, and marks over all of them, for assets/charts.js.
func packSeries(charts []liveChart, marks []analyze.Mark) (string, error) {
	if len(charts) == 0 {
		return "", nil
	}
	var b packer
	b.number(int64(len(marks)))
	for _, m := range marks {
		b.number(m.TsNs / 1e9)
		b.number(m.TsNs % 1e9)
	}
	b.number(int64(len(charts)))
	for _, c := range charts {
		start := int64(0)
		if len(c.starts) > 0 {
			start = c.starts[0]
		}
		b.number(start / 1e9)
		b.number(start % 1e9)
		b.number(c.window)
		column64(&b, c.starts, func(i int, ns int64) int64 { return (ns-start)/c.window - (c.starts[max(0, i-1)]-start)/c.window })
		column64(&b, c.flags, func(_ int, flag int64) int64 { return flag })
		b.number(int64(len(c.series)))
		for _, s := range c.series {
			b.text(s.name)
			b.number(s.unit)
			column64(&b, c.starts, func(i int, _ int64) int64 {
				if value, measured := s.of(i); measured {
					return value + 1
				}
				return 0
			})
		}
	}
	return b.pack()
}

// windowFlag says how far a window is to be trusted.
func windowFlag(partial bool, lost int64) (flag int64) {
	if partial {
		flag = 1
	}
	if lost > 0 {
		flag += 2
	}
	return flag
}

// liveService is the chart of a service's points.
func liveService(points []analyze.Point, window int64) liveChart {
	c := liveChart{window: window}
	for i := range points {
		c.starts = append(c.starts, points[i].StartNs)
		c.flags = append(c.flags, windowFlag(points[i].Partial, points[i].Lost))
	}
	latency := func(name string, of func(*analyze.Point) int64) liveSeries {
		return liveSeries{name, unitNs, func(i int) (int64, bool) { return of(&points[i]), points[i].Count > 0 }}
	}
	c.series = []liveSeries{
		{"requests", unitRate, func(i int) (int64, bool) { return points[i].Requests, true }},
		{"errors", unitRate, func(i int) (int64, bool) { return points[i].Errors, true }},
		latency("p50", func(p *analyze.Point) int64 { return p.P50 }),
		latency("p95", func(p *analyze.Point) int64 { return p.P95 }),
		latency("p99", func(p *analyze.Point) int64 { return p.P99 }),
	}
	return c
}

// liveDisk is the chart of a disk.
func liveDisk(d *analyze.Disk, window int64) liveChart {
	c := liveChart{window: window}
	points := d.Series
	for i := range points {
		c.starts = append(c.starts, points[i].StartNs)
		c.flags = append(c.flags, windowFlag(points[i].Partial, points[i].Lost))
	}
	latency := func(name string, of func(*analyze.DiskPoint) int64) liveSeries {
		return liveSeries{name, unitNs, func(i int) (int64, bool) { return of(&points[i]), points[i].IOs > 0 }}
	}
	c.series = []liveSeries{
		{"IOs", unitRate, func(i int) (int64, bool) { return points[i].IOs, true }},
		latency("p50", func(p *analyze.DiskPoint) int64 { return p.P50 }),
		latency("p99", func(p *analyze.DiskPoint) int64 { return p.P99 }),
		latency("max", func(p *analyze.DiskPoint) int64 { return p.Max }),
		{"read", unitBytes, func(i int) (int64, bool) { return points[i].ReadBytes, true }},
		{"written", unitBytes, func(i int) (int64, bool) { return points[i].WriteBytes, true }},
	}
	return c
}

// chartRef is the place of a live chart in the block.
func chartRef(i int) string { return strconv.Itoa(i) }
