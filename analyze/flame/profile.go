package flame

import (
	"context"

	"kmon/analyze/replay"
)

// Budget bounds a profile by the room it takes in a page.
type Budget struct {
	Nodes int   // of the tree
	Bytes int64 // of the cells, compressed; see bitsOf
}

// PageBudget leaves a page under 5 MB with all the rest of a report in it: what
// is estimated at 3 MB a page packs into 2 MB, of which base64 makes 2.7 MB.
var PageBudget = Budget{Nodes: 20_000, Bytes: 3_000_000}

// shares are what a path must be of the whole to be kept, mildest first.
var shares = []float64{0.0003, 0.002}

// Profile is stacks by time.
type Profile struct {
	*Tree
	StartNs  int64 // of bucket 0, Unix
	BucketNs int64
	// Cells are sorted by bucket, then node, by Kind. A wait is in the bucket
	// where its interval begins.
	Cells [2][]Cell
}

// Profile reads the captures that made r once more and gives what fell into
// each bucket, small enough for a budget: rare paths are added up in an
// "(other)" below the last node kept, and buckets widen. The finest buckets
// win that fit with any of the shares; of these the one that prunes least.
// Where nothing fits there are the fewest nodes and one bucket. Sums of buckets
// are exact, and so is every node that is kept. It ends b and r, whose trees
// make room.
func (b *Builder) Profile(ctx context.Context, captures []*replay.Capture, r *Result, budget Budget) (*Profile, error) {
	var plans []*plan
	for _, share := range shares {
		plans = append(plans, b.plan(r, share, budget))
	}
	b.begin()
	b.self, r.Self, r.totals, r.children = [kinds][]int64{}, [2][]int64{}, [kinds][]int64{}, family{}
	for i := range b.services {
		b.services[i].heat = heat{}
	}
	for _, c := range captures {
		err := b.read(ctx, c, func(r row) {
			for _, p := range plans {
				if int(r.node) < len(p.to) { // else the file has changed since
					p.cells[r.kind].add(r.ns, p.to[r.node], r.value)
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var best *plan
	for _, p := range plans {
		p.fit(8 * budget.Bytes)
		if best == nil || p.cells[OnCPU].widthNs < best.cells[OnCPU].widthNs {
			best = p
		}
	}
	return &Profile{Tree: best.tree, StartNs: best.cells[OnCPU].startNs, BucketNs: best.cells[OnCPU].widthNs,
		Cells: [2][]Cell{best.cells[OnCPU].list(), best.cells[OffCPU].list()}}, nil
}

// plan is a pruned tree and its cells.
type plan struct {
	tree  *Tree
	to    []int32 // node → node of the pruned tree
	cells [kinds]cells
}

// plan prunes the nodes that are less than a share of both kinds, keeping at
// most so many: a quarter of each kind, and an "(other)" below each of them.
func (b *Builder) plan(r *Result, share float64, budget Budget) *plan {
	p := &plan{tree: newTree(), to: make([]int32, len(r.Nodes))}
	var least [kinds]int64
	for k := range least {
		least[k] = r.least(Kind(k), NoNode, r.Total(Kind(k)), Limits{share, budget.Nodes / 4})
	}
	kept := make([]bool, len(r.Nodes))
	for i, n := range r.Nodes {
		parent, whole := NoNode, n.Parent == NoNode || kept[n.Parent]
		if n.Parent != NoNode {
			parent = p.to[n.Parent]
		}
		kept[i] = whole && (r.totals[OnCPU][i] >= least[OnCPU] || r.totals[OffCPU][i] >= least[OffCPU])
		switch {
		case kept[i]:
			p.to[i] = p.tree.child(parent, p.tree.frame(r.Frames[n.Frame]))
		case whole:
			p.to[i] = p.tree.other(parent)
		default:
			p.to[i] = parent
		}
	}
	a := newAxis(b.options.StartNs, b.options.EndNs, bucketWidths[0])
	for k := range p.cells {
		p.cells[k] = cells{axis: a, room: 8 * budget.Bytes, counts: make([]int64, len(p.tree.Nodes))}
	}
	return p
}

// fit widens buckets until the cells take at most so many bits.
func (p *plan) fit(bits int64) {
	on, off := &p.cells[OnCPU], &p.cells[OffCPU]
	for _, c := range []*cells{on, off} {
		c.flush()
		c.shrink()
	}
	for on.widthNs != off.widthNs || on.bits+off.bits > bits && on.buckets > 1 {
		if on.widthNs <= off.widthNs {
			on.widen()
		}
		for off.widthNs < on.widthNs {
			off.widen()
		}
	}
}
