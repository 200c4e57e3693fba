package blockio

import (
	"cmp"
	"slices"

	"kmon/analyze/replay"
)

// maxApart is how many times apart from each other a disk's busy time is made of,
// until the older half is counted: 16 bytes each.
const maxApart = 1 << 15

// apart is a time, Unix.
type apart struct{ from, to int64 }

// busy is the time with at least one IO under way: the union of their times. IOs
// come about in the order in which they ended. It is exact unless an IO began
// before maxApart times of others that lie apart; of such a one only whole
// windows, and what lies after those times, count.
type busy struct {
	times   []apart // sorted, none touches another
	counted []int64 // by window, of times that were counted and dropped
	through int64   // end of those
}

// add adds the time of an IO, not empty.
func (b *busy) add(from, to int64, w *replay.Windows) {
	if b.counted != nil && from < b.through {
		b.fill(from, min(to, b.through), w)
		if from = b.through; from >= to {
			return
		}
	}
	n := len(b.times)
	if n == 0 || from > b.times[n-1].to {
		b.times = append(b.times, apart{from, to})
		if len(b.times) > maxApart {
			b.count(len(b.times)/2, w)
		}
		return
	}
	first, _ := slices.BinarySearchFunc(b.times, from, func(t apart, ns int64) int { return cmp.Compare(t.to, ns) })
	last := first
	for last < n && b.times[last].from <= to {
		from, to = min(from, b.times[last].from), max(to, b.times[last].to)
		last++
	}
	b.times = slices.Replace(b.times, first, last, apart{from, to})
}

// count counts and drops the first n times.
func (b *busy) count(n int, w *replay.Windows) {
	if b.counted == nil {
		b.counted = make([]int64, w.Count)
	}
	for _, t := range b.times[:n] {
		eachWindow(w, t.from, t.to, func(index int32, ns int64) { b.counted[index] += ns })
		b.through = t.to
	}
	b.times = slices.Delete(b.times, 0, n)
}

// fill makes the windows busy that lie within a time wholly.
func (b *busy) fill(from, to int64, w *replay.Windows) {
	eachWindow(w, from, to, func(index int32, ns int64) {
		if ns >= w.WidthNs {
			b.counted[index] = w.WidthNs
		}
	})
}

// result gives the busy time by window, nil: none.
func (b *busy) result(w *replay.Windows) []int64 {
	b.count(len(b.times), w)
	return b.counted
}

// eachWindow calls fn with the part of a time in each window that it touches.
func eachWindow(w *replay.Windows, from, to int64, fn func(index int32, ns int64)) {
	from, to = max(from, w.BaseNs), min(to, w.BaseNs+int64(w.Count)*w.WidthNs)
	for from < to {
		index := w.Of(from)
		end := min(to, w.BaseNs+int64(index+1)*w.WidthNs)
		if end <= from {
			return // the clock is damaged
		}
		fn(index, end-from)
		from = end
	}
}
