package main

import (
	"fmt"

	"kmon/format"
	"kmon/reports"
)

// gap is a format.Gap in JSON.
type gap struct {
	After   int   `json:"after_part"`         // 0: there is nothing before
	Before  int   `json:"before_part"`        // parts between the two are missing; without any, the end of the first is
	StartNs int64 `json:"start_ns,omitempty"` // monotonic; absent: not known
	EndNs   int64 `json:"end_ns"`             // monotonic
}

// maxGapLines is how many gaps info lists.
const maxGapLines = 10

// seeParts notes which parts of its recording a capture has.
func (in *info) seeParts(c *format.Capture) {
	for _, p := range c.Parts() {
		in.Parts = append(in.Parts, p.Path)
	}
	for _, g := range c.Gaps() {
		in.Gaps = append(in.Gaps, gap(g))
	}
	in.firstPart, in.lastPart = c.PartRange()
}

// recordedNs is the duration without the gaps.
func (in info) recordedNs() int64 {
	ns := in.DurationNs
	for _, g := range in.Gaps {
		if g.After > 0 {
			ns -= g.EndNs - g.StartNs
		}
	}
	return ns
}

// files names a capture.
func (in info) files() string {
	if n := len(in.Parts); n > 1 {
		return fmt.Sprintf("%s and %d more parts", in.File, n-1)
	}
	return in.File
}

// partLines say which parts of a recording there are, and which are missing.
func (in info) partLines() []string {
	r := in.Manifest.Recording
	if r == nil {
		return nil
	}
	list := []string{fmt.Sprintf("%s of recording %s", partsText(in.firstPart, in.lastPart), r.ID)}
	if len(r.Joined) > 0 && len(in.Parts) == 0 {
		list[0] += ", joined"
		if r.SinceNs > 0 {
			list[0] += fmt.Sprintf(", from within part %d on", in.firstPart)
		}
	}
	for i, g := range in.Gaps {
		if i == maxGapLines {
			list = append(list, fmt.Sprintf("%d further gaps", len(in.Gaps)-i))
			break
		}
		list = append(list, gapText(g))
	}
	if in.Final != nil && in.Final.StopReason == "rotate" {
		list = append(list, fmt.Sprintf("not here: part %d, which follows", in.lastPart+1))
	}
	return list
}

// gapText says which parts are missing, and how long they lasted if that is
// known.
func gapText(g gap) string {
	lasted := ", " + reports.DurationText(g.EndNs-g.StartNs)
	switch {
	case g.After == 0:
		return "not here: " + partsText(1, g.Before-1) + ", before it"
	case g.Before == g.After+1:
		return fmt.Sprintf("missing: the end of part %d", g.After) + lasted
	}
	return "missing: " + partsText(g.After+1, g.Before-1) + lasted
}

// partsText names parts.
func partsText(first, last int) string {
	if first == last {
		return fmt.Sprintf("part %d", first)
	}
	return fmt.Sprintf("parts %d to %d", first, last)
}
