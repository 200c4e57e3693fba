package stat

import "math/bits"

const (
	subBits = 6            // log2 of the buckets per power of two
	sub     = 1 << subBits // buckets per power of two
	// chunks is the number of groups of sub buckets that cover all of int64:
	// 2 groups for the exact values below 2*sub, then one per power of two.
	chunks = 64 - subBits
)

// RelativeError is the largest error of a quantile, relative to the exact
// nearest-rank value.
const RelativeError = 1.0 / (2 * sub)

// bucketOf returns the bucket of v. Negative values count as 0.
func bucketOf(v int64) int {
	if v < 0 {
		return 0
	}
	if v < 2*sub {
		return int(v)
	}
	exponent := bits.Len64(uint64(v)) - subBits - 1
	return exponent<<subBits + int(v>>uint(exponent))
}

// lowOf returns the lowest value of a bucket.
func lowOf(bucket int) int64 {
	if bucket < 2*sub {
		return int64(bucket)
	}
	return int64(bucket&(sub-1)|sub) << uint(bucket>>subBits-1)
}

// middleOf returns the value in the middle of a bucket.
func middleOf(bucket int) int64 {
	if bucket < 2*sub {
		return int64(bucket)
	}
	return lowOf(bucket) + int64(1)<<uint(bucket>>subBits-1)>>1
}
