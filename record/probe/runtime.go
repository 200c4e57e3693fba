package probe

import (
	"cmp"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	// The kernel measures the run time of programs only while asked to, which
	// costs every run some 30 ns. So it is asked for runWindow every runEvery:
	// 1% of the time, the first time at the start. Who watches what recording
	// costs has it asked for more often (Options.MeasureEvery).
	runWindow = 100 * time.Millisecond
	runEvery  = 10 * time.Second
)

// runMeter estimates how long the programs have run, from windows in which
// the kernel measured it: each window stands for the time since the one
// before.
type runMeter struct {
	measure func() (io.Closer, error)     // lets the kernel measure until closed
	read    func() (time.Duration, error) // what was measured so far
	every   time.Duration

	stats   io.Closer // nil: between windows
	opened  time.Time
	base    time.Duration // read when the window opened
	until   time.Time     // total reaches to here
	total   time.Duration
	share   float64 // of the last window: run time per time
	windows int
	failed  bool // the kernel does not measure
}

func newRunMeter(now time.Time, measure func() (io.Closer, error), read func() (time.Duration, error)) *runMeter {
	return &runMeter{measure: measure, read: read, every: runEvery, until: now}
}

// tick opens and closes windows when it is time. Call it often.
func (m *runMeter) tick(now time.Time) {
	switch {
	case m.failed:
	case m.stats == nil && (m.windows == 0 || now.Sub(m.until) >= m.every):
		m.open(now)
	case m.stats != nil && now.Sub(m.opened) >= runWindow:
		m.close(now)
	}
}

func (m *runMeter) open(now time.Time) {
	stats, err := m.measure()
	if err != nil {
		m.failed = true
		return
	}
	m.stats, m.opened = stats, now
	if m.base, err = m.read(); err != nil {
		m.stop()
		m.failed = true
	}
}

func (m *runMeter) close(now time.Time) {
	run, err := m.read()
	m.stop()
	if err != nil {
		m.failed = true
		return
	}
	m.share = float64(run-m.base) / float64(now.Sub(m.opened))
	m.total = m.at(now)
	m.until = now
	m.windows++
}

// stop lets the kernel measure no more.
func (m *runMeter) stop() {
	if m.stats != nil {
		_ = m.stats.Close() // nothing can be done, and the end of the process closes it
		m.stats = nil
	}
}

// at is the estimate for now.
func (m *runMeter) at(now time.Time) time.Duration {
	return m.total + time.Duration(m.share*float64(now.Sub(m.until)))
}

// startMeter begins to estimate the run time of the session's programs.
func (s *Session) startMeter() {
	enable := func() (io.Closer, error) { return ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME)) }
	s.meter = newRunMeter(time.Now(), enable, s.measuredRunTime)
	s.meter.every = cmp.Or(s.measureEvery, runEvery)
	s.meter.tick(time.Now())
}

// measuredRunTime is what the kernel has measured of all programs.
func (s *Session) measuredRunTime() (total time.Duration, err error) {
	for _, prog := range s.collection.Programs {
		stats, err := prog.Stats()
		if err != nil {
			return 0, err
		}
		total += stats.Runtime
	}
	return total, nil
}

// Measure lets the estimate of RunTime go on. Call it often: it does something
// only twice in ten seconds, or in Options.MeasureEvery.
func (s *Session) Measure() { s.meter.tick(time.Now()) }

// RunTime estimates the time the programs have run since Start, in interrupts
// and processes of others; ok is false where the kernel does not measure it
// (before 5.8), or has not yet.
func (s *Session) RunTime() (total time.Duration, ok bool) {
	return s.meter.at(time.Now()), s.meter.windows > 0
}

// RunShare is the run time of the programs per time when it was measured last;
// ok is false as for RunTime.
func (s *Session) RunShare() (share float64, ok bool) { return s.meter.share, s.meter.windows > 0 }
