package flame

import (
	"cmp"
	"slices"
)

// Function is what one function adds up to, over all paths.
type Function struct {
	Frame
	Self  int64 // it was the leaf
	Total int64 // it was on the path, counted once a path
}

// Path is a call path and what ended in its leaf.
type Path struct {
	Frames []Frame // from the root
	Value  int64
}

// Functions gives the functions of a service, or of all, with the most value
// of their own, the largest first.
func (r *Result) Functions(k Kind, service string, limit int) []Function {
	self, totals := make([]int64, len(r.Frames)), make([]int64, len(r.Frames))
	onPath := make([]int32, len(r.Frames))
	var walk func(node int32)
	walk = func(node int32) {
		for _, child := range r.under(node) {
			if r.totals[k][child] == 0 {
				continue
			}
			frame := r.Nodes[child].Frame
			self[frame] += r.Self[k][child]
			if onPath[frame] == 0 {
				totals[frame] += r.totals[k][child]
			}
			onPath[frame]++
			walk(child)
			onPath[frame]--
		}
	}
	if root := r.root(service); root != NoNode || service == "" {
		walk(root)
	}
	list := []Function{}
	for i, f := range r.Frames {
		if totals[i] > 0 && (f.Kind == KindUser || f.Kind == KindKernel) {
			list = append(list, Function{f, self[i], totals[i]})
		}
	}
	slices.SortFunc(list, func(a, b Function) int {
		if c := cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(b.Total, a.Total)); c != 0 {
			return c
		}
		return compareFunctions(a.Frame, b.Frame) // seldom: names are long
	})
	return list[:min(len(list), limit)]
}

// compareFunctions is compareFrames for frames that may differ in Approximate
// only.
func compareFunctions(a, b Frame) int {
	if c := compareFrames(a, b); c != 0 || a.Approximate == b.Approximate {
		return c
	}
	if a.Approximate {
		return 1
	}
	return -1
}

// Paths gives the paths of a service, or of all, that most value ended in, the
// largest first.
func (r *Result) Paths(k Kind, service string, limit int) []Path {
	var best []int32
	var walk func(node int32)
	walk = func(node int32) {
		if node != NoNode && r.Self[k][node] > 0 {
			best = r.place(k, best, node, limit)
		}
		for _, child := range r.under(node) {
			if r.totals[k][child] > 0 {
				walk(child)
			}
		}
	}
	if root := r.root(service); root != NoNode || service == "" {
		walk(root)
	}
	list := []Path{}
	for _, node := range best {
		list = append(list, Path{Frames: r.frames(node), Value: r.Self[k][node]})
	}
	return list
}

// place puts a node into the list of the best, unless it is not among them.
func (r *Result) place(k Kind, best []int32, node int32, limit int) []int32 {
	compare := func(a, b int32) int {
		if c := cmp.Compare(r.Self[k][b], r.Self[k][a]); c != 0 {
			return c
		}
		return slices.CompareFunc(r.frames(a), r.frames(b), compareFunctions)
	}
	if len(best) == limit && (limit == 0 || compare(node, best[limit-1]) >= 0) {
		return best
	}
	at, _ := slices.BinarySearchFunc(best, node, compare)
	return slices.Insert(best, at, node)[:min(len(best)+1, limit)]
}

// frames gives the frames from the root to a node.
func (r *Result) frames(node int32) []Frame {
	list := []Frame{}
	for _, f := range r.Path(node) {
		list = append(list, r.Frames[f])
	}
	return list
}
