package main

import (
	"io"
	"os"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	_, ok := terminalWidth(w)
	return ok
}

// terminalWidth is the width in columns of the terminal that w is; ok is false
// when it is none.
func terminalWidth(w io.Writer) (columns int, ok bool) {
	const customary = 80 // for a terminal that does not tell
	f := fileOf(w)
	if f == nil {
		return 0, false
	}
	columns, ok = fileColumns(f)
	if ok && columns <= 0 {
		columns = customary
	}
	return columns, ok
}

// wantsColour reports whether text for w may be coloured: NO_COLOR is not set
// (no-color.org), and w is a terminal that knows the codes or CLICOLOR_FORCE is set
// (bixense.com/clicolors), as for less -R or the log of a CI job.
func wantsColour(w io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	if os.Getenv("TERM") == "dumb" || os.Getenv("CLICOLOR") == "0" {
		return false
	}
	return isTerminal(w) && enableColour(fileOf(w))
}

// palette colours words, or leaves them as they are.
type palette bool

func (p palette) bad(s string) string  { return p.paint("31", s) }
func (p palette) good(s string) string { return p.paint("32", s) }

func (p palette) paint(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
