package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	dir    string // of the file to read; empty: none is read
	reads  int
}

// runKnown sleeps, waits on a futex, spins, yields and reads from a disk, each
// on a thread of its own, in amounts that it writes down.
func runKnown(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("known")
	config := knownConfig{}
	flags.IntVar(&config.times, "times", 20, "how often to sleep, and to wait")
	flags.DurationVar(&config.each, "each", 40*time.Millisecond, "how long each time; the spinning is as long as all of them")
	flags.IntVar(&config.yields, "yields", 20000, "how often to yield")
	flags.StringVar(&config.dir, "dir", "", "a folder on a disk: one more thread reads a file there, past the page cache")
	flags.IntVar(&config.reads, "reads", 128, "how often to read that file")
	hold := flags.Duration("hold", 0, "stay for this time when all is done and the truth is written")
	if err := errors.Join(flags.parse(args), flags.atLeast("times", config.times, 1), flags.atLeast("reads", config.reads, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "known", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	done := make(chan struct{})
	defer close(done)
	threads, err := config.play(done)
	if err != nil {
		return err
	}
	truth.Threads = threads
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

// part is what one thread does.
type part struct {
	name string
	work func(t *Thread)
}

// play runs the threads to the end of their work. They stay, doing nothing,
// until done is closed.
func (c knownConfig) play(done <-chan struct{}) ([]Thread, error) {
	var word atomic.Uint32
	parts := []part{
		{"sleeper", c.sleepKnown},
		{"waiter", func(t *Thread) { c.waitKnown(t, &word) }},
		{"waker", func(t *Thread) { c.wakeKnown(t, &word) }},
		{"spinner", c.spinKnown},
		{"yielder", c.yieldKnown},
	}
	var readErr error
	if c.dir != "" {
		file, err := directFile(c.dir, c.reads)
		if err != nil {
			return nil, err
		}
		defer file.Close() // read only
		parts = append(parts, part{"reader", func(t *Thread) { readErr = c.readKnown(t, file) }})
	}
	// None waits for Go's scheduler when it comes back from the kernel.
	runtime.GOMAXPROCS(runtime.NumCPU() + len(parts))
	threads := make([]Thread, len(parts))
	var working sync.WaitGroup
	for i, part := range parts {
		working.Add(1)
		go func() {
			runtime.LockOSThread()
			threads[i] = Thread{Name: part.name, TID: unix.Gettid()}
			queued := runQueueNs()
			part.work(&threads[i])
			threads[i].RunQueueNs = runQueueNs() - queued
			threads[i].LifeCPUNs = threadTimeNs()
			working.Done()
			<-done
		}()
	}
	working.Wait()
	return threads, readErr
}

// runQueueNs is how long this thread has waited for a CPU so far.
func runQueueNs() int64 {
	data, err := os.ReadFile("/proc/thread-self/schedstat")
	var onCPU, queued int64
	if err == nil {
		_, err = fmt.Sscan(string(data), &onCPU, &queued)
	}
	if err != nil {
		panic(fmt.Sprintf("thread's accounts: %v", err)) // every kernel kmon records on has them
	}
	return queued
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
			if _, err := futex(word, futexWaitPrivate, i); err == nil {
				t.Times++
			}
		}
		t.TookNs += time.Since(began).Nanoseconds()
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

const blockBytes = 64 << 10

// directFile opens a file of that many blocks, which has no name any more, for
// reads past the page cache.
func directFile(dir string, blocks int) (*os.File, error) {
	path := filepath.Join(dir, fmt.Sprintf("known.%d", os.Getpid()))
	if err := os.WriteFile(path, make([]byte, blocks*blockBytes), 0o600); err != nil {
		return nil, fmt.Errorf("write the file to read: %w", err)
	}
	defer os.Remove(path)
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s past the page cache, is it on a disk?: %w", path, err)
	}
	if err := file.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s to its disk: %w", path, err), file.Close())
	}
	return file, nil
}

// readKnown reads each block once, and took what it was not on a CPU, by its
// own clocks.
func (c knownConfig) readKnown(t *Thread, file *os.File) error {
	memory, err := unix.Mmap(-1, 0, blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("memory to read into: %w", err)
	}
	began, beganCPU := time.Now(), threadTimeNs()
	for block := range c.reads {
		if _, err := unix.Pread(int(file.Fd()), memory, int64(block)*blockBytes); err != nil {
			return fmt.Errorf("read block %d of %s: %w", block, file.Name(), err)
		}
		t.Times++
	}
	t.TookNs = time.Since(began).Nanoseconds() - (threadTimeNs() - beganCPU)
	return unix.Munmap(memory)
}
