package request

import (
	"cmp"
	"slices"
)

// half is one end's record of a request whose other end was not in the same
// segment.
type half struct {
	start, end int64 // on the pair's clock
	pair       int32
	cell       int32 // server's end: where the pair counts; -1: client's end
}

// within says whether a server's record lies within a client's. The middle
// decides: between hosts the edges may differ by the clocks' difference.
func (h *half) within(client *half) bool {
	middle := h.start + (h.end-h.start)/2
	return middle >= client.start && middle <= client.end
}

// network gives the network and queue time of a request from its latency at
// both ends. It reports false when the client was faster than the server by
// more than the clocks' precision: 1 µs and 100 ppm.
func network(client, server int64) (ns int64, ok bool) {
	ns = client - server
	if ns < -1000-client/10_000 {
		return 0, false
	}
	return max(ns, 0), true
}

// pairWaiting pairs what waited, by the rule that holds within a segment: a
// client's record takes the first server's record within it.
func (p *Partial) pairWaiting() {
	slices.SortFunc(p.waiting, func(a, b half) int {
		return cmp.Or(cmp.Compare(a.pair, b.pair), cmp.Compare(a.start, b.start),
			cmp.Compare(a.end, b.end), cmp.Compare(a.cell, b.cell))
	})
	var open *half
	for i := range p.waiting {
		h := &p.waiting[i]
		if h.cell < 0 {
			open = h
			continue
		}
		if open == nil || open.pair != h.pair || !h.within(open) {
			continue
		}
		stats := p.Stats(h.cell)
		stats.Matched++
		if ns, ok := network(open.end-open.start, h.end-h.start); ok {
			stats.Network.Add(ns, 1)
		} else {
			stats.Reversed++
		}
		open = nil
	}
	p.waiting = nil
}

// Result completes p: nothing may be merged into it afterwards.
func (p *Partial) Result() *Partial {
	p.pairWaiting()
	return p
}
