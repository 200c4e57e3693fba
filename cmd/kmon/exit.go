package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
)

// The exit codes of every verb. record with a command after -- returns the
// command's own instead, as env and perf do.
const (
	codeOK           = 0
	codeGate         = 1   // a gate failed: a regression, a finding that --fail-on names, damage that verify found, something that doctor misses
	codeError        = 2   // usage, unreadable or internal error
	codeInconclusive = 3   // too little data, or too much loss, to go by
	codeInterrupted  = 130 // 128 + SIGINT
)

// exitError ends the command with a code of its own. A nil err says nothing
// on stderr.
type exitError struct {
	code int
	err  error
}

func exit(code int, err error) error { return &exitError{code, err} }

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a command line that cannot be obeyed.
type usageError struct{ err error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// conclude writes what ended cmd to stderr and returns the exit code.
func conclude(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil || isClosedPipe(err) {
		return codeOK
	}
	code := codeError
	if e := (*exitError)(nil); errors.As(err, &e) {
		code = e.code
		if e.err == nil {
			return code
		}
		err = e.err // which may be several
	}
	complain(stderr, err)
	if e := (*usageError)(nil); errors.As(err, &e) {
		fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code
}

// complain writes "kmon: …" to stderr, a line for each error that err joins; what several
// of them say, as all that could not be written to one full disk, once.
func complain(stderr io.Writer, err error) {
	told := map[string]bool{}
	for _, e := range each(err) {
		if text := printable(e.Error()); !told[text] {
			told[text] = true
			fmt.Fprintf(stderr, "kmon: %s\n", text)
		}
	}
}

// each gives the errors that err joins, or err.
func each(err error) (all []error) {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range several.Unwrap() {
		all = append(all, each(e)...)
	}
	return all
}

// printable keeps text that came from a file or a command line from steering
// the terminal: what is neither graphic nor tab or newline becomes U+FFFD.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// oneLine is printable for text that must not begin a new line or column.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// isClosedPipe reports whether err means that the reader of our output went
// away, as head does when it has seen enough.
func isClosedPipe(err error) bool {
	const windowsNoData = syscall.Errno(232) // ERROR_NO_DATA: the pipe is being closed
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) ||
		runtime.GOOS == "windows" && errors.Is(err, windowsNoData)
}
