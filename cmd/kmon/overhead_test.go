package main

import "testing"

func TestShareOfAllCPUs(t *testing.T) {
	for _, test := range []struct {
		text string
		want cpuShare
		back string
	}{
		{"2%", 0.02, "2%"},
		{"0.5%", 0.005, "0.5%"},
		{"100%", 1, "100%"},
		{"2", 0, ""}, // 2% or twice all CPUs?
		{"0%", 0, ""},
		{"-1%", 0, ""},
		{"101%", 0, ""},
		{"NaN%", 0, ""},
		{"inf%", 0, ""},
		{"0x1p1%", 0, ""},
		{"%", 0, ""},
		{"", 0, ""},
	} {
		var got cpuShare
		err := got.Set(test.text)
		if got != test.want || (err == nil) != (test.want != 0) || got.String() != test.back {
			t.Errorf("%q: %v (%q), %v; want %v (%q)", test.text, float64(got), got.String(), err, float64(test.want), test.back)
		}
	}
}
