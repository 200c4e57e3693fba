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
	indexes []int32
	order   ordering
	wide    []int64
}

var decoders = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPageBytes), zstd.WithDecoderMaxWindow(maxPageBytes))
	if err != nil {
		panic(err) // the options are constants
	}
	return &decoder{zstd: z}
}}

// page is one page of a column, decompressed.
type page struct {
	kind     int64
	encoding int64
	values   int
	data     []byte // valid until the next page
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
func (d *decoder) pages(c chunk, fn func(page) error) error {
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
		if h.values < 0 || h.values > maxSegmentRows || h.levels != 0 {
			return corrupt("page of %d values with %d bytes of levels", h.values, h.levels)
		}
		if h.kind != pageData && h.kind != pageDictionary && h.kind != pageDataV2 {
			return corrupt("page of kind %d", h.kind)
		}
		p := page{kind: h.kind, encoding: h.encoding, values: int(h.values)}
		var err error
		if p.data, err = d.decompress(c, h, data[:h.compressed]); err != nil {
			return err
		}
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

// decompress gives the bytes of a page, which must be as many as announced.
func (d *decoder) decompress(c chunk, h pageHeader, src []byte) ([]byte, error) {
	if c.codec != codecNone && !h.plain {
		if int64(cap(d.page)) < h.uncompressed {
			d.page = make([]byte, 0, h.uncompressed)
		}
		out, err := d.zstd.DecodeAll(src, d.page[:0])
		if err != nil {
			return nil, corrupt("zstd: %v", err)
		}
		d.page, src = out[:0], out
	}
	if int64(len(src)) != h.uncompressed {
		return nil, corrupt("page of %d bytes where %d were announced", len(src), h.uncompressed)
	}
	return src, nil
}

// readNumbers fills dst, one value a row, from the column chunks.
func readNumbers[T integer](d *decoder, chunks []chunk, dst []T) error {
	for _, c := range chunks {
		var dict []T
		err := d.pages(c, func(p page) error {
			if p.kind == pageDictionary {
				dict = make([]T, p.values)
				return decodePlain(dict, p.data)
			}
			out := dst[:p.values]
			dst = dst[p.values:]
			switch p.encoding {
			case encodingPlain:
				return decodePlain(out, p.data)
			case encodingDelta:
				return decodeDelta(out, p.data)
			case encodingByteStream:
				return decodeSplit(out, p.data)
			case encodingRLEDict, encodingPlainDict:
				return d.lookUp(p, len(dict), func(indexes []int32) {
					for i, x := range indexes {
						out[i] = dict[x]
					}
				})
			}
			return corrupt("encoding %d of numbers", p.encoding)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readTexts fills dst, one value a row. Equal values share their bytes.
func readTexts(d *decoder, chunks []chunk, dst []string) error {
	for _, c := range chunks {
		var dict []string
		err := d.pages(c, func(p page) (err error) {
			if p.kind == pageDictionary {
				dict, err = decodeTexts(p.values, p.data)
				return err
			}
			out := dst[:p.values]
			dst = dst[p.values:]
			switch p.encoding {
			case encodingPlain:
				texts, err := decodeTexts(p.values, p.data)
				copy(out, texts)
				return err
			case encodingRLEDict, encodingPlainDict:
				return d.lookUp(p, len(dict), func(indexes []int32) {
					for i, x := range indexes {
						out[i] = dict[x]
					}
				})
			}
			return corrupt("encoding %d of texts", p.encoding)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookUp hands fn the dictionary indexes of a page, all below size.
func (d *decoder) lookUp(p page, size int, fn func([]int32)) error {
	d.indexes = resize(d.indexes, p.values)
	if err := decodeIndexes(d.indexes, p.data); err != nil {
		return err
	}
	if err := checkIndexes(d.indexes, size); err != nil {
		return err
	}
	fn(d.indexes)
	return nil
}

// resize gives s with n elements, whatever they hold.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
