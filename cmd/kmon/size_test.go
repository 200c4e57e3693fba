package main

import "testing"

func TestSizeFlag(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64 // -1: refused
	}{
		{"0", 0},
		{"4096", 4096},
		{"500MB", 500e6},
		{"500mb", 500e6},
		{"512MiB", 512 << 20},
		{"512M", 512 << 20},
		{"64K", 64 << 10},
		{"1.5GiB", 3 << 29},
		{"2 GB", 2e9},
		{"2TB", 2e12},
		{"7B", 7},
		{"", -1},
		{"MB", -1},
		{"-1", -1},
		{"+1MB", -1},
		{"1e6", -1},
		{"0x10", -1},
		{"1_000", -1},
		{"10 %", -1},
		{"5MBit", -1},
		{"5EB", -1},
		{"NaN", -1},
		{"Inf", -1},
		{"8388608T", -1}, // 2^63
		{"1MB2", -1},
	} {
		s := size(-1)
		err := s.Set(c.text)
		if int64(s) != c.want || (err == nil) != (c.want >= 0) {
			t.Errorf("Set(%q): got %d, %v; want %d", c.text, s, err, c.want)
		}
	}
}

// Nothing given means the default, 0 means none.
func TestOptionalSizeFlag(t *testing.T) {
	var none optionalSize
	if got := none.bytes(); got != 0 {
		t.Errorf("not given: got %d, want 0", got)
	}
	for text, want := range map[string]int64{"0": -1, "0MB": -1, "2MiB": 2 << 20} {
		var m optionalSize
		check(t, m.Set(text))
		if got := m.bytes(); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}
