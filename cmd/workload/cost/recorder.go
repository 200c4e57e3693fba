package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// recording is a recorder at work.
type recording struct {
	*process
	file string
	// interrupted says that the recorder ends by the signal that stops it, as
	// perf does; for others that is an error.
	interrupted bool
	// inspect fills in what the recorder knows of its own recording.
	inspect func(ctx context.Context, r *result) error
}

// startRecorder starts a recorder and waits until it records.
func (o options) startRecorder(name string, l *load, dir string) (*recording, error) {
	log := filepath.Join(dir, "recorder.log")
	switch name {
	case "kmon", "kmon-tcp":
		file := filepath.Join(dir, "run.kmon")
		args := []string{"record", "-o", file}
		if name == "kmon-tcp" {
			args = append(args, "-e", "tcp,proc")
		}
		p, err := start(log, o.kmon, args...)
		if err != nil {
			return nil, err
		}
		r := &recording{process: p, file: file}
		r.inspect = func(ctx context.Context, run *result) error { return o.inspectCapture(ctx, file, l.port, run) }
		return r, r.begin(func() bool {
			info, err := os.Stat(file + ".part")
			return err == nil && info.Size() > 0
		})
	case "tcpdump":
		file := filepath.Join(dir, "run.pcap")
		p, err := start(log, "tcpdump", "-Z", "root", "-i", "lo", "-s", "96", "-w", file, fmt.Sprintf("tcp port %d", l.port))
		if err != nil {
			return nil, err
		}
		r := &recording{process: p, file: file}
		r.inspect = func(_ context.Context, run *result) (err error) {
			run.Lost, err = parseTcpdump(p.output())
			return err
		}
		return r, r.begin(func() bool { return strings.Contains(p.output(), "listening on") })
	case "perf-sched":
		file := filepath.Join(dir, "perf.data")
		p, err := start(log, "perf", "sched", "record", "-o", file)
		if err != nil {
			return nil, err
		}
		r := &recording{process: p, file: file, interrupted: true}
		r.inspect = func(context.Context, *result) error { return nil } // it does not count what it loses
		return r, r.begin(func() bool { info, err := os.Stat(file); return err == nil && info.Size() > 0 })
	}
	return nil, errors.New("no such recorder: kmon, kmon-tcp, tcpdump and perf-sched there are")
}

// begin waits for a recorder that says it is ready, and then some: it may
// still be attaching.
func (r *recording) begin(ready func() bool) error {
	if err := r.await(ready); err != nil {
		return errors.Join(err, r.stop())
	}
	time.Sleep(500 * time.Millisecond)
	return nil
}

// end stops the recorder, watching its memory until it is gone.
func (r *recording) end(run *result) error {
	began, watched := time.Now(), make(chan int64)
	go func() {
		peak := peakMemory(r.pid())
		for !r.ended() {
			peak = max(peak, peakMemory(r.pid()))
			time.Sleep(2 * time.Millisecond)
		}
		watched <- peak
	}()
	err := r.stop()
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && r.interrupted && status.Signaled() && status.Signal() == syscall.SIGINT {
		err = nil
	}
	run.StopMs = float64(time.Since(began)) / float64(time.Millisecond)
	run.PeakBytes = <-watched
	run.RecorderMs = float64(r.cmd.ProcessState.UserTime()+r.cmd.ProcessState.SystemTime()) / float64(time.Millisecond)
	if err != nil {
		return fmt.Errorf("%w; it says %q", err, r.output())
	}
	info, err := os.Stat(r.file)
	if err == nil {
		run.FileBytes = info.Size()
	}
	return err
}

var tcpdumpDropped = regexp.MustCompile(`(\d+) packets dropped by kernel`)

// parseTcpdump reads the packets lost from what tcpdump says at its end.
func parseTcpdump(output string) (int64, error) {
	dropped := tcpdumpDropped.FindStringSubmatch(output)
	if dropped == nil {
		return 0, fmt.Errorf("tcpdump says %q", output)
	}
	return strconv.ParseInt(dropped[1], 10, 64)
}

// analysis is the part of kmon's JSON that is needed here.
type analysis struct {
	Captures []struct {
		Rows map[string]int64 `json:"rows"`
	} `json:"captures"`
	Edges []struct {
		ServerPort int   `json:"server_port"`
		Requests   int64 `json:"requests"`
	} `json:"edges"`
	Losses []struct {
		Count int64 `json:"count"`
	} `json:"losses"`
}

// inspectCapture lets kmon analyze the capture and reads requests and losses.
func (o options) inspectCapture(ctx context.Context, file string, port int, run *result) error {
	report := strings.TrimSuffix(file, ".kmon") + ".json"
	if text, err := exec.CommandContext(ctx, o.kmon, "analyze", file, "-o", report).CombinedOutput(); err != nil {
		return fmt.Errorf("kmon analyze: %w: %s", err, text)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	var a analysis
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("%s: %w", report, err)
	}
	a.fill(port, run)
	return nil
}

// fill adds up the requests at a server's port, and all losses.
func (a analysis) fill(port int, run *result) {
	var seen, rows int64
	for _, edge := range a.Edges {
		if edge.ServerPort == port {
			seen += edge.Requests
		}
	}
	for _, capture := range a.Captures {
		rows += capture.Rows["exchanges"]
	}
	for _, loss := range a.Losses {
		run.Lost += loss.Count
	}
	run.Seen, run.Rows = &seen, &rows
}

// once runs the load once under a recorder, or under none.
func (o options) once(ctx context.Context, l *load, name string) (r result, err error) {
	if err := awaitIdle(ctx, o.patience); err != nil {
		return r, err
	}
	r.Recorder = name
	before, err := l.count()
	if err != nil {
		return r, err
	}
	if name == off {
		err = o.drive(ctx, l, nil, &r)
	} else {
		err = o.record(ctx, l, name, &r)
	}
	if err != nil {
		return r, err
	}
	after, err := l.count()
	r.Served = after - before - 1 - l.together // 1: the question before
	if l.served == nil {
		r.Served, r.Seen = 0, nil
	}
	return r, err
}

// record drives the load while a recorder runs, and ends the recorder whatever
// happens.
func (o options) record(ctx context.Context, l *load, name string, run *result) error {
	dir, err := os.MkdirTemp("", "cost-recorder-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	recorder, err := o.startRecorder(name, l, dir)
	if err != nil {
		return err
	}
	if err := errors.Join(o.drive(ctx, l, recorder, run), recorder.end(run)); err != nil {
		return err
	}
	return recorder.inspect(ctx, run)
}

// drive runs the load generator and takes everyone's processor time over it.
func (o options) drive(ctx context.Context, l *load, recorder *recording, run *result) error {
	before, err := readMachine()
	if err != nil {
		return err
	}
	recorderTime := func() time.Duration {
		if recorder == nil {
			return 0
		}
		return cpuTime(recorder.pid())
	}
	kernel, server, recorded, began := kernelTime(), l.cpuTime(), recorderTime(), time.Now()
	rate, requests, generator, err := l.drive(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	time.Sleep(20 * time.Millisecond) // a server takes note of children that have ended
	kernel, server, recorded = kernelTime()-kernel, l.cpuTime()-server, recorderTime()-recorded
	after, err := readMachine()
	if err != nil {
		return err
	}
	if requests == 0 { // redis-benchmark sends what it was told to
		requests = int64(o.requests)
	}
	foreign := after.programs - before.programs - kernel - server - generator - recorded
	run.Rate, run.Requests = rate, requests
	run.CPUNs = float64(server+generator) / float64(requests)
	run.CPUPercent = 100 * float64(recorded) / float64(took)
	run.Foreign = max(0, float64(foreign)/float64(after.total-before.total))
	return nil
}
