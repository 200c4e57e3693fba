package probe

import (
	"errors"
	"io"
	"testing"
	"time"
)

// fakeStats are programs that take a share of the time, measured only while
// a window is open.
type fakeStats struct {
	now      time.Time
	share    float64
	measured time.Duration
	open     int
	windows  int
}

func (f *fakeStats) Close() error { f.open--; return nil }

func (f *fakeStats) measure() (io.Closer, error) {
	f.open++
	f.windows++
	return f, nil
}

func (f *fakeStats) pass(m *runMeter, d, step time.Duration) {
	for ; d > 0; d -= step {
		f.now = f.now.Add(step)
		if f.open > 0 {
			f.measured += time.Duration(f.share * float64(step))
		}
		m.tick(f.now)
	}
}

func TestRunTimeIsEstimatedFromWindows(t *testing.T) {
	f := &fakeStats{now: time.Unix(0, 0), share: 0.02}
	m := newRunMeter(f.now, f.measure, func() (time.Duration, error) { return f.measured, nil })
	m.tick(f.now)
	const step = 40 * time.Millisecond
	f.pass(m, 60*time.Second, step)
	if got, want := m.at(f.now), 1200*time.Millisecond; got < want-time.Millisecond || got > want+time.Millisecond {
		t.Errorf("2%% of 60 s: estimated %v, want %v", got, want)
	}
	f.share = 0.10 // seen by the next window, which stands for the time since the one before
	f.pass(m, 60*time.Second, step)
	if got := m.at(f.now); got < 7*time.Second || got > 8200*time.Millisecond {
		t.Errorf("2%% of 60 s and 10%% of 60 s: estimated %v, want 7.2 s and at most one window's error", got)
	}
	if open := time.Duration(f.windows) * 3 * step; open > 2*time.Minute/50 {
		t.Errorf("%d windows: the kernel measured for %v of 2 minutes", f.windows, open)
	}
	m.stop()
	if f.open != 0 {
		t.Errorf("%d windows left open", f.open)
	}
}

func TestRunTimeOfKernelThatDoesNotMeasure(t *testing.T) {
	tries := 0
	m := newRunMeter(time.Unix(0, 0), func() (io.Closer, error) { tries++; return nil, errors.New("no") }, nil)
	for i := range 1000 {
		m.tick(time.Unix(int64(i), 0))
	}
	if tries != 1 || m.windows != 0 || m.at(time.Unix(1000, 0)) != 0 {
		t.Errorf("after %d tries: %d windows, %v", tries, m.windows, m.at(time.Unix(1000, 0)))
	}
}
