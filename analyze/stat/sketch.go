package stat

import (
	"math"
	"math/bits"
)

// Sketch is the distribution of a set of durations in nanoseconds. The zero
// value is the empty set. Buckets are kept sorted and only where something
// was counted, 8 bytes each.
type Sketch struct {
	buckets []entry
	totals
}

// totals are what a set of values adds up to.
type totals struct {
	count        int64
	min, max     int64
	sumLo, sumHi uint64 // the exact sum, 128 bits: hostile values must not wrap it
}

// add adds the totals of another set that is not empty.
func (t *totals) add(o totals) {
	if t.count == 0 {
		t.min, t.max = o.min, o.max
	}
	t.min, t.max = min(t.min, o.min), max(t.max, o.max)
	t.count += o.count
	var carry uint64
	t.sumLo, carry = bits.Add64(t.sumLo, o.sumLo, 0)
	t.sumHi, _ = bits.Add64(t.sumHi, o.sumHi, carry)
}

// entry is a bucket and its count in one word: 12 bits bucket, 52 bits count,
// so entries sort and merge as integers.
type entry uint64

const countBits = 52

func (e entry) bucket() int  { return int(e >> countBits) }
func (e entry) count() int64 { return int64(e & (1<<countBits - 1)) }

func makeEntry(bucket int, count int64) entry {
	return entry(bucket)<<countBits | entry(count)
}

// Count returns the number of values.
func (s *Sketch) Count() int64 { return s.count }

// Size returns the number of buckets, 8 bytes each.
func (s *Sketch) Size() int { return len(s.buckets) }

// Max returns the largest value, exactly; 0 when empty.
func (s *Sketch) Max() int64 { return s.max }

// Min returns the smallest value, exactly; 0 when empty.
func (s *Sketch) Min() int64 { return s.min }

// Mean returns the arithmetic mean, exactly, rounded down; 0 when empty.
func (s *Sketch) Mean() int64 {
	if s.count == 0 {
		return 0
	}
	quotient, _ := bits.Div64(s.sumHi, s.sumLo, uint64(s.count))
	return int64(quotient)
}

// Quantile returns the nearest-rank q-quantile, 0 < q <= 1, within
// RelativeError; 0 when empty.
func (s *Sketch) Quantile(q float64) int64 {
	if s.count == 0 {
		return 0
	}
	rank := min(max(int64(math.Ceil(q*float64(s.count))), 1), s.count)
	seen := int64(0)
	for _, e := range s.buckets {
		seen += e.count()
		if seen >= rank {
			return min(max(middleOf(e.bucket()), s.min), s.max)
		}
	}
	return s.max
}

// Each calls fn with the lower bound and the count of every bucket that counted
// something, in order.
func (s *Sketch) Each(fn func(low, count int64)) {
	for _, e := range s.buckets {
		fn(lowOf(e.bucket()), e.count())
	}
}

// Add counts n times the value v; a negative v counts as 0. A Builder is the
// fast way to add many values.
func (s *Sketch) Add(v, n int64) {
	if n <= 0 {
		return
	}
	v = max(v, 0)
	hi, lo := bits.Mul64(uint64(v), uint64(n))
	s.buckets = mergeEntries(s.buckets, []entry{makeEntry(bucketOf(v), n)})
	s.add(totals{count: n, min: v, max: v, sumHi: hi, sumLo: lo})
}

// Merge adds all values of o to s. o is unchanged and shares nothing with s
// afterwards.
func (s *Sketch) Merge(o *Sketch) {
	if o.count == 0 {
		return
	}
	s.buckets = mergeEntries(s.buckets, o.buckets)
	s.add(o.totals)
}

// mergeEntries returns the bucket-wise sum of two sorted lists, reusing a's
// storage where it suffices.
func mergeEntries(a, b []entry) []entry {
	extra := missingFrom(a, b)
	i, j := len(a)-1, len(b)-1
	if cap(a) < len(a)+extra {
		grown := make([]entry, len(a), len(a)+extra)
		copy(grown, a)
		a = grown
	}
	a = a[:len(a)+extra]
	for k := len(a) - 1; j >= 0; k-- {
		switch {
		case i < 0 || b[j].bucket() > a[i].bucket():
			a[k] = b[j]
			j--
		case b[j].bucket() == a[i].bucket():
			a[k] = makeEntry(a[i].bucket(), a[i].count()+b[j].count())
			i, j = i-1, j-1
		default:
			a[k] = a[i]
			i--
		}
	}
	return a
}

// missingFrom counts the buckets of b that a does not have.
func missingFrom(a, b []entry) int {
	missing, i := 0, 0
	for _, e := range b {
		for i < len(a) && a[i].bucket() < e.bucket() {
			i++
		}
		if i == len(a) || a[i].bucket() != e.bucket() {
			missing++
		}
	}
	return missing
}
