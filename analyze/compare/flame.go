package compare

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kmon/analyze"
)

// Bounds of the difference of flame graphs.
const (
	maxFlames         = 12    // services of a kind, those that differ most
	maxFlameNodes     = 400   // of a tree; smaller ones are added up
	flameNodeShare    = 0.001 // of the larger side; smaller nodes are added up
	maxFlameFunctions = 20    // of a service
	flameFunctionSee  = 0.005 // of the larger side: smaller differences on the CPU are not listed
	flameWaitSee      = 0.05  // likewise off the CPU, where nobody knows how much is chance
	// flameSigmas is how many standard deviations of sampling a function must
	// differ by to be listed: with some thousand functions looked at, three
	// would list a few that are chance.
	flameSigmas = 4
)

// otherFrame is the name of what was added up.
const otherFrame = "(other)"

// FlameSide is the stacks of one side of a comparison.
type FlameSide struct {
	// Profiles are the stacks, one of each capture or run, as analyze.Stacks
	// gives them.
	Profiles []*analyze.Profile
	// Requests counts what each service served meanwhile; a service that is
	// absent or 0 has none that could be counted.
	Requests map[string]int64
	// RecordedNs is how much time the profiles are of, together.
	RecordedNs int64
}

// flameSums gathers the stacks of a side, recording by recording. Those without
// any are left out, with what was asked of them.
type flameSums struct {
	FlameSide
	lossy bool // too few of the requests are known to divide by
}

// add adds a recording.
func (f *flameSums) add(a *analyze.Analysis) {
	if a.Profile == nil {
		return
	}
	if f.Requests == nil {
		f.Requests = map[string]int64{}
	}
	f.Profiles = append(f.Profiles, a.Profile)
	f.RecordedNs += a.RecordedNs()
	for i := range a.Captures {
		for _, t := range a.Captures[i].Coverage {
			f.lossy = f.lossy || t.Table == "exchanges" && t.Ratio < minCoverage
		}
	}
	for i := range a.Services {
		f.Requests[a.Services[i].Name] += a.Services[i].Requests
	}
}

// flameDifferences compares the sides, of these services (none: of all); nil
// when one of them has no stacks.
func flameDifferences(base, new *flameSums, services []string) []FlameDifference {
	if base.Profiles == nil || new.Profiles == nil {
		return nil
	}
	if base.lossy || new.lossy {
		base.Requests, new.Requests = nil, nil
	}
	return slices.DeleteFunc(Flames(base.FlameSide, new.FlameSide), func(f FlameDifference) bool {
		return len(services) > 0 && !slices.Contains(services, f.Service)
	})
}

// FlameDifference is how the time of one service differs, by call path: of both sides
// what one request took, or one second, so that sides of different length and
// load can be compared.
type FlameDifference struct {
	Kind    string `json:"kind"` // on-cpu, off-cpu
	Service string `json:"service"`
	Per     string `json:"per"`  // request (served by the service), second
	Unit    string `json:"unit"` // ns, or samples where nobody knows what a sample stands for
	// BaseSamples and NewSamples were taken, on the CPU; off it both are 0.
	BaseSamples int64 `json:"base_samples"`
	NewSamples  int64 `json:"new_samples"`
	// Base and New are the whole, in units per Per.
	Base float64 `json:"base"`
	New  float64 `json:"new"`
	// Functions are those whose own time differs most, the largest difference
	// first, at most 20. On the CPU they differ by more than sampling explains.
	Functions []FlameFunction `json:"functions"`
	// Unsure is how many functions differ that much, but by no more than
	// sampling explains.
	Unsure int       `json:"unsure"`
	Root   FlameNode `json:"root"`
}

// FlameFunction is a function over all its paths, in units per FlameDifference.Per.
type FlameFunction struct {
	Name        string  `json:"name"`
	Module      string  `json:"module,omitempty"` // on the new side, if it is there
	Kind        string  `json:"kind,omitempty"`   // kernel, user
	Approximate bool    `json:"approximate,omitempty"`
	State       string  `json:"state"`      // changed, new, gone
	BaseSelf    float64 `json:"base_self"`  // it was the leaf
	NewSelf     float64 `json:"new_self"`   //
	BaseTotal   float64 `json:"base_total"` // it was on the path, counted once a path
	NewTotal    float64 `json:"new_total"`
}

// FlameNode is a frame on a call path, in units per FlameDifference.Per. Its values hold
// its children's. Of Base and New one may be 0: the frame is new or gone.
type FlameNode struct {
	Name        string      `json:"name"`
	Module      string      `json:"module,omitempty"`
	Kind        string      `json:"kind,omitempty"` // service, state (of a wait), user, kernel
	Approximate bool        `json:"approximate,omitempty"`
	Base        float64     `json:"base"`
	New         float64     `json:"new"`
	Children    []FlameNode `json:"children,omitempty"` // sorted by name, "(other)" last
}

// State says whether a frame is new, gone or changed.
func (n *FlameNode) State() string { return flameState(n.Base, n.New) }

func flameState(base, new float64) string {
	switch {
	case base == 0 && new > 0:
		return "new"
	case new == 0 && base > 0:
		return "gone"
	}
	return "changed"
}

// Sides of a comparison, as indexes.
const (
	baseSide = iota
	newSide
)

// Flames compares the stacks of two sides, for each service that both have:
// on the CPU first, then those that differ most. Frames are the same when their
// functions have the same name at the same place, whatever file they are in: a
// build has another path than the one before it.
func Flames(base, new FlameSide) []FlameDifference {
	m := newMerge()
	for side, s := range []FlameSide{baseSide: base, newSide: new} {
		for _, p := range s.Profiles {
			m.add(side, p)
		}
	}
	m.total()
	list := []FlameDifference{}
	for kind, name := range flameKinds {
		of := []FlameDifference{}
		for _, root := range m.children[0] {
			if f, ok := m.flame(kind, name, root, base, new); ok {
				of = append(of, f)
			}
		}
		slices.SortStableFunc(of, func(a, b FlameDifference) int {
			return cmp.Or(cmp.Compare(math.Abs(b.New-b.Base), math.Abs(a.New-a.Base)), cmp.Compare(a.Service, b.Service))
		})
		list = append(list, of[:min(len(of), maxFlames)]...)
	}
	return list
}

// flameKinds are the kinds of trees, by index.
var flameKinds = [2]string{"on-cpu", "off-cpu"}

// merge is the call paths of both sides in one tree.
type merge struct {
	frames []analyze.ProfileFrame
	byName map[frameKey]int32
	nodes  []analyze.ProfileNode // the first is above all roots
	places map[analyze.ProfileNode]int32
	// By node: what ended in it, and what did with all that it called.
	self, totals [len(flameKinds)][2][]float64
	samples      [2][]int64 // on the CPU, ended in it
	inSamples    bool       // nobody knows what a sample stands for
	children     [][]int32
}

// frameKey is what makes frames of two builds the same.
type frameKey struct{ name, kind string }

func newMerge() *merge {
	return &merge{byName: map[frameKey]int32{}, places: map[analyze.ProfileNode]int32{},
		nodes: []analyze.ProfileNode{{Parent: -1, Frame: -1}}}
}

// add adds the profile of one capture or run.
func (m *merge) add(side int, p *analyze.Profile) {
	frames := make([]int32, len(p.Frames))
	for i, f := range p.Frames {
		frames[i] = m.frame(f, side)
	}
	nodes := make([]int32, len(p.Nodes))
	for i, n := range p.Nodes {
		parent := int32(0)
		if n.Parent >= 0 {
			parent = nodes[n.Parent]
		}
		nodes[i] = m.node(analyze.ProfileNode{Parent: parent, Frame: frames[n.Frame]})
	}
	m.grow()
	for _, c := range p.OnCPU {
		m.self[0][side][nodes[c.Node]] += float64(c.Value) * float64(max(p.SampleNs, 1))
		m.samples[side][nodes[c.Node]] += c.Value
	}
	m.inSamples = m.inSamples || len(p.OnCPU) > 0 && p.SampleNs == 0
	for _, c := range p.OffCPU {
		m.self[1][side][nodes[c.Node]] += float64(c.Value)
	}
}

// grow makes room for the values of all nodes.
func (m *merge) grow() {
	for side := range m.samples {
		for kind := range m.self {
			s := &m.self[kind][side]
			*s = append(*s, make([]float64, len(m.nodes)-len(*s))...)
		}
		m.samples[side] = append(m.samples[side], make([]int64, len(m.nodes)-len(m.samples[side]))...)
	}
}

// frame gives the index of a frame. A place without a symbol is one by its
// file: its offset is another in every build.
func (m *merge) frame(f analyze.ProfileFrame, side int) int32 {
	if at := strings.LastIndex(f.Name, "+0x"); at > 0 && strings.HasPrefix(f.Name, "(no symbol)") {
		f.Name = f.Name[:at]
	}
	key := frameKey{f.Name, f.Kind}
	i, known := m.byName[key]
	if !known {
		i = int32(len(m.frames))
		m.byName[key] = i
		m.frames = append(m.frames, f)
	} else if side == newSide {
		m.frames[i] = f // where it is now
	}
	return i
}

func (m *merge) node(n analyze.ProfileNode) int32 {
	i, known := m.places[n]
	if !known {
		i = int32(len(m.nodes))
		m.places[n] = i
		m.nodes = append(m.nodes, n)
	}
	return i
}

// total adds up what each node and all it called have, and lists children.
func (m *merge) total() {
	m.grow()
	for kind := range m.self {
		for side := range m.self[kind] {
			t := slices.Clone(m.self[kind][side])
			for i := len(t) - 1; i > 0; i-- {
				t[m.nodes[i].Parent] += t[i]
			}
			m.totals[kind][side] = t
		}
	}
	m.children = make([][]int32, len(m.nodes))
	for i, n := range m.nodes {
		if n.Parent >= 0 {
			m.children[n.Parent] = append(m.children[n.Parent], int32(i))
		}
	}
}

// view is one kind of time of one service, with what its sides are divided by.
type view struct {
	*merge
	kind  int
	per   [2]float64
	least float64 // smaller nodes are added up
}

// flame compares one service; not ok when one of the sides has nothing of it.
func (m *merge) flame(kind int, name string, root int32, base, new FlameSide) (FlameDifference, bool) {
	service := m.frames[m.nodes[root].Frame].Name
	f := FlameDifference{Kind: name, Service: service, Per: "request", Unit: "ns", Functions: []FlameFunction{}}
	v := view{merge: m, kind: kind, per: [2]float64{float64(base.Requests[service]), float64(new.Requests[service])}}
	if v.per[baseSide] <= 0 || v.per[newSide] <= 0 {
		f.Per = "second"
		v.per = [2]float64{float64(base.RecordedNs) / 1e9, float64(new.RecordedNs) / 1e9}
	}
	f.Base, f.New = v.value(m.totals[kind], root)
	if f.Base <= 0 || f.New <= 0 || v.per[baseSide] <= 0 || v.per[newSide] <= 0 {
		return f, false
	}
	if kind == 0 {
		f.BaseSamples, f.NewSamples = m.samplesBelow(root)
		if m.inSamples {
			f.Unit = "samples"
		}
	}
	f.Functions, f.Unsure = v.functions(root, max(f.Base, f.New))
	v.least = v.leastOf(root, max(f.Base, f.New))
	f.Root = v.branch(root)
	return f, true
}

// value divides what a node has.
func (v *view) value(of [2][]float64, node int32) (base, new float64) {
	return of[baseSide][node] / v.per[baseSide], of[newSide][node] / v.per[newSide]
}

// samplesBelow counts the samples of a node and all it called.
func (m *merge) samplesBelow(node int32) (base, new int64) {
	base, new = m.samples[baseSide][node], m.samples[newSide][node]
	for _, child := range m.children[node] {
		b, n := m.samplesBelow(child)
		base, new = base+b, new+n
	}
	return base, new
}

// sum is what one function adds up to.
type sum struct {
	self, total [2]float64
	samples     [2]int64
	onPath      int
}

// functions lists those that differ most, and counts those that may do so by
// chance.
func (v *view) functions(root int32, whole float64) ([]FlameFunction, int) {
	sums := map[int32]*sum{}
	v.walk(root, sums)
	list, unsure, see := []FlameFunction{}, 0, flameFunctionSee
	if v.kind != 0 {
		see = flameWaitSee
	}
	for frame, s := range sums {
		f := v.frames[frame]
		if f.Kind != "user" && f.Kind != "kernel" || math.Abs(s.self[newSide]-s.self[baseSide]) < see*whole {
			continue
		}
		if v.kind == 0 && !v.sure(s) {
			unsure++
			continue
		}
		list = append(list, FlameFunction{Name: f.Name, Module: f.Module, Kind: f.Kind, Approximate: f.Approximate,
			State:    flameState(s.total[baseSide], s.total[newSide]),
			BaseSelf: s.self[baseSide], NewSelf: s.self[newSide], BaseTotal: s.total[baseSide], NewTotal: s.total[newSide]})
	}
	slices.SortFunc(list, func(a, b FlameFunction) int {
		return cmp.Or(cmp.Compare(math.Abs(b.NewSelf-b.BaseSelf), math.Abs(a.NewSelf-a.BaseSelf)),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return list[:min(len(list), maxFlameFunctions)], unsure
}

// walk adds up the functions below a node.
func (v *view) walk(node int32, sums map[int32]*sum) {
	frame := v.nodes[node].Frame
	s := sums[frame]
	if s == nil {
		s = new(sum)
		sums[frame] = s
	}
	for side := range s.self {
		s.self[side] += v.self[v.kind][side][node] / v.per[side]
		s.samples[side] += v.samples[side][node]
		if s.onPath == 0 {
			s.total[side] += v.totals[v.kind][side][node] / v.per[side]
		}
	}
	s.onPath++
	for _, child := range v.children[node] {
		v.walk(child, sums)
	}
	s.onPath--
}

// sure says whether two counts of samples, each divided, differ by more than
// chance: samples come at random, so a count varies by its square root.
func (v *view) sure(s *sum) bool {
	rate, variance := [2]float64{}, 0.0
	for side, n := range s.samples {
		rate[side] = float64(n) / v.per[side]
		variance += float64(max(n, 1)) / (v.per[side] * v.per[side])
	}
	return math.Abs(rate[newSide]-rate[baseSide]) >= flameSigmas*math.Sqrt(variance)
}

// leastOf gives the smallest value that a node of its own has.
func (v *view) leastOf(root int32, whole float64) float64 {
	least := flameNodeShare * whole
	var kept []float64
	var walk func(node int32)
	walk = func(node int32) {
		for _, child := range v.children[node] {
			if x := max(v.value(v.totals[v.kind], child)); x >= least {
				kept = append(kept, x)
				walk(child)
			}
		}
	}
	walk(root)
	if len(kept) <= maxFlameNodes {
		return least
	}
	slices.Sort(kept)
	return math.Nextafter(kept[len(kept)-maxFlameNodes-1], math.Inf(1))
}

// branch gives a node with what is below it.
func (v *view) branch(node int32) FlameNode {
	f := v.frames[v.nodes[node].Frame]
	n := FlameNode{Name: f.Name, Module: f.Module, Kind: f.Kind, Approximate: f.Approximate}
	n.Base, n.New = v.value(v.totals[v.kind], node)
	other := FlameNode{Name: otherFrame}
	for _, child := range v.children[node] {
		base, new := v.value(v.totals[v.kind], child)
		switch {
		case base == 0 && new == 0:
		case max(base, new) < v.least || v.frames[v.nodes[child].Frame].Name == otherFrame:
			other.Base, other.New = other.Base+base, other.New+new
		default:
			n.Children = append(n.Children, v.branch(child))
		}
	}
	slices.SortFunc(n.Children, func(a, b FlameNode) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	if other.Base > 0 || other.New > 0 {
		n.Children = append(n.Children, other)
	}
	return n
}
