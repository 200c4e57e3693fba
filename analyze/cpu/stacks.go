package cpu

import "kmon/format"

// Stacks tells what the stacks of one capture wait for. Only stacks and frames
// that a rule knows take memory.
type Stacks struct {
	frames map[int64]*rule // by frame id
	stacks map[int64]found // by stack id
	// What samples were at; see Busy.
	busyFrames, busy map[int64]Busy // by frame id, by stack id
}

// found is what the frames of a stack tell so far.
type found struct {
	rule  *rule
	depth int32
}

// NewStacks knows no stack.
func NewStacks() *Stacks {
	return &Stacks{frames: map[int64]*rule{}, stacks: map[int64]found{}, busyFrames: map[int64]Busy{}, busy: map[int64]Busy{}}
}

// AddFrames takes rows of table frames: all, before the stacks.
func (s *Stacks) AddFrames(rows []format.Frame) {
	for i := range rows {
		s.addBusyFrame(&rows[i])
		if r := ruleOf(&rows[i]); r != nil {
			s.frames[rows[i].FrameID] = r
		}
	}
}

// AddStacks takes rows of table stacks, in any order.
func (s *Stacks) AddStacks(rows []format.Stack) {
	for i := range rows {
		row := &rows[i]
		s.addBusyRow(row)
		r := s.frames[row.FrameID]
		if r == nil {
			continue
		}
		kept, ok := s.stacks[row.StackID]
		if !ok || r.over && !kept.rule.over || r.over == kept.rule.over && row.Depth < kept.depth {
			s.stacks[row.StackID] = found{r, row.Depth}
		}
	}
}

// Class gives what a wait in a state with a kernel and a user stack was for.
// The kernel's stack decides, but for a futex or an event loop the program's
// can tell more, and a runtime's monitor sleeps because it is idle.
func (s *Stacks) Class(state format.ThreadState, kernel, user int64) Class {
	if state == format.StateRunnable {
		return Preempted
	}
	class := s.stacks[kernel].class()
	if class == Futex || class == Poll {
		if told := s.stacks[user].class(); told != Other {
			return told
		}
	}
	if class == Sleep && s.stacks[user].class() == Idle {
		return Idle
	}
	return class
}

func (f found) class() Class {
	if f.rule == nil {
		return Other
	}
	return f.rule.class
}
