//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// runSpawn starts processes that end as soon as they begin.
func runSpawn(ctx context.Context, out io.Writer, args []string) error {
	flags := newFlags("spawn")
	processes := flags.Int("processes", 1000, "processes in all")
	atOnce := flags.Int("at-once", 4, "processes at a time")
	rate := flags.Int("rate", 5000, "processes a second, at most")
	program := flags.String("program", "/bin/true", "the program they run")
	if err := errors.Join(flags.parse(args), flags.atLeast("processes", *processes, 1),
		flags.atLeast("at-once", *atOnce, 1), flags.atLeast("rate", *rate, 1)); err != nil {
		return err
	}
	truth := &Truth{Load: "spawn", StartUnixNs: time.Now().UnixNano(), Processes: []Process{{Name: exeName(), PID: os.Getpid()}}}
	ctx, cancel := context.WithTimeout(ctx, flags.limit)
	defer cancel()
	var err error
	if truth.Spawned, err = spawn(ctx, *program, *processes, *atOnce, *rate); err != nil {
		return fmt.Errorf("workload spawn: %w", err)
	}
	truth.EndUnixNs = time.Now().UnixNano()
	return flags.finish(out, truth)
}

// spawn starts count processes and waits for each of them.
func spawn(ctx context.Context, program string, count, atOnce, rate int) (int64, error) {
	turns := make(chan struct{})
	errs := make([]error, atOnce)
	counts := make([]int64, atOnce)
	var workers sync.WaitGroup
	for i := range atOnce {
		workers.Go(func() {
			for range turns {
				if err := runOnce(program); err != nil {
					errs[i] = err
					continue
				}
				counts[i]++
			}
		})
	}
	begin := time.Now()
	for i := range count {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if ctx.Err() != nil {
			break
		}
		turns <- struct{}{}
	}
	close(turns)
	workers.Wait()
	var all int64
	for _, n := range counts {
		all += n
	}
	return all, errors.Join(append(errs, ctx.Err())...)
}

// runOnce is os/exec without its pipes and goroutines.
func runOnce(program string) error {
	process, err := os.StartProcess(program, []string{program}, &os.ProcAttr{})
	if err != nil {
		return err
	}
	_, err = process.Wait()
	return err
}
