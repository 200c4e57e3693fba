package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// diskBytes is the size of the disk that loads read and write, handBytes
	// of the one that results are handed out on.
	diskBytes = 16 << 20
	handBytes = 256 << 20
	// diskIOPS makes the disk of the loads so slow that its times are its own
	// and not the machine's.
	diskIOPS = 50
)

// consoleName is what a guest said, in the directory of its results.
const consoleName = "console.log"

// boot runs the trials in a guest and takes what it hands out to dir.
func (o options) boot(ctx context.Context, m machine, files kernelFiles, trials []trial, dir string) error {
	p, err := o.programsFor(m)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	initramfs, disk, hand := filepath.Join(work, "initramfs"), filepath.Join(work, "disk"), filepath.Join(work, "hand")
	err = errors.Join(o.writeInitramfs(initramfs, p, files, trials), makeDisk(disk, diskBytes), makeDisk(hand, handBytes))
	if err != nil {
		return err
	}
	console := filepath.Join(dir, consoleName)
	ended := o.emulate(ctx, m, console, nil, "-kernel", files.image, "-initrd", initramfs,
		"-drive", fmt.Sprintf("file=%s,format=raw,if=virtio,throttling.iops-total=%d", disk, diskIOPS),
		"-drive", "file="+hand+",format=raw,if=virtio")
	n, err := takeOut(hand, dir)
	if n == 0 {
		err = errors.Join(errors.New("the guest handed nothing out"), err)
	}
	if err := errors.Join(ended, err); err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, console, tail(console))
	}
	return nil
}

// errCut is the end of a guest that was cut off.
var errCut = errors.New("the power was cut")

// emulate runs a guest to its end, its console in a file. Words that it says are
// answered; the error of an answer ends it.
func (o options) emulate(ctx context.Context, m machine, console string, answers map[string]func() error, args ...string) error {
	file, err := os.Create(console)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("it did not end within %v", o.limit))
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	cmd := exec.CommandContext(ctx, m.qemu[0], slices.Concat(m.qemu[1:], []string{
		// One thread for both CPUs: with one for each, guests of qemu 7.2 run into
		// breakpoints of kernel code that was patched long ago.
		"-accel", "tcg,thread=single", "-smp", "2", "-m", "1024", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		// A kernel that panics restarts, which ends qemu.
		"-append", "console=" + m.console + " loglevel=5 panic=-1 oops=panic",
	}, args)...)
	cmd.Stdout, cmd.Stderr = file, file
	for word, answer := range answers {
		cmd.Stdout = &ear{to: cmd.Stdout, word: word, heard: func() {
			if err := answer(); err != nil {
				cut(err)
			}
		}}
	}
	if err := cmd.Run(); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return nil
}

// ear hands on what a guest says, and listens for a word.
type ear struct {
	to    io.Writer
	word  string
	heard func()
	last  string // of what was said, shorter than the word
}

func (e *ear) Write(p []byte) (int, error) {
	said := e.last + string(p)
	if strings.Contains(said, e.word) {
		e.heard()
	}
	e.last = said[max(0, len(said)-len(e.word)+1):]
	return e.to.Write(p)
}

// makeDisk makes an empty disk, which takes no room until it is written to.
func makeDisk(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(size), file.Close())
}

// takeOut unpacks what a guest handed out and gives the number of files.
func takeOut(hand, dir string) (n int, err error) {
	file, err := os.Open(hand)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	archive := tar.NewReader(file)
	for ; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		content, err := io.ReadAll(archive)
		path := filepath.Join(dir, filepath.Join("/", header.Name))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
		if err != nil {
			return n, err
		}
	}
}

// troubles are what a kernel says on its console when something is wrong with
// it, or with what kmon does to it.
var troubles = []string{"BUG:", "WARNING: CPU", "Oops", "stall", "hung_task"}

// checkConsole holds that a guest's kernel had no trouble.
func checkConsole(path string) *result {
	r := &result{saw: "the kernel had no trouble"}
	text, err := os.ReadFile(path)
	r.fail(err)
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(troubles, func(trouble string) bool { return strings.Contains(line, trouble) }) {
			r.fail(errors.New(strings.TrimSpace(line)))
		}
	}
	return r
}

// tail gives the last lines of a console, of their text only.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.ReplaceAll(string(text), "\r", ""), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-40):], "\n    ")
}
