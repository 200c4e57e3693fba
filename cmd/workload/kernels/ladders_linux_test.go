package main

import (
	"slices"
	"testing"

	"kmon/record/probe"
)

// untried are variants that no kernel here can be brought to use, and why.
var untried = map[string]string{
	"tp_btf:tcp_retransmit_skb": "needs a kernel of 6.16",
}

// Every variant of every ladder is used by some trial of some kernel, or by
// all where there is no choice.
func TestEveryVariantIsTried(t *testing.T) {
	for indicator, ladder := range probe.Ladders() {
		if len(ladder) == 1 {
			continue
		}
		for _, variant := range ladder {
			tried := slices.ContainsFunc(kernels, func(k kernel) bool {
				return slices.ContainsFunc(k.trials, func(t trial) bool { return t.want[indicator] == variant })
			})
			if tried == (untried[variant] != "") {
				t.Errorf("variant %s of %s: tried %v, and untried for %q", variant, indicator, tried, untried[variant])
			}
		}
	}
}
