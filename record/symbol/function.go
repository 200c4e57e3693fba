package symbol

import (
	"cmp"
	"slices"
	"sort"

	"kmon/format"
)

// function is a piece of code that has a name.
type function struct {
	start, end uint64 // end: the first address that is not in it
	name       string
	module     string
	source     format.SymbolSource
}

// functions are sorted by start and don't overlap.
type functions []function

// find returns the function that holds an address.
func (fs functions) find(addr uint64) (function, bool) {
	i := sort.Search(len(fs), func(i int) bool { return fs[i].start > addr }) - 1
	if i < 0 || addr >= fs[i].end {
		return function{}, false
	}
	return fs[i], true
}

// sorted sorts fs in place and drops what is there twice.
func (fs functions) sorted() functions {
	slices.SortStableFunc(fs, func(a, b function) int { return cmp.Compare(a.start, b.start) })
	return slices.CompactFunc(fs, func(a, b function) bool { return a.start == b.start })
}
