package stat

import "math/bits"

// Classes are coarser than buckets, each made of whole ones: values below 32 ns have
// one each, above that every power of two is cut into 16 equal classes. They are
// what a page adds up by itself, so there are fewer of them.
const classBits = 4

// ClassError is the largest error of a quantile read from classes, relative to
// the exact nearest-rank value.
const ClassError = 1.0 / (2 << classBits)

// ClassOf returns the class of v. Negative values count as 0.
func ClassOf(v int64) int32 {
	if v < 2<<classBits {
		return int32(max(v, 0))
	}
	exponent := bits.Len64(uint64(v)) - classBits - 1
	return int32(exponent<<classBits + int(v>>uint(exponent)))
}

// EachClass calls fn with every class that counted something and its count, in
// order.
func (s *Sketch) EachClass(fn func(class int32, count int64)) {
	class, sum := int32(0), int64(0)
	for _, e := range s.buckets {
		if c := ClassOf(lowOf(e.bucket())); c != class {
			if sum > 0 {
				fn(class, sum)
			}
			class, sum = c, 0
		}
		sum += e.count()
	}
	if sum > 0 {
		fn(class, sum)
	}
}
