package reports

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
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

// pack compresses the block to text for the page.
func (p *packer) pack() (string, error) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(p.bytes); err != nil {
		return "", fmt.Errorf("html report: data: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("html report: data: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
