package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every verb has a page, and what formats pages finds nothing wrong with them.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if stdout, stderr, code := kmon("man", dir); code != 0 || stderr != "" || !strings.HasPrefix(stdout, "wrote ") {
		t.Fatalf("got exit code %d, %q, %q", code, stdout, stderr)
	}
	for _, cmd := range newRoot().Commands() {
		page, err := os.ReadFile(filepath.Join(dir, manName(cmd)+".1"))
		if cmd.IsAvailableCommand() != (err == nil) {
			t.Errorf("%s: %v", cmd.Name(), err)
			continue
		}
		for _, want := range []string{".SH NAME\nkmon\\-" + cmd.Name() + " \\- ", ".SH SYNOPSIS\n", ".SH EXAMPLES\n", ".BR kmon (1)"} {
			if err == nil && !strings.Contains(string(page), want) {
				t.Errorf("%s: its page has no %q", cmd.Name(), want)
			}
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	check(t, err)
	t.Run("groff", func(t *testing.T) { lintPages(t, pages, "groff", "-man", "-Tutf8", "-ww", "-z") })
	t.Run("mandoc", func(t *testing.T) { lintPages(t, pages, "mandoc", "-Tlint", "-Wwarning") })
}

// lintPages has a formatter read pages, which should have nothing to say.
func lintPages(t *testing.T, pages []string, program string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip(program + " is not installed")
	}
	out, err := exec.Command(program, append(args, pages...)...).CombinedOutput()
	var faults []string
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") { // that of the commit, which tests have none of
			faults = append(faults, line)
		}
	}
	if len(faults) > 0 || err != nil && len(out) == 0 {
		t.Errorf("%s: %v: %s", program, err, strings.Join(faults, ""))
	}
}

// Of the text of a page nothing becomes a request or is lost.
func TestRoff(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"-o FILE", `\-o FILE`}, {`a\b`, `a\eb`}, {".TH", `\&.TH`}, {"'quote'", `\[u0027]quote\[u0027]`}, {"2 × 3", `2 \[u00D7] 3`},
	} {
		if got := roffLine(c.in); got != c.want {
			t.Errorf("roffLine(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	var b strings.Builder
	manText(&b, "One\ntwo.\n\n  set   in\n  stays\n\nEnd.")
	if want := "One\ntwo.\n.PP\n.nf\n  set   in\n  stays\n.fi\n.PP\nEnd.\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// The scripts load in their shells, and bash offers what kmon does.
func TestCompletionScriptsLoad(t *testing.T) {
	for shell, args := range map[string][]string{"bash": {"--norc", "-eu"}, "zsh": {"-f", "-e"}, "fish": {"--no-config"}} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(shell + " is not installed")
			}
			script, _, code := kmon("completion", shell)
			if code != 0 {
				t.Fatalf("exit code %d", code)
			}
			path := filepath.Join(t.TempDir(), "completion")
			check(t, os.WriteFile(path, []byte(script), 0o600))
			load := "source " + path
			if shell == "zsh" {
				load = "autoload -U compinit; compinit -u -D; " + load + "; whence -w _kmon"
			}
			var errs bytes.Buffer
			cmd := exec.Command(shell, append(args, "-c", load)...)
			cmd.Stderr = &errs
			if out, err := cmd.Output(); err != nil || errs.Len() > 0 || shell == "zsh" && !strings.Contains(string(out), "function") {
				t.Errorf("%v: %s%s", err, out, errs.String())
			}
		})
	}
}
