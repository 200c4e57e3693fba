package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"kmon/analyze/compare"
)

// writeComparisonText writes a comparison for a terminal: another load first,
// then the verdict, then what changed.
func writeComparisonText(w io.Writer, c *compare.Result, o Options) error {
	t := textWriter{bufio.NewWriter(w), o}
	load, loudness := loadText(c)
	if loudness != toneNone {
		t.paragraph(t.paint(loudness, "! "), load)
	}
	state, stateTone := comparisonState(c)
	sign := stateTone
	if sign == toneNone {
		sign = toneHead
	}
	t.paragraph(t.paint(sign, "● "), t.paint(stateTone, state)+": "+comparisonVerdict(c))
	t.paragraph("", sidesText(c))
	if loudness == toneNone {
		t.paragraph("", load)
	}
	t.paragraph("", settingsText(c))
	t.paragraph("", noiseText(c))
	t.answers(thresholdsTable(c), rowsOnTerminal)
	for _, x := range judgedTables(c) {
		if x.ID == inconclusiveID {
			t.answers(x, nodeRowsOnTerminal)
			continue
		}
		t.rows(x, nodeRowsOnTerminal)
	}
	t.rows(oneSidedTable(c), nodeRowsOnTerminal)
	t.answers(unjudgedTable(c), nodeRowsOnTerminal)
	t.heading("Counts")
	t.paragraph("  ", countsText(c))
	for _, x := range flameTables(c, false) {
		t.rows(x, nodeRowsOnTerminal)
	}
	t.rows(runsTable(c), nodeRowsOnTerminal)
	t.warnings(comparisonNotes(c))
	if err := t.Flush(); err != nil {
		return fmt.Errorf("text comparison: %w", err)
	}
	return nil
}

// answers writes a table whose last column is a sentence, so many rows on a
// terminal: each row is a paragraph, for a reason must not be cut.
func (t textWriter) answers(x table, most int) {
	if len(x.Rows) == 0 {
		return
	}
	t.heading(x.Title)
	rows := x.Rows
	if t.o.Width > 0 {
		rows = rows[:min(len(rows), most)]
	}
	for _, row := range rows {
		words := []string{}
		for i, c := range row[:len(row)-1] {
			if c.Text == absent || x.Columns[i].Rank > 0 {
				continue
			}
			if x.Columns[i].Kind == kindNumber {
				c.Text = x.Columns[i].Head + " " + c.Text
			}
			words = append(words, t.paint(c.Tone, c.Text))
		}
		t.paragraph("  ", strings.Join(words, ", ")+": "+row[len(row)-1].Text)
	}
	if more := len(x.Rows) - len(rows); more > 0 {
		fmt.Fprintf(t, "  … and %s more: write to a file with -o to see all\n", CountText(int64(more)))
	}
}
