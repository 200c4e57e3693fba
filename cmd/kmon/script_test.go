package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A golden file is a session: a line "$ kmon …" is a command, what follows is
// its standard output, its standard error (each line after "2> ") and its exit
// code ("[2]", nothing for 0). Lines before the first command, and lines that
// begin with "# " before any other, tell the story and stay.

// step is one command of a session and what it must say.
type step struct {
	story   []string // comment lines before the command
	command string   // with the leading "kmon"
	want    string
}

func parseSession(text string) []step {
	var steps []step
	var story []string
	for _, line := range strings.SplitAfter(text, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case isCommand:
			steps = append(steps, step{story: story, command: strings.TrimSpace(command)})
			story = nil
		case len(steps) > 0 && story == nil && strings.HasPrefix(line, "# "):
			last := &steps[len(steps)-1] // a blank line sets the story off
			if strings.HasSuffix("\n"+last.want, "\n\n") {
				last.want = strings.TrimSuffix(last.want, "\n")
			}
			story = []string{"\n", line}
		case len(steps) == 0 || story != nil:
			story = append(story, line)
		default:
			steps[len(steps)-1].want += line
		}
	}
	return steps
}

// play runs a command and returns its transcript in the form of a session.
func play(t *testing.T, command string) string {
	t.Helper()
	words, err := splitWords(command)
	if err != nil || len(words) == 0 || words[0] != "kmon" {
		t.Fatalf("not a kmon command: %q (%v)", command, err)
	}
	stdout, stderr, code := kmon(words[1:]...)
	var b strings.Builder
	b.WriteString(ended(stdout))
	for line := range strings.Lines(ended(stderr)) {
		b.WriteString("2> " + line)
	}
	if code != 0 {
		fmt.Fprintf(&b, "[%d]\n", code)
	}
	return b.String()
}

// kmon runs one command in this process.
func kmon(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(context.Background(), strings.NewReader(""), &out, &errs, args)
	return out.String(), errs.String(), code
}

func ended(s string) string {
	if s != "" && !strings.HasSuffix(s, "\n") {
		return s + "(no newline)\n"
	}
	return s
}

// splitWords splits a command as a shell does, as far as the sessions need it:
// blanks, single and double quotes.
func splitWords(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, started := rune(0), false
	for _, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == ' ':
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("quote %c is not closed", quote)
	}
	if started {
		words = append(words, word.String())
	}
	return words, nil
}

// TestSessions plays every golden session in a directory with the sample
// captures of samples_test.go.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: got %d, %v; want some", len(files), err)
	}
	for _, file := range files {
		golden, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(writeSamples(t))
			if strings.Contains(string(text), "$ kmon compare before.kmon") {
				writeComparable(t)
			}
			var got strings.Builder
			for _, s := range parseSession(string(text)) {
				have := play(t, s.command)
				fmt.Fprintf(&got, "%s$ %s\n%s", strings.Join(s.story, ""), s.command, have)
				if have != s.want && !*update {
					t.Errorf("$ %s\ngot:\n%s\nwant:\n%s", s.command, have, s.want)
				}
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
