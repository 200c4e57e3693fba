package format

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decoder holds the buffers with which segments are read. Decoders come from a
// pool, so that several goroutines read different segments at once.
type decoder struct {
	zstd    *zstd.Decoder
	entry   []byte // the Parquet file
	page    []byte // one page, decompressed
	index   []int32
	current page
	order   ordering
	table   idTable
	wide    []int64
	// Of the segment being read, against the limits: bytes of decompressed
	// pages, of those with texts, and of the texts of all rows.
	pageBytes, textBytes, spelledBytes int64
}

var decoders = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPageBytes), zstd.WithDecoderMaxWindow(maxPageBytes))
	if err != nil {
		panic(err) // the options are constants
	}
	return &decoder{zstd: z}
}}

// page is one page of a column.
type page struct {
	d        *decoder
	c        chunk
	h        pageHeader
	kind     int64
	encoding int64
	values   int
	raw      []byte // as in the file
}

// pageHeader is what a reader needs of Parquet's PageHeader.
type pageHeader struct {
	kind         int64
	uncompressed int64
	compressed   int64
	values       int64
	encoding     int64
	levels       int64 // bytes of repetition and definition levels
	plain        bool  // not compressed although the column is
}

func readPageHeader(r *thriftReader) pageHeader {
	h := pageHeader{kind: -1, values: -1}
	r.structure(func(id int, kind byte) {
		switch {
		case id == 1 && kind == thriftI32:
			h.kind = r.int()
		case id == 2 && kind == thriftI32:
			h.uncompressed = r.int()
		case id == 3 && kind == thriftI32:
			h.compressed = r.int()
		case (id == 5 || id == 7) && kind == thriftStruct:
			readDataHeader(r, &h, 2)
		case id == 8 && kind == thriftStruct:
			readDataHeader(r, &h, 4)
		default:
			r.skip(kind)
		}
	})
	return h
}

// readDataHeader reads the part of a page header that the three kinds of pages
// share; the encoding has another field number in version 2.
func readDataHeader(r *thriftReader, h *pageHeader, encodingID int) {
	r.structure(func(id int, kind byte) {
		switch {
		case id == 1 && kind == thriftI32:
			h.values = r.int()
		case id == encodingID && kind == thriftI32:
			h.encoding = r.int()
		case encodingID == 4 && (id == 5 || id == 6) && kind == thriftI32:
			h.levels += r.int()
		case encodingID == 4 && id == 7:
			h.plain = kind == thriftFalse
		default:
			r.skip(kind)
		}
	})
}

// pages calls fn for each page of the column chunk.
func (d *decoder) pages(c chunk, fn func(*page) error) error {
	data := d.entry[c.offset : c.offset+c.size]
	total, left := int64(0), c.values
	for left > 0 {
		r := &thriftReader{b: data}
		h := readPageHeader(r)
		if r.err != nil {
			return r.err
		}
		data = data[r.pos:]
		if h.compressed < 0 || h.compressed > int64(len(data)) || h.uncompressed < 0 || h.uncompressed > maxPageBytes {
			return corrupt("page of %d bytes, %d decompressed", h.compressed, h.uncompressed)
		}
		if total += h.uncompressed; total > maxColumnBytes {
			return corrupt("column of more than %d bytes", maxColumnBytes)
		}
		most := maxExpansion*int64(len(d.entry)) + freeExpansion
		if d.pageBytes += h.uncompressed; d.pageBytes > most {
			return corrupt("%d bytes become more than %d", len(d.entry), most)
		}
		if h.values < 0 || h.values > maxSegmentRows || h.levels != 0 {
			return corrupt("page of %d values with %d bytes of levels", h.values, h.levels)
		}
		if h.kind != pageData && h.kind != pageDictionary && h.kind != pageDataV2 {
			return corrupt("page of kind %d", h.kind)
		}
		p := &d.current
		*p = page{d: d, c: c, h: h, kind: h.kind, encoding: h.encoding, values: int(h.values), raw: data[:h.compressed]}
		data = data[h.compressed:]
		if p.kind != pageDictionary {
			if left -= h.values; left < 0 || h.values == 0 {
				return corrupt("pages with more values than their column")
			}
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// data gives the bytes of a page, which must be as many as announced. They are
// valid until the data of another page are asked for.
func (p *page) data() ([]byte, error) {
	d, out := p.d, p.raw
	if p.c.codec != codecNone && !p.h.plain {
		if int64(cap(d.page)) < p.h.uncompressed {
			d.page = make([]byte, 0, p.h.uncompressed)
		}
		var err error
		if out, err = d.zstd.DecodeAll(p.raw, d.page[:0]); err != nil {
			return nil, corrupt("zstd: %v", err)
		}
		d.page = out[:0]
	}
	if int64(len(out)) != p.h.uncompressed {
		return nil, corrupt("page of %d bytes where %d were announced", len(out), p.h.uncompressed)
	}
	return out, nil
}

// indexed says whether the values of the page are dictionary indexes.
func (p *page) indexed() bool {
	return p.encoding == encodingRLEDict || p.encoding == encodingPlainDict
}

// indexes reads the dictionary indexes of a page into dst; all are below size.
func (p *page) indexes(dst []int32, size int) error {
	data, err := p.data()
	if err != nil {
		return err
	}
	return decodeIndexes(dst, data, size)
}

// readNumbers fills dst, one value a row, from the column chunks.
func readNumbers[T integer](d *decoder, chunks []chunk, dst []T) error {
	for _, c := range chunks {
		var dict []T
		err := d.pages(c, func(p *page) error {
			if p.kind == pageDictionary {
				dict = make([]T, p.values)
				data, err := p.data()
				if err != nil {
					return err
				}
				return decodePlain(dict, data)
			}
			out := dst[:p.values]
			dst = dst[p.values:]
			return readNumberPage(p, dict, out)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readNumberPage fills dst from one page.
func readNumberPage[T integer](p *page, dict, dst []T) error {
	if p.indexed() {
		return lookUp(p, dict, dst)
	}
	data, err := p.data()
	if err != nil {
		return err
	}
	switch p.encoding {
	case encodingPlain:
		return decodePlain(dst, data)
	case encodingDelta:
		return decodeDelta(dst, data)
	case encodingByteStream:
		return decodeSplit(dst, data)
	}
	return corrupt("encoding %d of numbers", p.encoding)
}

// readTexts fills dst, one value a row. Equal values share their bytes.
func readTexts(d *decoder, chunks []chunk, dst []string) error {
	for _, c := range chunks {
		var dict []string
		err := d.pages(c, func(p *page) error {
			if p.kind != pageDictionary && p.indexed() {
				out := dst[:p.values]
				dst = dst[p.values:]
				if err := lookUp(p, dict, out); err != nil {
					return err
				}
				return d.spell(out)
			}
			if p.encoding != encodingPlain && p.kind != pageDictionary {
				return corrupt("encoding %d of texts", p.encoding)
			}
			data, err := p.data()
			if err != nil {
				return err
			}
			if d.textBytes += int64(len(data)); d.textBytes > maxTextBytes {
				return corrupt("texts of more than %d bytes", maxTextBytes)
			}
			texts, err := decodeTexts(p.values, data)
			if err != nil {
				return err
			}
			if p.kind == pageDictionary {
				dict = texts
				return nil
			}
			dst = dst[copy(dst, texts):]
			return d.spell(texts)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// spell counts the texts of rows, which may be many times those of the file.
func (d *decoder) spell(texts []string) error {
	for _, s := range texts {
		d.spelledBytes += int64(len(s))
	}
	if d.spelledBytes > maxSpelledBytes {
		return corrupt("rows with texts of more than %d bytes", maxSpelledBytes)
	}
	return nil
}

// lookUp fills dst with the dictionary values of a page of indexes.
func lookUp[T any](p *page, dict, dst []T) error {
	p.d.index = resize(p.d.index, p.values)
	if err := p.indexes(p.d.index, len(dict)); err != nil {
		return err
	}
	for i, x := range p.d.index {
		dst[i] = dict[x]
	}
	return nil
}

// resize gives s with n elements, whatever they hold.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
