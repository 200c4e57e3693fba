package request

import "math"

// ClockKey is two captures: that of clients, and that of their servers.
type ClockKey struct{ Client, Server int32 }

// ClockBounds bounds how far the monotonic clock of a server's host is ahead of
// its client's. What the server saw of a request lies within what the client saw
// of it (Cristian, 1989): with ahead = server's time − client's,
// end at the server − end at the client ≤ ahead ≤ start at the server − start at the client.
// Each request gives such bounds; all together give the tightest.
type ClockBounds struct {
	LowNs, HighNs int64 // LowNs > HighNs: the clocks drift, or ends were matched wrongly
	NarrowNs      int64 // width of the bounds of the best single request
	Requests      int64
}

// add takes what one request tells.
func (b *ClockBounds) add(lowNs, highNs int64) {
	if b.Requests == 0 {
		*b = ClockBounds{LowNs: math.MinInt64, HighNs: math.MaxInt64, NarrowNs: math.MaxInt64}
	}
	b.LowNs, b.HighNs = max(b.LowNs, lowNs), min(b.HighNs, highNs)
	b.NarrowNs = min(b.NarrowNs, highNs-lowNs)
	b.Requests++
}

// AheadNs is the middle of the bounds, and errorNs how far it may be off.
func (b *ClockBounds) AheadNs() (aheadNs, errorNs int64) {
	width := b.HighNs - b.LowNs
	if width < 0 {
		return b.HighNs - width/2, -width/2 + b.NarrowNs/2
	}
	return b.LowNs + width/2, (width + 1) / 2
}

// boundClocks notes what a pair tells of two captures' clocks. Pairs that are
// reversed contradict themselves.
func (c *pairing) boundClocks(q *queue, pair SocketKey, client span, server served) {
	low, high := server.end-client.end-q.shift, server.start-client.start-q.shift
	if !q.served || q.capture == pair.Capture || low > high {
		return
	}
	k := ClockKey{pair.Capture, q.capture}
	b := c.partial.Clocks[k]
	if b == nil {
		if c.partial.Clocks == nil {
			c.partial.Clocks = map[ClockKey]*ClockBounds{}
		}
		b = new(ClockBounds)
		c.partial.Clocks[k] = b
	}
	b.add(low, high)
}
