package flame

import (
	"cmp"
	"slices"
)

// Result is the trees that a Builder added up.
type Result struct {
	*Tree
	// SampleNs is the time a sample stands for, the mean when captures differ;
	// 0: not known.
	SampleNs int64
	// IntervalNs is the longest interval that waits were added up in.
	IntervalNs int64
	Rows       [2]int64   // that counted, by Kind
	Self       [2][]int64 // by Kind, then node: what ended in it
	Heats      []Heat     // all, then services by name

	totals   [kinds][]int64 // by node, with what it called
	children family
}

// Result gives what was added so far, with heat maps of at most so many
// services.
func (b *Builder) Result(heatMaps int) *Result {
	r := &Result{Tree: b.tree, SampleNs: b.sampleNs.mean(), IntervalNs: b.interval,
		Rows: b.rows, Heats: b.heats(heatMaps), children: b.tree.below()}
	for k := range r.Self {
		r.Self[k] = append(b.self[k], make([]int64, len(b.tree.Nodes)-len(b.self[k]))...)
		r.totals[k] = r.Tree.totals(r.Self[k])
	}
	return r
}

// Total gives the sum of all values of a kind.
func (r *Result) Total(k Kind) int64 {
	sum := int64(0)
	for _, root := range r.under(NoNode) {
		sum += r.totals[k][root]
	}
	return sum
}

// name gives the name of a root.
func (r *Result) name(root int32) string { return r.Frames[r.Nodes[root].Frame].Name }

// Services gives the services with a value of a kind, the largest first, at
// most limit.
func (r *Result) Services(k Kind, limit int) []string {
	list := slices.DeleteFunc(slices.Clone(r.under(NoNode)), func(root int32) bool { return r.totals[k][root] == 0 })
	slices.SortFunc(list, func(a, b int32) int {
		return order(r.totals[k][b], r.totals[k][a], r.name(a), r.name(b))
	})
	names := []string{}
	for _, root := range list[:min(len(list), limit)] {
		names = append(names, r.name(root))
	}
	return names
}

// root gives the node of a service, NoNode for "" or one that is not there.
func (r *Result) root(service string) int32 {
	for _, root := range r.under(NoNode) {
		if service != "" && r.name(root) == service {
			return root
		}
	}
	return NoNode
}

// under gives the children of a node, or the roots.
func (r *Result) under(node int32) []int32 { return r.children.of(node) }

// Branch is a node of a pruned tree with all below it.
type Branch struct {
	Frame
	Value    int64
	Children []Branch // sorted by name, module, kind
}

// Limits say what to prune.
type Limits struct {
	Share float64 // of the whole; smaller nodes go to "(other)"
	Nodes int     // kept at most, each of which may have an "(other)"
}

// Flame gives the tree of a service, or of all under the name "all" when
// service is "". Nodes below the limits are added up in an "(other)" beside
// their siblings, so that a node is the sum of its children and of what ended
// in it, exactly.
func (r *Result) Flame(k Kind, service string, l Limits) Branch {
	root := r.root(service)
	top := Branch{Frame: Frame{Name: "all"}, Value: r.Total(k)}
	if service != "" {
		top = Branch{Frame: Frame{Name: service, Kind: KindService}}
		if root == NoNode {
			return top
		}
		top.Value = r.totals[k][root]
	}
	least := r.least(k, root, top.Value, l)
	top.Children = r.branches(k, root, least)
	return top
}

// least gives the smallest value that is kept below root.
func (r *Result) least(k Kind, root int32, total int64, l Limits) int64 {
	least := max(int64(l.Share*float64(total)), 1)
	var kept []int64
	var walk func(node int32)
	walk = func(node int32) {
		for _, child := range r.under(node) {
			if v := r.totals[k][child]; v >= least {
				kept = append(kept, v)
				walk(child)
			}
		}
	}
	walk(root)
	if len(kept) <= l.Nodes {
		return least
	}
	slices.Sort(kept)
	return kept[len(kept)-l.Nodes-1] + 1
}

// branches gives what is below a node.
func (r *Result) branches(k Kind, node int32, least int64) []Branch {
	var list []Branch
	other := int64(0)
	for _, child := range r.under(node) {
		v := r.totals[k][child]
		if v < least {
			other += v
			continue
		}
		list = append(list, Branch{Frame: r.Frames[r.Nodes[child].Frame], Value: v, Children: r.branches(k, child, least)})
	}
	slices.SortFunc(list, func(a, b Branch) int { return compareFrames(a.Frame, b.Frame) })
	if other == 0 {
		return list
	}
	for i := range list { // a full tree has one already
		if list[i].Frame == otherFrame {
			list[i].Value += other
			return list
		}
	}
	return append(list, Branch{Frame: otherFrame, Value: other})
}

func compareFrames(a, b Frame) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Module, b.Module), cmp.Compare(a.Kind, b.Kind))
}
