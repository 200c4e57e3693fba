package probe

import (
	"testing"
	"time"

	"kmon/format"
)

// Sockets that end while no program runs are counted as lost, each once.
func TestUnseenEndsAreCounted(t *testing.T) {
	requireRoot(t)
	h := startHolder(t)
	s := startOn(t, inStorage, h.held, h.passing)
	if err := s.ListExisting(func() error { sockets(s, func(format.Socket) {}); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(false); err != nil {
		t.Fatal(err)
	}
	h.replace(t)
	sweepTwice(t, s)
	if lost := s.ends.lost(); lost != nil {
		t.Fatalf("all ends were seen, and these count as lost: %+v", lost)
	}
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	h.replace(t)
	for limit := time.Now().Add(time.Minute); s.ends.known < 2*passingAtOnce && time.Now().Before(limit); {
		sweepTwice(t, s) // the kernel frees them some moments later
	}
	sweepTwice(t, s)
	lost := s.ends.lost()
	if len(lost) != 2 || lost[0].Table != "sockets" || lost[0].Count != 2*passingAtOnce || lost[1].Table != "exchanges" || lost[1].Count != lost[0].Count {
		t.Errorf("the ends of %d sockets were not seen, and these count as lost: %+v", 2*passingAtOnce, lost)
	}
}

func sweepTwice(t *testing.T, s *Session) {
	t.Helper()
	for range 2 {
		if err := s.sweepOnce(false); err != nil {
			t.Fatal(err)
		}
	}
}
