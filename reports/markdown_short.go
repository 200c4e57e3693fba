package reports

import (
	"cmp"
	"slices"
	"strings"

	"kmon/analyze"
)

// affectedListed is how many of those that a finding touches are named.
const affectedListed = 3

// judgedNs is the width of the windows that findings are of. What ended less than
// one before the recording was there in the last window that was judged; whether it
// was at the end nobody knows.
const judgedNs = 5e9

// short answers what somebody asks who was not there: what, who, since when, whom it
// touches, how sure that is, what was not recorded, and of which recording all that
// is.
func (m *markdown) short() {
	facts := shortFacts(m.a)
	if len(facts) == 0 {
		return
	}
	m.line("| In short | |")
	m.line("|---|---|")
	for _, d := range facts {
		m.line("| **" + d.Term + "** | " + m.text(d.Meaning) + " |")
	}
	m.line("")
}

// shortFacts are the rows of the table: of the first finding, then of the
// recordings.
func shortFacts(a *analyze.Analysis) []definition {
	facts := []definition{}
	add := func(term, meaning string) {
		if meaning != "" {
			facts = append(facts, definition{term, meaning})
		}
	}
	if len(a.Findings) > 0 {
		f := &a.Findings[0]
		add("What", nameText(string(f.Severity))+": "+nameText(f.Title)+furtherText(a))
		add("Who", subjectText(f))
		add("Since", sinceText(a, f))
		add("Felt by", affectedText(a, f))
		add("How sure", sureText(f))
		add("Next", visible(f.NextStep))
	} else {
		add("What", silence(a))
	}
	facts = append(facts, unknown(a)...)
	for i := range a.Captures[:min(len(a.Captures), affectedListed)] {
		add("Recording", recordingText(&a.Captures[i]))
	}
	if more := len(a.Captures) - affectedListed; more > 0 {
		add("Recording", "and "+CountText(int64(more))+" more, see Captures")
	}
	return facts
}

// furtherText counts the other findings.
func furtherText(a *analyze.Analysis) string {
	more := len(a.Findings) - 1
	if more == 0 {
		return ""
	}
	return "; and " + CountText(int64(more)) + plural(more, " more finding")
}

// sinceText says when a finding began and ended, as far as that is known.
func sinceText(a *analyze.Analysis, f *finding) string {
	if f.EndNs <= f.StartNs {
		return ""
	}
	text := timeText(f.StartNs) + " UTC"
	if into := f.StartNs - a.StartNs; into > 0 {
		text += ", " + DurationText(into) + " into the recording"
	} else {
		text += ", or before: the recording begins with it"
	}
	text += ", until " + clockText(f.EndNs) + " UTC"
	left := a.EndNs - f.EndNs
	if left < judgedNs {
		return text + ": the last " + roundText(judgedNs) + " that were judged have it"
	}
	return text + ", " + DurationText(left) + " before the recording ended"
}

// affectedText names who asked the subject of a finding, or used the disk.
func affectedText(a *analyze.Analysis, f *finding) string {
	type party struct {
		name  string
		count int64
	}
	parties := map[string]int64{}
	unit := "requests to " + visible(f.Subject.Service)
	for _, e := range a.Edges {
		if f.Subject.Service != "" && e.Server == f.Subject.Service && e.Client != e.Server {
			parties[e.Client] += e.Requests
		}
	}
	for i := range a.Disks {
		if d := &a.Disks[i]; f.Subject.Type == "disk" && d.Name == f.Subject.Name {
			unit = "IOs on it"
			for _, u := range d.Users {
				parties[u.Service] += u.IOs
			}
		}
	}
	list := []party{}
	for name, count := range parties {
		list = append(list, party{name, count})
	}
	slices.SortFunc(list, func(a, b party) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.name, b.name)) })
	texts := []string{}
	for _, p := range list[:min(len(list), affectedListed)] {
		texts = append(texts, visible(p.name)+" ("+CountText(p.count)+" "+unit+")")
	}
	if more := len(list) - len(texts); more > 0 {
		texts = append(texts, "and "+CountText(int64(more))+" more")
	}
	return strings.Join(texts, ", ")
}

// sureText says how far to trust a finding.
func sureText(f *finding) string {
	text := "confidence " + confidenceText(f.Confidence) + " of 1 (grows with independent signals, is no probability), coverage " + percentText(f.Coverage)
	if f.Reference != "" {
		text += ", compared with " + visible(f.Reference)
	}
	if n := len(f.CounterEvidence); n > 0 {
		return text + "; " + CountText(int64(n)) + plural(n, " sign") + " against it"
	}
	return text + "; nothing was seen that speaks against it"
}

// recordingText names a recording, so that it can be found again.
func recordingText(c *analyze.Capture) string {
	text := cut(visible(c.File), nameHTML)
	if c.Host != "" {
		text += " of " + cut(visible(c.Host), nameHTML)
	}
	text += ", " + timeText(c.StartNs) + " UTC for " + DurationText(c.DurationNs)
	if c.SHA256 != "" {
		text += ", sha256:" + visible(c.SHA256)
	}
	if c.Synthetic != "" {
		text += "; made up: " + visible(c.Synthetic)
	}
	return text
}
