package cpu

import (
	"cmp"
	"slices"
)

// largest keeps sums by key, at most limit of them: beyond that the smaller
// half goes, with what it had. Up to the limit nothing is lost and the order
// of additions does not matter.
type largest[K comparable, V any] struct {
	limit   int
	weight  func(*V) int64
	compare func(a, b K) int
	sums    map[K]*V
	dropped int64
}

func newLargest[K comparable, V any](limit int, weight func(*V) int64, compare func(a, b K) int) largest[K, V] {
	return largest[K, V]{limit: limit, weight: weight, compare: compare, sums: map[K]*V{}}
}

// at gives the sum of a key, made when it is missing.
func (l *largest[K, V]) at(k K) *V {
	if v := l.sums[k]; v != nil {
		return v
	}
	if len(l.sums) >= l.limit {
		for _, small := range l.sorted()[l.limit/2:] {
			delete(l.sums, small)
			l.dropped++
		}
	}
	v := new(V)
	l.sums[k] = v
	return v
}

// sorted gives the keys, those of the largest sums first.
func (l *largest[K, V]) sorted() []K {
	type entry struct {
		weight int64
		key    K
	}
	entries := make([]entry, 0, len(l.sums))
	for k, v := range l.sums {
		entries = append(entries, entry{l.weight(v), k})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.weight != b.weight {
			return cmp.Compare(b.weight, a.weight)
		}
		return l.compare(a.key, b.key)
	})
	keys := make([]K, len(entries))
	for i := range entries {
		keys[i] = entries[i].key
	}
	return keys
}
