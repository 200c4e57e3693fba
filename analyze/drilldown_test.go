package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"kmon/format"
)

// shopOf is a shop of n connections to the cart, both ends recorded. On each a
// request begins every 20 ms; its latency is a fixed jumble of 1 to 2 ms, and on
// connection 0 one in 50 takes 40 ms more than the one before.
func shopOf(t *testing.T, n int) *story {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.process(200, "cart")
	for c := range int64(n) {
		s.socket(10+2*c, format.RoleClient, 100, 100*ms, fmt.Sprintf("127.0.0.1 %d", 40000+c), "127.0.0.1 8080")
		s.socket(11+2*c, format.RoleServer, 200, 100*ms, "127.0.0.1 8080", fmt.Sprintf("127.0.0.1 %d", 40000+c))
		for i := range int64(400) {
			at, latency := 200*ms+i*20*ms+c*ms/4, ms+(i*7919+c*104729)%1000*1000
			if c == 0 && i%50 == 49 {
				latency = (i + 1) / 50 * 40 * ms / 8
			}
			s.exchange(10+2*c, 100, at, 0, latency+ms, 0, format.ExchangeClient)
			s.exchange(11+2*c, 200, at+ms/2, 0, latency, 0, 0).TID = 201
		}
	}
	return s
}

// The example requests are those that one finds by looking at every row.
func TestExamplesByHand(t *testing.T) {
	s := shopOf(t, 3)
	s.losses = []format.Loss{{StartNs: mono0 + 4*second, EndNs: mono0 + 5*second, Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 9}}
	a := analyzed(t, Options{}, s)
	rows := slices.DeleteFunc(slices.Clone(s.exchanges), func(x format.Exchange) bool { return x.Flags != 0 })
	slices.SortFunc(rows, func(a, b format.Exchange) int {
		return cmp.Or(cmp.Compare(b.ServerNs, a.ServerNs), cmp.Compare(a.StartNs, b.StartNs))
	})
	kinds := map[string]int{}
	p50, p99 := rows[len(rows)/2].ServerNs, rows[len(rows)/100].ServerNs
	for i, x := range a.Examples {
		kinds[x.Near]++
		if x.Client != "shop" || x.Server != "cart" || x.ServerPort != 8080 || x.End != "server" || x.Host != "node1" || x.PID != 200 || x.TID != 201 ||
			x.ServerAddress != "127.0.0.1:8080" || x.ClientInstance != "node1:100" || x.ServerInstance != "node1:200" || x.AnswerBytes != 1000 {
			t.Errorf("example %+v", x)
		}
		start := x.StartNs - unix0 + mono0
		if !slices.ContainsFunc(rows, func(r format.Exchange) bool {
			return r.StartNs == start && r.ServerNs == x.LatencyNs && r.SocketID == x.SocketID
		}) {
			t.Errorf("no row is %+v", x)
		}
		if lost := start <= mono0+5*second && start+x.LatencyNs >= mono0+4*second; (x.LostNearby == 9) != lost {
			t.Errorf("%d are lost near %d", x.LostNearby, start-mono0)
		}
		switch x.Near {
		case NearSlowest:
			if x.LatencyNs != rows[i].ServerNs || start != rows[i].StartNs {
				t.Errorf("number %d takes %d ns at %d, want %d at %d", i, x.LatencyNs, start, rows[i].ServerNs, rows[i].StartNs)
			}
		case NearP50:
			if r := float64(x.LatencyNs) / float64(p50); r < 1/nearFactor || r > nearFactor {
				t.Errorf("%d ns is not near the median %d", x.LatencyNs, p50)
			}
		case NearP99:
			if r := float64(x.LatencyNs) / float64(p99); r < 1/nearFactor || r > nearFactor {
				t.Errorf("%d ns is not near the p99 %d", x.LatencyNs, p99)
			}
		}
	}
	if kinds[NearSlowest] != slowestListed || kinds[NearP50] != nearListed || kinds[NearP99] == 0 {
		t.Errorf("examples %v", kinds)
	}
	b := analyzed(t, Options{Since: "4s", Until: "6s", Services: []string{"cart"}}, s)
	for _, x := range b.Examples {
		if x.StartNs < unix0+4*second || x.StartNs >= unix0+6*second {
			t.Errorf("an example of %d is not within the time asked for", x.StartNs-unix0)
		}
	}
	if c := analyzed(t, Options{Services: []string{"other"}}, s); len(b.Examples) == 0 || len(c.Examples)+len(c.Connections) > 0 {
		t.Errorf("%d examples of a time, %d and %d connections of another service", len(b.Examples), len(c.Examples), len(c.Connections))
	}
}

// A connection is told once, at its server's end, with both ends' retransmits.
func TestConnectionsOfAnInstance(t *testing.T) {
	s := shopOf(t, 12)
	s.close(10, 9*second, format.CloseLocal).Retransmits = 3
	s.close(11, 9*second+ms, format.ClosePeer).Retransmits = 4
	for _, c := range []int64{3, 4} { // twice as many requests on two of them
		for i := range int64(400) {
			s.exchange(11+2*c, 200, 210*ms+i*20*ms, 0, ms, 0, 0)
		}
	}
	a := analyzed(t, Options{}, s)
	if n := len(a.Connections); n < maxBusiest || n > maxBusiest+maxSlowest {
		t.Fatalf("%d connections are listed", n)
	}
	for i, c := range a.Connections {
		if c.Client != "shop" || c.Server != "cart" || c.ClientInstance != "node1:100" || c.ServerInstance != "node1:200" || c.End != "server" || c.ServerAddress != "127.0.0.1:8080" {
			t.Errorf("connection %+v", c)
		}
		if busy := c.Requests == 800; busy != (i < 2) || !busy && c.Requests != 400 {
			t.Errorf("number %d has %d requests", i, c.Requests)
		}
		if c.SocketID == 11 {
			if c.ClientAddress != "127.0.0.1:40000" || c.OpenedNs != unix0+100*ms || c.ClosedNs != unix0+9*second+ms || c.CloseReason != "peer" ||
				c.Retransmits == nil || *c.Retransmits != 7 || c.Latency.Max != 40*ms || c.BytesSent != 40_000 || c.BytesReceived != 400_000 || c.Among == "busiest" {
				t.Errorf("connection %+v, retransmits %v", c, c.Retransmits)
			}
		} else if c.Retransmits != nil || c.ClosedNs != 0 || c.CloseReason != "" {
			t.Errorf("an open connection %+v", c)
		}
	}
	if !slices.ContainsFunc(a.Connections, func(c Connection) bool { return c.SocketID == 11 }) {
		t.Error("the slowest connection is not listed")
	}
}

// Where only clients were recorded, connections are told at their end.
func TestConnectionsOfClients(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "10.9.9.9 5432")
	s.exchange(1, 100, 2*second, 0, 5*ms, 0, format.ExchangeClient)
	s.exchange(1, 100, 3*second, 0, 0, 0, format.ExchangeClient|format.ExchangeNoAnswer|format.ExchangeClosed|format.ExchangeReset)
	a := analyzed(t, Options{}, s)
	if len(a.Connections) != 1 || len(a.Examples) != 1 {
		t.Fatalf("%d connections, %d examples", len(a.Connections), len(a.Examples))
	}
	c, x := a.Connections[0], a.Examples[0]
	if c.End != "client" || c.Server != "10.9.9.9:5432" || c.ServerInstance != "" || c.ClientInstance != "node1:100" || c.ClientAddress != "10.0.0.1:40000" ||
		c.Requests != 2 || c.Errors != 1 || c.Latency.Count != 1 || c.Latency.Max != 5*ms {
		t.Errorf("connection %+v", c)
	}
	if x.End != "client" || x.Server != c.Server || x.ServerAddress != "10.9.9.9:5432" || x.Near != NearSlowest || x.Flags != "client" {
		t.Errorf("example %+v", x)
	}
}

// callers is a server and clients, 600 requests each at its server's latency,
// which client i has times factors[i].
func callers(t *testing.T, latency func(i int64) int64, factors ...int64) *story {
	s := newStory(t, "node1")
	s.process(200, "cart")
	for c, factor := range factors {
		c := int64(c)
		s.process(int32(100+c), fmt.Sprintf("shop-%c", 'a'+c))
		s.socket(10+2*c, format.RoleClient, int32(100+c), 0, fmt.Sprintf("127.0.0.1 %d", 40000+c), "127.0.0.1 8080")
		s.socket(11+2*c, format.RoleServer, 200, 0, "127.0.0.1 8080", fmt.Sprintf("127.0.0.1 %d", 40000+c))
		for i := range int64(600) {
			ns := latency(i) * factor
			s.exchange(10+2*c, int32(100+c), i*15*ms, 0, ns+1000, 0, format.ExchangeClient)
			s.exchange(11+2*c, 200, i*15*ms, 0, ns, 0, 0)
		}
	}
	return s
}

func TestContrast(t *testing.T) {
	steady := func(int64) int64 { return ms }
	for _, c := range []struct {
		name      string
		latency   func(i int64) int64
		factors   []int64
		baseline  []int64
		reference string
		ratio     float64 // of the first client's edge
	}{
		{"one steady client", steady, []int64{1}, nil, "its own quiet windows", 1},
		{"slow in its second half", func(i int64) int64 { return ms * (1 + i/300*4) }, []int64{1}, nil, "its own quiet windows", 5},
		{"slower than its peers", steady, []int64{3, 1, 1}, nil, "peers", 3},
		{"one other client is no peers", steady, []int64{3, 1}, nil, "its own quiet windows", 1},
		{"all are slow at one time", func(i int64) int64 { return ms * (1 + i/300*4) }, []int64{1, 1, 1}, nil, "its own quiet windows", 5},
		{"slower than it was", steady, []int64{4, 4, 4}, []int64{2, 2, 2}, "baseline capture", 2},
		{"as slow as it was", steady, []int64{3, 1, 1}, []int64{3, 1, 1}, "baseline capture", 1},
		{"not in the baseline", steady, []int64{3, 1, 1}, []int64{}, "peers", 3},
	} {
		o := Options{}
		if c.baseline != nil {
			o.Baseline = []string{callers(t, steady, c.baseline...).write()}
		}
		a := analyzed(t, o, callers(t, c.latency, c.factors...))
		got := a.Edges[0].Contrast
		if a.Edges[0].Client != "shop-a" || got == nil {
			t.Fatalf("%s: edge %s, contrast %v", c.name, a.Edges[0].Client, got)
		}
		if got.Reference != c.reference || got.Ratio < c.ratio*0.98 || got.Ratio > c.ratio*1.02 || got.End != "client" || got.Requests != 600 {
			t.Errorf("%s: %+v, want %g against %s", c.name, *got, c.ratio, c.reference)
		}
	}
	if a := analyzed(t, Options{}, loopback(t, 30)); a.Edges[0].Contrast != nil {
		t.Errorf("30 requests are compared: %+v", *a.Edges[0].Contrast)
	}
}

// The filter does not hide the peers.
func TestContrastOfOneService(t *testing.T) {
	a := analyzed(t, Options{Services: []string{"shop-a"}}, callers(t, func(int64) int64 { return ms }, 3, 1, 1))
	if e := onlyEdge(t, a); e.Contrast == nil || e.Contrast.Reference != "peers" {
		t.Errorf("contrast %+v", e.Contrast)
	}
}
