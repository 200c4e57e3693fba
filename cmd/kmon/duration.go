package main

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// duration is a flag value: a Go duration ("90s", "1m30s") or, as in perf and
// timeout, plain seconds ("90").
type duration time.Duration

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "duration" }

func (d *duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if seconds, notNumber := strconv.ParseFloat(s, 64); notNumber == nil {
		v, err = secondsToDuration(seconds)
	}
	if err != nil {
		return fmt.Errorf("not a duration like 30s or 5m")
	}
	if v <= 0 {
		return fmt.Errorf("must be longer than nothing")
	}
	*d = duration(v)
	return nil
}

func secondsToDuration(s float64) (time.Duration, error) {
	if ns := s * 1e9; ns < math.MaxInt64 && ns > math.MinInt64 { // NaN fails both
		return time.Duration(ns), nil
	}
	return 0, fmt.Errorf("out of range")
}
