package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWriteOutput(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "report.md")
	for _, content := range []string{"first", "the second"} { // made, then replaced
		if err := writeOutput(io.Discard, name, reportMode, text(content)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(name); string(got) != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
	var stdout bytes.Buffer
	if err := writeOutput(&stdout, "-", reportMode, text("shown")); err != nil || stdout.String() != "shown" {
		t.Errorf("to stdout: got %q, %v; want shown", stdout.String(), err)
	}
	checkOnly(t, dir, "report.md")
}

// A report that cannot be completed leaves the old one and nothing else.
func TestWriteOutputFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "report.md")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeOutput(io.Discard, name, reportMode, func(w io.Writer) error {
		_, _ = w.Write([]byte("half a rep"))
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want an error that names %s and wraps %v", err, name, broken)
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("got %q, want the old content", got)
	}
	checkOnly(t, dir, "report.md")
}

func TestWriteOutputInPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.md"), filepath.Join(dir, "link.md")
	if err := os.WriteFile(target, []byte("something longer than the new text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := writeOutput(io.Discard, link, reportMode, text("new")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(target); string(got) != "new" {
		t.Errorf("through the link: got %q, want new", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if err := writeOutput(io.Discard, os.DevNull, reportMode, text("new")); err != nil {
		t.Errorf("to %s: %v", os.DevNull, err)
	}
	if info, err := os.Lstat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s was replaced: %v, %v", os.DevNull, info, err)
	}
	if err := writeOutput(io.Discard, dir, reportMode, text("new")); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("to a directory: got %v", err)
	}
}

func checkOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files: got %v, want %v", got, want)
	}
}

// A full disk is told once, not by the writer and its buffer.
func TestWriteErrorIsToldOnce(t *testing.T) {
	full := errors.New("no space left on device")
	err := buffered(failing{full}, text(strings.Repeat("x", 100<<10)))
	if err == nil || err.Error() != full.Error() {
		t.Errorf("got %q, want %q", err, full)
	}
	broken := errors.New("broken")
	err = buffered(failing{full}, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) || !errors.Is(err, full) {
		t.Errorf("got %q, want both errors", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// fullDisk is standard output on a disk without room.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// kmon --help >/dev/full ended with 0, as if the text were there. Every verb writes
// something to standard output, if it is only its help.
func TestFullStandardOutputIsAnError(t *testing.T) {
	t.Chdir(writeSamples(t))
	writeComparable(t)
	lines := []string{
		"", "help", "help analyze", "--version", "version", "version --json", "completion bash", "completion zsh", "completion fish", "completion powershell",
		"man pages", "__complete ana", "analyze shop.kmon", "analyze shop.kmon --format json", "analyze shop.kmon --table edges", "analyze --print-rules",
		"compare before.kmon slow.kmon", "compare before.kmon slow.kmon --format json", "info shop.kmon", "info shop.kmon --json", "print shop.kmon", "print shop.kmon exchanges",
		"export shop.kmon --format perfetto", "verify shop.kmon", "repair flipped.kmon -o mended.kmon", "merge long-000001.kmon long-000002.kmon -o long.kmon", "cut shop.kmon --since 1s -o end.kmon",
		"redact shop.kmon -o shared.kmon", "redact shop.kmon --check", "gen -o made -d 2s",
	}
	for _, cmd := range newRoot().Commands() {
		lines = append(lines, cmd.Name()+" --help")
	}
	for _, line := range lines {
		var stderr bytes.Buffer
		code := run(t.Context(), strings.NewReader(""), fullDisk{}, &stderr, strings.Fields(line))
		if code != codeError || strings.Count(stderr.String(), syscall.ENOSPC.Error()) != 1 {
			t.Errorf("kmon %s: exit code %d, stderr %q; want %d and one line", line, code, stderr.String(), codeError)
		}
	}
}

// An export writes begin and end of a thing; of a full disk both say the same.
func TestAnErrorIsSaidOnce(t *testing.T) {
	full, other := errors.New("no space left"), errors.New("a\tb\x1b")
	var stderr bytes.Buffer
	complain(&stderr, errors.Join(errors.Join(full, full), other, full))
	if got, want := stderr.String(), "kmon: no space left\nkmon: a\tb\uFFFD\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
