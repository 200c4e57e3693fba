package symbol

import (
	"debug/elf"
	"slices"

	"kmon/format"
)

// lookUp finds the functions that hold offsets in the file, by offset: in the
// file's symbol table, in Go's, in its debug file's, among what it exports, in
// this order, each asked for what the others did not know.
func (im *image) lookUp(offsets []uint64, debugFile func() (*image, func())) (byOffset functions) {
	defer func() {
		_ = recover() // a file crafted to break a reader: it has no names
	}()
	var addrs []uint64
	for _, offset := range offsets {
		if addr, ok := im.addr(offset); ok {
			addrs = append(addrs, addr)
		}
	}
	var all functions
	for _, ask := range []func([]uint64) functions{
		func(addrs []uint64) functions { return im.symbols(elf.SHT_SYMTAB, addrs, format.SymbolTable) },
		im.goSymbols,
		func(addrs []uint64) functions {
			debug, done := debugFile()
			if debug == nil {
				return nil
			}
			defer done()
			return debug.symbols(elf.SHT_SYMTAB, addrs, format.SymbolDebugFile)
		},
		func(addrs []uint64) functions { return im.symbols(elf.SHT_DYNSYM, addrs, format.SymbolTable) },
	} {
		if len(addrs) == 0 {
			break
		}
		found := ask(slices.Clone(addrs))
		addrs = slices.DeleteFunc(addrs, func(addr uint64) bool { _, ok := found.find(addr); return ok })
		all = append(all, found...)
	}
	return im.byOffset(all)
}

// byOffset turns functions by address into functions by offset in the file.
func (im *image) byOffset(all functions) functions {
	kept := all[:0]
	for _, fn := range all {
		for _, s := range im.segments {
			if s.code && fn.start >= s.addr && fn.start-s.addr < s.size {
				size := min(fn.end-fn.start, s.addr+s.size-fn.start)
				fn.start = fn.start - s.addr + s.offset
				fn.end = fn.start + size
				kept = append(kept, fn)
				break
			}
		}
	}
	return kept.sorted()
}
