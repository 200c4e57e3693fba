package probe

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// steps is a reader that gives one result after the other.
type steps []error

func (s *steps) Read([]byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	err := (*s)[0]
	*s = (*s)[1:]
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// The kernel lets go of a walk over more than a million objects with EAGAIN, as
// it comes out of os.File.
func TestWalkGoesOnAfterARest(t *testing.T) {
	rest := fmt.Errorf("read iterator: %w", unix.EAGAIN)
	rested := 0
	if err := readPieces(&steps{nil, rest, nil, rest}, func() error { rested++; return nil }); err != nil || rested != 5 {
		t.Errorf("rested %d times, %v; want 5: after two pieces, two rests and the end", rested, err)
	}
	broken := errors.New("broken")
	if err := readPieces(&steps{rest, broken}, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want what the reader said", err)
	}
	if err := readPieces(&steps{nil}, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want what the drain said", err)
	}
	var taken int
	if err := readRecords(&steps{nil, rest, nil, nil, nil}, 2, func([]byte) { taken++ }); err != nil || taken != 2 {
		t.Errorf("took %d records of two bytes, %v; want 2", taken, err)
	}
}

func TestPaceSparesTheCPU(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if !p.due(now) {
		t.Error("the first is not due")
	}
	p.spent(now, 5*time.Millisecond)
	if p.due(now.Add(499 * time.Millisecond)) {
		t.Error("due before a hundred times what it took")
	}
	if !p.due(now.Add(500 * time.Millisecond)) {
		t.Error("not due after a hundred times what it took")
	}
}

// What has no room is left out, and counted when it becomes more.
func TestTargetsBeyondTheirRoomAreCounted(t *testing.T) {
	var s Session
	for _, step := range []struct{ homeless, want int }{{0, 0}, {3, 3}, {3, 0}, {1, 0}, {2, 1}} {
		s.homeless = step.homeless
		var got int64
		for _, l := range s.lostTargets() {
			got += l.Count
		}
		if got != int64(step.want) {
			t.Errorf("%d without room: %d more were lost, want %d", step.homeless, got, step.want)
		}
	}
}
