package reports

import (
	"fmt"
	"strconv"
	"strings"

	"kmon/analyze"
)

// look is how an edge is drawn, by what it is compared with: colour, arrowhead and
// a mark on its label say the same.
type look struct {
	class, marker, mark string
}

// The looks, the worst last.
const (
	lookNeutral = iota
	lookSteady
	lookSlow
	lookSlowest
	lookBad
)

// From these ratios on an edge is slow, and very slow.
const (
	slowRatio    = 1.5
	slowestRatio = 3.0
)

var looks = []look{
	{"", "arrow", ""},
	{"steady", "arrow-steady", ""},
	{"slow", "arrow-slow", "▲"},
	{"slowest", "arrow-slowest", "▲▲"},
	{"bad", "arrow-bad", "✕"},
}

// often says whether n of so many requests are too many to be overlooked. Some clients
// end a few connections so that nobody waits for.
func often(n, requests int64) bool { return n > 0 && float64(n) >= 0.01*float64(requests) }

// lookOf gives the look of an edge: errors come before latency, for of requests that
// the client gave up its own latencies say nothing.
func lookOf(e *analyze.Edge) int {
	switch c := e.Contrast; {
	case e.Failed > 0 || e.Unanswered > 0 || often(e.Resets, e.Requests):
		return lookBad
	case c == nil:
		return lookNeutral
	case c.Ratio >= slowestRatio:
		return lookSlowest
	case c.Ratio >= slowRatio:
		return lookSlow
	}
	return lookSteady
}

// worseLook is the look of two edges that are drawn as one.
func worseLook(a, b int) int { return max(a, b) }

// ratioText gives a ratio as "2.1×".
func ratioText(r float64) string {
	if r >= 100 {
		return CountText(int64(r+0.5)) + "×"
	}
	return strconv.FormatFloat(r, 'g', 2, 64) + "×"
}

// coloursText says what the colours of edges compare with.
func coloursText(a *analyze.Analysis) string {
	counts, none := map[string]int{}, 0
	for i := range a.Edges {
		switch e := &a.Edges[i]; {
		case e.Contrast != nil:
			counts[e.Contrast.Reference]++
		case e.Requests > 0:
			none++
		}
	}
	var words []string
	for _, r := range []struct{ reference, text string }{
		{"baseline capture", "the same edge in the baseline capture"},
		{"peers", "its peers, the other clients of the server"},
		{"its own quiet windows", "its own quiet windows (a fault that lasted throughout, or of fewer than half of the requests, does not show)"},
	} {
		if n := counts[r.reference]; n > 0 {
			words = append(words, fmt.Sprintf("%s %s against %s", CountText(int64(n)), plural(n, "edge"), r.text))
		}
	}
	if none > 0 {
		words = append(words, fmt.Sprintf("%s with too few requests, peers or windows to compare", CountText(int64(none))))
	}
	if len(counts) == 0 {
		return "No edge has enough requests, peers or windows to be compared."
	}
	text := "Colour compares an edge's p99: " + strings.Join(words, "; ") + "."
	if counts["baseline capture"] == 0 {
		text += " Without --baseline it is the worse of peers and quiet windows."
	}
	return text
}
