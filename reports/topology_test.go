package reports

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/analyze"
)

// drawings are the topologies that the layout is tried on.
func drawings() map[string]*analyze.Analysis {
	all := map[string]*analyze.Analysis{"3": mesh(3), "30": mesh(30), "300": mesh(300), "900": mesh(900), "circle": many(300, 2000)}
	for _, c := range cases {
		all[c.name] = c.a()
	}
	return all
}

// TestTopologyNodesApart: nothing overlaps, every service has one place, callers are
// left of what they call but for cycles, and the same topology is drawn the same.
func TestTopologyNodesApart(t *testing.T) {
	for name, a := range drawings() {
		d := newDrawing(a)
		at, width, height := positions(d.layout, len(d.slots))
		for i := range d.slots {
			r := around(at[i], nodeWidth, nodeHeight)
			if r.left < 0 || r.top < 0 || r.right > width || r.bottom > height {
				t.Errorf("%s: place %d outside of the drawing", name, i)
			}
			for j := range i {
				if r.meets(around(at[j], nodeWidth, nodeHeight)) {
					t.Errorf("%s: places %d and %d overlap", name, i, j)
				}
			}
		}
		seen := map[int]int{}
		for i, s := range d.slots {
			for _, n := range s.members {
				seen[n]++
				if d.slotOf[n] != i {
					t.Errorf("%s: node %d is in place %d, not %d", name, n, i, d.slotOf[n])
				}
			}
		}
		if len(seen) != len(d.Nodes) || len(d.slots) > topologyPlaces && len(d.Nodes) > topologyPlaces {
			t.Errorf("%s: %d of %d services in %d places", name, len(seen), len(d.Nodes), len(d.slots))
		}
		for i, back := range d.back {
			l := d.lines[i]
			if from, to := at[l.from].x, at[l.to].x; back != (from > to || l.from == l.to) || l.from != l.to && from == to && len(d.layers) < mostLayers && d.slots[l.from].layer != d.slots[l.to].layer {
				t.Errorf("%s: line %d runs from %g to %g, back %v", name, i, from, to, back)
			}
		}
		if again := newDrawing(a); !reflect.DeepEqual(d.layers, again.layers) || !reflect.DeepEqual(d.slots, again.slots) {
			t.Errorf("%s: two drawings differ", name)
		}
	}
}

// TestTopologyLabelsApart: no label meets another or a place.
func TestTopologyLabelsApart(t *testing.T) {
	box := func(r rect) rectangle {
		var x, y, w, h float64
		if _, err := fmt.Sscan(r.X+" "+r.Y+" "+r.W+" "+r.H, &x, &y, &w, &h); err != nil {
			t.Fatal(err)
		}
		return rectangle{x, y, x + w, y + h}
	}
	for name, a := range drawings() {
		v := drawTopology(a)
		taken := []rectangle{}
		for _, n := range v.Nodes {
			taken = append(taken, box(n.Box))
		}
		for _, l := range v.Labels {
			r := box(l.Plate)
			r.left, r.top, r.right, r.bottom = r.left+0.1, r.top+0.1, r.right-0.1, r.bottom-0.1 // coordinates are rounded
			if r.meetsAny(taken) {
				t.Errorf("%s: label %q overlaps", name, l.First)
			}
			taken = append(taken, r)
		}
		if len(v.Edges) > 0 && len(v.Labels) == 0 {
			t.Errorf("%s: no label found room", name)
		}
	}
}

// TestGroups: a large topology is grouped by rules that can be told, a small one is
// not.
func TestGroups(t *testing.T) {
	if d := newDrawing(mesh(30)); len(d.slots) != len(d.Nodes) {
		t.Errorf("%d of 30 services are grouped", len(d.Nodes)-len(d.slots))
	}
	d := newDrawing(mesh(300))
	for _, s := range d.slots {
		if (len(s.members) > 1) != (s.name != "") {
			t.Errorf("group %q of %d", s.name, len(s.members))
		}
		outside := 0
		for _, n := range s.members {
			if d.Nodes[n].External {
				outside++
			}
		}
		if outside > 0 && (outside != len(s.members) || s.name != "outside") {
			t.Errorf("group %q has %d addresses outside of %d", s.name, outside, len(s.members))
		}
	}
	v := drawTopology(mesh(300))
	if !strings.Contains(v.Grouped, "300 services are drawn in") || len(v.Groups) != 1 || len(v.Groups[0].Rows)+len(v.Groups[0].More) < 250 {
		t.Errorf("grouped: %q, %d tables", v.Grouped, len(v.Groups))
	}
	for _, c := range []struct{ name, stem, word string }{
		{"team-03/service-017", "team-03/service", "team"}, {"cart", "cart", "cart"}, {"svc12", "svc", "svc12"},
		{"api-v2-7d9f", "api", "api"}, {"42", "42", "42"}, {"10.0.0.1:80", "10", "10"}, {"", "", ""},
	} {
		if stem(c.name) != c.stem || firstWord(c.name) != c.word {
			t.Errorf("%q: stem %q, first word %q, want %q, %q", c.name, stem(c.name), firstWord(c.name), c.stem, c.word)
		}
	}
}

// TestUnmeasuredRequestsStandBesideTheClientsLatency: where they are 1% of the requests, in
// alarm; what nobody recorded is not 0.
func TestUnmeasuredRequestsStandBesideTheClientsLatency(t *testing.T) {
	for _, c := range []struct {
		n    *int64
		want cell
	}{
		{nil, cell{Text: absent}}, {new(int64(0)), cell{"0", toneZero}}, {new(int64(6)), cell{Text: "6"}}, {new(int64(7)), cell{"7", toneBad}},
	} {
		if got := unmeasured(&edge{Requests: 699, ClientUnmeasured: c.n}); got != c.want {
			t.Errorf("cell %+v, want %+v", got, c.want)
		}
	}
	a := shop()
	head := slices.IndexFunc(edgesTable(a).Columns, func(c column) bool { return c.Head == "Client p99" })
	if next := edgesTable(a).Columns[head+1]; next.Head != "Client unmeasured" || next.Hint != hintUnmeasured {
		t.Errorf("beside the client's p99 stands %+v", next)
	}
	g := pickGraph(a, 9, 9)
	at := slices.IndexFunc(g.Edges, func(e graphEdge) bool { return e.Edge.ClientUnmeasured != nil && *e.Edge.ClientUnmeasured > 0 })
	if title := edgeTitle(&g, &g.Edges[at]); !strings.Contains(title, "41 without a latency at the client's end") {
		t.Errorf("the drawing says %q", title)
	}
}

// TestLooks: errors come before slowness, and that which has no reference is no
// colour.
func TestLooks(t *testing.T) {
	with := func(ratio float64) *analyze.Contrast { return &analyze.Contrast{Ratio: ratio} }
	for _, c := range []struct {
		e    analyze.Edge
		want int
	}{
		{analyze.Edge{}, lookNeutral}, {analyze.Edge{Contrast: with(1.49)}, lookSteady}, {analyze.Edge{Contrast: with(1.5)}, lookSlow},
		{analyze.Edge{Contrast: with(3)}, lookSlowest}, {analyze.Edge{Contrast: with(9), Failed: 1}, lookBad}, {analyze.Edge{Unanswered: 1}, lookBad},
		// Of requests given up, only those answered before have a latency on the client's end.
		{analyze.Edge{Contrast: with(1), Requests: 949, Resets: 718}, lookBad}, {analyze.Edge{Contrast: with(1), Requests: 9000, Resets: 89}, lookSteady}, {analyze.Edge{Resets: 1}, lookBad},
	} {
		if got := lookOf(&c.e); got != c.want {
			t.Errorf("%+v: look %d, want %d", c.e.Contrast, got, c.want)
		}
	}
	a := drilled()
	if text := coloursText(a); !strings.Contains(text, "against its peers") || !strings.Contains(text, "quiet windows") || !strings.Contains(text, "Without --baseline") {
		t.Errorf("the legend says %q", text)
	}
	for i := range a.Edges {
		if a.Edges[i].Contrast != nil {
			a.Edges[i].Contrast.Reference = "baseline capture"
		}
	}
	if text := coloursText(a); !strings.Contains(text, "in the baseline capture") || strings.Contains(text, "Without --baseline") {
		t.Errorf("with a baseline the legend says %q", text)
	}
}

// TestDrill: details have the rows of the analysis, bounded, under ids that a link
// can name and no name can forge.
func TestDrill(t *testing.T) {
	a := drilled()
	d := newDrillPart(a)
	at := slices.IndexFunc(d.Services, func(s serviceView) bool { return s.Anchor == "service-cart" })
	if at < 0 || len(d.Services[at].Tables) != 3 {
		t.Fatalf("details %+v", d.Services)
	}
	if n := len(d.Services[at].Tables[1].Rows); n != 6 {
		t.Errorf("%d connections, want 6", n)
	}
	if s := slowestRequests(a, 10); len(s) != 10 || s[0].LatencyNs != 900*millisecond || s[1].LatencyNs != 899*millisecond {
		t.Errorf("the slowest %+v", s)
	}
	for _, f := range []Format{Text, Markdown} {
		if text := string(render(t, a, f, options)); !strings.Contains(text, "Slowest requests") && !strings.Contains(text, "SLOWEST REQUESTS") {
			t.Errorf("%s lacks the slowest requests", f)
		}
	}
	for _, n := range hostileNames {
		if anchor := serviceAnchor(n); strings.ContainsAny(anchor, "<>\"'& #%\x1b\n") {
			t.Errorf("%q has id %q", n, anchor)
		}
	}
	if n := len(newDrillPart(many(900, 10)).Services); n != drillServices {
		t.Errorf("%d services have details", n)
	}
}
