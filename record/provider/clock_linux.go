package provider

import (
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// Clock reads the monotonic and the realtime clock together: the realtime is
// read between two readings of the monotonic clock, whose middle is returned.
func Clock() format.ClockPair {
	best := format.ClockPair{}
	narrowest := int64(1<<63 - 1)
	for range 3 { // the narrowest of three, in case the reader was interrupted
		before := clockNs(unix.CLOCK_MONOTONIC)
		real := clockNs(unix.CLOCK_REALTIME)
		width := clockNs(unix.CLOCK_MONOTONIC) - before
		if width < narrowest {
			narrowest = width
			best = format.ClockPair{MonotonicNs: before + width/2, RealtimeNs: real}
		}
	}
	return best
}

// bootOffset is CLOCK_BOOTTIME − CLOCK_MONOTONIC: the time the machine was
// suspended, rounded to the millisecond because the readings are not
// simultaneous.
func bootOffset() int64 {
	offset := clockNs(unix.CLOCK_BOOTTIME) - clockNs(unix.CLOCK_MONOTONIC)
	return time.Duration(offset).Round(time.Millisecond).Nanoseconds()
}

func clockNs(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0 // these clocks exist on every Linux
	}
	return ts.Nano()
}
