package replay

import "math"

// maxSums bounds the windows of all keys of a Sums: some 150 bytes each.
const maxSums = 1 << 16

// Sum is what a key has in one window: values that add up, and the largest of others.
// What they are of, the owner of the Sums tells.
type Sum struct {
	Values [4]int64
	Max    [2]int64
}

// Add adds o, of which nothing may be negative.
func (s *Sum) Add(o Sum) {
	for i, v := range o.Values {
		if s.Values[i] += v; s.Values[i] < 0 { // a hostile capture has any number
			s.Values[i] = math.MaxInt64
		}
	}
	for i, v := range o.Max {
		s.Max[i] = max(s.Max[i], v)
	}
}

// Sums adds up by key and window, in any order. Memory is bounded: where there is no
// room for more windows, those of all keys become twice as wide.
type Sums[K comparable] struct {
	Windows Windows // as wide as they had to become

	limit int
	of    map[sumAt[K]]*Sum
}

type sumAt[K comparable] struct {
	key   K
	index int32
}

// NewSums is the sums of nothing.
func NewSums[K comparable](w Windows) *Sums[K] {
	return &Sums[K]{Windows: w, limit: maxSums, of: map[sumAt[K]]*Sum{}}
}

// Add adds what happened at a time, Unix ns. Nothing of o may be negative.
func (s *Sums[K]) Add(k K, ns int64, o Sum) {
	s.addAt(sumAt[K]{k, s.Windows.Of(ns)}, &o)
	s.bound()
}

func (s *Sums[K]) addAt(at sumAt[K], o *Sum) {
	if sum := s.of[at]; sum != nil {
		sum.Add(*o)
		return
	}
	kept := *o
	s.of[at] = &kept
}

// widen makes one window of two.
func (s *Sums[K]) widen() {
	narrow := s.of
	s.of = make(map[sumAt[K]]*Sum, len(narrow)/2)
	for at, sum := range narrow {
		at.index /= 2
		s.addAt(at, sum)
	}
	s.Windows.WidthNs *= 2
	s.Windows.Count = (s.Windows.Count + 1) / 2
}

// Merge adds o, whose windows had the same width at first, and leaves o as it is.
func (s *Sums[K]) Merge(o *Sums[K]) {
	for s.Windows.WidthNs < o.Windows.WidthNs {
		s.widen()
	}
	narrower := int32(s.Windows.WidthNs / o.Windows.WidthNs)
	for at, sum := range o.of {
		at.index /= narrower
		s.addAt(at, sum)
	}
	s.bound()
}

// bound makes room.
func (s *Sums[K]) bound() {
	for len(s.of) > s.limit && s.Windows.Count > 1 {
		s.widen()
	}
}

// At is what a key has in a window, nil: nothing.
func (s *Sums[K]) At(k K, index int32) *Sum { return s.of[sumAt[K]{k, index}] }
