package analyze

import (
	"context"
	"fmt"

	"kmon/analyze/flame"
	"kmon/analyze/replay"
	"kmon/analyze/topology"
)

const (
	maxFunctions    = 50
	maxPaths        = 20
	maxFlames       = 40 // trees of single services, of each kind
	maxFlameNodes   = 3000
	maxServiceNodes = 500
	maxHeatMaps     = 16 // of single services
	flameShare      = 0.001
)

// addFlames adds what stacks tell: flame trees, the samples' heat maps, and
// the profile that a page draws from.
func (r *run) addFlames(ctx context.Context, a *Analysis) error {
	if !r.recordsStacks() {
		return nil
	}
	b, result, err := r.flames(ctx)
	if err != nil || r.inputOnly {
		return err
	}
	if r.options.windowed {
		a.Profile = r.wholeProfile(result)
		return nil
	}
	a.Flames = []FlameTree{}
	for _, kind := range []flame.Kind{flame.OnCPU, flame.OffCPU} {
		if result.Rows[kind] == 0 {
			continue
		}
		a.Flames = append(a.Flames, flameTree(result, kind, "", maxFlameNodes))
		for _, service := range result.Services(kind, maxFlames) {
			a.Flames = append(a.Flames, flameTree(result, kind, service, maxServiceNodes))
		}
	}
	for _, h := range result.Heats {
		a.HeatMaps = append(a.HeatMaps, onCPUMap(h))
	}
	if result.Rows == [2]int64{} {
		return nil
	}
	p, err := b.Profile(ctx, r.captures, result, flame.PageBudget)
	if err != nil {
		return fmt.Errorf("reading stacks: %w", err)
	}
	a.Profile = profileOf(p.Tree, result)
	a.Profile.StartNs, a.Profile.BucketNs = p.StartNs, p.BucketNs
	a.Profile.OnCPU, a.Profile.OffCPU = p.Cells[flame.OnCPU], p.Cells[flame.OffCPU]
	a.Profile.Detail, a.Profile.DetailNs = p.Detail, p.DetailNs
	a.Profile.OtherOnCPU, a.Profile.OtherOffCPU, a.Profile.OtherDetail = p.Other(a.Profile.OnCPU), p.Other(a.Profile.OffCPU), p.Other(p.Detail)
	return nil
}

// recordsStacks says whether any capture has the collector of stacks.
func (r *run) recordsStacks() bool {
	for _, c := range r.captures {
		if c.Has("oncpu") || c.Has("offcpu") || collector(c, "cpu") != nil {
			return true
		}
	}
	return false
}

// flameBuilder gives a Builder for the captures.
func (r *run) flameBuilder() *flame.Builder {
	return flame.New(flame.Options{
		FromNs: r.frame.FromNs, ToNs: r.frame.ToNs, StartNs: r.start, EndNs: r.end,
		Wanted: func(service string) bool { return r.wanted(service) },
		Party: func(c *replay.Capture, pid int32, ns int64) (int32, string) {
			i := r.party(c, pid, ns)
			return i, r.who.list[i].Service
		},
		Sampled: r.sampled,
	})
}

// flames adds up the stacks of all captures.
func (r *run) flames(ctx context.Context) (*flame.Builder, *flame.Result, error) {
	b := r.flameBuilder()
	for _, c := range r.captures {
		if err := b.Add(ctx, c); err != nil {
			return nil, nil, fmt.Errorf("reading stacks: %w", err)
		}
	}
	return b, b.Result(maxHeatMaps), nil
}

// flameTree makes a FlameTree with its lists.
func flameTree(r *flame.Result, kind flame.Kind, service string, nodes int) FlameTree {
	branch := r.Flame(kind, service, flame.Limits{Share: flameShare, Nodes: nodes})
	t := FlameTree{
		Kind: kind.String(), Service: service, Unit: kind.Unit(), NsPerUnit: 1,
		Total: branch.Value, Root: flameNode(branch), Functions: []FlameFunction{}, Paths: []FlamePath{},
	}
	if kind == flame.OnCPU {
		t.NsPerUnit = r.SampleNs
	}
	for _, f := range r.Functions(kind, service, maxFunctions) {
		t.Functions = append(t.Functions, FlameFunction{Name: f.Name, Module: f.Module, Kind: string(f.Kind),
			Approximate: f.Approximate, Self: f.Self, Total: f.Total})
	}
	for _, p := range r.Paths(kind, service, maxPaths) {
		path := FlamePath{Frames: []string{}, Value: p.Value}
		for _, f := range p.Frames {
			path.Frames = append(path.Frames, f.Name)
		}
		t.Paths = append(t.Paths, path)
	}
	return t
}

func flameNode(b flame.Branch) FlameNode {
	n := FlameNode{Name: b.Name, Module: b.Module, Kind: string(b.Kind), Approximate: b.Approximate, Value: b.Value}
	for _, child := range b.Children {
		n.Children = append(n.Children, flameNode(child))
	}
	return n
}

// onCPUMap makes a HeatMap of samples by offset within the second.
func onCPUMap(h flame.Heat) HeatMap {
	m := HeatMap{Kind: flame.OnCPU.String(), Subject: h.Service, StartNs: h.StartNs, ColumnNs: h.ColumnNs, Cells: []HeatCell{}}
	for row := range int64(flame.HeatRows + 1) {
		m.RowBounds = append(m.RowBounds, row*flame.HeatRowNs)
	}
	for _, c := range h.Cells {
		m.Cells = append(m.Cells, HeatCell(c))
	}
	return m
}

// profileOf makes a Profile without cells.
func profileOf(t *flame.Tree, r *flame.Result) *Profile {
	p := &Profile{SampleNs: r.SampleNs, IntervalNs: r.IntervalNs, Frames: []ProfileFrame{}, Nodes: []ProfileNode{}}
	for _, f := range t.Frames {
		p.Frames = append(p.Frames, ProfileFrame{Name: f.Name, Module: f.Module, Kind: string(f.Kind), Approximate: f.Approximate})
	}
	for _, n := range t.Nodes {
		p.Nodes = append(p.Nodes, ProfileNode(n))
	}
	return p
}

// Stacks gives every stack of the captures with what was added up for it: a
// Profile that is not pruned, in one bucket; and the damage found while reading.
// Of the options Since, Until and Services count.
func Stacks(ctx context.Context, paths []string, o Options) (p *Profile, problems []string, err error) {
	r, err := open(ctx, paths, o)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll(r.captures)
	r.topology = new(topology.Topology) // names of connections are not needed
	_, result, err := r.flames(ctx)
	if err != nil {
		return nil, nil, err
	}
	p = r.wholeProfile(result)
	for _, c := range r.captures {
		problems = append(problems, c.Problems()...)
	}
	return p, problems, nil
}

// wholeProfile gives every stack, in one bucket.
func (r *run) wholeProfile(result *flame.Result) *Profile {
	p := profileOf(result.Tree, result)
	p.StartNs, p.BucketNs = r.start, max(r.end-r.start, 1)
	p.OnCPU, p.OffCPU = selfCells(result.Self[flame.OnCPU]), selfCells(result.Self[flame.OffCPU])
	return p
}

// selfCells makes the cells of one bucket.
func selfCells(self []int64) []ProfileCell {
	list := []ProfileCell{}
	for node, v := range self {
		if v > 0 {
			list = append(list, ProfileCell{Node: int32(node), Value: v})
		}
	}
	return list
}
