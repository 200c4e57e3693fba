package export

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"kmon/analyze"
)

// Kind is what of a profile is written.
type Kind string

// The kinds.
const (
	OnCPU  Kind = "on-cpu"  // samples of what ran
	OffCPU Kind = "off-cpu" // nanoseconds waited
)

// Cells gives the cells of a kind.
func (k Kind) Cells(p *analyze.Profile) []analyze.ProfileCell {
	if k == OffCPU {
		return p.OffCPU
	}
	return p.OnCPU
}

// stack is a path with what ended in it.
type stack struct {
	frames []int32 // from the root
	value  int64
}

// stacksOf gives the paths of a kind, in the order of their texts.
func stacksOf(p *analyze.Profile, kind Kind) []stack {
	sums := map[int32]int64{}
	for _, c := range kind.Cells(p) {
		sums[c.Node] += c.Value
	}
	list := make([]stack, 0, len(sums))
	for node, value := range sums {
		list = append(list, stack{framesOf(p, node), value})
	}
	slices.SortFunc(list, func(a, b stack) int {
		return slices.CompareFunc(a.frames, b.frames, func(x, y int32) int {
			if c := strings.Compare(p.Frames[x].Name, p.Frames[y].Name); c != 0 {
				return c
			}
			return int(x - y)
		})
	})
	return list
}

// framesOf gives the frames from the root to a node.
func framesOf(p *analyze.Profile, node int32) []int32 {
	var frames []int32
	for ; node >= 0; node = p.Nodes[node].Parent {
		frames = append(frames, p.Nodes[node].Frame)
	}
	slices.Reverse(frames)
	return frames
}

// Folded writes a line "service;frame;frame value" for each path, sorted.
func Folded(w io.Writer, p *analyze.Profile, kind Kind) error {
	sums := map[string]int64{}
	for _, s := range stacksOf(p, kind) {
		names := make([]string, len(s.frames))
		for i, f := range s.frames {
			names[i] = p.Frames[f].Name
		}
		sums[analyze.FoldedPath(names)] += s.value
	}
	lines := make([]string, 0, len(sums))
	for path := range sums {
		lines = append(lines, path)
	}
	slices.Sort(lines)
	out := bufio.NewWriter(w)
	for _, path := range lines {
		fmt.Fprintf(out, "%s %d\n", path, sums[path])
	}
	return out.Flush()
}
