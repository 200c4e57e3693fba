package topology

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"kmon/analyze/replay"
	"kmon/format"
)

const (
	// maxExternalClients is how many client addresses of one endpoint are
	// told apart, the first seen; the rest are OtherExternal.
	maxExternalClients = 4096
	// maxProcessInstances is how many processes of one service and host are
	// instances of their own; the rest are one.
	maxProcessInstances = 1024
)

// Names that stand for many.
const (
	OtherExternal  = "other external"
	OtherProcesses = "other processes"
	UnknownPeer    = "unknown peer"
)

// Sources of a service name beside those a capture stores.
const (
	SourceAddress = "address" // no process is known
	SourcePID     = "pid"     // the process is known by its number only
)

// Service is a name that traffic comes from or goes to.
type Service struct {
	Name     string
	Source   string
	External bool // an address, not a recorded process
}

// Instance is one process, pod, container or unit of a service.
type Instance struct {
	Service int32 // index for Graph.Service
	Host    string
	Name    string
	PIDs    []int32 // the lowest, sorted
}

// maxPIDs is how many process ids an instance lists.
const maxPIDs = 16

// endpoint is where a server answers.
type endpoint struct {
	capture int32
	netnsID uint32
	addr    int32 // index for Graph.addrs
	port    uint16
}

// Route is where connections run: from a client to an endpoint.
type Route struct {
	client int32 // service
	server int32 // >= 0: endpoint; else ^service, external
	port   uint16
	via    int32 // index for Graph.vias; 0: none
}

// Cell is what rows are counted into: one end of a route, one instance.
type Cell struct {
	Route    int32
	Instance int32
	Capture  int32
	Peer     int32 // index in Topology.Holders of the other end; -1: not known
	Client   bool  // the client's end
}

// Graph holds routes and cells. Cell may be called concurrently.
type Graph struct {
	captures  []*replay.Capture
	from, to  int64 // Unix range of interest
	services  []Service
	endpoints []endpoint
	owned     [][]int32 // endpoint → services of its sockets' owners, in socket order
	addrs     []string
	vias      []string
	clocks    map[[2]int32]int64   // client's and server's capture → see ClockDifference
	openings  map[[2]int32][]int64 // what clocks is made of
	stats     []RouteStats         // by route
	clients   []map[int32]int32    // endpoint → client address → service
	// Gone, if set, is called by End for each socket that it drops.
	Gone func(Leaving)

	// Of the part at hand:
	base    []int32 // capture → number of its socket 0
	routeOf []int32 // socket number → route
	peerOf  []int32 // socket number → socket number of the other end, -1

	serviceIndex  map[string]int32
	endpointIndex map[endpoint]int32
	routeIndex    map[Route]int32
	addrIndex     map[string]int32
	addrMap       [][]int32 // capture → its address index → index in addrs
	viaIndex      map[string]int32
	routes        []Route
	crowded       [][]bool // capture → owner: shares an instance with others
	listeners     []listeners
	unknown       int32 // the route of sockets no capture describes
	holders

	mu            sync.Mutex
	instances     []Instance
	instanceIndex map[instanceKey]int32
	cells         []Cell
	cellIndex     map[Cell]int32
}

type instanceKey struct {
	service    int32
	host, name string
}

// RouteStats is what the sockets themselves tell of a route.
type RouteStats struct {
	ClientEnds    int64 // recorded ends of connections, open at some time in the range
	ServerEnds    int64
	Connections   int64 // open at some time in the range
	Failed        int64 // connects that ended without a connection
	Resets        int64 // connections ended by a reset or timeout
	Retransmits   int64 // segments, both ends
	ClientStreams int64 // client's ends that are streams
	ServerStreams int64 // server's ends that are streams
}

// New gives the empty graph of captures. Connections count when they were
// open between the Unix times from and to.
func New(captures []*replay.Capture, from, to int64) *Graph {
	g := &Graph{
		captures: captures, from: from, to: to,
		vias: []string{""}, clocks: map[[2]int32]int64{}, openings: map[[2]int32][]int64{},
		serviceIndex: map[string]int32{}, endpointIndex: map[endpoint]int32{},
		routeIndex: map[Route]int32{}, addrIndex: map[string]int32{}, viaIndex: map[string]int32{"": 0},
		instanceIndex: map[instanceKey]int32{}, cellIndex: map[Cell]int32{},
		holders: newHolders(),
	}
	for _, c := range captures {
		g.addrMap = append(g.addrMap, nil)
		g.listeners = append(g.listeners, newListeners(c))
		g.crowded = append(g.crowded, crowded(c))
	}
	nobody := g.service(Service{UnknownPeer, "unknown", true})
	g.unknown = g.route(Route{client: nobody, server: ^nobody})
	return g
}

// Begin pairs and routes the sockets that the captures hold now.
func (g *Graph) Begin() {
	total := 0
	g.base = g.base[:0]
	for i, c := range g.captures {
		g.base = append(g.base, int32(total))
		total += len(c.Sockets.List)
		for len(g.addrMap[i]) < c.Sockets.Addrs() {
			g.addrMap[i] = append(g.addrMap[i], g.addr(c.Sockets.Addr(int32(len(g.addrMap[i])))))
		}
	}
	g.routeOf = resize(g.routeOf, total)
	g.peerOf = resize(g.peerOf, total)
	for i := range g.peerOf {
		g.peerOf[i] = -1
	}
	g.pair()
	g.routeAll()
}

// Leaving is a socket that its capture drops: nothing later refers to it.
type Leaving struct {
	Capture *replay.Capture
	Socket  *replay.Socket
	// Peer is its connection's other end in PeerCapture; nil: not recorded.
	Peer        *replay.Socket
	PeerCapture *replay.Capture
}

// leaving gives the socket with a number.
func (g *Graph) leaving(c *replay.Capture, s *replay.Socket, number int32) Leaving {
	l := Leaving{Capture: c, Socket: s}
	if peer := g.peerOf[number]; peer >= 0 {
		l.PeerCapture, l.Peer = g.socket(peer)
	}
	return l
}

// InstanceOf gives the instance and the route of a cell. It must not run
// concurrently with Cell.
func (g *Graph) InstanceOf(cell int32) (instance, route int32) {
	return g.cells[cell].Instance, g.cells[cell].Route
}

// End counts the sockets that are not needed for a later part and makes the
// captures drop them: all when last, else those whose end was read in a
// reading before this one, together with their other end. stream says which
// sockets, by capture and id, are streams.
func (g *Graph) End(last bool, stream func(capture int, id int64) bool) {
	keep := make([]bool, len(g.routeOf))
	for _, c := range g.captures {
		for i := range c.Sockets.List {
			s := &c.Sockets.List[i]
			number := g.base[c.Index] + int32(i)
			if !last && (s.CloseNs == math.MaxInt64 || s.Recent) {
				keep[number] = true
				if peer := g.peerOf[number]; peer >= 0 {
					keep[peer] = true
				}
			}
		}
	}
	for _, c := range g.captures {
		for i := range c.Sockets.List {
			number := g.base[c.Index] + int32(i)
			if !keep[number] {
				s := &c.Sockets.List[i]
				g.countSocket(c, s, &g.stats[g.routeOf[number]], g.peerOf[number], stream(c.Index, s.ID))
				g.countLine(c, s, number)
				if g.Gone != nil {
					g.Gone(g.leaving(c, s, number))
				}
			}
		}
	}
	for _, c := range g.captures {
		first := g.base[c.Index]
		c.Sockets.Keep(keep[first : int(first)+len(c.Sockets.List)])
	}
}

func resize(list []int32, n int) []int32 {
	if cap(list) < n {
		return make([]int32, n)
	}
	return list[:n]
}

// socket returns the socket with a number and its capture.
func (g *Graph) socket(number int32) (*replay.Capture, *replay.Socket) {
	i, _ := slices.BinarySearch(g.base, number+1)
	c := g.captures[i-1]
	return c, &c.Sockets.List[number-g.base[i-1]]
}

// Link is the connection of a socket.
type Link struct {
	// Paired says that both ends are recorded. Client and ID then are the
	// capture and id of the client's end, on both ends.
	Paired bool
	Client int32
	ID     int64
	// Peer is the other end's index in the same capture; -1: none, or in
	// another capture.
	Peer int32
	// ShiftNs turns the socket's monotonic times into those of the pair:
	// its client's monotonic time.
	ShiftNs int64
}

// Link returns the connection of a socket of the part at hand; -1 is one that
// its capture does not describe.
func (g *Graph) Link(capture int, socket int32) Link {
	link := Link{Peer: -1}
	if socket < 0 {
		return link
	}
	peer := g.peerOf[g.base[capture]+socket]
	if peer < 0 {
		return link
	}
	c := g.captures[capture]
	s := &c.Sockets.List[socket]
	oc, other := g.socket(peer)
	link.Paired, link.Client, link.ID = true, int32(capture), s.ID
	if !s.Client() {
		link.Client, link.ID = int32(oc.Index), other.ID
	}
	if oc == c {
		link.Peer = peer - g.base[capture]
	} else if !s.Client() {
		link.ShiftNs = c.OffsetNs - oc.OffsetNs - g.clocks[[2]int32{int32(oc.Index), int32(capture)}]
	}
	return link
}

// Cell says where rows of a socket count: those on the given end, written by
// pid, ending at ns (monotonic).
func (g *Graph) Cell(capture int, socket, pid int32, ns int64, client bool) int32 {
	route, peer := g.unknown, int32(-1)
	c := g.captures[capture]
	if socket >= 0 {
		route = g.routeOf[g.base[capture]+socket]
		if pid == 0 {
			pid = c.Sockets.List[socket].PID
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if pid == 0 && socket >= 0 && !client {
		pid = g.listeners[capture].ofSocket(c, &c.Sockets.List[socket])
	}
	instance := g.instance(c, pid, ns, route, client)
	if socket >= 0 {
		peer = g.peerHolder(g.base[capture] + socket)
	}
	return intern(g.cellIndex, &g.cells, Cell{route, instance, int32(capture), peer, client})
}

// Instance gives the instance that rows of a cell are of.
func (g *Graph) Instance(cell int32) int32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cells[cell].Instance
}

// instance gives the instance that is the process; g.mu is held.
func (g *Graph) instance(c *replay.Capture, pid int32, ns int64, route int32, client bool) int32 {
	key := instanceKey{host: c.Host(), name: c.Host() + ":unknown process"}
	if pid != 0 {
		key = g.instanceKey(c, pid, c.Owners.At(pid, ns))
	} else {
		key.service = g.routeEnd(route, client)
	}
	i, ok := g.instanceIndex[key]
	if !ok {
		i = int32(len(g.instances))
		g.instances = append(g.instances, Instance{Service: key.service, Host: key.host, Name: key.name})
		g.instanceIndex[key] = i
	}
	if pid != 0 {
		g.instances[i].addPID(pid)
	}
	return i
}

// instanceKey names the instance that a process is; owner is what is known of it,
// -1: nothing.
func (g *Graph) instanceKey(c *replay.Capture, pid, owner int32) instanceKey {
	key := instanceKey{service: g.ownerService(c, pid, owner), host: c.Host()}
	switch {
	case owner >= 0 && c.Owners.Get(owner).Instance != "":
		key.name = c.Owners.Get(owner).Instance
	case owner >= 0 && g.crowded[c.Index][owner]:
		key.name = OtherProcesses
	default:
		key.name = c.Host() + ":" + strconv.Itoa(int(pid))
	}
	return key
}

// addPID keeps the lowest ids.
func (i *Instance) addPID(pid int32) {
	at, known := slices.BinarySearch(i.PIDs, pid)
	if known || at == maxPIDs {
		return
	}
	i.PIDs = slices.Insert(i.PIDs, at, pid)
	i.PIDs = i.PIDs[:min(len(i.PIDs), maxPIDs)]
}

// ownerService gives the service of a process, -1 when there is none. The
// name of a process known by number carries its host when there are several
// captures.
func (g *Graph) ownerService(c *replay.Capture, pid, owner int32) int32 {
	if owner >= 0 {
		o := c.Owners.Get(owner)
		return g.service(Service{Name: o.Service, Source: o.Source})
	}
	if pid == 0 {
		return -1
	}
	name := "pid " + strconv.Itoa(int(pid))
	if len(g.captures) > 1 {
		name += " on " + c.Host()
	}
	return g.service(Service{Name: name, Source: SourcePID})
}

// routeEnd names the process that is not known by the route's end.
func (g *Graph) routeEnd(route int32, client bool) int32 {
	r := g.routes[route]
	switch {
	case client:
		return r.client
	case r.server < 0:
		return ^r.server
	}
	return g.addressOf(r.server)
}

// addressOf gives the service that stands for an endpoint's address.
func (g *Graph) addressOf(end int32) int32 {
	e := g.endpoints[end]
	return g.service(Service{Name: hostPort(g.addrs[e.addr], e.port), Source: SourceAddress})
}

// service gives the index of a service. When a name has several sources the
// first in the ladder stays; known processes make it internal.
func (g *Graph) service(s Service) int32 {
	i, ok := g.serviceIndex[s.Name]
	if !ok {
		i = int32(len(g.services))
		g.services = append(g.services, s)
		g.serviceIndex[s.Name] = i
		return i
	}
	kept := &g.services[i]
	if sourceRank(s.Source) < sourceRank(kept.Source) {
		kept.Source = s.Source
	}
	kept.External = kept.External && s.External
	return i
}

// sourceRank orders sources: how good a name is. Unknown words come last, by
// their text.
func sourceRank(source string) string {
	ladder := []string{"rule", "kubernetes", "container", "systemd", "executable", SourcePID, SourceAddress}
	if i := slices.Index(ladder, source); i >= 0 {
		return string(rune('0' + i))
	}
	return "~" + source
}

func (g *Graph) addr(text string) int32 { return intern(g.addrIndex, &g.addrs, text) }

func (g *Graph) route(r Route) int32 {
	i := intern(g.routeIndex, &g.routes, r)
	for len(g.stats) < len(g.routes) {
		g.stats = append(g.stats, RouteStats{})
	}
	return i
}

func (g *Graph) endpoint(e endpoint) int32 {
	i := intern(g.endpointIndex, &g.endpoints, e)
	for len(g.owned) < len(g.endpoints) {
		g.owned = append(g.owned, nil)
		g.clients = append(g.clients, map[int32]int32{})
	}
	return i
}

// intern gives the index of v in list, appending it when it is new.
func intern[T comparable](index map[T]int32, list *[]T, v T) int32 {
	i, ok := index[v]
	if !ok {
		i = int32(len(*list))
		*list = append(*list, v)
		index[v] = i
	}
	return i
}

// hostPort writes an address and a port the usual way.
func hostPort(addr string, port uint16) string {
	if parsed, err := netip.ParseAddr(addr); err == nil {
		return netip.AddrPortFrom(parsed, port).String()
	}
	return addr + ":" + strconv.Itoa(int(port))
}

// crowded marks the owners that share one instance because their service has
// too many processes on this host: all but the first by pid and time.
func crowded(c *replay.Capture) []bool {
	marks := make([]bool, c.Owners.Len())
	seen := map[string]int{}
	for i := range marks {
		o := c.Owners.Get(int32(i))
		if o.Instance == "" {
			seen[o.Service]++
			marks[i] = seen[o.Service] > maxProcessInstances
		}
	}
	return marks
}

// listeners finds the process that listens on an address.
type listeners struct {
	byPort map[int32][]format.Listener
	local  map[string]map[int64]bool // address → network namespaces that own it
}

func newListeners(c *replay.Capture) listeners {
	l := listeners{byPort: map[int32][]format.Listener{}, local: map[string]map[int64]bool{}}
	for _, row := range c.Listeners {
		if row.PID != 0 {
			l.byPort[row.Port] = append(l.byPort[row.Port], row)
		}
	}
	for _, rows := range l.byPort {
		slices.SortStableFunc(rows, func(a, b format.Listener) int { return cmp.Compare(a.TsNs, b.TsNs) })
	}
	for _, row := range c.Interfaces {
		prefix, err := netip.ParsePrefix(row.Addr)
		if err != nil {
			continue
		}
		addr := prefix.Addr().String()
		if l.local[addr] == nil {
			l.local[addr] = map[int64]bool{}
		}
		l.local[addr][row.NetnsID] = true
	}
	return l
}

// ofSocket gives the process that listens where a server socket is, 0 when
// none is known.
func (l listeners) ofSocket(c *replay.Capture, s *replay.Socket) int32 {
	addr := c.Sockets.Addr(s.Local)
	for _, row := range l.byPort[int32(s.LocalPort)] {
		if uint32(row.NetnsID) == s.NetnsID && (row.Addr == addr || wildcard(row.Addr)) {
			return row.PID
		}
	}
	return 0
}

// of finds the listener that a connection from namespace netnsID to addr and
// port reaches on this host.
func (l listeners) of(netnsID uint32, addr string, port uint16) (format.Listener, bool) {
	for _, row := range l.byPort[int32(port)] {
		reached := l.local[addr][row.NetnsID]
		if loopback(addr) {
			reached = uint32(row.NetnsID) == netnsID
		}
		if reached && (row.Addr == addr || wildcard(row.Addr)) {
			return row, true
		}
	}
	return format.Listener{}, false
}

func wildcard(addr string) bool { return addr == "0.0.0.0" || addr == "::" || addr == "" }

func loopback(addr string) bool {
	parsed, err := netip.ParseAddr(addr)
	return err == nil && parsed.Unmap().IsLoopback()
}

// openUnix and closeUnix give when a socket was open, within its recording.
func openUnix(c *replay.Capture, s *replay.Socket) int64 {
	return max(s.OpenNs, c.StartNs) + c.OffsetNs
}

func closeUnix(c *replay.Capture, s *replay.Socket) int64 {
	if s.CloseNs == math.MaxInt64 {
		return max(c.EndNs, s.OpenNs) + c.OffsetNs
	}
	return s.CloseNs + c.OffsetNs
}
