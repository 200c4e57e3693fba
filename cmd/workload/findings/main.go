// Findings measures how well kmon's rules find faults: it makes synthetic captures
// with faults of all kinds, sizes and noise, and healthy ones, analyzes them, and
// writes what was found, missed and wrongly found into a table.
//
//	findings -write FINDINGS.md        the evaluation: seeds that no threshold was set on
//	findings -tune -json runs.jsonl    other seeds, to look at while rules change
//
// Seeds below 100000 are for tuning, those from 100000 on for the evaluation alone.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "findings:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stdout io.Writer, args []string) error {
	flags := flag.NewFlagSet("findings", flag.ContinueOnError)
	write := flags.String("write", "", "put the tables into this `FILE`, between its marks")
	runs := flags.String("json", "", "write what was found in each capture into this `FILE`, a line each")
	tune := flags.Bool("tune", false, "take the seeds for tuning")
	only := flags.String("only", "", "only these kinds or loads, with commas")
	every := flags.Int("every", 1, "only one in so many")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "runs at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	firstSeed := uint64(evaluationSeed)
	if *tune {
		firstSeed = tuningSeed
	}
	list := chosen(grid(firstSeed), *only, *every)
	results, err := judgeAll(ctx, list, *workers, func(done int) {
		if done%20 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d\n", done, len(list))
		}
	})
	if err != nil {
		return err
	}
	text := tables(results, *tune)
	fmt.Fprint(stdout, text)
	if *runs != "" {
		err = errors.Join(err, writeRuns(*runs, results))
	}
	if *write != "" {
		err = errors.Join(err, replaceBetween(*write, text))
	}
	return err
}

// chosen leaves out what is not asked for.
func chosen(list []trial, only string, every int) []trial {
	var kept []trial
	for i, c := range list {
		if i%max(every, 1) == 0 && (only == "" || strings.Contains(","+only+",", ","+c.name()+",")) {
			kept = append(kept, c)
		}
	}
	return kept
}

func writeRuns(path string, results []result) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	encoder := json.NewEncoder(b)
	var errs []error
	for _, r := range results {
		errs = append(errs, encoder.Encode(r))
	}
	return errors.Join(append(errs, b.Flush(), f.Close())...)
}

// The tables stand between these lines of a document.
const (
	beginMark = "<!-- synthetic: written by make findings -->\n"
	endMark   = "<!-- end of synthetic -->\n"
)

// replaceBetween puts text between the marks of a file.
func replaceBetween(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(old), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return fmt.Errorf("%s lacks the line %q or %q", path, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return os.WriteFile(path, []byte(before+beginMark+text+endMark+after), 0o644)
}
