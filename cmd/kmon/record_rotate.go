package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kmon/reports"
)

// rotateFlags are the flags of record that divide a recording into files.
type rotateFlags struct {
	when  rotation
	count int
}

// rotation is a flag value: how large a part may be, or how long it lasts.
type rotation struct {
	size  size
	every duration
}

func (r *rotation) String() string {
	if r.every != 0 {
		return r.every.String()
	}
	return r.size.String()
}

func (r *rotation) Type() string { return "rotation" }

// Set takes 5m for minutes: sizes name their bytes.
func (r *rotation) Set(text string) error {
	*r = rotation{}
	if _, err := time.ParseDuration(text); err == nil && text != "0" {
		return r.every.Set(text)
	}
	if err := r.size.Set(text); err != nil || r.size < 1<<10 {
		return errors.New("neither a size like 100MB nor a duration like 5m")
	}
	return nil
}

// The same as record.MinRotateEvery, which is there only where kmon can record.
const minRotateEvery = duration(time.Second)

func (f *rotateFlags) register(cmd *cobra.Command, flags *pflag.FlagSet) {
	flags.Var(&f.when, "rotate", "begin another file before this `SIZE|TIME` is reached: 100MB, 5m")
	flags.IntVar(&f.count, "rotate-count", 0, "keep at most `N` files, remove the oldest (default: all)")
	for _, name := range []string{"rotate", "rotate-count"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// on says whether the recording is divided.
func (f *rotateFlags) on() bool { return f.when != rotation{} }

// check finds what cannot be; maxSize is that of all parts, 0: no limit.
func (f *rotateFlags) check(maxSize size) error {
	switch {
	case f.count != 0 && !f.on():
		return usagef("--rotate-count needs --rotate SIZE or --rotate DURATION, which says when a file ends")
	case f.count < 0 || f.count == 1:
		return usagef("--rotate-count %d is too few: one file is closed while the next is written already, so there are at least 2", f.count)
	case f.when.size != 0 && f.when.size < minMaxSize:
		return usagef("--rotate %s is too small for a capture, it is at least %s", f.when.size.String(), reports.BytesText(minMaxSize))
	case f.when.every != 0 && f.when.every < minRotateEvery:
		return usagef("--rotate %s is too short, it is at least a second", f.when.every.String())
	case f.on() && maxSize != 0 && maxSize < 2*minMaxSize:
		return usagef("--max-size %s is too little for two files, they have at least %s together", maxSize.String(), reports.BytesText(2*minMaxSize))
	}
	return nil
}
