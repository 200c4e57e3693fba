package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kmon/analyze/replay"
	"kmon/format"
)

// LeftOut is a time in which something was not recorded, or not all of it, so that
// recording stays within its budget (kmon record --max-overhead).
type LeftOut struct {
	Capture   string `json:"capture"`
	Collector string `json:"collector"`
	Table     string `json:"table"`
	What      string `json:"what"` // user stacks, disk IO, …
	StartNs   int64  `json:"start_ns"`
	EndNs     int64  `json:"end_ns"`
	// Count is how much there was of it; nil: nobody counted.
	Count *int64 `json:"count,omitempty"`
}

// leftOutWords say what is left out of a table.
var leftOutWords = map[string]string{
	"stacks": "user stacks", "offcpu": "off-CPU waits", "wakes": "wake-ups", "oncpu": "on-CPU samples",
	"syscalls": "system calls", "ios": "disk IO", "exchanges": "exchanges of a part of the connections",
}

func isShed(l format.Loss) bool { return l.Cause == format.LossShed }

// isLeftOut says whether some of a table was left out in any capture.
func (r *run) isLeftOut(table string) bool {
	return slices.ContainsFunc(r.captures, func(c *replay.Capture) bool {
		return slices.ContainsFunc(c.Losses, func(l format.Loss) bool { return isShed(l) && l.Table == table })
	})
}

// leftOut lists the times in which something was left out, joined where one
// follows the other; nil when there are none.
func (r *run) leftOut() []LeftOut {
	var list []LeftOut
	for _, c := range r.captures {
		for _, l := range c.Losses {
			if !isShed(l) {
				continue
			}
			g := LeftOut{
				Capture: r.label(c), Collector: l.Collector, Table: l.Table, What: cmp.Or(leftOutWords[l.Table], "table "+l.Table),
				StartNs: l.StartNs + c.OffsetNs, EndNs: l.EndNs + c.OffsetNs,
			}
			if l.Count >= 0 {
				g.Count = &l.Count
			}
			list = append(list, g)
		}
	}
	slices.SortStableFunc(list, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.Collector, b.Collector), cmp.Compare(a.Table, b.Table),
			cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs))
	})
	merged := list[:0]
	for _, g := range list {
		if n := len(merged); n == 0 || !merged[n-1].join(g) {
			merged = append(merged, g)
		}
	}
	return listed(r, "times in which something was not recorded", merged, maxLossesListed)
}

// join adds a time that follows at once.
func (g *LeftOut) join(next LeftOut) bool {
	if g.Capture != next.Capture || g.Collector != next.Collector || g.Table != next.Table ||
		(g.Count == nil) != (next.Count == nil) || next.StartNs > g.EndNs {
		return false
	}
	if g.Count != nil {
		sum := *g.Count + *next.Count
		g.Count = &sum
	}
	g.EndNs = max(g.EndNs, next.EndNs)
	return true
}

// uncountedNs is for how long each table of a capture was left out with nobody
// counting.
func uncountedNs(losses []format.Loss) map[string]int64 {
	ns := map[string]int64{}
	for _, l := range losses {
		if isShed(l) && l.Count < 0 {
			ns[l.Table] += max(l.EndNs-l.StartNs, 0)
		}
	}
	return ns
}

// leftOutTimes is how many times a warning names.
const leftOutTimes = 5

// leftOutWarnings tells of each part that was left out when it was.
func leftOutWarnings(all []LeftOut) []string {
	var list []string
	for len(all) > 0 {
		first := all[0]
		n := slices.IndexFunc(all, func(g LeftOut) bool { return g.Capture != first.Capture || g.Table != first.Table })
		if n < 0 {
			n = len(all)
		}
		var times []string
		for _, g := range all[:min(n, leftOutTimes)] {
			times = append(times, g.times())
		}
		text := strings.Join(times, ", ")
		if more := n - leftOutTimes; more > 0 {
			text += fmt.Sprintf(" and %d more times", more)
		}
		list = append(list, fmt.Sprintf("%s: %s not recorded %s because of --max-overhead", first.Capture, first.What, text))
		all = all[n:]
	}
	return list
}

// times says from when to when, UTC.
func (g LeftOut) times() string {
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.DateTime) }
	from, to := at(g.StartNs), at(g.EndNs)
	day, clock, _ := strings.Cut(to, " ")
	if strings.HasPrefix(from, day) {
		to = clock
	}
	return "from " + from + " to " + to
}

// shedText is a clause of the verdict; "" when nothing was left out.
func shedText(list []LeftOut) string {
	var what []string
	for _, g := range list {
		if !slices.Contains(what, g.What) {
			what = append(what, g.What)
		}
	}
	if len(what) == 0 {
		return ""
	}
	return strings.Join(what, ", ") + " were not recorded for a time (--max-overhead)"
}
