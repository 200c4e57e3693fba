package main

import (
	"testing"
	"time"

	"kmon/analyze"
)

// shopTruth is what cmd/workload's shop counts and times in its own processes.
type shopTruth struct {
	Services []struct {
		Name     string                        `json:"name"`
		Requests int64                         `json:"requests"`
		Latency  struct{ P50, P95, P99 int64 } `json:"latency_ns"`
	} `json:"services"`
	Edges []struct {
		Client   string `json:"client"`
		Server   string `json:"server"`
		Requests int64  `json:"requests"`
	} `json:"edges"`
}

// compare holds an analysis against the truth: counts exactly, p50 and p99
// within these relative tolerances or 50 µs.
func (truth shopTruth) compare(t *testing.T, a analyze.Analysis, p50, p99 float64) {
	t.Helper()
	if len(truth.Services) != 5 || len(truth.Edges) != 6 {
		t.Fatalf("the shop told of %d services and %d edges", len(truth.Services), len(truth.Edges))
	}
	for _, want := range truth.Services {
		got := service(t, a, want.Name)
		if got.Requests != want.Requests || got.Latency.Count != want.Requests {
			t.Errorf("%s: kmon counts %d requests and times %d, the service %d", want.Name, got.Requests, got.Latency.Count, want.Requests)
		}
		near(t, want.Name+" p50", got.Latency.P50, want.Latency.P50, p50)
		near(t, want.Name+" p99", got.Latency.P99, want.Latency.P99, p99)
	}
	for _, want := range truth.Edges {
		got := edgeTo(t, a, want.Client, want.Server)
		// A client's send that is seen only after its answer (the sender was
		// interrupted in between) has a time after it and finds no partner.
		if got.Requests != want.Requests || got.Matched < want.Requests*98/100 {
			t.Errorf("%s → %s: kmon counts %d requests, %d at both ends; the client %d", want.Client, want.Server, got.Requests, got.Matched, want.Requests)
		}
	}
}

// near holds two durations to a relative tolerance or 50 µs.
func near(t *testing.T, what string, got, want int64, tolerance float64) {
	t.Helper()
	diff := got - want
	if diff < 0 {
		diff = -diff
	}
	if diff > 50_000 && float64(diff) > tolerance*float64(want) {
		t.Errorf("%s: kmon says %v, the service measured %v", what, time.Duration(got), time.Duration(want))
	}
}

func service(t *testing.T, a analyze.Analysis, name string) analyze.Service {
	t.Helper()
	for _, s := range a.Services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no service %s in the report", name)
	return analyze.Service{}
}

// edgeTo is the edge between two services.
func edgeTo(t *testing.T, a analyze.Analysis, client, server string) analyze.Edge {
	t.Helper()
	for _, e := range a.Edges {
		if e.Client == client && e.Server == server {
			return e
		}
	}
	t.Fatalf("no edge %s → %s in the report", client, server)
	return analyze.Edge{}
}
