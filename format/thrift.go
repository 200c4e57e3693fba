package format

// thriftReader decodes the compact Thrift of Parquet headers. The first error
// sticks and makes every later read give zero, so that callers check once.
type thriftReader struct {
	b     []byte
	pos   int
	depth int
	err   error
}

// Compact Thrift field types.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

func (r *thriftReader) fail(what string) {
	if r.err == nil {
		r.err = corrupt("Parquet header: %s at byte %d", what, r.pos)
	}
	r.pos = len(r.b)
}

func (r *thriftReader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail("cut short")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

func (r *thriftReader) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail("number too long")
	return 0
}

// int reads a zigzag number: an i16, i32 or i64.
func (r *thriftReader) int() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// bytes reads a string; the result aliases the input.
func (r *thriftReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)-r.pos) {
		r.fail("text longer than the header")
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos]
}

// list reads a list header: how many elements of which type follow. An
// element takes at least one byte, which bounds the count.
func (r *thriftReader) list() (n int, element byte) {
	b := r.byte()
	size := uint64(b >> 4)
	if size == 15 {
		size = r.uvarint()
	}
	if size > uint64(len(r.b)-r.pos) {
		r.fail("list longer than the header")
		return 0, 0
	}
	return int(size), b & 0x0f
}

// structure calls field for each field of a struct. field must read the value,
// or call skip.
func (r *thriftReader) structure(field func(id int, kind byte)) {
	if r.depth++; r.depth > maxThriftDepth {
		r.fail("nested too deeply")
	}
	id := 0
	for r.err == nil {
		b := r.byte()
		kind := b & 0x0f
		if kind == thriftStop {
			break
		}
		if delta := int(b >> 4); delta != 0 {
			id += delta
		} else {
			id = int(int16(r.int()))
		}
		field(id, kind)
	}
	r.depth--
}

// skip reads over a value.
func (r *thriftReader) skip(kind byte) {
	switch kind {
	case thriftTrue, thriftFalse:
	case thriftByte:
		r.byte()
	case thriftI16, thriftI32, thriftI64:
		r.uvarint()
	case thriftDouble:
		for range 8 {
			r.byte()
		}
	case thriftBinary:
		r.bytes()
	case thriftList, thriftSet:
		r.skipList()
	case thriftMap:
		r.skipMap()
	case thriftStruct:
		r.structure(func(_ int, kind byte) { r.skip(kind) })
	default:
		r.fail("unknown type")
	}
}

func (r *thriftReader) skipList() {
	if r.depth++; r.depth > maxThriftDepth {
		r.fail("nested too deeply")
	}
	n, element := r.list()
	for i := 0; i < n && r.err == nil; i++ {
		r.skipElement(element)
	}
	r.depth--
}

func (r *thriftReader) skipMap() {
	if r.depth++; r.depth > maxThriftDepth {
		r.fail("nested too deeply")
	}
	n := r.uvarint()
	if n > 0 {
		kinds := r.byte()
		for i := uint64(0); i < n && r.err == nil; i++ {
			r.skipElement(kinds >> 4)
			r.skipElement(kinds & 0x0f)
		}
	}
	r.depth--
}

// skipElement is skip for list elements, where a bool takes a byte.
func (r *thriftReader) skipElement(kind byte) {
	if kind == thriftTrue || kind == thriftFalse {
		kind = thriftByte
	}
	r.skip(kind)
}
