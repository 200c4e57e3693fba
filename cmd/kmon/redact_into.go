package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kmon/format"
)

// openEach opens captures, to be closed by closeEach. The parts of a recording stay
// captures of their own.
func openEach(paths []string) ([]*format.Capture, error) {
	var all []*format.Capture
	for _, path := range paths {
		c, err := format.Open(path)
		if err != nil {
			closeEach(all)
			return nil, explain(err)
		}
		all = append(all, c)
	}
	return all, nil
}

func closeEach(captures []*format.Capture) {
	for _, c := range captures {
		_ = c.Close() // nothing was written to it
	}
}

// intoDirectory says whether so many copies go into a directory, and makes it where it
// is missing.
func (f redactFlags) intoDirectory(copies int) (bool, error) {
	info, err := os.Stat(f.output)
	switch {
	case err == nil && info.IsDir():
		return true, nil
	case copies == 1 && !os.IsPathSeparator(f.output[len(f.output)-1]):
		return false, nil // format.Redact tells what is wrong with a file
	case err == nil:
		return false, usagef("-o %s is a file; several captures need a directory", f.output)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return true, makeDirectory(f.output)
}

// makeDirectory makes a directory in one that is there, as private as captures are.
func makeDirectory(path string) error {
	parent, name, err := format.OpenDir(filepath.Clean(path))
	if err != nil {
		return explain(err)
	}
	return errors.Join(parent.Mkdir(name, 0o700), parent.Close())
}

// targets names the copies in the directory after their captures.
func (f redactFlags) targets(captures []*format.Capture, o format.RedactOptions) ([]string, error) {
	var list []string
	from := map[string]string{}
	for _, c := range captures {
		name, err := format.RedactedName(filepath.Base(c.Path), c, o)
		if err != nil {
			return nil, err
		}
		target := filepath.Join(f.output, name)
		if other, taken := from[name]; taken {
			return nil, usagef("%s and %s would both be %s: redact one after the other, with one --key", other, c.Path, target)
		}
		from[name] = c.Path
		list = append(list, target)
	}
	return list, nil
}
