package compare

import (
	"math"
	"math/rand/v2"
	"testing"
)

// node makes recordings of services a, b and c, each of which needs 1 ms of CPU time
// for a request on a node whose speed wanders.
type node struct {
	random  *rand.Rand
	windows int
}

// record makes one: times is how much more each service needs than usual.
func (n *node) record(speed float64, times map[string]float64) *run {
	g := &run{subjects: map[key]*series{}, grid: grid{widthNs: 1e9}, entries: map[string]bool{}, entry: make([]step, n.windows)}
	for t := range g.coverage {
		g.coverage[t] = make([]float64, n.windows)
	}
	for range n.windows {
		g.usable = append(g.usable, true)
	}
	for t := range g.coverage {
		for w := range g.coverage[t] {
			g.coverage[t][w] = 1
		}
	}
	follows := map[string]float64{"a": 0.6, "b": 1, "c": 1.1}
	for w := range n.windows {
		slower := speed + 0.05*n.random.NormFloat64()
		for _, name := range []string{"a", "b", "c"} {
			own := 0.015 * n.random.NormFloat64()
			s := &g.at(key{service: name}).steps[w]
			s.sums[requests] = 100
			s.sums[onCPU] = 100e6 * (1 + times[name]) * math.Exp(follows[name]*slower+own)
		}
	}
	return g
}

// compared gives what comes of the CPU time of each service.
func (n *node) compared(base, new []*run) map[string]Change {
	c := &comparison{Options: &Options{Alpha: DefaultAlpha, MinEffect: DefaultMinEffect}, base: base, new: new, load: Load{Same: true}}
	c.byRun = min(len(base), len(new)) >= minRuns
	list, _ := c.changes()
	found := map[string]Change{}
	for _, t := range list {
		if t.Metric == CPU {
			found[t.Subject.Service] = t.Change
		}
	}
	return found
}

// Of two recordings between which the node became slower or faster by some 10%, the
// service that needs 10% more is found, and no other.
func TestControls(t *testing.T) {
	const trials = 60
	falsely, found, raw := 0, 0, 0.0
	for seed := range uint64(trials) {
		n := &node{random: rand.New(rand.NewPCG(41, seed)), windows: 12}
		speed := 0.1 * n.random.NormFloat64()
		for name, c := range n.compared([]*run{n.record(0, nil)}, []*run{n.record(speed, nil)}) {
			if c.Common == nil {
				t.Fatalf("%s was held against nothing", name)
			}
			if c.Outcome == Regression {
				falsely++
			}
			if c.Outcome == NoChange && math.Abs(*c.Common) > SingleNoChange {
				t.Errorf("no change is said of %s, which changed with all others by %.3f", name, *c.Common)
			}
		}
		c := n.compared([]*run{n.record(0, nil)}, []*run{n.record(speed, map[string]float64{"a": 0.1})})["a"]
		if c.Outcome == Regression {
			found++
		}
		raw += (1+*c.Relative)*(1+*c.Common) - c.New.Value/c.Base.Value
	}
	if falsely > 3 || found < 54 {
		t.Errorf("of %d, %d false regressions and %d found", trials, falsely, found)
	}
	if raw /= trials; math.Abs(raw) > 0.005 {
		t.Errorf("the change and what is common are %.4f away from what new is of base", raw)
	}
}

// What stays as it is while all others need less is no regression.
func TestControlsThatImproved(t *testing.T) {
	n := &node{random: rand.New(rand.NewPCG(42, 0)), windows: 20}
	c := n.compared([]*run{n.record(0, nil)}, []*run{n.record(0, map[string]float64{"a": -0.02, "b": -0.3, "c": -0.3})})["a"]
	if c.Outcome != Inconclusive && c.Outcome != NoChange {
		t.Errorf("%s, %v", c.Outcome, *c.Relative)
	}
}

// Where each run of new needs more in all services, all of them became worse: the
// node would not know which run is whose.
func TestAllServicesWorse(t *testing.T) {
	n := &node{random: rand.New(rand.NewPCG(43, 0)), windows: 12}
	var base, new []*run
	for range 6 {
		speed := 0.02 * n.random.NormFloat64()
		base = append(base, n.record(speed, nil))
		new = append(new, n.record(speed, map[string]float64{"a": 0.3, "b": 0.3, "c": 0.3}))
	}
	for name, c := range n.compared(base, new) {
		if c.Outcome != Regression {
			t.Errorf("%s is %s: %s", name, c.Outcome, c.Reason)
		}
	}
}

// Two services can't tell the node from each other.
func TestTooFewControls(t *testing.T) {
	n := &node{random: rand.New(rand.NewPCG(44, 0)), windows: 12}
	base, new := n.record(0, nil), n.record(0.1, nil)
	for _, g := range []*run{base, new} {
		delete(g.subjects, key{service: "c"})
	}
	for name, c := range n.compared([]*run{base}, []*run{new}) {
		if c.Common != nil {
			t.Errorf("%s was held against one service", name)
		}
		if c.Outcome == Regression || c.Outcome == NoChange {
			t.Errorf("%s is %s, for the node is slower", name, c.Outcome)
		}
	}
}
