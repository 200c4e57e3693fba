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

// PageBudget leaves a page of ten minutes of 64 busy CPUs under 5 MB with all
// the rest of a report in it: what is estimated at 4.6 MB packs into less than
// 2.8 MB with its tree and names, of which base64 makes 3.7 MB.
var PageBudget = Budget{Nodes: 80_000, Bytes: 4_600_000}

// shares are what a path must be of the whole to be kept, mildest first. The
// first keeps what is half a percent of any five of 600 seconds.
var shares = []float64{0.00004, 0.0005, 0.005}

// detailNs is the least width of buckets of Profile.Detail.
const detailNs = int64(1e9)

// Profile is stacks by time.
type Profile struct {
	*Tree
	StartNs  int64 // of bucket 0, Unix
	BucketNs int64
	// Cells are sorted by bucket, then node, by Kind. A wait is in the bucket
	// where its interval begins.
	Cells [2][]Cell
	// Detail has the samples of Cells once more, where those are pruned more
	// than the tree: with rarer paths, in wider buckets of DetailNs, a multiple
	// of BucketNs. DetailNs is 0 when there is none.
	Detail   []Cell
	DetailNs int64
}

// Other gives the part of cells that is in an "(other)", 0 to 1.
func (p *Profile) Other(cells []Cell) float64 {
	other, all := int64(0), int64(0)
	for _, c := range cells {
		all += c.Value
		if p.Frames[p.Nodes[c.Node].Frame] == otherFrame {
			other += c.Value
		}
	}
	return float64(other) / float64(max(all, 1))
}

// Profile reads the captures that made r once more and gives what fell into
// each bucket, small enough for a budget: rare paths are added up in an
// "(other)" below the last node kept, and buckets widen. Of each kind the
// finest buckets win that fit with any of the shares; of these the one that
// prunes least. Sums of buckets are exact, and so is every node that is kept.
// It ends b and r, whose trees make room.
func (b *Builder) Profile(ctx context.Context, captures []*replay.Capture, r *Result, budget Budget) (*Profile, error) {
	d := b.draft(r, budget)
	b.begin()
	b.self, r.Self, r.totals, r.children = [kinds][]int64{}, [2][]int64{}, [kinds][]int64{}, family{}
	for i := range b.services {
		b.services[i].heat = heat{}
	}
	for _, c := range captures {
		err := b.read(ctx, c, func(r row) {
			if int(r.node) < len(d.to) { // else the file has changed since
				d.add(r)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	b.tree, r.Tree = newTree(), newTree()
	return d.profile(), nil
}

// draft is a pruned tree, and cells over it of which a profile takes the best.
type draft struct {
	tree   *Tree
	to     []int32 // node → node of the pruned tree
	layers []layer // by shares; the first is not pruned further
	detail cells   // samples as in the first layer
}

// layer is cells over the nodes of a draft that are a share of the whole. It
// numbers them anew, without gaps, since cells of few nodes take less room.
type layer struct {
	to    []int32 // node of the draft → number
	nodes []int32 // number → node of the draft, in order
	cells [kinds]cells
}

// newLayer numbers the nodes that others went to.
func newLayer(places []int32, nodes int) layer {
	l := layer{to: make([]int32, len(places))}
	numbers := make([]int32, nodes)
	for _, node := range places {
		numbers[node] = 1
	}
	for node, used := range numbers {
		if used == 1 {
			numbers[node] = int32(len(l.nodes))
			l.nodes = append(l.nodes, int32(node))
		}
	}
	for i, node := range places {
		l.to[i] = numbers[node]
	}
	return l
}

// draft prunes the nodes that are less than the first share of both kinds,
// keeping at most so many: a quarter of each kind, and an "(other)" below each
// of them.
func (b *Builder) draft(r *Result, budget Budget) *draft {
	d := &draft{tree: newTree()}
	var least, totals [kinds][]int64
	for k := range least {
		least[k] = make([]int64, len(shares))
		total := r.Total(Kind(k))
		least[k][0] = r.least(Kind(k), NoNode, total, Limits{shares[0], budget.Nodes / 4})
		for i, share := range shares[1:] {
			least[k][i+1] = max(int64(share*float64(total)), least[k][0])
		}
	}
	d.to = prune(r.Tree, d.tree, r.totals, [kinds]int64{least[OnCPU][0], least[OffCPU][0]})
	for k := range totals {
		self := make([]int64, len(d.tree.Nodes))
		for i, v := range r.Self[k] {
			self[d.to[i]] += v
		}
		totals[k] = d.tree.totals(self)
	}
	same := make([]int32, len(d.tree.Nodes))
	for i := range same {
		same[i] = int32(i)
	}
	d.layers = []layer{newLayer(same, len(same))}
	whole := Tree{Frames: d.tree.Frames, Nodes: d.tree.Nodes[:len(same)]}
	for i := range shares[1:] {
		places := prune(&whole, d.tree, totals, [kinds]int64{least[OnCPU][i+1], least[OffCPU][i+1]})
		d.layers = append(d.layers, newLayer(places, len(d.tree.Nodes)))
	}
	d.makeRoom(b.options, budget)
	return d
}

// makeRoom divides the budget: half to the detail of samples, 3/10 to their
// moments, the rest to what was waited for.
func (d *draft) makeRoom(o Options, budget Budget) {
	fine := newAxis(o.StartNs, o.EndNs, bucketWidths[0])
	for i := range d.layers {
		l := &d.layers[i]
		l.cells[OnCPU] = cells{axis: fine, room: 8 * budget.Bytes * 3 / 10, nodes: l.nodes, counts: make([]int64, len(l.nodes))}
		l.cells[OffCPU] = cells{axis: fine, room: 8 * budget.Bytes * 2 / 10, nodes: l.nodes, counts: make([]int64, len(l.nodes))}
	}
	all := d.layers[0].nodes
	d.detail = cells{axis: newAxis(o.StartNs, o.EndNs, detailNs), room: 8 * budget.Bytes / 2, nodes: all, counts: make([]int64, len(all))}
}

// prune copies the nodes of a tree that are at least so much of either kind to
// another, and gives where each went: to itself, or to an "(other)" below the
// last on its path that is kept.
func prune(from, to *Tree, totals [kinds][]int64, least [kinds]int64) []int32 {
	places, kept := make([]int32, len(from.Nodes)), make([]bool, len(from.Nodes))
	for i, n := range from.Nodes {
		parent, whole := NoNode, n.Parent == NoNode || kept[n.Parent]
		if n.Parent != NoNode {
			parent = places[n.Parent]
		}
		kept[i] = whole && (totals[OnCPU][i] >= least[OnCPU] || totals[OffCPU][i] >= least[OffCPU])
		switch {
		case kept[i]:
			places[i] = to.child(parent, to.frame(from.Frames[n.Frame]))
		case whole:
			places[i] = to.other(parent)
		default:
			places[i] = parent
		}
	}
	return places
}

// add counts a row in all layers.
func (d *draft) add(r row) {
	node := d.to[r.node]
	for i := range d.layers {
		l := &d.layers[i]
		l.cells[r.kind].add(r.ns, l.to[node], r.value)
	}
	if r.kind == OnCPU {
		d.detail.add(r.ns, node, r.value)
	}
}

// profile takes the best layers.
func (d *draft) profile() *Profile {
	d.detail.flush()
	d.detail.shrink()
	on, off := d.best(OnCPU), d.best(OffCPU)
	if d.detail.widthNs <= on.widthNs {
		on = &d.detail
	}
	level(on, off)
	if d.detail.widthNs <= on.widthNs {
		on = &d.detail
		level(on, off)
	}
	p := &Profile{Tree: d.tree, StartNs: on.startNs, BucketNs: on.widthNs, Cells: [2][]Cell{on.list(), off.list()}}
	if on != &d.detail && on != &d.layers[0].cells[OnCPU] {
		p.Detail, p.DetailNs = d.detail.list(), d.detail.widthNs
	}
	return p
}

// best gives the finest cells of a kind; of equals those that are pruned least.
func (d *draft) best(k Kind) *cells {
	var best *cells
	for i := range d.layers {
		c := &d.layers[i].cells[k]
		c.flush()
		c.shrink()
		if best == nil || c.widthNs < best.widthNs {
			best = c
		}
	}
	return best
}

// level widens the finer of two.
func level(a, b *cells) {
	for a.widthNs < b.widthNs {
		a.widen()
	}
	for b.widthNs < a.widthNs {
		b.widen()
	}
}
