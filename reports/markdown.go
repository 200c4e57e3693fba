package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kmon/analyze"
)

// MarkdownLimit is the most bytes of a Markdown report, and so the most
// characters: what a comment on GitHub or GitLab holds.
const MarkdownLimit = 65536

// rowsShown is how many rows of a table stand open; the rest is folded.
const rowsShown = 10

// detail bounds what a Markdown report holds.
type detail struct {
	findings int // in full
	rows     int // of a table, folded ones included
	tail     int // of a table behind the others, which are for looking up; 0: these are left out
	nodes    int // of the topology
	edges    int // of the topology
	name     int // columns of a name
	prose    int // columns of a verdict or warning
}

// details are tried in turn until the report fits: what is least important goes
// first.
var details = []detail{
	{findings: 20, rows: 2000, tail: 2000, nodes: 40, edges: 60, name: 100, prose: 4000},
	{findings: 20, rows: 2000, tail: 100, nodes: 40, edges: 60, name: 100, prose: 4000},
	{findings: 20, rows: 1000, tail: 20, nodes: 40, edges: 60, name: 100, prose: 2000},
	{findings: 20, rows: 500, tail: 0, nodes: 40, edges: 60, name: 60, prose: 2000},
	{findings: 15, rows: 250, tail: 0, nodes: 40, edges: 60, name: 60, prose: 2000},
	{findings: 12, rows: 100, tail: 0, nodes: 30, edges: 45, name: 60, prose: 2000},
	{findings: 10, rows: 50, tail: 0, nodes: 25, edges: 35, name: 60, prose: 1000},
	{findings: 8, rows: 25, tail: 0, nodes: 25, edges: 35, name: 48, prose: 1000},
	{findings: 5, rows: 10, tail: 0, nodes: 15, edges: 20, name: 40, prose: 500},
	{findings: 3, rows: 5, tail: 0, nodes: 10, edges: 10, name: 24, prose: 300},
	{findings: 1, rows: 2, tail: 0, nodes: 5, edges: 5, name: 12, prose: 200},
}

// writeMarkdown writes a report that fits a ticket.
func writeMarkdown(w io.Writer, a *analyze.Analysis, o Options) error {
	for _, d := range details {
		m := markdown{a: a, o: o, d: d}
		if text := m.render(); len(text) <= MarkdownLimit {
			if _, err := io.WriteString(w, text); err != nil {
				return fmt.Errorf("markdown report: %w", err)
			}
			return nil
		}
	}
	return fmt.Errorf("markdown report: larger than %d characters at the least detail: use the html report", MarkdownLimit)
}

// markdown is one attempt at a detail.
type markdown struct {
	strings.Builder
	a    *analyze.Analysis
	o    Options
	d    detail
	left []string // what the detail left out
}

// render gives the whole report.
func (m *markdown) render() string {
	m.head()
	m.short()
	m.findings()
	m.warnings()
	m.table(lossesTable(m.a))
	m.table(leftOutTable(m.a))
	m.topology()
	m.table(servicesTable(m.a))
	m.definitions(oddities(m.a))
	m.table(breakdownTable(m.a))
	m.table(edgesTable(m.a))
	m.table(streamsTable(m.a))
	m.table(slowestTable(m.a))
	for _, t := range nodeTables(m.a) {
		if slices.Contains(lookedUp, t.ID) {
			m.folded(t)
		} else {
			m.table(t)
		}
	}
	m.table(marksTable(m.a))
	m.table(problemsTable(m.a))
	m.table(capturesTable(m.a))
	m.tail()
	m.reading()
	m.foot()
	return m.String()
}

// lookedUp are tables that tell nothing to who does not look for something: they
// are folded.
var lookedUp = []string{"functions-on-cpu", "functions-off-cpu", "waits"}

// tail writes the tables for looking up, folded.
func (m *markdown) tail() {
	dropped := []string{}
	for _, t := range slices.Concat([]table{partsTable(m.a), instancesTable(m.a), connectionsTable(m.a)}, nodeDetails(m.a), timeTables(m.a),
		[]table{coverageTable(m.a), machinesTable(m.a), hooksTable(m.a), hashesTable(m.a)}) {
		if m.d.tail == 0 && len(t.Rows) > 0 {
			dropped = append(dropped, "“"+t.Title+"”")
			continue
		}
		m.foldedTo(m.d.tail, t)
	}
	if len(dropped) > 0 {
		m.left = append(m.left, "the tables "+strings.Join(dropped, ", "))
	}
}

// head writes the verdict and what was analyzed.
func (m *markdown) head() {
	verdict := m.a.Verdict
	if verdict == "" {
		verdict = "none"
	}
	m.line("# kmon report\n")
	m.line("**Verdict:** " + m.text(verdict) + "\n")
	m.line(summary(m.a) + "\n")
	if n := narrowed(m.a.Filter); n != "" {
		m.line("Only: " + m.code(n, m.d.prose) + "\n")
	}
}

// line writes s and a line end.
func (m *markdown) line(s string) {
	m.WriteString(s)
	m.WriteByte('\n')
}

// text is escaped prose, bounded.
func (m *markdown) text(s string) string {
	return markdownText(cut(visible(s), m.d.prose))
}

// code is a code span, bounded.
func (m *markdown) code(s string, width int) string {
	return markdownCode(cut(visible(s), width))
}

// warnings lists what to know before trusting the numbers.
func (m *markdown) warnings() {
	shown := m.bound(len(m.a.Warnings), "warnings")
	for _, w := range m.a.Warnings[:shown] {
		m.line("- ⚠️ " + m.text(w))
	}
	if shown > 0 {
		m.line("")
	}
}

// bound is how many of n things are written, and remembers the rest.
func (m *markdown) bound(n int, what string) int { return m.boundTo(m.d.rows, n, what) }

// boundTo is bound for another bound than that of most tables.
func (m *markdown) boundTo(most, n int, what string) int {
	if n <= most {
		return n
	}
	m.left = append(m.left, CountText(int64(n-most))+" "+what)
	return most
}

// table writes a table under a heading: ten rows open, the rest folded.
// A table without rows is left out.
func (m *markdown) table(t table) {
	if len(t.Rows) == 0 {
		return
	}
	m.line("## " + t.Title + "\n")
	m.note(t)
	shown := m.bound(len(t.Rows), "rows of “"+t.Title+"”")
	open := min(shown, rowsShown)
	m.rows(t, t.Rows[:open])
	if shown > open {
		m.line("<details><summary>" + CountText(int64(shown-open)) + " more</summary>\n")
		m.rows(t, t.Rows[open:shown])
		m.line("</details>\n")
	}
}

// note writes the line below a table's title.
func (m *markdown) note(t table) {
	if t.Note != "" {
		m.line(m.text(t.Note) + "\n")
	}
}

// folded writes a whole table behind its title.
func (m *markdown) folded(t table) { m.foldedTo(m.d.rows, t) }

// foldedTo is folded for another bound than that of most tables.
func (m *markdown) foldedTo(most int, t table) {
	if len(t.Rows) == 0 {
		return
	}
	shown := m.boundTo(most, len(t.Rows), "rows of “"+t.Title+"”")
	m.line("<details><summary>" + t.Title + "</summary>\n")
	m.note(t)
	m.rows(t, t.Rows[:shown])
	m.line("</details>\n")
}

// rows writes a Markdown table.
func (m *markdown) rows(t table, rows [][]cell) {
	head, rule := "|", "|"
	for _, c := range t.Columns {
		head += " " + c.Head + " |"
		if c.Kind == kindNumber {
			rule += "---:|"
		} else {
			rule += "---|"
		}
	}
	m.line(head)
	m.line(rule)
	for _, row := range rows {
		line := "|"
		for i, c := range row {
			line += " " + m.cell(t.Columns[i], c) + " |"
		}
		m.line(line)
	}
	m.line("")
}

// cell is one value: names in code spans, alarms in bold.
func (m *markdown) cell(c column, v cell) string {
	text := v.Text
	switch {
	case text == absent:
		return text
	case c.Kind == kindProse:
		return m.code(text, m.d.prose)
	case c.Kind == kindText:
		return m.text(text)
	case c.Kind == kindName && v.Tone == toneNone:
		return m.code(text, m.d.name)
	case c.Kind != kindNumber:
		text = m.text(text)
	}
	if v.Tone == toneWarn || v.Tone == toneBad {
		return "**" + text + "**"
	}
	return text
}

// topology writes the mermaid drawing.
func (m *markdown) topology() {
	g := pickGraph(m.a, m.d.nodes, m.d.edges)
	if len(g.Nodes) == 0 {
		return
	}
	m.line("## Topology\n")
	m.line(mermaidText(g, min(m.d.name, 40)))
	if s := g.leftOut(); s != "" {
		m.line(s + "\n")
	}
}

// definitions writes a line per note.
func (m *markdown) definitions(notes []definition) {
	for _, n := range notes {
		m.line("- **" + n.Term + "**: " + n.Meaning)
	}
	if len(notes) > 0 {
		m.line("")
	}
}

// reading writes how to read the report, folded.
func (m *markdown) reading() {
	m.line("<details><summary>How to read this</summary>\n")
	for _, d := range definitions(m.a) {
		m.line("- **" + d.Term + "**: " + m.text(d.Meaning))
	}
	m.line("\n</details>\n")
}

// foot writes what was left out and how the report was made.
func (m *markdown) foot() {
	if len(m.left) > 0 {
		m.line("Left out to fit a ticket: " + strings.Join(m.left, ", ") + ". The html and json reports hold all of it.\n")
	}
	m.line("---\n")
	made := "Made by kmon " + m.code(m.a.Version, m.d.name)
	if m.o.Command != "" {
		made += " with " + m.code(m.o.Command, m.d.prose)
	}
	m.line(made + ". Times are UTC.")
}
