package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is no terminal is coloured if it is asked for, and nothing is if colours are
// not wanted: NO_COLOR counts before CLICOLOR_FORCE.
func TestColoursByEnvironment(t *testing.T) {
	for _, c := range []struct {
		noColor, force string
		want           bool
	}{{"", "", false}, {"", "1", true}, {"", "0", false}, {"1", "1", false}} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("CLICOLOR_FORCE", c.force)
		if got := wantsColour(new(bytes.Buffer)); got != c.want {
			t.Errorf("NO_COLOR=%q CLICOLOR_FORCE=%q: got %v, want %v", c.noColor, c.force, got, c.want)
		}
	}
	t.Chdir(writeSamples(t))
	t.Setenv("NO_COLOR", "")
	for force, want := range map[string]bool{"1": true, "": false} {
		t.Setenv("CLICOLOR_FORCE", force)
		for _, args := range [][]string{{"analyze", "lossy.kmon"}, {"verify", "cut.kmon"}} {
			if stdout, _, _ := kmon(args...); strings.Contains(stdout, "\x1b[") != want {
				t.Errorf("CLICOLOR_FORCE=%q kmon %s: coloured is not %v:\n%s", force, strings.Join(args, " "), want, stdout)
			}
		}
	}
}
