package format

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

const (
	// segmentRows closes a segment: large enough that the footer (1.5 KB) does
	// not count, small enough that a reader's worker holds one easily.
	segmentRows = 100_000
	// openEncoders bounds how many segments are being encoded at once; each
	// open one holds its compressed pages and a page of values a column.
	openEncoders = 4
	pageBytes    = 32 << 10
	// dictionaryBytes is where a column stops adding to its dictionary and
	// writes plain values: measured on 50,000 distinct ids a segment, that is
	// smaller (6.2 against 7.9 bytes a row) and faster, and it bounds memory.
	dictionaryBytes = 64 << 10
	zstdWindow      = 128 << 10
)

// batch is rows of one table on their way to the encoder.
type batch[T Row] struct {
	table *sink[T]
	rows  []T
	seal  bool // close the segment after these rows
	nowNs int64
}

// work is a batch, whatever its row type.
type work interface {
	drop()
	encode(e *encoder) error
}

// segment is an open segment, whatever its row type.
type segment interface {
	finish(e *encoder, nowNs int64) error
}

// encoder turns batches into entries of the archive. Its goroutine is the only
// one that uses it.
type encoder struct {
	archive *archive
	buf     []byte // the entry being written
	codec   *zstdCodec
	pool    parquet.BufferPool
	order   ordering
	spare   []Exchange // takes turns with the batches when sorting
	open    []segment  // oldest first
}

func newEncoder(a *archive) (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &encoder{archive: a, codec: &zstdCodec{enc: z}, pool: parquet.NewBufferPool()}, nil
}

// encode adds the batch to its table's open segment, opening one if need be.
func (b *batch[T]) encode(e *encoder) error {
	s := b.table
	defer s.recycle(b)
	if len(b.rows) > 0 {
		if s.segment == nil {
			if err := s.start(e, b.nowNs); err != nil {
				return err
			}
		}
		b.mendTexts()
		if s.order != nil {
			s.order(e, b)
		}
		if _, err := s.segment.Write(b.rows); err != nil {
			return err
		}
		s.segmentRows += int64(len(b.rows))
	}
	if s.segment == nil {
		return nil
	}
	if b.seal || s.segmentRows >= segmentRows {
		return s.finish(e, b.nowNs)
	}
	return nil
}

// start opens a segment, closing the oldest one when too many are open. Each
// segment gets a fresh Parquet writer: parquet-go's Writer.Reset leaves
// path_in_schema empty from the second file on, and other readers refuse that.
func (s *sink[T]) start(e *encoder, nowNs int64) error {
	if len(e.open) >= openEncoders {
		if err := e.open[0].finish(e, nowNs); err != nil {
			return err
		}
	}
	s.segment = parquet.NewGenericWriter[T](&s.output,
		parquet.Compression(e.codec),
		parquet.ColumnPageBuffers(e.pool),
		parquet.PageBufferSize(pageBytes),
		parquet.WriteBufferSize(0),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		timeBounds{s.info},
		parquet.DataPageStatistics(false),
		parquet.CreatedBy("kmon", strconv.Itoa(Version), ""),
	)
	e.open = append(e.open, s)
	return nil
}

// timeBounds leaves the lowest and highest value of a page out for all columns
// but the first time: nobody searches by the others, and finding them takes a
// tenth of the encoder's time.
type timeBounds struct{ *table }

func (t timeBounds) ConfigureWriter(c *parquet.WriterConfig) {
	for _, column := range t.columns {
		if column.name != t.timeColumn() {
			c.SkipPageBounds = append(c.SkipPageBounds, []string{column.name})
		}
	}
}

// finish closes the table's open segment and appends it to the archive.
func (s *sink[T]) finish(e *encoder, nowNs int64) error {
	e.open = slices.DeleteFunc(e.open, func(o segment) bool { return o == segment(s) })
	name := s.info.entryName(s.sequence + 1)
	s.output.buf = entryBuffer(e.buf, name)
	err := s.segment.Close()
	rows := s.segmentRows
	s.segment, s.segmentRows = nil, 0
	e.buf, s.output.buf = s.output.buf, nil
	if err != nil {
		return err
	}
	size := len(e.buf)
	e.buf, err = e.archive.add(name, e.buf, nowNs)
	if errors.Is(err, errNoRoom) {
		return nil // these rows are not written; smaller segments may still be
	}
	if err != nil {
		return err
	}
	s.sequence++
	s.sealedBytes.Add(int64(size))
	s.sealed.Add(rows)
	return nil
}

// entryWriter collects a segment behind the room left for its local header.
type entryWriter struct{ buf []byte }

func (w *entryWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// zstdCodec is zstd level 1 with small buffers, for the writing side only.
type zstdCodec struct{ enc *zstd.Encoder }

func (*zstdCodec) String() string { return "ZSTD" }

func (*zstdCodec) CompressionCodec() parquetformat.CompressionCodec { return parquetformat.Zstd }

func (c *zstdCodec) Encode(dst, src []byte) ([]byte, error) {
	return c.enc.EncodeAll(src, dst[:0]), nil
}

func (*zstdCodec) Decode(_, _ []byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// mendTexts makes texts valid UTF-8, as Parquet wants them: one odd command
// line would keep other tools from reading the whole table. Each run of invalid
// bytes becomes U+FFFD. Texts beyond maxTextValue bytes are cut.
func (b *batch[T]) mendTexts() {
	for _, c := range b.table.info.columns {
		if c.kind != kindText {
			continue
		}
		for i := range b.rows {
			text := textField(&b.rows[i], c)
			if len(*text) > maxTextValue {
				*text = (*text)[:maxTextValue]
			}
			if !utf8.ValidString(*text) {
				*text = strings.ToValidUTF8(*text, string(utf8.RuneError))
			}
		}
	}
}

// drop gives the batch back without encoding it.
func (b *batch[T]) drop() { b.table.recycle(b) }
