package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	truth := play(t, "disk", "--overwrite", path, "--reads", "3", "--writes", "2", "--flushes", "1")
	got := truth.Disks[0]
	if got.TookNs <= 0 {
		t.Errorf("it took %d ns", got.TookNs)
	}
	got.TookNs = 0
	if want := (Disk{Path: path, PID: os.Getpid(), Reads: 3, Writes: 2, Flushes: 1, ReadBytes: 3 * 4096, WriteBytes: 2 * 65536}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
