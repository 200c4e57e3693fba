package reports

import (
	"math"
	"strconv"
	"strings"
	"time"

	"kmon/analyze"
)

// absent stands for a number that was not measured. It is never 0.
const absent = "–"

// DurationText gives ns with three significant digits: "850 ns", "1.23 ms",
// "59.9 s". From 1000 s on it gives whole minutes and seconds, or hours and
// minutes.
func DurationText(ns int64) string {
	if ns < 0 {
		return "-" + DurationText(-max(ns, -math.MaxInt64))
	}
	if ns < 1000 {
		return strconv.FormatInt(ns, 10) + " ns"
	}
	x := float64(ns)
	for _, unit := range []string{"µs", "ms", "s"} {
		if x /= 1000; x < 999.5 {
			return threeDigits(x) + " " + unit
		}
	}
	s := ns/1e9 + ns%1e9/5e8
	if s < 2*3600 {
		return strconv.FormatInt(s/60, 10) + " min " + strconv.FormatInt(s%60, 10) + " s"
	}
	return CountText(s/3600) + " h " + strconv.FormatInt(s%3600/60, 10) + " min"
}

// quantileText is DurationText for a field of a distribution: absent when
// nothing was measured.
func quantileText(d analyze.Distribution, ns int64) string {
	if d.Count == 0 {
		return absent
	}
	return DurationText(ns)
}

// BytesText gives bytes in binary units with three significant digits.
func BytesText(n int64) string {
	if n < 0 {
		return "-" + BytesText(-max(n, -math.MaxInt64))
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if x /= 1024; x < 1023.5 {
			return threeDigits(x) + " " + unit
		}
	}
	return CountText(int64(math.Round(x))) + " TiB"
}

// CountText gives n with a comma between groups of three digits.
func CountText(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// rateText gives a number of things a second with three significant digits.
func rateText(perS float64) string {
	switch {
	case math.IsNaN(perS) || math.IsInf(perS, 0) || perS < 0:
		return absent
	case perS == 0:
		return "0/s"
	case perS < 0.001:
		return "<0.001/s"
	case perS < 0.9995:
		return strconv.FormatFloat(perS, 'f', 3, 64) + "/s"
	case perS < 999.5:
		return threeDigits(perS) + "/s"
	case perS > 1e15:
		return ">1e15/s"
	}
	return CountText(int64(math.Round(perS))) + "/s"
}

// throughputText gives bytes a second.
func throughputText(perS float64) string {
	switch {
	case math.IsNaN(perS) || perS < 0 || perS > math.MaxInt64/2:
		return absent
	case perS > 0 && perS < 1:
		return "<1 B/s"
	}
	return BytesText(int64(math.Round(perS))) + "/s"
}

// meanText gives a mean of things counted, with three significant digits.
func meanText(mean float64) string {
	return strings.TrimSuffix(rateText(mean), "/s")
}

// percentText gives a ratio of 0 to 1 as percent. It rounds down below 1 and
// up above 0, so that "100%" and "0%" mean exactly that.
func percentText(ratio float64) string {
	switch {
	case math.IsNaN(ratio) || math.IsInf(ratio, 0) || ratio < 0:
		return absent
	case ratio == 0:
		return "0%"
	case ratio < 0.0001:
		return "<0.01%"
	case ratio >= 1:
		return strconv.FormatFloat(ratio*100, 'f', 0, 64) + "%"
	}
	hundredths := int64(ratio*10000 + 1e-9)
	text := strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64)
	return text + "%"
}

// timeText gives Unix nanoseconds as a date and time in UTC, to the second;
// whoever shows it says UTC. 0 is absent.
func timeText(ns int64) string {
	if ns == 0 {
		return absent
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05")
}

// clockText gives the time of day of Unix nanoseconds in UTC, with
// milliseconds when the time is not a whole second.
func clockText(ns int64) string {
	t := time.Unix(0, ns).UTC()
	if t.Nanosecond() >= 1e6 {
		return t.Format("15:04:05.000")
	}
	return t.Format("15:04:05")
}

// threeDigits gives 1 ≤ x < 1000 with three significant digits.
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
