package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// deeds are what a guest does to itself between loads; the argument says how
// much.
var deeds = map[string]func(d time.Duration) error{
	deedSetClock: setClock,
	deedSuspend:  suspend,
}

// tell does a deed and writes what it did as the truth of this name.
func (t trial) tell(name string, l load, deed func(time.Duration) error) error {
	d, err := time.ParseDuration(l[1])
	if err != nil {
		return err
	}
	before := readClocks()
	if err := deed(d); err != nil {
		return err
	}
	after := readClocks()
	suspended := after.boot - after.monotonic - (before.boot - before.monotonic)
	did := clock{BeganNs: before.monotonic, EndedNs: after.monotonic, SuspendedNs: suspended,
		SetNs: after.real - after.boot - (before.real - before.boot)}
	text, err := json.Marshal(truth{Clock: did})
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // the recorder's tick is one
	return os.WriteFile(filepath.Join(results, t.Name, name), text, 0o644)
}

// clocks are the clocks of a guest at about one moment, in ns.
type clocks struct{ monotonic, boot, real int64 }

func readClocks() clocks {
	read := func(id int32) int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(id, &ts); err != nil {
			panic(err) // these clocks exist on every Linux
		}
		return ts.Nano()
	}
	return clocks{read(unix.CLOCK_MONOTONIC), read(unix.CLOCK_BOOTTIME), read(unix.CLOCK_REALTIME)}
}

// setClock sets the wall clock forward, or back.
func setClock(by time.Duration) error {
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	return unix.Settimeofday(&now)
}

// suspend has the machine sleep until the alarm of its real-time clock.
func suspend(d time.Duration) error {
	const alarm = "/sys/class/rtc/rtc0/wakealarm"
	if err := os.WriteFile(alarm, []byte("+"+strconv.Itoa(int(d.Seconds()))), 0); err != nil {
		return fmt.Errorf("the clock that is to wake: %w", err)
	}
	return os.WriteFile("/sys/power/state", []byte("mem"), 0)
}

// recordUntilCut records a load onto the disk of the power cut, asks for it
// once that has gone on for a while, and waits.
func (t trial) recordUntilCut(limit time.Duration) error {
	const dir = "/tmp/disk"
	if err := errors.Join(os.Mkdir(dir, 0o755), awaitFile(cutDisk), unix.Mount(cutDisk, dir, "ext4", 0, "")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	kmon := exec.CommandContext(ctx, "/"+kmonName, "record", "-o", filepath.Join(dir, strings.TrimSuffix(cutCapture, ".part")))
	load := exec.CommandContext(ctx, "/"+workloadName, "echo", "-requests", "100000000", "-connections", "2", "-limit", limit.String())
	for _, cmd := range []*exec.Cmd{kmon, load} {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	for segments(filepath.Join(dir, cutCapture)) < cutSegments {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Println(cutWord)
	<-ctx.Done()
	return ctx.Err()
}

// cutSegments is how many segments of exchanges a capture has when the power is
// cut: about one comes a second.
const cutSegments = 8

// segments is how many of exchanges there are in a capture that is written.
func segments(path string) int {
	capture, err := format.Open(path)
	if err != nil {
		return 0 // there is none yet
	}
	defer capture.Close() //nolint:errcheck // only read
	return len(capture.Segments("exchanges"))
}
