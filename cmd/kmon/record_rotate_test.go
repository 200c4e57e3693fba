package main

import (
	"testing"
	"time"
)

// TestRotation: a size names its bytes, anything else is a duration.
func TestRotation(t *testing.T) {
	for text, want := range map[string]rotation{
		"100MB": {size: 100e6}, "2GiB": {size: 2 << 30}, "1.5M": {size: 3 << 19},
		"5m": {every: duration(5 * time.Minute)}, "90s": {every: duration(90 * time.Second)},
	} {
		var got rotation
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "100", "-5m", "x"} {
		var got rotation
		if err := got.Set(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
