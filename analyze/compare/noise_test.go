package compare

import (
	"math"
	"testing"
)

// changed is a change of a service in the making, of a base of 10 ms.
func changed(t *testing.T, m Metric, service string, log float64) tested {
	t.Helper()
	rule, ok := m.rule()
	if !ok {
		t.Fatal(m)
	}
	return tested{Change: Change{Metric: m, Base: &Value{Value: 10e6}}, rule: &rule, key: key{service: service}, raw: log}
}

// What services that have nothing to do with each other share is of the machine; what
// one that asks shows, too, is passed on to it.
func TestSharedLatencies(t *testing.T) {
	asks := []key{{client: "front", server: "a"}, {client: "front", server: "b"}, {client: "b", server: "c"}, {client: "c", server: "d"}}
	for _, test := range []struct {
		name string
		p99  map[string]float64 // log
		wait map[string]float64
		want float64 // of a
	}{
		{"all became slower", map[string]float64{"a": 0.3, "b": 0.3, "c": 0.3, "d": 0.3}, nil, 0.3},
		{"most did", map[string]float64{"a": 0.3, "b": 0.2, "c": 0.2, "d": -0.1}, nil, 0.2},
		{"few did", map[string]float64{"a": 0.3, "b": 0.2, "c": 0.01, "d": -0.1}, nil, 0.01},
		{"the others became faster", map[string]float64{"a": 0.3, "b": -0.3, "c": -0.3, "d": -0.3}, nil, 0},
		{"who asks it became slower", map[string]float64{"a": 0.3, "front": 0.3, "b": 0.01}, nil, 0},
		{"all wait longer for a CPU", map[string]float64{"a": 0.3, "b": 0, "c": 0}, map[string]float64{"a": math.Log(1.02), "b": 1, "c": 1}, math.Log(1.1)},
		{"it alone waits longer", map[string]float64{"a": 0.3, "b": 0, "c": 0}, map[string]float64{"a": 1, "b": 0, "c": 0}, 0},
		{"the others wait longer", map[string]float64{"a": 0.3, "b": 0, "c": 0}, map[string]float64{"a": 0, "b": 1, "c": 1}, 0},
	} {
		var list []tested
		for _, service := range []string{"a", "b", "c", "d", "front"} {
			if log, ok := test.p99[service]; ok {
				list = append(list, changed(t, P99, service, log))
			}
			if log, ok := test.wait[service]; ok {
				list = append(list, changed(t, RunQueue, service, log))
			}
		}
		c := &comparison{}
		c.findAsks(asks)
		if got := c.sharedBy(list, &list[0]).change; math.Abs(got-test.want) > 0.005 { // nobody minds 20 µs
			t.Errorf("%s: %.3f is shared, want %.3f", test.name, got, test.want)
		}
	}
	asks = append(asks, key{client: "edge", server: "front"}) // what front asks is read twice
	for range 20 {                                            // in any order
		c := &comparison{}
		c.findAsks(asks)
		for pair, want := range map[[2]string]bool{
			{"edge", "a"}: true, {"edge", "b"}: true, {"edge", "d"}: true, {"front", "d"}: true, {"b", "d"}: true, {"d", "b"}: false, {"a", "b"}: false,
		} {
			if c.asks[pair] != want {
				t.Fatalf("%s asks %s: %v", pair[0], pair[1], !want)
			}
		}
	}
}
