package reports

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"slices"
)

// packer writes a data block of the page, which assets/data.js reads: numbers
// as varints (7 bits a byte, least first), texts as UTF-8 after their length.
// Columns of like numbers stand together, so that they compress.
type packer struct{ bytes []byte }

// number appends n, which must not be negative and fit 53 bits, the integers
// a script can hold.
func (p *packer) number(n int64) {
	p.bytes = binary.AppendUvarint(p.bytes, uint64(min(max(n, 0), 1<<53-1)))
}

// text appends s.
func (p *packer) text(s string) {
	p.number(int64(len(s)))
	p.bytes = append(p.bytes, s...)
}

// column appends the number of items and one number of each.
func column64[T any](p *packer, items []T, of func(i int, item T) int64) {
	p.number(int64(len(items)))
	for i, item := range items {
		p.number(of(i, item))
	}
}

// pieceBytes is how much of a block is compressed in one way.
const pieceBytes = 64 << 10

// pack compresses the block to text for the page, as zlib does. Numbers that are nearly
// random become shorter where nothing looks for what repeats: of each piece the shorter
// of both is taken.
func (p *packer) pack() (string, error) {
	packed := []byte{0x78, 0x9c} // RFC 1950: deflate, a window of 32 KiB
	repeats, codes := newDeflater(flate.DefaultCompression), newDeflater(flate.HuffmanOnly)
	for piece := range slices.Chunk(p.bytes, pieceBytes) {
		a, b := repeats.deflate(piece), codes.deflate(piece)
		if len(b) < len(a) {
			a = b
		}
		packed = append(packed, a...)
	}
	end, err := repeats.end()
	if err != nil {
		return "", fmt.Errorf("html report: data: %w", err)
	}
	packed = binary.BigEndian.AppendUint32(append(packed, end...), adler32.Checksum(p.bytes))
	return base64.StdEncoding.EncodeToString(packed), nil
}

// deflater compresses a block piece by piece. It sees all of them, so that each of its
// own may repeat what was in any before, whoever wrote that.
type deflater struct {
	out bytes.Buffer
	w   *flate.Writer
}

func newDeflater(level int) *deflater {
	d := new(deflater)
	d.w, _ = flate.NewWriter(&d.out, level) // fails for levels that do not exist
	return d
}

// deflate gives whole bytes of a stream, until the next call. An error is end's.
func (d *deflater) deflate(piece []byte) []byte {
	d.out.Reset()
	_, _ = d.w.Write(piece)
	_ = d.w.Flush()
	return d.out.Bytes()
}

// end gives the end of the stream.
func (d *deflater) end() ([]byte, error) {
	d.out.Reset()
	err := d.w.Close()
	return d.out.Bytes(), err
}
