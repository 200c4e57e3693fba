package reports

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kmon/analyze"
)

// Bounds and sizes of the topology drawing, in pixels.
const (
	topologyPlaces = 44   // services or groups; more are grouped
	topologyLines  = 110  // between them, the busiest
	topologyNodes  = 1000 // that groups hold
	topologyEdges  = 3000

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
	Grouped       string // how services were grouped; "": they were not
	Groups        []htmlTable
	Colours       string // what they compare with
	LeftOut       string
	Unlabelled    string
	Live          bool
	data          string // packed, for the script
}

// edgeView is a drawn edge.
type edgeView struct {
	stroke
	Marker   string // the arrowhead's id
	From, To int    // places
}

// edgeLabel is the two lines on an edge.
type edgeLabel struct {
	Plate                    rect
	X, Y1, Y2, First, Second string
	From, To                 int // places
}

// nodeView is a drawn service or group.
type nodeView struct {
	Place  int
	Href   string // to its details
	Group  bool
	Box    rect
	Round  string
	Name   label
	Detail label
}

// point is a place in a drawing.
type point struct{ x, y float64 }

// drawing is a topology laid out: groups closed.
type drawing struct {
	graph
	slots  []slot
	slotOf []int // by node
	lines  []wire
	layout
	detailed map[string]bool // services that have details to lead to
}

// wire is all edges between two slots, as one.
type wire struct {
	link
	edges []int // of the graph, busiest first
	drawn bool
}

// newDrawing groups and lays out the topology.
func newDrawing(a *analyze.Analysis) *drawing {
	d := &drawing{graph: pickGraph(a, topologyNodes, topologyEdges), detailed: detailed(a)}
	links := make([]link, len(d.Edges))
	for i, e := range d.Edges {
		links[i] = link{e.From, e.To}
	}
	d.slots = groupNodes(&d.graph, layersOf(len(d.Nodes), links), topologyPlaces)
	d.slotOf = make([]int, len(d.Nodes))
	layer := make([]int, len(d.slots))
	for i, s := range d.slots {
		layer[i] = s.layer
		for _, n := range s.members {
			d.slotOf[n] = i
		}
	}
	d.joinEdges()
	var drawn []link
	for i := range d.lines {
		if d.lines[i].drawn {
			drawn = append(drawn, d.lines[i].link)
		}
	}
	d.layout = arrange(layer, drawn)
	return d
}

// joinEdges makes lines of edges, the busiest first, and chooses those to draw: of
// each slot its busiest, then the busiest of all.
func (d *drawing) joinEdges() {
	at := map[link]int{}
	for i, e := range d.Edges {
		k := link{d.slotOf[e.From], d.slotOf[e.To]}
		j, ok := at[k]
		if !ok {
			j = len(d.lines)
			at[k] = j
			d.lines = append(d.lines, wire{link: k})
		}
		d.lines[j].edges = append(d.lines[j].edges, i)
	}
	slices.SortStableFunc(d.lines, func(a, b wire) int { return cmp.Compare(d.rate(&b), d.rate(&a)) })
	touched, n := make([]bool, len(d.slots)), 0
	for pass := range 2 {
		for i := range d.lines {
			l := &d.lines[i]
			if fresh := !touched[l.from] || !touched[l.to]; !l.drawn && (fresh || pass == 1 && n < topologyLines) {
				l.drawn, touched[l.from], touched[l.to] = true, true, true
				n++
			}
		}
	}
	slices.SortStableFunc(d.lines, func(a, b wire) int { // drawn first, as the layout has them
		return cmp.Compare(when(!a.drawn, "x"), when(!b.drawn, "x"))
	})
}

// rate is the requests and messages a second of a line.
func (d *drawing) rate(l *wire) (perS float64) {
	for _, i := range l.edges {
		perS += d.Edges[i].Edge.RatePerS + d.Edges[i].Edge.Streams.RatePerS
	}
	return perS
}

// drawTopology lays out and draws the topology.
func drawTopology(a *analyze.Analysis) topologyView {
	d := newDrawing(a)
	at, width, height := positions(d.layout, len(d.slots))
	v := topologyView{
		Class: "topology" + shrinks(width), Width: px(width), Height: px(height), LeftOut: d.leftOut(),
		Summary: CountText(int64(len(d.Nodes))) + plural(len(d.Nodes), " service") + " and " +
			CountText(int64(len(d.Edges))) + plural(len(d.Edges), " edge") + ", clients left, services they call right",
		Edges: []edgeView{}, Labels: []edgeLabel{}, Nodes: []nodeView{}, Groups: []htmlTable{},
		Grouped: groupsText(d.slots, len(d.Nodes)), Colours: coloursText(a),
	}
	for _, ids := range d.layers {
		for _, i := range ids {
			if i < len(d.slots) {
				v.Nodes = append(v.Nodes, d.drawSlot(i, at[i]))
			}
		}
	}
	v.drawLines(d, at)
	v.Groups = filledTables(groupsTable(d))
	v.data = d.pack(newWindowRefs(a))
	v.Live = v.data != ""
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
			heights[i] += slotHeight(id, nodes)
		}
		tall = max(tall, heights[i])
	}
	for i, ids := range l.layers {
		x := margin + nodeWidth/2 + float64(i)*(nodeWidth+gap)
		y := margin + (tall-heights[i])/2
		for _, id := range ids {
			at[id] = point{x, y + slotHeight(id, nodes)/2}
			y += slotHeight(id, nodes)
		}
	}
	layers := float64(max(1, len(l.layers)))
	return at, 2*margin + layers*nodeWidth + (layers-1)*gap + 30, 2*margin + tall
}

// slotHeight is the height an id takes in its layer.
func slotHeight(id, nodes int) float64 {
	if id < nodes {
		return nodeHeight + nodeGap
	}
	return 2 * bendGap
}

// drawSlot draws a service, or a closed group.
func (d *drawing) drawSlot(i int, p point) nodeView {
	s := &d.slots[i]
	n := d.Nodes[s.members[0]]
	v := nodeView{Place: i, Round: "6", Href: "#" + d.anchor(&n), Group: len(s.members) > 1}
	class, name, detail := "node", nameText(n.Name), n.detail()
	title := name + ": " + CountText(n.Requests) + plural(int(n.Requests), " request") + ", " + detail
	if v.Group {
		class, v.Href = "node group", "#groups"
		name, detail = groupName(s), groupDetail(&d.graph, s)
		title = name + ": " + CountText(int64(len(s.members))) + " services: " + s.why
	}
	if n.External {
		class, v.Round = class+" external", "22"
	}
	if slices.ContainsFunc(s.members, func(m int) bool { return d.Nodes[m].Tone == toneBad }) {
		class += " " + string(toneBad)
	}
	v.Box = box(p.x-nodeWidth/2, p.y-nodeHeight/2, nodeWidth, nodeHeight, class, title)
	v.Name = label{px(p.x), px(p.y - 4), "name", "middle", cut(name, nodeName)}
	v.Detail = label{px(p.x), px(p.y + 13), "detail", "middle", detail}
	return v
}

// anchor is where a service leads to: its details, else the edges.
func (d *drawing) anchor(n *graphNode) string {
	if d.detailed[n.Name] {
		return serviceAnchor(n.Name)
	}
	return "talk"
}

// detail is the second line of a node.
func (n *graphNode) detail() string {
	if n.Requests == 0 {
		return "served no request"
	}
	return n.Rate + " · p99 " + n.P99
}

// groupName and groupDetail are the lines of a group.
func groupName(s *slot) string { return nameText(s.name) }

func groupDetail(g *graph, s *slot) string {
	sum := 0.0
	for _, m := range s.members {
		sum += g.Nodes[m].RatePerS
	}
	return CountText(int64(len(s.members))) + " services · " + rateText(sum)
}

// drawLines draws every line, and its label where there is room.
func (v *topologyView) drawLines(d *drawing, at map[int]point) {
	most := 0.0
	lines := d.lines[:len(d.paths)]
	curves := make([][]point, len(lines))
	for i := range lines {
		l := &lines[i]
		most = max(most, d.rate(l))
		curves[i] = route(d.paths[i], at)
		if l.from == l.to {
			curves[i] = loop(at[l.from])
		}
	}
	for i := range lines {
		v.Edges = append(v.Edges, d.drawLine(&lines[i], curves[i], d.back[i] && lines[i].from != lines[i].to, most))
	}
	if missing := v.drawLabels(d, curves, at); missing > 0 {
		v.Unlabelled = CountText(int64(missing)) + plural(missing, " edge") + " without room for a label: point at the line, or see the tables."
	}
	if more := len(d.lines) - len(lines); more > 0 {
		v.Unlabelled = strings.TrimSpace(v.Unlabelled + " " + CountText(int64(more)) + " quieter " + plural(more, "line") + " not drawn.")
	}
}

// drawLabels writes on the lines, busiest first, and says how many found no
// room.
func (v *topologyView) drawLabels(d *drawing, curves [][]point, at map[int]point) (missing int) {
	taken := []rectangle{}
	for i := range d.slots {
		taken = append(taken, around(at[i], nodeWidth, nodeHeight))
	}
	passed := make([][]point, len(curves))
	for i, c := range curves {
		passed[i] = samples(c)
	}
	for i := range curves {
		spot, ok := room(curves, i, taken, passed)
		if !ok {
			missing++
			continue
		}
		taken = append(taken, around(spot, labelWidth, labelHeight))
		v.Labels = append(v.Labels, d.drawLabel(&d.lines[i], spot))
	}
	return missing
}

// drawLine draws a line; its width grows with the logarithm of its rate against
// the highest.
func (d *drawing) drawLine(l *wire, curve []point, back bool, most float64) edgeView {
	look, title := lookNeutral, []string{}
	for n, i := range l.edges {
		look = worseLook(look, lookOf(&d.Edges[i].Edge))
		if n < 5 {
			title = append(title, edgeTitle(&d.graph, &d.Edges[i]))
		}
	}
	if more := len(l.edges) - len(title); more > 0 {
		title = append(title, "and "+CountText(int64(more))+" more "+plural(more, "edge"))
	}
	class := "edge " + looks[look].class
	if back {
		class += " back"
	}
	if d.rate(l) == 0 {
		class += " quiet"
	}
	width := 1.25
	if rate := d.rate(l); most > 0 && rate > 0 {
		width += 4 * max(0, 1+math.Log10(rate/most)/3)
	}
	return edgeView{stroke{bezier(curve), class, px(width), strings.Join(title, "\n")}, looks[look].marker, l.from, l.to}
}

// edgeTitle is the tooltip of an edge.
func edgeTitle(g *graph, e *graphEdge) string {
	t := nameText(g.Nodes[e.From].Name) + " → " + nameText(serverText(&e.Edge)) + ": " +
		CountText(e.Edge.Requests) + plural(int(e.Edge.Requests), " request") + ", " + e.label()
	if c := e.Edge.Contrast; c != nil {
		t += ", p99 " + ratioText(c.Ratio) + " that of " + c.Reference + " (" + c.End + "'s end)"
	}
	if e.Edge.Failed > 0 {
		t += ", " + CountText(e.Edge.Failed) + " failed connects"
	}
	if e.Edge.Unanswered > 0 {
		t += ", " + CountText(e.Edge.Unanswered) + " unanswered"
	}
	if n := e.Edge.ClientUnmeasured; n != nil && *n > 0 {
		t += ", " + CountText(*n) + " without a latency at the client's end"
	}
	if n := e.Edge.Resets; n > 0 {
		t += ", " + CountText(n) + plural(int(min(n, 2)), " reset")
	}
	if e.Others > 0 {
		t += " (and " + CountText(int64(e.Others)) + " more" + plural(e.Others, " port") + ")"
	}
	return t
}

// drawLabel writes the rate and the p99 on a line.
func (d *drawing) drawLabel(l *wire, p point) edgeLabel {
	first, second := d.labelOf(l)
	v := edgeLabel{Plate: box(p.x-labelWidth/2, p.y-labelHeight/2, labelWidth, labelHeight, "plate", ""), X: px(p.x), Y1: px(p.y - 3), Y2: px(p.y + 10),
		First: first, Second: second, From: l.from, To: l.to}
	if second == "" {
		v.Y1 = px(p.y + 4)
		v.Plate = box(p.x-labelWidth/2, p.y-labelHeight/4, labelWidth, labelHeight/2, "plate", "")
	}
	return v
}

// labelOf is what a line says: of several edges their rate together, and how many
// they are.
func (d *drawing) labelOf(l *wire) (first, second string) {
	if len(l.edges) > 1 {
		return rateText(d.rate(l)), CountText(int64(len(l.edges))) + " edges"
	}
	e := &d.Edges[l.edges[0]]
	first, second = e.labelLines()
	return strings.TrimSpace(looks[lookOf(&e.Edge)].mark + " " + first), second
}
