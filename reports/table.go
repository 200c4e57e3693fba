package reports

import "kmon/analyze"

// kind says what the cells of a column are.
type kind int

const (
	kindWord   kind = iota // kmon's own vocabulary
	kindName               // text from a capture: made visible, but still to be escaped
	kindProse              // as kindName, but long: hooks, problems, remarks
	kindText               // a sentence of kmon's in which names from a capture may stand
	kindNumber             // right-aligned
)

// tone says how much a cell asks for attention.
type tone string

const (
	toneNone tone = ""
	toneWarn tone = "warn"
	toneBad  tone = "bad"
	toneZero tone = "zero" // 0, or as expected: may be drawn fainter
)

// column heads one column of a table.
type column struct {
	Head string
	Hint string // what the column means, one line; "" when the head says it
	Kind kind
	// Optional columns are left out when every cell is absent, 0 or as
	// expected.
	Optional bool
	// Rank orders what a narrow reader drops: highest first; 0 stays.
	Rank int
}

// cell is one value, ready to be escaped and shown.
type cell struct {
	Text string
	Tone tone
}

// table is one table for every format. Slices are never nil, and every row
// has one cell for each column.
type table struct {
	ID      string
	Title   string
	Note    string // a line below the title; may be ""
	Columns []column
	Rows    [][]cell
	// Times are those of the rows, Unix ns: a reader may narrow the table to some.
	// nil: it is of the whole recording.
	Times []analyze.Span
	// WholeSums says that the numbers of a row are of the whole recording all the same.
	WholeSums bool
	// Windowed says that there may be a table by window in its place, as of windowTables.
	Windowed bool
}

// withTimes is t with the times of its rows.
func withTimes[T any](t table, items []T, of func(*T) (from, to int64)) table {
	t.Times = make([]analyze.Span, len(items))
	for i := range items {
		t.Times[i].StartNs, t.Times[i].EndNs = of(&items[i])
	}
	return t
}

// spec is a column and how its cell is read from a T.
type spec[T any] struct {
	column
	cell func(*T) cell
}

// build fills a table from items, a row each, without the optional columns
// that would say nothing.
func build[T any](id, title string, items []T, specs []spec[T]) table {
	t := table{ID: id, Title: title, Columns: []column{}, Rows: make([][]cell, len(items))}
	for i := range t.Rows {
		t.Rows[i] = []cell{}
	}
	for _, s := range specs {
		cells := make([]cell, len(items))
		told := false
		for i := range items {
			cells[i] = s.cell(&items[i])
			told = told || (cells[i].Text != absent && cells[i].Text != "0/s" && cells[i].Tone != toneZero)
		}
		if s.Optional && !told {
			continue
		}
		t.Columns = append(t.Columns, s.column)
		for i := range cells {
			t.Rows[i] = append(t.Rows[i], cells[i])
		}
	}
	return t
}

// without is t without column c.
func (t table) without(c int) table {
	n := t
	n.Columns = append(append([]column{}, t.Columns[:c]...), t.Columns[c+1:]...)
	n.Rows = make([][]cell, len(t.Rows))
	for i, row := range t.Rows {
		n.Rows[i] = append(append([]cell{}, row[:c]...), row[c+1:]...)
	}
	return n
}

// word is a cell of kmon's own vocabulary.
func word(s string) cell {
	if s == "" {
		s = absent
	}
	return cell{Text: visible(s)}
}

// named is a cell of text from a capture.
func named(s string) cell {
	return word(s)
}

// counted is a cell with a count.
func counted(n int64) cell {
	if n == 0 {
		return cell{Text: "0", Tone: toneZero}
	}
	return cell{Text: CountText(n)}
}

// alarmed is a cell with a count that should be 0.
func alarmed(n int64, t tone) cell {
	c := counted(n)
	if n > 0 {
		c.Tone = t
	}
	return c
}

// covered is a cell with a coverage of 0 to 1; full says whether there was
// anything to cover.
func covered(ratio float64, any bool) cell {
	switch {
	case !any:
		return cell{Text: absent}
	case ratio < coverageTrusted:
		return cell{Text: percentText(ratio), Tone: toneBad}
	case ratio < 1:
		return cell{Text: percentText(ratio), Tone: toneWarn}
	}
	return cell{Text: percentText(ratio)}
}

// coverageTrusted is the coverage below which numbers are shown in alarm: the
// analysis calls findings below it insufficient.
const coverageTrusted = 0.9
