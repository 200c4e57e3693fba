package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// The text form of a capture, for tests and reviews: lossless for manifest,
// rows and final.json, without the division into segments.
//
//	kmon.capture text 1
//	manifest {…}
//	table sockets ts_ns socket_id event …
//	1000000000 7 open server accept 4 …
//	final {…}
//
// A row has the values of its columns, separated by spaces; enums and flags as
// words, texts quoted when they hold anything but printable ASCII.
const textHeader = "kmon.capture text 1"

// maxTextLine is the longest line ReadText takes.
const maxTextLine = 16 << 20

// WriteText writes c in text form. Damaged segments are left out and become
// Problems of c.
func WriteText(w io.Writer, c *Capture) error {
	out := bufio.NewWriter(w)
	manifest, err := json.Marshal(c.Manifest)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\nmanifest %s\n", textHeader, manifest)
	for _, t := range tables {
		if len(c.segments[t.name]) > 0 {
			if err := writeTextTable(out, c, t); err != nil {
				return err
			}
		}
	}
	if c.Final != nil {
		final, err := json.Marshal(c.Final)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "final %s\n", final)
	}
	return out.Flush()
}

func writeTextTable(out *bufio.Writer, c *Capture, t *table) error {
	out.WriteString("table " + t.name)
	for _, col := range t.columns {
		out.WriteString(" " + col.name)
	}
	out.WriteByte('\n')
	return c.rows(t.name, 0, func(columns []columnValues, row int, _ bool) error {
		for i := range t.columns {
			if i > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(columns[i].human(row))
		}
		return out.WriteByte('\n')
	})
}

// textReader reads the text form into a Writer.
type textReader struct {
	w     *Writer
	path  string
	table rowParser
	final *Final
}

// ReadText reads the text form and writes the capture it describes to path. A
// mistake in the text is an error with its line number, and leaves no capture.
// A text without final gives a capture without final.json, as a killed
// recorder leaves it.
func ReadText(r io.Reader, path string) error {
	t := &textReader{path: path}
	err := t.read(r)
	if t.w == nil {
		if err == nil {
			err = errors.New("text without a manifest")
		}
		return err
	}
	if err != nil {
		return errors.Join(err, t.w.Discard())
	}
	return t.w.close(t.final)
}

func (t *textReader) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTextLine)
	for n := 1; lines.Scan(); n++ {
		if err := t.line(n, lines.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (t *textReader) line(n int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case n == 1:
		if line != textHeader {
			return fmt.Errorf("want %q", textHeader)
		}
		return nil
	case line == "" || line[0] == '#':
		return nil
	case word == "manifest":
		return t.readManifest(rest)
	case t.w == nil:
		return errors.New("the manifest comes first")
	case t.final != nil:
		return errors.New("nothing comes after final")
	case word == "table":
		return t.readTable(rest)
	case word == "final":
		t.final = &Final{}
		return decodeStrict(rest, t.final)
	case t.table == nil:
		return errors.New("a row before the first table")
	default:
		return t.table.parse(line)
	}
}

func (t *textReader) readManifest(text string) error {
	if t.w != nil {
		return errors.New("a second manifest")
	}
	var m Manifest
	if err := decodeStrict(text, &m); err != nil {
		return err
	}
	var err error
	t.w, err = Create(t.path, m, WriterOptions{NoSync: true})
	return err
}

// readTable takes the header line of a table.
func (t *textReader) readTable(text string) error {
	names := strings.Split(text, " ")
	for _, s := range t.w.sinks {
		if s.table().name == names[0] {
			var err error
			t.table, err = s.parser(names[1:])
			return err
		}
	}
	return fmt.Errorf("no table is called %q", names[0])
}

func decodeStrict(text string, v any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// rowParser appends the row of a text line to a Writer.
type rowParser interface{ parse(line string) error }

// parser is the rowParser of one table.
type parser[T Row] struct {
	w       *Writer
	columns []column
}

// parser makes the rowParser for rows with these columns.
func (s *sink[T]) parser(names []string) (rowParser, error) {
	p := &parser[T]{w: s.w}
	for _, name := range names {
		c, ok := s.info.column(name)
		if !ok {
			return nil, fmt.Errorf("table %s has no column %q", s.info.name, name)
		}
		p.columns = append(p.columns, c)
	}
	return p, nil
}

func (p *parser[T]) parse(line string) error {
	var row T
	value := reflect.ValueOf(&row).Elem()
	for i, c := range p.columns {
		word, rest, err := cutValue(line)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		if word == "" || (rest == "") != (i == len(p.columns)-1) {
			return fmt.Errorf("want %d values", len(p.columns))
		}
		if err := setValue(value.Field(c.field), c, word); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		line = rest
	}
	return Append(p.w, row)
}

// cutValue cuts the first value off a line.
func cutValue(line string) (value, rest string, err error) {
	value = line
	if strings.HasPrefix(line, `"`) {
		if value, err = strconv.QuotedPrefix(line); err != nil {
			return "", "", err
		}
	} else if i := strings.IndexByte(line, ' '); i >= 0 {
		value = line[:i]
	}
	rest = line[len(value):]
	if rest != "" && rest[0] != ' ' {
		return "", "", errors.New("a space must follow a quoted text")
	}
	return value, strings.TrimPrefix(rest, " "), nil
}

// setValue parses a value into a field of a row.
func setValue(field reflect.Value, c column, text string) error {
	if c.kind == kindText {
		s, err := unquoteText(text)
		field.SetString(s)
		return err
	}
	var n int64
	var err error
	if c.words != nil {
		n, err = c.words.parse(text)
	} else {
		n, err = strconv.ParseInt(text, 10, 64)
	}
	if err == nil && field.OverflowInt(n) {
		err = fmt.Errorf("%d does not fit", n)
	}
	field.SetInt(n)
	return err
}
