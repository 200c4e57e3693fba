package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// knownConfig says how much each thread does.
type knownConfig struct {
	times  int
	each   time.Duration
	yields int
}

// runKnown sleeps, waits on a futex, spins and yields, each on a thread of its
// own, in amounts that it writes down.
func runKnown(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("known")
	config := knownConfig{}
	flags.IntVar(&config.times, "times", 20, "how often to sleep, and to wait")
	flags.DurationVar(&config.each, "each", 40*time.Millisecond, "how long each time; the spinning is as long as all of them")
	flags.IntVar(&config.yields, "yields", 20000, "how often to yield")
	hold := flags.Duration("hold", 0, "stay for this time when all is done and the truth is written")
	if err := errors.Join(flags.parse(args), flags.atLeast("times", config.times, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "known", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	done := make(chan struct{})
	defer close(done)
	truth.Threads = config.play(done)
	truth.EndUnixNs = time.Now().UnixNano()
	if err := flags.finish(out, truth); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(min(*hold, flags.limit)):
	}
	return nil
}

// play runs the threads to the end of their work. They stay, doing nothing,
// until done is closed.
func (c knownConfig) play(done <-chan struct{}) []Thread {
	var word atomic.Uint32
	roles := []struct {
		name string
		work func(t *Thread)
	}{
		{"sleeper", c.sleepKnown},
		{"waiter", func(t *Thread) { c.waitKnown(t, &word) }},
		{"waker", func(t *Thread) { c.wakeKnown(t, &word) }},
		{"spinner", c.spinKnown},
		{"yielder", c.yieldKnown},
	}
	threads := make([]Thread, len(roles))
	var working sync.WaitGroup
	for i, role := range roles {
		working.Add(1)
		go func() {
			runtime.LockOSThread()
			threads[i] = Thread{Name: role.name, TID: unix.Gettid()}
			role.work(&threads[i])
			working.Done()
			<-done
		}()
	}
	working.Wait()
	return threads
}

func (c knownConfig) sleepKnown(t *Thread) {
	for range c.times {
		began := time.Now()
		sleepExactly(c.each)
		t.TookNs += time.Since(began).Nanoseconds()
		t.Times++
		t.AskedNs += c.each.Nanoseconds()
	}
}

// sleepExactly blocks the thread, not only the goroutine.
func sleepExactly(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	for errors.Is(unix.Nanosleep(&left, &left), unix.EINTR) {
	}
}

const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

func futex(word *atomic.Uint32, op int, value uint32) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), uintptr(op), uintptr(value), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// waitKnown waits for each change of word that wakeKnown makes.
func (c knownConfig) waitKnown(t *Thread, word *atomic.Uint32) {
	for i := range uint32(c.times) {
		began := time.Now()
		for word.Load() == i {
			// It may wake for nothing, or find word changed: word decides.
			_, _ = futex(word, futexWaitPrivate, i)
		}
		t.TookNs += time.Since(began).Nanoseconds()
		t.Times++
		t.AskedNs += c.each.Nanoseconds()
	}
}

// wakeKnown counts the times that it woke the waiter.
func (c knownConfig) wakeKnown(t *Thread, word *atomic.Uint32) {
	for range c.times {
		sleepExactly(c.each)
		word.Add(1)
		if n, err := futex(word, futexWakePrivate, 1); err == nil {
			t.Times += int64(n)
		}
	}
}

// spinKnown spends CPU time, by the thread's own clock.
func (c knownConfig) spinKnown(t *Thread) {
	t.AskedNs = c.each.Nanoseconds() * int64(c.times)
	began := threadTimeNs()
	for t.TookNs < t.AskedNs {
		for range 1000 {
			t.Times++
		}
		t.TookNs = threadTimeNs() - began
	}
}

func threadTimeNs() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(fmt.Sprintf("thread's clock: %v", err)) // every kernel has it
	}
	return ts.Nano()
}

func (c knownConfig) yieldKnown(t *Thread) {
	for range c.yields {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		t.Times++
	}
}
