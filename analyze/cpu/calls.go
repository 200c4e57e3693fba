package cpu

import (
	"cmp"
	"slices"
	"strings"

	"kmon/format"
)

// maxCountSteps bounds the steps of all keys that a CountSteps has: 32 bytes each.
const maxCountSteps = 1 << 18

// CountStep is how often something happened in one window. Errors and TotalNs are 0
// where they were not recorded.
type CountStep struct {
	Index                  int32
	Count, Errors, TotalNs int64
}

// CountSteps adds counts up by key and window. Memory is bounded: beyond the bound rare
// keys are forgotten. One that comes again then lacks what was before, which its sums
// tell.
type CountSteps[K comparable] struct {
	frame   Frame
	limit   int
	used    int
	own     func(K) K // a key that holds nothing of a row alive
	compare func(a, b K) int
	of      map[K]*counted
}

type counted struct {
	count int64
	steps []CountStep
}

func newCountSteps[K comparable](f Frame, own func(K) K, compare func(a, b K) int) CountSteps[K] {
	return CountSteps[K]{frame: f, limit: maxCountSteps, own: own, compare: compare, of: map[K]*counted{}}
}

// CallSteps are system calls by service and name.
type CallSteps struct{ CountSteps[CallKey] }

// NewCallSteps is the steps of no rows.
func NewCallSteps(f Frame) *CallSteps {
	return &CallSteps{newCountSteps(f, func(k CallKey) CallKey {
		k.Name = strings.Clone(k.Name)
		return k
	}, compareCalls)}
}

// Add adds a row of table syscalls for a service.
func (s *CallSteps) Add(from Source, service int32, row *format.Syscall) {
	s.add(CallKey{service, row.Kind, row.Name}, row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs, CountStep{Count: row.Count, Errors: row.Errors, TotalNs: row.TotalNs})
}

// WakeSteps are wake-ups by the two threads.
type WakeSteps struct{ CountSteps[PairKey] }

// NewWakeSteps is the steps of no rows.
func NewWakeSteps(f Frame) *WakeSteps {
	return &WakeSteps{newCountSteps(f, func(k PairKey) PairKey { return k }, comparePairs)}
}

// Add adds a row of table wakes.
func (s *WakeSteps) Add(from Source, row *format.Wake) {
	s.add(PairKey{from.Capture, row.WakerTID, row.TID}, row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs, CountStep{Count: row.Count})
}

// add counts what happened in a time, Unix, spread evenly.
func (cs *CountSteps[K]) add(k K, startNs, endNs int64, o CountStep) {
	s, ok := cs.frame.span(startNs, endNs)
	if !ok {
		return
	}
	c := cs.of[k]
	if c == nil {
		if cs.used >= cs.limit {
			cs.forget()
		}
		c = new(counted)
		cs.of[cs.own(k)] = c
	}
	cs.frame.spread(s, [5]int64{o.Count, o.Errors, o.TotalNs}, func(index int32, v [5]int64) {
		add(&c.count, v[0])
		cs.used += c.add(CountStep{index, v[0], v[1], v[2]})
	})
}

// add adds to the step of a window and gives 1 if it is a new one.
func (c *counted) add(o CountStep) int {
	n := len(c.steps)
	for i := n - 1; i >= max(n-2, 0); i-- {
		if step := &c.steps[i]; step.Index == o.Index {
			add(&step.Count, o.Count)
			add(&step.Errors, o.Errors)
			add(&step.TotalNs, o.TotalNs)
			return 0
		}
	}
	c.steps = append(c.steps, o)
	return 1
}

// forget makes room: the rarer half of the keys goes.
func (cs *CountSteps[K]) forget() {
	keys := make([]K, 0, len(cs.of))
	for k := range cs.of {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(cs.of[b].count, cs.of[a].count), cs.compare(a, b))
	})
	for _, k := range keys[len(keys)/2:] {
		cs.used -= len(cs.of[k].steps)
		delete(cs.of, k)
	}
}

// Of gives the steps of a key, in the order of the rows: those of one window add up.
func (cs *CountSteps[K]) Of(k K) []CountStep {
	if c := cs.of[k]; c != nil {
		return c.steps
	}
	return nil
}
