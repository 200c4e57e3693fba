package format

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEncoderComesLast follows the encoder's thread: behind all others, like
// any while too much waits, and behind again.
func TestEncoderComesLast(t *testing.T) {
	var p pace
	queue := make(chan work, 1)
	steps := make(chan func())
	go func() {
		for step := range steps {
			step()
		}
	}()
	on := func(step func()) {
		done := make(chan bool)
		steps <- func() { step(); close(done) }
		<-done
	}
	defer close(steps)
	on(p.begin)
	if !p.behind {
		t.Skip("RLIMIT_NICE without CAP_SYS_NICE forbids the way back")
	}
	want := func(policy uint32, nice int32) {
		t.Helper()
		attr, err := unix.SchedGetAttr(p.thread.id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if attr.Policy != policy || attr.Nice != nice {
			t.Errorf("policy %d, nice %d; want %d, %d", attr.Policy, attr.Nice, policy, nice)
		}
	}
	want(unix.SCHED_BATCH, 19)
	queue <- nil
	p.hurry()
	want(p.thread.was.Policy, p.thread.was.Nice)
	on(func() { p.ease(queue) })
	want(p.thread.was.Policy, p.thread.was.Nice) // something waits
	<-queue
	on(func() { p.ease(queue) })
	want(unix.SCHED_BATCH, 19)
}

// TestTickHurriesStarvedEncoder: what stays in the queue from one Tick to the
// next is hurried.
func TestTickHurriesStarvedEncoder(t *testing.T) {
	w, err := Create(t.TempDir()+"/a.kmon", Manifest{}, WriterOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard() //nolint:errcheck // nothing is wanted of it
	blocked, release := make(chan bool), make(chan bool)
	w.queue <- blocker{blocked, release}
	<-blocked
	w.queue <- blocker{make(chan bool, 1), nil}
	for i := range 2 {
		if w.pace.hurried {
			t.Fatalf("hurried before Tick %d", i)
		}
		if err := w.Tick(int64(i+1) * time.Second.Nanoseconds()); err != nil {
			t.Fatal(err)
		}
	}
	if w.pace.behind && !w.pace.hurried {
		t.Error("not hurried after two Ticks without progress")
	}
	close(release)
}

// blocker is work that tells when it begins and waits.
type blocker struct{ begun, release chan bool }

func (b blocker) drop() {}

func (b blocker) encode(*encoder) error {
	b.begun <- true
	if b.release != nil {
		<-b.release
	}
	return nil
}
