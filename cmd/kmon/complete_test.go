package main

import (
	"strings"
	"testing"

	"kmon/reports"

	"kmon/format"
)

func TestCompletion(t *testing.T) {
	t.Chdir(writeSamples(t))
	for _, c := range []struct{ line, want string }{
		{"ana", "analyze"},
		{"help re", "record repair redact"},
		{"analyze ", "kmon :8"}, // files with this ending
		{"info shop.kmon ", "kmon :8"},
		{"print ", "kmon :8"},
		{"print shop.kmon ", "exchanges sockets self processes listeners all"},
		{"print shop.kmon s", "sockets self"},
		{"print notes.kmon ", ""},
		{"print missing.kmon ", ""},
		{"print shop.kmon exchanges ", ""},
		{"print shop.kmon exchanges --format ", "text ndjson csv"},
		{"repair ", "kmon part :8"},
		{"analyze shop.kmon -o ", "html md json txt :8"},
		{"analyze shop.kmon --format ", "text markdown json html"},
		{"analyze shop.kmon --table services --format ", "csv ndjson"},
		{"analyze shop.kmon --table services -o ", "csv ndjson jsonl :8"},
		{"export shop.kmon --format ", "folded pprof speedscope perfetto parquet"},
		{"export shop.kmon --kind ", "on-cpu off-cpu"},
		{"compare ", "kmon :8"},
		{"compare shop.kmon lossy.kmon ", ""},
		{"compare --junit ", "xml :8"},
		{"compare -o ", "html md json txt xml sarif :8"},
		{"completion ", "bash zsh fish powershell"},
		{"record --config ", "yaml yml :8"},
		{"doctor -o ", "text json"},
		{"redact shop.kmon --keep ", strings.Join(format.RedactClasses(), " ")},
		{"cut ", "kmon :8"},
	} {
		words := strings.Split(c.line, " ")
		stdout, _, code := kmon(append([]string{"__complete"}, words...)...)
		if got := offered(stdout); got != c.want || code != 0 {
			t.Errorf("kmon %s<TAB>: got %q (exit code %d), want %q", c.line, got, code, c.want)
		}
	}
}

// Every table is offered, each by its name.
func TestCompleteAnalysisTables(t *testing.T) {
	stdout, _, _ := kmon("__complete", "analyze", "shop.kmon", "--table", "")
	if got, want := offered(stdout), strings.Join(reports.ValueTables(), " "); got != want || !strings.Contains(want, "services.series") {
		t.Errorf("got %s, want %s", got, want)
	}
}

// offered gives the words of a completion and, after a colon, its directive
// when it asks for files of an ending.
func offered(stdout string) string {
	var words []string
	for line := range strings.Lines(stdout) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if !strings.HasPrefix(word, ":") || word == ":8" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		stdout, stderr, code := kmon("completion", shell)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "kmon") || !strings.Contains(stdout, "__complete") {
			t.Errorf("%s: got exit code %d, stderr %q and %d bytes", shell, code, stderr, len(stdout))
		}
	}
}
