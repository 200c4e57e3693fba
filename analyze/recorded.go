package analyze

import (
	"cmp"
	"fmt"
	"slices"

	"kmon/analyze/replay"
	"kmon/format"
)

// maxGapsTold is how many gaps of a capture have a warning of their own.
const maxGapsTold = 10

// recorded gives the times that a capture recorded, in Unix nanoseconds: from
// its start to its end, but for the gaps between its parts.
func recorded(c *replay.Capture) []Span {
	var list []Span
	from := c.StartNs
	for _, g := range c.Gaps {
		if g.After == 0 || g.StartNs < from || g.EndNs > c.EndNs {
			continue // before its start
		}
		list = append(list, Span{from + c.OffsetNs, g.StartNs + c.OffsetNs})
		from = g.EndNs
	}
	return append(list, Span{from + c.OffsetNs, max(from, c.EndNs) + c.OffsetNs})
}

// findUnrecorded sets what of the analyzed time no capture recorded, and how
// much is left.
func (r *run) findUnrecorded() {
	var all []Span
	for _, c := range r.captures {
		all = append(all, recorded(c)...)
	}
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.StartNs, b.StartNs) })
	r.unrecorded = nil
	reached := r.start
	for _, s := range all {
		if until := min(s.StartNs, r.end); until > reached {
			r.unrecorded = append(r.unrecorded, Span{reached, until})
		}
		reached = max(reached, s.EndNs)
	}
	if r.end > reached {
		r.unrecorded = append(r.unrecorded, Span{reached, r.end})
	}
	r.recordedNs = r.end - r.start
	for _, s := range r.unrecorded {
		r.recordedNs -= s.EndNs - s.StartNs
	}
}

// listUnrecorded gives what no capture recorded, for the Analysis.
func (r *run) listUnrecorded() []Span {
	return listed(r, "times without a record", r.unrecorded, maxLossesListed)
}

// light says of each window whether a capture recorded any of it, and whether
// a gap of the capture lies in it.
type light struct{ lit, gapped []bool }

// lights gives the light of each capture for the windows as they are now.
func (r *run) lights() []light {
	if len(r.lit) > 0 && len(r.lit[0].lit) == int(r.frame.Windows) && r.litFrame == r.frame {
		return r.lit
	}
	r.lit, r.litFrame = nil, r.frame
	for _, c := range r.captures {
		l := light{make([]bool, r.frame.Windows), make([]bool, r.frame.Windows)}
		spans := recorded(c)
		for i, s := range spans {
			r.mark(l.lit, s)
			if i > 0 {
				r.mark(l.gapped, Span{spans[i-1].EndNs, s.StartNs})
			}
		}
		r.lit = append(r.lit, l)
	}
	return r.lit
}

// mark sets the windows that have a part of s.
func (r *run) mark(windows []bool, s Span) {
	w := r.windows()
	for i := w.Of(s.StartNs); i <= w.Of(max(s.StartNs, s.EndNs-1)); i++ {
		windows[i] = true
	}
}

// window is one window of a series.
type window struct {
	startNs int64
	partial bool // only partly within the analyzed time, or recorded in part
	dark    bool // none of the captures recorded it: without rows it is no point
}

// seriesWindows gives the windows as some captures recorded them, nil: all
// captures.
func (r *run) seriesWindows(captures map[int32]bool) []window {
	list := make([]window, r.frame.Windows)
	lights := r.lights()
	for i := range list {
		w := &list[i]
		w.startNs = r.frame.BaseNs + int64(i)*r.frame.WidthNs
		w.partial = w.startNs < r.start || w.startNs+r.frame.WidthNs > r.end
		w.dark = true
		for c, l := range lights {
			if len(captures) == 0 || captures[int32(c)] {
				w.dark = w.dark && !l.lit[i]
				w.partial = w.partial || l.gapped[i]
			}
		}
	}
	return list
}

// withoutDark leaves out the points of windows that nobody recorded and that
// have no rows: nothing is known of them, which is not 0.
func withoutDark[T any](points []T, windows []window, empty func(*T) bool) []T {
	kept := points[:0]
	for i := range points {
		if !windows[i].dark || !empty(&points[i]) {
			kept = append(kept, points[i])
		}
	}
	return kept
}

// gapWarnings tells of the gaps of a capture.
func (r *run) gapWarnings(c *replay.Capture, file string) []string {
	var list []string
	for i, g := range c.Gaps {
		if i == maxGapsTold {
			return append(list, fmt.Sprintf("%s: %d further gaps", file, len(c.Gaps)-i))
		}
		list = append(list, file+": "+gapText(c, g))
	}
	if c.Final != nil && c.Final.StopReason == stopRotate && c.LastPart() > 0 {
		list = append(list, fmt.Sprintf("%s: the recording went on after part %d; what came then is not known", file, c.LastPart()))
	}
	return list
}

// stopRotate is why a part ended that another one follows.
const stopRotate = "rotate"

// gapText says what of a recording is not there.
func gapText(c *replay.Capture, g format.Gap) string {
	if g.After == 0 {
		return fmt.Sprintf("it begins with part %d of its recording; what was before is not known", g.Before)
	}
	missing := fmt.Sprintf("the end of part %d", g.After)
	switch first, last := g.After+1, g.Before-1; {
	case first == last:
		missing = fmt.Sprintf("part %d", first)
	case first < last:
		missing = fmt.Sprintf("parts %d to %d", first, last)
	}
	return fmt.Sprintf("%s of the recording is missing: nothing is known of the %s from %s on",
		missing, duration(g.EndNs-g.StartNs), timeText(g.StartNs+c.OffsetNs))
}
