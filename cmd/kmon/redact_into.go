package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kmon/format"
)

// intoDirectory says whether the copies go into a directory, and makes it where it is
// missing. Each capture is opened first: nothing is made for what is none.
func (f redactFlags) intoDirectory(paths []string) (bool, error) {
	for _, path := range paths {
		if err := withCapture(path, func(*format.Capture) error { return nil }); err != nil {
			return false, err
		}
	}
	info, err := os.Stat(f.output)
	switch {
	case err == nil && info.IsDir():
		return true, nil
	case len(paths) == 1 && !os.IsPathSeparator(f.output[len(f.output)-1]):
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
func (f redactFlags) targets(paths []string, o format.RedactOptions) ([]string, error) {
	var list []string
	from := map[string]string{}
	for _, path := range paths {
		err := withCapture(path, func(c *format.Capture) error {
			name, err := format.RedactedName(filepath.Base(path), c, o)
			if other, taken := from[name]; taken && err == nil {
				err = usagef("%s and %s would both be %s: redact one after the other, with one --key", other, path, filepath.Join(f.output, name))
			}
			from[name] = path
			list = append(list, filepath.Join(f.output, name))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}
