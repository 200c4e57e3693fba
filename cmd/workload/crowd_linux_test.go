package main

import "testing"

func TestCrowd(t *testing.T) {
	truth := play(t, "crowd", "--clients", "5", "--backlog", "1", "--stay", "100ms")
	got := truth.Listeners[0]
	// Others may be turned away in this network namespace at the same time.
	if got.Depth != 2 || got.Limit != 1 || got.Overflows < 3 {
		t.Errorf("got %+v, want 2 of 5 clients waiting, and the others turned away", got)
	}
}
