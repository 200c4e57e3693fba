package symbol

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"

	"kmon/format"
)

const (
	symbolBytes = 24 // of elf.Sym64
	// maxGuess is how far after an exported function code without a name may lie
	// to be called by its name.
	maxGuess = 16 << 10
	// maxTies bounds the comparisons of symbols at one address; libc has some
	// thousands.
	maxTies = 20_000
)

// table is a file's symbol table, .symtab or .dynsym, while it is read. A
// function with a size holds what lies within; a label without one, as assembly
// code has, holds what follows it.
type table struct {
	image     *image
	names     section
	dynamic   bool
	source    format.SymbolSource // of what a symbol holds
	functions *nearest
	labels    *nearest
	ties      int
}

// symbols finds the functions that hold the addresses in the symbol table of a
// kind.
func (im *image) symbols(kind elf.SectionType, addrs []uint64, source format.SymbolSource) functions {
	s, ok := im.section("", kind)
	if !ok || uint64(s.link) >= uint64(len(im.sections)) {
		return nil
	}
	t := table{
		image: im, names: im.sections[s.link], dynamic: kind == elf.SHT_DYNSYM, source: source,
		functions: newNearest(addrs), labels: newNearest(addrs),
	}
	t.functions.better, t.labels.better = t.better, t.better
	im.records(s, symbolBytes, t.add)
	return t.found()
}

// add takes an entry of the table.
func (t *table) add(entry []byte) {
	kind, bind := elf.ST_TYPE(entry[4]), elf.ST_BIND(entry[4])
	s := symbol{
		start: binary.LittleEndian.Uint64(entry[8:]), size: binary.LittleEndian.Uint64(entry[16:]),
		ref: int64(binary.LittleEndian.Uint32(entry)),
	}
	if elf.SectionIndex(binary.LittleEndian.Uint16(entry[6:])) == elf.SHN_UNDEF || s.ref == 0 || s.start+s.size < s.start {
		return
	}
	switch bind {
	case elf.STB_GLOBAL:
		s.rank = 2
	case elf.STB_WEAK:
		s.rank = 1
	}
	isFunction := kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC
	// Local labels of arm64 ($x, $d) tell code from data.
	isLabel := kind == elf.STT_NOTYPE && (t.image.machine != elf.EM_AARCH64 || bind != elf.STB_LOCAL)
	switch {
	case isFunction && s.size > 0:
		t.functions.add(s)
	case isFunction, isLabel:
		t.labels.add(s)
	}
}

// better prefers, of two names of one address, that with fewer underscores
// before it (read, not __read), then a global one.
func (t *table) better(a, b symbol) bool {
	if t.ties++; t.ties > maxTies {
		return false
	}
	underscores := func(s symbol) int {
		name := t.text(s)
		return len(name) - len(bytes.TrimLeft(name, "_"))
	}
	return cmp.Or(cmp.Compare(underscores(b), underscores(a)), cmp.Compare(a.rank, b.rank)) > 0
}

// text reads a name, without its version (read@@GLIBC_2.2.5).
func (t *table) text(s symbol) []byte {
	name := t.image.text(t.names, s.ref, maxRawName)
	if version := bytes.IndexByte(name, '@'); version > 0 {
		name = name[:version]
	}
	return name
}

// found names the addresses by what was passed to add.
func (t *table) found() functions {
	labels := make([]span, 0, len(t.labels.addrs))
	t.labels.each(func(_ uint64, s symbol, end uint64) { labels = append(labels, span{s, end}) })
	var all functions
	i := -1
	t.functions.each(func(addr uint64, s symbol, end uint64) {
		i++
		fn, ok := t.holder(addr, span{s, end}, labels[i])
		if ok && (len(all) == 0 || all[len(all)-1].start != fn.start) {
			fn.name = demangled(t.text(fn.symbol))
			all = append(all, fn.function)
		}
	})
	return all
}

// span is a symbol and where the next begins.
type span struct {
	symbol
	end uint64
}

// holding is a function and the symbol that names it.
type holding struct {
	function
	symbol symbol
}

// holder decides which of the last function and the last label before an
// address names it.
func (t *table) holder(addr uint64, f, label span) (holding, bool) {
	after := f.start + f.size // where the function ends
	switch {
	case f.found && addr < after:
		return holding{function{start: f.start, end: min(f.end, after), source: t.source}, f.symbol}, true
	case label.found && (!f.found || label.start >= after):
		fn := function{start: label.start, end: min(f.end, label.end), source: t.source}
		if t.dynamic {
			fn.source = format.SymbolDynamic
		}
		return holding{fn, label.symbol}, true
	case t.dynamic && f.found && addr-after < maxGuess:
		fn := function{start: after, end: min(f.end, label.end, after+maxGuess), source: format.SymbolDynamic}
		return holding{fn, f.symbol}, true
	}
	return holding{}, false
}
