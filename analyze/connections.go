package analyze

import (
	"cmp"
	"math"
	"slices"

	"kmon/analyze/network"
	"kmon/analyze/replay"
	"kmon/analyze/request"
	"kmon/analyze/topology"
	"kmon/format"
)

const (
	// maxBusiest and maxSlowest are how many connections of an instance are kept
	// for each reason.
	maxBusiest = 8
	maxSlowest = 8
	// maxConnectionsListed bounds those of all instances.
	maxConnectionsListed = 1500
)

// connected is a connection that is over, or was open when the recording ended.
type connected struct {
	request.Connection
	capture     *replay.Capture
	socket      replay.Socket
	retransmits int64
	ended       bool // an end was seen closing: retransmits says something
	p99         int64
}

// busier orders connections by what they carried.
func busier(a, b *connected) int {
	return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(b.Bytes.Requests+b.Bytes.Answers, a.Bytes.Requests+a.Bytes.Answers), earlier(a, b))
}

// slower orders them by the p99 of their requests.
func slower(a, b *connected) int {
	return cmp.Or(cmp.Compare(b.p99, a.p99), cmp.Compare(b.MaxNs, a.MaxNs), earlier(a, b))
}

func earlier(a, b *connected) int {
	return cmp.Or(cmp.Compare(a.socket.OpenNs, b.socket.OpenNs), cmp.Compare(a.capture.Index, b.capture.Index), cmp.Compare(a.socket.ID, b.socket.ID))
}

// connectionGroup is what connections are listed under: the instance that serves
// them, else the client's with the route to what was not recorded (else route is
// -1).
type connectionGroup struct{ instance, route int32 }

// connectionList is the connections of a group that may be listed.
type connectionList struct {
	busiest, slowest []*connected
}

// offer keeps x in a list of the first most in an order.
func offer(list []*connected, x *connected, most int, order func(a, b *connected) int) []*connected {
	at, _ := slices.BinarySearchFunc(list, x, order)
	if at >= most {
		return list
	}
	list = slices.Insert(list, at, x)
	return list[:min(len(list), most)]
}

// leave takes a socket that nothing later refers to: what its connection added up
// to is complete.
func (r *run) leave(l topology.Leaving) {
	key := request.SocketKey{Capture: int32(l.Capture.Index), ID: l.Socket.ID}
	sums := r.total.Connections[key]
	if sums == nil {
		return
	}
	delete(r.total.Connections, key)
	x := &connected{Connection: *sums, capture: l.Capture, socket: *l.Socket}
	x.Stream = x.Stream || r.isStream(l.Capture.Index, l.Socket.ID)
	x.p99 = x.Latency.Quantile(0.99)
	for _, s := range []*replay.Socket{l.Socket, l.Peer} {
		if s != nil && s.CloseNs != math.MaxInt64 {
			x.retransmits, x.ended = x.retransmits+int64(s.Retransmits), true
		}
	}
	instance, route := r.graph.InstanceOf(x.Cell)
	if !x.socket.Client() {
		route = -1
	}
	g := connectionGroup{instance, route}
	if r.connections == nil {
		r.connections = map[connectionGroup]*connectionList{}
	}
	list := r.connections[g]
	if list == nil {
		list = new(connectionList)
		r.connections[g] = list
	}
	list.busiest = offer(list.busiest, x, maxBusiest, busier)
	if x.Latency.Count() > 0 {
		list.slowest = offer(list.slowest, x, maxSlowest, slower)
	}
}

// listConnections lists the connections of all instances that the filter lets
// through, as many of each as there is room for, sorted by name.
func (r *run) listConnections() []Connection {
	lists := []*connectionList{}
	for _, list := range r.connections {
		if e := r.edgeOfCell(list.busiest[0].Cell); r.wanted(e.client, e.server) {
			lists = append(lists, list)
		}
	}
	slices.SortFunc(lists, func(a, b *connectionList) int { return busier(a.busiest[0], b.busiest[0]) })
	lists = lists[:min(len(lists), maxConnectionsListed)]
	most := max(maxConnectionsListed/(2*max(len(lists), 1)), 1)
	out := []Connection{}
	for _, list := range lists {
		out = append(out, r.connectionsOf(list, most)...)
	}
	slices.SortStableFunc(out, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.ServerInstance, b.ServerInstance),
			cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Client, b.Client), cmp.Compare(a.ClientAddress, b.ClientAddress),
			cmp.Compare(a.OpenedNs, b.OpenedNs), cmp.Compare(a.Host, b.Host), cmp.Compare(a.SocketID, b.SocketID))
	})
	return out
}

// connectionsOf writes at most so many of the busiest of a list, and of its
// slowest.
func (r *run) connectionsOf(list *connectionList, most int) []Connection {
	busiest, slowest := list.busiest[:min(len(list.busiest), most)], list.slowest[:min(len(list.slowest), most)]
	var out []Connection
	for _, x := range busiest {
		among := "busiest"
		if slices.Contains(slowest, x) {
			among = "both"
		}
		out = append(out, r.connection(x, among))
	}
	for _, x := range slowest {
		if !slices.Contains(busiest, x) {
			out = append(out, r.connection(x, "slowest"))
		}
	}
	return out
}

// connection writes a connection.
func (r *run) connection(x *connected, among string) Connection {
	e := r.edgeOfCell(x.Cell)
	s, c := &x.socket, x.capture
	local, remote := address(c, s.Local, s.LocalPort), address(c, s.Remote, s.RemotePort)
	out := Connection{
		Client: e.client, Server: e.server, ServerPort: e.port, Among: among,
		End: "server", Host: c.Host(), SocketID: s.ID, ClientAddress: remote, ServerAddress: local,
		Stream: x.Stream, Requests: x.Requests, Errors: x.Errors, Latency: connectionLatency(&x.Connection),
		BytesSent: x.Bytes.Requests, BytesReceived: x.Bytes.Answers,
	}
	if s.Client() {
		out.End, out.ClientAddress, out.ServerAddress = "client", local, remote
	}
	out.ClientInstance, out.ServerInstance = r.instancesOfCell(x.Cell)
	if x.ended {
		out.Retransmits = &x.retransmits
	}
	if s.OpenNs != math.MinInt64 {
		out.OpenedNs = s.OpenNs + c.OffsetNs
	}
	if s.CloseNs != math.MaxInt64 {
		out.ClosedNs, out.CloseReason = s.CloseNs+c.OffsetNs, format.CloseReason(s.Close).String()
	}
	return out
}

// connectionLatency summarizes the latencies of a connection.
func connectionLatency(c *request.Connection) Distribution {
	d := distribution(&c.Latency)
	for _, q := range []*int64{&d.P50, &d.P90, &d.P95, &d.P99} {
		*q = min(*q, c.MaxNs)
	}
	d.Max = c.MaxNs
	return d
}

// edgeOfCell names the ends of a cell's edge.
func (r *run) edgeOfCell(cell int32) edgeKey {
	t := r.topology
	e := t.Edges[t.EdgeOf[cell]]
	return edgeKey{t.Services[e.Client].Name, t.Services[e.Server].Name, e.ServerPort}
}

// instancesOfCell names the instances at the ends of a cell; "": not known.
func (r *run) instancesOfCell(at int32) (client, server string) {
	t := r.topology
	cell := t.Cells[at]
	own, peer := t.Instances[cell.Instance].Name, ""
	if cell.Peer >= 0 {
		peer = t.Holders[cell.Peer].Name
	}
	if cell.Client {
		return own, peer
	}
	return peer, own
}

// address writes an end of a socket; "": not described.
func address(c *replay.Capture, addr int32, port uint16) string {
	if addr < 0 {
		return ""
	}
	return network.Address(c.Sockets.Addr(addr), int32(port))
}
