//go:build unix

package format

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	stranger = 1001
	caller   = 1000
)

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give links to others")
	}
}

func linkOf(t *testing.T, owner int, target, path string) {
	t.Helper()
	must(t, os.Symlink(target, path))
	must(t, os.Lchown(path, owner, owner))
}

// A capture is made through links of root and of whoever called sudo, and
// through no others.
func TestLinksOfOthers(t *testing.T) {
	requireRoot(t)
	t.Setenv("SUDO_UID", "1000")
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	must(t, os.MkdirAll(filepath.Join(real, "deep"), 0o700))
	linkOf(t, 0, "real", filepath.Join(dir, "relative"))
	linkOf(t, 0, real, filepath.Join(dir, "absolute"))
	linkOf(t, caller, "./relative", filepath.Join(dir, "chain"))
	linkOf(t, stranger, "real", filepath.Join(dir, "trap"))
	linkOf(t, 0, "trap", filepath.Join(dir, "to-trap"))
	linkOf(t, 0, "loop", filepath.Join(dir, "loop"))
	t.Chdir(real)
	for _, test := range []struct {
		path string
		want error // nil: the capture is real/x.kmon
	}{
		{dir + "/real/x.kmon", nil},
		{dir + "/relative/x.kmon", nil},
		{dir + "/absolute/x.kmon", nil},
		{dir + "/chain/deep/../x.kmon", nil},
		{"x.kmon", nil},
		{"./deep/.././x.kmon", nil},
		{"../real/x.kmon", nil},
		{"../../" + filepath.Base(dir) + "/relative/x.kmon", nil},
		{dir + "/trap/x.kmon", errOthersLink},
		{dir + "/to-trap/x.kmon", errOthersLink},
		{"../trap/x.kmon", errOthersLink},
		{dir + "/loop/x.kmon", syscall.ELOOP},
		{dir + "/missing/x.kmon", fs.ErrNotExist},
	} {
		w, err := Create(test.path, testManifest(), WriterOptions{})
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v, want %v", test.path, err, test.want)
		}
		if err != nil {
			continue
		}
		must(t, w.Close(Final{EndNs: 1}))
		info, err := os.Lstat(filepath.Join(real, "x.kmon"))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", test.path, info, err)
		}
		must(t, os.Remove(filepath.Join(real, "x.kmon")))
	}
	left, err := os.ReadDir(real)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

// A link of the capture's own name is a file that exists, wherever it leads.
func TestLinkAsOutput(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x.kmon", "x.kmon.part"} {
		target := filepath.Join(dir, "target")
		must(t, os.Symlink(target, filepath.Join(dir, name)))
		if _, err := Create(filepath.Join(dir, "x.kmon"), testManifest(), WriterOptions{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(target); err == nil {
			t.Errorf("%s was followed", name)
		}
		must(t, os.Remove(filepath.Join(dir, name)))
	}
}

// A directory that is moved away while recording keeps its capture, and what
// takes its name gets none; a file that takes the .part's name is not passed
// off as the capture.
func TestSwappedWhileRecording(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	w, err := Create(filepath.Join(dir, "a", "x.kmon"), testManifest(), WriterOptions{})
	must(t, err)
	must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	must(t, w.Close(Final{EndNs: 1}))
	if _, err := os.Stat(filepath.Join(dir, "b", "x.kmon")); err != nil {
		t.Error(err)
	}

	w, err = Create(filepath.Join(dir, "y.kmon"), testManifest(), WriterOptions{})
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, "y.kmon.part")))
	must(t, os.WriteFile(filepath.Join(dir, "y.kmon.part"), []byte("forged"), 0o600))
	if err := w.Close(Final{EndNs: 1}); err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("a file was put in the place of the capture: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "y.kmon")); err == nil {
		t.Error("the forged file has the capture's name")
	}
}

// A mended capture, and the tables taken out of one, are as private as it is.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	w, path := create(t)
	must(t, Append(w, Mark{TsNs: 1, Kind: "user", Text: "one"}))
	must(t, w.Close(Final{EndNs: 2}))
	mended := path + "2"
	_, err := Repair(t.Context(), path, mended)
	must(t, err)
	out := filepath.Join(t.TempDir(), "out")
	must(t, os.Mkdir(out, 0o700))
	root, err := os.OpenRoot(out)
	must(t, err)
	defer root.Close()
	must(t, open(t, path).Extract(root))
	must(t, filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		info, _ := d.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	}))
	for _, path := range []string{path, mended} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// What is to be read is a regular file, whoever made the others; nothing waits.
func TestOpenRegular(t *testing.T) {
	requireRoot(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	linkOf(t, 0, "file", filepath.Join(dir, "link"))
	linkOf(t, 0, "pipe", filepath.Join(dir, "to-pipe"))
	linkOf(t, stranger, "file", filepath.Join(dir, "trap"))
	for name, want := range map[string]error{"file": nil, "link": nil, "pipe": errNotRegular, "to-pipe": errNotRegular, "trap": errOthersLink, "missing": fs.ErrNotExist} {
		f, err := OpenRegular(filepath.Join(dir, name))
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if err == nil {
			must(t, f.Close())
		}
	}
}

// A pipe in the place of a capture is refused, and nobody waits for its writer.
func TestPipeIsNoCapture(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "x.kmon")
	must(t, syscall.Mkfifo(pipe, 0o600))
	if _, err := Open(pipe); !errors.Is(err, ErrNotCapture) {
		t.Errorf("got %v, want %v", err, ErrNotCapture)
	}
}

// Parts are read from a directory that is held open, and what is joined is
// written into another, whatever becomes of their paths.
func TestJoinInHeldDirectories(t *testing.T) {
	dir := t.TempDir()
	ring := filepath.Join(dir, "ring")
	must(t, os.Mkdir(ring, 0o700))
	paths := writeParts(t, ring, 1, 2)
	from, err := os.OpenRoot(ring)
	must(t, err)
	defer from.Close()
	into, err := os.OpenRoot(dir)
	must(t, err)
	defer into.Close()
	must(t, os.Rename(ring, filepath.Join(dir, "moved")))
	must(t, os.Mkdir(ring, 0o700))
	o := JoinOptions{From: from, Into: into}
	_, err = Join(t.Context(), filepath.Join(dir, "gone", "joined.kmon"), paths, o)
	must(t, err)
	one := open(t, filepath.Join(dir, "joined.kmon"))
	noProblems(t, one)
	if rows := one.Final.Rows["exchanges"]; rows != 200 {
		t.Errorf("%d exchanges, want 200", rows)
	}
	must(t, os.Remove(filepath.Join(dir, "moved", filepath.Base(paths[1]))))
	if _, err := Join(t.Context(), filepath.Join(dir, "again.kmon"), paths, o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), paths[1]) {
		t.Errorf("a part is missing: %v", err)
	}
}
