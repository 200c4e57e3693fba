package main

import (
	"fmt"
	"strconv"
	"time"
)

// The numbers of info and of record's last line. Reports have their own
// formatter; these say the same quantities in the same units.

// durationText gives a duration with three digits: "850 ns", "1.23 ms",
// "59.9 s", then "12 min 5 s".
func durationText(d time.Duration) string {
	if d < 1000 {
		return strconv.FormatInt(int64(d), 10) + " ns"
	}
	x := float64(d)
	for _, unit := range []string{"µs", "ms", "s"} {
		if x /= 1000; x < 999.5 {
			return threeDigits(x) + " " + unit
		}
	}
	d = d.Round(time.Second)
	if d < 2*time.Hour {
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// bytesText gives bytes in binary units with three digits.
func bytesText(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x, units := float64(n)/1024, []string{"KiB", "MiB", "GiB", "TiB"}
	for x >= 1023.5 && len(units) > 1 {
		x, units = x/1024, units[1:]
	}
	return threeDigits(x) + " " + units[0]
}

// countText gives n with a comma between groups of three digits.
func countText(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func threeDigits(x float64) string {
	decimals := 0
	switch {
	case x < 9.995:
		decimals = 2
	case x < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
