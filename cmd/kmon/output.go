package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"kmon/format"
)

// stdoutName as the name of an output means standard output.
const stdoutName = "-"

// standardOutput keeps the first error of its writer: who redirects a text to a full
// disk must learn of it, also where cobra or a verb that does something else first
// ignores the error.
type standardOutput struct {
	io.Writer
	err error
}

func (o *standardOutput) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// fileOf gives the file that w writes to; nil: none.
func fileOf(w io.Writer) *os.File {
	if o, ok := w.(*standardOutput); ok {
		w = o.Writer
	}
	f, _ := w.(*os.File)
	return f
}

// captureOutput refuses the name that means standard output to write a capture to.
func captureOutput(name string) error {
	if name == stdoutName {
		return usagef("a capture cannot go to standard output; name a file with -o")
	}
	return nil
}

// Modes of files, before the umask: a report is to be passed on, rows are as
// private as the capture.
const (
	reportMode fs.FileMode = 0o666
	rowsMode   fs.FileMode = 0o600
)

// writeOutput hands write a buffered writer for the file name, or for stdout
// when name is "-". A file that is new gets the mode.
func writeOutput(stdout io.Writer, name string, mode fs.FileMode, write func(io.Writer) error) error {
	if name == stdoutName {
		return buffered(stdout, write)
	}
	return replaceFile(name, mode, write)
}

var errOthersMade = errors.New("another user made it and it is no regular file; name another file")

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	err, flushed := write(b), b.Flush()
	if errors.Is(err, flushed) { // b repeats the error of w
		return err
	}
	return errors.Join(err, flushed)
}

// replaceFile writes the file name, which has its old content until the new
// one is complete, and keeps its mode, unless that is another user's choice. What
// is neither a regular file nor missing (a device, a pipe, a symbolic link) is
// written in place, unless another user made it.
func replaceFile(name string, mode fs.FileMode, write func(io.Writer) error) error {
	dir, base, err := format.OpenDir(name)
	if err != nil {
		return writeFailed(name, err)
	}
	defer dir.Close()
	info, err := dir.Lstat(base)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory; name a file in it", name)
	case err == nil && !info.Mode().IsRegular():
		return writeInPlace(name, info, write)
	}
	part := "." + base + "." + rand.Text()[:8]
	f, err := dir.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return writeFailed(name, err)
	}
	err = nil
	if info != nil && !format.MadeByOthers(info) {
		err = f.Chmod(info.Mode().Perm())
	}
	err = errors.Join(err, buffered(f, write), f.Close())
	if err == nil {
		err = dir.Rename(part, base)
	}
	if err != nil {
		_ = dir.Remove(part) // what is left of it helps nobody; err says why
		return writeFailed(name, err)
	}
	return nil
}

// writeInPlace writes to what is no regular file. A link or a pipe that another
// user made would have the report go where that user wants.
func writeInPlace(name string, info fs.FileInfo, write func(io.Writer) error) error {
	if format.MadeByOthers(info) {
		return writeFailed(name, errOthersMade)
	}
	f, err := openInPlace(name)
	if err != nil {
		return writeFailed(name, err)
	}
	return errors.Join(buffered(f, write), f.Close())
}

// openInPlace opens what a link leads to, a pipe or a device, for root only if no
// link on the way there is another user's. A regular file is emptied.
func openInPlace(name string) (*os.File, error) {
	target, err := os.Stat(name)
	switch {
	case err != nil || target.Mode().IsRegular():
		return format.OverwriteRegular(name)
	case format.MadeByOthers(target): // nobody may read a pipe
		return nil, errOthersMade
	}
	if err := format.CheckLinks(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat() // of what was opened, whatever the name was before
	if err == nil && (info.Mode().IsRegular() || format.MadeByOthers(info)) {
		err = errOthersMade
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeFailed names the file the user asked for instead of the one that kmon
// made up on the way to it.
func writeFailed(name string, err error) error {
	switch at, link := (*fs.PathError)(nil), (*os.LinkError)(nil); {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("write %s: %w", name, err)
}
