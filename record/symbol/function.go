package symbol

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

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

// maxName bounds a stored name, in bytes; names of C++ templates may be longer
// than anyone reads.
const maxName = 512

// clean makes a name from anyone's file fit for a row: valid UTF-8, no control
// characters, at most maxName bytes.
func clean(name []byte) string {
	s := strings.ToValidUTF8(string(name), string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if len(s) <= maxName {
		return s
	}
	cut := maxName - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
