package flame

import "math/bits"

// Budget bounds a profile by the room it takes in a page.
type Budget struct {
	Nodes int   // of the tree
	Bytes int64 // of the cells, compressed; see cellBits
}

// PageBudget leaves a page under 5 MB with all the rest of a report in it:
// base64 makes 4 bytes of 3.
var PageBudget = Budget{Nodes: 20_000, Bytes: 1_500_000}

// shares are what a path must be of the whole to be kept, tried in turn.
var shares = []float64{0.00002, 0.0001, 0.0003, 0.001, 0.003}

// Profile gives r small enough for a budget: rare paths are added up in an
// "(other)" below the last node kept, and buckets widen. The finest buckets
// win that fit with any of the shares; of these the one that prunes least. A
// budget that nothing fits gives the fewest nodes and one bucket. Sums by
// bucket stay exact, and so does every node that is kept.
func (r *Result) Profile(b Budget) *Result {
	p := r.fit(b)
	p.index()
	return p
}

func (r *Result) fit(b Budget) *Result {
	wide := r
	for {
		last := wide.pruned(shares[len(shares)-1], b.Nodes)
		if last.bits() <= 8*b.Bytes {
			for _, share := range shares[:len(shares)-1] {
				if p := wide.pruned(share, b.Nodes); p.bits() <= 8*b.Bytes {
					return p
				}
			}
			return last
		}
		next := wide.widened()
		if next == nil {
			return last
		}
		wide = next
	}
}

// widened gives r with buckets of the next width, nil when there is one bucket.
func (r *Result) widened() *Result {
	out := *r
	last := int32(0)
	by := wider(r.BucketNs)
	for k := range r.Cells {
		if n := len(r.Cells[k]); n > 0 {
			last = max(last, r.Cells[k][n-1].Bucket)
		}
	}
	if last == 0 {
		return nil
	}
	out.BucketNs = by
	for k := range r.Cells {
		list := make([]Cell, len(r.Cells[k]))
		for i, c := range r.Cells[k] {
			c.Bucket /= int32(by / r.BucketNs)
			list[i] = c
		}
		out.Cells[k] = merged(list)
	}
	return &out
}

// pruned gives r without the nodes that are less than a share of both kinds,
// and with at most so many nodes, not indexed: a quarter of each kind, and an "(other)"
// below each of them.
func (r *Result) pruned(share float64, nodes int) *Result {
	least := [kinds]int64{}
	for k := range least {
		least[k] = r.least(Kind(k), NoNode, r.Total(Kind(k)), Limits{share, nodes / 4})
	}
	out := *r
	out.Tree = newTree()
	to := make([]int32, len(r.Nodes)) // where the values of a node go
	kept := make([]bool, len(r.Nodes))
	for i, n := range r.Nodes {
		parent := NoNode
		if n.Parent != NoNode {
			parent = to[n.Parent]
		}
		whole := n.Parent == NoNode || kept[n.Parent]
		kept[i] = whole && (r.totals[OnCPU][i] >= least[OnCPU] || r.totals[OffCPU][i] >= least[OffCPU])
		switch {
		case kept[i]:
			to[i] = out.Tree.child(parent, out.Tree.frame(r.Frames[n.Frame]))
		case whole:
			to[i] = below(parent)
		default:
			to[i] = parent
		}
	}
	for k := range r.Cells {
		list := make([]Cell, len(r.Cells[k]))
		for i, c := range r.Cells[k] {
			node := to[c.Node]
			if node < NoNode {
				node = out.Tree.other(below(node))
			}
			list[i] = Cell{c.Bucket, node, c.Value}
		}
		out.Cells[k] = merged(list)
	}
	return &out
}

// below stands for the "(other)" below a node, which is made once something
// goes there: a number less than NoNode. It is its own inverse.
func below(node int32) int32 { return -3 - node }

// bits estimates the compressed size of the cells: for each what it takes to
// say how many nodes further it is than the cell before, and its value.
// TestCellBits holds it against a real compressor.
func (r *Result) bits() int64 {
	sum := int64(0)
	for k := range r.Cells {
		last := Cell{}
		for _, c := range r.Cells[k] {
			gap := c.Node - last.Node
			if c.Bucket != last.Bucket {
				gap = c.Node
			}
			sum += int64(bits.Len32(uint32(gap)) + bits.Len64(uint64(c.Value)) + 4)
			last = c
		}
	}
	return sum
}
