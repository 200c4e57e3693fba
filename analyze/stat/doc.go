// Package stat holds the mergeable summaries the topics accumulate into.
//
//  1. A Builder takes durations one at a time, fast, into dense counters.
//  2. Builder.Flush moves what it holds into a Sketch, a compact sorted list
//     of bucket counts, and leaves the Builder empty for reuse.
//  3. Sketch.Merge adds one Sketch to another. Merging is exact: the result
//     is the Sketch of all values, whatever the order or the partition.
//  4. Sketch.Quantile, Mean, Min, Max and Count read it.
//
// The buckets are log-linear: values below 128 ns have one bucket each, above
// that every power of two is cut into 64 equal buckets. A quantile is the
// middle of the bucket that holds the nearest-rank value, so its error is at
// most half a bucket: 1/128 of the value, see RelativeError.
package stat
