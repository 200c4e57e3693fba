package reports

import (
	"math"

	"kmon/analyze"
)

// Bounds and sizes of the topology drawing, in pixels.
const (
	topologyNodes = 48
	topologyEdges = 90

	nodeWidth  = 168.0
	nodeHeight = 44.0
	nodeGap    = 30.0  // between nodes of a layer
	bendGap    = 14.0  // above and below a bend
	layerGap   = 180.0 // between layers: room for a label
	denseGap   = 130.0 // the same when there are many layers
	manyLayers = 5
	margin     = 16.0
	nodeName   = 22 // columns of a name
)

// topologyView is the drawing of the topology.
type topologyView struct {
	Class         string
	Width, Height string
	Summary       string // what the drawing shows, for those who don't see it
	Edges         []edgeView
	Labels        []edgeLabel
	Nodes         []nodeView
	LeftOut       string
	Unlabelled    string
}

// edgeView is a drawn edge.
type edgeView struct {
	stroke
	Marker string // the arrowhead's id
}

// edgeLabel is the two lines on an edge.
type edgeLabel struct {
	Plate                    rect
	X, Y1, Y2, First, Second string
}

// nodeView is a drawn service.
type nodeView struct {
	Box    rect
	Round  string
	Name   label
	Detail label
}

// point is a place in a drawing.
type point struct{ x, y float64 }

// drawTopology lays out and draws the topology.
func drawTopology(a *analyze.Analysis) topologyView {
	g := pickGraph(a, topologyNodes, topologyEdges)
	links := make([]link, len(g.Edges))
	for i, e := range g.Edges {
		links[i] = link{e.From, e.To}
	}
	l := layered(len(g.Nodes), links)
	at, width, height := positions(l, len(g.Nodes))
	v := topologyView{
		Class: "topology" + shrinks(width), Width: px(width), Height: px(height), LeftOut: g.leftOut(),
		Summary: CountText(int64(len(g.Nodes))) + plural(len(g.Nodes), " service") + " and " +
			CountText(int64(len(g.Edges))) + plural(len(g.Edges), " edge") + ", clients left, services they call right",
		Edges: []edgeView{}, Labels: []edgeLabel{}, Nodes: []nodeView{},
	}
	for i, n := range g.Nodes {
		v.Nodes = append(v.Nodes, drawNode(n, at[i]))
	}
	v.drawEdges(&g, l, at)
	return v
}

// shrinks is the class of a drawing that may be made smaller to fit a
// screen: one that is neither small nor illegible then.
func shrinks(width float64) string {
	if width >= 760 && width <= 1900 {
		return " fit"
	}
	return ""
}

// positions gives the middle of every id, and the size of the drawing.
func positions(l layout, nodes int) (at map[int]point, width, height float64) {
	at = map[int]point{}
	tall, gap := 0.0, layerGap
	if len(l.layers) > manyLayers {
		gap = denseGap
	}
	heights := make([]float64, len(l.layers))
	for i, ids := range l.layers {
		for _, id := range ids {
			heights[i] += slot(id, nodes)
		}
		tall = max(tall, heights[i])
	}
	for i, ids := range l.layers {
		x := margin + nodeWidth/2 + float64(i)*(nodeWidth+gap)
		y := margin + (tall-heights[i])/2
		for _, id := range ids {
			at[id] = point{x, y + slot(id, nodes)/2}
			y += slot(id, nodes)
		}
	}
	layers := float64(max(1, len(l.layers)))
	return at, 2*margin + layers*nodeWidth + (layers-1)*gap + 24, 2*margin + tall
}

// slot is the height an id takes in its layer.
func slot(id, nodes int) float64 {
	if id < nodes {
		return nodeHeight + nodeGap
	}
	return 2 * bendGap
}

// drawNode draws one service.
func drawNode(n graphNode, p point) nodeView {
	class, round := "node", "6"
	if n.External {
		class, round = "node external", "22"
	}
	if n.Tone != toneNone {
		class += " " + string(n.Tone)
	}
	name := nameText(n.Name)
	detail := "served no request"
	if n.Requests > 0 {
		detail = n.Rate + " · p99 " + n.P99
	}
	title := name + ": " + CountText(n.Requests) + plural(int(n.Requests), " request") + ", " + detail
	return nodeView{
		Box:    box(p.x-nodeWidth/2, p.y-nodeHeight/2, nodeWidth, nodeHeight, class, title),
		Round:  round,
		Name:   label{px(p.x), px(p.y - 4), "name", "middle", cut(name, nodeName)},
		Detail: label{px(p.x), px(p.y + 13), "detail", "middle", detail},
	}
}

// drawEdges draws every edge, and its label where there is room.
func (v *topologyView) drawEdges(g *graph, l layout, at map[int]point) {
	most := 0.0
	curves := make([][]point, len(g.Edges))
	for i := range g.Edges {
		e := &g.Edges[i]
		most = max(most, e.Edge.RatePerS)
		curves[i] = route(l.paths[i], at)
		if e.From == e.To {
			curves[i] = loop(at[e.From])
		}
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		v.Edges = append(v.Edges, drawEdge(g, e, curves[i], l.back[i] && e.From != e.To, most))
	}
	if missing := v.drawLabels(g, curves, at); missing > 0 {
		v.Unlabelled = CountText(int64(missing)) + plural(missing, " edge") + " without room for a label: point at the line, or see the tables."
	}
}

// drawLabels writes on the edges, busiest first, and says how many found no
// room.
func (v *topologyView) drawLabels(g *graph, curves [][]point, at map[int]point) (missing int) {
	taken := []rectangle{}
	for i := range g.Nodes {
		taken = append(taken, around(at[i], nodeWidth, nodeHeight))
	}
	passed := make([][]point, len(curves))
	for i, c := range curves {
		passed[i] = samples(c)
	}
	for i := range g.Edges {
		spot, ok := room(curves, i, taken, passed)
		if !ok {
			missing++
			continue
		}
		taken = append(taken, around(spot, labelWidth, labelHeight))
		v.Labels = append(v.Labels, drawLabel(&g.Edges[i], spot))
	}
	return missing
}

// drawEdge draws the line of an edge; its width grows with the logarithm of
// its rate against the highest.
func drawEdge(g *graph, e *graphEdge, curve []point, back bool, most float64) edgeView {
	class, marker := "edge", "arrow"
	if back {
		class += " back"
	}
	if e.Edge.Requests == 0 {
		class += " quiet"
	}
	if e.Edge.Failed > 0 || e.Edge.Unanswered > 0 {
		class, marker = class+" bad", "arrow-bad"
	}
	width := 1.25
	if most > 0 && e.Edge.RatePerS > 0 {
		width += 4 * max(0, 1+math.Log10(e.Edge.RatePerS/most)/3)
	}
	return edgeView{stroke{bezier(curve), class, px(width), edgeTitle(g, e)}, marker}
}

// edgeTitle is the tooltip of an edge.
func edgeTitle(g *graph, e *graphEdge) string {
	t := nameText(g.Nodes[e.From].Name) + " → " + nameText(serverText(&e.Edge)) + ": " +
		CountText(e.Edge.Requests) + plural(int(e.Edge.Requests), " request") + ", " + e.label()
	if e.Edge.Failed > 0 {
		t += ", " + CountText(e.Edge.Failed) + " failed connects"
	}
	if e.Edge.Unanswered > 0 {
		t += ", " + CountText(e.Edge.Unanswered) + " unanswered"
	}
	if e.Others > 0 {
		t += " (and " + CountText(int64(e.Others)) + " more" + plural(e.Others, " port") + ")"
	}
	return t
}

// drawLabel writes the rate and the p99 on an edge.
func drawLabel(e *graphEdge, p point) edgeLabel {
	first, second := e.labelLines()
	v := edgeLabel{Plate: box(p.x-labelWidth/2, p.y-labelHeight/2, labelWidth, labelHeight, "plate", ""), X: px(p.x), Y1: px(p.y - 3), Y2: px(p.y + 10), First: first, Second: second}
	if second == "" {
		v.Y1 = px(p.y + 4)
		v.Plate = box(p.x-labelWidth/2, p.y-labelHeight/4, labelWidth, labelHeight/2, "plate", "")
	}
	return v
}
