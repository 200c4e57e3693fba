package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"kmon/analyze"
)

// Bounds of a table on a terminal; a file gets every row.
const (
	rowsOnTerminal     = 40
	nodeRowsOnTerminal = 12 // of the many tables of nodeTables
)

// Terminal colours (ECMA-48 SGR).
var colors = map[tone]string{toneWarn: "\x1b[33m", toneBad: "\x1b[31m", toneHead: "\x1b[1m"}

const toneHead tone = "head"

const colorsOff = "\x1b[0m"

// textWriter writes lines for a terminal. Its errors are those of the
// bufio.Writer, reported by Flush.
type textWriter struct {
	*bufio.Writer
	o Options
}

// writeText writes the report for a terminal: what to know first, then what
// it rests on.
func writeText(w io.Writer, a *analyze.Analysis, o Options) error {
	t := textWriter{bufio.NewWriter(w), o}
	verdict := visible(a.Verdict)
	if verdict == "" {
		verdict = "No verdict."
	}
	t.paragraph(t.paint(verdictTone(a), "● "), verdict)
	t.paragraph("", summary(a))
	if n := narrowed(a.Filter); n != "" {
		t.paragraph("", "Only: "+n)
	}
	if n := notRecorded(a); n != "" {
		t.paragraph("", n)
	}
	t.findings(a)
	t.filled(lossesTable(a))
	t.filled(leftOutTable(a))
	t.table(servicesTable(a))
	t.rows(breakdownTable(a), nodeRowsOnTerminal)
	t.table(edgesTable(a))
	t.filled(streamsTable(a))
	t.filled(slowestTable(a))
	for _, x := range nodeTables(a) {
		t.rows(x, nodeRowsOnTerminal)
	}
	t.filled(marksTable(a))
	t.definitions(oddities(a))
	t.rows(checksTable(a), rowsOnTerminal)
	t.rows(insufficientTable(a), nodeRowsOnTerminal)
	t.captures(a)
	t.warnings(a.Warnings)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("text report: %w", err)
	}
	return nil
}

// verdictTone is the tone of the verdict's sign: that of what was found, or of the
// recording itself.
func verdictTone(a *analyze.Analysis) tone {
	recording, found := alarm(a), loudest(a)
	switch {
	case recording == toneBad || found == toneBad:
		return toneBad
	case recording == toneWarn || found == toneWarn:
		return toneWarn
	}
	return toneHead
}

// paint colours s if colours are wanted.
func (t textWriter) paint(tone tone, s string) string {
	if !t.o.Color || colors[tone] == "" {
		return s
	}
	return colors[tone] + s + colorsOff
}

// unpainted is s without our own colours.
func unpainted(s string) string {
	for _, c := range colors {
		s = strings.ReplaceAll(s, c, "")
	}
	return strings.ReplaceAll(s, colorsOff, "")
}

// heading writes a title.
func (t textWriter) heading(title string) {
	t.WriteString("\n" + t.paint(toneHead, strings.ToUpper(title)) + "\n")
}

// paragraph writes s after first, broken between words at the width; further
// lines are indented as far as first reaches.
func (t textWriter) paragraph(first, s string) {
	t.WriteString(first)
	used := columns(unpainted(first))
	indent := strings.Repeat(" ", used)
	for i, w := range strings.Split(s, " ") {
		n := columns(unpainted(w))
		switch {
		case i == 0:
		case t.o.Width > 0 && used+1+n > t.o.Width:
			t.WriteString("\n" + indent)
			used = columns(indent)
		default:
			t.WriteString(" ")
			used++
		}
		t.WriteString(w)
		used += n
	}
	t.WriteString("\n")
}

// captures writes what was recorded, what was missed and what it cost.
func (t textWriter) captures(a *analyze.Analysis) {
	t.heading("Captures")
	if note := capturesNote(a); note != "" {
		t.paragraph("  ", note)
	}
	for i := range a.Captures {
		c := &a.Captures[i]
		seen, lost, worst := coverageOf(c)
		t.WriteString("  " + cut(nameText(c.File), max(0, t.o.Width-2)) + moreParts(c) + "\n")
		t.paragraph("    ", "host "+visible(c.Host)+" · kernel "+visible(c.Kernel)+" · "+timeText(c.StartNs)+
			" UTC for "+DurationText(c.DurationNs)+" · "+t.paint(stopCell(c).Tone, stopText(c)))
		if note := captureNote(c); note != "" {
			t.paragraph("    ", note)
		}
		losses := alarmed(lost, toneBad)
		t.paragraph("    ", CountText(seen)+" events · "+t.paint(losses.Tone, losses.Text+" lost")+
			" · "+t.paint(worst.Tone, "coverage "+worst.Text)+
			" · "+recorderText(&c.Recorder))
		for _, h := range c.Collectors {
			if h.Missing != "" {
				t.paragraph("    ", t.paint(toneWarn, "not recorded by "+visible(h.Name)+": "+visible(h.Missing)))
			}
		}
		for _, p := range c.Problems {
			t.paragraph("    ", t.paint(toneBad, visible(p)))
		}
	}
	if len(a.Captures) == 0 {
		t.WriteString("  none\n")
	}
}

// recorderText says what recording cost.
func recorderText(r *analyze.Recorder) string {
	if *r == (analyze.Recorder{}) {
		return "recorder's cost not recorded"
	}
	return "recorder " + recorderCPU(r) + " of a core, " + orAbsent(r.MaxRSSBytes, BytesText) +
		", BPF programs " + bpfText(r)
}

// bpfText is the run time of the recorder's BPF programs; kernels measure it
// only when told to.
func bpfText(r *analyze.Recorder) string {
	if r.BPFRunNs == 0 {
		return "not measured"
	}
	return DurationText(r.BPFRunNs)
}

// stopText says why a recording ended.
func stopText(c *analyze.Capture) string {
	if c.StopReason == "" {
		return "cut short"
	}
	if !c.EndsInOrder() {
		return "cut short, repaired"
	}
	return "stopped by " + visible(c.StopReason)
}

// filled writes a table unless it has no rows.
func (t textWriter) filled(x table) {
	t.rows(x, rowsOnTerminal)
}

// table writes a table, or that it has no rows.
func (t textWriter) table(x table) {
	if len(x.Rows) == 0 {
		t.heading(x.Title)
		t.WriteString("  none\n")
		return
	}
	t.rows(x, rowsOnTerminal)
}

// rows writes a title and aligned columns, so many rows on a terminal; nothing
// for a table without rows.
func (t textWriter) rows(x table, most int) {
	if len(x.Rows) == 0 {
		return
	}
	t.heading(x.Title)
	if x.Note != "" {
		t.paragraph("  ", x.Note)
	}
	more := 0
	if t.o.Width > 0 && len(x.Rows) > most {
		more = len(x.Rows) - most
		x.Rows = x.Rows[:most]
	}
	x, widths := fit(x, t.o.Width)
	t.heads(x.Columns, widths)
	for _, row := range x.Rows {
		t.row(x.Columns, widths, row)
	}
	if more > 0 {
		fmt.Fprintf(t, "  … and %s more: write to a file with -o to see all\n", CountText(int64(more)))
	}
}

// heads writes the line above the columns.
func (t textWriter) heads(columns []column, widths []int) {
	cells := make([]cell, len(columns))
	for i, c := range columns {
		cells[i].Text = strings.ToUpper(c.Head)
		if strings.HasPrefix(c.Head, "p") { // p50: the case is part of the name
			cells[i].Text = c.Head
		}
	}
	t.row(columns, widths, cells)
}

// row writes one line of a table.
func (t textWriter) row(cs []column, widths []int, row []cell) {
	line := ""
	for i, c := range row {
		text := cut(c.Text, widths[i])
		pad := strings.Repeat(" ", widths[i]-columns(text))
		text = t.paint(c.Tone, text)
		if cs[i].Kind == kindNumber {
			line += "  " + pad + text
		} else {
			line += "  " + text + pad
		}
	}
	t.WriteString(strings.TrimRight(line, " ") + "\n")
}

// fit gives the widths of the columns, and the table without the columns that
// find no room. Names shrink first, then columns go by rank.
func fit(x table, width int) (table, []int) {
	for {
		widths := natural(x)
		total := 0
		for _, w := range widths {
			total += w + 2
		}
		if width <= 0 || total <= width {
			return x, widths
		}
		over := shrink(x, widths, total-width)
		drop := lastRank(x.Columns)
		if over <= 0 || drop < 0 {
			return x, widths
		}
		x = x.without(drop)
	}
}

// natural is the width of the widest cell of each column.
func natural(x table) []int {
	widths := make([]int, len(x.Columns))
	for i, c := range x.Columns {
		widths[i] = columns(c.Head)
		for _, row := range x.Rows {
			widths[i] = max(widths[i], columns(row[i].Text))
		}
	}
	return widths
}

// nameColumns is how far names shrink before columns go.
const nameColumns = 14

// shrink takes over columns from the widest name columns, and gives what
// could not be taken.
func shrink(x table, widths []int, over int) int {
	for over > 0 {
		widest := -1
		for i, c := range x.Columns {
			if (c.Kind == kindName || c.Kind == kindProse || c.Kind == kindText) && widths[i] > nameColumns && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		over--
	}
	return over
}

// lastRank is the column to drop first, -1 when all must stay.
func lastRank(cs []column) int {
	last := -1
	for i, c := range cs {
		if c.Rank > 0 && (last < 0 || c.Rank >= cs[last].Rank) {
			last = i
		}
	}
	return last
}

// definitions writes a line per note.
func (t textWriter) definitions(notes []definition) {
	if len(notes) == 0 {
		return
	}
	t.heading("Notes")
	for _, n := range notes {
		t.paragraph("  ", n.Term+": "+n.Meaning)
	}
}

// warnings writes what to know before trusting the numbers.
func (t textWriter) warnings(warnings []string) {
	if len(warnings) == 0 {
		return
	}
	t.heading("Warnings")
	for _, w := range warnings {
		t.paragraph(t.paint(toneWarn, "! "), visible(w))
	}
}
