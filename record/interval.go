package record

import (
	"errors"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

// interval is the one that runs: over it the rows of threads, waits, wake-ups
// and calls are added up.
type interval struct {
	startNs int64
	next    time.Time // when the next begins
}

// callsSettle is how long after an interval programs may still count in it: far
// longer than one runs.
const callsSettle = 500 * time.Millisecond

// beginIntervals begins the first interval. Threads that ended since the
// programs began to record, before nowNs, are of one that reaches back to the
// start.
func (r *recorder) beginIntervals(nowNs int64) {
	r.interval = interval{startNs: nowNs, next: time.Now().Add(r.options.interval())}
	r.decoder.IntervalStartNs, r.decoder.IntervalBeforeNs = nowNs, r.startNs
}

// endInterval ends the interval if it is over, and begins another.
func (r *recorder) endInterval() error {
	now := time.Now()
	if now.Before(r.interval.next) {
		return nil
	}
	r.interval.next = r.interval.next.Add(r.options.interval())
	if r.interval.next.Before(now) { // it was late by more than an interval
		r.interval.next = now.Add(r.options.interval())
	}
	return r.turnInterval(provider.Clock().MonotonicNs, false)
}

// turnInterval writes what threads did in the interval that endNs ends, and has calls
// counted anew: appendCalls writes the counts.
func (r *recorder) turnInterval(endNs int64, last bool) error {
	startNs := r.interval.startNs
	t, err := r.session.CollectThreads(startNs, endNs, last)
	r.decoder.IntervalBeforeNs, r.decoder.IntervalStartNs = startNs, endNs
	r.interval.startNs = endNs
	return errors.Join(err,
		format.Append(r.writer, t.Intervals...),
		format.Append(r.writer, t.Wakes...),
		format.Append(r.writer, t.OffCPU...),
		r.appendCalls(),
		r.session.TurnCalls(startNs, endNs))
}

// appendSettledCalls writes the counts of the interval before, once no program
// counts in it any more.
func (r *recorder) appendSettledCalls(nowNs int64) error {
	if nowNs-r.interval.startNs < callsSettle.Nanoseconds() {
		return nil
	}
	return r.appendCalls()
}

// appendCalls writes the counts of the interval that ended last, to the part
// that ended with it.
func (r *recorder) appendCalls() error {
	rows, err := r.session.Calls()
	w := r.writer
	if r.parts != nil && r.parts.ending != nil && r.parts.ending.calls {
		w, r.parts.ending.calls = r.parts.ending.writer, false
	}
	return errors.Join(err, format.Append(w, rows...))
}
