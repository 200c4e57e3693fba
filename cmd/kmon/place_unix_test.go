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
	toLink, toPipe, good := filepath.Join(dir, "to-link"), filepath.Join(dir, "to-pipe"), filepath.Join(dir, "good")
	for _, err := range []error{os.WriteFile(victim, []byte("keep"), 0o600), os.Symlink(victim, link), os.Lchown(link, 1001, 1001),
		syscall.Mkfifo(pipe, 0o666), os.Chown(pipe, 1001, 1001), os.Symlink(link, toLink), os.Symlink(pipe, toPipe), os.Symlink(private, good)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a writer would wait for it
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for name, want := range map[string]string{link: "another user made it", pipe: "another user made it", toLink: "link is a symbolic link that another user made", toPipe: "another user made it"} {
		if err := replaceFile(name, write); err == nil || !strings.Contains(err.Error(), "write "+name+": "+want) {
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
	if err := replaceFile(good, write); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(private); err != nil || string(text) != "report" {
		t.Errorf("through a link of root's: %q, %v", text, err)
	}
}
