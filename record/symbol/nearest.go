package symbol

import (
	"slices"
	"sort"
)

// nearest finds the symbol before each of some addresses while the symbols
// pass by in any order: of a table of any length it keeps one symbol per
// address. Between two addresses that follow one another lies a gap, and of a
// gap's symbols only the last and the first matter.
type nearest struct {
	addrs []uint64 // sorted, each once
	last  []symbol // last[i]: the last that begins after addrs[i-1] and not after addrs[i]
	first []uint64 // first[i]: where the first of these begins, of the last gap too; ^0: none
	// better says which of two symbols at one start names it; nil: the one of
	// higher rank, else the first.
	better func(a, b symbol) bool
}

// symbol is a name and where its code begins.
type symbol struct {
	start, size uint64 // size 0: not known
	name        []byte // text, or
	ref         int64  // where the name stands in the file
	rank        int    // of two at one start, the higher is the better name
	found       bool
}

func newNearest(addrs []uint64) *nearest {
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	n := &nearest{addrs: addrs, last: make([]symbol, len(addrs)), first: make([]uint64, len(addrs)+1)}
	for i := range n.first {
		n.first[i] = ^uint64(0)
	}
	return n
}

// gap returns the gap that holds an address.
func (n *nearest) gap(addr uint64) int {
	return sort.Search(len(n.addrs), func(i int) bool { return n.addrs[i] >= addr })
}

// add takes a symbol; its name is copied if it is kept.
func (n *nearest) add(s symbol) {
	gap := n.gap(s.start)
	n.first[gap] = min(n.first[gap], s.start)
	if gap == len(n.addrs) {
		return
	}
	have := &n.last[gap]
	if have.found && (have.start > s.start || have.start == s.start && !n.isBetter(s, *have)) {
		return
	}
	s.name = append(have.name[:0], s.name...)
	s.found = true
	*have = s
}

func (n *nearest) isBetter(a, b symbol) bool {
	if n.better == nil {
		return a.rank > b.rank
	}
	return n.better(a, b)
}

// bound tells that something begins at an address that is no function.
func (n *nearest) bound(addr uint64) {
	gap := n.gap(addr)
	n.first[gap] = min(n.first[gap], addr)
}

// each calls do for each address with the symbol before it, which may not be
// found, and where the next symbol begins (^0: nowhere).
func (n *nearest) each(do func(addr uint64, s symbol, end uint64)) {
	ends := slices.Clone(n.first[1:])
	for i := len(ends) - 2; i >= 0; i-- {
		ends[i] = min(ends[i], ends[i+1])
	}
	var s symbol
	for i, addr := range n.addrs {
		if n.last[i].found {
			s = n.last[i]
		}
		do(addr, s, ends[i])
	}
}
