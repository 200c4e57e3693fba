package network

import (
	"cmp"
	"slices"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
)

// Faults is how often things went wrong.
type Faults struct {
	Retransmits    int64
	ResetsSent     int64
	ResetsReceived int64
	Drops          int64
	Overflows      int64 // connections that listeners turned away
}

func (f *Faults) add(o *Faults) {
	f.Retransmits += o.Retransmits
	f.ResetsSent += o.ResetsSent
	f.ResetsReceived += o.ResetsReceived
	f.Drops += o.Drops
	f.Overflows += o.Overflows
}

// Total is all of them.
func (f *Faults) Total() int64 {
	return f.Retransmits + f.ResetsSent + f.ResetsReceived + f.Drops + f.Overflows
}

// Service is what happened on the sockets of one service.
type Service struct {
	Faults
	RTT     stat.Sketch
	Peers   Tally[string]     // other ends, by retransmits and resets
	Reasons Tally[string]     // of resets
	Windows map[int32]*Faults // only those with faults
}

// DropKey is what tells drops apart.
type DropKey struct {
	Capture  int
	Reason   string
	Protocol int32 // IP protocol number; 0: not known
	Service  string
}

// Drop is packets dropped for one reason at one service.
type Drop struct {
	Count   int64
	FirstNs int64 // Unix
	LastNs  int64 // Unix
	Peers   Tally[string]
	Locals  Tally[string]
	Stacks  Tally[int64]
}

// QueueKey is a listener.
type QueueKey struct {
	Capture int
	NetnsID int64
	Addr    string
	Port    int32
}

// Queue is the accept queue of a listener.
type Queue struct {
	Service   string
	MaxDepth  int32
	Limit     int32 // largest; 0: not known
	Overflows int64
}

// Tally counts by key. The zero value is empty.
type Tally[K cmp.Ordered] map[K]int64

// Busiest gives the key with the highest count, the least of equals; the zero
// key when there is none.
func (t Tally[K]) Busiest() (best K) {
	most := int64(0)
	for key, n := range t {
		if n > most || n == most && key < best {
			best, most = key, n
		}
	}
	return best
}

// Most gives the keys with the highest counts, at most n, the highest first, the
// least of equals first.
func (t Tally[K]) Most(n int) []K {
	keys := make([]K, 0, len(t))
	for key := range t {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b K) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) })
	return keys[:min(n, len(keys))]
}

func (t *Tally[K]) merge(o Tally[K]) {
	for key, n := range o {
		t.add(key, n)
	}
}

func (t *Tally[K]) add(key K, n int64) {
	if *t == nil {
		*t = Tally[K]{}
	}
	(*t)[key] += n
}

// Partial is the result of some rows. The zero value is that of none.
type Partial struct {
	Services map[string]*Service
	Drops    map[DropKey]*Drop
	Queues   map[QueueKey]*Queue
	// DropWindows are the packets of drops by window, QueueWindows the connections that
	// listeners turned away, and the largest depth and limit; nil: there are none.
	DropWindows  *replay.Sums[DropKey]
	QueueWindows *replay.Sums[QueueKey]
	// Coarse says that not every event is in a window: there were too many.
	Coarse bool
}

// Service gives the counts of a service, never nil.
func (p *Partial) Service(name string) *Service {
	return made(&p.Services, name)
}

// Merge adds o to p and leaves o as it is.
func (p *Partial) Merge(o *Partial) {
	for name, from := range o.Services {
		p.Service(name).Merge(from)
	}
	p.Coarse = p.Coarse || o.Coarse
	for key, from := range o.Drops {
		made(&p.Drops, key).merge(from)
	}
	for key, from := range o.Queues {
		made(&p.Queues, key).merge(from)
	}
	mergeSums(&p.DropWindows, o.DropWindows)
	mergeSums(&p.QueueWindows, o.QueueWindows)
}

// sumsIn gives *s, which has such windows if it is nil.
func sumsIn[K comparable](s **replay.Sums[K], w replay.Windows) *replay.Sums[K] {
	if *s == nil {
		*s = replay.NewSums[K](w)
	}
	return *s
}

func mergeSums[K comparable](s **replay.Sums[K], o *replay.Sums[K]) {
	if o != nil {
		sumsIn(s, o.Windows).Merge(o)
	}
}

// Merge adds o to s and leaves o as it is.
func (s *Service) Merge(o *Service) {
	s.add(&o.Faults)
	s.RTT.Merge(&o.RTT)
	s.Peers.merge(o.Peers)
	s.Reasons.merge(o.Reasons)
	for index, faults := range o.Windows {
		made(&s.Windows, index).add(faults)
	}
}

func (d *Drop) merge(o *Drop) {
	if d.Count == 0 {
		d.FirstNs, d.LastNs = o.FirstNs, o.LastNs
	}
	d.Count += o.Count
	d.FirstNs, d.LastNs = min(d.FirstNs, o.FirstNs), max(d.LastNs, o.LastNs)
	d.Peers.merge(o.Peers)
	d.Locals.merge(o.Locals)
	d.Stacks.merge(o.Stacks)
}

// merge adds o. The least name that is one stands.
func (q *Queue) merge(o *Queue) {
	if q.Service == "" || o.Service != "" && o.Service < q.Service {
		q.Service = o.Service
	}
	q.MaxDepth, q.Limit = max(q.MaxDepth, o.MaxDepth), max(q.Limit, o.Limit)
	q.Overflows += o.Overflows
}

// made gives the value of a key, making it when it is missing.
func made[K comparable, V any](m *map[K]*V, key K) *V {
	if *m == nil {
		*m = map[K]*V{}
	}
	v := (*m)[key]
	if v == nil {
		v = new(V)
		(*m)[key] = v
	}
	return v
}
