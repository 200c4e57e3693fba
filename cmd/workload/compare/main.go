// Command compare records releases of the same services, base and next in turn, and
// has kmon compare them in pairs: how often it sees a regression where there is none,
// and how often it sees those that were put in.
//
//	compare [-runs 100] [-duration 12s] [-out DIR]    record what is missing, then judge
//	compare -judge DIR [-table FILE]                  judge what was recorded
//
// Recording may be stopped and begun again: what is there is kept. Nothing else
// should run meanwhile.
//
// Exit codes: 0 at most 5 of 100 identical pairs have a regression, and at least 90
// of 100 others show what was put in; 1 not so; 2 something could not be recorded or
// read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// errMissed is the error of too many false regressions, or too few found.
var errMissed = errors.New("too many false regressions, or too few found")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errMissed):
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
}

// options are the command line.
type options struct {
	kmon, workload string
	dir            string
	runs           int
	duration       time.Duration
}

// run does what main does.
func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.kmon, "kmon", "./kmon", "the kmon to record with")
	flags.StringVar(&o.workload, "workload", "dist/workload", "the loads")
	flags.StringVar(&o.dir, "out", "dist/compare", "write captures into `DIR`")
	flags.IntVar(&o.runs, "runs", 100, "runs of each release")
	flags.DurationVar(&o.duration, "duration", 12*time.Second, "of each recording")
	only := flags.String("judge", "", "record nothing: judge the captures in `DIR`")
	table := flags.String("table", "", "write the table into `FILE`, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		o.dir = *only
	} else if err := o.recordAll(ctx, out); err != nil {
		return err
	}
	releases, err := readAll(ctx, out, o.dir)
	if err != nil {
		return err
	}
	text, good := judge(releases)
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if *table != "" {
		if err := os.WriteFile(*table, []byte(text), 0o644); err != nil { //nolint:gosec // a table for everybody
			return err
		}
	}
	if !good {
		return errMissed
	}
	return nil
}
