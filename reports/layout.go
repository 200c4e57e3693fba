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
	return arrange(layersOf(n, links), links)
}

// mostLayers is how deep a drawing may be by longest paths: where many nodes call
// each other in circles, these say nothing.
const mostLayers = 9

// layersOf gives each node its layer: by the longest path to it, or where that
// would be too deep by the shortest.
func layersOf(n int, links []link) []int {
	layer := longestPath(n, links, backLinks(n, links))
	if n > 0 && slices.Max(layer) >= mostLayers {
		return shortestPath(n, links)
	}
	return layer
}

// arrange lays out nodes whose layer is known. Links within a layer have a path
// that stays in it.
func arrange(layer []int, links []link) layout {
	n := len(layer)
	l := layout{paths: make([][]int, len(links)), back: make([]bool, len(links))}
	for i := range n {
		l.place(i, layer[i])
	}
	next := n
	for i, k := range links {
		if k.from == k.to {
			l.back[i] = true
			continue
		}
		from, to := k.from, k.to
		if l.back[i] = layer[from] > layer[to]; l.back[i] {
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

// shortestPath gives each node its layer: how many calls it is away from the
// nodes without callers; where there is none left, from the one that calls most
// of all and is called least.
func shortestPath(n int, links []link) []int {
	out, surplus, called := make([][]int, n), make([]int, n), make([]bool, n)
	for _, k := range links {
		if k.from != k.to {
			out[k.from] = append(out[k.from], k.to)
			surplus[k.from]++
			surplus[k.to]--
			called[k.to] = true
		}
	}
	layer, queue := make([]int, n), []int{}
	for i := range layer {
		layer[i] = -1
		if !called[i] {
			layer[i] = 0
			queue = append(queue, i)
		}
	}
	for {
		for ; len(queue) > 0; queue = queue[1:] {
			for _, to := range out[queue[0]] {
				if layer[to] < 0 {
					layer[to] = layer[queue[0]] + 1
					queue = append(queue, to)
				}
			}
		}
		best := -1
		for i := range layer {
			if layer[i] < 0 && (best < 0 || surplus[i] > surplus[best]) {
				best = i
			}
		}
		if best < 0 {
			return layer
		}
		layer[best] = 0
		queue = append(queue, best)
	}
}

// sweeps is how often layers are ordered; more changes little.
const sweeps = 16

// order sorts each layer by the mean place of its neighbours in the layer
// before, then in the layer after, in turn, and keeps the order with the fewest
// crossings.
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
	best, fewest := l.copyLayers(), l.crossings(place, layer)
	for s := range sweeps {
		step, at := 1, 1
		if s%2 == 1 {
			step, at = -1, len(l.layers)-2
		}
		for ; at >= 0 && at < len(l.layers); at += step {
			l.orderLayer(l.layers[at], at-step, layer, neighbours, place)
		}
		if n := l.crossings(place, layer); n < fewest {
			best, fewest = l.copyLayers(), n
		}
	}
	l.layers = best
}

// copyLayers keeps an order.
func (l *layout) copyLayers() [][]int {
	kept := make([][]int, len(l.layers))
	for i := range kept {
		kept[i] = slices.Clone(l.layers[i])
	}
	return kept
}

// crossings counts the pairs of lines between two layers that cross.
func (l *layout) crossings(place []float64, layer []int) int {
	lines := make([][][2]float64, len(l.layers))
	for _, path := range l.paths {
		for i := 1; i < len(path); i++ {
			from, to := path[i-1], path[i]
			if layer[from] > layer[to] {
				from, to = to, from
			}
			if layer[from] < layer[to] {
				lines[layer[from]] = append(lines[layer[from]], [2]float64{place[from], place[to]})
			}
		}
	}
	n := 0
	for _, all := range lines {
		for i, a := range all {
			for _, b := range all[:i] {
				if (a[0]-b[0])*(a[1]-b[1]) < 0 {
					n++
				}
			}
		}
	}
	return n
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
