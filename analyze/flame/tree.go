package flame

import (
	"hash/maphash"
	"slices"
)

// FrameKind says what a frame is.
type FrameKind string

// The kinds of frames.
const (
	KindService FrameKind = "service"
	KindState   FrameKind = "state" // what a thread off the CPU waited for
	KindUser    FrameKind = "user"
	KindKernel  FrameKind = "kernel"
	KindOther   FrameKind = "" // stands for frames that were pruned
)

// OtherName is the name of the frame that stands for pruned ones.
const OtherName = "(other)"

// Frame is a name on a call path. Equal frames are one function.
type Frame struct {
	Name        string
	Module      string // path of the file, or kernel, bpf or a module's name; "": not known
	Kind        FrameKind
	Approximate bool // the nearest exported name of a stripped file
}

var otherFrame = Frame{Name: OtherName, Kind: KindOther}

// NoNode is the parent of roots.
const NoNode = int32(-1)

// Node is a call path: Frame, an index in Tree.Frames, called by Parent, an
// earlier node or NoNode.
type Node struct{ Parent, Frame int32 }

// Tree is call paths from the root. A parent stands before its children.
type Tree struct {
	Frames []Frame
	Nodes  []Node

	frames map[Frame]int32
	places []int32 // nodes and 1 by their hash, 0 where there is none; a power of two
	seed   maphash.Seed
	limit  int // of nodes
}

func newTree() *Tree {
	return &Tree{frames: map[Frame]int32{}, places: make([]int32, 1024), seed: maphash.MakeSeed(), limit: maxNodes}
}

// place gives where in places a node stands or would stand.
func (t *Tree) place(n Node) int {
	last := len(t.places) - 1
	i := int(maphash.Comparable(t.seed, n)) & last
	for t.places[i] != 0 && t.Nodes[t.places[i]-1] != n {
		i = (i + 1) & last
	}
	return i
}

// find gives a node, if the tree has it.
func (t *Tree) find(n Node) (node int32, known bool) {
	node = t.places[t.place(n)] - 1
	return node, node >= 0
}

// frame gives the index of f.
func (t *Tree) frame(f Frame) int32 {
	i, ok := t.frames[f]
	if !ok {
		i = int32(len(t.Frames))
		t.Frames = append(t.Frames, f)
		t.frames[f] = i
	}
	return i
}

// child gives the node of a frame below parent. Where the tree is full that is
// parent's "(other)".
func (t *Tree) child(parent, frame int32) int32 {
	node, ok := t.find(Node{parent, frame})
	if ok {
		return node
	}
	if len(t.Nodes) >= t.limit {
		return t.other(parent)
	}
	return t.add(Node{parent, frame})
}

// other gives the "(other)" below parent; that of an "(other)" is itself.
func (t *Tree) other(parent int32) int32 {
	frame := t.frame(otherFrame)
	if parent != NoNode && t.Nodes[parent].Frame == frame {
		return parent
	}
	if node, ok := t.find(Node{parent, frame}); ok {
		return node
	}
	return t.add(Node{parent, frame})
}

// add adds a node that the tree does not have.
func (t *Tree) add(n Node) int32 {
	t.Nodes = append(t.Nodes, n)
	if 3*len(t.places) < 4*len(t.Nodes) {
		t.places = make([]int32, 2*len(t.places))
		for i, old := range t.Nodes {
			t.places[t.place(old)] = int32(i) + 1
		}
	} else {
		t.places[t.place(n)] = int32(len(t.Nodes))
	}
	return int32(len(t.Nodes)) - 1
}

// Path gives the frames from the root to a node.
func (t *Tree) Path(node int32) []int32 {
	depth := 0
	for n := node; n != NoNode; n = t.Nodes[n].Parent {
		depth++
	}
	path := make([]int32, depth)
	for n := node; n != NoNode; n = t.Nodes[n].Parent {
		depth--
		path[depth] = t.Nodes[n].Frame
	}
	return path
}

// totals gives what each node and all it called add up to, of what ended in
// each.
func (t *Tree) totals(self []int64) []int64 {
	totals := append([]int64(nil), self...)
	for i := len(t.Nodes) - 1; i >= 0; i-- {
		if parent := t.Nodes[i].Parent; parent != NoNode {
			totals[parent] += totals[i]
		}
	}
	return totals
}

// family is the children of all nodes.
type family struct {
	starts []int32 // node → index in list of its first child; one more: the roots
	list   []int32
}

// below gives the children of the tree's nodes, in the order of nodes.
func (t *Tree) below() family {
	n := len(t.Nodes)
	f := family{starts: make([]int32, n+2), list: make([]int32, n)}
	for _, node := range t.Nodes {
		f.starts[f.place(node.Parent)+1]++
	}
	for i := range n + 1 {
		f.starts[i+1] += f.starts[i]
	}
	next := slices.Clone(f.starts)
	for i, node := range t.Nodes {
		p := f.place(node.Parent)
		f.list[next[p]] = int32(i)
		next[p]++
	}
	return f
}

// place gives the index of a node in starts; NoNode's is the last.
func (f family) place(node int32) int {
	if node == NoNode {
		return len(f.starts) - 2
	}
	return int(node)
}

// of gives the children of a node, or the roots.
func (f family) of(node int32) []int32 {
	p := f.place(node)
	return f.list[f.starts[p]:f.starts[p+1]]
}
