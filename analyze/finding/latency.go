package finding

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// party is an end of an edge, whatever its port.
type party struct{ service, instance, host string }

func (e End) party() party { return party{e.Service, e.Instance, e.Host} }

func (p party) String() string {
	name := cmp.Or(p.instance, p.service)
	if p.host == "" || p.host == name {
		return name
	}
	return name + " on " + p.host
}

// cell is an edge with what the latency rules look at. A cell has a say in a
// window only if the window is whole, was recorded well enough, and has enough
// requests.
type cell struct {
	edge           *Edge
	client, server party
	atClient       bool  // seen is of the client's end
	seen           track // median latency in ns, at the client's end if that was recorded
	own            track // the same at the server's end, as soon as that was recorded
	network        track // client's − server's, where both were recorded
	requests       track // that began in the window
	lost           track // retransmits by segments
	few, uncovered int   // windows without a say, by why
	peers          []int // see peersOf
}

// track is a series of a cell with what it can be held against.
type track struct {
	at          series
	base, quiet Reference // of a healthy capture; of its own quiet windows
}

// traffic is the edges of an Input as the latency rules look at them.
type traffic struct {
	in      *Input
	cells   []cell
	to      map[replica][]int // cells by their server
	from    map[party][]int   // cells by their client
	byNode  map[string]int    // host → index in Input.Nodes
	service map[asked][]replica
	asked   [][]int           // cells by the instance that asks; see asks
	ownEnds map[replica]track // see ownOf
	askedBy map[int][]int     // see callers
}

// replica is an instance that answers on a port.
type replica struct {
	party
	port int32
}

// asked is what replicas have in common.
type asked struct {
	service string
	port    int32
}

func (r replica) asked() asked { return asked{r.service, r.port} }

// traffic gives the cells, made at the first call.
func (s *search) traffic() *traffic {
	if s.cells == nil {
		s.cells = s.trafficOf(s.in)
		if s.baseline != nil {
			s.healthy = s.trafficOf(s.baseline)
			s.compareCells(s.cells, s.healthy)
		}
	}
	return s.cells
}

func (s *search) trafficOf(in *Input) *traffic {
	t := &traffic{in: in, to: map[replica][]int{}, from: map[party][]int{}, byNode: map[string]int{}, service: map[asked][]replica{}, ownEnds: map[replica]track{}}
	for i, n := range in.Nodes {
		t.byNode[n.Name] = i
	}
	for i := range in.Edges {
		c := s.cellOf(t, &in.Edges[i])
		r := replica{c.server, c.edge.Port}
		if len(t.to[r]) == 0 {
			t.service[r.asked()] = append(t.service[r.asked()], r)
		}
		t.to[r] = append(t.to[r], i)
		t.from[c.client] = append(t.from[c.client], i)
		t.cells = append(t.cells, c)
	}
	return t
}

// coverageOf is the coverage of an end's requests in a window.
func (t *traffic) coverageOf(e End, window int) float64 { return t.coverage(e, window).Exchanges }

// coverage is that of the node of an end.
func (t *traffic) coverage(e End, window int) Coverage {
	node := -1
	if e.Index >= 0 && e.Index < len(t.in.Instances) {
		node = t.in.Instances[e.Index].Node
	} else if n, ok := t.byNode[e.Host]; ok {
		node = n
	}
	if node < 0 || node >= len(t.in.Nodes) {
		return Coverage{Exchanges: NotRecorded, NetEvents: NotRecorded}
	}
	return t.in.Nodes[node].Windows[window].Coverage
}

func (s *search) cellOf(t *traffic, e *Edge) cell {
	n := len(t.in.Windows)
	c := cell{edge: e, client: e.Client.party(), server: e.Server.party(), atClient: e.ClientRecorded}
	seen, own, network, requests, lost := blank(n), blank(n), blank(n), blank(n), blank(n)
	for w := range t.in.Windows {
		if t.in.Windows[w].Partial {
			continue
		}
		atClient, clientOK := s.median(t, &c, e.Client, e.ClientRecorded, &e.Windows[w].AtClient, w)
		atServer, serverOK := s.median(t, &c, e.Server, e.ServerRecorded, &e.Windows[w].AtServer, w)
		if retransmits, segments := s.lostIn(t, e, w); segments > 0 {
			lost[w] = retransmits / segments
		}
		own[w] = atServer
		if c.atClient {
			seen[w], network[w] = atClient, atClient-atServer
		} else {
			seen[w] = atServer
		}
		switch {
		case clientOK:
			requests[w] = float64(e.Windows[w].AtClient.Count)
		case serverOK:
			requests[w] = float64(e.Windows[w].AtServer.Count)
		}
	}
	c.seen, c.own, c.network, c.requests = s.track(seen), s.track(own), s.track(network), s.track(requests)
	c.lost = track{at: lost}
	return c
}

// median latency of one end in a window; ok: its requests were recorded.
func (s *search) median(t *traffic, c *cell, e End, recorded bool, r *Requests, window int) (ns float64, ok bool) {
	if !recorded {
		return math.NaN(), false
	}
	if t.coverageOf(e, window) < s.rules.of(SlowNode, "min_coverage") {
		c.uncovered++
		return math.NaN(), false
	}
	if float64(r.Latency.Count()) < s.rules.of(SlowNode, "min_samples_edge") {
		c.few++
		return math.NaN(), true
	}
	return float64(r.Latency.Quantile(0.5)), true
}

func (s *search) track(v series) track { return track{at: v, quiet: s.quietOf(v)} }

// compareCells gives each cell the reference of the same one in a healthy capture:
// the same two instances, else the same services on the same hosts, else the same
// services, for names of instances do not last.
func (s *search) compareCells(t, healthy *traffic) {
	type key struct {
		client, server party
		port           int32
	}
	keysOf := func(c *cell) [3]key {
		onHost := func(p party) party { return party{service: p.service, host: p.host} }
		only := func(p party) party { return party{service: p.service} }
		return [3]key{{c.client, c.server, c.edge.Port}, {onHost(c.client), onHost(c.server), c.edge.Port}, {only(c.client), only(c.server), c.edge.Port}}
	}
	var byKey [3]map[key][]*cell
	for level := range byKey {
		byKey[level] = map[key][]*cell{}
	}
	for i := range healthy.cells {
		for level, k := range keysOf(&healthy.cells[i]) {
			byKey[level][k] = append(byKey[level][k], &healthy.cells[i])
		}
	}
	for i := range t.cells {
		for level, k := range keysOf(&t.cells[i]) {
			if same := byKey[level][k]; len(same) > 0 {
				t.cells[i].holdAgainst(same)
				break
			}
		}
	}
}

func (c *cell) holdAgainst(healthy []*cell) {
	pool := func(pick func(*cell) *track) {
		var values []float64
		for _, h := range healthy {
			if h.atClient == c.atClient {
				values = append(values, pick(h).at.known()...)
			}
		}
		pick(c).base = referenceOf(FromBaseline, values)
	}
	for _, pick := range []func(*cell) *track{seenOf, ownOf, networkOf, requestsOf, func(c *cell) *track { return &c.lost }} {
		pool(pick)
	}
}

// against is what a track is held against in a window: a healthy capture, else
// its peers, else its own quiet windows; N is 0 if there is nothing.
func (s *search) against(t *track, peers []float64) Reference {
	least := int(s.rules.of(SlowNode, "min_reference"))
	if t.base.N >= least {
		return t.base
	}
	if r := referenceOf(FromPeers, peers); r.N > 0 {
		return r
	}
	return t.quiet
}

// maxPeers is how many peers of a cell are looked at: more make no better median.
const maxPeers = 16

// peersOf are the cells of the same client to the other replicas of what a cell
// asks, at most maxPeers.
func (t *traffic) peersOf(i int) []int {
	c := &t.cells[i]
	if c.peers != nil {
		return c.peers
	}
	c.peers = []int{}
	from := t.from[c.client]
	at, _ := slices.BinarySearch(from, i)
	for n := 1; n < len(from) && len(c.peers) < maxPeers; n++ {
		k := from[(at+n)%len(from)]
		o := &t.cells[k]
		if o.server.service == c.server.service && o.edge.Port == c.edge.Port && o.server != c.server && o.atClient == c.atClient {
			c.peers = append(c.peers, k)
		}
	}
	return c.peers
}

// valuesAt are the values of cells in a window.
func (t *traffic) valuesAt(cells []int, window int, pick func(*cell) *track) []float64 {
	var list []float64
	for _, i := range cells {
		if v := pick(&t.cells[i]).at[window]; !math.IsNaN(v) {
			list = append(list, v)
		}
	}
	return list
}

func seenOf(c *cell) *track     { return &c.seen }
func ownOf(c *cell) *track      { return &c.own }
func networkOf(c *cell) *track  { return &c.network }
func requestsOf(c *cell) *track { return &c.requests }

// leastCoverage is the least coverage of the requests of cells in a run.
func (t *traffic) leastCoverage(cells []int, run span) float64 {
	least := 1.0
	for _, i := range cells {
		e := t.cells[i].edge
		for w := run.first; w <= run.last; w++ {
			if e.ClientRecorded {
				least = min(least, t.coverageOf(e.Client, w))
			}
			if e.ServerRecorded {
				least = min(least, t.coverageOf(e.Server, w))
			}
		}
	}
	return max(least, 0)
}

// whyNot says why cells have no say in most windows.
func (t *traffic) whyNot(cells []int, minSamples float64) string {
	few, uncovered := 0, 0
	for _, i := range cells {
		few, uncovered = few+t.cells[i].few, uncovered+t.cells[i].uncovered
	}
	if uncovered > few {
		return "too many requests were lost, or not recorded"
	}
	return fmt.Sprintf("fewer than %.0f requests a window, or too few windows", minSamples)
}
