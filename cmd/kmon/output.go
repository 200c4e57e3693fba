package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// stdoutName as the name of an output means standard output.
const stdoutName = "-"

// writeOutput hands write a buffered writer for the file name, or for stdout
// when name is "-".
func writeOutput(stdout io.Writer, name string, write func(io.Writer) error) error {
	if name == stdoutName {
		return buffered(stdout, write)
	}
	return replaceFile(name, write)
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 64<<10)
	return errors.Join(write(b), b.Flush())
}

// replaceFile writes the file name, which has its old content until the new
// one is complete. What is neither a regular file nor missing (a device, a
// pipe, a symbolic link) is written in place.
func replaceFile(name string, write func(io.Writer) error) error {
	info, err := os.Lstat(name)
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory; name a file in it", name)
	}
	if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		return errors.Join(buffered(f, write), f.Close())
	}
	part := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8])
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return writeFailed(name, err)
	}
	err = errors.Join(buffered(f, write), f.Close())
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		_ = os.Remove(part) // what is left of it helps nobody; err says why
		return writeFailed(name, err)
	}
	return nil
}

// writeFailed names the file the user asked for instead of the one that kmon
// made up on the way to it.
func writeFailed(name string, err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("write %s: %w", name, err)
}
