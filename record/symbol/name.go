package symbol

import (
	"unicode/utf8"

	"github.com/ianlancetaylor/demangle"

	"kmon/format"
)

// maxName bounds a stored name, in bytes; names of C++ templates may be longer
// than anyone reads.
const maxName = 512

// clean makes a name from anyone's file fit for a row: format.Clean, at most maxName
// bytes.
func clean(name []byte) string {
	s := format.Clean(string(name))
	if len(s) <= maxName {
		return s
	}
	cut := maxName - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// demangled makes a symbol of a C, C++ or Rust compiler readable: without
// parameters, and without the marks of copies a compiler made of one function.
func demangled(symbol []byte) (name string) {
	name = clean(symbol)
	if len(symbol) < 3 || symbol[0] != '_' { // as all mangled names begin
		return name
	}
	defer func() {
		_ = recover() // a crafted name: name is the symbol as it stands
	}()
	const longest = 12 // a power of 2
	readable := demangle.Filter(string(symbol), demangle.NoParams, demangle.NoEnclosingParams, demangle.MaxLength(longest))
	return clean([]byte(readable))
}
