package main

import (
	"testing"
	"time"
)

// The next release answers its slow requests later, and none other; both ends count
// the same.
func TestRelease(t *testing.T) {
	truth := play(t, "release", "-duration", "3s", "-tail", "10")
	addUp(t, truth)
	found := false
	for _, s := range truth.Services {
		if s.Requests < 10 { // of 360 and more; the computer may stop for most of the time
			t.Errorf("%s served %d requests", s.Name, s.Requests)
		}
		found = found || s.Name == "tail"
	}
	if !found {
		t.Error("there is no tail")
	}
	slower, harder := releaseServers(2, 3), releaseServers(1, 1)
	for i, s := range harder {
		n := slower[i]
		if n.Name != s.Name || n.Sleep != s.Sleep {
			t.Errorf("%s and %s differ in what they always do", n.Name, s.Name)
		}
		if isTail := s.Name == "tail"; (n.Slow != s.Slow) != isTail {
			t.Errorf("%s: slow requests take %v and %v", s.Name, s.Slow, n.Slow)
		}
		if isWorker := s.Name == "worker"; (n.Rounds != s.Rounds) != isWorker {
			t.Errorf("%s: rounds %d and %d", s.Name, s.Rounds, n.Rounds)
		}
	}
	if slower[1].Slow < 35*time.Millisecond {
		t.Errorf("twice as slow is %v", slower[1].Slow)
	}
}
