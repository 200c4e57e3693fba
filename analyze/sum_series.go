package analyze

import (
	"kmon/analyze/replay"
)

// SumSeries is what sums of something were window by window, for the HTML report,
// which adds windows up. The points of a whole recording add up to its sums.
type SumSeries struct {
	WidthNs int64 // of a window
	Points  []SumPoint
}

// SumPoint is one window. What Sums and Max are of, its owner tells.
type SumPoint struct {
	StartNs int64
	Sums    []int64
	Max     []int64 // the largest values, of which those of several windows have the largest; -1: there was none
}

// largest says how the windows of what does not add up are told: how many there are of
// them, and what they are in a window that was recorded and has none.
type largest struct {
	n    int
	none int64
}

// partSeries adds up the windows of some keys, of which the captures recorded all there
// was: n sums of each.
func partSeries[K comparable](r *run, of *replay.Sums[K], captures map[int32]bool, n int, most largest, keys ...K) SumSeries {
	if of == nil {
		return SumSeries{}
	}
	b := r.newSumsByWindow(of.Windows, captures, n)
	b.most = most
	for index := range of.Windows.Count {
		for _, k := range keys {
			if sum := of.At(k, index); sum != nil {
				b.add(index, sum.Values[:n]...)
				b.atLeast(index, sum.Max[:most.n]...)
			}
		}
	}
	return b.series()
}
