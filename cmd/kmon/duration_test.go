package main

import (
	"testing"
	"time"
)

func TestDurationFlag(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration // 0: refused
	}{
		{"60s", time.Minute},
		{"1m30s", 90 * time.Second},
		{"60", time.Minute},
		{"0.5", 500 * time.Millisecond},
		{"0", 0},
		{"-5s", 0},
		{"soon", 0},
		{"", 0},
		{"NaN", 0},
		{"Inf", 0},
		{"1e30", 0},
		{"300y", 0},
	} {
		var d duration
		err := d.Set(c.text)
		if got := time.Duration(d); got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("Set(%q): got %v, %v; want %v", c.text, got, err, c.want)
		}
	}
}
