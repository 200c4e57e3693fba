// Command faults records services to which something bad happens, has kmon
// analyze what it recorded, and holds what it finds against what was wrong.
//
//	faults [-only yield,spin] [-duration 60s] [-out DIR] [-guests DIR]
//
// Each fault is recorded with its healthy twin, the same load without the
// fault. Faults of disks and links are recorded in virtual machines, by
// cmd/workload/kernels; -guests is where it left them. Nothing else should run
// meanwhile: what takes the CPUs from a load is a fault, too.
//
// Exit codes: 0 kmon finds what was wrong and nothing else; 1 it does not; 2
// something could not be recorded.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kmon/analyze"
)

// errMissed is the error of findings that are not those that are right.
var errMissed = errors.New("a finding is missing, or wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errMissed):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
}

// options are the command line.
type options struct {
	kmon, workload string
	out            string
	duration       time.Duration
}

// run does what main does.
func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.kmon, "kmon", "./kmon", "the kmon to try")
	flags.StringVar(&o.workload, "workload", "dist/workload", "the loads")
	flags.StringVar(&o.out, "out", "dist/faults", "write captures and truths to `DIR`")
	flags.DurationVar(&o.duration, "duration", 60*time.Second, "of each load, half of it healthy")
	only := flags.String("only", "", "record these faults only, separated by commas; none: those of -guests alone")
	guests := flags.String("guests", "", "judge the captures of `DIR`, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	if !isSet(flags, "only") {
		for _, e := range expectations {
			if !e.guest {
				names = append(names, e.name)
			}
		}
	}
	if err := o.recordAll(ctx, out, names); err != nil {
		return err
	}
	dirs := []string{o.out}
	if *guests != "" {
		dirs = append(dirs, *guests)
	}
	return judgeAll(ctx, out, dirs)
}

func isSet(flags *flag.FlagSet, name string) (set bool) {
	flags.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func (o options) recordAll(ctx context.Context, out io.Writer, names []string) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		at := slices.IndexFunc(expectations, func(e expectation) bool { return e.name == name && !e.guest })
		if at < 0 {
			return fmt.Errorf("no fault %q that this computer records", name)
		}
		fmt.Fprintf(out, "recording %s for %v\n", name, o.duration)
		if err := o.record(ctx, expectations[at]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// record records one load with kmon, from when its services are there to its end.
func (o options) record(ctx context.Context, e expectation) error {
	path := filepath.Join(o.out, e.name)
	for _, old := range []string{captureEnding, captureEnding + ".part", truthEnding} {
		if err := os.RemoveAll(path + old); err != nil {
			return err
		}
	}
	load := exec.CommandContext(ctx, o.workload, append([]string{"fault", "-duration", o.duration.String(), "-truth", path + truthEnding}, e.load...)...)
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
	args := []string{"record", "-o", path + captureEnding}
	for _, service := range e.services {
		args = append(args, "--service", service)
	}
	kmon := exec.CommandContext(ctx, o.kmon, args...)
	var text bytes.Buffer
	kmon.Stdout, kmon.Stderr = &text, &text
	if err := kmon.Start(); err != nil {
		return errors.Join(err, load.Process.Kill(), load.Wait())
	}
	_, err = io.Copy(io.Discard, said) // until the load ends
	err = errors.Join(err, load.Wait(), kmon.Process.Signal(os.Interrupt))
	if e := kmon.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("kmon: %w: %s", e, text.Bytes()))
	}
	return err
}

// begunLine is what a load says when its services are there.
const begunLine = "workload: begun\n"

// judgeAll judges the captures of directories.
func judgeAll(ctx context.Context, out io.Writer, dirs []string) error {
	wrong := 0
	for _, dir := range dirs {
		for _, e := range expectations {
			path := filepath.Join(dir, e.name)
			if _, err := os.Stat(path + captureEnding); err != nil {
				continue // of the other directory
			}
			v, err := judge(ctx, path, e)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			wrong += len(v.wrong)
			fmt.Fprintf(out, "%-20s %s\n", e.name, v)
		}
	}
	if wrong > 0 {
		return errMissed
	}
	return nil
}

// judge analyzes one capture.
func judge(ctx context.Context, path string, e expectation) (verdict, error) {
	text, err := os.ReadFile(path + truthEnding)
	if err != nil {
		return verdict{}, err
	}
	var t truth
	if err := json.Unmarshal(text, &t); err != nil {
		return verdict{}, err
	}
	a, err := analyze.Run(ctx, []string{path + captureEnding}, analyze.Options{})
	if err != nil {
		return verdict{}, err
	}
	return e.judge(a.Findings, t), nil
}
