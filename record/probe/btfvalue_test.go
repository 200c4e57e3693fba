package probe

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// kernelTypesOf builds type information: a struct of one member, an enumeration
// of two values whose names are texts 1 and 2, and one of 64 bits.
func kernelTypesOf(texts ...string) []byte {
	var names bytes.Buffer
	var offsets []uint32
	for _, text := range texts {
		offsets = append(offsets, uint32(names.Len()))
		names.WriteString(text + "\x00")
	}
	kind := func(kind, members uint32) uint32 { return kind<<24 | members }
	types := []uint32{
		0, kind(4, 1), 8, 0, 3, 0,
		0, kind(1, 0), 4, 32,
		0, kind(6, 2), 4, offsets[1], 23, offsets[2], 24,
		0, kind(19, 1), 8, offsets[3], 7, 0,
	}
	head := btfHeader{Magic: btfMagic, Version: 1, Size: 24, TypeLen: uint32(4 * len(types)), TextOff: uint32(4 * len(types)), TextLen: uint32(names.Len())}
	var out bytes.Buffer
	for _, part := range []any{head, types, names.Bytes()} {
		if err := binary.Write(&out, binary.NativeEndian, part); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

func TestEnumValue(t *testing.T) {
	long := strings.Repeat("x", 5000)
	whole := kernelTypesOf(long, "LISTENOVERFLOWS", "LISTENDROPS", "WIDE")
	for _, test := range []struct {
		data  []byte
		name  string
		value uint32
		err   string
	}{
		{whole, "LISTENDROPS", 24, ""},
		{whole, "LISTENOVERFLOWS", 23, ""},
		{whole, "DROPS", 0, "the kernel has no DROPS"},
		{whole, long, 0, "the kernel has no " + long},
		{whole, "WIDE", 0, "the kernel has no enumeration with WIDE"},
		{whole[:20], "WIDE", 0, "unexpected EOF"},
		{whole[:24+4*8], "WIDE", 0, "the kernel has no WIDE"},
		{make([]byte, 100), "WIDE", 0, "not of this machine"},
	} {
		got, err := enumValue(bytes.NewReader(test.data), test.name)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%.20s of %d bytes: error %v, want %q", test.name, len(test.data), err, test.err)
		}
		if got != test.value {
			t.Errorf("%.20s: got %d, want %d", test.name, got, test.value)
		}
	}
}
