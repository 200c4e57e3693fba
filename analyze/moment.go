package analyze

import (
	"fmt"
	"math"
	"strings"
	"time"

	"kmon/format"
)

const (
	// DefaultWindowNs is the width of a window unless the recording is so
	// long that there would be more than maxWindows.
	DefaultWindowNs = 1e9
	maxWindows      = 600
	// maxWindowWords bounds the memory of the windows of all edges, for each
	// worker: 48 MB.
	maxWindowWords = 6 << 20
)

// ParseMoment gives the Unix time, in nanoseconds, that a text means for a
// recording from start to end: a duration after the start ("90s"), with a
// minus sign before the end ("-30s"), or an RFC 3339 time.
func ParseMoment(text string, start, end int64) (int64, error) {
	if d, err := time.ParseDuration(text); err == nil {
		if strings.HasPrefix(text, "-") {
			return end + int64(d), nil
		}
		return start + int64(d), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a duration from the start, as 90s, nor a time as 2006-01-02T15:04:05Z", text)
	}
	return at.UnixNano(), nil
}

// findRange sets what is analyzed and its windows. The range of requests has
// no limits where none was asked for, now or when the captures were cut: the
// recording's own are not exact to the nanosecond.
func (r *run) findRange() error {
	start, end := int64(math.MaxInt64), int64(math.MinInt64)
	for _, c := range r.captures {
		start = min(start, c.StartNs+c.OffsetNs)
		end = max(end, c.EndNs+c.OffsetNs)
	}
	r.frame.FromNs, r.frame.ToNs = r.cutRange()
	r.start, r.end = start, end
	if r.options.Since != "" {
		since, err := ParseMoment(r.options.Since, start, end)
		if err != nil {
			return fmt.Errorf("since: %w", err)
		}
		r.frame.FromNs = max(r.frame.FromNs, since)
		r.start = max(start, r.frame.FromNs)
	}
	if r.options.Until != "" {
		until, err := ParseMoment(r.options.Until, start, end)
		if err != nil {
			return fmt.Errorf("until: %w", err)
		}
		r.frame.ToNs = min(r.frame.ToNs, until)
		r.end = min(end, r.frame.ToNs)
	}
	if start > end { // of a clock beyond the ends of time
		return fmt.Errorf("%s: its clock is damaged: the recording runs from %s to %s", r.captures[0].Path, timeText(start), timeText(end))
	}
	if r.start > r.end {
		return fmt.Errorf("nothing lies between since and until: the recording runs from %s to %s",
			timeText(start), timeText(end))
	}
	r.findUnrecorded()
	r.setWindows()
	return r.narrow()
}

// narrow leaves the captures what is of the range.
func (r *run) narrow() error {
	for _, c := range r.captures {
		within := format.Always
		if r.frame.FromNs != math.MinInt64 {
			within.FromNs = r.frame.FromNs - c.OffsetNs
		}
		if r.frame.ToNs != math.MaxInt64 {
			within.ToNs = r.frame.ToNs - c.OffsetNs
		}
		if err := c.Narrow(within); err != nil {
			return err
		}
	}
	return nil
}

// cutRange is the time that the captures were cut to, if all of them were.
func (r *run) cutRange() (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	for _, c := range r.captures {
		since, until := int64(math.MinInt64), int64(math.MaxInt64)
		if cut := c.Manifest.Cut; cut != nil && cut.SinceNs > 0 {
			since = cut.SinceNs + c.OffsetNs
		}
		if cut := c.Manifest.Cut; cut != nil && cut.UntilNs > 0 {
			until = cut.UntilNs + c.OffsetNs
		}
		from, to = min(from, since), max(to, until)
	}
	if from >= to { // of a clock beyond the ends of time
		return math.MinInt64, math.MaxInt64
	}
	return from, to
}

// setWindows divides the range into at most maxWindows windows of equal
// width, aligned to multiples of it since the Unix epoch.
func (r *run) setWindows() {
	if r.options.windowed {
		r.setCompared()
		return
	}
	width := r.options.WindowNs
	if width <= 0 {
		width = DefaultWindowNs
	}
	base, n := windows(r.start, r.end, width)
	for _, factor := range []int64{2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600} {
		if n <= maxWindows {
			break
		}
		width = factor * max(r.options.WindowNs, DefaultWindowNs)
		base, n = windows(r.start, r.end, width)
	}
	if n > maxWindows {
		width *= (n + maxWindows - 2) / (maxWindows - 1)
		base, n = windows(r.start, r.end, width)
	}
	r.frame.BaseNs, r.frame.WidthNs, r.frame.Windows = base, width, int32(n)
	r.setMaxWords()
}

func (r *run) setMaxWords() {
	r.frame.MaxWords = maxWindowWords
	if r.options.maxWords > 0 {
		r.frame.MaxWords = r.options.maxWords
	}
}

// windows gives the start of the first window and their number.
func windows(start, end, width int64) (base, n int64) {
	base = start - ((start%width)+width)%width
	return base, max((end-base+width-1)/width, 1)
}

func timeText(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z") }
