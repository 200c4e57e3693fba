package reports

import (
	"math"
	"strconv"
	"strings"

	"kmon/analyze/compare"
)

// minus is the sign before a number that is less: no hyphen, which a reader of
// Markdown could take for something else.
const minus = "−"

// metricText gives a value of a metric in its unit.
func metricText(unit string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > math.MaxInt64/2 {
		return absent
	}
	if v < 0 {
		return minus + metricText(unit, -v)
	}
	switch unit {
	case "ns":
		return DurationText(int64(math.Round(v)))
	case "bytes":
		return BytesText(int64(math.Round(v)))
	case "ratio":
		return percentText(v)
	case "per_s":
		return rateText(v)
	}
	return meanText(v)
}

// valueText is metricText of a value that may not be known.
func valueText(unit string, v *compare.Value) string {
	if v == nil {
		return absent
	}
	return metricText(unit, v.Value)
}

// shareText gives a share as percent, with some three digits.
func shareText(x float64) string {
	p := math.Abs(x) * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0) || p > 1e12:
		return absent
	case p == 0:
		return "0%"
	case p < 0.01:
		return "<0.01%"
	case p < 0.995:
		return trimZeros(strconv.FormatFloat(p, 'f', 2, 64)) + "%"
	case p < 99.95:
		return trimZeros(strconv.FormatFloat(p, 'f', 1, 64)) + "%"
	}
	return CountText(int64(math.Round(p))) + "%"
}

func trimZeros(s string) string {
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// relativeText gives a relative change with its sign.
func relativeText(x float64) string {
	text := shareText(x)
	switch {
	case text == absent || x == 0:
		return text
	case x < 0:
		return minus + text
	}
	return "+" + text
}

// changeText gives what a metric changed by: relative, or in its unit where
// base was 0.
func changeText(c *compare.Change) string {
	switch {
	case c.Relative != nil:
		return relativeText(*c.Relative)
	case c.Absolute == nil:
		return absent
	case c.Unit == "ratio": // of a share, points are not percent of it
		return strings.TrimSuffix(relativeText(*c.Absolute), "%") + " points"
	case *c.Absolute > 0:
		return "+" + metricText(c.Unit, *c.Absolute)
	}
	return metricText(c.Unit, *c.Absolute)
}

// intervalText gives an interval of relative changes.
func intervalText(i *compare.Interval) string {
	if i == nil {
		return absent
	}
	return relativeText(i.Low) + " to " + relativeText(i.High)
}

// chanceText gives a p value.
func chanceText(p *float64) string {
	switch {
	case p == nil || math.IsNaN(*p) || *p < 0 || *p > 1:
		return absent
	case *p < 0.001:
		return "<0.001"
	case *p < 0.1:
		return strconv.FormatFloat(*p, 'f', 3, 64)
	}
	return strconv.FormatFloat(*p, 'f', 2, 64)
}

// sharePointer is shareText of a share that may not be known.
func sharePointer(x *float64) string {
	if x == nil {
		return absent
	}
	return shareText(*x)
}
