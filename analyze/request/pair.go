package request

import (
	"cmp"
	"slices"

	"kmon/analyze/stat"
)

// span is when a request was at one end, on the pair's clock.
type span struct{ start, end int64 }

// served is a server's record of a request.
type served struct {
	span
	cell int32 // where the pair counts
}

// queue holds the records of a connection's two ends that were not in the
// same batch.
type queue struct {
	clients []span
	servers []served
	// Of the server's end, once it was there: its capture, and what was added to
	// its times.
	served  bool
	capture int32
	shift   int64
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

// waitingOf gives the queue of a connection.
func (p *Partial) waitingOf(pair SocketKey) *queue {
	q := p.waiting[pair]
	if q == nil {
		if p.waiting == nil {
			p.waiting = map[SocketKey]*queue{}
		}
		q = new(queue)
		p.waiting[pair] = q
	}
	return q
}

// takeWaiting moves all records that wait from o to p.
func (p *Partial) takeWaiting(o *Partial) {
	for pair, from := range o.waiting {
		to := p.waitingOf(pair)
		to.clients = append(to.clients, from.clients...)
		to.servers = append(to.servers, from.servers...)
		if from.served {
			to.served, to.capture, to.shift = true, from.capture, from.shift
		}
	}
	o.waiting = nil
}

// Pair pairs what waits, by the rule that holds within a batch: a client's
// record takes the first server's record within it.
func (p *Partial) Pair() {
	counts := pairing{partial: p, network: map[int32]*stat.Builder{}}
	for pair, q := range p.waiting {
		if len(q.clients) > 0 && len(q.servers) > 0 {
			q.pair(&counts, pair)
		}
		if len(q.clients)+len(q.servers) == 0 {
			delete(p.waiting, pair)
		}
	}
	for cell, b := range counts.network {
		b.Flush(&p.Stats(cell).Network, &counts.pool)
	}
}

// pairing counts pairs.
type pairing struct {
	partial *Partial
	pool    stat.Pool
	network map[int32]*stat.Builder // by cell
}

func (c *pairing) add(client span, server served) {
	stats := c.partial.Stats(server.cell)
	stats.Matched++
	ns, ok := network(client, server.span)
	if !ok {
		stats.Reversed++
		return
	}
	b := c.network[server.cell]
	if b == nil {
		b = new(stat.Builder)
		c.network[server.cell] = b
	}
	b.Add(ns, &c.pool)
}

// pair pairs the two ends' records and keeps those without a partner.
func (q *queue) pair(counts *pairing, pair SocketKey) {
	sortBy(q.clients, func(s span) span { return s })
	sortBy(q.servers, func(s served) span { return s.span })
	clients, servers := q.clients[:0], q.servers[:0]
	at, waits := -1, false // the last client's record that began before
	open := span{}
	for _, server := range q.servers {
		for at+1 < len(q.clients) && q.clients[at+1].start <= server.start {
			if waits {
				clients = append(clients, open)
			}
			at++
			open, waits = q.clients[at], true
		}
		if waits && server.within(open) {
			counts.add(open, server)
			counts.boundClocks(q, pair, open, server)
			waits = false
			continue
		}
		servers = append(servers, server)
	}
	if waits {
		clients = append(clients, open)
	}
	q.clients = append(clients, q.clients[at+1:]...)
	q.servers = servers
}

// sortBy sorts records by time. They mostly are.
func sortBy[T any](list []T, of func(T) span) {
	compare := func(a, b T) int {
		x, y := of(a), of(b)
		if x.start != y.start {
			return cmp.Compare(x.start, y.start)
		}
		return cmp.Compare(x.end, y.end)
	}
	if !slices.IsSortedFunc(list, compare) {
		slices.SortStableFunc(list, compare)
	}
}
