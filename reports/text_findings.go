package reports

import (
	"strings"

	"kmon/analyze"
)

// findingsOnTerminal is how many findings a terminal gets in full; a file gets
// all of them.
const findingsOnTerminal = 8

// findings writes what is wrong, root causes first.
func (t textWriter) findings(a *analyze.Analysis) {
	t.heading("Findings")
	if none := silence(a); none != "" {
		t.paragraph("  ", none)
	}
	views := findingViews(a)
	shown := len(views)
	if t.o.Width > 0 {
		shown = min(shown, findingsOnTerminal)
	}
	for i := range views[:shown] {
		t.finding(&views[i])
	}
	t.rows(furtherTable(a, shown), rowsOnTerminal)
}

// finding writes one finding.
func (t textWriter) finding(v *findingView) {
	t.paragraph("  "+v.Number+" ", t.paint(v.Tone, v.Severity)+": "+v.Title)
	t.paragraph("    ", v.Facts)
	for _, row := range v.Evidence.Rows {
		t.paragraph("    ", evidenceText(v.Evidence.Columns, row))
	}
	for _, m := range v.More {
		t.paragraph("    ", strings.ToLower(m.Term)+": "+m.Meaning)
	}
	t.links("caused by", v.CausedBy)
	t.links("causes", v.Causes)
}

// evidenceText is a row of evidence as a sentence, its numbers in brackets.
func evidenceText(columns []column, row []cell) string {
	numbers := []string{}
	for i, c := range row[2:] {
		if c.Text == absent {
			continue
		}
		if head := strings.ToLower(columns[i+2].Head); head == "threshold" || head == "reference" {
			c.Text = head + " " + c.Text
		}
		numbers = append(numbers, c.Text)
	}
	text := row[0].Text + ": " + row[1].Text
	if len(numbers) > 0 {
		text += " (" + strings.Join(numbers, ", ") + ")"
	}
	return text
}

// links writes which findings belong to one.
func (t textWriter) links(term string, links []findingLink) {
	for _, l := range links {
		place := ""
		if l.Number != "" {
			place = l.Number + ", "
		}
		t.paragraph("    ", term+": "+place+l.Title)
	}
}
