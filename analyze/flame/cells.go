package flame

import (
	"cmp"
	"slices"
)

// Cell is how much ended in a node within a bucket, without what the node
// called.
type Cell struct {
	Bucket, Node int32
	Value        int64
}

// axis divides time into buckets.
type axis struct {
	startNs int64 // of bucket 0, Unix
	widthNs int64
	buckets int32
}

// newAxis gives the axis of a Unix range with buckets of at least widthNs. Its
// start is a whole second.
func newAxis(start, end, widthNs int64) axis {
	a := axis{startNs: start - ((start%1e9)+1e9)%1e9, widthNs: widthNs}
	for a.count(end) > maxBuckets {
		a.widthNs = wider(a.widthNs)
	}
	a.buckets = int32(a.count(end))
	return a
}

func (a axis) count(end int64) int64 { return max(end-a.startNs, 0)/a.widthNs + 1 }

// at gives the bucket of a time, the first or last for times outside.
func (a axis) at(ns int64) int32 {
	return int32(min(max((ns-a.startNs)/a.widthNs, 0), int64(a.buckets)-1))
}

// widened gives the axis with the next width, and what to divide buckets by.
func (a axis) widened() (axis, int32) {
	w := wider(a.widthNs)
	by := int32(w / a.widthNs)
	a.widthNs, a.buckets = w, (a.buckets-1)/by+1
	return a, by
}

// cells adds up Cells of one kind.
type cells struct {
	axis
	limit int
	list  []Cell
	sum   int64 // of all values
}

// add counts v at a Unix time. The sum of all stays below 1<<63, so that no
// sum of a part overflows.
func (c *cells) add(ns int64, node int32, v int64) {
	v = min(max(v, 0), 1<<63-1-c.sum)
	c.sum += v
	c.list = append(c.list, Cell{c.at(ns), node, v})
	if len(c.list) >= c.limit {
		c.shrink()
	}
}

// shrink merges equal cells, and widens buckets until half of the room is free.
func (c *cells) shrink() {
	c.list = merged(c.list)
	for 2*len(c.list) > c.limit && c.buckets > 1 {
		c.widen()
	}
	c.limit = max(c.limit, 2*len(c.list)) // one bucket: as many cells as nodes
}

// widen goes to the next width.
func (c *cells) widen() {
	var by int32
	c.axis, by = c.widened()
	for i := range c.list {
		c.list[i].Bucket /= by
	}
	c.list = merged(c.list)
}

// merged sorts cells by bucket, then node, and adds up equal ones, in place.
// Cells without a value are left out.
func merged(list []Cell) []Cell {
	slices.SortFunc(list, func(a, b Cell) int {
		return cmp.Compare(int64(a.Bucket)<<32|int64(a.Node), int64(b.Bucket)<<32|int64(b.Node))
	})
	out := list[:0]
	for _, c := range list {
		if n := len(out); n > 0 && out[n-1].Bucket == c.Bucket && out[n-1].Node == c.Node {
			out[n-1].Value += c.Value
		} else if c.Value > 0 {
			out = append(out, c)
		}
	}
	return out
}

// selfOf adds cells up by node.
func selfOf(list []Cell, nodes int) []int64 {
	self := make([]int64, nodes)
	for _, c := range list {
		self[c.Node] += c.Value
	}
	return self
}
