package format

import (
	"errors"
	"fmt"
	"reflect"
)

// openSegment is a segment in memory, checked as far as its footer.
type openSegment struct {
	*decoder
	*footer
	segment Segment
}

// read loads the segment and hands it to fn. What goes wrong, including a
// panic, is a *FileError that names file, entry and offset, and a Problem of
// the capture.
func (s Segment) read(fn func(*openSegment) error) (err error) {
	d := decoders.Get().(*decoder)
	defer func() {
		if p := recover(); p != nil {
			// The decoder may be in any state: let it go.
			err = s.fail(corrupt("the decoder gave up: %v", p))
			return
		}
		decoders.Put(d)
	}()
	d.textBytes = 0
	if d.entry, err = s.capture.readEntry(s.entry, d.entry); err != nil {
		return s.fail(err)
	}
	f, err := readFooter(d.entry)
	if err != nil {
		return s.fail(err)
	}
	if err := fn(&openSegment{d, f, s}); err != nil {
		return s.fail(err)
	}
	return nil
}

// stop carries an error of a caller's function through read, which must not
// take it for damage.
type stop struct{ err error }

func (s stop) Error() string { return s.err.Error() }

// fail names the place of an error and keeps it as a problem.
func (s Segment) fail(err error) error {
	var st stop
	if errors.As(err, &st) {
		return st.err
	}
	s.capture.damage(s.Name, s.Offset, err)
	return &FileError{File: s.capture.Path, Entry: s.Name, Offset: s.Offset, Err: err}
}

// Rows is the number of rows the segment states.
func (s Segment) Rows() (rows int64, err error) {
	err = s.read(func(o *openSegment) error {
		rows = int64(o.rows)
		return nil
	})
	return rows, err
}

// chunksOf gives the chunks of a column, nil when an older or odd writer left
// it out: it then reads as zero, which is noted once.
func (o *openSegment) chunksOf(c column) ([]chunk, error) {
	chunks, ok := o.columns[c.name]
	if !ok {
		if o.rows > 0 {
			o.segment.capture.problem(Problem{Offset: -1, What: fmt.Sprintf(
				"column %s of table %s is missing, its values read as zero (not recorded)", c.name, o.segment.Table)})
		}
		return nil, nil
	}
	if chunks[0].kind != c.kind {
		return nil, corrupt("column %s has another type than this kmon knows", c.name)
	}
	return chunks, nil
}

// ReadRows calls fn with all rows of T's table, in file order, a segment at a
// time. The slice is reused: fn must copy what it keeps, texts excepted. Damaged
// segments are skipped and become Problems of c; the error is that of fn.
func ReadRows[T Row](c *Capture, fn func([]T) error) error {
	t := tableOf[T]()
	var rows []T
	for _, s := range c.segments[t.name] {
		err := s.read(func(o *openSegment) (err error) {
			rows, err = decodeRows(o, t, rows)
			if err != nil {
				return err
			}
			if err := fn(rows); err != nil {
				return stop{err}
			}
			return nil
		})
		if err != nil && !isFileError(err) {
			return err
		}
	}
	return nil
}

// isFileError says whether err is damage, already kept as a Problem.
func isFileError(err error) bool {
	var damaged *FileError
	return errors.As(err, &damaged)
}

// All gives all rows of T's table that can be read.
func All[T Row](c *Capture) ([]T, error) {
	var all []T
	err := ReadRows(c, func(rows []T) error {
		all = append(all, rows...)
		return nil
	})
	return all, err
}

// decodeRows fills rows, reusing its memory, from all columns of the segment.
func decodeRows[T Row](o *openSegment, t *table, rows []T) ([]T, error) {
	rows = resize(rows, o.rows)
	clear(rows)
	values := reflect.ValueOf(rows)
	for _, c := range t.columns {
		chunks, err := o.chunksOf(c)
		if err != nil {
			return nil, err
		}
		if chunks == nil {
			continue
		}
		if err := o.setColumn(values, c, chunks); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return rows, nil
}

// setColumn decodes one column into its field of all rows.
func (o *openSegment) setColumn(rows reflect.Value, c column, chunks []chunk) error {
	switch c.kind {
	case kindText:
		texts := make([]string, o.rows)
		if err := readTexts(o.decoder, chunks, texts); err != nil {
			return err
		}
		for i, v := range texts {
			rows.Index(i).Field(c.field).SetString(v)
		}
	case kindInt32:
		numbers := make([]int32, o.rows)
		if err := readNumbers(o.decoder, chunks, numbers); err != nil {
			return err
		}
		for i, v := range numbers {
			rows.Index(i).Field(c.field).SetInt(int64(v))
		}
	default:
		numbers := make([]int64, o.rows)
		if err := readNumbers(o.decoder, chunks, numbers); err != nil {
			return err
		}
		for i, v := range numbers {
			rows.Index(i).Field(c.field).SetInt(v)
		}
	}
	return nil
}
