package symbol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"debug/elf"
)

const (
	// Files belong to others. What is read of them is bounded whatever they say;
	// the numbers are several times those of the largest real files.
	maxSegments     = 256
	maxSections     = 16 << 10
	maxNotes        = 64 << 10  // bytes of one note segment
	maxSectionName  = 32        // longer than the names that are looked for
	maxSymbolsBytes = 256 << 20 // a table of 11 million symbols
	maxRawName      = 16 << 10  // bytes of a name before it is demangled
)

var errNotELF = errors.New("not a 64-bit little-endian ELF file")

// image is an ELF file of which the headers were read. debug/elf is not used to
// read it, since that takes whole tables into memory.
type image struct {
	file     io.ReaderAt
	machine  elf.Machine
	entry    uint64
	fixed    bool // addresses in a process are those of the file
	segments []segment
	sections []section
	buildID  [20]byte // zero: none
}

// segment is a part of the file that is mapped.
type segment struct {
	offset, addr, size uint64
	code               bool
}

type section struct {
	name               string
	kind               elf.SectionType
	addr, offset, size uint64
	link               uint32
}

// readImage reads the headers of an ELF file.
func readImage(file io.ReaderAt) (*image, error) {
	var head elf.Header64
	if err := readStruct(file, 0, &head); err != nil {
		return nil, err
	}
	if string(head.Ident[:elf.EI_DATA+1]) != elf.ELFMAG+"\x02\x01" {
		return nil, errNotELF
	}
	im := &image{file: file, machine: elf.Machine(head.Machine), entry: head.Entry, fixed: elf.Type(head.Type) == elf.ET_EXEC}
	if err := im.readSegments(head); err != nil {
		return nil, err
	}
	im.readSections(head)
	for _, s := range im.sections {
		// Go's linker puts its id outside of the segment, where the kernel does not
		// find it: frames of such programs come by address.
		if s.kind == elf.SHT_NOTE && im.buildID == [20]byte{} {
			im.readBuildID(s.offset, s.size)
		}
	}
	return im, nil
}

func (im *image) readSegments(head elf.Header64) error {
	for i := range min(uint64(head.Phnum), maxSegments) {
		var p elf.Prog64
		if err := readStruct(im.file, head.Phoff+i*uint64(head.Phentsize), &p); err != nil {
			return err
		}
		switch elf.ProgType(p.Type) {
		case elf.PT_LOAD:
			im.segments = append(im.segments, segment{p.Off, p.Vaddr, p.Filesz, elf.ProgFlag(p.Flags)&elf.PF_X != 0})
		case elf.PT_NOTE:
			im.readBuildID(p.Off, p.Filesz)
		}
	}
	return nil
}

// readBuildID looks for the GNU build id among the notes of a segment.
func (im *image) readBuildID(offset, size uint64) {
	notes := make([]byte, min(size, maxNotes))
	n, _ := im.file.ReadAt(notes, int64(offset))
	for notes = notes[:n]; len(notes) >= 12; {
		nameSize, valueSize := binary.LittleEndian.Uint32(notes), binary.LittleEndian.Uint32(notes[4:])
		kind := binary.LittleEndian.Uint32(notes[8:])
		value := 12 + (uint64(nameSize)+3)&^3
		end := value + uint64(valueSize)
		if end > uint64(len(notes)) {
			return
		}
		const gnuBuildID = 3 // NT_GNU_BUILD_ID of elf.h
		if kind == gnuBuildID && string(notes[12:12+nameSize]) == "GNU\x00" {
			copy(im.buildID[:], notes[value:end])
			return
		}
		notes = notes[min((end+3)&^3, uint64(len(notes))):]
	}
}

// readSections reads the section headers as far as they can be read: a file
// needs none to run.
func (im *image) readSections(head elf.Header64) {
	names := section{}
	var nameOffsets []uint32
	for i := range min(uint64(head.Shnum), maxSections) {
		var s elf.Section64
		if readStruct(im.file, head.Shoff+i*uint64(head.Shentsize), &s) != nil {
			break
		}
		im.sections = append(im.sections, section{kind: elf.SectionType(s.Type), addr: s.Addr, offset: s.Off, size: s.Size, link: s.Link})
		nameOffsets = append(nameOffsets, s.Name)
	}
	if int(head.Shstrndx) < len(im.sections) {
		names = im.sections[head.Shstrndx]
	}
	for i, offset := range nameOffsets {
		im.sections[i].name = string(im.text(names, int64(offset), maxSectionName))
	}
}

// text reads a string of at most limit bytes that ends with a NUL, at an offset
// in a section; nil when there is none.
func (im *image) text(s section, offset int64, limit int) []byte {
	if offset < 0 || uint64(offset) >= s.size {
		return nil
	}
	buf := make([]byte, min(uint64(limit), s.size-uint64(offset), 256))
	for have := 0; ; {
		n, err := im.file.ReadAt(buf[have:], int64(s.offset)+offset+int64(have))
		if end := bytes.IndexByte(buf[have:have+n], 0); end >= 0 {
			return buf[:have+end]
		}
		have += n
		size := min(2*len(buf), limit, int(min(s.size-uint64(offset), maxRawName)))
		if err != nil || size <= have {
			return buf[:have]
		}
		buf = append(buf, make([]byte, size-len(buf))...)
	}
}

// section returns the section with a name and kind; false when there is none.
func (im *image) section(name string, kind elf.SectionType) (section, bool) {
	i := slices.IndexFunc(im.sections, func(s section) bool {
		return (name == "" || s.name == name) && s.kind == kind
	})
	if i < 0 {
		return section{}, false
	}
	return im.sections[i], true
}

// addr turns an offset in the file into the address its symbols use. One page
// of the file may belong to two segments; that with code wins.
func (im *image) addr(offset uint64) (addr uint64, ok bool) {
	for _, s := range im.segments {
		if offset >= s.offset && offset-s.offset < s.size && (!ok || s.code) {
			addr, ok = offset-s.offset+s.addr, true
		}
	}
	return addr, ok
}

// offset turns an address of code into its offset in the file.
func (im *image) offset(addr uint64) (offset uint64, ok bool) {
	for _, s := range im.segments {
		if s.code && addr >= s.addr && addr-s.addr < s.size {
			return addr - s.addr + s.offset, true
		}
	}
	return 0, false
}

// records passes a section's records of one size to do, reading a piece at a
// time. It stops where the file ends.
func (im *image) records(s section, size int, do func(record []byte)) {
	buf := make([]byte, 4096/size*size*8)
	end := min(s.size, maxSymbolsBytes)
	for at := uint64(0); at < end; at += uint64(len(buf)) {
		n, err := im.file.ReadAt(buf[:min(uint64(len(buf)), end-at)], int64(s.offset+at))
		for i := 0; i+size <= n; i += size {
			do(buf[i : i+size])
		}
		if err != nil {
			return
		}
	}
}

// readStruct reads a fixed-size struct of package elf.
func readStruct(file io.ReaderAt, offset uint64, into any) error {
	buf := make([]byte, binary.Size(into))
	if _, err := file.ReadAt(buf, int64(offset)); err != nil {
		return err
	}
	_, err := binary.Decode(buf, binary.LittleEndian, into)
	return err
}
