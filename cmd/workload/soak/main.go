// Command soak records a full load for long, with rotation and an edit of the
// configuration every second, and fails if anything grows, is lost without
// being counted, or cannot be opened.
//
//	soak -for 1h -kmon ./kmon -workload dist/workload
//
// It holds the parts of the recording against what the loads counted
// themselves: of each process the requests it asked, the requests it served
// and the IOs it made. With what the kernel counted as lost they must be the
// same number.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// soak is one run.
type soak struct {
	kmon, workload string // binaries
	dir            string // of captures, configuration and the file that is read and written
	duration       time.Duration
	rotate         time.Duration
	partsKept      int // by the recorder; each is counted long before it goes
	keep           bool

	loads    loads
	recorder recorder
	parts    parts
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s := soak{}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.StringVar(&s.kmon, "kmon", "./kmon", "the recorder")
	flags.StringVar(&s.workload, "workload", "dist/workload", "what makes the load")
	flags.StringVar(&s.dir, "dir", filepath.Join("dist", "soak"), "where captures are written, on a disk; must not exist")
	flags.DurationVar(&s.duration, "for", time.Hour, "how long")
	flags.DurationVar(&s.rotate, "rotate", 20*time.Second, "a part of the recording")
	flags.IntVar(&s.partsKept, "rotate-count", 30, "parts that stay; more of them to look for what is missing")
	flags.BoolVar(&s.keep, "keep", false, "keep the folder when all is well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s.run(ctx)
}

// run loads and records, and then says how it went.
func (s *soak) run(ctx context.Context) error {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return fmt.Errorf("%w: remove it or name another with -dir", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	if err := s.record(); err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		err := s.loads.run(ctx, s.workload, s.dir)
		cancel() // there is nothing to watch without
		loaded <- err
	}()
	err := s.watch(ctx)
	if err != nil {
		cancel()
	}
	err = errors.Join(err, <-loaded)          // the loads count to their end,
	err = errors.Join(err, s.recorder.stop()) // and the recorder sees it
	err = errors.Join(err, s.countParts(true))
	if err = errors.Join(err, s.judge(os.Stdout)); err != nil || s.keep {
		return err
	}
	return os.RemoveAll(s.dir)
}

// watch edits the configuration, looks at the recorder and counts the parts
// that are complete, once a second until ctx ends.
func (s *soak) watch(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.recorder.ended:
			s.recorder.ended <- err
			return errors.New("the recorder ended by itself")
		case <-second.C:
		}
		s.recorder.look()
		if err := errors.Join(s.edit(), s.countParts(false)); err != nil {
			return err
		}
	}
}
