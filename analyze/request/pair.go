package request

import (
	"cmp"
	"slices"
)

// span is when a request was at one end, on the pair's clock.
type span struct{ start, end int64 }

// half is one end's record of a request whose other end was not in the same
// batch.
type half struct {
	span
	pair SocketKey
	cell int32 // server's end: where the pair counts; -1: client's end
}

// within says whether a server's record lies within a client's. The middle
// decides: between hosts the edges may differ by the clocks' difference.
func (s span) within(client span) bool {
	middle := s.start + (s.end-s.start)/2
	return middle >= client.start && middle <= client.end
}

// network gives the network and queue time of a request from its two ends.
// It reports false when the client was faster than the server by more than
// the clocks' precision: 1 µs and 100 ppm.
func network(client, server span) (ns int64, ok bool) {
	latency := client.end - client.start
	ns = latency - (server.end - server.start)
	if ns < -1000-latency/10_000 {
		return 0, false
	}
	return max(ns, 0), true
}

// Pair pairs what waits, by the rule that holds within a segment: a
// client's record takes the first server's record within it.
func (p *Partial) Pair() {
	slices.SortFunc(p.waiting, func(a, b half) int {
		return cmp.Or(cmp.Compare(a.pair.ID, b.pair.ID), cmp.Compare(a.pair.Capture, b.pair.Capture), cmp.Compare(a.start, b.start),
			cmp.Compare(a.end, b.end), cmp.Compare(a.cell, b.cell))
	})
	left := p.waiting[:0]
	var open half // the client's record at hand
	waits := false
	for _, h := range p.waiting {
		if h.cell < 0 {
			if waits {
				left = append(left, open)
			}
			open, waits = h, true
			continue
		}
		if !waits || open.pair != h.pair || !h.within(open.span) {
			left = append(left, h)
			continue
		}
		stats := p.Stats(h.cell)
		stats.Matched++
		if ns, ok := network(open.span, h.span); ok {
			stats.Network.Add(ns, 1)
		} else {
			stats.Reversed++
		}
		waits = false
	}
	if waits {
		left = append(left, open)
	}
	p.waiting = left
}
