package main

import (
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{durationText(0), "0 ns"},
		{durationText(999), "999 ns"},
		{durationText(1234567), "1.23 ms"},
		{durationText(999600 * time.Microsecond), "1.00 s"},
		{durationText(59949 * time.Millisecond), "59.9 s"},
		{durationText(1001 * time.Second), "16 min 41 s"},
		{durationText(50*time.Hour + 29*time.Minute + 31*time.Second), "50 h 29 min"},
		{bytesText(0), "0 B"},
		{bytesText(1023), "1023 B"},
		{bytesText(1536), "1.50 KiB"},
		{bytesText(1<<20 - 1), "1.00 MiB"},
		{bytesText(5 << 50), "5120 TiB"},
		{countText(0), "0"},
		{countText(999), "999"},
		{countText(-1000), "-1,000"},
		{countText(-100), "-100"},
		{countText(1234567), "1,234,567"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
