package analyze

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"kmon/analyze/request"
)

const (
	// maxLatencyMaps is how many edges have a heat map: those with the most
	// requests.
	maxLatencyMaps = 32
	// maxHeatRows is what latencies from the shortest to the longest are
	// divided into.
	maxHeatRows = 64
)

// latencyMaps gives the latencies of the busiest edges by window, in the order
// of the edges. Rows are whole buckets of the sketches that the windows hold,
// so the counts are exact.
func (r *run) latencyMaps(edges []*edgeSum) []HeatMap {
	var timed []*edgeSum
	for _, e := range edges {
		if stats := e.primary(); r.wanted(e.edgeKey.client, e.edgeKey.server) && hasLatency(stats) {
			timed = append(timed, e)
		}
	}
	slices.SortStableFunc(timed, func(a, b *edgeSum) int { return cmp.Compare(b.primary().Requests, a.primary().Requests) })
	timed = timed[:min(len(timed), maxLatencyMaps)]
	slices.SortFunc(timed, compareEdges)
	var maps []HeatMap
	for _, e := range timed {
		subject := e.edgeKey.client + " → " + e.edgeKey.server + ":" + strconv.Itoa(int(e.port))
		maps = append(maps, r.latencyMap(subject, e.primary()))
	}
	return maps
}

func hasLatency(s *request.Stats) bool {
	return slices.ContainsFunc(s.Windows, func(w request.Window) bool { return w.Latency.Count() > 0 })
}

// latencyMap counts the latencies of one edge by window and row.
func (r *run) latencyMap(subject string, stats *request.Stats) HeatMap {
	all := stats.Latency()
	bounds := latencyRows(all.Min(), all.Max())
	m := HeatMap{Kind: "latency", Subject: subject, StartNs: r.frame.BaseNs, ColumnNs: r.frame.WidthNs,
		RowBounds: bounds, Cells: []HeatCell{}}
	counts := make([]int64, len(bounds)-1)
	for i := range stats.Windows {
		w := &stats.Windows[i]
		clear(counts)
		w.Latency.Each(func(low, count int64) {
			row, _ := slices.BinarySearch(bounds, low+1)
			counts[min(row, len(counts))-1] += count
		})
		for row, n := range counts {
			if n > 0 {
				m.Cells = append(m.Cells, HeatCell{Column: w.Index, Row: int32(row), Count: n})
			}
		}
	}
	return m
}

// latencyRows gives the bounds of rows for latencies from lowest to highest:
// every power of two is cut into 8, 4, 2 or 1 equal rows, as many as fit. What
// is under 128 ns is one row.
func latencyRows(lowest, highest int64) []int64 {
	lowest, highest = min(lowest, math.MaxInt64-1), min(highest, math.MaxInt64-1)
	low, high := octave(lowest), octave(highest)
	per := uint(3)
	for per > 0 && (high-low+1)<<per > maxHeatRows {
		per--
	}
	bounds := []int64{0}
	for o := low; o <= high; o++ {
		for part := range int64(1) << per {
			bounds = append(bounds, int64(1)<<o+part<<(o-per))
		}
	}
	first, _ := slices.BinarySearch(bounds, lowest+1)
	bounds = bounds[first-1:]
	if end, _ := slices.BinarySearch(bounds, highest+1); end < len(bounds) {
		return bounds[:end+1]
	}
	if high == 62 {
		return append(bounds, math.MaxInt64)
	}
	return append(bounds, int64(1)<<(high+1))
}

// octave gives the power of two that v lies in; below 128 it is that of 128.
func octave(v int64) uint { return uint(max(bits.Len64(uint64(v))-1, 7)) }
