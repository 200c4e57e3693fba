package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// tally counts by process.
type tally struct {
	asked  map[int32]int64 // requests, by their client
	served map[int32]int64 // by their server
	ios    map[int32]int64 // reads of a disk
}

func newTally() tally {
	return tally{asked: map[int32]int64{}, served: map[int32]int64{}, ios: map[int32]int64{}}
}

// loads are the processes that make the load, and what they counted.
type loads struct {
	sync.Mutex
	truth tally
	runs  int
}

// truth is the part of cmd/workload's truth that is used here.
type truth struct {
	Services []struct {
		PID      int32 `json:"pid"`
		Requests int64 `json:"requests"`
	} `json:"services"`
	Edges []struct {
		PID      int32 `json:"pid"`
		Requests int64 `json:"requests"`
	} `json:"edges"`
	Disks []struct {
		PID   int32 `json:"pid"`
		Reads int64 `json:"reads"`
	} `json:"disks"`
}

// fileBytes holds the IOs of one run of the disk's load.
const fileBytes = 64 << 20

// run keeps each load running until ctx ends; a run that has begun is let end.
func (l *loads) run(ctx context.Context, workload, dir string) error {
	l.truth = newTally()
	file := filepath.Join(dir, "overwritten")
	if err := writeThrough(file); err != nil {
		return err
	}
	all := [][]string{
		{"echo", "-connections", "16", "-requests", "200000"},
		{"echo", "-connections", "2", "-requests", "4000", "-fresh"},
		{"disk", "-overwrite", file, "-reads", "3000", "-writes", "1000", "-write-bytes", "4096"},
		{"shop", "-rate", "50", "-duration", "5s"},
	}
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, args := range all {
		running.Go(func() {
			path := filepath.Join(dir, fmt.Sprintf("truth-%d.json", i))
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = l.once(workload, path, args)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// writeThrough writes a file to the disk: what stayed in memory would be written
// by the first who reads it past the page cache.
func writeThrough(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, fileBytes))
	return errors.Join(err, file.Sync(), file.Close())
}

// once runs a load to its end and adds what it counted.
func (l *loads) once(workload, path string, args []string) error {
	command := exec.Command(workload, append(args, "-truth", path)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("workload %s: %w: %s", args[0], err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var t truth
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	l.Lock()
	defer l.Unlock()
	l.runs++
	for _, s := range t.Services {
		l.truth.served[s.PID] += s.Requests
	}
	for _, e := range t.Edges {
		l.truth.asked[e.PID] += e.Requests
	}
	for _, d := range t.Disks {
		l.truth.ios[d.PID] += d.Reads
	}
	return nil
}
