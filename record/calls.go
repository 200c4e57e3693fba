package record

import (
	"fmt"
	"slices"
	"strconv"

	"kmon/record/probe"
)

// callsCollector counts system calls, which every one of them pays for: it
// runs only when asked for.
const callsCollector = "syscall"

// DefaultCalls is the word for probe.DefaultCalls among Options.Syscalls.
const DefaultCalls = "default"

// calls says what collector syscall counts, and runs it if that is anything.
// With Counts alone, system calls are left as fast as they are.
func (r *recorder) calls() (probe.Calls, error) {
	o := r.options
	if o.interval() < tickEvery {
		return probe.Calls{}, fmt.Errorf("an interval of %v is too short, it is at least %v", o.interval(), tickEvery)
	}
	calls := probe.Calls{Latency: o.SyscallLatency}
	running := slices.Contains(r.running, callsCollector)
	if running || len(o.Syscalls) > 0 || o.SyscallLatency && len(o.Counts) == 0 {
		var err error
		if calls.Numbers, err = parseCalls(o.Syscalls); err != nil {
			return calls, err
		}
	}
	for _, name := range o.Counts {
		if err := calls.Count(name); err != nil {
			return calls, err
		}
	}
	if !calls.Empty() && !running {
		r.running = append(r.running, callsCollector)
	}
	return calls, nil
}

func parseCalls(names []string) ([]int, error) {
	if len(names) == 0 || slices.Equal(names, []string{DefaultCalls}) {
		return probe.ParseCalls(nil)
	}
	return probe.ParseCalls(names)
}

// callSettings are what the rows of table syscalls depend on.
func (o Options) callSettings(calls probe.Calls) map[string]string {
	s := calls.Settings()
	s["interval_ns"] = strconv.FormatInt(o.interval().Nanoseconds(), 10)
	return s
}
