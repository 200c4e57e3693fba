package format

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// PrintFormat is how Print writes rows.
type PrintFormat string

const (
	PrintText   PrintFormat = "text"   // for people: one line a row, enums and flags as words
	PrintNDJSON PrintFormat = "ndjson" // one JSON object a line, numbers as stored
	PrintCSV    PrintFormat = "csv"    // a header line, then rows, numbers as stored
)

// PrintOptions are the choices of Print; the zero value prints all rows as
// text.
type PrintOptions struct {
	Format PrintFormat
	Limit  int64 // rows of each table, 0: all
}

// Print writes the rows of a table, or of all tables when table is "". In CSV
// only one table fits. Damaged segments are left out and become Problems of c.
// The error is that of w, or names the tables there are.
func Print(w io.Writer, c *Capture, table string, o PrintOptions) error {
	names := c.Tables()
	if table != "" {
		if !slices.Contains(names, table) && tableNamed(table) == nil {
			return fmt.Errorf("%s has no table %q; it has %s", c.Path, table, strings.Join(names, ", "))
		}
		names = []string{table}
	}
	if o.Format == PrintCSV && table == "" {
		return fmt.Errorf("csv takes one table: give one of %s", strings.Join(names, ", "))
	}
	out := bufio.NewWriter(w)
	for _, name := range names {
		var err error
		switch o.Format {
		case PrintText, "":
			err = printText(out, c, name, o.Limit, table == "")
		case PrintNDJSON:
			err = printNDJSON(out, c, name, o.Limit, table == "")
		case PrintCSV:
			err = printCSV(out, c, name, o.Limit)
		default:
			err = fmt.Errorf("print format %q is none of text, ndjson, csv", o.Format)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// errLimit ends the reading of a table early.
var errLimit = errors.New("limit reached")

// rows calls fn for up to limit rows of a table, 0: for all.
func (c *Capture) rows(table string, limit int64, fn func(columns []columnValues, row int, first bool) error) error {
	n := int64(0)
	err := c.eachSegment(table, func(columns []columnValues, rows int) error {
		for i := range rows {
			if limit > 0 && n == limit {
				return errLimit
			}
			if err := fn(columns, i, n == 0); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// printText writes column=value words; what is zero or empty is left out.
func printText(w *bufio.Writer, c *Capture, table string, limit int64, named bool) error {
	return c.rows(table, limit, func(columns []columnValues, row int, _ bool) error {
		if named {
			w.WriteString(table)
			w.WriteByte(' ')
		}
		space := ""
		for i := range columns {
			v := &columns[i]
			if i > 0 && v.zero(row) {
				continue
			}
			for _, s := range [...]string{space, v.name, "=", v.human(row)} {
				w.WriteString(s)
			}
			space = " "
		}
		return w.WriteByte('\n')
	})
}

// zero says whether row i has the column's zero value.
func (v *columnValues) zero(i int) bool {
	if v.kind == kindText {
		return v.texts[i] == ""
	}
	return v.numbers[i] == 0
}

func printNDJSON(w *bufio.Writer, c *Capture, table string, limit int64, named bool) error {
	return c.rows(table, limit, func(columns []columnValues, row int, _ bool) error {
		w.WriteByte('{')
		comma := ""
		if named {
			fmt.Fprintf(w, `"table":%q`, table)
			comma = ","
		}
		for i := range columns {
			v := &columns[i]
			w.WriteString(comma)
			w.WriteByte('"')
			w.WriteString(v.name)
			w.WriteString(`":`)
			comma = ","
			if v.kind != kindText {
				w.Write(strconv.AppendInt(w.AvailableBuffer(), v.numbers[row], 10))
				continue
			}
			text, err := json.Marshal(strings.ToValidUTF8(v.texts[row], string(utf8.RuneError)))
			if err != nil {
				return err
			}
			w.Write(text)
		}
		w.WriteString("}\n")
		return nil
	})
}

func printCSV(w *bufio.Writer, c *Capture, table string, limit int64) error {
	out := csv.NewWriter(w)
	var record []string
	err := c.rows(table, limit, func(columns []columnValues, row int, first bool) error {
		if first {
			for i := range columns {
				record = append(record, columns[i].name)
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
		record = record[:0]
		for i := range columns {
			if v := &columns[i]; v.kind == kindText {
				record = append(record, v.texts[row])
			} else {
				record = append(record, strconv.FormatInt(v.numbers[row], 10))
			}
		}
		return out.Write(record)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
