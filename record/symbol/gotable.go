package symbol

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"strings"

	"kmon/format"
)

// goHeader is the head of Go's table of functions since Go 1.20 (pcHeader of
// runtime/symtab.go; since 1.18 but for the magic number).
type goHeader struct {
	Magic          uint32
	_              [2]uint8
	MinLC, PtrSize uint8
	Functions      uint64
	Files          uint64
	TextStart      uint64 // since Go 1.26 not set
	NamesOffset    uint64
	CUOffset       uint64
	FilesOffset    uint64
	PCOffset       uint64
	TableOffset    uint64
}

const (
	goMagic118 = 0xfffffff0
	goMagic120 = 0xfffffff1
	goEntry    = 8 // bytes of an entry: where a function begins, and where its data
)

// goSymbols finds the functions that hold the addresses in Go's own table,
// which a stripped program still has, since it unwinds by it. Programs of Go
// before 1.18 have another form and keep their addresses.
func (im *image) goSymbols(addrs []uint64) functions {
	s, ok := im.section(".gopclntab", elf.SHT_PROGBITS)
	if !ok {
		s, ok = im.section(".data.rel.ro.gopclntab", elf.SHT_PROGBITS)
	}
	text, textOK := im.section(".text", elf.SHT_PROGBITS)
	var head goHeader
	if !ok || !textOK || readStruct(im.within(s), 0, &head) != nil {
		return nil
	}
	if head.Magic != goMagic118 && head.Magic != goMagic120 || head.PtrSize != 8 || max(head.TableOffset, head.NamesOffset) >= s.size {
		return nil
	}
	g := goTable{image: im, section: s, head: head, names: s}
	g.names.offset, g.names.size = s.offset+head.NamesOffset, s.size-head.NamesOffset
	if start, ok := g.start(text); ok {
		return g.look(start, addrs)
	}
	// Go's linker puts Go's code first, and the program's entry is Go's; when
	// another linker put C code before it, by cgo, neither is so.
	found := g.look(text.addr, append(addrs, im.entry))
	if entry, ok := found.find(im.entry); ok && entry.start == im.entry && strings.HasPrefix(entry.name, "_rt0_") {
		return found
	}
	return nil
}

// within is the content of a section.
func (im *image) within(s section) io.ReaderAt {
	return io.NewSectionReader(im.file, int64(s.offset), int64(s.size))
}

// goTable is Go's table of functions. Addresses in it count from the start of
// Go's code.
type goTable struct {
	image   *image
	section section
	head    goHeader
	names   section
}

// start tells where Go's code begins, which addresses count from: by the table
// before Go 1.26, then by the module's description (moduledata of
// runtime/symtab.go), which a position-independent program has only while it runs.
func (g goTable) start(text section) (addr uint64, ok bool) {
	within := func(addr uint64) bool { return addr >= text.addr && addr-text.addr < text.size }
	if within(g.head.TextStart) {
		return g.head.TextStart, g.head.TextStart != 0
	}
	var module struct {
		_                [20]uint64
		MinPC, MaxPC, PC uint64 // of the first and after the last function; of the start
	}
	s, ok := g.image.section(".go.module", elf.SHT_PROGBITS)
	if !ok || readStruct(g.image.within(s), 0, &module) != nil {
		return 0, false
	}
	return module.PC, within(module.PC) && module.MinPC >= module.PC && module.MaxPC > module.MinPC && module.MaxPC <= text.addr+text.size
}

// look finds the functions that hold the addresses, if Go's code begins at
// start.
func (g goTable) look(start uint64, addrs []uint64) functions {
	n := newNearest(addrs)
	table := g.section
	table.offset += g.head.TableOffset
	table.size = min(g.section.size-g.head.TableOffset, (min(g.head.Functions, maxSymbolsBytes)+1)*goEntry)
	g.image.records(table, goEntry, func(entry []byte) {
		n.add(symbol{start: start + uint64(binary.LittleEndian.Uint32(entry)), ref: int64(binary.LittleEndian.Uint32(entry[4:]))})
	})
	var all functions
	n.each(func(_ uint64, s symbol, end uint64) {
		if !s.found || end == ^uint64(0) { // the last entry only says where the code ends
			return
		}
		if len(all) == 0 || all[len(all)-1].start != s.start {
			all = append(all, function{start: s.start, end: end, name: clean(g.name(s.ref)), source: format.SymbolGo})
		}
	})
	return all
}

// name reads the name of the function whose data stands at an offset.
func (g goTable) name(offset int64) []byte {
	var data struct{ Entry, Name uint32 } // the start of _func of runtime/runtime2.go
	if readStruct(g.image.within(g.section), g.head.TableOffset+uint64(offset), &data) != nil {
		return nil
	}
	return g.image.text(g.names, int64(data.Name), maxRawName)
}
