//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kmon/format"
)

// A report does not follow a link or go into a pipe that another user laid out
// for it, and keeps the mode of the one that it replaces.
func TestReportsOfOthers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	dir := t.TempDir()
	write := func(w io.Writer) error { _, err := io.WriteString(w, "report"); return err }
	private := filepath.Join(dir, "private")
	if err := os.WriteFile(private, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(private, reportMode, write); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := newFile(filepath.Join(dir, "stacks"), write); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "stacks")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("exported: %v, %v", info.Mode(), err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give links to others")
	}
	open := filepath.Join(dir, "open")
	if err := errors.Join(os.WriteFile(open, []byte("theirs"), 0o600), os.Chmod(open, 0o666), os.Chown(open, 1001, 1001), replaceFile(open, reportMode, write)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(open); err != nil || info.Mode().Perm() != 0o644 || format.MadeByOthers(info) {
		t.Errorf("in the place of another user's: %v, %v", info, err)
	}
	victim, link, pipe := filepath.Join(dir, "victim"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	unread, toUnread := filepath.Join(dir, "unread"), filepath.Join(dir, "to-unread")
	device, toDevice := filepath.Join(dir, "device"), filepath.Join(dir, "to-device")
	toLink, toPipe, good := filepath.Join(dir, "to-link"), filepath.Join(dir, "to-pipe"), filepath.Join(dir, "good")
	for _, err := range []error{os.WriteFile(victim, []byte("keep"), 0o600), os.Symlink(victim, link), os.Lchown(link, 1001, 1001),
		syscall.Mkfifo(pipe, 0o666), os.Chown(pipe, 1001, 1001), os.Symlink(link, toLink), os.Symlink(pipe, toPipe), os.Symlink(private, good),
		syscall.Mkfifo(unread, 0o666), os.Chown(unread, 1001, 1001), os.Symlink(unread, toUnread),
		os.Symlink(os.DevNull, device), os.Lchown(device, 1001, 1001), os.Symlink(device, toDevice)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a writer would wait for it
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for name, want := range map[string]string{link: "another user made it", pipe: "another user made it", toLink: "link is a symbolic link that another user made", toPipe: "another user made it",
		unread: "another user made it", toUnread: "another user made it", device: "another user made it", toDevice: "device is a symbolic link that another user made"} {
		if err := replaceFile(name, reportMode, write); err == nil || !strings.Contains(err.Error(), "write "+name+": "+want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "keep" {
		t.Errorf("the link was followed: %q, %v", text, err)
	}
	if text, _ := io.ReadAll(reader); len(text) > 0 {
		t.Errorf("the pipe got %q", text)
	}
	if err := os.WriteFile(private, []byte("something longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(good, reportMode, write); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(private); err != nil || string(text) != "report" {
		t.Errorf("through a link of root's: %q, %v", text, err)
	}
}

// Rows are as private as the capture: command lines are among them.
func TestRowsArePrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	rows := filepath.Join(t.TempDir(), "rows.csv")
	if code := run(t.Context(), nil, io.Discard, io.Discard, []string{"print", "testdata/captures/shop.kmon", "processes", "-o", rows}); code != codeOK {
		t.Fatal("exit code", code)
	}
	if info, err := os.Stat(rows); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// The directory of made captures is made in no place where another user's link
// leads.
func TestDirOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give links to others")
	}
	defer syscall.Umask(syscall.Umask(0o022))
	dir := t.TempDir()
	target, trap := filepath.Join(dir, "target"), filepath.Join(dir, "trap")
	if err := errors.Join(makeDir(target+"/"), makeDir(target), os.Symlink(target, trap), os.Lchown(trap, 1001, 1001)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := makeDir(filepath.Join(trap, "made")); err == nil || !strings.Contains(err.Error(), "another user made") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("made are %v, %v", left, err)
	}
}

// A directory that has taken the name of the one that tables are written into is
// not taken for it, and nothing in it is removed.
func TestTablesSwapped(t *testing.T) {
	for _, swapped := range []bool{false, true} {
		dir := t.TempDir()
		part, moved := filepath.Join(dir, "tables.part"), filepath.Join(dir, "moved")
		place, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = place.Close() })
		if err := place.Mkdir("tables.part", 0o700); err != nil {
			t.Fatal(err)
		}
		made, err := openMade(place, "tables.part")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(made.Mkdir("exchanges", 0o700), os.WriteFile(filepath.Join(part, "exchanges", "x"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if swapped {
			if err := errors.Join(os.Rename(part, moved), os.Mkdir(part, 0o700), os.WriteFile(filepath.Join(part, "keep"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			if other, err := openMade(place, "tables.part"); err == nil {
				t.Error("another directory is taken for the new one:", other.Name())
			}
		}
		removeMade(place, "tables.part", made)
		if !swapped {
			checkOnly(t, dir)
			continue
		}
		checkOnly(t, part, "keep")
		checkOnly(t, moved)
	}
}
