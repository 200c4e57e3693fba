package format

import "math"

// Range is a time of a capture, monotonic.
type Range struct {
	FromNs int64 // math.MinInt64: from the start
	ToNs   int64 // what began then is not of it; math.MaxInt64: to the end
}

// Always is the whole of a capture.
var Always = Range{math.MinInt64, math.MaxInt64}

// Holds says whether what began then is of the time.
func (r Range) Holds(ns int64) bool { return ns >= r.FromNs && ns < r.ToNs }

// Counts says whether a row, given as a pointer, is seen in the time: what happened
// in it, intervals that touch it, processes that had begun by its end, and whatever
// else may have lasted.
func (r Range) Counts(row any) bool {
	switch row := row.(type) {
	case *Socket:
		return r.Holds(row.TsNs)
	case *Proc:
		return r.Holds(row.TsNs)
	case *Process:
		return r == Always || row.StartNs-startSlackNs < r.ToNs
	}
	m, ok := momentOf(row)
	return !ok || r.touches(m)
}

// touches says whether an event is of the time.
func (r Range) touches(m moment) bool {
	if m.spread {
		return m.first < r.ToNs && max(m.first, m.last) >= r.FromNs
	}
	return r.Holds(m.first)
}

// Clip gives the part of a loss that is in the time, as if it was spread evenly:
// at least one, for it is not known to be none; false when nothing of it is. One of
// which the start is not known began with the capture, at startNs.
func (r Range) Clip(l Loss, startNs int64) (Loss, bool) {
	if l.StartNs == 0 {
		l.StartNs = min(startNs, l.EndNs)
	}
	l.EndNs = max(l.EndNs, l.StartNs)
	from, to := max(l.StartNs, r.FromNs), min(l.EndNs, r.ToNs)
	if from > to || from == to && l.StartNs < l.EndNs {
		return l, false
	}
	if length := float64(l.EndNs) - float64(l.StartNs); l.Count > 0 && (from > l.StartNs || to < l.EndNs) {
		share := (float64(to) - float64(from)) / length
		l.Count = max(1, int64(math.Round(float64(l.Count)*share)))
	}
	l.StartNs, l.EndNs = from, to
	return l, true
}
