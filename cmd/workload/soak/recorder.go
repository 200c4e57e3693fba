package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// recorder is the process that is tried.
type recorder struct {
	command *exec.Cmd
	said    bytes.Buffer
	ended   chan error
	looks   []look
	edits   int
}

// look is what the recorder had of the machine at one moment.
type look struct {
	residentBytes int64
	files         int // that it has open
}

func (s *soak) config() string { return filepath.Join(s.dir, "config.yaml") }

// record starts the recorder and waits until it records.
func (s *soak) record() error {
	if err := os.WriteFile(s.config(), nil, 0o600); err != nil {
		return err
	}
	r := &s.recorder
	r.command = exec.Command(s.kmon, "record", "-o", filepath.Join(s.dir, "soak.kmon"), "--config", s.config(),
		"-e", "tcp,cpu,block,drop,proc,syscall", "--rotate", s.rotate.String(), "--rotate-count", strconv.Itoa(s.partsKept))
	r.command.Stdout, r.command.Stderr = &r.said, &r.said
	if err := r.command.Start(); err != nil {
		return err
	}
	r.ended = make(chan error, 1)
	go func() { r.ended <- r.command.Wait() }()
	mark := func() error {
		return exec.Command(s.kmon, "mark", "--pid", strconv.Itoa(r.command.Process.Pid), "the load begins").Run()
	}
	for limit := time.Now().Add(time.Minute); mark() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(limit) || len(r.ended) > 0 {
			return fmt.Errorf("the recorder does not record: %s", r.said.String())
		}
	}
	return nil
}

// stop ends the recording in order.
func (r *recorder) stop() error {
	if len(r.ended) == 0 {
		if err := r.command.Process.Signal(os.Interrupt); err != nil {
			return err
		}
	}
	if err := <-r.ended; err != nil {
		return fmt.Errorf("the recorder: %w: %s", err, r.said.String())
	}
	return nil
}

// look notes what the recorder has.
func (r *recorder) look() {
	proc := filepath.Join("/proc", strconv.Itoa(r.command.Process.Pid))
	text, err := os.ReadFile(filepath.Join(proc, "statm"))
	fields := bytes.Fields(text)
	files, e := os.ReadDir(filepath.Join(proc, "fd"))
	if errors.Join(err, e) != nil || len(fields) < 2 {
		return // it has just ended, which is seen elsewhere
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return
	}
	r.looks = append(r.looks, look{residentBytes: pages * int64(os.Getpagesize()), files: len(files)})
}

// edit writes another version of the configuration: rules come and go, the
// file is replaced or written over, and at times it makes no sense.
func (s *soak) edit() error {
	n := s.recorder.edits
	s.recorder.edits++
	text := fmt.Sprintf("rules:\n  - service: nobody-%d\n    match: {exe: nobody-%d}\n", n, n%7)
	if n%10 == 9 {
		text = "rules: [ {service\n"
	}
	if n%2 == 0 {
		return os.WriteFile(s.config(), []byte(text), 0o600)
	}
	next := s.config() + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.config())
}
