package synthetic

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is what to make captures of.
type Scenario struct {
	Nodes    int           // 0: 3
	Graph    Graph         // nil: DefaultGraph(4)
	Rate     float64       // requests of clients a second, on average; 0: 100
	Duration time.Duration // 0: 2 minutes
	Load     []string      // patterns, see Patterns; none: steady
	Faults   []Fault
	Noise    float64 // deviation of the logarithm of each duration; 0: none
	Seed     uint64
	Lost     float64 // share of the events that the recording loses, and says so
}

// Pattern is something that a healthy system does.
type Pattern struct{ Name, What string }

// Patterns are what healthy systems do that a rule may mistake for a fault.
var Patterns = []Pattern{
	{"steady", "the rate stays as it is"},
	{"bursty", "for 1 to 4 s in 15 the rate is three times as high"},
	{"diurnal", "the rate rises from half to one and a half times, and falls again"},
	{"batch", "a job of another service takes most of one node's CPUs"},
	{"gc", "each process stops for 20 to 120 ms now and then, at work"},
	{"deploy", "one service's instances are restarted one after the other"},
}

// PatternNames lists the patterns.
func PatternNames() []string {
	var names []string
	for _, p := range Patterns {
		names = append(names, p.Name)
	}
	return names
}

func (s *Scenario) has(pattern string) bool { return slices.Contains(s.Load, pattern) }

const (
	maxDuration = 24 * time.Hour
	maxRate     = 1e6
	maxNoise    = 2
)

// Check says what of a scenario makes no sense.
func (s Scenario) Check() error {
	s.Faults = slices.Clone(s.Faults)
	return s.fill()
}

// fill checks a scenario and puts the defaults.
func (s *Scenario) fill() error {
	if s.Nodes == 0 {
		s.Nodes = 3
	}
	if s.Graph == nil {
		s.Graph = DefaultGraph(4)
	}
	if s.Rate == 0 {
		s.Rate = 100
	}
	if s.Duration == 0 {
		s.Duration = 2 * time.Minute
	}
	switch {
	case s.Nodes < 1 || s.Nodes > maxNodes:
		return fmt.Errorf("%d nodes: there may be 1 to %d", s.Nodes, maxNodes)
	case !(s.Rate > 0 && s.Rate <= maxRate):
		return fmt.Errorf("a rate of %g requests a second: it may be up to %g", s.Rate, float64(maxRate))
	case s.Duration < time.Second || s.Duration > maxDuration:
		return fmt.Errorf("a duration of %v: it may be 1s to %v", s.Duration, maxDuration)
	case !(s.Noise >= 0 && s.Noise <= maxNoise):
		return fmt.Errorf("noise of %g: it may be 0 to %d", s.Noise, maxNoise)
	case !(s.Lost >= 0 && s.Lost < 1):
		return errors.New("the share that is lost is at least 0 and below 1")
	}
	for _, name := range s.Load {
		if !slices.Contains(PatternNames(), name) {
			return fmt.Errorf("no load %q; there are %s", name, strings.Join(PatternNames(), ", "))
		}
	}
	if err := s.Graph.check(); err != nil {
		return err
	}
	for i := range s.Faults {
		if err := s.Faults[i].fill(s); err != nil {
			return err
		}
	}
	return nil
}
