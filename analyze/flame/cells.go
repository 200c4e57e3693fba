package flame

import (
	"cmp"
	"encoding/binary"
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

// cells adds up Cells of one kind, packed: rows mostly come in the order of
// time, so those of one bucket are counted by node and then written as a strip,
// which takes 2 to 3 bytes a cell where a Cell takes 16.
type cells struct {
	axis
	room    int64 // bits that the cells may take
	bits    int64 // that they do take; see bitsOf
	strips  []strip
	packed  []byte
	look    int     // strips, when to look for some of the same bucket
	bucket  int32   // at hand
	nodes   []int32 // what list gives for a node, in order
	counts  []int64 // by node, of the bucket at hand
	touched []int32 // nodes with a count
}

// strip is cells of one bucket in cells.packed: for each node, in order, how
// many nodes further it is than the one before and its value, as varints.
type strip struct {
	bucket, cells int32
	from, to      int
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
	c.count(node, v)
}

// count counts v in the bucket at hand.
func (c *cells) count(node int32, v int64) {
	if c.counts[node] == 0 {
		c.touched = append(c.touched, node)
	}
	c.counts[node] += v
}

// flush writes the bucket at hand and sees to it that there is room.
func (c *cells) flush() {
	c.write()
	if c.bits > c.room || len(c.strips) >= c.look {
		c.shrink()
		c.look = len(c.strips) + lookAgain
	}
}

// write makes a strip of the bucket at hand.
func (c *cells) write() {
	if len(c.touched) == 0 {
		return
	}
	slices.Sort(c.touched)
	s := strip{c.bucket, int32(len(c.touched)), len(c.packed), 0}
	last := int32(0)
	for _, node := range c.touched {
		gap, v := uint64(node-last), uint64(c.counts[node])
		c.packed = binary.AppendUvarint(binary.AppendUvarint(c.packed, gap), v)
		c.bits += bitsOf(gap, v)
		c.counts[node] = 0
		last = node
	}
	s.to = len(c.packed)
	c.strips = append(c.strips, s)
	c.touched = c.touched[:0]
}

// shrink makes strips of one bucket one, and widens buckets until there is
// room.
func (c *cells) shrink() {
	if !slices.IsSortedFunc(c.strips, func(a, before strip) int {
		return cmp.Or(cmp.Compare(a.bucket, before.bucket), -1) // two of one bucket are not sorted
	}) {
		c.rewrite(1)
	}
	for c.bits > c.room && c.buckets > 1 {
		c.widen()
	}
}

// widen goes to the next width.
func (c *cells) widen() {
	var by int32
	c.axis, by = c.widened()
	c.rewrite(by)
}

// rewrite writes all strips anew, in order, with buckets so many times as wide.
func (c *cells) rewrite(by int32) {
	strips, packed := c.strips, c.packed
	slices.SortStableFunc(strips, func(a, b strip) int { return cmp.Compare(a.bucket, b.bucket) })
	c.strips, c.packed, c.bits = nil, make([]byte, 0, len(packed)), 0
	for _, s := range strips {
		if s.bucket/by != c.bucket {
			c.write()
			c.bucket = s.bucket / by
		}
		s.each(packed, c.count)
	}
	c.write()
}

// each calls fn with each cell of a strip.
func (s strip) each(packed []byte, fn func(node int32, v int64)) {
	node := int32(0)
	for at := s.from; at < s.to; {
		gap, n := binary.Uvarint(packed[at:])
		v, m := binary.Uvarint(packed[at+n:])
		at += n + m
		node += int32(gap)
		fn(node, int64(v))
	}
}

// list gives the cells, sorted by bucket, then node. Strips must be in order.
func (c *cells) list() []Cell {
	n := 0
	for _, s := range c.strips {
		n += int(s.cells)
	}
	list := make([]Cell, 0, n)
	for _, s := range c.strips {
		s.each(c.packed, func(node int32, v int64) { list = append(list, Cell{s.bucket, c.nodes[node], v}) })
	}
	return list
}

// bitsOf estimates the compressed size of a cell: what it takes to say how many
// nodes further it is than the cell before in its bucket, and its value.
// TestCellBits holds it against a real compressor.
func bitsOf(gap, value uint64) int64 { return int64(bits.Len64(gap) + bits.Len64(value) + 4) }
