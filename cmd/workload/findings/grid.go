package main

import (
	"time"

	"kmon/record/synthetic"
)

// Thresholds may be set by what is found with seeds from tuningSeed on, and never
// by those from evaluationSeed on.
const (
	tuningSeed     = 1
	evaluationSeed = 100_000
	twinSeed       = 1_000_000 // added to a seed: of the baseline captures
)

const (
	duration = 75 * time.Second
	faultAt  = 25 * time.Second
	rate     = 60
	healthy  = 100 // captures without a fault, and as many with losses
	lostPart = 0.2
)

var (
	sizes  = []float64{2, 3, 5, 10}
	noises = []float64{0.1, 0.2, 0.35, 0.5}
)

// trial is one set of captures.
type trial struct {
	Kind  string   `json:"kind,omitempty"` // of the fault; "": healthy
	Size  float64  `json:"size,omitempty"`
	Load  []string `json:"load"`
	Noise float64  `json:"noise"`
	Nodes int      `json:"nodes"`
	Seed  uint64   `json:"seed"`
	Lost  float64  `json:"lost"`
	// Baseline: it is compared with healthy captures of the same nodes and load.
	Baseline bool `json:"baseline,omitempty"`
}

// name is the kind, or healthy.
func (c trial) name() string {
	if c.Kind == "" {
		return "healthy"
	}
	return c.Kind
}

func (c trial) scenario() synthetic.Scenario {
	s := synthetic.Scenario{Nodes: c.Nodes, Rate: rate, Duration: duration, Load: c.Load, Noise: c.Noise, Seed: c.Seed, Lost: c.Lost}
	if c.Kind != "" {
		s.Faults = []synthetic.Fault{{Kind: c.Kind, Size: c.Size, From: faultAt, To: duration}}
	}
	return s
}

// healthyTwin is the same system without the fault, at another time.
func (c trial) healthyTwin() synthetic.Scenario {
	c.Kind, c.Seed = "", c.Seed+twinSeed
	return c.scenario()
}

// loads are the healthy loads, those that may mislead a rule oftener.
var loads = [][]string{
	{"steady"}, {"bursty"}, {"diurnal"}, {"batch"}, {"gc"}, {"deploy"},
	{"bursty", "gc"}, {"batch", "diurnal"}, {"deploy", "gc"}, {"batch", "bursty", "deploy"},
}

// grid lists all trials: each kind with each size and noise, and the healthy
// loads, all of them once whole, once with losses, and once with a baseline. Every
// one has a seed of its own; that with losses is the same world as that without.
func grid(firstSeed uint64) []trial {
	var list []trial
	seed := firstSeed
	add := func(c trial) {
		c.Seed, c.Nodes = seed, 3+int(seed%3)
		seed++
		list = append(list, c)
		lost, compared := c, c
		lost.Lost, compared.Baseline = lostPart, true
		list = append(list, lost, compared)
	}
	for _, k := range synthetic.Kinds {
		for _, size := range sizes {
			for _, noise := range noises {
				add(trial{Kind: k.Name, Size: size, Noise: noise, Load: []string{"steady"}})
			}
		}
	}
	for i := range healthy {
		add(trial{Load: loads[i%len(loads)], Noise: noises[i/len(loads)%len(noises)]})
	}
	return list
}
