package format

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEncoderComesLast follows the encoder's thread: behind all others, like
// any while too much waits, and behind again.
func TestEncoderComesLast(t *testing.T) {
	begun, ended := make(chan thread), make(chan struct{})
	defer close(ended)
	go func() {
		runtime.LockOSThread()
		begun <- currentThread()
		<-ended
	}()
	var p pace
	p.begin(<-begun)
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
	p.hurry()
	want(p.thread.was.Policy, p.thread.was.Nice)
	p.ease()
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
	for now := int64(3e9); w.pace.hurried; now++ { // until the encoder has caught up
		if err := w.Tick(now); err != nil {
			t.Fatal(err)
		}
	}
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
