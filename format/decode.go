package format

import "unsafe"

// integer is the values of a numeric column.
type integer interface{ ~int32 | ~int64 }

// load64 reads 8 little-endian bytes at b[i:], with zeros past the end.
func load64(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return le.Uint64(b[i:])
	}
	var tail [8]byte
	if i < len(b) {
		copy(tail[:], b[i:])
	}
	return le.Uint64(tail[:])
}

// uvarint reads an unsigned number; n is 0 when b is cut short or too long.
func uvarint(b []byte) (v uint64, n int) {
	for i := 0; i < len(b) && i < 10; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// varint reads a zigzag number.
func varint(b []byte) (v int64, n int) {
	u, n := uvarint(b)
	return int64(u>>1) ^ -int64(u&1), n
}

// decodePlain reads len(dst) fixed-width values.
func decodePlain[T integer](dst []T, src []byte) error {
	size := int(unsafe.Sizeof(*new(T)))
	if len(src) < len(dst)*size {
		return corrupt("page of %d bytes for %d plain values", len(src), len(dst))
	}
	for i := range dst {
		if size == 4 {
			dst[i] = T(int32(le.Uint32(src[i*4:])))
		} else {
			dst[i] = T(int64(le.Uint64(src[i*8:])))
		}
	}
	return nil
}

// decodeSplit reads len(dst) values in BYTE_STREAM_SPLIT: all first bytes,
// then all second bytes, and so on.
func decodeSplit[T integer](dst []T, src []byte) error {
	size, n := int(unsafe.Sizeof(*new(T))), len(dst)
	if len(src) < n*size {
		return corrupt("page of %d bytes for %d split values", len(src), n)
	}
	clear(dst)
	for k := range size {
		stream := src[k*n : k*n+n]
		for i, b := range stream {
			dst[i] |= T(b) << (8 * k)
		}
	}
	return nil
}

// decodeDelta reads len(dst) values in DELTA_BINARY_PACKED.
func decodeDelta[T integer](dst []T, src []byte) error {
	var head [3]uint64 // block size, miniblocks in a block, values
	for i := range head {
		v, n := uvarint(src)
		if n == 0 {
			return corrupt("delta header cut short")
		}
		head[i], src = v, src[n:]
	}
	first, n := varint(src)
	if n == 0 {
		return corrupt("delta header cut short")
	}
	src = src[n:]
	block, minis := head[0], head[1]
	if minis == 0 || minis > 64 || block > 1<<16 || block%minis != 0 || block/minis == 0 || block/minis%32 != 0 {
		return corrupt("delta blocks of %d values in %d parts", block, minis)
	}
	if head[2] != uint64(len(dst)) {
		return corrupt("delta page of %d values where %d belong", head[2], len(dst))
	}
	if len(dst) == 0 {
		return nil
	}
	dst[0] = T(first)
	return decodeDeltaBlocks(dst, src, int(minis), int(block/minis))
}

// decodeDeltaBlocks reads dst[1:], given dst[0].
func decodeDeltaBlocks[T integer](dst []T, src []byte, minis, perMini int) error {
	last := int64(dst[0])
	dst = dst[1:]
	for len(dst) > 0 {
		minDelta, n := varint(src)
		if n == 0 || len(src)-n < minis {
			return corrupt("delta block cut short")
		}
		widths := src[n : n+minis]
		src = src[n+minis:]
		for _, width := range widths {
			if len(dst) == 0 {
				break
			}
			count := min(perMini, len(dst))
			size := perMini * int(width) / 8
			if width > 64 || len(src) < (count*int(width)+7)/8 {
				return corrupt("delta values cut short")
			}
			last = unpackDeltas(dst[:count], src, uint(width), minDelta, last)
			dst, src = dst[count:], src[min(size, len(src)):]
		}
	}
	return nil
}

// unpackDeltas adds up len(dst) packed deltas and gives the last value.
func unpackDeltas[T integer](dst []T, src []byte, width uint, minDelta, last int64) int64 {
	switch {
	case width == 0:
		for i := range dst {
			last += minDelta
			dst[i] = T(last)
		}
	case width <= 28: // two values and their bit offset fit in one load
		mask := uint64(1)<<width - 1
		bit := uint(0)
		for len(dst) >= 2 {
			v := load64(src, int(bit>>3)) >> (bit & 7)
			last += minDelta + int64(v&mask)
			dst[0] = T(last)
			last += minDelta + int64(v>>width&mask)
			dst[1] = T(last)
			dst = dst[2:]
			bit += 2 * width
		}
		if len(dst) > 0 {
			last += minDelta + int64(load64(src, int(bit>>3))>>(bit&7)&mask)
			dst[0] = T(last)
		}
	case width <= 56: // a value and its bit offset fit in one load
		mask := uint64(1)<<width - 1
		bit := uint(0)
		for i := range dst {
			last += minDelta + int64(load64(src, int(bit>>3))>>(bit&7)&mask)
			dst[i] = T(last)
			bit += width
		}
	default:
		for i := range dst {
			last += minDelta + int64(unpackWide(src, uint(i)*width, width))
			dst[i] = T(last)
		}
	}
	return last
}

// unpackWide reads a value of 57 to 64 bits at a bit position.
func unpackWide(src []byte, bit, width uint) uint64 {
	v := load64(src, int(bit>>3)) >> (bit & 7)
	if shift := bit & 7; shift > 0 {
		v |= load64(src, int(bit>>3)+8) << (64 - shift)
	}
	return v & (1<<width - 1)
}

// decodeIndexes reads len(dst) dictionary indexes: a byte with the width, then
// runs (RLE) and bit-packed groups of eight. All must be below size.
func decodeIndexes(dst []int32, src []byte, size int) error {
	if len(dst) == 0 {
		return nil
	}
	if len(src) == 0 || src[0] > 32 {
		return corrupt("dictionary page without a width")
	}
	width := uint(src[0])
	src = src[1:]
	highest := uint32(0)
	for len(dst) > 0 {
		head, n := uvarint(src)
		if n == 0 || head>>1 == 0 {
			return corrupt("dictionary indexes cut short")
		}
		src = src[n:]
		count, used, top := 0, 0, uint32(0)
		if head&1 == 0 {
			count = int(min(head>>1, uint64(len(dst))))
			used = int(width+7) / 8
			top = uint32(load64(src, 0) & (1<<(8*used) - 1))
			fill(dst[:count], int32(top))
		} else {
			count = min(len(dst), int(min(head>>1, uint64(len(dst)+7)/8))*8)
			used = (count*int(width) + 7) / 8
			top = unpackIndexes(dst[:count], src, width)
		}
		if len(src) < used {
			return corrupt("dictionary indexes cut short")
		}
		highest = max(highest, top)
		dst, src = dst[count:], src[used:]
	}
	if int64(highest) >= int64(size) {
		return corrupt("dictionary index %d, the dictionary has %d values", highest, size)
	}
	return nil
}

func fill(dst []int32, v int32) {
	for i := range dst {
		dst[i] = v
	}
}

// unpackIndexes reads len(dst) values of width bits, at most 32, and gives the
// highest. Bits past the end of src are zero.
func unpackIndexes(dst []int32, src []byte, width uint) (highest uint32) {
	mask := uint64(1)<<width - 1
	bit := uint(0)
	if width <= 8 { // eight values in one load
		for len(dst) >= 8 && int(bit>>3)+8 <= len(src) {
			v := le.Uint64(src[bit>>3:])
			group := (*[8]int32)(dst)
			for i := range group {
				x := uint32(v & mask)
				group[i] = int32(x)
				highest = max(highest, x)
				v >>= width
			}
			dst = dst[8:]
			bit += 8 * width
		}
	}
	for i := range dst {
		x := uint32(load64(src, int(bit>>3)) >> (bit & 7) & mask)
		dst[i] = int32(x)
		highest = max(highest, x)
		bit += width
	}
	return highest
}

// decodeTexts reads n length-prefixed values; the strings share one copy of src.
func decodeTexts(n int, src []byte) ([]string, error) {
	if n > len(src)/4 {
		return nil, corrupt("page of %d bytes for %d texts", len(src), n)
	}
	all := string(src)
	texts := make([]string, n)
	pos := 0
	for i := range texts {
		if len(all)-pos < 4 {
			return nil, corrupt("text cut short")
		}
		size := int64(le.Uint32(src[pos:]))
		pos += 4
		if size > int64(len(all)-pos) {
			return nil, corrupt("text cut short")
		}
		texts[i] = all[pos : pos+int(size)]
		pos += int(size)
	}
	return texts, nil
}
