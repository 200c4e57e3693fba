package topology

import (
	"math"

	"kmon/analyze/replay"
)

// maxLineWindows bounds the windows of all lines: 40 bytes each.
const maxLineWindows = 1 << 18

// Holder is the process, pod, container or unit that holds an end of a
// connection, named as an Instance.
type Holder struct {
	Service    int32 // index in Topology.Services
	Host, Name string
}

// Line is the connections on a route between two holders.
type Line struct {
	Route          int32
	Client, Server int32 // index in Topology.Holders; -1: not known
	// Which ends were recorded.
	ClientRecorded, ServerRecorded bool
}

// LineKey is a window of a line.
type LineKey struct {
	Line, Window int32 // index in Topology.Lines; window of Graph.Windows
}

// Connects is how many connections were opened in a window.
type Connects struct{ Opened, Failed int64 }

// LineEnd is the line that a watched socket is on.
type LineEnd struct {
	Line int32 // index in Topology.Lines
	// Second is a server's end whose client's end was recorded too: what both
	// ends see is to be counted at the other.
	Second bool
}

// holders tells who holds the ends of connections, and counts what opens between
// them.
type holders struct {
	// Windows divides the time for Connects. It is to be set before the first
	// part; its zero value counts nothing.
	Windows replay.Windows
	// Watched are the sockets, by capture and id, whose line is asked for. End
	// sets the values of those that it meets.
	Watched []map[int64]LineEnd
	// Connects counts by window, those with any.
	Connects map[LineKey]*Connects
	// Uncounted is connections that Connects has no room for.
	Uncounted int64

	holderIndex map[instanceKey]int32
	holderList  []instanceKey
	known       map[holderKey]int32
	lines       []Line
	lineIndex   map[Line]int32
}

// holderKey is a process of a capture: owner is its index in Owners, or -1.
type holderKey struct{ capture, pid, owner int32 }

func newHolders() holders {
	return holders{Connects: map[LineKey]*Connects{}, holderIndex: map[instanceKey]int32{},
		known: map[holderKey]int32{}, lineIndex: map[Line]int32{}}
}

// holder gives the holder of a socket when it was opened, -1 when no process is
// known; g.mu is held, or nothing else runs.
func (g *Graph) holder(c *replay.Capture, s *replay.Socket) int32 {
	pid := s.PID
	if pid == 0 && !s.Client() {
		pid = g.listeners[c.Index].ofSocket(c, s)
	}
	if pid == 0 {
		return -1
	}
	k := holderKey{int32(c.Index), pid, c.Owners.At(pid, s.HeldNs())}
	i, ok := g.known[k]
	if !ok {
		i = intern(g.holderIndex, &g.holderList, g.instanceKey(c, pid, k.owner))
		g.known[k] = i
	}
	return i
}

// peerHolder gives the holder of the other end of a socket, -1 when it was not
// recorded or is not known.
func (g *Graph) peerHolder(number int32) int32 {
	peer := g.peerOf[number]
	if peer < 0 {
		return -1
	}
	return g.holder(g.socket(peer))
}

// line gives the line of a socket, on the route of its connection.
func (g *Graph) line(c *replay.Capture, s *replay.Socket, number int32) int32 {
	own, peer, paired := g.holder(c, s), g.peerHolder(number), g.peerOf[number] >= 0
	l := Line{g.routeOf[number], own, peer, true, paired}
	if !s.Client() {
		l = Line{g.routeOf[number], peer, own, paired, true}
	}
	return intern(g.lineIndex, &g.lines, l)
}

// countLine counts the opening of a socket that goes, and tells the line of one
// that is watched. A connection with both ends recorded counts at its client's.
func (g *Graph) countLine(c *replay.Capture, s *replay.Socket, number int32) {
	watched := false
	if c.Index < len(g.Watched) && g.inRange(c, s) {
		_, watched = g.Watched[c.Index][s.ID]
	}
	second := g.peerOf[number] >= 0 && !s.Client()
	opened := s.OpenNs != math.MinInt64 && g.Windows.Count > 0 && !second
	if opened {
		at := s.OpenNs + c.OffsetNs
		opened = g.Windows.Holds(at) && at >= g.from && at <= g.to
	}
	if !watched && !opened {
		return
	}
	end := LineEnd{g.line(c, s, number), second}
	if watched {
		g.Watched[c.Index][s.ID] = end
	}
	if opened {
		g.countOpening(LineKey{end.Line, g.Windows.Of(s.OpenNs + c.OffsetNs)}, s.Failed)
	}
}

func (g *Graph) countOpening(k LineKey, failed bool) {
	n := g.Connects[k]
	if n == nil {
		if len(g.Connects) >= maxLineWindows {
			g.Uncounted++
			return
		}
		n = new(Connects)
		g.Connects[k] = n
	}
	if failed {
		n.Failed++
		return
	}
	n.Opened++
}
