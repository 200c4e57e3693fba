package flame

import "slices"

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
	sums := map[int32]*Function{}
	onPath := make([]int32, len(r.Frames))
	var walk func(node int32)
	walk = func(node int32) {
		for _, child := range r.under(node) {
			if r.totals[k][child] == 0 {
				continue
			}
			frame := r.Nodes[child].Frame
			f := sums[frame]
			if f == nil {
				f = &Function{Frame: r.Frames[frame]}
				sums[frame] = f
			}
			f.Self += r.self[k][child]
			if onPath[frame] == 0 {
				f.Total += r.totals[k][child]
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
	for _, f := range sums {
		if f.Kind == KindUser || f.Kind == KindKernel {
			list = append(list, *f)
		}
	}
	slices.SortFunc(list, func(a, b Function) int {
		if c := order(b.Self, a.Self, "", ""); c != 0 {
			return c
		}
		if c := order(b.Total, a.Total, "", ""); c != 0 {
			return c
		}
		return compareFunctions(a.Frame, b.Frame)
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
	var nodes []int32
	var walk func(node int32)
	walk = func(node int32) {
		if node != NoNode && r.self[k][node] > 0 {
			nodes = append(nodes, node)
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
	slices.SortFunc(nodes, func(a, b int32) int {
		if c := order(r.self[k][b], r.self[k][a], "", ""); c != 0 {
			return c
		}
		return slices.CompareFunc(r.frames(a), r.frames(b), compareFunctions)
	})
	list := []Path{}
	for _, node := range nodes[:min(len(nodes), limit)] {
		list = append(list, Path{Frames: r.frames(node), Value: r.self[k][node]})
	}
	return list
}

// frames gives the frames from the root to a node.
func (r *Result) frames(node int32) []Frame {
	list := []Frame{}
	for _, f := range r.Path(node) {
		list = append(list, r.Frames[f])
	}
	return list
}
