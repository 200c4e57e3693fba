package reports

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// parse reads links as "0>1 1>2".
func parseLinks(s string) []link {
	links := []link{}
	for len(s) > 0 {
		var k link
		n, err := fmt.Sscanf(s, "%d>%d", &k.from, &k.to)
		if err != nil || n != 2 {
			panic(s)
		}
		links = append(links, k)
		if i := slices.Index([]byte(s), ' '); i >= 0 {
			s = s[i+1:]
		} else {
			s = ""
		}
	}
	return links
}

func TestLayered(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes int
		links string
		back  []int // indexes of links that run right to left
		depth int
	}{
		{"chain", 3, "0>1 1>2", nil, 3},
		{"diamond with a shortcut", 4, "0>1 0>2 1>3 2>3 0>3", nil, 3},
		{"cycle of two", 2, "0>1 1>0", []int{1}, 2},
		{"cycle behind an entry", 4, "3>0 0>1 1>2 2>0", []int{3}, 4},
		{"self", 2, "0>0 0>1", []int{0}, 2},
		{"two parts", 4, "0>1 2>3", nil, 2},
		{"no links", 3, "", nil, 1},
		{"nothing", 0, "", nil, 0},
	} {
		links := parseLinks(c.links)
		l := layered(c.nodes, links)
		checkLayout(t, c.name, l, c.nodes, links)
		if len(l.layers) != c.depth {
			t.Errorf("%s: %d layers, want %d", c.name, len(l.layers), c.depth)
		}
		for i := range links {
			if l.back[i] != slices.Contains(c.back, i) {
				t.Errorf("%s: link %d back %v", c.name, i, l.back[i])
			}
		}
		if again := layered(c.nodes, links); !reflect.DeepEqual(l, again) {
			t.Errorf("%s: two layouts differ", c.name)
		}
	}
}

// checkLayout fails unless every id is in one layer, and every path goes one
// layer at a time between its ends.
func checkLayout(t *testing.T, name string, l layout, nodes int, links []link) {
	t.Helper()
	layer := map[int]int{}
	for i, ids := range l.layers {
		for _, id := range ids {
			if at, twice := layer[id]; twice {
				t.Errorf("%s: id %d in layers %d and %d", name, id, at, i)
			}
			layer[id] = i
		}
	}
	for id := range nodes {
		if _, ok := layer[id]; !ok {
			t.Errorf("%s: node %d is nowhere", name, id)
		}
	}
	for i, k := range links {
		path := l.paths[i]
		if k.from == k.to {
			if path != nil {
				t.Errorf("%s: a link to itself has path %v", name, path)
			}
			continue
		}
		if path[0] != k.from || path[len(path)-1] != k.to {
			t.Errorf("%s: path %v of link %v", name, path, k)
		}
		step := 1
		if l.back[i] {
			step = -1
		}
		if layer[k.from] == layer[k.to] && len(path) == 2 {
			continue // within a layer
		}
		for j := 1; j < len(path); j++ {
			if layer[path[j]]-layer[path[j-1]] != step {
				t.Errorf("%s: path %v of link %v jumps", name, path, k)
			}
		}
	}
}

// TestLayeredUncrosses: two crossed links are drawn uncrossed.
func TestLayeredUncrosses(t *testing.T) {
	l := layered(4, parseLinks("0>3 1>2"))
	if want := [][]int{{0, 1}, {3, 2}}; !reflect.DeepEqual(l.layers, want) {
		t.Errorf("layers %v, want %v", l.layers, want)
	}
}

func TestLayeredLarge(t *testing.T) {
	links := []link{}
	for i := range 2000 {
		links = append(links, link{i % 300, (i*31 + i/300 + 1) % 300})
	}
	checkLayout(t, "large", layered(300, links), 300, links)
}

func TestPickGraph(t *testing.T) {
	a := many(300, 2000)
	g := pickGraph(a, 48, 90)
	if len(g.Nodes) != 48 || g.MoreNodes != 252 {
		t.Errorf("%d nodes and %d more, want 48 and 252", len(g.Nodes), g.MoreNodes)
	}
	pairs, _ := pairsOf(a)
	if len(g.Edges) > 90 || len(g.Edges)+g.MoreEdges != len(pairs) {
		t.Errorf("%d edges and %d more, want %d together", len(g.Edges), g.MoreEdges, len(pairs))
	}
	whole := pickGraph(shop(), 48, 90)
	if whole.leftOut() != "" || len(whole.Nodes) != 7 || len(whole.Edges) != 7 {
		t.Errorf("the shop: %d nodes, %d edges, %q", len(whole.Nodes), len(whole.Edges), whole.leftOut())
	}
}
