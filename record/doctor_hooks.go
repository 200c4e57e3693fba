package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kmon/record/probe"
)

// collectors says of each how it would be recorded.
func (s subject) collectors() []CollectorState {
	facts, refusal := s.facts.Permitted(), s.refusal()
	var states []CollectorState
	for _, ladder := range probe.Survey(facts) { // sorted by collector
		if n := len(states); n == 0 || states[n-1].Name != ladder.Collector {
			states = append(states, CollectorState{Name: ladder.Collector, Default: slices.Contains(defaultCollectors(), ladder.Collector)})
		}
		of := &states[len(states)-1]
		of.Indicators = append(of.Indicators, indicatorState(ladder, refusal))
	}
	if refusal == nil {
		for i := range states {
			states[i].plan(facts)
		}
	}
	tcp := slices.IndexFunc(states, func(c CollectorState) bool { return c.Name == "tcp" })
	states[tcp].Indicators = append(states[tcp].Indicators, requestWaits(facts, refusal))
	if refusal == nil {
		s.tryLoading(facts, states)
	}
	return states
}

// requestWaits is the indicator that takes two collectors.
func requestWaits(facts probe.Facts, refusal error) IndicatorState {
	state := IndicatorState{Name: probe.RequestWaits, State: StateMissing, Ladder: []Rung{}}
	if refusal != nil {
		state.Why = refusal.Error()
		return state
	}
	plan, err := planOf(facts, "cpu", "tcp")
	switch {
	case err != nil:
		state.Why = "collector tcp is recorded whole or not at all"
	case plan.Has("tcp", state.Name):
		state.State, state.Variant = StatePlanned, plan.Variants["tcp"][state.Name]
	default:
		state.Why = plan.Missing["tcp"][state.Name]
		state.Ladder = betterSends(facts)
	}
	return state
}

// betterSends are the variants of sends whose programs reach what threads waited for
// and which the kernel does not support.
func betterSends(facts probe.Facts) []Rung {
	list := []Rung{}
	for _, ladder := range probe.Survey(facts) {
		if ladder.Collector != "tcp" || ladder.Indicator != "send" {
			continue
		}
		for _, r := range indicatorState(ladder, nil).Ladder {
			if r.Answer == probe.Available.String() {
				return list
			}
			list = append(list, r)
		}
	}
	return list
}

// indicatorState has the ladder; it is missing until it is planned.
func indicatorState(ladder probe.Ladder, refusal error) IndicatorState {
	state := IndicatorState{Name: ladder.Indicator, State: StateMissing, Ladder: []Rung{}}
	if refusal != nil {
		state.Why = refusal.Error() // there are no facts to ask about variants
		return state
	}
	for _, r := range ladder.Rungs {
		state.Ladder = append(state.Ladder, Rung{Variant: r.Variant, Answer: r.Answer.String(), Why: r.Why, Mend: r.Mend})
	}
	return state
}

// planOf plans collectors, and only them.
func planOf(facts probe.Facts, collectors ...string) (probe.Plan, error) {
	calls, err := probe.ParseCalls(nil)
	if err != nil {
		return probe.Plan{}, err
	}
	return probe.NewPlan(facts, probe.Request{Collectors: collectors, Calls: probe.Calls{Numbers: calls}})
}

// plan fills in the variants of a collector as a recording would choose them.
func (c *CollectorState) plan(facts probe.Facts) {
	plan, err := planOf(facts, c.Name)
	for i := range c.Indicators {
		in := &c.Indicators[i]
		switch {
		case err == nil && plan.Has(c.Name, in.Name):
			in.State, in.Variant = StatePlanned, plan.Variants[c.Name][in.Name]
		case err == nil:
			in.Why = plan.Missing[c.Name][in.Name]
		case in.carried():
			in.Why = "collector " + c.Name + " is recorded whole or not at all"
		default:
			in.Why = err.Error()
		}
		in.Why = strings.TrimPrefix(in.Why, c.Name+" "+in.Name+": ")
	}
}

// carried says whether a variant is there.
func (i *IndicatorState) carried() bool {
	return slices.ContainsFunc(i.Ladder, func(r Rung) bool { return r.Answer == probe.Available.String() })
}

// recorded says whether anything of the collector can be.
func (c *CollectorState) recorded() bool {
	return slices.ContainsFunc(c.Indicators, func(i IndicatorState) bool { return i.State != StateMissing })
}

// tryLoading loads what is planned, if this process may: all of it at once, as a
// recording does, else each collector alone, to know which is refused.
func (s subject) tryLoading(facts probe.Facts, states []CollectorState) {
	if !s.allowed() {
		return
	}
	var names []string
	for _, c := range states {
		if c.recorded() {
			names = append(names, c.Name)
		}
	}
	together := s.tryCollectors(facts, names...)
	for i := range states {
		err := together
		if err != nil {
			err = s.tryCollectors(facts, states[i].Name)
		}
		states[i].loaded(err)
	}
	withoutThreads(states)
}

// withoutThreads takes the waits of requests back where the kernel refused the
// programs of collector cpu.
func withoutThreads(states []CollectorState) {
	for _, cpu := range states {
		if cpu.Name != "cpu" || cpu.refused == nil {
			continue
		}
		for _, tcp := range states {
			for i := range tcp.Indicators {
				if in := &tcp.Indicators[i]; in.Name == probe.RequestWaits && in.State == StateLoaded {
					in.State, in.Variant, in.Why = StateMissing, "", cpu.refused.Error()
				}
			}
		}
	}
}

func (s subject) tryCollectors(facts probe.Facts, names ...string) error {
	plan, err := planOf(facts, names...)
	if err != nil {
		return err
	}
	return s.load(plan)
}

// loaded notes what came of loading the collector's programs.
func (c *CollectorState) loaded(err error) {
	if err != nil && c.recorded() {
		c.refused = fmt.Errorf("the kernel does not take the programs of collector %s: %w", c.Name, err)
	}
	for i := range c.Indicators {
		in := &c.Indicators[i]
		switch {
		case in.State == StateMissing:
		case err == nil:
			in.State = StateLoaded
		default:
			in.State, in.Variant, in.Why = StateMissing, "", c.refused.Error()
		}
	}
}

// mend is what would make a missing indicator recordable.
func (i *IndicatorState) mend(collector string) string {
	if i.State != StateMissing || i.carried() {
		return ""
	}
	ways := map[string]bool{}
	for _, r := range i.Ladder {
		if r.Mend != "" {
			ways[r.Mend] = true
		}
	}
	if len(ways) == 0 {
		return ""
	}
	return "for " + collector + " " + i.Name + ": " + strings.Join(slices.Sorted(maps.Keys(ways)), ", or ")
}
