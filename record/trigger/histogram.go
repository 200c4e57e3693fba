package trigger

import (
	"math"
	"math/bits"
)

const (
	subBits = 5            // log2 of the buckets per power of two
	sub     = 1 << subBits // buckets per power of two
	// shift: latencies are counted in 1024 ns, so those below 64 µs are told
	// apart by a microsecond, and longer ones by a 32nd.
	shift = 10
	// maxBits bounds what is told apart: 2^40 ns are 18 minutes.
	maxBits = 40 - shift
	buckets = (maxBits - subBits + 1) * sub
)

// relativeError is the largest error of a quantile from 32 µs on, relative to
// the exact nearest-rank value. Package stat of analyze has the same buckets,
// finer ones, and all of them.
const relativeError = 1.0 / (2 * sub)

// histogram counts latencies. The zero value is empty.
type histogram struct {
	counts  [buckets]uint32
	count   int64
	largest int64 // exactly
}

// bucketOf gives the bucket of a latency in nanoseconds.
func bucketOf(ns int64) int {
	v := uint64(max(ns, 0)) >> shift
	if v < 2*sub {
		return int(v)
	}
	exponent := bits.Len64(v) - subBits - 1
	return min(exponent<<subBits+int(v>>uint(exponent)), buckets-1)
}

// middleOf gives the latency in the middle of a bucket.
func middleOf(bucket int) int64 {
	low, width := int64(bucket), int64(1)
	if bucket >= 2*sub {
		exponent := uint(bucket>>subBits - 1)
		low, width = int64(bucket&(sub-1)|sub)<<exponent, 1<<exponent
	}
	return low<<shift + width<<shift>>1
}

func (h *histogram) add(ns int64) {
	h.counts[bucketOf(ns)]++
	h.count++
	h.largest = max(h.largest, ns)
}

// merge adds what o counted.
func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.largest = max(h.largest, o.largest)
}

// quantile is the nearest-rank q-quantile, 0 < q <= 1; 0 when empty.
func (h *histogram) quantile(q float64) int64 {
	rank := max(int64(math.Ceil(q*float64(h.count))), 1)
	if rank >= h.count {
		return h.largest
	}
	seen := int64(0)
	for i, n := range h.counts {
		if seen += int64(n); seen >= rank {
			return min(middleOf(i), h.largest)
		}
	}
	return h.largest
}

// above counts the latencies over a bound, as finely as buckets tell.
func (h *histogram) above(ns int64) int64 {
	n := int64(0)
	for _, count := range h.counts[bucketOf(ns):] {
		n += int64(count)
	}
	return n
}
