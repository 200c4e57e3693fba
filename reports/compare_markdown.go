package reports

import (
	"fmt"
	"io"
	"slices"

	"kmon/analyze/compare"
)

// writeComparisonMarkdown writes a comment for a pull request.
func writeComparisonMarkdown(w io.Writer, c *compare.Result, o Options) error {
	for _, d := range details {
		m := comparisonMarkdown{markdown{o: o, d: d}, c}
		if text := m.render(); len(text) <= MarkdownLimit {
			if _, err := io.WriteString(w, text); err != nil {
				return fmt.Errorf("markdown comparison: %w", err)
			}
			return nil
		}
	}
	return fmt.Errorf("markdown comparison: larger than %d characters at the least detail: use the html report", MarkdownLimit)
}

// comparisonMarkdown is one attempt at a detail.
type comparisonMarkdown struct {
	markdown
	c *compare.Result
}

// render gives the whole comment: the verdict, then tables of ten rows with the
// rest folded, then all else folded.
func (m *comparisonMarkdown) render() string {
	m.head()
	m.table(thresholdsTable(m.c))
	for _, t := range judgedTables(m.c) {
		m.table(t)
	}
	m.table(oneSidedTable(m.c))
	for _, t := range flameTables(m.c, true) {
		m.folded(t)
	}
	m.line(countsText(m.c) + "\n")
	for _, t := range []table{unjudgedTable(m.c), unchangedTable(m.c), runsTable(m.c), filesTable(m.c)} {
		m.folded(t)
	}
	m.line("<details><summary>How to read this</summary>\n")
	for _, d := range comparisonDefinitions(m.c) {
		m.line("- **" + d.Term + "**: " + m.text(d.Meaning))
	}
	m.line("\n</details>\n")
	m.end()
	return m.String()
}

// head writes the verdict, the load, and what to know.
func (m *comparisonMarkdown) head() {
	state, tone := comparisonState(m.c)
	sign := "✅ "
	switch tone {
	case toneBad:
		sign = "❌ "
	case toneWarn:
		sign = "⚠️ "
	}
	m.line("## " + sign + "kmon compare: " + state + "\n")
	m.line("**" + state + ":** " + m.text(comparisonVerdict(m.c)) + "\n")
	load, loudness := loadText(m.c)
	if loudness != toneNone {
		load = "⚠️ " + m.text(load)
	} else {
		load = m.text(load)
	}
	m.line("- " + load)
	for _, s := range []string{sidesText(m.c), settingsText(m.c), noiseText(m.c)} {
		m.line("- " + m.text(s))
	}
	notes := comparisonNotes(m.c)
	shown := m.bound(len(notes), "warnings")
	for _, n := range notes[:shown] {
		m.line("- ⚠️ " + m.text(n))
	}
	m.line("")
}

// end writes what was left out and how the comment was made.
func (m *comparisonMarkdown) end() {
	m.missing()
	m.line("---\n")
	made := "Made by kmon " + m.code(m.c.Version, m.d.name)
	if m.o.Command != "" {
		made += " with " + m.code(m.o.Command, m.d.prose)
	}
	m.line(made + ". Times are UTC.")
}

// missing says which rows the detail left out.
func (m *comparisonMarkdown) missing() {
	if len(m.left) == 0 {
		return
	}
	text := ""
	for i, l := range slices.Clone(m.left) {
		if i > 0 {
			text += ", "
		}
		text += l
	}
	m.line("Left out to fit a comment: " + text + ". The html and json reports hold all of it.\n")
}
