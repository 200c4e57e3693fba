package analyze

import (
	"cmp"
	"fmt"
	"math/bits"
	"path/filepath"
	"slices"
	"strings"

	"kmon/analyze/replay"
	"kmon/format"
)

// coverages holds the coverage of each capture's tables.
type coverages [][]Coverage

// coverage compares, for each capture and table, what was read of the analyzed time
// with what is known to be missing: losses the recorder counted, and rows that its
// final count has and the file lacks, of which it is not known when they were.
func (r *run) coverage() coverages {
	list := make(coverages, len(r.captures))
	for i, c := range r.captures {
		tables := map[string]*Coverage{}
		get := func(table string) *Coverage {
			if tables[table] == nil {
				tables[table] = &Coverage{Table: table, Seen: c.Seen[table], durationNs: narrowed(c)}
			}
			return tables[table]
		}
		get("exchanges")
		for table, n := range c.Seen {
			if n > 0 {
				get(table)
			}
		}
		for _, l := range c.Losses {
			get(l.Table).Lost += max(l.Count, 0)
		}
		for table, ns := range uncountedNs(c.Losses) {
			get(table).UncountedNs = ns
		}
		for table, n := range writtenRows(c) {
			if read, known := c.Rows[table]; known && n > read {
				get(table).Lost += n - read
			}
		}
		list[i] = sortCoverage(tables)
	}
	return list
}

// narrowed is how long the analyzed time of a capture is.
func narrowed(c *replay.Capture) int64 {
	return max(min(c.EndNs, c.Within.ToNs)-max(c.StartNs, c.Within.FromNs), 0)
}

func sortCoverage(tables map[string]*Coverage) []Coverage {
	list := []Coverage{}
	for _, c := range tables {
		c.Ratio = ratio(c.Seen, c.Lost) * recordedShare(c.UncountedNs, c.durationNs)
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Coverage) int { return cmp.Compare(a.Table, b.Table) })
	return list
}

// ratio is seen / (seen + lost); nothing lost of nothing is complete.
func ratio(seen, lost int64) float64 {
	if lost == 0 {
		return 1
	}
	return float64(seen) / float64(seen+lost)
}

// recordedShare is the part of a time that is not uncounted.
func recordedShare(uncountedNs, durationNs int64) float64 {
	if uncountedNs <= 0 || durationNs <= 0 {
		return 1
	}
	return 1 - float64(min(uncountedNs, durationNs))/float64(durationNs)
}

// writtenRows is how many rows the recorder says it wrote.
func writtenRows(c *replay.Capture) map[string]int64 {
	if c.Final == nil {
		return nil
	}
	return c.Final.Rows
}

// ofTable gives the coverage of one table in a capture's list.
func ofTable(list []Coverage, table string) float64 {
	for _, c := range list {
		if c.Table == table {
			return c.Ratio
		}
	}
	return 1
}

// of gives the coverage of a table over some captures, over all when none is
// given.
func (c coverages) of(table string, captures map[int32]bool) float64 {
	var seen, lost, uncountedNs, durationNs int64
	for i, tables := range c {
		if len(captures) > 0 && !captures[int32(i)] {
			continue
		}
		for _, t := range tables {
			if t.Table == table {
				seen += t.Seen
				lost += t.Lost
				uncountedNs += t.UncountedNs
				durationNs += t.durationNs
			}
		}
	}
	return ratio(seen, lost) * recordedShare(uncountedNs, durationNs)
}

// label names a capture: its file's base name, or the path given when two
// captures share that.
func (r *run) label(c *replay.Capture) string {
	base := filepath.Base(c.Path)
	for _, o := range r.captures {
		if o != c && filepath.Base(o.Path) == base {
			return c.Path
		}
	}
	return base
}

func (r *run) describeCaptures(coverage coverages) []Capture {
	list, peers := []Capture{}, r.clockPeers()
	for i, c := range r.captures {
		host := c.Manifest.Host
		out := Capture{
			File: r.label(c), SHA256: r.hashes[i], Parts: r.partFiles[i], Gaps: gaps(c),
			Host: host.Name, Kernel: host.Kernel, OS: host.OS, Arch: host.Arch, CPUs: host.CPUs,
			KmonVersion: c.Manifest.KmonVersion, Synthetic: c.Manifest.Synthetic,
			StartNs: c.StartNs + c.OffsetNs, DurationNs: c.EndNs - c.StartNs,
			Collectors: collectors(c), Coverage: coverage[i],
			Clock:    clock(c),
			Problems: c.Problems(), Rows: c.Rows, Recorder: recorder(c),
		}
		out.Redacted, out.NoCommandLines = c.Manifest.Redacted != nil, c.Manifest.NoCommandLines()
		if cut := c.Manifest.Cut; cut != nil {
			out.CutFrom = &Span{cut.StartNs + c.OffsetNs, cut.EndNs + c.OffsetNs}
		}
		out.Clock.Peers, out.Clock.ShiftNs = peers[int32(i)], r.options.shiftNs[host.Name]
		if c.Final != nil {
			out.StopReason = c.Final.StopReason
		}
		list = append(list, out)
	}
	return list
}

func collectors(c *replay.Capture) []Collector {
	list := []Collector{}
	for _, k := range c.Manifest.Collectors {
		list = append(list, Collector{Name: k.Name, Variant: joined(k.Variants, "="), Missing: joined(k.Missing, ": "), Settings: joined(k.Settings, "=")})
	}
	return list
}

// joined writes a map in the order of its keys.
func joined(m map[string]string, between string) string {
	words := make([]string, 0, len(m))
	for k, v := range m {
		words = append(words, k+between+v)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func clock(c *replay.Capture) Clock {
	out := Clock{OffsetNs: c.OffsetNs, DriftNs: c.DriftNs, Source: "manifest"}
	if n := len(c.Self); n > 0 {
		out.Source = fmt.Sprintf("manifest, drift from %d clock pairs", n)
	}
	return out
}

// gaps lists the gaps of a capture.
func gaps(c *replay.Capture) []Gap {
	var list []Gap
	for _, g := range c.Gaps {
		out := Gap{After: g.After, Before: g.Before, EndNs: g.EndNs + c.OffsetNs}
		if g.After > 0 {
			out.StartNs = g.StartNs + c.OffsetNs
		}
		list = append(list, out)
	}
	return list
}

// recorder gives what recording cost in the time of the capture.
func recorder(c *replay.Capture) Recorder {
	cost := format.CostOf(c.Self, &c.Manifest)
	out := Recorder{CPUNs: cost.CPUNs, MaxRSSBytes: cost.RSSBytes, BPFRunNs: cost.BPFRunNs}
	if c.Final != nil {
		out.CPUNs = max(out.CPUNs, c.Final.CPUNs)
		out.MaxRSSBytes = max(out.MaxRSSBytes, c.Final.MaxRSSBytes)
	}
	d := int64(0)
	for _, s := range recorded(c) {
		d += s.EndNs - s.StartNs
	}
	if d > 0 {
		out.CPUPercent = 100 * float64(out.CPUNs) / float64(d)
	}
	return out
}

// losses lists the periods with losses, joined where one follows the other.
func (r *run) losses() []Loss {
	list := []Loss{}
	for _, c := range r.captures {
		for _, l := range c.Losses {
			if isShed(l) {
				continue
			}
			list = append(list, Loss{
				Capture: r.label(c), Collector: l.Collector, Table: l.Table, Cause: l.Cause.String(),
				Count: l.Count, StartNs: l.StartNs + c.OffsetNs, EndNs: l.EndNs + c.OffsetNs,
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Collector, b.Collector),
			cmp.Compare(a.Table, b.Table), cmp.Compare(a.Cause, b.Cause),
			cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs))
	})
	merged := list[:0]
	for _, l := range list {
		if n := len(merged); n > 0 && follows(merged[n-1], l) {
			merged[n-1].Count += l.Count
			merged[n-1].EndNs = max(merged[n-1].EndNs, l.EndNs)
			continue
		}
		merged = append(merged, l)
	}
	return listed(r, "losses", merged, maxLossesListed)
}

func follows(a, b Loss) bool {
	return a.Capture == b.Capture && a.Collector == b.Collector && a.Table == b.Table &&
		a.Cause == b.Cause && b.StartNs <= a.EndNs
}

// marks lists the marks within the range, by time.
func (r *run) marks() []Mark {
	list := []Mark{}
	for _, c := range r.captures {
		for _, m := range c.Marks {
			if at := m.TsNs + c.OffsetNs; at >= r.frame.FromNs && at < r.frame.ToNs {
				list = append(list, Mark{Capture: r.label(c), TsNs: at, Kind: m.Kind, Text: m.Text})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Mark) int { return cmp.Compare(a.TsNs, b.TsNs) })
	return listed(r, "marks", list, maxMarksListed)
}

// What is listed at most; every report shows all of these.
const (
	maxMarksListed  = 1000
	maxLossesListed = 10_000
)

// listed cuts a list and says so.
func listed[T any](r *run, what string, list []T, most int) []T {
	if more := len(list) - most; more > 0 {
		r.remarks = append(r.remarks, fmt.Sprintf("%d further %s are left out", more, what))
		return list[:most]
	}
	return list
}

// lostPerWindow spreads the lost rows of a table evenly over the time in which
// they were lost. The windows add up to all losses.
func (r *run) lostPerWindow(table string) []int64 {
	lost := make([]int64, r.frame.Windows)
	for _, c := range r.captures {
		for _, l := range c.Losses {
			if l.Table == table && l.Count > 0 {
				spread(lost, r.windows(), l, c.OffsetNs)
			}
		}
	}
	return lost
}

// spread adds a loss to the windows.
func spread(lost []int64, w replay.Windows, l format.Loss, offset int64) {
	before := int64(0)
	for i := range lost {
		sum := l.Count
		if i < len(lost)-1 {
			sum = lostBy(l, w.BaseNs+int64(i+1)*w.WidthNs-offset)
		}
		lost[i] += max(sum-before, 0)
		before = max(sum, before)
	}
}

// lostBy gives how many of a loss's events were lost by a time, if they were
// lost evenly.
func lostBy(l format.Loss, ns int64) int64 {
	switch {
	case ns >= l.EndNs:
		return l.Count
	case ns <= l.StartNs:
		return 0
	}
	high, low := bits.Mul64(uint64(l.Count), uint64(ns-l.StartNs))
	part, _ := bits.Div64(high, low, uint64(l.EndNs-l.StartNs))
	return int64(part)
}
