package topology

import (
	"slices"

	"kmon/analyze/replay"
)

// routeAll gives every socket of the part its route.
func (g *Graph) routeAll() {
	for _, c := range g.captures {
		for i := range c.Sockets.List {
			if s := &c.Sockets.List[i]; !s.Client() {
				g.endpointOf(c, s) // known before clients look for it
			}
		}
	}
	for _, c := range g.captures {
		for i := range c.Sockets.List {
			number := g.base[c.Index] + int32(i)
			s := &c.Sockets.List[i]
			peer := g.peerOf[number]
			switch {
			case s.Client() && peer >= 0:
				g.routeOf[number] = g.routePair(number, peer)
				g.routeOf[peer] = g.routeOf[number]
			case s.Client():
				g.routeOf[number] = g.routeClient(c, s)
			case peer < 0:
				g.routeOf[number] = g.routeServer(c, s)
			}
		}
	}
}

// endpointOf gives the endpoint a server socket is at, and notes its owner.
func (g *Graph) endpointOf(c *replay.Capture, s *replay.Socket) int32 {
	at := g.endpoint(endpoint{int32(c.Index), s.NetnsID, g.addrMap[c.Index][s.Local], s.LocalPort})
	pid := s.PID
	if pid == 0 {
		pid = g.listeners[c.Index].ofSocket(c, s)
	}
	if owner := g.ownerAt(c, pid, s); owner >= 0 && !slices.Contains(g.owned[at], owner) {
		g.owned[at] = append(g.owned[at], owner)
	}
	return at
}

// ownerAt gives the service of a socket's process when it was opened.
func (g *Graph) ownerAt(c *replay.Capture, pid int32, s *replay.Socket) int32 {
	if pid == 0 {
		return -1
	}
	return g.ownerService(c, pid, c.Owners.At(pid, s.HeldNs()))
}

// routePair gives the route of a connection with both ends recorded.
func (g *Graph) routePair(client, server int32) int32 {
	cc, c := g.socket(client)
	sc, s := g.socket(server)
	r := Route{client: g.clientService(cc, c), server: g.endpointOf(sc, s), port: s.LocalPort}
	target := g.addrMap[cc.Index][c.Remote]
	if target != g.addrMap[sc.Index][s.Local] || c.RemotePort != s.LocalPort {
		r.via = intern(g.viaIndex, &g.vias, hostPort(g.addrs[target], c.RemotePort))
	}
	return g.route(r)
}

// clientService names the process at the client's end, else its address.
func (g *Graph) clientService(c *replay.Capture, s *replay.Socket) int32 {
	if owner := g.ownerAt(c, s.PID, s); owner >= 0 {
		return owner
	}
	return g.service(Service{Name: c.Sockets.Addr(s.Local), Source: SourceAddress})
}

// routeClient gives the route of a connection seen from its client only.
func (g *Graph) routeClient(c *replay.Capture, s *replay.Socket) int32 {
	r := Route{client: g.clientService(c, s), port: s.RemotePort}
	addr := c.Sockets.Addr(s.Remote)
	if l, ok := g.listeners[c.Index].of(s.NetnsID, addr, s.RemotePort); ok {
		r.server = g.endpoint(endpoint{int32(c.Index), uint32(l.NetnsID), g.addrMap[c.Index][s.Remote], s.RemotePort})
		if owner := g.ownerAt(c, l.PID, s); owner >= 0 && !slices.Contains(g.owned[r.server], owner) {
			g.owned[r.server] = append(g.owned[r.server], owner)
		}
		return g.route(r)
	}
	at := endpoint{int32(c.Index), s.NetnsID, g.addrMap[c.Index][s.Remote], s.RemotePort}
	if known, ok := g.endpointIndex[at]; ok {
		r.server = known
		return g.route(r)
	}
	r.server = ^g.service(Service{Name: hostPort(addr, s.RemotePort), Source: SourceAddress, External: true})
	return g.route(r)
}

// routeServer gives the route of a connection seen from its server only.
func (g *Graph) routeServer(c *replay.Capture, s *replay.Socket) int32 {
	r := Route{server: g.endpointOf(c, s), port: s.LocalPort}
	addr, clients := g.addrMap[c.Index][s.Remote], g.clients[r.server]
	client, ok := clients[addr]
	if !ok {
		from := Service{Name: c.Sockets.Addr(s.Remote), Source: SourceAddress, External: true}
		if len(clients) >= maxExternalClients {
			from.Name = OtherExternal
		}
		client = g.service(from)
		if from.Name != OtherExternal {
			clients[addr] = client
		}
	}
	r.client = client
	return g.route(r)
}

// inRange says whether a socket was open at some time in the range of interest.
func (g *Graph) inRange(c *replay.Capture, s *replay.Socket) bool {
	return openUnix(c, s) <= g.to && closeUnix(c, s) >= g.from
}

// countSocket adds a socket to the statistics of its route. A connection with
// both ends recorded counts once, at its client's end.
func (g *Graph) countSocket(c *replay.Capture, s *replay.Socket, stats *RouteStats, peer int32, stream bool) {
	if !g.inRange(c, s) {
		return
	}
	closed := closeUnix(c, s)
	stats.Retransmits += int64(s.Retransmits)
	if s.Failed {
		stats.Failed++
		return
	}
	switch {
	case stream && s.Client():
		stats.ClientStreams++
	case stream:
		stats.ServerStreams++
	}
	if s.Client() {
		stats.ClientEnds++
	} else {
		stats.ServerEnds++
	}
	second := peer >= 0 && !s.Client()
	reset := s.Reset() && closed <= g.to
	if peer >= 0 && s.Client() {
		oc, other := g.socket(peer)
		reset = reset || other.Reset() && closeUnix(oc, other) <= g.to
	}
	if second {
		return
	}
	stats.Connections++
	if reset {
		stats.Resets++
	}
}
