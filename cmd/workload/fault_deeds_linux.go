package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// politeLocks are two locks that two workers both need. Each does its work under
// its own and needs the other's to end it, but gives way to one that wants them,
// too. Nobody takes back that it wants them, which is the mistake: once both have
// been at work, neither ends.
type politeLocks struct {
	locks [2]sync.Mutex
	wants [2]atomic.Bool
}

// do does work under both locks.
func (p *politeLocks) do(ctx context.Context, worker int, work func() bool) bool {
	mine, other := worker%2, 1-worker%2
	p.wants[mine].Store(true)
	good := work()
	for ctx.Err() == nil {
		if p.locks[mine].TryLock() {
			if !p.wants[other].Load() && p.locks[other].TryLock() {
				p.locks[other].Unlock()
				p.locks[mine].Unlock()
				return good
			}
			p.locks[mine].Unlock()
		}
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // after you
	}
	return false
}

// spinUntil burns a CPU, in user space only, until ctx is done.
func spinUntil(ctx context.Context) {
	var over atomic.Bool
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()
	for !over.Load() { //nolint:revive // that is the fault
	}
}

// compute spends CPU time, by the thread's own clock.
func compute(d time.Duration) {
	if d == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for until := threadTimeNs() + d.Nanoseconds(); threadTimeNs() < until; {
		for i := range 20_000 { // some 10 us
			_ = i
		}
	}
}

// blockReader reads blocks of a disk past the page cache.
type blockReader struct {
	file   *os.File
	blocks int64
	memory sync.Pool // of one block, aligned
}

func openBlocks(path string) (*blockReader, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	size, err := file.Seek(0, 2)
	if err != nil {
		return nil, err
	}
	if size < diskAlign {
		return nil, fmt.Errorf("%s has no block of %d bytes", path, diskAlign)
	}
	return &blockReader{file: file, blocks: size / diskAlign, memory: sync.Pool{New: func() any {
		memory, err := unix.Mmap(-1, 0, diskAlign, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			panic(err) // one page
		}
		return memory
	}}}, nil
}

// read reads any of the blocks.
func (b *blockReader) read() error {
	memory := b.memory.Get()
	defer b.memory.Put(memory)
	_, err := b.file.ReadAt(memory.([]byte), rand.Int64N(b.blocks)*diskAlign)
	return err
}

// limitedCores is what the quota leaves: half of what the service needs.
const limitedCores = 0.12

// limitCPU puts the subject into a cgroup of its own, whose quota is set to bring
// the fault.
func limitCPU(s *stage) (bring, mend func() error, err error) {
	dir, file, none := "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1"
	quota := strconv.Itoa(limitedCores * 100_000) // of a period of 100 ms
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir, file, none, quota = "/sys/fs/cgroup", "cpu.max", "max", quota+" 100000"
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu"), 0); err != nil {
			return nil, nil, fmt.Errorf("cgroups that limit CPUs: %w", err)
		}
	}
	group := filepath.Join(dir, fmt.Sprintf("workload-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return nil, nil, fmt.Errorf("a cgroup of its own: %w", err)
	}
	write := func(name, value string) error { return os.WriteFile(filepath.Join(group, name), []byte(value), 0) }
	mend = func() error {
		moved := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(s.subject.cmd.Process.Pid)), 0)
		return errors.Join(write(file, none), moved, removeGroup(group))
	}
	if err := write("cgroup.procs", strconv.Itoa(s.subject.cmd.Process.Pid)); err != nil {
		return nil, nil, errors.Join(err, mend())
	}
	return func() error { return write(file, quota) }, mend, nil
}

// removeGroup removes a cgroup, whose last process may still be on its way out.
func removeGroup(group string) error {
	for range 100 {
		err := os.Remove(group)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return os.Remove(group)
}

// burnCPUs has two programs a CPU compute.
func burnCPUs(s *stage) (bring, mend func() error, err error) {
	return func() error {
		for range 2 * runtime.NumCPU() {
			if _, err := s.crew.start("burner", "fault-burner", nil); err != nil {
				return err
			}
		}
		return nil
	}, func() error { return nil }, nil
}

// faultBurner is the role of a program that computes.
func faultBurner(ctx context.Context, _ []byte, _ func(string)) (Truth, error) {
	spinUntil(ctx)
	return Truth{}, nil
}
