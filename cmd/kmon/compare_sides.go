package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kmon/analyze/compare"
	"kmon/format"
)

// checkSides refuses arguments that do not name two sides.
func (f compareFlags) checkSides(args []string) error {
	runs := f.baseRuns != "" || f.newRuns != ""
	switch {
	case runs && len(args) > 0:
		return usagef("compare takes two recordings or --base-runs and --new-runs, not both: %q", args[0])
	case runs && f.baseRuns == "":
		return usagef("--new-runs needs something to compare with: --base-runs DIR")
	case runs && f.newRuns == "":
		return usagef("--base-runs needs something to compare: --new-runs DIR")
	case !runs && len(args) == 0:
		return usagef("compare needs two recordings, BASE from before the change and NEW from after it: kmon compare BASE NEW")
	case !runs && len(args) == 1:
		return usagef("compare needs NEW, too, the recording from after the change: kmon compare %s NEW", args[0])
	case len(args) > 2:
		return usagef("compare takes no further argument %q: put the captures of one side into a directory, or a pattern for them in quotes", args[2])
	}
	return nil
}

// sides gives the runs of base and of new.
func (f compareFlags) sides(args []string) (base, new []compare.Recording, err error) {
	if f.baseRuns != "" {
		if base, err = runsIn(f.baseRuns); err != nil {
			return nil, nil, err
		}
		new, err = runsIn(f.newRuns)
	} else {
		var one, other compare.Recording
		if one, err = recordingOf(args[0]); err != nil {
			return nil, nil, err
		}
		other, err = recordingOf(args[1])
		base, new = []compare.Recording{one}, []compare.Recording{other}
	}
	if err != nil {
		return nil, nil, err
	}
	if same := sameFile(pathsOf(base), pathsOf(new)); same != "" {
		return nil, nil, usagef("%s is BASE and NEW at once: what is compared with itself shows nothing", same)
	}
	return base, new, errorsOf(distinct(pathsOf(base)), distinct(pathsOf(new)))
}

// errorsOf is the first error.
func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// pathsOf gives the files of all runs.
func pathsOf(runs []compare.Recording) []string {
	var paths []string
	for _, r := range runs {
		paths = append(paths, r.Paths...)
	}
	return paths
}

// recordingOf gives the captures that one argument names: a file, a directory
// or a pattern.
func recordingOf(name string) (compare.Recording, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		paths, _, err := capturesIn(name)
		if err == nil && len(paths) == 0 {
			err = fmt.Errorf("%s: the directory has no capture (*%s)", name, captureEnding)
		}
		return compare.Recording{Name: name, Paths: paths}, err
	case err != nil && strings.ContainsAny(name, "*?["):
		paths, err := filepath.Glob(name)
		if err != nil {
			return compare.Recording{}, usagef("%s: %w", name, err)
		}
		if len(paths) == 0 {
			return compare.Recording{}, fmt.Errorf("%s: no file fits the pattern", name)
		}
		return compare.Recording{Name: name, Paths: paths}, nil
	}
	return compare.Recording{Name: name, Paths: []string{name}}, nil // Run tells what is wrong with it
}

// capturesIn lists the captures in a directory, those of recordings that did not
// end too, and its subdirectories.
func capturesIn(dir string) (captures, subdirectories []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, explain(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch name := e.Name(); {
		case strings.HasPrefix(name, "."):
		case e.IsDir():
			subdirectories = append(subdirectories, path)
		case strings.HasSuffix(name, captureEnding), strings.HasSuffix(name, captureEnding+partEnding):
			captures = append(captures, path)
		}
	}
	return captures, subdirectories, nil
}

// noiseRuns gives the runs that a value of --noise-from names.
func noiseRuns(name string) ([]compare.Recording, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return runsIn(name)
	}
	one, err := recordingOf(name)
	return []compare.Recording{one}, err
}

// runsIn gives the runs in a directory: each capture is one, the parts of a
// recording together are one, and so are the captures of a subdirectory.
func runsIn(dir string) ([]compare.Recording, error) {
	captures, subdirectories, err := capturesIn(dir)
	if err != nil {
		return nil, err
	}
	runs, err := groupParts(captures)
	if err != nil {
		return nil, err
	}
	for _, sub := range subdirectories {
		paths, _, err := capturesIn(sub)
		if err != nil {
			return nil, err
		}
		if len(paths) > 0 {
			runs = append(runs, compare.Recording{Name: sub, Paths: paths})
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%s: the directory has no run: no capture (*%s), and no subdirectory with some", dir, captureEnding)
	}
	slices.SortFunc(runs, func(a, b compare.Recording) int { return strings.Compare(a.Paths[0], b.Paths[0]) })
	return runs, nil
}

// groupParts makes one run of the files that are parts of one recording.
func groupParts(paths []string) ([]compare.Recording, error) {
	var runs []compare.Recording
	byID := map[string]int{}
	for _, path := range paths {
		id, err := recordingID(path)
		if err != nil {
			return nil, err
		}
		if at, known := byID[id]; known && id != "" {
			runs[at].Paths = append(runs[at].Paths, path)
			continue
		}
		byID[id] = len(runs)
		runs = append(runs, compare.Recording{Name: path, Paths: []string{path}})
	}
	return runs, nil
}

// recordingID tells which recording of several files a capture is a part of; "":
// it is all of one.
func recordingID(path string) (id string, err error) {
	err = withCapture(path, func(c *format.Capture) error {
		if c.Manifest.Recording != nil {
			id = c.Manifest.Recording.ID
		}
		return nil
	})
	return id, err
}
