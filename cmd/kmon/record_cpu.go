package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxSampleHz is what the kernel takes without a word (kernel.perf_event_max_sample_rate).
const maxSampleHz = 10_000

// cpuFlags are the flags of record for collector cpu.
type cpuFlags struct {
	shortest   shortest
	sampleHz   int
	userStacks bool
}

// shortest is a flag value: a duration, or 0.
type shortest struct{ duration }

func (s *shortest) Set(text string) error {
	if text == "0" {
		s.duration = 0
		return nil
	}
	return s.duration.Set(text)
}

// String is empty for the default of the flag, which its text tells.
func (s *shortest) String() string {
	if s.duration == defaultShortest {
		return ""
	}
	return time.Duration(s.duration).String()
}

// The same as record.DefaultOffCPUMin and record.DefaultSampleHz, which are
// there only where kmon can record.
const (
	defaultShortest = duration(time.Millisecond)
	defaultSampleHz = 99
)

func (f *cpuFlags) register(cmd *cobra.Command, flags *pflag.FlagSet) {
	f.shortest.duration = defaultShortest
	flags.Var(&f.shortest, "off-cpu-min", "keep the stacks of waits of at least this `TIME`; 0: of all (default 1ms)")
	flags.IntVar(&f.sampleHz, "sample-hz", defaultSampleHz, "sample each CPU `N` times a second; 0: never")
	flags.BoolVar(&f.userStacks, "user-stacks", false, "take the user stack of every wait, not only those of targets")
	for _, name := range []string{"off-cpu-min", "sample-hz"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

func (f *cpuFlags) check() error {
	if f.sampleHz < 0 || f.sampleHz > maxSampleHz {
		return usagef("--sample-hz %d is not from 0 to %d", f.sampleHz, maxSampleHz)
	}
	return nil
}
