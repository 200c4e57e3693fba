package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"kmon/analyze"
)

// The frozen capture of format version 1 opens for ever, on every system, and
// gives what the load counted when it was made (testdata/captures/v1).
func TestFrozenCapture(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "captures", "v1")
	capture, report := filepath.Join(dir, "shop.kmon"), filepath.Join(t.TempDir(), "shop.json")
	if stdout, stderr, code := kmon("verify", capture); code != 0 {
		t.Errorf("verify ended with %d: %s%s", code, stdout, stderr)
	}
	if _, stderr, code := kmon("analyze", capture, "-o", report); code != 0 {
		t.Fatalf("analyze ended with %d: %s", code, stderr)
	}
	var a analyze.Analysis
	check(t, json.Unmarshal(read(t, report), &a))
	var truth shopTruth
	check(t, json.Unmarshal(read(t, filepath.Join(dir, "shop.json")), &truth))
	// In the emulator the way from the kernel to the service's own clock is long.
	late, _ := interrupted(t, capture)
	truth.compare(t, a, late, 0.10, 0.10)
}
