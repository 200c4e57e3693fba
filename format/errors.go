package format

import (
	"errors"
	"fmt"
)

// The three ways in which a file is refused. Errors of this package that
// concern the content of a file wrap one of them in a *FileError.
var (
	// ErrNotCapture: the file is not a kmon capture.
	ErrNotCapture = errors.New("not a kmon capture")
	// ErrCorrupt: the file is a capture, but this part of it is damaged.
	ErrCorrupt = errors.New("damaged")
	// ErrTooNew: a newer kmon wrote the file in a format this one cannot read.
	ErrTooNew = errors.New("format too new")
)

// FileError says where in a file something is wrong.
type FileError struct {
	File   string
	Entry  string // name of the ZIP entry, "" when it concerns the file
	Offset int64  // of the entry in the file; -1: no place in particular
	Err    error  // wraps ErrNotCapture, ErrCorrupt or ErrTooNew
}

// Error gives file, entry, offset and cause in one line.
func (e *FileError) Error() string {
	switch {
	case e.Entry != "" && e.Offset >= 0:
		return fmt.Sprintf("%s: %s at offset %d: %v", e.File, e.Entry, e.Offset, e.Err)
	case e.Entry != "":
		return fmt.Sprintf("%s: %s: %v", e.File, e.Entry, e.Err)
	case e.Offset >= 0:
		return fmt.Sprintf("%s: at offset %d: %v", e.File, e.Offset, e.Err)
	default:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// corrupt makes an error that wraps ErrCorrupt without a place; the caller
// that knows file and entry adds them with a FileError.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}
