package analyze

import (
	"slices"

	"kmon/analyze/finding"
	"kmon/analyze/request"
	"kmon/analyze/stat"
)

// Contrast says how slow requests were against a reference: the same edge in a
// healthy capture; else the worse of peers (of an edge: the other clients of the
// server on that port; of an instance: the other instances of its service) and of
// its own quiet windows.
type Contrast struct {
	Ratio        float64 `json:"ratio"` // p99_ns / reference_p99_ns
	P99          int64   `json:"p99_ns"`
	ReferenceP99 int64   `json:"reference_p99_ns"` // of peers the median of theirs
	Reference    string  `json:"reference"`        // baseline capture, peers, its own quiet windows
	End          string  `json:"end"`              // client or server: on which both were measured
	Requests     int64   `json:"requests"`         // that p99_ns is of
}

const (
	// leastContrasted is how many latencies make a p99 to compare.
	leastContrasted = 100
	// leastPeers is how many other clients an edge is compared with at least.
	leastPeers = 2
	// leastInWindow is how many latencies make a window's median, and leastWindows
	// how many windows are needed to call some of them quiet.
	leastInWindow = 5
	leastWindows  = 6
	// quietSpread is how far the median of a quiet window may be above that of the
	// windows' lowest third.
	quietSpread = 1.5
)

// endLatency is the latency of an edge on both ends.
type endLatency struct{ client, server Distribution }

// ofEnd gives one of them.
func (l *endLatency) ofEnd(end string) *Distribution {
	if end == "client" {
		return &l.client
	}
	return &l.server
}

// shared is the end that both were measured on: the client's, where what the
// network adds shows, before the server's; "": none often enough.
func (l *endLatency) shared(o *endLatency) string {
	for _, end := range []string{"client", "server"} {
		if l.ofEnd(end).Count >= leastContrasted && o.ofEnd(end).Count >= leastContrasted {
			return end
		}
	}
	return ""
}

// contrast compares a distribution with a p99; nil: it has none.
func contrast(d *Distribution, p99 int64, reference, end string) *Contrast {
	if d.Count < leastContrasted || p99 <= 0 {
		return nil
	}
	return &Contrast{Ratio: float64(d.P99) / float64(p99), P99: d.P99, ReferenceP99: p99, Reference: reference, End: end, Requests: d.Count}
}

// worse gives the contrast with the higher ratio; nil is none.
func worse(a, b *Contrast) *Contrast {
	if a == nil || b != nil && b.Ratio > a.Ratio {
		return b
	}
	return a
}

// endLatencies summarizes all edges, those that the filter leaves out too.
func endLatencies(edges []*edgeSum) map[edgeKey]*endLatency {
	all := make(map[edgeKey]*endLatency, len(edges))
	for _, e := range edges {
		client, server := e.client.Latency(), e.server.Latency()
		all[e.edgeKey] = &endLatency{distribution(&client), distribution(&server)}
	}
	return all
}

// contrastEdges compares the edges of a with peers and their own quiet windows.
func (r *run) contrastEdges(a *Analysis, edges []*edgeSum) {
	r.latencies = endLatencies(edges)
	type port struct {
		server string
		port   int32
	}
	clients := map[port][]edgeKey{}
	sums := map[edgeKey]*edgeSum{}
	for _, e := range edges {
		p := port{e.edgeKey.server, e.port}
		clients[p] = append(clients[p], e.edgeKey)
		sums[e.edgeKey] = e
	}
	for i := range a.Edges {
		e := &a.Edges[i]
		k := edgeKey{e.Client, e.Server, e.ServerPort}
		e.Contrast = worse(r.againstPeers(k, clients[port{e.Server, e.ServerPort}]), againstQuiet(sums[k], r.latencies[k]))
	}
}

// againstPeers compares an edge with the other clients of its server.
func (r *run) againstPeers(k edgeKey, clients []edgeKey) *Contrast {
	own := r.latencies[k]
	for _, end := range []string{"client", "server"} {
		var others []int64
		for _, o := range clients {
			if d := r.latencies[o].ofEnd(end); o != k && d.Count >= leastContrasted {
				others = append(others, d.P99)
			}
		}
		if d := own.ofEnd(end); len(others) >= leastPeers && d.Count >= leastContrasted {
			return contrast(d, middle(others), finding.FromPeers, end)
		}
	}
	return nil
}

// againstQuiet compares all windows of an edge with those in which its median was
// low.
func againstQuiet(e *edgeSum, latency *endLatency) *Contrast {
	end, stats := "client", &e.client
	if latency.client.Count < leastContrasted {
		end, stats = "server", &e.server
	}
	quiet := quietOf(stats)
	if quiet.Count() < leastContrasted {
		return nil
	}
	return contrast(latency.ofEnd(end), quiet.Quantile(0.99), finding.FromQuiet, end)
}

// quietOf adds the quiet windows up; empty: too few windows have a median.
func quietOf(stats *request.Stats) *stat.Sketch {
	sum := new(stat.Sketch)
	medians := []int64{}
	for i := range stats.Windows {
		if w := &stats.Windows[i].Latency; w.Count() >= leastInWindow {
			medians = append(medians, w.Quantile(0.5))
		}
	}
	if len(medians) < leastWindows {
		return sum
	}
	slices.Sort(medians)
	limit := quietSpread * float64(middle(medians[:len(medians)/3]))
	for i := range stats.Windows {
		if w := &stats.Windows[i].Latency; w.Count() >= leastInWindow && float64(w.Quantile(0.5)) <= limit {
			sum.Merge(w)
		}
	}
	return sum
}

// contrastInstances compares the instances of each service with each other.
func contrastInstances(services []Service) {
	for i := range services {
		all := services[i].Instances
		for j := range all {
			var others []int64
			for o := range all {
				if o != j && all[o].Latency.Count >= leastContrasted {
					others = append(others, all[o].Latency.P99)
				}
			}
			if len(others) > 0 {
				all[j].Contrast = contrast(&all[j].Latency, middle(others), finding.FromPeers, "server")
			}
		}
	}
}

// contrastBaseline compares edges with those of a healthy capture, where it has
// them: that is the better reference.
func (r *run) contrastBaseline(a *Analysis, baseline map[edgeKey]*endLatency) {
	for i := range a.Edges {
		e := &a.Edges[i]
		k := edgeKey{e.Client, e.Server, e.ServerPort}
		own, before := r.latencies[k], baseline[k]
		if before == nil {
			continue
		}
		if end := own.shared(before); end != "" {
			e.Contrast = contrast(own.ofEnd(end), before.ofEnd(end).P99, finding.FromBaseline, end)
		}
	}
}

// middle is the median of values, the lower of two; it sorts them.
func middle(values []int64) int64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
