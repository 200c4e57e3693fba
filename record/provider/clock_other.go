//go:build !linux

package provider

import (
	"time"

	"kmon/format"
)

// Clock knows the realtime only: there are no kernel events to compare a
// monotonic time with.
func Clock() format.ClockPair { return format.ClockPair{RealtimeNs: time.Now().UnixNano()} }

// SuspendedNs is not known here.
func SuspendedNs() int64 { return 0 }
