package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"kmon/format"
)

const partEnding = ".part"

// withCapture opens a capture, hands it to use and closes it.
func withCapture(path string, use func(*format.Capture) error) error {
	c, err := format.Open(path)
	if err != nil {
		return explain(err)
	}
	return errors.Join(use(c), c.Close())
}

// withCaptures opens captures, puts the parts of one recording together, and
// hands them over one after the other, with their number.
func withCaptures(paths []string, use func(i int, c *format.Capture) error) error {
	captures, err := format.OpenAll(paths)
	if err != nil {
		return explain(err)
	}
	for i, c := range captures {
		if err == nil {
			err = use(i, c)
		}
		err = errors.Join(err, c.Close())
	}
	return err
}

// explain adds to an error about a capture what the user can do about it,
// where the package that found it could not know.
func explain(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, explain(e))
		}
		return errors.Join(all...)
	}
	var path *fs.PathError
	if !errors.As(err, &path) {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, e := os.Stat(path.Path + partEnding); e == nil {
			return fmt.Errorf("%s: no such file, but there is %s%s: its recording still runs or was killed (kmon repair %s%s)",
				path.Path, path.Path, partEnding, path.Path, partEnding)
		}
		return fmt.Errorf("%s: no such file", path.Path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: no permission to read it; captures belong to who recorded them (often root)", path.Path)
	}
	return err
}

// shownProblems bounds what verbs with another purpose say about damage.
const shownProblems = 5

// warnDamage tells on stderr what of a capture could not be read.
func warnDamage(stderr io.Writer, problems []string) {
	for _, p := range problems[:min(len(problems), shownProblems)] {
		fmt.Fprintf(stderr, "kmon: %s\n", oneLine(p))
	}
	if more := len(problems) - shownProblems; more > 0 {
		fmt.Fprintf(stderr, "kmon: … and %d further problems (kmon verify lists them)\n", more)
	}
}

// warnProblems is warnDamage for a capture whose tables have been read.
func warnProblems(stderr io.Writer, c *format.Capture) {
	var said []string
	for _, p := range c.Problems() {
		said = append(said, p.String())
	}
	warnDamage(stderr, said)
}
