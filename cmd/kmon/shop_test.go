package main

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"kmon/analyze"
	"kmon/format"
)

// shopTruth is what cmd/workload's shop counts and times in its own processes.
type shopTruth struct {
	Services []struct {
		Name     string                   `json:"name"`
		Requests int64                    `json:"requests"`
		Latency  struct{ P50, P99 int64 } `json:"latency_ns"`
		Returned struct{ P50, P99 int64 } `json:"returned_ns"`
	} `json:"services"`
	Edges []struct {
		Client   string `json:"client"`
		Server   string `json:"server"`
		Requests int64  `json:"requests"`
	} `json:"edges"`
}

// compare holds an analysis against the truth: counts exactly, p50 and p99
// within these relative tolerances or 50 µs. Of all requests late are such that
// cannot be matched at both ends.
func (truth shopTruth) compare(t *testing.T, a analyze.Analysis, late int64, p50, p99 float64) {
	t.Helper()
	if len(truth.Services) != 5 || len(truth.Edges) != 6 {
		t.Fatalf("the shop told of %d services and %d edges", len(truth.Services), len(truth.Edges))
	}
	for _, want := range truth.Services {
		got := service(t, a, want.Name)
		if got.Requests != want.Requests || got.Latency.Count != want.Requests {
			t.Errorf("%s: kmon counts %d requests and times %d, the service %d", want.Name, got.Requests, got.Latency.Count, want.Requests)
		}
		near(t, want.Name+" p50", got.Latency.P50, want.Latency.P50, want.Returned.P50, p50)
		near(t, want.Name+" p99", got.Latency.P99, want.Latency.P99, want.Returned.P99, p99)
	}
	var requests, matched int64
	for _, want := range truth.Edges {
		got := edgeTo(t, a, want.Client, want.Server)
		if got.Requests != want.Requests {
			t.Errorf("%s → %s: kmon counts %d requests, the client %d", want.Client, want.Server, got.Requests, want.Requests)
		}
		requests, matched = requests+got.Requests, matched+got.Matched
	}
	if requests-matched > late {
		t.Errorf("%d of %d requests are matched at both ends, and only %d cannot be", matched, requests, late)
	}
}

// interrupted counts the requests of a capture whose two ends do not fit,
// taking them in turn on each connection: late are those that began at the
// client, as it was recorded, after they began at the server, or ended before
// the middle of the server's part. A send is recorded when it returns; if its
// thread is interrupted in between, the other end may have answered by then.
// Faster are those that seem to have taken the client less time than the server.
func interrupted(t *testing.T, path string) (late, faster int64) {
	t.Helper()
	c, err := format.Open(path)
	check(t, err)
	defer c.Close()
	type ends struct{ client, server []format.Exchange }
	connections := map[[2]int32]*ends{} // by the ports of client and server
	ports := map[int64][2]int32{}
	sockets, err := format.All[format.Socket](c)
	check(t, err)
	for _, s := range sockets {
		key := [2]int32{s.LocalPort, s.RemotePort}
		if s.Role == format.RoleServer {
			key = [2]int32{s.RemotePort, s.LocalPort}
		}
		ports[s.SocketID], connections[key] = key, &ends{}
	}
	rows, err := format.All[format.Exchange](c)
	check(t, err)
	slices.SortFunc(rows, func(a, b format.Exchange) int { return cmp.Compare(a.StartNs, b.StartNs) })
	for _, e := range rows {
		of := connections[ports[e.SocketID]]
		switch {
		case of == nil || e.Flags&(format.ExchangePartial|format.ExchangeNoRequest|format.ExchangeNoAnswer) != 0:
		case e.Flags&format.ExchangeClient != 0:
			of.client = append(of.client, e)
		default:
			of.server = append(of.server, e)
		}
	}
	took := func(e format.Exchange) int64 { return e.UploadNs + e.ServerNs + e.DownloadNs }
	for _, of := range connections {
		for i := range min(len(of.client), len(of.server)) {
			client, server := of.client[i], of.server[i]
			if middle := server.StartNs + took(server)/2; server.StartNs < client.StartNs || middle > client.StartNs+took(client) {
				late++
			}
			if took(client) < took(server) {
				faster++
			}
		}
	}
	return late, faster
}

// near holds a duration to lie between the two that the service measured, up to
// a relative tolerance or 50 µs: its answer left between the call of its last
// write and the return of it.
func near(t *testing.T, what string, got, called, returned int64, tolerance float64) {
	t.Helper()
	slack := func(ns int64) int64 { return max(50_000, int64(tolerance*float64(ns))) }
	if got < called-slack(called) || got > returned+slack(returned) {
		t.Errorf("%s: kmon says %v, the service measured %v to the call of its last write, %v to its return",
			what, time.Duration(got), time.Duration(called), time.Duration(returned))
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
