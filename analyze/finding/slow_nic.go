package finding

import (
	"fmt"
	"maps"
	"slices"
)

// nic is a node whose ways are slow in both directions.
type nic struct {
	in, out [2]int // slow ways, all ways: as server, as client
}

// limpingNIC: most ways into a node and most ways out of it, to and from at least
// two others each, are slow outside the server.
func (s *search) limpingNIC(t *traffic, host string, run span) *nic {
	if host == "" {
		return nil
	}
	var in, out []int
	others := [2]map[string]bool{{}, {}}
	for i := range t.cells {
		c := &t.cells[i]
		switch {
		case c.client.host == "" || c.server.host == "" || c.client.host == c.server.host:
		case c.server.host == host:
			in = append(in, i)
			others[0][c.client.host] = true
		case c.client.host == host:
			out = append(out, i)
			others[1][c.server.host] = true
		}
	}
	if least := int(s.rules.of(SlowPath, "min_nic_peers")); len(others[0]) < least || len(others[1]) < least {
		return nil
	}
	n := &nic{}
	n.in[0], n.in[1] = s.tally(t, in, run)
	n.out[0], n.out[1] = s.tally(t, out, run)
	share := s.rules.of(SlowPath, "min_nic_share")
	if n.in[1] == 0 || n.out[1] == 0 || float64(n.in[0]) < share*float64(n.in[1]) || float64(n.out[0]) < share*float64(n.out[1]) {
		return nil
	}
	if !s.someFlat(t, in, run) || !s.someFlat(t, out, run) {
		return nil // it may be the servers, all of them
	}
	return n
}

// someFlat: the server's own end of some cell is in time in most windows of a run.
func (s *search) someFlat(t *traffic, cells []int, run span) bool {
	return slices.ContainsFunc(cells, func(i int) bool {
		flat := 0
		for w := run.first; w <= run.last; w++ {
			if s.slowNetwork(t, i, w) && s.serverFlat(t, i, w) {
				flat++
			}
		}
		return 2*flat > run.last-run.first
	})
}

// slowNICs reports the nodes whose NIC is slow and gives their names.
func (s *search) slowNICs(t *traffic, ways []way) map[string]bool {
	byHost := map[string][]way{}
	for _, w := range ways {
		c := &t.cells[w.cell]
		if c.client.host == c.server.host {
			continue
		}
		for _, host := range []string{c.client.host, c.server.host} {
			byHost[host] = append(byHost[host], w)
		}
	}
	found := map[string]bool{}
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		list := byHost[host]
		slices.SortStableFunc(list, func(a, b way) int { return b.run.held - a.run.held })
		if n := s.limpingNIC(t, host, list[0].run); n != nil {
			found[host] = true
			s.reportNIC(t, host, n, list)
		}
	}
	return found
}

func (s *search) reportNIC(t *traffic, host string, n *nic, ways []way) {
	w := ways[0]
	var cells []int
	for _, w := range ways {
		cells = append(cells, w.cell)
	}
	f := s.finding(SlowPath, Subject{Type: "node", Name: host, Host: host}, w.run)
	f.Reference, f.lagNs = w.source, w.seen
	f.Coverage = t.leastCoverage(cells, w.run)
	f.Confidence = 0.7
	f.Title = fmt.Sprintf("all ways to and from %s take about %s more than they should: its network interface", host, timeText(w.network-w.ref))
	f.Alternative = "the switch port or the link of the node, or a busy softirq CPU there."
	f.NextStep = fmt.Sprintf("on %s: `ethtool` and `ethtool -S` of its interface, `ip -s link`, `mpstat -P ALL 1` (%%soft)", host)
	f.Evidence = []Evidence{
		fact("ways_in", float64(n.in[0]), "%d of %d ways to it are slow while it answers in time", n.in[0], n.in[1]).held(s.rules.of(SlowPath, "min_nic_share")*float64(n.in[1]), float64(n.in[1])),
		fact("ways_out", float64(n.out[0]), "%d of %d ways from it are slow while those it asks answer in time", n.out[0], n.out[1]).held(s.rules.of(SlowPath, "min_nic_share")*float64(n.out[1]), float64(n.out[1])),
		fact("network_ns", w.network, "on %s requests take %s outside the server, against %s of %s", wayText(wayKey(&t.cells[w.cell])), timeText(w.network), timeText(w.ref), sourceText(w.source)),
	}
	if lost := s.lossOf(t, cells, w.run); lost.high {
		f.Evidence, f.Confidence = append(f.Evidence, lost.evidence(s)), f.Confidence+0.1
	}
	if m, ok := s.late(networkOf, w.run); ok {
		f.Evidence = append(f.Evidence, fact("node_terms", min(m.from[host], m.to[host]), "over all pairs of nodes it is late as client and as server (terms %.1f and %.1f)", m.from[host], m.to[host]))
		f.Confidence += 0.1
	}
	s.add(f)
}
