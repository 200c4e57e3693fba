package main

import (
	"errors"
	"strconv"
	"strings"
)

// cpuShare is a flag value: a share of the time of all CPUs, in percent.
type cpuShare float64

// String is empty for none.
func (s *cpuShare) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatFloat(100*float64(*s), 'g', -1, 64) + "%"
}

func (s *cpuShare) Type() string { return "percent" }

func (s *cpuShare) Set(text string) error {
	number, isPercent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	// Written so that it is false for what is not a number.
	if inside := n > 0 && n <= 100; err != nil || !isPercent || !inside || strings.ContainsAny(number, "xXpP_+") {
		return errors.New("not a share of all CPUs like 2% or 0.5%")
	}
	*s = cpuShare(n / 100)
	return nil
}
