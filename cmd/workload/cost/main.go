// Command cost measures what recording costs the programs that are recorded.
//
// It runs a load with a recorder on and off in turn and compares each run with
// the mean of the two "off" runs beside it, for on a shared machine absolute
// figures mean nothing. One round is
//
//	off, recorder, recorder, off, recorder, recorder, off, …
//
// and each round starts with another recorder. A round in which other programs
// took more than a share of the machine is thrown away. The same comparison of
// "off" with "off" gives the noise that every ratio must be read against.
//
// Loads: redis (GETs over 50 connections), nginx (keep-alive), nginx-close (a
// connection for each request), pgbench (selects) and pipe (two processes that
// wake each other on one CPU). Recorders: kmon as it comes, kmon-tcp with
// collectors tcp and proc alone, tcpdump, and perf-sched (perf sched record).
// Servers, load generators and recorders run on the loopback interface, from
// temporary directories, and are ended by pid. It needs root and the programs
// of the loads and recorders asked for.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(2)
	}
}

// options are the command line.
type options struct {
	rounds    int
	loads     []string
	recorders []string
	kmon      string
	requests  int           // of a redis run
	duration  time.Duration // of a wrk run
	foreign   float64       // share of the machine that others may take
	attempts  int           // rounds begun for each load, at most
	patience  time.Duration // how long a run waits for an idle machine
}

// run measures and writes the tables to out.
func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.rounds, "rounds", 9, "rounds that count, for each load")
	loads := flags.String("loads", "redis,nginx,nginx-close,pgbench,pipe", "loads to run")
	recorders := flags.String("recorders", "kmon,kmon-tcp,tcpdump", "recorders to measure")
	flags.StringVar(&o.kmon, "kmon", "./kmon", "the kmon to measure")
	flags.IntVar(&o.requests, "requests", 250000, "requests of one redis run, operations of one pipe run")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "of one nginx or pgbench run")
	flags.Float64Var(&o.foreign, "foreign", 0.05, "throw a round away when other programs take a larger share of the machine")
	flags.IntVar(&o.attempts, "attempts", 0, "rounds begun at most, for each load (default: three times -rounds)")
	flags.DurationVar(&o.patience, "patience", 15*time.Second, "how long a run waits for an idle machine before it starts all the same")
	jsonl := flags.String("jsonl", "", "write each run as a line of JSON to `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.requests < 1 || o.duration < time.Second {
		return fmt.Errorf("want -rounds and -requests of at least 1, -duration of at least 1s, and no further argument %q", flags.Args())
	}
	o.loads, o.recorders = strings.Split(*loads, ","), strings.Split(*recorders, ",")
	if o.attempts == 0 {
		o.attempts = 3 * o.rounds
	}
	record := json.NewEncoder(io.Discard)
	if *jsonl != "" {
		file, err := os.Create(*jsonl)
		if err != nil {
			return err
		}
		defer file.Close()
		record = json.NewEncoder(file)
	}
	dir, err := os.MkdirTemp("", "cost-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range o.loads {
		part := o
		if part.recorders = recordersOf(name, o.recorders); len(part.recorders) == 0 {
			return fmt.Errorf("%s: nothing goes over the network, so the recorders asked for see nothing: name kmon or perf-sched", name)
		}
		rounds, err := part.measure(ctx, filepath.Join(dir, name), name, record)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		report(out, name, part, rounds)
	}
	return nil
}

// recordersOf are the recorders that have something to record of a load.
func recordersOf(load string, recorders []string) []string {
	if load != pipeName {
		return recorders
	}
	return slices.DeleteFunc(slices.Clone(recorders), func(name string) bool { return name == "kmon-tcp" || name == "tcpdump" })
}

// measure runs one load until enough rounds count.
func (o options) measure(ctx context.Context, dir, name string, record *json.Encoder) ([]round, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	load, err := startLoad(ctx, name, dir, o)
	if err != nil {
		return nil, err
	}
	defer load.stop() //nolint:errcheck // the measurements are made
	var rounds []round
	for kept, begun := 0, 0; kept < o.rounds && begun < o.attempts; begun++ {
		r, err := o.round(ctx, load, begun, record)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
		if !r.discarded {
			kept++
		}
	}
	return rounds, nil
}

// round runs each recorder once, with "off" before, after and between.
func (o options) round(ctx context.Context, load *load, number int, record *json.Encoder) (round, error) {
	r := round{}
	for _, name := range sequence(o.recorders, number) {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		result, err := o.once(ctx, load, name)
		if err != nil {
			return r, fmt.Errorf("round %d, %s: %w", number, name, err)
		}
		result.Round, result.Load = number, load.name
		r.discarded = r.discarded || result.Foreign > o.foreign
		r.runs = append(r.runs, result)
		fmt.Fprintf(os.Stderr, "%s round %d %-8s %9.0f requests/s, foreign CPU %4.1f%%\n", load.name, number, name, result.Rate, 100*result.Foreign)
		if err := record.Encode(result); err != nil {
			return r, err
		}
	}
	return r, nil
}
