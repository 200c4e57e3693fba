package request

import (
	"math/bits"
	"slices"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
)

// connectionBits is log2 of the buckets a power of two has in the distribution of
// one connection: there may be very many of them.
const connectionBits = 4

// ConnectionError is the largest error of a quantile of a Connection, relative to
// the exact one.
const ConnectionError = 1.0/(2<<connectionBits) + stat.RelativeError

// Connection is what the rows of one recorded end of a connection add up to.
type Connection struct {
	Requests int64 // those without a latency as well
	Errors   int64 // unanswered, or ended by a reset
	Bytes    Bytes // of all exchanges
	Stream   bool
	// Latency has the time of requests to within ConnectionError.
	Latency stat.Sketch
	MaxNs   int64 // the longest, exactly; 0: none has a latency
	LastNs  int64 // start of the last row, monotonic
	Cell    int32 // of that row
}

// connectionSums is what a batch adds to a connection.
type connectionSums struct {
	bytes           Bytes
	untimed, errors int64
	last            int   // row
	timed           int32 // latencies; then where they end in the order by socket
}

// timed is the latency of a request on a socket of the batch.
type timed struct {
	socket int32
	ns     int64
}

// merge adds o, which belongs to the same socket.
func (c *Connection) merge(o *Connection) {
	c.Requests += o.Requests
	c.Errors += o.Errors
	c.Bytes.add(o.Bytes)
	c.Stream = c.Stream || o.Stream
	c.Latency.Merge(&o.Latency)
	c.MaxNs = max(c.MaxNs, o.MaxNs)
	if o.LastNs > c.LastNs || o.LastNs == c.LastNs && o.Cell < c.Cell {
		c.LastNs, c.Cell = o.LastNs, o.Cell
	}
}

// takeConnections moves all connections from o to p.
func (p *Partial) takeConnections(o *Partial) {
	if p.Connections == nil {
		p.Connections, o.Connections = o.Connections, nil
		return
	}
	for key, from := range o.Connections {
		if to := p.Connections[key]; to != nil {
			to.merge(from)
		} else {
			p.Connections[key] = from
		}
	}
	o.Connections = nil
}

// countConnections adds the batch to the connections of its sockets.
func (a *Accumulator) countConnections(b *replay.Batch) {
	sorted := a.latenciesBySocket()
	first := int32(0)
	for i := range a.sockets {
		s := &a.sockets[i]
		past := s.sums.timed
		if s.counter == nil || !s.listed {
			first = past
			continue
		}
		key := SocketKey{int32(b.Capture.Index), b.Columns.SocketIDs[i]}
		c := Connection{
			Requests: int64(past-first) + s.sums.untimed, Errors: s.sums.errors, Bytes: s.sums.bytes, Stream: s.stream,
			LastNs: b.Columns.StartNs[s.sums.last], Cell: s.counter.cell,
		}
		for _, ns := range sorted[first:past] {
			c.MaxNs = max(c.MaxNs, ns)
			a.lines.Add(coarse(ns), &a.pool)
		}
		a.lines.Flush(&c.Latency, &a.pool)
		a.partial.addConnection(key, &c)
		first = past
	}
}

// addConnection adds to the connection of a socket.
func (p *Partial) addConnection(key SocketKey, c *Connection) {
	if to := p.Connections[key]; to != nil {
		to.merge(c)
		return
	}
	if p.Connections == nil {
		p.Connections = map[SocketKey]*Connection{}
	}
	kept := *c
	p.Connections[key] = &kept
}

// latenciesBySocket sorts the latencies of the batch by socket (by counting) and
// leaves in each socket's sums where its own end.
func (a *Accumulator) latenciesBySocket() []int64 {
	for _, t := range a.timed {
		a.sockets[t.socket].sums.timed++
	}
	end := int32(0)
	for i := range a.sockets {
		count := a.sockets[i].sums.timed
		a.sockets[i].sums.timed = end
		end += count
	}
	a.sorted = slices.Grow(a.sorted[:0], len(a.timed))[:len(a.timed)]
	for _, t := range a.timed {
		at := &a.sockets[t.socket].sums.timed
		a.sorted[*at] = t.ns
		*at++
	}
	a.timed = a.timed[:0]
	return a.sorted
}

// coarse rounds a latency to the middle of the bucket it has in the distribution
// of a connection.
func coarse(ns int64) int64 {
	shift := bits.Len64(uint64(max(ns, 0))) - connectionBits - 1
	if shift <= 0 {
		return max(ns, 0)
	}
	return ns>>shift<<shift | 1<<(shift-1)
}
