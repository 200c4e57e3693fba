package reports

import (
	"slices"

	"kmon/analyze"
)

// graph is the part of the topology that is drawn: the busiest edges and
// their services, and how many were left out.
type graph struct {
	Nodes     []graphNode // sorted by name
	Edges     []graphEdge // busiest first
	MoreNodes int
	MoreEdges int
}

// graphNode is a service.
type graphNode struct {
	Name     string
	External bool
	Requests int64
	RatePerS float64
	Weight   float64 // requests a second that it served and asked
	Rate     string
	P99      string
	Tone     tone
}

// graphEdge is all traffic from one service to another; with several ports
// the busiest stands for them.
type graphEdge struct {
	From, To int // index in Nodes
	Edge     analyze.Edge
	Others   int // further ports between the same two
}

// pickGraph bounds the topology to so many services and edges.
func pickGraph(a *analyze.Analysis, maxNodes, maxEdges int) graph {
	pairs, others := pairsOf(a)
	names := drawnNames(a, pairs, maxNodes)
	g := graph{Nodes: describe(a, names), Edges: []graphEdge{}}
	for i := range g.Nodes {
		g.Nodes[i].Weight = g.Nodes[i].RatePerS
	}
	for i, p := range pairs {
		from, okFrom := slices.BinarySearch(names, p.Client)
		to, okTo := slices.BinarySearch(names, p.Server)
		if !okFrom || !okTo || len(g.Edges) == maxEdges {
			g.MoreEdges++
			continue
		}
		g.Nodes[from].Weight += p.RatePerS + p.Streams.RatePerS
		g.Edges = append(g.Edges, graphEdge{from, to, p, others[i]})
	}
	g.MoreNodes = len(allNames(a)) - len(names)
	return g
}

// pairsOf gives the busiest edge of each client and server, and how many
// further ones there are.
func pairsOf(a *analyze.Analysis) ([]analyze.Edge, []int) {
	type pair struct{ client, server string }
	at := map[pair]int{}
	pairs, others := []analyze.Edge{}, []int{}
	for _, e := range busiestEdges(a.Edges) {
		p := pair{e.Client, e.Server}
		if i, ok := at[p]; ok {
			others[i]++
			continue
		}
		at[p] = len(pairs)
		pairs, others = append(pairs, e), append(others, 0)
	}
	return pairs, others
}

// allNames is every service and every end of an edge, sorted.
func allNames(a *analyze.Analysis) []string {
	names := []string{}
	for _, s := range connected(a) {
		names = append(names, s.Name)
	}
	for i := range a.Edges {
		names = append(names, a.Edges[i].Client, a.Edges[i].Server)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// drawnNames picks at most limit names: ends of the busiest edges first, then
// services without an edge. Sorted.
func drawnNames(a *analyze.Analysis, pairs []analyze.Edge, limit int) []string {
	in := map[string]bool{}
	add := func(names ...string) {
		fresh := 0
		for _, n := range slices.Compact(names) {
			if !in[n] {
				fresh++
			}
		}
		if len(in)+fresh > limit {
			return
		}
		for _, n := range names {
			in[n] = true
		}
	}
	for _, p := range pairs {
		add(p.Client, p.Server)
	}
	for _, s := range connected(a) {
		add(s.Name)
	}
	names := make([]string, 0, len(in))
	for n := range in {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// describe gives the nodes for sorted names.
func describe(a *analyze.Analysis, names []string) []graphNode {
	nodes := make([]graphNode, len(names))
	for i, n := range names {
		nodes[i] = graphNode{Name: n, Rate: absent, P99: absent}
	}
	for i := range a.Services {
		s := &a.Services[i]
		at, ok := slices.BinarySearch(names, s.Name)
		if !ok {
			continue
		}
		nodes[at] = graphNode{
			Name: s.Name, External: s.External, Requests: s.Requests, RatePerS: s.RatePerS,
			Rate: rateText(s.RatePerS), P99: quantileText(s.Latency, s.Latency.P99),
		}
		if s.Unanswered > 0 {
			nodes[at].Tone = toneBad
		}
	}
	return nodes
}

// label is what an edge says on one line.
func (e *graphEdge) label() string {
	first, second := e.labelLines()
	if second == "" {
		return first
	}
	return first + " · " + second
}

// labelLines is what an edge says: its rate and its p99, or that it is a
// stream, or that connecting failed. second may be "".
func (e *graphEdge) labelLines() (first, second string) {
	switch x := &e.Edge; {
	case x.Requests > 0 && x.Latency.Count > 0:
		return rateText(x.RatePerS), "p99 " + DurationText(x.Latency.P99)
	case x.Requests > 0 && x.ClientLatency.Count > 0:
		return rateText(x.RatePerS), "p99 " + DurationText(x.ClientLatency.P99)
	case x.Requests > 0:
		return rateText(x.RatePerS), ""
	case x.Streams.Connections > 0:
		return rateText(x.Streams.RatePerS), "messages"
	case x.Failed > 0:
		return CountText(x.Failed) + " failed", ""
	default:
		return CountText(x.Connections), plural(int(x.Connections), "connection")
	}
}

// leftOut says in words what the drawing lacks; "" when it is whole.
func (g *graph) leftOut() string {
	if g.MoreNodes == 0 && g.MoreEdges == 0 {
		return ""
	}
	return "Drawn: the busiest. And " + CountText(int64(g.MoreNodes)) + " more" + plural(g.MoreNodes, " service") +
		" and " + CountText(int64(g.MoreEdges)) + " more" + plural(g.MoreEdges, " edge") + " in the tables."
}
