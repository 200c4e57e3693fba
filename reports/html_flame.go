package reports

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
)

// Sizes of a flame graph that needs no script, in pixels.
const (
	flameWidth  = 1200.0
	flameRow    = 17.0
	flameLeast  = 2.5 // narrower frames are left out
	flameDepth  = 90  // deeper frames are left out
	flameTower  = 36  // likewise, if narrower than flameWide: towers that make a graph high
	flameWide   = 24.0
	flameFrames = 2500 // most frames of a graph
	flameGraphs = 6    // most graphs
)

// flamePart is the section of stacks: the drawings that need no script, and
// the data of those that do.
type flamePart struct {
	Graphs  []flameView
	Heats   []heatView
	NoHeats string // what was left out
	Live    bool
	Note    string // what the data gave up
	profile string // packed; "" when there is none
	heats   string
}

// newFlamePart draws and packs the stacks and heat maps of a.
func newFlamePart(a *analyze.Analysis) (part flamePart, err error) {
	part.Graphs = flames(a)
	var more int
	if part.Heats, more = heats(a); more > 0 {
		part.NoHeats = "And " + CountText(int64(more)) + " more" + plural(more, " heat map") + ": see the json report."
	}
	if p := a.Profile; p != nil && len(p.OnCPU)+len(p.OffCPU) > 0 {
		if part.profile, err = packProfile(p); err != nil {
			return part, err
		}
		part.Live = true
		part.Note = otherNote(p)
		part.heats, err = packHeats(a)
	}
	return part, err
}

// otherNote says what of the stacks rare paths were added up to, to keep the
// page small; "" when nothing was.
func otherNote(p *analyze.Profile) string {
	parts := []string{}
	add := func(share float64, of string) {
		if share > 0 {
			parts = append(parts, percentText(share)+" of "+of)
		}
	}
	if p.DetailNs > 0 {
		add(p.OtherDetail, "the samples on the CPU")
		add(p.OtherOnCPU, "those in moments within "+roundText(p.DetailNs)+", so pick whole columns for more")
	} else {
		add(p.OtherOnCPU, "the samples on the CPU")
	}
	add(p.OtherOffCPU, "the time off the CPU")
	if len(parts) == 0 {
		return ""
	}
	return "To keep the page small, paths that are rare in the whole recording end in “(other)”: " + strings.Join(parts, "; ") +
		". The lists of functions and paths, and kmon export, have all of them."
}

// flameView is a flame graph, the root on top.
type flameView struct {
	ID, Title, Caption string
	Width, Height      string
	Frames             []flameFrame
}

// flameFrame is one frame; Label is "" where it would not fit.
type flameFrame struct {
	Box    rect
	TX, TY string
	Label  string
}

// flames draws the trees: those of all services first, time on the CPU before
// time off it, then the largest.
func flames(a *analyze.Analysis) []flameView {
	trees := slices.Clone(a.Flames)
	slices.SortStableFunc(trees, func(x, y analyze.FlameTree) int {
		return cmp.Or(cmp.Compare(min(1, len(x.Service)), min(1, len(y.Service))), cmp.Compare(y.Kind, x.Kind), cmp.Compare(treeNs(&y), treeNs(&x)))
	})
	if all := slices.IndexFunc(trees, func(t analyze.FlameTree) bool { return t.Service != "" }); all > 0 {
		trees = trees[:all]
	}
	views := []flameView{}
	for i := range trees {
		if len(views) < flameGraphs && trees[i].Total > 0 {
			views = append(views, drawFlame(&trees[i], len(views)))
		}
	}
	return views
}

// treeNs is the time of a tree.
func treeNs(t *analyze.FlameTree) int64 {
	return t.Total * max(1, t.NsPerUnit)
}

// flameText is an amount of a tree with its time.
func flameText(t *analyze.FlameTree, value int64) string {
	if t.Unit == "samples" {
		s := CountText(value) + plural(int(value), " sample")
		if t.NsPerUnit > 0 {
			s += ", about " + DurationText(value*t.NsPerUnit)
		}
		return s
	}
	return DurationText(value * max(1, t.NsPerUnit))
}

// flameDrawing is the state while drawing one graph.
type flameDrawing struct {
	flameView
	tree    *analyze.FlameTree
	deepest int
	left    int // frames not drawn
}

// flameSpan is a node and the part of the width it has.
type flameSpan struct {
	node  *analyze.FlameNode
	x, w  float64
	depth int
}

// drawFlame draws one tree, level by level.
func drawFlame(t *analyze.FlameTree, index int) flameView {
	d := flameDrawing{tree: t}
	subject := "all services"
	if t.Service != "" {
		subject = cut(visible(t.Service), nameHTML)
	}
	d.ID, d.Title = "flame-"+strconv.Itoa(index+1), kindTitle(t.Kind)+", "+subject
	level := []flameSpan{{&t.Root, 0, flameWidth, 0}}
	for len(level) > 0 {
		var next []flameSpan
		for _, s := range level {
			d.frame(s)
			next = append(next, d.below(s)...)
		}
		level = next
	}
	d.Width, d.Height = px(flameWidth), px(float64(d.deepest+1)*flameRow)
	d.Caption = flameText(t, t.Total) + ". A frame is as wide as its share; what it called stands below it."
	if d.left > 0 {
		d.Caption += " " + framesLeftOut(d.left)
	}
	return d.flameView
}

// framesLeftOut says how many frames a drawing lacks.
func framesLeftOut(n int) string {
	return CountText(int64(n)) + plural(n, " frame") + " too narrow or too deep to draw " + plainVerb(n) + " left out, with what they called."
}

// plainVerb agrees with n.
func plainVerb(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// kindTitle names the kind of a tree.
func kindTitle(kind string) string {
	switch kind {
	case "on-cpu":
		return "On-CPU time"
	case "off-cpu":
		return "Off-CPU time"
	}
	return visible(kind)
}

// frame draws one frame.
func (d *flameDrawing) frame(s flameSpan) {
	d.deepest = max(d.deepest, s.depth)
	name := cut(nameText(s.node.Name), frameHTML)
	title := name
	if s.node.Module != "" {
		title += " [" + cut(visible(s.node.Module), nameHTML) + "]"
	}
	if s.node.Approximate {
		title += " (nearest exported name)"
	}
	title += ": " + flameText(d.tree, s.node.Value) + ", " + percentText(float64(s.node.Value)/float64(d.tree.Total))
	y := float64(s.depth) * flameRow
	f := flameFrame{Box: box(s.x, y, max(0.5, s.w-0.5), flameRow-1, frameClass(s), title)}
	if room := int((s.w - 6) / 6.3); room >= 4 {
		f.TX, f.TY, f.Label = px(s.x+3), px(y+12), cut(name, room)
	}
	d.Frames = append(d.Frames, f)
}

// below gives the children that are wide enough to draw.
func (d *flameDrawing) below(s flameSpan) []flameSpan {
	var spans []flameSpan
	x := s.x
	for i := range s.node.Children {
		c := &s.node.Children[i]
		w := flameWidth * float64(max(0, c.Value)) / float64(d.tree.Total)
		w = math.Min(w, s.x+s.w-x) // a tree that does not add up stays in its place
		tower := s.depth+1 >= flameTower && w < flameWide
		if w < flameLeast || tower || s.depth+1 >= flameDepth || len(d.Frames)+len(spans) >= flameFrames {
			d.left++
		} else {
			spans = append(spans, flameSpan{c, x, w, s.depth + 1})
		}
		x += w
	}
	return spans
}

// frameClass is the colour of a frame: by its kind, and one of four shades by
// its name, so that neighbours differ and a function keeps its shade.
func frameClass(s flameSpan) string {
	if s.depth == 0 || s.node.Name == "(other)" {
		return "frame all" // grey: no function
	}
	kind := s.node.Kind
	if !slices.Contains(frameKinds, kind) || kind == "" {
		kind = "user"
	}
	h := fnv.New32a()
	h.Write([]byte(s.node.Name))
	return "frame " + kind + " s" + strconv.Itoa(int(h.Sum32()%4))
}
