package reports

import "strconv"

// findings writes what is wrong, root causes first, then what was judged.
func (m *markdown) findings() {
	m.line("## Findings\n")
	if none := silence(m.a); none != "" {
		m.line(m.text(none) + "\n")
	}
	views := findingViews(m.a)
	shown := min(len(views), m.d.findings)
	for i := range views[:shown] {
		m.finding(&views[i])
	}
	m.table(furtherTable(m.a, shown))
	m.folded(checksTable(m.a))
	m.folded(insufficientTable(m.a))
}

// finding writes one finding.
func (m *markdown) finding(v *findingView) {
	sign := ""
	if v.Tone != toneNone {
		sign = "⚠️ "
	}
	m.line("### " + sign + v.Number + ". " + m.text(v.Severity) + ": " + m.text(v.Title) + "\n")
	m.line(m.text(v.Facts) + "\n")
	shown := m.bound(len(v.Evidence.Rows), "rows of “"+v.Evidence.Title+"”")
	m.rows(v.Evidence, v.Evidence.Rows[:shown])
	for _, d := range v.More {
		m.line("- **" + d.Term + ":** " + m.text(d.Meaning))
	}
	m.links("Caused by", v.CausedBy)
	m.links("Causes", v.Causes)
	m.line("")
}

// links writes which findings belong to one.
func (m *markdown) links(term string, links []findingLink) {
	shown := min(len(links), m.d.rows)
	for _, l := range links[:shown] {
		place := ""
		if l.Number != "" {
			place = l.Number + ", "
		}
		m.line("- **" + term + ":** " + place + m.text(l.Title))
	}
	if left := len(links) - shown; left > 0 {
		m.line("- **" + term + ":** and " + strconv.Itoa(left) + " more")
	}
}
