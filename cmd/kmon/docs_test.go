package main

import (
	"go/parser"
	"go/token"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestPackageDocument plays the sessions in the package's document.
func TestPackageDocument(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	check(t, err)
	var session strings.Builder
	for line := range strings.Lines(file.Doc.Text()) {
		if code, ok := strings.CutPrefix(line, "\t"); ok {
			session.WriteString(code)
		}
	}
	t.Chdir(writeSamples(t))
	steps := parseSession(session.String())
	if len(steps) < 3 {
		t.Fatalf("commands in doc.go: got %d, want some", len(steps))
	}
	for _, s := range steps {
		if got := play(t, s.command); got != s.want {
			t.Errorf("$ %s\ngot:\n%s\nwant:\n%s", s.command, got, s.want)
		}
	}
}

// TestExamples executes the examples of every help text on the sample captures.
// Those of record, mark, dump and doctor, which need a kernel or root, are parsed and
// checked as far as that goes without one.
func TestExamples(t *testing.T) {
	for _, verb := range newRoot().Commands() {
		if verb.Name() == "help" {
			continue
		}
		t.Run(verb.Name(), func(t *testing.T) {
			t.Chdir(writeSamples(t))
			for _, host := range []string{"node-a", "node-b"} {
				writeCapture(t, host+".kmon", sample{host: host, exchanges: 10})
			}
			if verb.Name() == "compare" {
				writeComparable(t)
			}
			examples := exampleCommands(verb)
			if len(examples) < 2 {
				t.Errorf("examples of %s: got %d, want at least 2", verb.Name(), len(examples))
			}
			for _, example := range examples {
				runExample(t, example)
			}
		})
	}
}

// runExample runs the kmon command that a shell would run for example.
func runExample(t *testing.T, example string) {
	t.Helper()
	command, _, _ := strings.Cut(example, " | ")
	command, _, _ = strings.Cut(command, " > ")
	words, err := splitWords(strings.NewReplacer("node-*.kmon", "node-a.kmon node-b.kmon",
		"long-*.kmon", "long-000001.kmon long-000002.kmon long-000003.kmon").Replace(command))
	check(t, err)
	if len(words) > 1 && slices.Contains([]string{"record", "mark", "dump", "doctor"}, words[1]) {
		parseOnly(t, words[1:])
		return
	}
	wantCode := codeOK
	if strings.Contains(example, "cut.kmon") && words[1] == "verify" {
		wantCode = codeGate
	}
	stdout, stderr, code := kmon(words[1:]...)
	if code != wantCode || stderr != "" {
		t.Errorf("$ %s: got exit code %d and stderr %q, want %d and none", example, code, stderr, wantCode)
	}
	for i, w := range words {
		if w != "-o" || words[i+1] == stdoutName {
			continue
		}
		if info, err := os.Stat(words[i+1]); err != nil || info.Size() == 0 {
			t.Errorf("$ %s: wrote no %s (%v)", example, words[i+1], err)
		}
		return
	}
	if stdout == "" {
		t.Errorf("$ %s: wrote nothing", example)
	}
}

// parseOnly checks that a command line is one that its verb accepts.
func parseOnly(t *testing.T, args []string) {
	t.Helper()
	root := newRoot()
	root.SetOut(io.Discard)
	cmd, rest, err := root.Find(args)
	check(t, err)
	check(t, cmd.ParseFlags(rest))
	check(t, cmd.ValidateArgs(cmd.Flags().Args()))
}

// exampleCommands gives the commands in the examples of a verb, without the
// shell's prompt.
func exampleCommands(cmd *cobra.Command) []string {
	var commands []string
	for line := range strings.Lines(cmd.Example) {
		if _, command, ok := strings.Cut(strings.TrimSpace(line), "> kmon "); ok && strings.HasPrefix(strings.TrimSpace(line), "PS>") {
			commands = append(commands, "kmon "+command)
		} else if command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
			commands = append(commands, command)
		}
	}
	return commands
}

// TestEveryVerbExplainsItself holds help texts to what they must have.
func TestEveryVerbExplainsItself(t *testing.T) {
	for _, verb := range newRoot().Commands() {
		if verb.Short == "" || strings.HasSuffix(verb.Short, ".") {
			t.Errorf("%s: short text %q is empty or a sentence", verb.Name(), verb.Short)
		}
		for line := range strings.Lines(verb.Long) {
			if len([]rune(strings.TrimRight(line, "\n"))) > 82 {
				t.Errorf("%s: line is wider than a terminal: %q", verb.Name(), line)
			}
		}
	}
}
