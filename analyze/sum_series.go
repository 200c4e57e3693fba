package analyze

// SumSeries is what sums of something were window by window, for the HTML report,
// which adds windows up. The points of a whole recording add up to its sums.
type SumSeries struct {
	WidthNs int64 // of a window
	Points  []SumPoint
}

// SumPoint is one window. What Sums are of, its owner tells.
type SumPoint struct {
	StartNs int64
	Sums    []int64
}
