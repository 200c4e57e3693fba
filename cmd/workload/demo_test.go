package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fakeKmon gives a kmon whose record ends with the given exit code and whose
// analyze writes its arguments to its first -o.
func fakeKmon(t *testing.T, exitCode string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake kmon is a shell script")
	}
	file := filepath.Join(t.TempDir(), "kmon")
	script := `#!/bin/sh
if [ $1 = record ]; then echo "kmon: a reason"; exit ` + exitCode + `; fi
echo "$@" > $4
`
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDemo(t *testing.T) {
	tests := []struct {
		name, exitCode string
		analyzed       string // "" : the new recording
		says           []string
	}{
		{"records", "0", "", []string{"open it in a browser"}},
		{"cannot record", "2", "bundled.kmon", []string{"kmon: a reason", "Nothing was recorded here", "bundled.kmon"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, old := range []string{"demo.kmon", "demo.html"} {
				if err := os.WriteFile(filepath.Join(dir, old), []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want := test.analyzed
			if want == "" {
				want = filepath.Join(dir, "demo.kmon")
			}
			var out bytes.Buffer
			err := run(t.Context(), strings.NewReader(""), &out,
				[]string{"demo", "--kmon", fakeKmon(t, test.exitCode), "--dir", dir, "--capture", "bundled.kmon", "--duration", "1ms"})
			if err != nil {
				t.Fatal(err)
			}
			html, err := os.ReadFile(filepath.Join(dir, "demo.html"))
			if err != nil || !strings.HasPrefix(string(html), "analyze "+want+" -o ") {
				t.Errorf("demo.html: %q, error %v, want the analysis of %s", html, err, want)
			}
			if _, err := os.Stat(filepath.Join(dir, "demo.kmon")); err == nil {
				t.Error("the old demo.kmon is still there")
			}
			for _, text := range test.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("says %q, want %q in it", out.String(), text)
				}
			}
		})
	}
}

func TestDemoFails(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), strings.NewReader(""), &out, []string{"demo", "--kmon", filepath.Join(t.TempDir(), "none"), "--dir", t.TempDir(), "--duration", "1ms"})
	if err == nil || !strings.Contains(err.Error(), "kmon analyze") {
		t.Errorf("without a kmon: got %v, want the error of kmon analyze", err)
	}
}
