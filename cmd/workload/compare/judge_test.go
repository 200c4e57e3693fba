package main

import (
	"slices"
	"strings"
	"testing"

	"kmon/analyze/compare"
)

// recorded is a number of recordings that hold nothing.
func recorded(n int) (list []*compare.Gathered) {
	for range n {
		list = append(list, &compare.Gathered{})
	}
	return list
}

// In no pair is a recording on both sides, or among those that show the noise; pairs
// of the same are of one release, the others of both.
func TestPairs(t *testing.T) {
	r := releases{recorded(100), recorded(100)}
	for _, w := range ways {
		same, changed := w.identical(r), w.injected(r)
		if w.side == 1 && (len(same) != 100 || len(changed) != 100) {
			t.Errorf("%s: %d and %d pairs", w.name, len(same), len(changed))
		}
		if len(same) == 0 || len(changed) == 0 {
			t.Errorf("%s: %d and %d pairs", w.name, len(same), len(changed))
		}
		for i, p := range slices.Concat(same, changed) {
			if len(p.base) != w.side || len(p.new) != w.side || len(p.noise) != w.noise {
				t.Errorf("%s: %d and %d a side, %d of noise", w.name, len(p.base), len(p.new), len(p.noise))
			}
			for _, g := range p.base {
				if slices.Contains(p.new, g) || slices.Contains(p.noise, g) {
					t.Errorf("%s: pair %d has a recording twice", w.name, i)
				}
			}
			next := slices.ContainsFunc(p.new, func(g *compare.Gathered) bool { return slices.Contains(r.next, g) })
			first := slices.ContainsFunc(p.base, func(g *compare.Gathered) bool { return slices.Contains(r.base, g) })
			if changes := first && next; changes != (i >= len(same)) {
				t.Errorf("%s: pair %d of %d is of both releases: %v", w.name, i, len(same), changes)
			}
		}
	}
	if few := ways[1].identical(releases{recorded(4), recorded(4)}); len(few) != 4 || few[0].noise != nil {
		t.Errorf("of four recordings: %d pairs", len(few))
	}
}

// What was put in, and what follows from it, is no false alarm; all else is.
func TestFollows(t *testing.T) {
	for text, want := range map[string]bool{
		"tail p99": true, "tail p50": false, "tail cpu": false, "asker>tail p99": true,
		"worker cpu": true, "worker p50": true, "worker errors": false, "steady cpu": false, "asker>steady p99": false,
	} {
		name, metric, _ := strings.Cut(text, " ")
		c := compare.Change{Metric: compare.Metric(metric)}
		if client, server, edge := strings.Cut(name, ">"); edge {
			c.Subject.Client, c.Subject.Server = client, server
		} else {
			c.Subject.Service = name
		}
		if follows(c) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
