package cpu

import (
	"cmp"
	"slices"
	"strings"

	"kmon/format"
)

// maxNamedSteps bounds the steps of all calls that CallSteps has: 32 bytes each.
const maxNamedSteps = 1 << 18

// NamedStep is one call of a service in one window. Errors and TotalNs are 0 where
// they were not recorded.
type NamedStep struct {
	Index                  int32
	Count, Errors, TotalNs int64
}

// CallSteps adds system calls up by service, name and window. Memory is bounded:
// beyond the bound rare calls are forgotten. One that comes again then lacks what was
// before, which its sums tell.
type CallSteps struct {
	frame Frame
	limit int
	used  int
	calls map[CallKey]*namedCalls
}

type namedCalls struct {
	count int64
	steps []NamedStep
}

// NewCallSteps is the steps of no rows.
func NewCallSteps(f Frame) *CallSteps {
	return &CallSteps{frame: f, limit: maxNamedSteps, calls: map[CallKey]*namedCalls{}}
}

// Add counts a row of table syscalls for a service.
func (cs *CallSteps) Add(from Source, service int32, row *format.Syscall) {
	s, ok := cs.frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	c := cs.calls[CallKey{service, row.Kind, row.Name}]
	if c == nil {
		if cs.used >= cs.limit {
			cs.forget()
		}
		c = new(namedCalls)
		cs.calls[CallKey{service, row.Kind, strings.Clone(row.Name)}] = c // a row's may hold a page alive
	}
	cs.frame.spread(s, [5]int64{row.Count, row.Errors, row.TotalNs}, func(index int32, v [5]int64) {
		add(&c.count, v[0])
		cs.used += c.add(NamedStep{index, v[0], v[1], v[2]})
	})
}

// add adds to the step of a window and gives 1 if it is a new one.
func (c *namedCalls) add(o NamedStep) int {
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

// forget makes room: the rarer half of the calls goes.
func (cs *CallSteps) forget() {
	keys := make([]CallKey, 0, len(cs.calls))
	for k := range cs.calls {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b CallKey) int {
		return cmp.Or(cmp.Compare(cs.calls[b].count, cs.calls[a].count), compareCalls(a, b))
	})
	for _, k := range keys[len(keys)/2:] {
		cs.used -= len(cs.calls[k].steps)
		delete(cs.calls, k)
	}
}

// Of gives the steps of a call, in the order of the rows: those of one window add up.
func (cs *CallSteps) Of(k CallKey) []NamedStep {
	if c := cs.calls[k]; c != nil {
		return c.steps
	}
	return nil
}
