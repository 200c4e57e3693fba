package topology

import (
	"cmp"
	"math"
	"slices"

	"kmon/analyze/replay"
)

const (
	// sameHostSlackNs is how far apart the two ends' lifetimes may lie on one
	// host: the events of the two ends are not taken at one instant.
	sameHostSlackNs = 10e6
	// crossHostSlackNs is the same between hosts, whose clocks differ.
	crossHostSlackNs = 2e9
	// maxOpenings is how many connections between two captures, the first,
	// tell the difference of their clocks.
	maxOpenings = 10_000
)

// end is a socket to pair, under the address and port of its client.
type end struct {
	key    uint64 // client address and port
	open   int64  // Unix
	close  int64
	number int32 // of the socket
}

// pair finds the two ends of connections. A server's end knows its client's
// address and port, also when the client's end knows only a service address
// that was translated on the way, so that is what ends meet under. First
// those with the same four addresses, then the translated ones.
func (g *Graph) pair() {
	clients, servers := g.listEnds()
	for len(clients) > 0 && len(servers) > 0 {
		switch {
		case clients[0].key < servers[0].key:
			clients = clients[1:]
		case clients[0].key > servers[0].key:
			servers = servers[1:]
		default:
			c, s := sameKey(clients), sameKey(servers)
			g.pairGroup(clients[:c], servers[:s], true)
			g.pairGroup(clients[:c], servers[:s], false)
			clients, servers = clients[c:], servers[s:]
		}
	}
	for captures, list := range g.openings {
		if _, known := g.clocks[captures]; known {
			continue // what waits for its other end has its times by it
		}
		sorted := slices.Sorted(slices.Values(list))
		g.clocks[captures] = sorted[len(sorted)/2]
	}
}

// listEnds lists all sockets that connected, by key, then time.
func (g *Graph) listEnds() (clients, servers []end) {
	for _, c := range g.captures {
		addrs := g.addrMap[c.Index]
		for i := range c.Sockets.List {
			s := &c.Sockets.List[i]
			if s.Failed {
				continue
			}
			e := end{open: openUnix(c, s), close: closeUnix(c, s), number: g.base[c.Index] + int32(i)}
			if s.Client() {
				e.key = uint64(addrs[s.Local])<<16 | uint64(s.LocalPort)
				clients = append(clients, e)
			} else {
				e.key = uint64(addrs[s.Remote])<<16 | uint64(s.RemotePort)
				servers = append(servers, e)
			}
		}
	}
	order := func(a, b end) int { // cmp.Or would compare all three each time
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		if a.open != b.open {
			return cmp.Compare(a.open, b.open)
		}
		return cmp.Compare(a.number, b.number)
	}
	slices.SortFunc(clients, order)
	slices.SortFunc(servers, order)
	return clients, servers
}

func sameKey(ends []end) int {
	n := 1
	for n < len(ends) && ends[n].key == ends[0].key {
		n++
	}
	return n
}

// pairGroup pairs ends under one key, each server's end with the client's end
// that opened nearest to it.
func (g *Graph) pairGroup(clients, servers []end, exact bool) {
	first := 0
	for _, s := range servers {
		if g.peerOf[s.number] >= 0 {
			continue
		}
		for first < len(clients) && clients[first].close+crossHostSlackNs < s.open {
			first++
		}
		best, distance := -1, int64(math.MaxInt64)
		for i := first; i < len(clients) && clients[i].open-crossHostSlackNs <= s.close; i++ {
			c := clients[i]
			if g.peerOf[c.number] >= 0 || !g.fits(c, s, exact) {
				continue
			}
			if d := max(c.open-s.open, s.open-c.open); d < distance {
				best, distance = i, d
			}
		}
		if best >= 0 {
			g.join(clients[best], s)
		}
	}
}

// fits says whether two ends under one key can be one connection.
func (g *Graph) fits(client, server end, exact bool) bool {
	cc, c := g.socket(client.number)
	sc, s := g.socket(server.number)
	slack := int64(crossHostSlackNs)
	if cc == sc {
		slack = sameHostSlackNs
	}
	if client.open-slack > server.close || server.open-slack > client.close {
		return false
	}
	if loopback(cc.Sockets.Addr(c.Local)) && (cc != sc || c.NetnsID != s.NetnsID) {
		return false
	}
	same := g.addrMap[cc.Index][c.Remote] == g.addrMap[sc.Index][s.Local] && c.RemotePort == s.LocalPort
	return same == exact
}

// join notes a pair, and between hosts what it tells of their clocks.
func (g *Graph) join(client, server end) {
	g.peerOf[client.number] = server.number
	g.peerOf[server.number] = client.number
	cc, c := g.socket(client.number)
	sc, s := g.socket(server.number)
	if cc != sc && c.OpenNs != math.MinInt64 && s.OpenNs != math.MinInt64 {
		captures := [2]int32{int32(cc.Index), int32(sc.Index)}
		if _, known := g.clocks[captures]; !known && len(g.openings[captures]) < maxOpenings {
			g.openings[captures] = append(g.openings[captures], server.open-client.open)
		}
	}
}

// ClockDifference is how far the clock of one capture's host is ahead of
// another's, as their common connections tell.
type ClockDifference struct {
	Client, Server *replay.Capture
	AheadNs        int64 // of the server's host
}

// ClockDifferences lists what connections between captures tell of their
// clocks, by capture.
func (g *Graph) ClockDifferences() []ClockDifference {
	var list []ClockDifference
	for captures, ahead := range g.clocks {
		list = append(list, ClockDifference{g.captures[captures[0]], g.captures[captures[1]], ahead})
	}
	slices.SortFunc(list, func(a, b ClockDifference) int {
		return cmp.Or(cmp.Compare(a.Client.Index, b.Client.Index), cmp.Compare(a.Server.Index, b.Server.Index))
	})
	return list
}
