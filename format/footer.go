package format

// Parquet's numbers for what a segment may use.
const (
	parquetMagic = "PAR1"

	typeInt32     = 1
	typeInt64     = 2
	typeByteArray = 6

	repetitionRequired = 0

	codecNone = 0
	codecZstd = 6

	encodingPlain      = 0
	encodingPlainDict  = 2
	encodingDelta      = 5
	encodingRLEDict    = 8
	encodingByteStream = 9

	pageData       = 0
	pageDictionary = 2
	pageDataV2     = 3
)

// chunk is one column of one row group.
type chunk struct {
	kind   kind
	codec  int64
	values int64
	offset int64 // of the first page, in the entry
	size   int64 // of all pages, compressed
}

// footer is what a reader needs of a Parquet footer.
type footer struct {
	rows    int
	names   []string           // columns in file order
	columns map[string][]chunk // one chunk a row group
}

// readFooter parses and checks the footer of the Parquet file in data.
func readFooter(data []byte) (*footer, error) {
	n := len(data)
	if n < 12 || string(data[:4]) != parquetMagic || string(data[n-4:]) != parquetMagic {
		return nil, corrupt("no Parquet file")
	}
	size := int64(le.Uint32(data[n-8:]))
	if size > int64(n-12) {
		return nil, corrupt("Parquet footer of %d bytes in a file of %d", size, n)
	}
	f := &footer{columns: map[string][]chunk{}}
	r := &thriftReader{b: data[n-8-int(size) : n-8]}
	var rows int64
	r.structure(func(id int, kind byte) {
		switch {
		case id == 2 && kind == thriftList:
			f.readSchema(r)
		case id == 3 && kind == thriftI64:
			rows = r.int()
		case id == 4 && kind == thriftList:
			f.readRowGroups(r)
		default:
			r.skip(kind)
		}
	})
	if r.err != nil {
		return nil, r.err
	}
	if rows < 0 || rows > maxSegmentRows {
		return nil, corrupt("Parquet file of %d rows, accepted are %d", rows, maxSegmentRows)
	}
	f.rows = int(rows)
	return f, f.check(int64(n))
}

// readSchema reads the columns: a root followed by its leaves.
func (f *footer) readSchema(r *thriftReader) {
	n, _ := r.list()
	if n > maxColumns+1 {
		r.fail("too many columns")
	}
	for i := 0; i < n && r.err == nil; i++ {
		var name string
		repetition, children := int64(repetitionRequired), int64(0)
		r.structure(func(id int, kind byte) {
			switch {
			case id == 3 && kind == thriftI32:
				repetition = r.int()
			case id == 4 && kind == thriftBinary:
				name = string(r.bytes())
			case id == 5 && kind == thriftI32:
				children = r.int()
			default:
				r.skip(kind)
			}
		})
		if i == 0 {
			continue
		}
		if len(name) > maxColumnName {
			r.fail("column name too long")
			return
		}
		if children != 0 || repetition != repetitionRequired {
			r.fail("column " + name + " is not a required plain column")
		}
		f.names = append(f.names, name)
	}
}

func (f *footer) readRowGroups(r *thriftReader) {
	n, _ := r.list()
	if n > maxRowGroups {
		r.fail("too many row groups")
	}
	for i := 0; i < n && r.err == nil; i++ {
		r.structure(func(id int, kind byte) {
			if id == 1 && kind == thriftList {
				f.readChunks(r)
			} else {
				r.skip(kind)
			}
		})
	}
}

func (f *footer) readChunks(r *thriftReader) {
	n, _ := r.list()
	if n != len(f.names) {
		r.fail("row group without all columns")
	}
	for i := 0; i < n && r.err == nil; i++ {
		name := f.names[i]
		r.structure(func(id int, kind byte) {
			if id == 3 && kind == thriftStruct {
				f.columns[name] = append(f.columns[name], readChunk(r, name))
			} else {
				r.skip(kind)
			}
		})
	}
}

// readChunk reads ColumnMetaData.
func readChunk(r *thriftReader, name string) chunk {
	var c chunk
	var dataOffset, dictOffset int64
	r.structure(func(id int, kind byte) {
		switch {
		case id == 1 && kind == thriftI32:
			c.kind = readKind(r)
		case id == 3 && kind == thriftList:
			readPath(r, name)
		case id == 4 && kind == thriftI32:
			c.codec = r.int()
		case id == 5 && kind == thriftI64:
			c.values = r.int()
		case id == 7 && kind == thriftI64:
			c.size = r.int()
		case id == 9 && kind == thriftI64:
			dataOffset = r.int()
		case id == 11 && kind == thriftI64:
			dictOffset = r.int()
		default:
			r.skip(kind)
		}
	})
	c.offset = dataOffset
	if dictOffset > 0 && dictOffset < dataOffset {
		c.offset = dictOffset
	}
	return c
}

func readKind(r *thriftReader) kind {
	switch r.int() {
	case typeInt32:
		return kindInt32
	case typeInt64:
		return kindInt64
	case typeByteArray:
		return kindText
	default:
		r.fail("column type is none of INT32, INT64, BYTE_ARRAY")
		return 0
	}
}

// readPath holds path_in_schema against the schema.
func readPath(r *thriftReader, name string) {
	n, _ := r.list()
	if n != 1 {
		r.fail("path_in_schema of column " + name + " is empty or nested")
		return
	}
	if got := string(r.bytes()); r.err == nil && got != name {
		r.fail("path_in_schema of column " + name + " is another")
	}
}

// check holds what the footer states against each other and the file.
func (f *footer) check(fileSize int64) error {
	for name, chunks := range f.columns {
		var values int64
		for _, c := range chunks {
			if c.codec != codecNone && c.codec != codecZstd {
				return corrupt("column %s is compressed with codec %d, accepted are none and zstd", name, c.codec)
			}
			if c.values < 0 || c.offset < 4 || c.size < 0 || c.offset > fileSize || c.size > fileSize-c.offset {
				return corrupt("column %s lies outside its file", name)
			}
			if c.kind != chunks[0].kind {
				return corrupt("column %s changes its type", name)
			}
			if values += c.values; values > maxSegmentRows {
				return corrupt("column %s has too many values", name)
			}
		}
		if values != int64(f.rows) {
			return corrupt("column %s has %d values in %d rows", name, values, f.rows)
		}
	}
	if f.rows > 0 && len(f.columns) == 0 {
		return corrupt("%d rows without a column", f.rows)
	}
	return nil
}
