//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
	if err := replaceFile(private, write); err != nil {
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
	victim, link, pipe := filepath.Join(dir, "victim"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	for _, err := range []error{os.WriteFile(victim, []byte("keep"), 0o600), os.Symlink(victim, link), os.Lchown(link, 1001, 1001),
		syscall.Mkfifo(pipe, 0o666), os.Chown(pipe, 1001, 1001)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{link, pipe} {
		if err := replaceFile(name, write); err == nil || !strings.Contains(err.Error(), "another user made it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "keep" {
		t.Errorf("the link was followed: %q, %v", text, err)
	}
}
