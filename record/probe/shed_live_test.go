package probe

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readerMode makes the test binary a process that reads a byte, sends one back,
// and so on.
const readerMode = "KMON_PROBE_TEST_READER"

func answerReads() error {
	b := make([]byte, 1)
	for {
		if n, err := unix.Read(0, b); n == 0 || err != nil {
			return err
		}
		if _, err := unix.Write(1, b); err != nil {
			return err
		}
	}
}

// reader is that process.
type reader struct {
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

func startReader(t *testing.T) *reader {
	t.Helper()
	pid, in, out := startSelf(t, readerMode)
	r := &reader{pid, in, bufio.NewReader(out)}
	r.await(t)
	return r
}

// await waits until it is in the read.
func (r *reader) await(t *testing.T) {
	t.Helper()
	call := fmt.Sprintf("%d 0x0 ", unix.SYS_READ)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", r.pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			if text, err := os.ReadFile(thread); err == nil && strings.HasPrefix(string(text), call) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the reader does not read")
		}
	}
}

// answer ends its read, and waits until it is in the next one.
func (r *reader) answer(t *testing.T) {
	t.Helper()
	if _, err := r.in.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.out.ReadByte(); err != nil {
		t.Fatal(err)
	}
	r.await(t)
}

// When system calls are counted again, one that was under way is counted without
// its time: when it was entered nobody noted, and what was noted last is of a call
// before.
func TestCallsAreNotTimedOverAPause(t *testing.T) {
	requireRoot(t)
	r := startReader(t)
	facts, err := ReadFacts(true)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(facts, Request{Collectors: []string{syscallCollector}, Calls: Calls{Numbers: []int{unix.SYS_READ}, Latency: true}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(plan, Options{DataRingBytes: 64 << 10, ControlRingBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Begin(Targets{PIDs: []int32{int32(r.pid)}}); err != nil {
		t.Fatal(err)
	}
	set := func(out bool) {
		t.Helper()
		var shed Shed
		shed.Parts[PartSyscalls] = out
		if err := s.SetShed(shed); err != nil {
			t.Fatal(err)
		}
	}
	counted := func() (count, ns int64) {
		t.Helper()
		if err := s.TurnCalls(1, 2); err != nil {
			t.Fatal(err)
		}
		rows, err := s.Calls()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			count, ns = count+row.Count, ns+row.TotalNs
		}
		return count, ns
	}

	r.answer(t) // it began before the session; the next one is noted
	if count, ns := counted(); count != 1 || ns != 0 {
		t.Errorf("%d reads of %d ns, want one whose beginning was not seen", count, ns)
	}
	set(true)
	r.answer(t)
	set(false)
	r.answer(t)
	if count, ns := counted(); count != 1 || ns != 0 {
		t.Errorf("after the pause: %d reads of %d ns, want one whose beginning was not seen", count, ns)
	}
	const wait = 20 * time.Millisecond
	time.Sleep(wait)
	r.answer(t)
	if count, ns := counted(); count != 1 || ns < wait.Nanoseconds() {
		t.Errorf("%d reads of %d ns, want one of at least %v", count, ns, wait)
	}
}
