package cpu

import (
	"math"
	"math/bits"

	"kmon/analyze/replay"
)

// Frame is the time of interest, of which intervals may have a part only.
type Frame struct{ replay.Windows }

// span is an interval of a row and the part of it that is in the frame, Unix.
type span struct {
	start, end int64
	from, to   int64
}

// span cuts the interval of a row. It reports false when nothing is left. An
// interval of no length is in the frame or not.
func (f *Frame) span(start, end int64) (span, bool) {
	end = max(start, end)
	s := span{start, end, max(start, f.FromNs), min(end, f.ToNs)}
	if start == end {
		return s, f.Holds(start)
	}
	return s, s.from < s.to
}

// part gives the share of the span in v, which the whole interval has, as if
// it was spread evenly. The shares of spans that follow one another add up to
// v. A negative v counts as 0.
func (s *span) part(v int64) int64 {
	if s.from == s.start && s.to == s.end {
		return max(v, 0)
	}
	return s.until(v, s.to) - s.until(v, s.from)
}

// until is the share up to a time within the interval.
func (s *span) until(v, ns int64) int64 {
	v = max(v, 0)
	if ns >= s.end {
		return v
	}
	high, low := bits.Mul64(uint64(v), uint64(ns-s.start))
	part, _ := bits.Div64(high, low, uint64(s.end-s.start))
	return int64(part)
}

// each calls fn for each window that the span touches with the part of the
// span in it.
func (f *Frame) each(s span, fn func(index int32, part span)) {
	first, last := f.Of(s.from), f.Of(max(s.to-1, s.from))
	for i := first; i <= last; i++ {
		part := s
		if i > first {
			part.from = f.BaseNs + int64(i)*f.WidthNs
		}
		if i < last {
			part.to = f.BaseNs + int64(i+1)*f.WidthNs
		}
		fn(i, part)
	}
}

// add adds without leaving the range: a hostile capture has any number.
func add(sum *int64, v int64) {
	if *sum += v; *sum < 0 {
		*sum = math.MaxInt64
	}
}
