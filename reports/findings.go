package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

type (
	finding  = analyze.Finding
	evidence = analyze.Evidence
	check    = analyze.Check
)

// findingView is a finding in words, for every format. Names in it are visible,
// and still to be escaped.
type findingView struct {
	Number   string // its place in the report, from 1
	Tone     tone
	Severity string
	Title    string
	Facts    string // kind, subject, time, confidence, coverage, reference
	Time     string // see timeAttribute; "": it has none
	Evidence table  // for and against
	More     []definition
	CausedBy []findingLink
	Causes   []findingLink
}

// findingLink leads to another finding. Number is "" when there is no such
// finding; Title is its id then.
type findingLink struct {
	Number, Title string
	place         int // from 1
}

// findingViews puts all findings into words, in their order.
func findingViews(a *analyze.Analysis) []findingView {
	numbers := map[string]int{}
	for i := range a.Findings {
		numbers[a.Findings[i].ID] = i
	}
	links := func(ids []string) []findingLink {
		list := []findingLink{}
		for _, id := range ids {
			if i, ok := numbers[id]; ok {
				list = append(list, findingLink{strconv.Itoa(i + 1), visible(a.Findings[i].Title), i + 1})
			} else {
				list = append(list, findingLink{Title: visible(id)})
			}
		}
		return list
	}
	views := make([]findingView, len(a.Findings))
	for i := range a.Findings {
		f := &a.Findings[i]
		place := strconv.Itoa(i + 1)
		views[i] = findingView{
			Number: place, Tone: severityTone(f), Severity: nameText(string(f.Severity)), Title: nameText(f.Title),
			Facts: strings.Join(findingFacts(f), " · "), Evidence: evidenceTable(place, f), More: findingMore(f),
			CausedBy: links(f.CausedBy), Causes: links(f.Causes),
		}
		if f.EndNs > f.StartNs {
			views[i].Time = timeAttribute(f.StartNs, f.EndNs)
		}
	}
	return views
}

// severityTone is how loud a finding is.
func severityTone(f *finding) tone {
	switch f.Severity {
	case "critical":
		return toneBad
	case "warning":
		return toneWarn
	}
	return toneNone
}

// findingFacts are what a finding is about and how far it can be trusted.
func findingFacts(f *finding) []string {
	facts := []string{nameText(string(f.Kind)), subjectText(f)}
	if f.EndNs > f.StartNs {
		facts = append(facts, timeText(f.StartNs)+" to "+clockText(f.EndNs)+" UTC, "+CountText(int64(f.Windows))+plural(f.Windows, " window"))
	}
	facts = append(facts, "confidence "+confidenceText(f.Confidence), "coverage "+percentText(f.Coverage))
	if f.Reference != "" {
		facts = append(facts, "against "+visible(f.Reference))
	}
	return facts
}

// subjectText names what a finding is about, and what it belongs to.
func subjectText(f *finding) string {
	s := f.Subject
	text := visible(s.Type) + " " + nameText(s.Name)
	if s.Service != "" && s.Service != s.Name && !strings.HasSuffix(s.Name, "→ "+s.Service) {
		text += " of " + visible(s.Service)
	}
	if s.Host != "" && s.Host != s.Name {
		text += " on " + visible(s.Host)
	}
	if s.PID != 0 {
		text += " (pid " + strconv.Itoa(int(s.PID))
		if s.TID != 0 {
			text += ", tid " + strconv.Itoa(int(s.TID))
		}
		text += ")"
	}
	return text
}

// confidenceText gives a confidence with two digits; it is no probability, so no
// percent sign.
func confidenceText(c float64) string {
	if math.IsNaN(c) || c < 0 || c > 1 {
		return absent
	}
	return strconv.FormatFloat(c, 'f', 2, 64)
}

// findingMore is what there is to say beside the evidence.
func findingMore(f *finding) []definition {
	more := []definition{}
	if len(f.CounterEvidence) == 0 {
		more = append(more, definition{"Against it", "nothing was seen that speaks against it"})
	}
	for _, d := range []definition{{"Could also be", visible(f.Alternative)}, {"Next", visible(f.NextStep)}} {
		if d.Meaning != "" {
			more = append(more, d)
		}
	}
	return more
}

// weighed is an evidence with the side it is on.
type weighed struct {
	evidence
	against bool
}

// evidenceTable lists what speaks for a finding and what against it.
func evidenceTable(place string, f *finding) table {
	all := []weighed{}
	for _, e := range f.Evidence {
		all = append(all, weighed{e, false})
	}
	for _, e := range f.CounterEvidence {
		all = append(all, weighed{e, true})
	}
	optional := func(of func(*weighed) *float64) func(*weighed) cell {
		return func(w *weighed) cell {
			if v := of(w); v != nil {
				return cell{Text: quantityText(w.Name, *v)}
			}
			return cell{Text: absent}
		}
	}
	return build("evidence-"+place, "Evidence of finding "+place, all, []spec[weighed]{
		{column{Head: "Speaks"}, func(w *weighed) cell {
			if w.against {
				return cell{Text: "against it"}
			}
			return cell{Text: "for it"}
		}},
		{column{Head: "What", Kind: kindText}, func(w *weighed) cell { return named(w.Text) }},
		{column{Head: "Quantity", Kind: kindName, Hint: "its name in the json report"}, func(w *weighed) cell { return named(w.Name) }},
		number("Value", "median over the windows that held, unless the text says otherwise", 0, func(w *weighed) cell { return cell{Text: quantityText(w.Name, w.Value)} }),
		odd("Threshold", "of the rule: kmon analyze --print-rules", 0, optional(func(w *weighed) *float64 { return w.Threshold })),
		odd("Reference", "what it was compared with", 0, optional(func(w *weighed) *float64 { return w.Reference })),
	})
}

// units are the endings of a quantity's name, the longer first.
var units = []struct {
	ending string
	text   func(float64) string
}{
	{"_bytes_per_s", throughputText},
	{"_per_s", rateText},
	{"_ns_per_work", func(v float64) string { return DurationText(whole(v)) }},
	{"_ns", func(v float64) string { return DurationText(whole(v)) }},
	{"_bytes", func(v float64) string { return BytesText(whole(v)) }},
	{"_share", percentText},
	{"_ratio", func(v float64) string { return digitsText(v) + "×" }},
	{"coverage", percentText},
}

// quantityText gives a value in the unit that its name ends with.
func quantityText(name string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return absent
	}
	for _, u := range units {
		if strings.HasSuffix(name, u.ending) {
			return u.text(v)
		}
	}
	return digitsText(v)
}

// digitsText gives a number with three significant digits, whole ones in full.
func digitsText(v float64) string {
	if size := math.Abs(v); size < 1e15 && (size >= 999.5 || v == math.Trunc(v)) {
		return CountText(whole(v))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// whole rounds to an integer that every number text takes.
func whole(v float64) int64 {
	return int64(math.Round(min(max(v, -math.MaxInt64/2), math.MaxInt64/2)))
}

// insufficientListed is how many subjects a check lists at most.
const insufficientListed = 20

// checksTable says of each kind what was judged: silence is no health.
func checksTable(a *analyze.Analysis) table {
	t := build("judged", "What was judged", a.Checks, []spec[check]{
		{column{Head: "Kind", Kind: kindName}, func(c *check) cell { return named(string(c.Kind)) }},
		number("Judged", "subjects that had enough to be judged", 0, func(c *check) cell { return counted(int64(c.Judged)) }),
		number("Found", "", 0, func(c *check) cell { return alarmed(int64(c.Found), toneWarn) }),
		number("Rejected", "looked like it until something spoke against it", 0, func(c *check) cell { return counted(int64(c.Rejected)) }),
		number("Insufficient", "too few windows or samples, or too little coverage", 0, func(c *check) cell {
			n := counted(int64(len(c.Insufficient)))
			if len(c.Insufficient) >= insufficientListed {
				n.Text += " or more"
			}
			return n
		}),
		{column{Head: "Not recorded", Kind: kindText, Optional: true}, func(c *check) cell { return named(c.NotRecorded) }},
	})
	t.Note = rulesText(a)
	return t
}

// insufficientTable lists what could not be judged, and why.
func insufficientTable(a *analyze.Analysis) table {
	type gap struct{ kind, why string }
	gaps := []gap{}
	for _, c := range a.Checks {
		for _, why := range c.Insufficient {
			gaps = append(gaps, gap{string(c.Kind), why})
		}
	}
	return build("insufficient", "What could not be judged", gaps, []spec[gap]{
		{column{Head: "Kind", Kind: kindName}, func(g *gap) cell { return named(g.kind) }},
		{column{Head: "Subject, and why", Kind: kindText}, func(g *gap) cell { return named(g.why) }},
	})
}

// furtherTable lists findings in a line each, where a report has no room for all
// of each.
func furtherTable(a *analyze.Analysis, from int) table {
	type numbered struct {
		*finding
		number int
	}
	rest := []numbered{}
	for i := from; i < len(a.Findings); i++ {
		rest = append(rest, numbered{&a.Findings[i], i + 1})
	}
	return withTimes(build("further", "Further findings", rest, []spec[numbered]{
		{column{Head: "Finding", Kind: kindNumber}, func(n *numbered) cell { return counted(int64(n.number)) }},
		{column{Head: "Severity", Kind: kindName}, func(n *numbered) cell {
			c := word(string(n.Severity))
			c.Tone = severityTone(n.finding)
			return c
		}},
		{column{Head: "Title", Kind: kindText}, func(n *numbered) cell { return named(n.Title) }},
		number("Confidence", "", 0, func(n *numbered) cell { return cell{Text: confidenceText(n.Confidence)} }),
		{column{Head: "From (UTC)", Rank: 1}, func(n *numbered) cell { return word(timeText(n.StartNs)) }},
	}), rest, func(n *numbered) (int64, int64) { return n.StartNs, n.EndNs })
}

// silence says what it means that there is no finding; "" when there is one.
func silence(a *analyze.Analysis) string {
	switch unjudged, none := a.Unjudged(); {
	case len(a.Findings) > 0:
		return ""
	case len(a.Checks) == 0:
		return "Nothing was judged."
	case none:
		return "None: but no kind of fault could be judged, see “What was judged”."
	case len(unjudged) > 0:
		return "None among the kinds of fault that could be judged; not judged: " + visible(strings.Join(unjudged, ", ")) + "."
	default:
		return "None. Every kind of fault could be judged: “What was judged” says of how many subjects."
	}
}

// rulesText says by which thresholds was judged, and against what.
func rulesText(a *analyze.Analysis) string {
	if a.RulesVersion == 0 {
		return ""
	}
	text := "Rules of version " + strconv.Itoa(a.RulesVersion)
	if len(a.RulesChanged) > 0 {
		text += ", changed: " + visible(strings.Join(a.RulesChanged, ", "))
	}
	if len(a.Baseline) == 0 {
		return text + "; without a baseline no finding is more than a warning"
	}
	return text + "; compared with the baseline " + visible(strings.Join(a.Baseline, ", "))
}

// normalFindings makes every list of the findings and checks present.
func normalFindings(n *analyze.Analysis) {
	n.Findings = copied(n.Findings)
	for i := range n.Findings {
		f := &n.Findings[i]
		f.Evidence, f.CounterEvidence = present(f.Evidence), present(f.CounterEvidence)
		f.CausedBy, f.Causes = present(f.CausedBy), present(f.Causes)
	}
	n.Checks = copied(n.Checks)
	for i := range n.Checks {
		n.Checks[i].Insufficient = present(n.Checks[i].Insufficient)
	}
}

// loudest is the tone of the most urgent finding.
func loudest(a *analyze.Analysis) tone {
	tones := []tone{}
	for i := range a.Findings {
		tones = append(tones, severityTone(&a.Findings[i]))
	}
	for _, t := range []tone{toneBad, toneWarn} {
		if slices.Contains(tones, t) {
			return t
		}
	}
	return toneNone
}
