package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/analyze/finding"
	"kmon/record/synthetic"
)

// TestGrid holds that there is enough, and no seed twice but with losses and with a
// baseline.
func TestGrid(t *testing.T) {
	faulty, healthySets := 0, 0
	seeds := map[uint64][]float64{}
	for _, c := range grid(evaluationSeed) {
		if c.Seed < evaluationSeed {
			t.Errorf("%+v has a seed for tuning", c)
		}
		seeds[c.Seed] = append(seeds[c.Seed], c.Lost)
		switch {
		case c.Lost > 0 || c.Baseline:
		case c.Kind == "":
			healthySets++
		default:
			faulty++
		}
	}
	if faulty < 200 || healthySets < 100 {
		t.Errorf("%d faulty and %d healthy sets of captures", faulty, healthySets)
	}
	for seed, lost := range seeds {
		if !slices.Equal(lost, []float64{0, lostPart, 0}) {
			t.Errorf("seed %d is of captures with losses of %v", seed, lost)
		}
	}
	for _, c := range grid(tuningSeed) {
		if c.Seed >= evaluationSeed {
			t.Fatalf("%+v has a seed of the evaluation", c)
		}
	}
}

func TestHold(t *testing.T) {
	const start = 1_000_000 * int64(1e9)
	r := result{Trial: trial{Kind: "limping-disk"}, Truth: synthetic.Injected{Kind: "limping-disk", Node: "node2", FromNs: 25e9, ToNs: 75e9}}
	at := func(kind finding.Kind, host string, fromS int64) finding.Finding {
		return finding.Finding{Kind: kind, Subject: finding.Subject{Type: "disk", Name: host + " nvme0n1", Host: host}, StartNs: start + fromS*1e9, EndNs: start + 75e9}
	}
	for what, c := range map[string]struct {
		f    finding.Finding
		want bool
	}{
		"the fault":       {at(finding.LimpingDisk, "node2", 30), true},
		"what waits":      {at(finding.Limplock, "node2", 30), true},
		"another node":    {at(finding.LimpingDisk, "node1", 30), false},
		"another kind":    {at(finding.SlowNode, "node2", 30), false},
		"long before":     {at(finding.LimpingDisk, "node2", 5), false},
		"nearly in time":  {at(finding.LimpingDisk, "node2", 20), true},
		"a longer number": {at(finding.LimpingDisk, "node22", 30), false},
	} {
		if got := r.isRight(c.f, start); got != c.want {
			t.Errorf("%s: right is %v, want %v", what, got, c.want)
		}
	}
	if healthy := (result{}); healthy.isRight(at(finding.LimpingDisk, "node2", 30), start) {
		t.Error("a finding in a healthy capture is right")
	}
}

func TestReplaceBetween(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceBetween(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "before\n" + beginMark + "new\n" + endMark + "after\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceBetween(path, ""); err == nil || !strings.Contains(err.Error(), "lacks the line") {
		t.Errorf("without marks: error %v", err)
	}
}

// TestHealthyIsHealthy is a small part of the evaluation, on seeds for tuning.
func TestHealthyIsHealthy(t *testing.T) {
	var list []trial
	for i, load := range loads[:6] {
		list = append(list, trial{Load: load, Noise: 0.2, Nodes: 3, Seed: 500 + uint64(i)})
	}
	results, err := judgeAll(context.Background(), list, 2, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		for _, c := range r.Claims {
			t.Errorf("%v: %s", r.Trial.Load, c.Title)
		}
	}
}
