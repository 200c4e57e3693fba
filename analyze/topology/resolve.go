package topology

import (
	"cmp"
	"slices"
	"strings"
)

// Edge is the traffic between two services at one port, resolved.
type Edge struct {
	Client     int32 // index in Topology.Services
	Server     int32
	ServerPort int32
	Via        string // service addresses that were translated, sorted
	RouteStats
}

// Topology is the resolved graph. Services and Edges are sorted by name.
type Topology struct {
	Services  []Service
	Instances []Instance // Service is an index in Services
	Edges     []Edge
	EdgeOf    []int32 // cell → edge
	RouteEdge []int32 // route → edge its connections count in, -1: none
	Cells     []Cell
	// Endpoints is by route the number of the server's endpoint, -1: it was not
	// recorded.
	Endpoints []int32
	Holders   []Holder
	Lines     []Line
}

// edgeKey is what makes an edge.
type edgeKey struct {
	client, server int32
	port           uint16
}

// Resolve names every endpoint after the service that answered most of the
// rows on it and folds routes and cells into edges. rows gives the number of
// rows of a cell. It must not run concurrently with Cell.
func (g *Graph) Resolve(rows func(cell int32) int64) *Topology {
	serving := g.serving(rows)
	t := &Topology{Cells: g.cells, EdgeOf: make([]int32, len(g.cells)), RouteEdge: make([]int32, len(g.routes)), Lines: g.lines}
	index := map[edgeKey]int32{}
	vias := map[int32][]string{}
	edge := func(r Route, k edgeKey) int32 {
		at, ok := index[k]
		if !ok {
			at = int32(len(t.Edges))
			index[k] = at
			t.Edges = append(t.Edges, Edge{Client: k.client, Server: k.server, ServerPort: int32(k.port)})
		}
		if via := g.vias[r.via]; via != "" && !slices.Contains(vias[at], via) {
			vias[at] = append(vias[at], via)
		}
		return at
	}
	for i, cell := range g.cells {
		r := g.routes[cell.Route]
		t.EdgeOf[i] = edge(r, g.cellKey(cell, r, serving))
	}
	for i, r := range g.routes {
		t.RouteEdge[i] = -1
		t.Endpoints = append(t.Endpoints, max(r.server, -1))
		if g.stats[i] != (RouteStats{}) {
			at := edge(r, edgeKey{r.client, g.serverOf(r, serving), r.port})
			t.Edges[at].Add(g.stats[i])
			t.RouteEdge[i] = at
		}
	}
	for at, list := range vias {
		slices.Sort(list)
		t.Edges[at].Via = strings.Join(list, ", ")
	}
	g.sortTopology(t)
	return t
}

// Add adds o to s.
func (s *RouteStats) Add(o RouteStats) {
	s.ClientEnds += o.ClientEnds
	s.ServerEnds += o.ServerEnds
	s.Connections += o.Connections
	s.Failed += o.Failed
	s.Resets += o.Resets
	s.Retransmits += o.Retransmits
	s.ClientStreams += o.ClientStreams
	s.ServerStreams += o.ServerStreams
}

// cellKey gives the edge of a cell: the end that was recorded names itself,
// the other end is the route's.
func (g *Graph) cellKey(cell Cell, r Route, serving []int32) edgeKey {
	own := g.instances[cell.Instance].Service
	if cell.Client {
		return edgeKey{own, g.serverOf(r, serving), r.port}
	}
	return edgeKey{r.client, own, r.port}
}

func (g *Graph) serverOf(r Route, serving []int32) int32 {
	if r.server < 0 {
		return ^r.server
	}
	return serving[r.server]
}

// serving gives the service at each endpoint: the one with the most rows,
// else the first owner of a socket there, else its address.
func (g *Graph) serving(rows func(cell int32) int64) []int32 {
	type seat struct{ endpoint, service int32 }
	counts := map[seat]int64{}
	for i, cell := range g.cells {
		if r := g.routes[cell.Route]; !cell.Client && r.server >= 0 {
			counts[seat{r.server, g.instances[cell.Instance].Service}] += rows(int32(i))
		}
	}
	best := make([]int32, len(g.endpoints))
	for i := range best {
		best[i] = -1
	}
	for s, n := range counts {
		kept := best[s.endpoint]
		if kept < 0 || g.before(s.service, n, kept, counts[seat{s.endpoint, kept}]) {
			best[s.endpoint] = s.service
		}
	}
	for i := range best {
		switch {
		case best[i] >= 0:
		case len(g.owned[i]) > 0:
			best[i] = g.owned[i][0]
		default:
			best[i] = g.addressOf(int32(i))
		}
	}
	return best
}

// before orders services by rows, then name.
func (g *Graph) before(a int32, rowsA int64, b int32, rowsB int64) bool {
	if rowsA != rowsB {
		return rowsA > rowsB
	}
	return g.services[a].Name < g.services[b].Name
}

// sortTopology brings services, instances and edges into the order of their
// names, so that nothing depends on the order in which they were met.
func (g *Graph) sortTopology(t *Topology) {
	order := sortedBy(len(g.services), func(a, b int32) int {
		return cmp.Compare(g.services[a].Name, g.services[b].Name)
	})
	t.Services = make([]Service, len(order))
	for old, at := range order {
		t.Services[at] = g.services[old]
	}
	t.Instances = slices.Clone(g.instances)
	for i := range t.Instances {
		t.Instances[i].Service = order[t.Instances[i].Service]
	}
	for _, h := range g.holderList {
		t.Holders = append(t.Holders, Holder{order[h.service], h.host, h.name})
	}
	for i := range t.Edges {
		e := &t.Edges[i]
		e.Client, e.Server = order[e.Client], order[e.Server]
	}
	edges := sortedBy(len(t.Edges), func(a, b int32) int {
		x, y := t.Edges[a], t.Edges[b]
		return cmp.Or(cmp.Compare(x.Client, y.Client), cmp.Compare(x.Server, y.Server),
			cmp.Compare(x.ServerPort, y.ServerPort))
	})
	sorted := make([]Edge, len(t.Edges))
	for old, at := range edges {
		sorted[at] = t.Edges[old]
	}
	t.Edges = sorted
	renumber(t.EdgeOf, edges)
	renumber(t.RouteEdge, edges)
}

// sortedBy gives the place of each of n things in sorted order.
func sortedBy(n int, compare func(a, b int32) int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	slices.SortFunc(list, compare)
	places := make([]int32, n)
	for place, i := range list {
		places[i] = int32(place)
	}
	return places
}

func renumber(list, places []int32) {
	for i, old := range list {
		if old >= 0 {
			list[i] = places[old]
		}
	}
}
