package format

import (
	"errors"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/parquet-go/parquet-go"
)

const (
	// batchBytes is the size of a full batch: large enough that handing it
	// over costs nothing per row, small enough that many fit in memory.
	batchBytes = 256 << 10
	// queueBatches is how many full batches may wait for the encoder before
	// Append blocks: at 200,000 exchanges a second, 0.2 s.
	queueBatches = 16

	// batchTextBytes and segmentTextBytes do for texts what batchBytes and
	// segmentRows do for rows; they keep segments far from what a reader takes.
	batchTextBytes   = 1 << 20
	segmentTextBytes = 4 << 20
	// maxTextValue is the longest text kept; what is longer is cut.
	maxTextValue = 1 << 20

	// A table with at least busyRows unsealed rows is sealed after busyAgeNs,
	// others after quietAgeNs: a segment costs 1.5 KB whatever it holds.
	busyRows   = 1000
	busyAgeNs  = 1e9
	quietAgeNs = 10e9
)

// sink collects the rows of one table.
type sink[T Row] struct {
	info  *table
	w     *Writer
	full  int            // rows of a full batch
	texts bool           // the table has columns of text
	free  chan *batch[T] // between the two goroutines

	// Of the goroutine that owns the Writer:

	current      *batch[T]
	batches      int // that exist, at most queueBatches+2
	batchText    int // bytes of text in the current batch
	appended     int64
	unsealed     int64 // rows since the last seal
	unsealedText int   // bytes of text since then
	sinceNs      int64 // Tick that first saw unsealed rows; 0: none yet
	// before are sealed before this one: their rows are what rows here refer
	// to, so that a file cut after this segment still knows them.
	before []rowSink

	// Of the encoder goroutine:

	order       func(*encoder, *batch[T]) // sorts a batch, nil: as appended
	segment     *parquet.GenericWriter[T]
	output      entryWriter
	segmentRows int64
	sequence    int
	sealed      atomic.Int64 // rows in the file; read by both
	sealedBytes atomic.Int64 // what they take there; read by both
}

// rowSink is a sink, whatever its row type.
type rowSink interface {
	table() *table
	counts() (appended, sealed int64)
	pending() int64
	tick(nowNs int64)
	flush(seal bool)
	due(nowNs int64) bool
	parser(columns []string) (rowParser, error)
	copySegment(data []byte, rows int64) error
	countUnwanted(o *openSegment, wanted func(row any) bool) (int64, error)
	copyWanted(o *openSegment, wanted func(row any) bool) error
	countRows(o *openSegment) error
	copyChanged(o *openSegment, change func(row any, c textColumn, text string) string) error
}

func newSink[T Row](w *Writer, order func(*encoder, *batch[T])) *sink[T] {
	info := tableOf[T]()
	return &sink[T]{
		info:  info,
		w:     w,
		texts: slices.ContainsFunc(info.columns, func(c column) bool { return c.kind == kindText }),
		full:  max(1, batchBytes/int(unsafe.Sizeof(*new(T)))),
		free:  make(chan *batch[T], queueBatches+2),
		order: order,
	}
}

func (s *sink[T]) table() *table { return s.info }

func (s *sink[T]) counts() (appended, sealed int64) { return s.appended, s.sealed.Load() }

// append copies rows into batches and hands full ones to the encoder.
func (s *sink[T]) append(rows []T) {
	s.appended += int64(len(rows))
	for len(rows) > 0 {
		if s.current == nil {
			s.current = s.take()
		}
		n := min(len(rows), s.full-len(s.current.rows))
		if s.texts {
			n = s.fit(rows[:n])
		}
		s.current.rows = append(s.current.rows, rows[:n]...)
		rows = rows[n:]
		s.unsealed += int64(n)
		if len(s.current.rows) == s.full || s.batchText >= batchTextBytes {
			s.flush(s.unsealed >= segmentRows || s.unsealedText >= segmentTextBytes)
		}
	}
}

// appendOrLose is append while the Writer takes rows. After a failure it counts
// them: they were recorded, and are not written.
func (s *sink[T]) appendOrLose(rows []T) error {
	err := s.w.ready()
	switch {
	case err == nil:
		s.append(rows)
	case !s.w.closed:
		s.appended += int64(len(rows))
	}
	return err
}

// fit gives how many of the rows the current batch takes by their texts, at
// least one.
func (s *sink[T]) fit(rows []T) int {
	for i := range rows {
		size := 0
		for _, c := range s.info.columns {
			if c.kind == kindText {
				size += min(len(*textField(&rows[i], c)), maxTextValue)
			}
		}
		s.batchText += size
		s.unsealedText += size
		if s.batchText >= batchTextBytes {
			return i + 1
		}
	}
	return len(rows)
}

// textField is the text of column c in a row.
func textField[T Row](row *T, c column) *string {
	return (*string)(unsafe.Add(unsafe.Pointer(row), c.offset))
}

// take gives an empty batch, waiting for the encoder when all are under way.
func (s *sink[T]) take() *batch[T] {
	select {
	case b := <-s.free:
		return b
	default:
	}
	if s.batches < cap(s.free) {
		s.batches++
		return &batch[T]{table: s}
	}
	return <-s.free
}

// recycle gives a batch back; text of its rows is let go.
func (s *sink[T]) recycle(b *batch[T]) {
	if s.texts {
		clear(b.rows)
	}
	b.rows = b.rows[:0]
	s.free <- b
}

// flush hands the current batch to the encoder, with seal closing the segment.
func (s *sink[T]) flush(seal bool) {
	if seal {
		for _, b := range s.before {
			b.flush(true)
		}
	}
	if s.current == nil {
		if !seal || s.unsealed == 0 {
			return
		}
		s.current = s.take()
	}
	b := s.current
	s.current, s.batchText = nil, 0
	b.seal, b.nowNs = seal, s.w.nowNs
	if seal {
		s.unsealed, s.unsealedText, s.sinceNs = 0, 0, 0
	}
	s.w.enqueue(b)
}

// tick notes when unsealed rows were first there.
func (s *sink[T]) tick(nowNs int64) {
	if s.unsealed > 0 && s.sinceNs == 0 {
		s.sinceNs = nowNs
	}
}

// due says whether unsealed rows are old enough to be sealed.
func (s *sink[T]) due(nowNs int64) bool {
	if s.unsealed == 0 || s.sinceNs == 0 {
		return false
	}
	age := nowNs - s.sinceNs
	return age >= quietAgeNs || age >= busyAgeNs && s.unsealed >= busyRows
}

// copySegment adds a segment that is encoded already, before the encoder runs.
func (s *sink[T]) copySegment(data []byte, rows int64) error {
	if err := s.w.addEntry(s.info.entryName(s.sequence+1), data); err != nil {
		return err
	}
	s.sequence++
	s.appended += rows
	s.sealed.Add(rows)
	return nil
}

// countUnwanted says how many rows of a segment, handed over as *T, are not
// wanted.
func (s *sink[T]) countUnwanted(o *openSegment, wanted func(row any) bool) (n int64, err error) {
	err = newRowReader[T]().read(o, func(rows []T) error {
		for i := range rows {
			if !wanted(&rows[i]) {
				n++
			}
		}
		return nil
	})
	return n, err
}

// copyWanted adds the rows of a segment that are wanted, before the encoder
// runs.
func (s *sink[T]) copyWanted(o *openSegment, wanted func(row any) bool) error {
	err := newRowReader[T]().read(o, func(rows []T) error {
		kept := rows[:0]
		for i := range rows {
			if wanted(&rows[i]) {
				kept = append(kept, rows[i])
			}
		}
		return s.encodeNow(kept, false)
	})
	return errors.Join(err, s.encodeNow(nil, true))
}

// encodeNow encodes rows before the encoder runs, with seal closing the segment.
func (s *sink[T]) encodeNow(rows []T, seal bool) error {
	b := s.take()
	b.rows = append(b.rows, rows...)
	b.seal, b.nowNs = seal, s.w.nowNs
	s.appended += int64(len(rows))
	return encodeSafely(b, s.w.encoder)
}
