package format

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text that anybody chose (a process, a file, the kernel) fit for a
// row: valid UTF-8, control characters as blanks.
func Clean(s string) string {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
