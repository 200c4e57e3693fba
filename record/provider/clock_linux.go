package provider

import (
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// Clock reads the monotonic and the realtime clock together: the realtime is
// read between two readings of the monotonic clock, whose middle is returned.
func Clock() format.ClockPair {
	mono, real := simultaneous(unix.CLOCK_REALTIME)
	return format.ClockPair{MonotonicNs: mono, RealtimeNs: real}
}

// simultaneous reads CLOCK_MONOTONIC and another clock at one moment: the
// narrowest of three readings, in case the reader was interrupted.
func simultaneous(clock int32) (mono, other int64) {
	narrowest := int64(1<<63 - 1)
	for range 3 {
		before := clockNs(unix.CLOCK_MONOTONIC)
		now := clockNs(clock)
		width := clockNs(unix.CLOCK_MONOTONIC) - before
		if width < narrowest {
			narrowest, mono, other = width, before+width/2, now
		}
	}
	return mono, other
}

// SuspendedNs is how long the machine was suspended since boot, CLOCK_BOOTTIME −
// CLOCK_MONOTONIC, rounded to the millisecond because the readings are not
// simultaneous.
func SuspendedNs() int64 {
	mono, boot := simultaneous(unix.CLOCK_BOOTTIME)
	return time.Duration(boot - mono).Round(time.Millisecond).Nanoseconds()
}

func clockNs(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0 // these clocks exist on every Linux
	}
	return ts.Nano()
}
