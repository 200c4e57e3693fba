package main

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"record", "analyze", "report", "info", "print", "verify", "repair", "version"}
	for _, c := range []struct{ typed, want string }{
		{"anlyze", "analyze"},
		{"analyse", "analyze"},
		{"ANALYZE", "analyze"},
		{"reocrd", "record"}, // swapped neighbours cost one
		{"inof", "info"},
		{"ver", "verify"}, // the first of two that it begins
		{"vers", "version"},
		{"repiar", "repair"},
		{"x", ""},
		{"export", "report"},
		{"frobnicate", ""},
		{"", ""},
	} {
		if got := nearest(c.typed, words); got != c.want {
			t.Errorf("nearest(%q): got %q, want %q", c.typed, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"kitten", "sitting", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q): got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q): got %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
