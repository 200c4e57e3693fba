package flame

import (
	"cmp"
	"math/bits"
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

// cells adds up Cells of one kind. Rows mostly come in the order of time, so
// those of one bucket are counted by node first.
type cells struct {
	axis
	room    int64 // bits that list may take
	list    []Cell
	next    int     // length of list to look at the room again
	bucket  int32   // at hand
	counts  []int64 // by node, of the bucket at hand
	touched []int32 // nodes with a count
}

// add counts v at a Unix time.
func (c *cells) add(ns int64, node int32, v int64) {
	if v == 0 {
		return
	}
	if c.at(ns) != c.bucket {
		c.flush()
		c.bucket = c.at(ns) // which may be another by now
	}
	if c.counts[node] == 0 {
		c.touched = append(c.touched, node)
	}
	c.counts[node] += v
}

// flush moves the bucket at hand to the list.
func (c *cells) flush() {
	slices.Sort(c.touched)
	for _, node := range c.touched {
		c.list = append(c.list, Cell{c.bucket, node, c.counts[node]})
		c.counts[node] = 0
	}
	c.touched = c.touched[:0]
	if len(c.list) >= c.next {
		c.shrink()
		c.next = len(c.list) + lookAgain
	}
}

// shrink merges equal cells, and widens buckets until the list has room.
func (c *cells) shrink() {
	c.list = merged(c.list)
	for bitsOf(c.list) > c.room && c.buckets > 1 {
		c.widen()
	}
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
func merged(list []Cell) []Cell {
	byBucket := func(a, b Cell) int { return cmp.Compare(a.Bucket, b.Bucket) }
	if !slices.IsSortedFunc(list, byBucket) {
		slices.SortStableFunc(list, byBucket)
	}
	out := list[:0]
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].Bucket == list[from].Bucket {
			to++
		}
		out = appendMerged(out, list[from:to])
		from = to
	}
	return out
}

// appendMerged appends the cells of one bucket, sorted and added up. They may
// lie in the memory after out.
func appendMerged(out, bucket []Cell) []Cell {
	slices.SortFunc(bucket, func(a, b Cell) int { return cmp.Compare(a.Node, b.Node) })
	last := len(out) - 1
	for _, c := range bucket {
		if last >= 0 && out[last].Bucket == c.Bucket && out[last].Node == c.Node {
			out[last].Value += c.Value
			continue
		}
		out = append(out, c)
		last++
	}
	return out
}

// bitsOf estimates the compressed size of cells: for each what it takes to say
// how many nodes further it is than the cell before, and its value.
// TestCellBits holds it against a real compressor.
func bitsOf(list []Cell) int64 {
	sum, last := int64(0), Cell{}
	for _, c := range list {
		gap := c.Node - last.Node
		if c.Bucket != last.Bucket {
			gap = c.Node
		}
		sum += int64(bits.Len32(uint32(gap)) + bits.Len64(uint64(c.Value)) + 4)
		last = c
	}
	return sum
}
