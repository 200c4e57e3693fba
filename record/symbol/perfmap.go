package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"

	"kmon/format"
)

const (
	// maxPerfMap bounds what is read of a map; a large Java server's has some 10 MB.
	maxPerfMap = 256 << 20
	// maxPerfMapHits bounds the work that a map can make: how often its entries,
	// which may lie over one another, hold one of the addresses.
	maxPerfMapHits = 4 << 20
)

// perfMap finds the functions that hold the addresses in a map that a JIT
// writes: lines of address, size (both hex) and name. Code is written over
// other code, so of several entries that hold an address the last counts.
func perfMap(file io.Reader, addrs []uint64) map[uint64]function {
	slices.Sort(addrs)
	last := map[uint64]perfEntry{} // by address
	lines := bufio.NewReaderSize(io.LimitReader(file, maxPerfMap), maxRawName)
	hits := 0
	for more := true; more; {
		line, err := lines.ReadSlice('\n')
		if entry, ok := perfMapLine(line); ok {
			first := sort.Search(len(addrs), func(i int) bool { return addrs[i] >= entry.start })
			for i := first; i < len(addrs) && addrs[i] < entry.end && hits < maxPerfMapHits; i++ {
				if i == first {
					entry.name = slices.Clone(entry.name)
				}
				last[addrs[i]] = entry
				hits++
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) { // a line of which the end is of no use
			_, err = lines.ReadSlice('\n')
		}
		more = err == nil
	}
	found := make(map[uint64]function, len(last))
	for addr, e := range last {
		found[addr] = function{start: e.start, end: e.end, name: demangled(e.name), module: jitModule, source: format.SymbolPerfMap}
	}
	return found
}

// perfEntry is a line of a map.
type perfEntry struct {
	start, end uint64
	name       []byte
}

// perfMapLine takes a line apart; the name is a part of it.
func perfMapLine(line []byte) (entry perfEntry, ok bool) {
	start, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
	size, name, ok := bytes.Cut(rest, []byte(" "))
	hex := func(text []byte) uint64 {
		n, err := strconv.ParseUint(string(bytes.TrimPrefix(text, []byte("0x"))), 16, 64)
		ok = ok && err == nil
		return n
	}
	entry = perfEntry{start: hex(start), name: name}
	entry.end = entry.start + hex(size)
	return entry, ok && entry.end > entry.start && len(name) > 0
}
