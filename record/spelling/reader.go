package spelling

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Reader reads a short text that someone typed, from left to right, one word or
// sign after the other. White space between them does not count.
type Reader struct {
	Text  string
	At    int // where the next one is looked for, in bytes
	Begin int // where the latest one begins: what an error is about
}

// Word reads ASCII letters, digits and whatever of more; "": none stands here.
func (r *Reader) Word(more string) string {
	r.Space()
	r.Begin = r.At
	n := strings.IndexFunc(r.Text[r.At:], func(c rune) bool {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		return !letter && (c < '0' || c > '9') && !strings.ContainsRune(more, c)
	})
	if n < 0 {
		n = len(r.Text) - r.At
	}
	r.At += n
	return r.Text[r.Begin:r.At]
}

// Space steps over blanks and tabs.
func (r *Reader) Space() {
	for r.At < len(r.Text) && (r.Text[r.At] == ' ' || r.Text[r.At] == '\t') {
		r.At++
	}
}

// Next says whether the sign stands here, and steps over it.
func (r *Reader) Next(sign string) bool {
	r.Space()
	r.Begin = r.At
	if !strings.HasPrefix(r.Text[r.At:], sign) {
		return false
	}
	r.At += len(sign)
	return true
}

// Unknown is the error of a word that is none of the known ones: it says what there
// is instead, the nearest first.
func Unknown(what, word string, known []string) error {
	all := strings.Join(known, ", ")
	if word == "" {
		return fmt.Errorf("one of these is missing: %s", all)
	}
	if near := Near(word, known, 1); len(near) > 0 {
		return fmt.Errorf("no %s %q, did you mean %s? There are %s", what, word, near[0], all)
	}
	return fmt.Errorf("no %s %q, there are %s", what, word, all)
}

// Place tells where in a text something is wrong: by number, and with what stands
// there.
func Place(text string, at int) string {
	at = min(at, len(text))
	if rest := text[at:]; rest != "" {
		return fmt.Sprintf("at character %d, %q", utf8.RuneCountInString(text[:at])+1, Shorten(rest))
	}
	return "at its end"
}

// Shorten keeps a text to what fits a line of a message.
func Shorten(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
