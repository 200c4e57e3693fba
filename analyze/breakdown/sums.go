package breakdown

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Spent is where the time of some requests went. Ns and Calls add up to TotalNs.
type Spent struct {
	Requests   int64
	Accounted  int64 // of them, begun and answered by one thread whose waits are known
	HandedOver int64 // of them, answered by another thread than that which took them
	TotalNs    int64
	Ns         [Parts]int64
	Calls      []Called // by Cell
}

// Called is what requests waited for calls that count in one cell.
type Called struct {
	Cell int32
	Ns   int64
}

// Elsewhere is the cell of calls for whose own there was no room.
const Elsewhere int32 = -1

// maxCells is how many cells of calls are told apart in one place.
const maxCells = 64

// add counts a request.
func (s *Spent) add(r *Request, parts *[Parts]int64, calls []Called) {
	s.Requests++
	if r.accounted() {
		s.Accounted++
	} else if r.Flags&handedOver != 0 {
		s.HandedOver++
	}
	add(&s.TotalNs, r.latency())
	for part, ns := range parts {
		add(&s.Ns[part], ns)
	}
	for _, c := range calls {
		if c.Ns == 0 {
			continue
		}
		if len(s.Calls) >= maxCells && !s.has(c.Cell) {
			c.Cell = Elsewhere
		}
		s.call(c)
	}
}

func (s *Spent) find(cell int32) (int, bool) {
	return slices.BinarySearchFunc(s.Calls, cell, func(c Called, cell int32) int { return cmp.Compare(c.Cell, cell) })
}

func (s *Spent) has(cell int32) bool {
	_, ok := s.find(cell)
	return ok
}

func (s *Spent) call(c Called) {
	at, ok := s.find(c.Cell)
	if !ok {
		s.Calls = slices.Insert(s.Calls, at, Called{Cell: c.Cell})
	}
	add(&s.Calls[at].Ns, c.Ns)
}

func (s *Spent) merge(o *Spent) {
	add(&s.Requests, o.Requests)
	add(&s.Accounted, o.Accounted)
	add(&s.HandedOver, o.HandedOver)
	add(&s.TotalNs, o.TotalNs)
	for part, ns := range o.Ns {
		add(&s.Ns[part], ns)
	}
	for _, c := range o.Calls {
		s.call(c)
	}
}

// Band is the requests of a range of latencies.
type Band struct {
	FromNs, ToNs int64 // whole buckets: latencies are at least FromNs and less than ToNs
	Spent
}

// Requests counts those of all windows and latencies.
func (i *Instance) Requests() (n int64) {
	for _, w := range i.windows {
		add(&n, w.requests())
	}
	return n
}

func (w *window) requests() (n int64) {
	for _, b := range w.buckets {
		add(&n, b.Requests)
	}
	return n
}

// Band gives the requests whose rank among all, from 0 to 1, lies between from and
// to, and those of latencies that can't be told from theirs: less than 1/16 apart.
func (i *Instance) Band(from, to float64) (b Band) {
	whole := i.whole()
	all := float64(whole.requests())
	low, high := from*all, to*all
	before := 0.0
	for _, s := range whole.buckets {
		after := before + float64(s.Requests)
		if after > low && before < high {
			if b.Requests == 0 {
				b.FromNs = lowOf(s.number)
			}
			b.ToNs = lowOf(s.number + 1)
			b.merge(s.Spent)
		}
		before = after
	}
	return b
}

// cuts is in how many buckets a power of two is cut.
const cuts = 16

// bucketOf gives the bucket of a latency: its own below 32 ns, above that 16 for
// every power of two.
func bucketOf(ns int64) int {
	shift := max(bits.Len64(uint64(ns))-5, 0)
	return cuts*shift + int(ns>>shift)
}

// lowOf is the least latency of a bucket.
func lowOf(bucket int) int64 {
	shift := max(bucket/cuts-1, 0)
	return int64(bucket-cuts*shift) << shift
}

// add adds without ever wrapping; v is not negative.
func add(to *int64, v int64) {
	if *to > math.MaxInt64-v {
		*to = math.MaxInt64
		return
	}
	*to += v
}
