package record

import (
	"fmt"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

const (
	// clockStepNs is the least change of one clock against another that is told.
	// What NTP does to a clock is slower: 500 ppm, 30 ms in a minute.
	clockStepNs = 100e6
	// stoppedNs is the least time between two ticks that is told: 25 times what
	// the rings are emptied after.
	stoppedNs = 5e9
)

// clocks is a look at the clocks of the machine. All times in a capture are
// monotonic, so that durations stay right when the wall clock is set, and are
// shown by the wall clock of the start: what happens to it is marked.
type clocks struct {
	format.ClockPair
	suspendedNs int64 // since boot, which the monotonic clock leaves out
}

func readClocks() clocks { return clocks{provider.Clock(), provider.SuspendedNs()} }

// changes are the marks of what happened to the clocks, or to a recorder that
// did not run, from one look to the next.
func (c clocks) changes(next clocks) []format.Mark {
	var list []format.Mark
	mark := func(kind, text string, ns int64) {
		duration := time.Duration(max(ns, -ns)).Round(time.Millisecond)
		list = append(list, format.Mark{TsNs: next.MonotonicNs, Kind: kind, Text: fmt.Sprintf(text, duration)})
	}
	suspended := next.suspendedNs - c.suspendedNs
	if suspended >= clockStepNs {
		mark("suspend", "the machine was suspended for %s: no duration counts it, and times after it are shown as much too early", suspended)
	}
	switch step := next.RealtimeNs - next.MonotonicNs - (c.RealtimeNs - c.MonotonicNs) - suspended; {
	case step >= clockStepNs:
		mark("clock", "the wall clock was set forward by %s: times are shown by the clock before", step)
	case step <= -clockStepNs:
		mark("clock", "the wall clock was set back by %s: times are shown by the clock before", step)
	}
	if stopped := next.MonotonicNs - c.MonotonicNs; stopped >= stoppedNs {
		mark("stopped", "the recorder did not run for %s: what found no room meanwhile is counted as lost", stopped)
	}
	return list
}

// markClocks writes what happened to the clocks since the last look.
func (r *recorder) markClocks() error {
	now := readClocks()
	marks := r.clocks.changes(now)
	r.clocks = now
	return format.Append(r.writer, marks...)
}
