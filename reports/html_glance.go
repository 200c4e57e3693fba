package reports

import (
	"cmp"
	"slices"
	"strings"

	"kmon/analyze"
)

// glanceFindings is how many findings the first screen names.
const glanceFindings = 4

// glancePart is the first screen: what is wrong, with whom, since when, how sure
// that is, and what is not known. Slices are never nil.
type glancePart struct {
	Headline  string // the verdict's first clause
	Rest      string // the others
	Findings  []glanceFinding
	More      string // findings that are only further down; "" when all are named
	None      string // why there is no finding; "" when there is one
	Unknown   []definition
	Timelines []timelineView
	Keys      []chartKey // of what is on the timeline beside requests
	Note      string     // what the timeline adds up
	Numbers   []htmlTable
	Live      bool // a range can be picked
}

// glanceFinding is a finding in two lines.
type glanceFinding struct {
	Anchor, Number string
	Tone           tone
	Severity       string
	Title          string
	Facts          string
	Time           string // see timeAttribute
	Clock          string // the same in words
	Next           []span // what to look at next; of the first finding alone
}

func newGlance(a *analyze.Analysis) glancePart {
	g := glancePart{None: silence(a), Findings: []glanceFinding{}, Unknown: unknown(a), Timelines: drawTimelines(a), Numbers: []htmlTable{}}
	g.Headline, g.Rest = firstClause(cut(visible(a.Verdict), proseHTML))
	if slices.ContainsFunc(a.Captures, func(c capture) bool { return c.Synthetic != "" }) && g.Rest != "" { // which is said first, and all of it
		made := strings.TrimSuffix(g.Headline, ".")
		g.Headline, g.Rest = firstClause(g.Rest)
		g.Headline = made + ": " + g.Headline
	}
	for i := range a.Findings[:min(len(a.Findings), glanceFindings)] {
		g.Findings = append(g.Findings, glance(&a.Findings[i], i+1))
	}
	if len(g.Findings) > 0 {
		g.Findings[0].Next = spans(visible(a.Findings[0].NextStep))
	}
	if more := len(a.Findings) - len(g.Findings); more > 0 {
		g.More = CountText(int64(more)) + plural(more, " more finding")
	}
	if len(g.Timelines) > 0 {
		p := timelinePeriod(a)
		g.Keys, g.Note = timelineKeys(a), timelineNote(p)
		numbers := p.seriesTable(servicePoints.thin(p, a.Series))
		numbers.ID, numbers.Title = "timeline-numbers", "Numbers of the timeline, all requests served"
		if len(numbers.Rows) > 0 {
			g.Numbers = append(g.Numbers, forHTML(numbers, len(numbers.Rows)))
		}
	}
	return g
}

// firstClause divides a verdict after its first clause, if that is not all.
func firstClause(verdict string) (first, rest string) {
	first, rest, divided := strings.Cut(verdict, "; ")
	if !divided {
		return verdict, ""
	}
	return first + ".", rest
}

// glance puts a finding in two lines.
func glance(f *finding, number int) glanceFinding {
	place := CountText(int64(number))
	facts := []string{subjectText(f), "confidence " + confidenceText(f.Confidence), "coverage " + percentText(f.Coverage)}
	g := glanceFinding{
		Anchor: "finding-" + place, Number: place, Tone: severityTone(f), Severity: nameText(string(f.Severity)),
		Title: cut(nameText(f.Title), proseHTML), Facts: cut(strings.Join(facts, " · "), proseHTML),
	}
	if f.EndNs > f.StartNs {
		g.Time, g.Clock = timeAttribute(f.StartNs, f.EndNs), clockText(f.StartNs)+" to "+clockText(f.EndNs)+" UTC"
	}
	return g
}

// timelineKeys name what the timeline has beside requests.
func timelineKeys(a *analyze.Analysis) []chartKey {
	keys := []chartKey{}
	for _, k := range []struct {
		there bool
		key   chartKey
	}{
		{slices.ContainsFunc(a.Series, func(p analyze.Point) bool { return p.Partial }), chartKey{"partial", "partial window"}},
		{len(a.Marks) > 0, chartKey{"mark", "mark"}},
		{len(a.Losses) > 0, chartKey{"lossy", "losses"}},
		{len(a.NotRecorded) > 0, chartKey{"dark", "not recorded"}},
		{len(a.LeftOut) > 0, chartKey{"left-out", "left out to stay within the budget"}},
	} {
		if k.there {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// timelineNote says what the timeline shows.
func timelineNote(p period) string {
	note := "All requests that any service served: latency above, requests a second and errors below"
	if p.merged > 1 {
		note += "; each point is " + roundText(p.window) + ", of percentiles its worst window"
	}
	return note + "."
}

// unknown says what was not recorded, lost, or could not be judged, and what
// recording cost.
func unknown(a *analyze.Analysis) []definition {
	list := []definition{}
	add := func(term string, parts []string) {
		if len(parts) > 0 {
			list = append(list, definition{term, cut(strings.Join(parts, "; "), proseHTML)})
		}
	}
	add("Not recorded", notRecordedParts(a))
	add("Lost", lostParts(a))
	if unjudged, none := a.Unjudged(); len(a.Checks) > 0 && !none && len(unjudged) > 0 {
		add("Not judged", []string{visible(strings.Join(unjudged, ", "))})
	}
	if len(list) == 0 && len(a.Captures) > 0 {
		list = append(list, definition{"Not recorded", "nothing is known to be missing"})
	}
	add("Recording cost", costParts(a))
	return list
}

// notRecordedParts is what no capture has: collectors, times, and what was left
// out to stay within a budget.
func notRecordedParts(a *analyze.Analysis) []string {
	parts := []string{}
	if text := strings.TrimSuffix(strings.TrimPrefix(notRecorded(a), "Not recorded: "), "."); text != "" {
		parts = append(parts, text)
	}
	if dark := a.EndNs - a.StartNs - a.RecordedNs(); dark > 0 {
		parts = append(parts, DurationText(dark)+" of "+DurationText(a.EndNs-a.StartNs)+" in which nothing was")
	}
	left := map[string]int64{}
	for _, g := range a.LeftOut {
		left[g.What] += g.EndNs - g.StartNs
	}
	for _, what := range sortedKeys(left) {
		parts = append(parts, visible(what)+" for "+DurationText(left[what])+" (--max-overhead)")
	}
	for i := range a.Captures {
		if c := &a.Captures[i]; !c.EndsInOrder() {
			parts = append(parts, "the end of "+cut(visible(c.File), nameHTML)+", which was cut")
		}
	}
	return parts
}

// lostParts is what the recorder counted but could not keep.
func lostParts(a *analyze.Analysis) []string {
	type sum struct{ seen, lost int64 }
	tables := map[string]sum{}
	lost := map[string]int64{}
	for i := range a.Captures {
		for _, c := range a.Captures[i].Coverage {
			s := tables[c.Table]
			tables[c.Table] = sum{s.seen + c.Seen, s.lost + c.Lost}
			if c.Lost > 0 {
				lost[c.Table] += c.Lost
			}
		}
	}
	parts := []string{}
	for _, t := range sortedKeys(lost) {
		all := tables[t].seen + tables[t].lost
		parts = append(parts, CountText(lost[t])+" of "+CountText(all)+" rows of "+visible(t)+" (coverage "+percentText(float64(tables[t].seen)/float64(all))+")")
	}
	return parts
}

// sortedKeys gives keys, those with the largest values first.
func sortedKeys(m map[string]int64) []string {
	keys := []string{}
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	return keys
}

// costParts is what recording cost each node.
func costParts(a *analyze.Analysis) []string {
	parts := []string{}
	for i := range a.Captures {
		c := &a.Captures[i]
		text := recorderCPU(&c.Recorder)
		switch {
		case c.Synthetic != "":
			continue
		case text == absent:
			text = "not known"
		default:
			text += " of one CPU"
			if c.CPUs > 0 {
				text += " of " + CountText(int64(c.CPUs))
			}
			if c.Recorder.MaxRSSBytes > 0 {
				text += ", " + BytesText(c.Recorder.MaxRSSBytes) + " of memory"
			}
		}
		if len(a.Captures) > 1 {
			text = cut(visible(c.Host), nameHTML) + ": " + text
		}
		if len(parts) == glanceFindings {
			return append(parts, CountText(int64(len(a.Captures)-i))+" more")
		}
		parts = append(parts, text)
	}
	return parts
}
