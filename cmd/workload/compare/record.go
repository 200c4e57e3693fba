package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The next release is that much worse. A part of what worker needs for a request is
// not its work but the kernel's, for reading, sleeping and writing: with 1.13 times
// the work its CPU time grows by some 10%.
const (
	tailTimes = "1.15"
	workTimes = "1.13"
)

// Names of the releases, and of the services that are recorded.
const (
	baseRelease   = "base"
	nextRelease   = "next"
	captureEnding = ".kmon"
)

var services = []string{"asker", "steady", "tail", "worker"}

// path is where the capture of a run is.
func (o options) path(release string, number int) string {
	return filepath.Join(o.dir, fmt.Sprintf("%s-%03d%s", release, number, captureEnding))
}

// recordAll records the runs that are not there, both releases in turn.
func (o options) recordAll(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	began, made := time.Now(), 0
	for number := range o.runs {
		for _, release := range []string{baseRelease, nextRelease} {
			path := o.path(release, number)
			if _, err := os.Stat(path); err == nil {
				continue
			}
			if err := o.record(ctx, path, release); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			made++
			left := 2*(o.runs-number) - 1
			if release == nextRelease {
				left--
			}
			each := time.Since(began) / time.Duration(made)
			fmt.Fprintf(out, "%s recorded; %d to go, %v\n", filepath.Base(path), left, (each * time.Duration(left)).Round(time.Second))
		}
	}
	return nil
}

// begunLine is what the load says when its services are there.
const begunLine = "workload: begun\n"

// record plays a release and records it. The file has its name when it is whole.
func (o options) record(ctx context.Context, path, release string) error {
	args := []string{"release", "-truth", os.DevNull, "-duration", (o.duration + time.Minute).String()}
	if release == nextRelease {
		args = append(args, "-tail", tailTimes, "-work", workTimes)
	}
	load := exec.CommandContext(ctx, o.workload, args...)
	says, err := load.StderrPipe()
	if err != nil {
		return err
	}
	if err := load.Start(); err != nil {
		return err
	}
	said := bufio.NewReader(says)
	line, err := said.ReadString('\n')
	if err != nil || line != begunLine {
		return errors.Join(fmt.Errorf("the load says %q and not that it began", line), load.Wait())
	}
	rest := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(said) //nolint:errcheck // Wait tells
		rest <- text
	}()
	err = o.capture(ctx, path)
	err = errors.Join(err, load.Process.Signal(os.Interrupt))
	text := <-rest
	if e := load.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("the load: %w: %s", e, text))
	}
	return err
}

// capture records for a while, once the load runs steadily.
func (o options) capture(ctx context.Context, path string) error {
	making := path + ".making" + captureEnding
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	args := []string{"record", "-o", making, "-d", o.duration.String(), "-e", "tcp,cpu,drop", "--interval", "1s"}
	for _, service := range services {
		args = append(args, "--service", service)
	}
	kmon := exec.CommandContext(ctx, o.kmon, args...)
	var text bytes.Buffer
	kmon.Stdout, kmon.Stderr = &text, &text
	if err := kmon.Run(); err != nil {
		return errors.Join(fmt.Errorf("kmon: %w: %s", err, text.Bytes()), os.RemoveAll(making))
	}
	return os.Rename(making, path)
}
