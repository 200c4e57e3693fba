//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// part is one entry of an archive, with what its two headers say of it.
type part struct {
	data           []byte
	local, central header
	unlisted       bool // not in the directory
	absent         bool // in the directory only
}

// header is what a local or a central header states.
type header struct {
	name         string
	method       uint16
	crc          uint32
	packed, size uint32
	offset       uint32 // central only; 0: where it is
}

// newPart is an entry as a Writer makes it.
func newPart(name string, data []byte) part {
	h := header{name: name, crc: crc32.ChecksumIEEE(data), packed: uint32(len(data)), size: uint32(len(data))}
	return part{data: data, local: h, central: h}
}

// parts reads the entries of the capture to spoil.
func (m *mutator) parts() []part {
	data := m.original()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	check(m.t, err)
	var parts []part
	for _, f := range archive.File {
		r, err := f.OpenRaw()
		check(m.t, err)
		content, err := io.ReadAll(r)
		check(m.t, err)
		parts = append(parts, newPart(f.Name, content))
	}
	return parts
}

// segment picks an entry that is a table's.
func (m *mutator) segment(parts []part) *part {
	for {
		if p := &parts[m.IntN(len(parts))]; strings.HasSuffix(p.central.name, ".parquet") {
			return p
		}
	}
}

// contain gives a part other data with right checksums.
func (p *part) contain(data []byte) { *p = newPart(p.central.name, data) }

// ending is what stands in the end record; the zero value is right.
type ending struct {
	count        uint16 // added to the right one
	size, offset uint32 // too
	wide         bool   // a zip64 record, of which wideCount is true
	wideCount    uint64
	comment      string
	missing      bool // neither directory nor end record
}

// archiveOf writes an archive.
func archiveOf(parts []part, e ending) []byte {
	le := binary.LittleEndian
	var out, directory []byte
	count := 0
	for _, p := range parts {
		at := uint32(len(out))
		if !p.absent {
			out = append(le.AppendUint32(out, 0x04034b50), 20, 0, 0, 8)
			out = appendHeader(out, p.local)
			out = append(le.AppendUint16(out, uint16(len(p.local.name))), 0, 0)
			out = append(append(out, p.local.name...), p.data...)
		}
		if p.unlisted {
			continue
		}
		if p.central.offset != 0 {
			at = p.central.offset
		}
		count++
		directory = append(le.AppendUint32(directory, 0x02014b50), 20, 3, 20, 0, 0, 8)
		directory = appendHeader(directory, p.central)
		directory = append(le.AppendUint16(directory, uint16(len(p.central.name))), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 129)
		directory = append(le.AppendUint32(directory, at), p.central.name...)
	}
	if e.missing {
		return out
	}
	begin := uint32(len(out))
	out = append(out, directory...)
	return appendEnding(out, e, count, uint32(len(directory)), begin)
}

// appendHeader appends what both headers have: method to size.
func appendHeader(out []byte, h header) []byte {
	le := binary.LittleEndian
	out = append(le.AppendUint16(out, h.method), 0, 0, 33, 0)
	out = le.AppendUint32(out, h.crc)
	out = le.AppendUint32(out, h.packed)
	return le.AppendUint32(out, h.size)
}

func appendEnding(out []byte, e ending, count int, size, begin uint32) []byte {
	le := binary.LittleEndian
	if e.wide {
		at := uint64(len(out))
		out = le.AppendUint64(le.AppendUint32(out, 0x06064b50), 44)
		out = append(out, 45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		for _, v := range []uint64{e.wideCount, e.wideCount, uint64(size + e.size), uint64(begin + e.offset)} {
			out = le.AppendUint64(out, v)
		}
		out = le.AppendUint64(le.AppendUint64(out, 0x07064b50), at)
		out = le.AppendUint32(out, 1)
		e.count = math.MaxUint16 - uint16(count)
	}
	out = append(le.AppendUint32(out, 0x06054b50), 0, 0, 0, 0)
	out = le.AppendUint16(le.AppendUint16(out, uint16(count)+e.count), uint16(count)+e.count)
	out = le.AppendUint32(le.AppendUint32(out, size+e.size), begin+e.offset)
	return append(le.AppendUint16(out, uint16(len(e.comment))), e.comment...)
}

func (m *mutator) moveParts() []byte {
	parts := m.parts()
	m.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return archiveOf(parts[m.IntN(3):], ending{})
}

// swapContents gives tables the rows of others.
func (m *mutator) swapContents() []byte {
	parts := m.parts()
	for range 1 + m.IntN(4) {
		a, b := m.segment(parts), m.segment(parts)
		one, other := a.data, b.data
		a.contain(other)
		b.contain(one)
	}
	return archiveOf(parts, ending{})
}

func (m *mutator) repeatPart() []byte {
	parts := m.parts()
	for range 1 + m.IntN(20) {
		again := parts[m.IntN(len(parts))]
		if m.IntN(2) == 0 {
			again.contain(m.overwrite(bytes.Clone(again.data), 1, 8, m.noise))
		}
		again.unlisted = m.IntN(4) == 0
		parts = append(parts, again)
	}
	return archiveOf(parts, ending{missing: m.IntN(4) == 0})
}

var hostileNames = []string{
	"../../../etc/passwd", "/etc/passwd", `C:\windows\x`, `..\..\x`, "", ".", "..", "a/../../b", "a//b", "a/", "x\x00y", "\x1b[2J", "ünï",
	strings.Repeat("n", 300), strings.Repeat("d/", 200) + "x", "events/../events/marks/000001.parquet", "events/marks/000001.parquet/",
	"events/marks/999999999.parquet", "snapshots/exchanges/000001.parquet", "events/nothing/000001.parquet", "events/../../x/000001.parquet",
	"manifest.json", "final.json", "README.txt", "events/exchanges/000000.parquet", "events/exchanges/1.parquet", "EVENTS/marks/000001.parquet",
}

func (m *mutator) rename() []byte {
	parts := m.parts()
	for range 1 + m.IntN(5) {
		p, name := &parts[m.IntN(len(parts))], hostileNames[m.IntN(len(hostileNames))]
		switch m.IntN(3) {
		case 0:
			p.local.name = name
		case 1:
			p.central.name = name
		default:
			p.local.name, p.central.name = name, name
		}
	}
	return archiveOf(parts, ending{missing: m.IntN(4) == 0})
}

var hostileSizes = []uint32{0, 1, 1 << 16, 32<<20 - 1, 32 << 20, 32<<20 + 1, 1 << 30, math.MaxInt32, 1 << 31, math.MaxUint32 - 1, math.MaxUint32}

func (m *mutator) lie() []byte {
	parts := m.parts()
	for range 1 + m.IntN(5) {
		p := &parts[m.IntN(len(parts))]
		h := &p.local
		if m.IntN(2) == 0 {
			h = &p.central
		}
		size := hostileSizes[m.IntN(len(hostileSizes))]
		switch m.IntN(8) {
		case 0:
			h.size = size
		case 1:
			h.packed = size
		case 2:
			h.size, h.packed = size, size
		case 3:
			h.crc = m.Uint32()
		case 4:
			h.method = uint16(m.Uint32())
		case 5:
			p.central.offset = size
		case 6:
			p.local.size, p.local.packed, p.central.size, p.central.packed = size, size, size, size
		default:
			p.absent = true
		}
	}
	return archiveOf(parts, ending{missing: m.IntN(4) == 0})
}

// overlap lets directory records share bytes: with another entry, or with one
// that lies within the data of another.
func (m *mutator) overlap() []byte {
	parts := m.parts()
	inner := archiveOf([]part{newPart("events/marks/000009.parquet", m.segment(parts).data)}, ending{missing: true})
	outer := newPart("outer", bytes.Repeat(inner, 1+m.IntN(3)))
	at := len(archiveOf(parts, ending{missing: true})) + 30 + len("outer")
	hidden := newPart("events/marks/000009.parquet", inner[30+27:])
	hidden.absent, hidden.central.offset = true, uint32(at)
	parts = append(parts, outer, hidden)
	for range m.IntN(4) {
		parts[m.IntN(len(parts))].central.offset = uint32(1 + m.IntN(at))
	}
	return archiveOf(parts, ending{missing: m.IntN(4) == 0})
}

func (m *mutator) lieAtEnd() []byte {
	var e ending
	number := func() uint32 { return []uint32{1, ^uint32(0), m.Uint32(), 1 << 31, 46}[m.IntN(5)] }
	switch m.IntN(6) {
	case 0:
		e.count = uint16(number())
	case 1:
		e.size = number()
	case 2:
		e.offset = number()
	case 3:
		e.wide, e.wideCount = true, []uint64{0, 1 << 20, 1<<20 + 1, 1 << 40, 1 << 63, math.MaxUint64}[m.IntN(6)]
	case 4:
		e.comment = strings.Repeat("PK\x05\x06", 1+m.IntN(16000))
	default:
		e.wide, e.wideCount, e.size, e.offset = true, m.Uint64(), number(), number()
	}
	data := archiveOf(m.parts(), e)
	if m.IntN(3) == 0 {
		data = append(data, bytes.Repeat([]byte("PK\x03\x04"), m.IntN(20000))...)
	}
	return data
}

// deflate compresses entries, one of them to a thousandth.
func (m *mutator) deflate() []byte {
	parts := m.parts()
	zeros := newPart("events/marks/000009.parquet", make([]byte, 16<<20))
	parts = append(parts, zeros)
	for _, p := range []*part{&parts[len(parts)-1], m.segment(parts)} {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestSpeed)
		check(m.t, err)
		_, err = w.Write(p.data)
		check(m.t, err)
		check(m.t, w.Close())
		p.data = packed.Bytes()
		for _, h := range []*header{&p.local, &p.central} {
			h.method, h.packed = 8, uint32(len(p.data))
		}
		if m.IntN(3) == 0 {
			p.local.method, p.central.method = 0, 0
		}
	}
	return archiveOf(parts, ending{missing: m.IntN(4) == 0})
}
