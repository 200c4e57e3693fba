package reports

import (
	"cmp"
	"slices"
)

// Layered drawing (after Sugiyama): cycles are opened, nodes are put into
// layers by longest path, edges over several layers get bends, and layers are
// ordered by the mean place of their neighbours. Every step breaks ties by
// index, so the same graph gives the same drawing.

// link is an edge between two nodes by index.
type link struct {
	from, to int
}

// layout says where nodes stand and which way edges go.
type layout struct {
	layers [][]int // ids per layer, top first; ids ≥ the number of nodes are bends
	paths  [][]int // per link: ids it visits, from its from to its to
	back   []bool  // per link: it closes a cycle and runs right to left
}

// layered lays out n nodes. Links from a node to itself have no path.
func layered(n int, links []link) layout {
	l := layout{paths: make([][]int, len(links)), back: backLinks(n, links)}
	layer := longestPath(n, links, l.back)
	for i := range n {
		l.place(i, layer[i])
	}
	next := n
	for i, k := range links {
		if k.from == k.to {
			continue
		}
		from, to := k.from, k.to
		if l.back[i] {
			from, to = to, from
		}
		path := []int{from}
		for at := layer[from] + 1; at < layer[to]; at++ {
			l.place(next, at)
			path = append(path, next)
			next++
		}
		path = append(path, to)
		if l.back[i] {
			slices.Reverse(path)
		}
		l.paths[i] = path
	}
	l.order(next)
	return l
}

// place puts an id into a layer.
func (l *layout) place(id, layer int) {
	for len(l.layers) <= layer {
		l.layers = append(l.layers, nil)
	}
	l.layers[layer] = append(l.layers[layer], id)
}

// backLinks marks the links that a depth-first walk finds closing a cycle.
// The walk starts at nodes without callers.
func backLinks(n int, links []link) []bool {
	out := make([][]int, n)
	callers := make([]int, n)
	for i, k := range links {
		out[k.from] = append(out[k.from], i)
		if k.from != k.to {
			callers[k.to]++
		}
	}
	back := make([]bool, len(links))
	state := make([]int, n) // 0 new, 1 on the path, 2 done
	var walk func(int)
	walk = func(at int) {
		state[at] = 1
		for _, i := range out[at] {
			switch to := links[i].to; {
			case state[to] == 1:
				back[i] = true
			case state[to] == 0:
				walk(to)
			}
		}
		state[at] = 2
	}
	for _, roots := range []bool{true, false} {
		for i := range n {
			if state[i] == 0 && (callers[i] == 0) == roots {
				walk(i)
			}
		}
	}
	return back
}

// longestPath gives each node's layer: one more than its furthest caller.
func longestPath(n int, links []link, back []bool) []int {
	layer := make([]int, n)
	for range n { // the longest path has at most n nodes
		changed := false
		for i, k := range links {
			if back[i] || k.from == k.to {
				continue
			}
			if layer[k.to] < layer[k.from]+1 {
				layer[k.to], changed = layer[k.from]+1, true
			}
		}
		if !changed {
			break
		}
	}
	return layer
}

// sweeps is how often layers are ordered; more changes little.
const sweeps = 8

// order sorts each layer by the mean place of its neighbours in the layer
// before, then in the layer after, in turn.
func (l *layout) order(ids int) {
	neighbours := make([][]int, ids)
	for _, path := range l.paths {
		for i := 1; i < len(path); i++ {
			neighbours[path[i-1]] = append(neighbours[path[i-1]], path[i])
			neighbours[path[i]] = append(neighbours[path[i]], path[i-1])
		}
	}
	place, layer := make([]float64, ids), make([]int, ids)
	for i, ids := range l.layers {
		for at, id := range ids {
			layer[id] = i
			place[id] = middle(at, len(ids))
		}
	}
	for s := range sweeps {
		step, at := 1, 1
		if s%2 == 1 {
			step, at = -1, len(l.layers)-2
		}
		for ; at >= 0 && at < len(l.layers); at += step {
			l.orderLayer(l.layers[at], at-step, layer, neighbours, place)
		}
	}
}

// orderLayer sorts one layer by its neighbours in layer beside.
func (l *layout) orderLayer(ids []int, beside int, layer []int, neighbours [][]int, place []float64) {
	wish := map[int]float64{}
	for _, id := range ids {
		sum, n := 0.0, 0
		for _, other := range neighbours[id] {
			if layer[other] == beside {
				sum += place[other]
				n++
			}
		}
		wish[id] = place[id]
		if n > 0 {
			wish[id] = sum / float64(n)
		}
	}
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(wish[a], wish[b]) })
	for at, id := range ids {
		place[id] = middle(at, len(ids))
	}
}

// middle is the place of index at among n, with the middle of the layer at 0.
func middle(at, n int) float64 {
	return float64(at) - float64(n-1)/2
}
