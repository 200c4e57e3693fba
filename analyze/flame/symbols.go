package flame

import (
	"fmt"
	"path"
	"strings"

	"kmon/analyze/replay"
	"kmon/format"
)

// Names of what is not known.
const (
	notRecorded = "(stack not recorded)"
	noSymbol    = "(no symbol)"
)

// Values of a stack id that are no stack.
const (
	stackNone     = 0  // there is none to record
	stackNotTaken = -1 // it could not be taken
)

// symbols has the stacks of one capture as frames of a tree.
type symbols struct {
	tree   *Tree
	frames map[int64]int32 // frame id → frame
	spans  map[int64]span  // stack id → its frames in list
	list   []int32         // frames, leaf first

	open int64 // the stack being read
	skip bool  // it stands in the capture twice, or is too much
}

// span is a part of symbols.list.
type span struct{ from, to int32 }

// readSymbols reads the tables frames and stacks of a capture.
func readSymbols(c *replay.Capture, tree *Tree) (*symbols, error) {
	s := &symbols{tree: tree, frames: map[int64]int32{}, spans: map[int64]span{}}
	if err := replay.Rows(c, "frames", s.addFrames); err != nil {
		return nil, err
	}
	if err := replay.Rows(c, "stacks", s.addStacks); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *symbols) addFrames(rows []format.Frame) error {
	for i := range rows {
		row := &rows[i]
		if _, known := s.frames[row.FrameID]; known || len(s.frames) >= maxFrames {
			continue
		}
		s.frames[row.FrameID] = s.intern(frameOf(row))
	}
	return nil
}

// intern is Tree.frame for texts that belong to a row: a new frame gets texts
// of its own, since a row's may hold a whole page alive.
func (s *symbols) intern(f Frame) int32 {
	if i, known := s.tree.frames[f]; known {
		return i
	}
	f.Name, f.Module = strings.Clone(f.Name), strings.Clone(f.Module)
	return s.tree.frame(f)
}

// frameOf names a place in code by its function, else by module and offset.
// Places that only one process has, in anonymous memory or in no module at all,
// are one by module: their addresses say nothing, and would tear the tree up.
func frameOf(row *format.Frame) Frame {
	f := Frame{Name: row.Symbol, Module: row.Module, Kind: KindUser}
	if row.Kind == format.FrameKernel {
		f.Kind = KindKernel
	}
	switch {
	case f.Name != "":
		f.Approximate = row.Source == format.SymbolDynamic
	case row.Module == "":
		f.Name = noSymbol
	case strings.HasPrefix(row.Module, "[") || row.Offset < 0: // no place in the file
		f.Name = noSymbol + " " + path.Base(row.Module)
	default:
		f.Name = fmt.Sprintf("%s %s+0x%x", noSymbol, path.Base(row.Module), row.Offset)
	}
	return f
}

// addStacks adds rows; a stack's stand together, the leaf first.
func (s *symbols) addStacks(rows []format.Stack) error {
	for i := range rows {
		row := &rows[i]
		if row.StackID != s.open || row.Depth == 0 {
			s.begin(row.StackID)
		}
		sp := s.spans[row.StackID]
		if s.skip || sp.to-sp.from >= maxDepth {
			continue
		}
		frame, known := s.frames[row.FrameID]
		if !known {
			frame = s.tree.frame(Frame{Name: noSymbol})
		}
		s.list = append(s.list, frame)
		sp.to++
		s.spans[row.StackID] = sp
	}
	return nil
}

// begin opens a stack.
func (s *symbols) begin(id int64) {
	_, known := s.spans[id]
	s.open = id
	s.skip = known || id == stackNone || id == stackNotTaken || len(s.spans) >= maxStacks || len(s.list) >= maxStackFrames
	if !s.skip {
		s.spans[id] = span{int32(len(s.list)), int32(len(s.list))}
	}
}

// walk gives the node of a stack's leaf below node.
func (s *symbols) walk(node int32, stack int64, kind FrameKind) int32 {
	if stack == stackNone {
		return node
	}
	sp, known := s.spans[stack]
	if !known {
		return s.tree.child(node, s.tree.frame(Frame{Name: notRecorded, Kind: kind}))
	}
	for i := sp.to - 1; i >= sp.from; i-- {
		node = s.tree.child(node, s.list[i])
	}
	return node
}
