package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kmon/reports"
)

// size is a flag value: bytes, with a unit as GNU's tools have them.
type size int64

// sizeUnits are the units of a size, in capitals. A letter alone is binary.
var sizeUnits = map[string]float64{
	"": 1, "B": 1,
	"K": 1 << 10, "KIB": 1 << 10, "KB": 1e3,
	"M": 1 << 20, "MIB": 1 << 20, "MB": 1e6,
	"G": 1 << 30, "GIB": 1 << 30, "GB": 1e9,
	"T": 1 << 40, "TIB": 1 << 40, "TB": 1e12,
}

// String is empty for none.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return reports.BytesText(int64(*s))
}

func (s *size) Type() string { return "size" }

func (s *size) Set(text string) error {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := sizeUnits[strings.ToUpper(text[len(number):])]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !known || strings.ContainsAny(number, "eExX_+-") {
		return errors.New("not a size like 500MB (millions) or 512MiB (of 1024 KiB)")
	}
	if n *= unit; n >= math.MaxInt64 {
		return errors.New("out of range")
	}
	*s = size(n)
	return nil
}

// minMaxSize is the same as record.MinMaxSizeBytes, which is there only where
// kmon can record.
const minMaxSize = 1 << 20

// boundFlags are the flags of record for what it may take of the disk.
type boundFlags struct {
	maxSize optionalSize
	minFree optionalSize
}

// optionalSize is a flag value: a size, where 0 differs from not given.
type optionalSize struct {
	size
	given bool
}

func (o *optionalSize) Set(text string) error {
	o.given = true
	return o.size.Set(text)
}

// bytes is what record.Options has: 0 for the default, negative for none.
func (o *optionalSize) bytes() int64 {
	if o.given && o.size == 0 {
		return -1
	}
	return int64(o.size)
}

func (f *boundFlags) register(cmd *cobra.Command, flags *pflag.FlagSet) {
	flags.Var(&f.maxSize, "max-size", "stop before the capture is larger than this `SIZE`: 500MB, 2GiB (default: no limit)")
	flags.Var(&f.minFree, "min-free", "stop before the file system of FILE has less than this `SIZE` free; 0: whatever is free (default 100MiB, or 1% of a small one)")
	for _, name := range []string{"max-size", "min-free"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// check finds a size in which no capture has room.
func (f *boundFlags) check() error {
	if f.maxSize.given && f.maxSize.size < minMaxSize {
		return usagef("--max-size %s is too small for a capture, it is at least %s", reports.BytesText(int64(f.maxSize.size)), reports.BytesText(minMaxSize))
	}
	return nil
}
