package main

import (
	"regexp"
	"strconv"
)

const pipeName = "pipe"

// pipeLoad is two processes on one CPU that wake each other through pipes: two
// switches and two wake-ups for each operation, and little else. On two CPUs
// its rate flips between two values far apart, so it is pinned.
func pipeLoad(operations int) *load {
	return &load{name: pipeName, parse: parsePipe,
		command: []string{"taskset", "-c", "1", "perf", "bench", "sched", "pipe", "-l", strconv.Itoa(operations)}}
}

var (
	pipeRate       = regexp.MustCompile(`([\d.]+) ops/sec`)
	pipeOperations = regexp.MustCompile(`Executed (\d+) pipe operations`)
)

// parsePipe reads the summary of perf bench sched pipe.
func parsePipe(output string) (float64, int64, error) {
	return parseRateAndCount("perf bench", output, pipeRate, pipeOperations)
}
