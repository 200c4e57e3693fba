package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// demo is the tour that `make demo` gives.
type demo struct {
	kmon     string        // the binary
	bundled  string        // a capture to show where nothing can be recorded
	dir      string        // where demo.kmon, demo.html and demo.md go
	duration time.Duration // of the recording
	out      io.Writer
}

// runDemo records the shop with kmon and analyzes the capture. Where kmon
// cannot record it says so, in kmon's own words, and analyzes the bundled
// capture of the same shop instead.
func runDemo(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("demo")
	d := demo{out: out}
	flags.StringVar(&d.kmon, "kmon", "./kmon", "the kmon to show")
	flags.StringVar(&d.bundled, "capture", filepath.Join("testdata", "captures", "v1", "shop.kmon"), "analyzed where nothing can be recorded")
	flags.StringVar(&d.dir, "dir", ".", "where demo.kmon, demo.html and demo.md go")
	flags.DurationVar(&d.duration, "duration", 10*time.Second, "of the recording")
	if err := flags.parse(args); err != nil {
		return err
	}
	if err := d.removeOld(); err != nil {
		return err
	}
	capture, err := d.record(ctx, flags.limit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(out, "\nNothing was recorded here: %v (its message is above).\nAnalyzing a recording of the same shop instead that comes with the source: %s\n(made in an emulator, where everything takes many times as long, kmon too)\n", err, d.bundled)
		capture = d.bundled
	}
	html, markdown := filepath.Join(d.dir, "demo.html"), filepath.Join(d.dir, "demo.md")
	if err := d.run(ctx, "analyze", capture, "-o", html, "-o", markdown); err != nil {
		return err
	}
	fmt.Fprintf(out, "\ncapture  %s\nreport   %s   open it in a browser\nticket   %s   paste it\n", capture, html, markdown)
	return nil
}

// removeOld removes what an earlier demo left: kmon overwrites no capture.
func (d demo) removeOld() error {
	for _, name := range []string{"demo.kmon", "demo.kmon.part", "demo.html", "demo.md"} {
		if err := os.Remove(filepath.Join(d.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// record runs the shop, records it, and gives the capture's name.
func (d demo) record(ctx context.Context, limit time.Duration) (string, error) {
	fmt.Fprintf(d.out, "Starting a small shop: frontend, cart, catalog, payment, db and a load generator. Recording it for %v.\n", d.duration)
	ctx, cancel := context.WithCancel(ctx)
	played := make(chan error, 1)
	go func() {
		load := shopConfig{Name: "loadgen", Rate: 200, Concurrency: 8, Seed: 1, Duration: d.duration + 3*time.Second}
		_, err := playShop(ctx, load, 0, limit)
		played <- err
	}()
	capture := filepath.Join(d.dir, "demo.kmon")
	err := d.run(ctx, "record", "-o", capture, "-d", d.duration.String())
	cancel()
	if shop := <-played; shop != nil {
		return "", fmt.Errorf("the shop: %w", shop)
	}
	return capture, err
}

// run runs kmon and shows what it says.
func (d demo) run(ctx context.Context, args ...string) error {
	fmt.Fprintf(d.out, "\n$ kmon")
	for _, arg := range args {
		fmt.Fprintf(d.out, " %s", arg)
	}
	fmt.Fprintln(d.out)
	command := exec.CommandContext(ctx, d.kmon, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	command.Stdout, command.Stderr = d.out, d.out
	if err := command.Run(); err != nil {
		return fmt.Errorf("kmon %s: %w", args[0], err)
	}
	return nil
}
