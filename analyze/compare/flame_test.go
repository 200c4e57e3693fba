package compare

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"kmon/analyze"
)

// stacks builds a profile from paths, callers first, with what ended in them.
type stacks struct {
	p     analyze.Profile
	nodes map[string]int32
}

func newStacks() *stacks {
	return &stacks{analyze.Profile{SampleNs: 10e6}, map[string]int32{}}
}

// path gives the node of a path: a service, then functions of user code.
func (s *stacks) path(names ...string) int32 {
	parent, key := int32(-1), ""
	for i, name := range names {
		key += "/" + name
		node, known := s.nodes[key]
		if !known {
			kind := "user"
			if i == 0 {
				kind = "service"
			}
			s.p.Frames = append(s.p.Frames, analyze.ProfileFrame{Name: name, Kind: kind, Module: "bin"})
			node = int32(len(s.p.Nodes))
			s.p.Nodes = append(s.p.Nodes, analyze.ProfileNode{Parent: parent, Frame: int32(len(s.p.Frames) - 1)})
			s.nodes[key] = node
		}
		parent = node
	}
	return parent
}

func (s *stacks) on(samples int64, names ...string) *stacks {
	s.p.OnCPU = append(s.p.OnCPU, analyze.ProfileCell{Node: s.path(names...), Value: samples})
	return s
}

func (s *stacks) off(ns int64, names ...string) *stacks {
	s.p.OffCPU = append(s.p.OffCPU, analyze.ProfileCell{Node: s.path(names...), Value: ns})
	return s
}

func (s *stacks) side(requests int64) FlameSide {
	return FlameSide{Profiles: []*analyze.Profile{&s.p}, Requests: map[string]int64{"cart": requests}, RecordedNs: 10e9}
}

// functionsText is the functions of a difference, readable.
func functionsText(f *FlameDifference) (lines []string) {
	for _, x := range f.Functions {
		lines = append(lines, fmt.Sprintf("%s %s self %.0f→%.0f total %.0f→%.0f", x.Name, x.State, x.BaseSelf, x.NewSelf, x.BaseTotal, x.NewTotal))
	}
	return lines
}

// Twice the requests at twice the samples is no difference; what one request
// takes is.
func TestFlamesPerRequest(t *testing.T) {
	base := newStacks().on(1000, "cart", "main", "price").on(3000, "cart", "main", "encode").on(500, "cart", "main", "old")
	new := newStacks().on(4000, "cart", "main", "price").on(6000, "cart", "main", "encode").on(1000, "cart", "main", "fresh")
	list := Flames(base.side(100), new.side(200))
	if len(list) != 1 {
		t.Fatalf("%d differences, want that of cart on the CPU: %+v", len(list), list)
	}
	f := list[0]
	if f.Kind != "on-cpu" || f.Service != "cart" || f.Per != "request" || f.Unit != "ns" || f.BaseSamples != 4500 || f.NewSamples != 11000 ||
		f.Base != 450e6 || f.New != 550e6 {
		t.Errorf("got %+v", f)
	}
	want := []string{
		"price changed self 100000000→200000000 total 100000000→200000000",
		"fresh new self 0→50000000 total 0→50000000",
		"old gone self 50000000→0 total 50000000→0",
	}
	if got := functionsText(&f); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	main := f.Root.Children[0]
	if main.Name != "main" || main.Base != 450e6 || main.New != 550e6 || len(main.Children) != 4 {
		t.Errorf("main: %+v", main)
	}
	if s := main.Children[1].State() + main.Children[2].State(); main.Children[1].Name != "fresh" || main.Children[2].Name != "old" || s != "newgone" {
		t.Errorf("children: %+v", main.Children)
	}
}

// Without requests it is by second, and with a side that has no such service it
// is nothing.
func TestFlamesPerSecond(t *testing.T) {
	base, new := newStacks().on(1000, "cart", "a").on(9, "web", "a"), newStacks().on(3000, "cart", "a")
	b, n := base.side(0), new.side(50)
	n.RecordedNs = 20e9
	list := Flames(b, n)
	if len(list) != 1 || list[0].Per != "second" || list[0].Base != 1e9 || list[0].New != 1.5e9 {
		t.Errorf("got %+v", list)
	}
	if list := Flames(FlameSide{}, n); len(list) != 0 {
		t.Errorf("against nothing: %+v", list)
	}
}

// A difference that sampling explains is counted, not listed: 60 and 90 samples
// are 30 apart, and that is less than four of their deviations, 49.
func TestFlamesAreSure(t *testing.T) {
	base, new := newStacks().on(60, "cart", "few").on(1000, "cart", "many"), newStacks().on(90, "cart", "few").on(1000, "cart", "many")
	f := Flames(base.side(100), new.side(100))[0]
	if len(f.Functions) != 0 || f.Unsure != 1 {
		t.Errorf("got %q, %d unsure; want none listed and one unsure", functionsText(&f), f.Unsure)
	}
	base, new = newStacks().on(6000, "cart", "few"), newStacks().on(9000, "cart", "few")
	if f := Flames(base.side(100), new.side(100))[0]; len(f.Functions) != 1 || f.Unsure != 0 {
		t.Errorf("of a hundred times the samples: got %q, %d unsure", functionsText(&f), f.Unsure)
	}
}

// Builds differ in paths of files and in offsets; functions stay the same.
func TestFlamesOfTwoBuilds(t *testing.T) {
	base, new := newStacks().on(1000, "cart", "main", "(no symbol) cart+0x1f0"), newStacks().on(1000, "cart", "main", "(no symbol) cart+0x2c4")
	for i := range new.p.Frames {
		new.p.Frames[i].Module = "/srv/v2/cart"
	}
	f := Flames(base.side(10), new.side(10))[0]
	if len(f.Functions) != 0 {
		t.Errorf("got %q, want nothing", functionsText(&f))
	}
	if leaf := f.Root.Children[0].Children[0]; leaf.Name != "(no symbol) cart" || leaf.Module != "/srv/v2/cart" {
		t.Errorf("leaf %+v", leaf)
	}
}

// Several runs of a side add up; recursion counts once a path; a tree adds up
// whatever was pruned.
func TestFlamesAddUp(t *testing.T) {
	one := newStacks().on(100, "cart", "f", "f", "g")
	for i := range 3000 {
		one.on(int64(1+i%7), "cart", "f", fmt.Sprintf("leaf%04d", i))
	}
	two := newStacks().on(300, "cart", "f", "f", "g")
	base := one.side(100)
	base.Profiles = append(base.Profiles, &two.p)
	f := Flames(base, one.side(100))[0]
	nodes := 0
	var walk func(n *FlameNode)
	walk = func(n *FlameNode) {
		nodes++
		base, new := 0.0, 0.0
		for i := range n.Children {
			walk(&n.Children[i])
			base, new = base+n.Children[i].Base, new+n.Children[i].New
		}
		if len(n.Children) > 0 && n.Name != "f" && (math.Abs(base-n.Base) > 1 || math.Abs(new-n.New) > 1) {
			t.Errorf("%s: %f and %f, its children %f and %f", n.Name, n.Base, n.New, base, new)
		}
	}
	walk(&f.Root)
	if nodes > maxFlameNodes*2 {
		t.Errorf("%d nodes", nodes)
	}
	if x := f.Functions[0]; x.Name != "g" || x.BaseSelf != 40e6 || x.NewSelf != 10e6 {
		t.Errorf("g: %+v", x)
	}
}

// Off the CPU the state is a frame, and there are no samples to be unsure of.
func TestFlamesOffCPU(t *testing.T) {
	base, new := newStacks().off(1e9, "cart", "disk wait (D)", "read"), newStacks().off(3e9, "cart", "disk wait (D)", "read")
	list := Flames(base.side(10), new.side(10))
	if len(list) != 1 || list[0].Kind != "off-cpu" || list[0].New != 3e8 || len(list[0].Functions) != 1 {
		t.Errorf("got %+v", list)
	}
}
