//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// fileColumns asks the terminal behind f for its width; ok is false when there
// is no terminal.
func fileColumns(f *os.File) (columns int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// enableColour reports whether the terminal f shows colour codes as colours.
func enableColour(*os.File) bool { return true }
