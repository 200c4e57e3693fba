package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kmon/record/trigger"
	"kmon/reports"
)

// The same as record.MinRing and record.MinRingBytes, which are there only where
// kmon can record.
const (
	minRing     = 10 * time.Second
	minRingSize = 32 << 20
)

// ringFlags are the flags of record for the flight recorder.
type ringFlags struct {
	length     duration
	triggers   []string
	noLastDump bool
}

func (f *ringFlags) register(cmd *cobra.Command, flags *pflag.FlagSet) {
	flags.Var(&f.length, "ring", "keep only the last `TIME`, and write it out when asked: 10m")
	flags.StringArrayVar(&f.triggers, "trigger", nil, "write the ring out when this `EXPR` holds: 'p99(service=cart)>200ms'; repeatable")
	flags.BoolVar(&f.noLastDump, "no-last-dump", false, "do not write the ring out when the recording ends")
	must(cmd.RegisterFlagCompletionFunc("ring", cobra.NoFileCompletions))
	must(cmd.RegisterFlagCompletionFunc("trigger", completeTriggers))
}

// completeTriggers offers one condition of each kind.
func completeTriggers(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"p99(service=", "p95(service=", "p50(service=", "max(service=", "requests(service=", "drops>", "resets>", "retransmits>",
		"pressure(cpu)>", "pressure(io)>", "pressure(memory)>"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// conditions are the triggers, parsed.
func (f *ringFlags) conditions() ([]trigger.Condition, error) {
	var all []trigger.Condition
	for _, text := range f.triggers {
		c, err := trigger.Parse(text)
		if err != nil {
			return nil, usagef("--trigger: %v", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// check finds flags of the ring without one, and a ring that cannot be kept.
func (f *ringFlags) check(bounds boundFlags) error {
	_, err := f.conditions()
	switch {
	case err != nil:
		return err
	case f.length == 0 && len(f.triggers) > 0:
		return usagef("--trigger needs --ring: there is nothing else that it could write out")
	case f.length == 0 && f.noLastDump:
		return usagef("--no-last-dump needs --ring")
	case f.length == 0:
		return nil
	case time.Duration(f.length) < minRing:
		return usagef("--ring %s is too short, it is at least %s", f.length.String(), minRing)
	case bounds.maxSize.given && bounds.maxSize.size < minRingSize:
		return usagef("--max-size %s is too small for a ring and its dump, it is at least %s", reports.BytesText(int64(bounds.maxSize.size)), reports.BytesText(minRingSize))
	case len(f.triggers) > trigger.MaxConditions:
		return usagef("%d triggers, at most %d are watched", len(f.triggers), trigger.MaxConditions)
	}
	return nil
}
