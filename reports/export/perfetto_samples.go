package export

import "kmon/analyze"

// Sample writes a sample; its thread's name stands in the thread's track.
func (p *Perfetto) Sample(s *analyze.TimelineSample) error {
	if s.Thread.PID > 0 {
		if _, err := p.thread(&s.Thread); err != nil {
			return err
		}
	}
	stack, fresh := p.stacks.of(s)
	p.Events++
	return p.write(func(m *message) {
		m.integer(packetTimestamp, uint64(max(s.TsNs, 0)))
		if len(fresh.stack) > 0 {
			m.inner(packetInterned, fresh.fill)
		}
		m.inner(packetPerfSample, func(m *message) {
			m.integer(sampleCPU, uint64(s.CPU))
			m.integer(samplePID, uint64(s.Thread.PID))
			m.integer(sampleTID, uint64(s.Thread.TID))
			if stack != 0 {
				m.integer(sampleStack, stack)
			}
		})
	}, flagsNeeds)
}

// stackNumbers numbers what samples share, each kind from 1.
type stackNumbers struct {
	stacks    map[int32]uint64
	frames    map[analyze.TimelineFrame]uint64
	functions map[string]uint64
	mappings  map[string]uint64
}

func newStackNumbers() stackNumbers {
	return stackNumbers{map[int32]uint64{}, map[analyze.TimelineFrame]uint64{}, map[string]uint64{}, map[string]uint64{}}
}

// freshStack is what a trace does not know yet of a stack.
type freshStack struct {
	number              uint64
	stack               []uint64 // its frames, from the root
	frames              []freshFrame
	functions, mappings []string // their numbers follow
	function, mapping   uint64   // of the first
}

type freshFrame struct{ number, function, mapping uint64 }

// of gives the number of a stack, 0 when there is none, and what is new of it.
func (n *stackNumbers) of(s *analyze.TimelineSample) (number uint64, fresh freshStack) {
	if number = n.stacks[s.Stack]; number != 0 || len(s.Frames) == 0 {
		return number, fresh
	}
	number = uint64(len(n.stacks) + 1)
	n.stacks[s.Stack] = number
	fresh = freshStack{number: number, function: uint64(len(n.functions) + 1), mapping: uint64(len(n.mappings) + 1)}
	for _, f := range s.Frames {
		frame := n.frames[f]
		if frame == 0 {
			frame = uint64(len(n.frames) + 1)
			n.frames[f] = frame
			fresh.frames = append(fresh.frames, freshFrame{frame,
				numbered(n.functions, f.Name, &fresh.functions), numbered(n.mappings, f.Module, &fresh.mappings)})
		}
		fresh.stack = append(fresh.stack, frame)
	}
	return number, fresh
}

// numbered gives the number of a text, and notes it if it is new.
func numbered(known map[string]uint64, text string, fresh *[]string) uint64 {
	number, ok := known[text]
	if !ok {
		number = uint64(len(known) + 1)
		known[text] = number
		*fresh = append(*fresh, text)
	}
	return number
}

// fill writes what is new.
func (f *freshStack) fill(m *message) {
	for i, text := range f.functions {
		m.interned(internedFunctions, f.function+uint64(i), shown(text))
	}
	for i, text := range f.mappings {
		number := f.mapping + uint64(i)
		m.interned(internedPaths, number, shown(text))
		m.inner(internedMappings, func(m *message) {
			m.integer(internedID, number)
			m.integer(mappingPath, number)
		})
	}
	for _, frame := range f.frames {
		m.inner(internedFrames, func(m *message) {
			m.integer(internedID, frame.number)
			m.integer(frameFunction, frame.function)
			m.integer(frameMapping, frame.mapping)
			m.integer(frameOffset, frame.number) // tells frames of a file apart; nothing else is known
		})
	}
	m.inner(internedStacks, func(m *message) {
		m.integer(internedID, f.number)
		for _, frame := range f.stack {
			m.integer(stackFrame, frame)
		}
	})
}
