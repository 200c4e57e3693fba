package finding

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"kmon/analyze/stat"
)

// A way between two ends is slow in a window if requests on it wait min_ratio
// times as long outside the server as they should (client's − server's median:
// LP6, differential observability), that makes up min_share of what the client
// waits, and the server's own end is flat. Whose fault it is, the others say:
//   - who asks is late with most others too: his own queue, no finding;
//   - most who ask the server are late: not the way, see slow-node;
//   - a node is late both as client and as server: its NIC;
//   - only this pair is late: the way between the two.
//
// With nobody else to compare, client and way cannot be told apart: retransmits
// speak for the way; without them it is only info.
func findSlowPath(s *search) {
	t := s.traffic()
	check := s.checks[SlowPath]
	both := slices.ContainsFunc(t.cells, func(c cell) bool { return c.edge.ClientRecorded && c.edge.ServerRecorded })
	if !both {
		check.NotRecorded = "requests with both ends recorded: record on the nodes of the client and of the server"
		return
	}
	ways := s.slowWays(t)
	nics := s.slowNICs(t, ways)
	groups := map[[2]string][]way{}
	for _, w := range ways {
		c := &t.cells[w.cell]
		if nics[c.client.host] || nics[c.server.host] {
			continue
		}
		groups[wayKey(c)] = append(groups[wayKey(c)], w)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, key := range keys[:min(len(keys), maxWays)] {
		s.judgeWay(t, key, groups[key])
	}
}

// maxWays is how many slow ways are looked at.
const maxWays = 200

// way is a cell whose network part is slow in a run.
type way struct {
	cell       int
	run        span
	ratio      float64 // of the network part
	network    float64 // ns
	ref        float64
	source     string
	seen       float64
	own, owned float64 // the server's end and its reference
}

// wayKey names a way: two nodes, or two instances of one.
func wayKey(c *cell) [2]string {
	if c.client.host != c.server.host {
		return [2]string{c.client.place(), c.server.place()}
	}
	return [2]string{c.client.instanceText(), c.server.instanceText()}
}

// slowWays are the cells with a slow network part.
func (s *search) slowWays(t *traffic) []way {
	var list []way
	least := int(s.rules.of(SlowPath, "min_windows"))
	for i := range t.cells {
		c := &t.cells[i]
		if !c.edge.ClientRecorded || !c.edge.ServerRecorded {
			continue
		}
		if len(c.network.at.known()) < least {
			s.insufficient(SlowPath, wayText(wayKey(c)), t.whyNot([]int{i}, s.rules.of(SlowNode, "min_samples_edge")))
			continue
		}
		s.checks[SlowPath].Judged++
		hold := make([]bool, len(t.in.Windows))
		for w := range hold {
			hold[w] = s.slowNetwork(t, i, w) && s.serverFlat(t, i, w)
		}
		if run, ok := longest(hold, least); ok {
			list = append(list, s.wayOf(t, i, run))
		}
	}
	return list
}

func wayText(key [2]string) string { return key[0] + " → " + key[1] }

// networkRef is what the network part of a cell is held against: a healthy
// capture, its own quiet windows if it has been better, else the same client's
// other ways.
func (s *search) networkRef(t *traffic, i, w int) Reference {
	c := &t.cells[i]
	least := int(s.rules.of(SlowPath, "min_reference"))
	if c.network.base.N >= least {
		return floored(c.network.base)
	}
	ref := floored(c.network.quiet)
	peers := floored(referenceOf(FromPeers, t.valuesAt(t.besides(i), w, networkOf)))
	if ref.N == 0 || peers.N > 1 && peers.Median < ref.Median {
		return peers
	}
	return ref
}

// floored keeps a network part from a ratio by nothing: medians of two ends may
// be equal, or cross by the error of a quantile.
func floored(r Reference) Reference {
	r.Median = max(r.Median, leastNetworkNs)
	return r
}

// leastNetworkNs is about what the loopback takes: a smaller network part is read
// as this.
const leastNetworkNs = 20e3

// besides are the cells of the same client to other servers, and of other clients
// to the same server, at most maxPeers of each.
func (t *traffic) besides(i int) []int {
	c := &t.cells[i]
	var list []int
	for _, k := range t.from[c.client] {
		if t.cells[k].server != c.server && len(list) < maxPeers {
			list = append(list, k)
		}
	}
	n := len(list)
	for _, k := range t.to[replica{c.server, c.edge.Port}] {
		if t.cells[k].client != c.client && len(list) < n+maxPeers {
			list = append(list, k)
		}
	}
	return list
}

func (s *search) slowNetwork(t *traffic, i, w int) bool {
	c := &t.cells[i]
	network := c.network.at[w]
	ref := s.networkRef(t, i, w)
	if math.IsNaN(network) || ref.N == 0 {
		return false
	}
	added := network - ref.Median
	return ref.ratio(network) >= s.rules.of(SlowPath, "min_ratio") && ref.z(network) >= s.rules.of(SlowPath, "min_z") &&
		added >= 1e3*s.rules.of(SlowPath, "min_added_us") && added >= s.rules.of(SlowPath, "min_share")*c.seen.at[w]
}

// serverFlat: the server's own end is in time. Where it is not, requests may wait
// outside it only because it is late to read them.
func (s *search) serverFlat(t *traffic, i, w int) bool {
	c := &t.cells[i]
	own := s.against(&c.own, t.valuesAt(t.peersOf(i), w, ownOf))
	return own.N == 0 || own.ratio(c.own.at[w]) <= s.rules.of(SlowPath, "max_flat_ratio") || c.network.at[w] >= 2*c.own.at[w]
}

func (s *search) wayOf(t *traffic, i int, run span) way {
	c := &t.cells[i]
	var refs, owns []float64
	w := way{cell: i, run: run, network: c.network.at.over(run), seen: c.seen.at.over(run), own: c.own.at.over(run)}
	for k := run.first; k <= run.last; k++ {
		ref := s.networkRef(t, i, k)
		refs = append(refs, ref.Median)
		w.source = ref.Source
		if own := s.against(&c.own, t.valuesAt(t.peersOf(i), k, ownOf)); own.N > 0 {
			owns = append(owns, own.Median)
		}
	}
	w.ref, w.owned = stat.Median(refs), stat.Median(owns)
	w.ratio = w.network / w.ref
	return w
}

// tally counts which of some cells are slow outside the server in most windows of
// a run, of those that have a say.
func (s *search) tally(t *traffic, cells []int, run span) (slow, all int) {
	for _, i := range cells {
		late, known := 0, 0
		for w := run.first; w <= run.last; w++ {
			if !math.IsNaN(t.cells[i].network.at[w]) {
				known++
				if s.slowNetwork(t, i, w) {
					late++
				}
			}
		}
		if known > 0 {
			all++
			if 2*late >= known {
				slow++
			}
		}
	}
	return slow, all
}

// judgeWay reports the slow cells of one way, unless its client or its server is
// slow with others too.
func (s *search) judgeWay(t *traffic, key [2]string, ways []way) {
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.run.held, a.run.held) })
	w := ways[0]
	c := &t.cells[w.cell]
	clientSlow, clientAll := s.tally(t, t.besideWay(c, true), w.run)
	serverSlow, serverAll := s.tally(t, t.besideWay(c, false), w.run)
	cells := make([]int, len(ways))
	for i := range ways {
		cells[i] = ways[i].cell
	}
	lost := s.lossOf(t, cells, w.run)
	ofClient, ofServer := clientAll > 0 && 2*clientSlow >= clientAll, serverAll > 0 && 2*serverSlow >= serverAll
	unclear := clientAll == 0 && serverAll == 0 && !lost.high
	if ofClient || ofServer || unclear && (c.client.host == c.server.host || s.clientBusy(t, w)) {
		s.checks[SlowPath].Rejected++
		return
	}
	f := s.finding(SlowPath, Subject{Type: "edge", Name: wayText(key), Service: c.server.service, Host: c.server.host}, w.run)
	f.Reference, f.lagNs = w.source, w.seen
	f.Coverage = t.leastCoverage(cells, w.run)
	f.Title = fmt.Sprintf("requests on the way %s take %s more than they should, and the server is not why", wayText(key), timeText(w.network-w.ref))
	f.Alternative = "the client reads its answers late: look at its run queue and its threads' waits."
	f.NextStep = fmt.Sprintf("on %s: `ss -ti` towards %s (rtt, retrans), `ip -s link`; then `mtr` between the two", key[0], key[1])
	f.Evidence = s.wayEvidence(w, lost, clientSlow, clientAll, serverSlow, serverAll)
	f.Confidence = 0.5
	for _, more := range []bool{clientAll > 0, serverAll > 0, lost.high, w.source == FromBaseline, len(ways) > 1} {
		if more {
			f.Confidence += 0.1
		}
	}
	if (clientAll == 0 || serverAll == 0) && !lost.high {
		f.Confidence = 0.4
		f.CounterEvidence = append(f.CounterEvidence, fact("pairs_to_compare", float64(clientAll+serverAll), "one end talks to nobody else that was recorded: its own queue would look the same"))
		if clientAll == 0 {
			f.Severity, f.Confidence = Info, 0.3
			f.Title = fmt.Sprintf("requests %s take %s more than they should outside the server: on the way, or in the client", wayText(key), timeText(w.network-w.ref))
		}
	}
	s.add(f)
	s.badWays[key] = true
}

// besideWay are the cells that the client of a way has with other servers, or its
// server with other clients. Of a way between nodes those of the node, and of these
// the ones that leave it, if there are any.
func (t *traffic) besideWay(way *cell, client bool) []int {
	var away, local []int
	ours, theirs := sides(way, client)
	for i := range t.cells {
		o, other := sides(&t.cells[i], client)
		switch {
		case way.client.host == way.server.host:
			if o == ours && other != theirs {
				away = append(away, i)
			}
		case o.place() == ours.place() && other.place() == ours.place():
			local = append(local, i)
		case o.place() == ours.place() && other.place() != theirs.place():
			away = append(away, i)
		}
	}
	if len(away) == 0 {
		return local
	}
	return away
}

// sides are the two ends of a cell, the client first or last.
func sides(c *cell, client bool) (party, party) {
	if client {
		return c.client, c.server
	}
	return c.server, c.client
}

// place is the node, or the name if that is not known.
func (p party) place() string { return cmp.Or(p.host, p.instanceText()) }

// clientBusy: the client's own waits without the network, and its time on the run
// queue, rose by a good part of what the way seems to add; or nobody recorded them.
func (s *search) clientBusy(t *traffic, w way) bool {
	e := t.cells[w.cell].edge
	if e.Client.Index < 0 || w.run.first == 0 {
		return true
	}
	in := &s.in.Instances[e.Client.Index]
	busy := func(from, to int) float64 {
		var each []float64
		for k := from; k < to; k++ {
			v, n := &in.Windows[k], e.Windows[k].AtClient.Count
			if s.in.Windows[k].Partial || n <= 0 || v.RunQueueNs < 0 || v.Waits.Lock.Count < 0 {
				continue
			}
			q := &v.Waits
			sum := v.RunQueueNs + v.OnCPUNs + q.Lock.TotalNs + q.Futex.TotalNs + q.Disk.TotalNs + q.Sleep.TotalNs + q.Pipe.TotalNs + q.PageFault.TotalNs + q.Preempted.TotalNs
			each = append(each, float64(sum)/float64(n))
		}
		return stat.Median(each)
	}
	more := busy(w.run.first, w.run.last+1) - busy(0, w.run.first)
	return !(more < s.rules.of(SlowPath, "max_client_share")*(w.network-w.ref))
}

func (s *search) wayEvidence(w way, lost loss, clientSlow, clientAll, serverSlow, serverAll int) []Evidence {
	list := []Evidence{
		fact("network_ns", w.network, "outside the server requests take %s, %.1f times the %s of %s", timeText(w.network), w.ratio, timeText(w.ref), sourceText(w.source)).
			held(w.ref*s.rules.of(SlowPath, "min_ratio"), w.ref),
		fact("client_p50_ns", w.seen, "the client waits %s, the server's own end shows %s", timeText(w.seen), timeText(w.own)).held(w.owned, w.owned),
	}
	if clientAll > 0 {
		list = append(list, fact("client_slow_ways", float64(clientSlow), "the client is slow on %d of its %d ways to others", clientSlow, clientAll))
	}
	if serverAll > 0 {
		list = append(list, fact("server_slow_ways", float64(serverSlow), "the server is slow for %d of %d others that ask it", serverSlow, serverAll))
	}
	if lost.high {
		list = append(list, lost.evidence(s))
	}
	return list
}

func sourceText(source string) string {
	switch source {
	case FromBaseline:
		return "the baseline capture"
	case FromPeers:
		return "other ways of the two ends"
	}
	return source
}
