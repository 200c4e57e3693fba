package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tickNs is the unit of /proc/stat: a hundredth of a second on all of Linux.
const tickNs = 10 * time.Millisecond

// machine is a reading of /proc/stat over all cores.
type machine struct {
	programs time.Duration // user, nice and system time; interrupts are nobody's
	idle     time.Duration // idle and waiting for disks
	total    time.Duration
}

func readMachine() (machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, fmt.Errorf("measuring needs Linux: %w", err)
	}
	return parseMachine(string(text))
}

// parseMachine reads the first line: cpu user nice system idle iowait irq
// softirq steal …
func parseMachine(text string) (machine, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 {
		return machine{}, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks [8]time.Duration
	for i := range ticks {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return machine{}, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks[i] = time.Duration(n) * tickNs
	}
	m := machine{programs: ticks[0] + ticks[1] + ticks[2], idle: ticks[3] + ticks[4]}
	for _, t := range ticks {
		m.total += t
	}
	return m, nil
}

// awaitIdle waits until the machine was 95% idle for 200 ms, but gives up when
// its patience is at its end: the share of foreign CPU then decides whether the
// run counts.
func awaitIdle(ctx context.Context, patience time.Duration) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; {
		before, err := readMachine()
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		after, err := readMachine()
		if err != nil {
			return err
		}
		if after.idle-before.idle >= (after.total-before.total)*95/100 {
			return nil
		}
	}
	return ctx.Err()
}

// cpuTime is the time that a process, its threads and its children that still
// live have run, to the nanosecond.
func cpuTime(pid int) time.Duration {
	var sum time.Duration
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // the pattern is sound
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		if ran, err := strconv.ParseInt(first, 10, 64); err == nil {
			sum += time.Duration(ran)
		}
		children, _ := os.ReadFile(filepath.Join(task, "children")) // as above
		for _, child := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(child); err == nil {
				sum += cpuTime(pid)
			}
		}
	}
	return sum
}

// endedTime is the time that the children of a process had run when it took
// note of their end, to a tick of 10 ms.
func endedTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // it has ended itself
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything else
	fields := strings.Fields(rest)
	const cutime, cstime = 16 - 3, 17 - 3 // proc_pid_stat(5) counts from 1, and two are cut
	if len(fields) <= cstime {
		return 0
	}
	user, err := strconv.ParseInt(fields[cutime], 10, 64)
	system, err2 := strconv.ParseInt(fields[cstime], 10, 64)
	if err != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * tickNs
}

// kernelTime is the time that the kernel's own threads have run. They work for
// the load as for anyone, so they are not foreign. 0 where they are not seen.
func kernelTime() time.Duration {
	const kthreadd = 2
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", kthreadd)); err != nil || strings.TrimSpace(string(comm)) != "kthreadd" {
		return 0
	}
	return cpuTime(kthreadd)
}

// peakMemory is the VmHWM of a process in bytes, 0 once it has ended.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
