package format

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// Problem is something wrong with a capture that did not keep it from being
// read.
type Problem struct {
	File   string
	Entry  string // "" when it concerns the file
	Offset int64  // of the entry in the file, -1: no place in particular
	What   string // lower case, no full stop
	Mend   string // what to do about it, "" when nothing needs to be done
	// Damage: rows or facts are missing. Otherwise a note: nothing is lost.
	Damage bool
}

// String gives the problem as one sentence.
func (p Problem) String() string {
	s := p.File
	if p.Entry != "" {
		s += ": " + p.Entry
	}
	if p.Offset >= 0 {
		s += fmt.Sprintf(" at offset %d", p.Offset)
	}
	s += ": " + p.What
	if p.Mend != "" {
		s += " (" + p.Mend + ")"
	}
	return s + "."
}

// Capture is an open capture: one file, or the parts of one recording (see
// OpenParts). Its methods may be called concurrently.
type Capture struct {
	Path     string // of the first part
	Size     int64  // of the file when it was opened, of all parts
	Manifest Manifest
	Final    *Final // nil: the recording did not end in order, or the file was cut

	f        source
	entries  []entry // in file order
	segments map[string][]Segment
	parts    []*Capture // by time; nil: the capture is one file, and f is it
	held     []PartSpan // of the parts

	mu       sync.Mutex
	problems []Problem
	dropped  int  // problems beyond maxProblems
	worst    bool // one of those is damage

	hash func() (string, error) // of the file, computed once
}

// source is where the bytes of a capture are.
type source interface {
	io.ReaderAt
	io.Closer
}

// Segment is one sealed part of a table. Segments are read independently.
type Segment struct {
	Table    string
	Name     string // of the ZIP entry
	Sequence int    // from 1, in the order of writing
	Offset   int64  // of the entry in the file
	Size     int64  // of its Parquet file
	// Place tells in which order the segments of all tables were written.
	Place int64

	capture *Capture // the file that it is in
	entry   entry
}

// Open opens a capture for reading. Damage does not keep it from opening: what
// can be read is listed, the rest stands in Problems. The error wraps
// ErrNotCapture when the file is something else and ErrTooNew when this kmon
// is too old for it.
func Open(path string) (*Capture, error) {
	f, err := os.OpenFile(path, readFlags, 0)
	if err != nil {
		return nil, err
	}
	return openFile(path, f)
}

// readFlags open a capture; without the last a pipe would wait for a writer.
const readFlags = os.O_RDONLY | syscall.O_NONBLOCK

// openIn is Open of a file that is in dir, wherever its path leads by now.
func openIn(dir *os.Root, path string) (*Capture, error) {
	f, err := dir.OpenFile(filepath.Base(path), readFlags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: cause(err)}
	}
	return openFile(path, f)
}

// openFile opens the capture in f, which it then owns.
func openFile(path string, f *os.File) (*Capture, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Join(refuse(path, "is no regular file", recordOne), f.Close())
	}
	return openSource(path, f, info.Size())
}

// openSource opens the capture whose bytes are in f, which it then owns.
func openSource(path string, f source, size int64) (*Capture, error) {
	c := &Capture{Path: path, Size: size, f: f, segments: map[string][]Segment{}}
	c.hash = sync.OnceValues(c.computeHash)
	if err := c.open(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

func (c *Capture) open() error {
	var found []finding
	var err error
	c.entries, found, err = readDirectory(c.f, c.Size)
	if err != nil {
		c.entries, found = scan(c.f, c.Size)
		c.noteDirectory(err)
	}
	switch {
	case c.Size == 0: // a power cut may leave this of the part that was just begun
		return refuse(c.Path, "it is empty", "there is nothing in it to lose, leave it out")
	case len(c.entries) == 0:
		return refuse(c.Path, "no entry can be read", recordOne)
	}
	for _, f := range found {
		c.damage(f.name, f.offset, f.err)
	}
	if err := c.readManifest(); err != nil {
		return err
	}
	c.readFinal()
	c.listSegments()
	return nil
}

// recordOne is the mend where a file is something else than a capture.
const recordOne = "record one with kmon record"

// refuse is the error for a file that is no capture.
func refuse(path, why, mend string) error {
	return &FileError{File: path, Offset: -1, Err: fmt.Errorf("%w (%s): %s", ErrNotCapture, why, mend)}
}

// noteDirectory states that the file had to be scanned, and why.
func (c *Capture) noteDirectory(err error) {
	what := "the file was cut or is still being written"
	if !errors.Is(err, errNoDirectory) {
		what = "the directory is not sound (" + err.Error() + ")"
	}
	c.problem(Problem{Offset: -1, What: what + "; its entries were found by scanning", Mend: c.mend()})
}

func (c *Capture) mend() string { return "kmon repair " + c.Path }

// readManifest reads manifest.json and decides whether the file is a capture
// this version reads.
func (c *Capture) readManifest() error {
	data, err := c.readJSON(manifestName)
	if err != nil {
		if !slices.ContainsFunc(c.entries, func(e entry) bool { return segmentName.MatchString(e.name) }) {
			return refuse(c.Path, "it has neither a manifest nor segments", recordOne)
		}
		c.problem(Problem{Entry: manifestName, Offset: -1, Damage: true, Mend: c.mend(),
			What: "host, clock and collectors are not known: " + err.Error()})
		return nil
	}
	var head struct {
		Format      string `json:"format"`
		Version     int    `json:"version"`
		KmonVersion string `json:"kmon_version"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Format != formatName {
		return &FileError{File: c.Path, Entry: manifestName, Offset: -1,
			Err: fmt.Errorf("%w (its manifest is not one of kmon): record one with kmon record", ErrNotCapture)}
	}
	if head.Version > Version {
		return &FileError{File: c.Path, Entry: manifestName, Offset: 0, Err: fmt.Errorf(
			"%w: it has format version %d, this kmon reads up to %d: needs kmon %s or later",
			ErrTooNew, head.Version, Version, head.KmonVersion)}
	}
	if err := json.Unmarshal(data, &c.Manifest); err != nil {
		c.problem(Problem{Entry: manifestName, Offset: 0, Damage: true, What: "a part of it is not understood: " + err.Error()})
	}
	if what := c.Manifest.bound(); what != "" {
		c.problem(Problem{Entry: manifestName, Offset: 0, Damage: true, What: what + ", more than a recording has; they are left out"})
	}
	if cut := c.Manifest.Cut; cut != nil && !cut.sound(c.startNs()) {
		c.Manifest.Cut = nil
		c.problem(Problem{Entry: manifestName, Offset: 0, Damage: true,
			What: "what it says of a cut makes no sense; it is read as if it was not cut"})
	}
	if r := c.Manifest.Recording; r != nil && !r.sound() {
		c.Manifest.Recording = nil
		c.problem(Problem{Entry: manifestName, Offset: 0, Damage: true,
			What: "what it says of the recording's parts makes no sense; it is read as a recording of its own"})
	}
	return nil
}

// readFinal reads final.json if it is there.
func (c *Capture) readFinal() {
	data, err := c.readJSON(finalName)
	if errors.Is(err, os.ErrNotExist) {
		c.problem(Problem{Offset: -1, Mend: c.mend(),
			What: "there is no final.json: the recorder was killed, is still recording, or the file was cut; its last seconds and its summary are missing"})
		return
	}
	var f Final
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		c.problem(Problem{Entry: finalName, Offset: -1, Damage: true, What: "the summary is not known: " + err.Error(), Mend: c.mend()})
		return
	}
	c.Final = &f
}

// readJSON reads a small entry.
func (c *Capture) readJSON(name string) ([]byte, error) {
	i := slices.IndexFunc(c.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no entry of this name: %w", os.ErrNotExist)
	}
	if c.entries[i].size > maxJSONBytes {
		return nil, corrupt("entry of %d bytes, accepted are %d", c.entries[i].size, maxJSONBytes)
	}
	return c.readEntry(c.entries[i], nil)
}

// readEntry reads the data of an entry into buf and checks its CRC.
func (c *Capture) readEntry(e entry, buf []byte) ([]byte, error) {
	if e.size > maxEntryBytes {
		return nil, corrupt("entry of %d bytes, accepted are %d", e.size, maxEntryBytes)
	}
	buf = resize(buf, int(e.size))
	if _, err := c.f.ReadAt(buf, e.data); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, corrupt("the file ends within this entry")
		}
		return nil, err
	}
	if got := crc32.ChecksumIEEE(buf); got != e.crc {
		return nil, corrupt("checksum is %08x, the header says %08x", got, e.crc)
	}
	return buf, nil
}

var segmentName = regexp.MustCompile(`^(events|snapshots)/([a-z][a-z0-9_]{0,63})/([0-9]{6,9})\.parquet$`)

// listSegments sorts the entries into tables and notes gaps in the numbering.
func (c *Capture) listSegments() {
	next := map[string]int{}
	for _, e := range c.entries {
		m := segmentName.FindStringSubmatch(e.name)
		if m == nil {
			continue
		}
		table := m[2]
		sequence, _ := strconv.Atoi(m[3]) // at most nine digits
		if want := next[table] + 1; sequence != want {
			c.problem(Problem{Entry: e.name, Offset: e.offset, Damage: true, Mend: c.mend(),
				What: fmt.Sprintf("segment %d of table %s was expected here", want, table)})
		}
		next[table] = sequence
		c.segments[table] = append(c.segments[table], Segment{Table: table, Name: e.name, Sequence: sequence,
			Offset: e.offset, Size: e.size, Place: e.offset, capture: c, entry: e})
	}
}

// Close closes the files; segments cannot be read afterwards.
func (c *Capture) Close() error {
	return errors.Join(eachOf(c, func(f *Capture) error { return f.f.Close() })...)
}

// Tables gives the names of the tables that have segments, those this version
// knows in their usual order, then others by name.
func (c *Capture) Tables() []string {
	var names []string
	for _, t := range tables {
		if len(c.segments[t.name]) > 0 {
			names = append(names, t.name)
		}
	}
	known := len(names)
	for name := range c.segments {
		if tableNamed(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names[known:])
	return names
}

// Segments gives the segments of a table in the order of writing.
func (c *Capture) Segments(table string) []Segment { return slices.Clone(c.segments[table]) }

// Problems gives what was found wrong so far, by place in the file, those of
// parts one after the other. Reading segments may add to it.
func (c *Capture) Problems() []Problem {
	all := c.ownProblems()
	for _, p := range c.parts {
		all = append(all, p.ownProblems()...)
	}
	return all
}

// ownProblems are those that are not a part's.
func (c *Capture) ownProblems() []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.problems)
	slices.SortStableFunc(all, func(a, b Problem) int { return compareInt(a.Offset, b.Offset) })
	if c.dropped > 0 {
		all = append(all, Problem{File: c.Path, Offset: -1, What: fmt.Sprintf("%d further problems", c.dropped), Damage: c.worst})
	}
	return all
}

// problem keeps p once.
func (c *Capture) problem(p Problem) {
	p.File = c.Path
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.problems, p) {
		return
	}
	if len(c.problems) >= maxProblems {
		c.dropped++
		c.worst = c.worst || p.Damage
		return
	}
	c.problems = append(c.problems, p)
}

// damage keeps an error about an entry as a problem.
func (c *Capture) damage(name string, offset int64, err error) {
	c.problem(Problem{Entry: name, Offset: offset, What: err.Error(), Mend: c.mend(), Damage: true})
}

// SHA256 is the hash of the whole file in hex; of parts, that of all of them one
// after the other. The first call reads the files.
func (c *Capture) SHA256() (string, error) { return c.hash() }

func (c *Capture) computeHash() (string, error) {
	h := sha256.New()
	err := errors.Join(eachOf(c, func(f *Capture) error {
		_, err := io.Copy(h, io.NewSectionReader(f.f, 0, f.Size))
		return err
	})...)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// eachOf calls fn for each file of a capture.
func eachOf(c *Capture, fn func(f *Capture) error) []error {
	if c.parts == nil {
		return []error{fn(c)}
	}
	var errs []error
	for _, p := range c.parts {
		errs = append(errs, fn(p))
	}
	return errs
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
