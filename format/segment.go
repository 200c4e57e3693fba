package format

import (
	"errors"
	"fmt"
	"unsafe"
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
	d.pageBytes, d.textBytes, d.spelledBytes = 0, 0, 0
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
func (s stop) Unwrap() error { return s.err }

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

// allowance bounds the rows of one reading of a table by the bytes that hold
// them. The zero value is ready.
type allowance struct{ rows, bytes int64 }

// take is an error when o has more rows than may be in the bytes of it and of
// the segments before.
func (a *allowance) take(o *openSegment) error {
	rows, bytes := a.rows+int64(o.rows), a.bytes+int64(len(o.entry))
	if rows > freeRows+rowsPerByte*bytes {
		return corrupt("%d rows in %d bytes, with those before more than a recording has", o.rows, len(o.entry))
	}
	a.rows, a.bytes = rows, bytes
	return nil
}

// chunksOf gives the chunks of a column, nil when an older or odd writer left
// it out: it then reads as zero, which is noted once.
func (o *openSegment) chunksOf(c column) ([]chunk, error) {
	chunks, ok := o.columns[c.name]
	if !ok {
		if o.rows > 0 && !addedColumns[o.segment.Table+"."+c.name] {
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

// readBatch is how many rows ReadRows hands over at once: few enough to stay
// in the cache while their columns are put together.
const readBatch = 1024

// ReadRows calls fn with all rows of T's table, in file order, some at a time.
// The slice is reused: fn must copy what it keeps, texts excepted. Damaged
// segments are skipped whole and become Problems of c; the error is that of fn.
func ReadRows[T Row](c *Capture, fn func([]T) error) error {
	r := newRowReader[T]()
	for _, s := range c.segments[r.table.name] {
		if err := s.read(func(o *openSegment) error { return r.read(o, fn) }); err != nil && !isFileError(err) {
			return err
		}
	}
	return nil
}

// rowReader reads segments of one table as rows.
type rowReader[T Row] struct {
	table   *table
	columns []rowColumn
	rows    []T
	allowed allowance
}

func newRowReader[T Row]() *rowReader[T] {
	t := tableOf[T]()
	return &rowReader[T]{table: t, columns: make([]rowColumn, len(t.columns))}
}

// read hands the rows of a segment to fn, whose error it wraps in stop.
func (r *rowReader[T]) read(o *openSegment, fn func([]T) error) error {
	if err := r.allowed.take(o); err != nil {
		return err
	}
	for i := range r.columns {
		if err := r.columns[i].read(o, r.table.columns[i]); err != nil {
			return err
		}
	}
	for from := 0; from < o.rows; from += readBatch {
		r.rows = resize(r.rows, min(readBatch, o.rows-from))
		for i, column := range r.table.columns {
			assemble(r.rows, column, &r.columns[i], from)
		}
		if err := fn(r.rows); err != nil {
			return stop{err}
		}
	}
	return nil
}

// rowColumn is one decoded column of a segment; one of the slices is used.
type rowColumn struct {
	wide  []int64
	thin  []int32
	texts []string
}

// read decodes the column c, or zeros when the segment lacks it.
func (v *rowColumn) read(o *openSegment, c column) error {
	chunks, err := o.chunksOf(c)
	if err != nil {
		return err
	}
	switch c.kind {
	case kindText:
		v.texts = zeroed(v.texts, o.rows, chunks == nil)
		err = readTexts(o.decoder, chunks, v.texts)
	case kindInt32:
		v.thin = zeroed(v.thin, o.rows, chunks == nil)
		err = readNumbers(o.decoder, chunks, v.thin)
	default:
		v.wide = zeroed(v.wide, o.rows, chunks == nil)
		err = readNumbers(o.decoder, chunks, v.wide)
	}
	if err != nil {
		return fmt.Errorf("column %s: %w", c.name, err)
	}
	return nil
}

// zeroed gives s with n elements, with zero when they must be so.
func zeroed[V any](s []V, n int, zero bool) []V {
	s = resize(s, n)
	if zero {
		clear(s)
	}
	return s
}

// assemble puts the values from row from on into the field of c in all rows.
func assemble[T Row](rows []T, c column, v *rowColumn, from int) {
	switch c.kind {
	case kindText:
		setField(rows, c, v.texts[from:])
	case kindInt32:
		setField(rows, c, v.thin[from:])
	default:
		setField(rows, c, v.wide[from:])
	}
}

// setField sets the field of c. newTable has seen to it that a field of c's
// kind has the memory layout of V.
func setField[T Row, V int32 | int64 | string](rows []T, c column, values []V) {
	for i := range rows {
		*(*V)(unsafe.Add(unsafe.Pointer(&rows[i]), c.offset)) = values[i]
	}
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
