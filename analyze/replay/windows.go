package replay

// Windows is the time that is analyzed, in Unix nanoseconds, and its division
// into windows of one width.
type Windows struct {
	FromNs, ToNs int64 // what began in [FromNs, ToNs) counts
	BaseNs       int64 // start of window 0
	WidthNs      int64 // above 0
	Count        int32 // at least 1
}

// Holds says whether what began at a time counts.
func (w Windows) Holds(ns int64) bool { return ns >= w.FromNs && ns < w.ToNs }

// Of gives the window of a time, the first or last for times outside.
func (w Windows) Of(ns int64) int32 {
	if ns <= w.BaseNs {
		return 0
	}
	return int32(min((uint64(ns)-uint64(w.BaseNs))/uint64(w.WidthNs), uint64(w.Count-1)))
}
