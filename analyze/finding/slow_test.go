package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// slowSeeds of tests that count how often a fault is found.
const slowSeeds = 10

// limping are the kinds that must not be found where nothing limps.
var limping = []Kind{SlowNode, SlowPath, Limplock}

func loud(r Result, kinds ...Kind) []Finding {
	var list []Finding
	for _, k := range kinds {
		list = append(list, r.of(k)...)
	}
	return list
}

// expect runs a scenario over seeds: found must be a subject's finding in 0.9 of
// them, and no other finding above info.
func expect(t *testing.T, kind Kind, subject string, build func(seed uint64) *Input) {
	t.Helper()
	found := 0
	for seed := range uint64(slowSeeds) {
		r := Find(build(seed), nil, DefaultRules())
		right := false
		for _, f := range r.Findings {
			if f.Kind == kind && f.Subject.Name == subject && f.Severity != Info {
				right = true
			} else if f.Severity != Info && f.Subject.Name != subject {
				t.Errorf("seed %d: also %s: %s\n%s", seed, f.ID, f.Title, evidenceText(f))
			}
		}
		if right {
			found++
		}
	}
	if found < slowSeeds*9/10 {
		r := Find(build(0), nil, DefaultRules())
		t.Errorf("found %d of %d; seed 0 gives %s, check %+v", found, slowSeeds, titles(r), r.check(kind))
	}
}

func titles(r Result) string {
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, fmt.Sprintf("%s %s: %s", f.Severity, f.ID, f.Title))
	}
	return strings.Join(list, "\n\t")
}

func evidenceText(f Finding) string {
	list := []string{}
	for _, e := range append(f.Evidence, f.CounterEvidence...) {
		list = append(list, e.Text)
	}
	return strings.Join(list, "\n\t")
}

// never runs a scenario over seeds in which nothing limps.
func never(t *testing.T, seeds int, build func(seed uint64) *Input) {
	t.Helper()
	for seed := range uint64(seeds) {
		in := build(seed)
		for _, f := range loud(Find(in, nil, DefaultRules()), limping...) {
			t.Errorf("seed %d: %s %s: %s\n%s", seed, f.Severity, f.ID, f.Title, evidenceText(f))
		}
		if t.Failed() {
			return
		}
	}
}

func TestSlowNodeIsFound(t *testing.T) {
	long(t)
	for _, factor := range []float64{3, 5, 10} {
		for _, noise := range []float64{0.05, 0.2} {
			t.Run(fmt.Sprint(factor, noise), func(t *testing.T) {
				expect(t, SlowNode, "n2", func(seed uint64) *Input {
					m := shopOn(3)
					m.noise = noise
					m.own = func(_, node string, w int) float64 {
						if node == "n2" {
							return from9(w, factor)
						}
						return 1
					}
					return m.build(seed)
				})
			})
		}
	}
}

// One instance of several on its node is slow: that instance, not the node.
func TestSlowInstanceIsNotItsNode(t *testing.T) {
	expect(t, SlowNode, "db-2", func(seed uint64) *Input {
		m := shopOn(3)
		m.own = func(instance, _ string, w int) float64 {
			if instance == "db-2" {
				return from9(w, 5)
			}
			return 1
		}
		return m.build(seed)
	})
}

func TestSlowPathIsFound(t *testing.T) {
	long(t)
	for _, nodes := range []int{3, 5} {
		expect(t, SlowPath, "n1 → n3", func(seed uint64) *Input {
			m := shopOn(nodes)
			m.network = func(from, to string, w int) float64 {
				if from == "n1" && to == "n3" {
					return from9(w, 40)
				}
				return 1
			}
			return m.build(seed)
		})
	}
}

func TestLimpingNICIsFound(t *testing.T) {
	long(t)
	for _, nodes := range []int{3, 4} {
		expect(t, SlowPath, "n2", func(seed uint64) *Input {
			m := shopOn(nodes)
			m.network = func(from, to string, w int) float64 {
				if from == "n2" || to == "n2" {
					return from9(w, 40)
				}
				return 1
			}
			return m.build(seed)
		})
	}
}

func TestSlowCalleeIsTheDeepest(t *testing.T) {
	long(t)
	for _, factor := range []float64{3, 10} {
		for _, m := range []mesh{shopInLine(), shopOn(3)} {
			expect(t, SlowCallee, "db", func(seed uint64) *Input {
				m.own = func(instance, _ string, w int) float64 {
					if strings.HasPrefix(instance, "db") {
						return from9(w, factor)
					}
					return 1
				}
				return m.build(seed)
			})
		}
	}
}

// What must not be taken for a slow node, path or limplock.
func TestNothingLimps(t *testing.T) {
	long(t)
	for name, change := range map[string]func(*mesh){
		"healthy": func(*mesh) {},
		"noise":   func(m *mesh) { m.noise = 0.26 },
		"one slow client": func(m *mesh) {
			m.reads = func(instance string, w int) float64 {
				if instance == "cart-1" {
					return from9(w, 5)
				}
				return 1
			}
		},
		"an overloaded replica": func(m *mesh) {
			m.own = func(instance, _ string, w int) float64 {
				if instance == "db-1" {
					return from9(w, 5)
				}
				return 1
			}
			m.asked = func(instance string, w int) float64 {
				if instance == "db-1" {
					return from9(w, 2)
				}
				return 1
			}
		},
		"everything slower": func(m *mesh) {
			m.own = func(_, _ string, w int) float64 { return from9(w, 4) }
		},
	} {
		for nodes, seeds := range map[int]int{1: 4, 2: 4, 3: slowSeeds, 5: 4} {
			t.Run(fmt.Sprint(name, nodes), func(t *testing.T) {
				never(t, seeds, func(seed uint64) *Input {
					m := shopOn(nodes)
					change(&m)
					in := m.build(seed)
					if m.asked != nil {
						loadEdges(in, "db-1")
					}
					return in
				})
			})
		}
	}
}

// loadEdges doubles what an instance is asked from window 9 on.
func loadEdges(in *Input, instance string) {
	for i := range in.Edges {
		if e := &in.Edges[i]; e.Server.Instance == instance {
			for w := 9; w < len(e.Windows); w++ {
				for _, r := range []*Requests{&e.Windows[w].AtClient, &e.Windows[w].AtServer} {
					r.Count, r.Bytes, r.Answers = 2*r.Count, 2*r.Bytes, 2*r.Answers
					r.Latency = stretched(r.Latency, 1)
					r.Latency.Merge(&r.Latency)
				}
			}
		}
	}
}

func slowNode2(seed uint64, nodes int) *Input {
	m := shopOn(nodes)
	m.own = func(_, node string, w int) float64 {
		if node == "n2" {
			return from9(w, 5)
		}
		return 1
	}
	return m.build(seed)
}

// What cannot be judged is said to be so, and is not found.
func TestSlowNeedsEnoughToJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Input)
	}{
		{"coverage 0.7", func(in *Input) {
			for node := range in.Nodes {
				for w := range in.Windows {
					in.covered(node, w, 0.7)
				}
			}
		}},
		{"windows cut short", func(in *Input) {
			for w := range in.Windows {
				in.Windows[w].Partial = w > 1
			}
		}},
		{"few requests", func(in *Input) {
			for i := range in.Edges {
				for w := range in.Windows {
					few := Requests{Count: 3}
					few.Latency.Add(50*milli, 3)
					in.Edges[i].Windows[w].AtClient, in.Edges[i].Windows[w].AtServer = few, few
				}
			}
			for i := range in.Instances {
				for w := range in.Windows {
					in.Instances[i].Windows[w].Served = Requests{}
				}
			}
		}},
	} {
		in := slowNode2(1, 3)
		c.change(in)
		r := Find(in, nil, DefaultRules())
		for _, kind := range []Kind{SlowNode, SlowPath, SlowCallee} {
			if check := r.check(kind); len(r.of(kind)) != 0 || check.Judged != 0 || len(check.Insufficient) == 0 {
				t.Errorf("%s: %s: %d found, check %+v", c.name, kind, len(r.of(kind)), check)
			}
		}
	}
}

// The same is late in the healthy capture: it is as it always was.
func TestSlowAsEverIsNotFound(t *testing.T) {
	always := func(seed uint64) *Input {
		m := shopOn(3)
		m.own = func(_, node string, _ int) float64 {
			if node == "n2" {
				return 5
			}
			return 1
		}
		return m.build(seed)
	}
	if r := Find(always(1), always(2), DefaultRules()); len(loud(r, limping...)) != 0 {
		t.Errorf("found %s", titles(r))
	}
	if f := Find(slowNode2(1, 3), shopOn(3).build(2), DefaultRules()).of(SlowNode); len(f) != 1 || f[0].Reference != FromBaseline || f[0].Confidence < 0.7 {
		t.Errorf("against a healthy capture: %+v", f)
	}
}

// A lone observer tells nothing of a node that was not recorded itself.
func TestOneObserverBlamesNoNode(t *testing.T) {
	in := slowNode2(1, 3)
	in.Edges = slices.DeleteFunc(in.Edges, func(e Edge) bool { return e.Client.Instance != "cart-1" && e.Client.Instance != "web-1" })
	for i := range in.Edges {
		e := &in.Edges[i]
		e.ServerRecorded, e.Server.Index = false, -1
	}
	r := Find(in, nil, DefaultRules())
	if c := r.check(SlowNode); len(r.of(SlowNode)) != 0 || len(c.Insufficient) == 0 || !strings.Contains(c.Insufficient[0], "one observer") {
		t.Errorf("found %s, check %+v", titles(r), c)
	}
}

// Behind a balancer of which nothing was recorded, the replicas on one host tell which of
// them is late: the way to all is the same. On several hosts it may be the way, and of
// two replicas the other may be the fast one.
func TestOneClientOfReplicasOnOneHost(t *testing.T) {
	behind := func(in *Input, host string) *Input {
		in.Edges = slices.DeleteFunc(in.Edges, func(e Edge) bool { return e.Client.Instance != "cart-1" })
		for i := range in.Edges {
			e := &in.Edges[i]
			e.ClientRecorded, e.Client.Index = false, -1
			e.Server.Host = cmp.Or(host, e.Server.Host)
		}
		return in
	}
	f := Find(behind(slowNode2(1, 4), "n1"), nil, DefaultRules()).of(SlowNode)
	if len(f) != 1 || f[0].Subject.Name != "db-2" || !strings.Contains(f[0].Title, "its own end says") || !strings.Contains(f[0].Evidence[0].Text, "cart-1 on n1 alone asks") || f[0].Confidence > 0.6 {
		t.Errorf("found %+v", f)
	}
	if r := Find(behind(shopOn(4).build(1), "n1"), nil, DefaultRules()); len(r.of(SlowNode)) != 0 || r.check(SlowNode).Judged != 4 {
		t.Errorf("of healthy replicas: %s, check %+v", titles(r), r.check(SlowNode))
	}
	for name, in := range map[string]*Input{"on four hosts": behind(slowNode2(1, 4), ""), "two": behind(slowNode2(1, 2), "n1")} {
		if r := Find(in, nil, DefaultRules()); len(r.of(SlowNode)) != 0 || r.check(SlowNode).Judged != 0 || len(r.check(SlowNode).Insufficient) == 0 {
			t.Errorf("%s: %s, check %+v", name, titles(r), r.check(SlowNode))
		}
	}
}
