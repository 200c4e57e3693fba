package cpu

import (
	"strings"

	"kmon/format"
)

const (
	// maxSteps bounds the steps of all parties, and maxThreadSteps those of all
	// threads: 48 and 24 bytes each.
	maxSteps       = 1 << 19
	maxThreadSteps = 1 << 18
	// recent is how many of the last steps are looked at for one to add to. Rows
	// come interval by interval, so it is one of them.
	recent = 2 * Classes
)

// Step is what somebody did on the CPUs in one window.
type Step struct {
	Index int32
	Account
}

// WaitStep is the waits of one class in one window.
type WaitStep struct {
	Index          int32
	Class          Class
	Count, TotalNs int64
}

// SampleStep is the samples of one window by what they were at.
type SampleStep struct {
	Index int32
	N     [Locking + 1]int64 // by Busy
}

// CallStep is the system calls of one window.
type CallStep struct {
	Index int32
	Count int64
}

// PartySteps is what a party did, window by window. The lists are in the order of
// the rows, and may have several steps of one window: they add up.
type PartySteps struct {
	CPU     []Step
	Waits   []WaitStep
	Samples []SampleStep
	Calls   []CallStep
	Threads int // that ran
}

// None says that the party did nothing.
func (p *PartySteps) None() bool { return len(p.CPU)+len(p.Waits)+len(p.Samples)+len(p.Calls) == 0 }

// ThreadSteps is what one thread did, as PartySteps.
type ThreadSteps struct {
	Party  int32 // of its latest row, as is Comm
	Comm   string
	CPU    []Step
	PeakNs int64 // on a CPU, in any step
}

// CaptureSteps is what a capture has by window.
type CaptureSteps struct {
	// Rows of the tables, in the window of the middle of their interval.
	Intervals, OffCPU, OnCPU, Syscalls []int64
	SoftirqNs                          []int64 // of the ksoftirqd threads
	// Rest is what parties did for whom there was no more room.
	Rest PartySteps
}

// Steps adds rows up by party, thread and window, for the findings. Memory is
// bounded: beyond the bounds new parties are the Rest of their capture, and
// threads that never used half a CPU in a window are forgotten; see Folded.
type Steps struct {
	Frame    Frame
	Parties  []PartySteps // by party
	Captures []CaptureSteps
	Threads  map[ThreadKey]*ThreadSteps
	// Folded and Forgotten tell whether steps went into a Rest, and threads out.
	Folded, Forgotten bool

	used, threadsUsed int
	names             map[string]string
}

// NewSteps is the steps of no rows, of so many captures.
func NewSteps(f Frame, captures int) *Steps {
	st := &Steps{Frame: f, Captures: make([]CaptureSteps, captures), Threads: map[ThreadKey]*ThreadSteps{}, names: map[string]string{}}
	for i := range st.Captures {
		c := &st.Captures[i]
		for _, list := range []*[]int64{&c.Intervals, &c.OffCPU, &c.OnCPU, &c.Syscalls, &c.SoftirqNs} {
			*list = make([]int64, f.Count)
		}
	}
	return st
}

// AddInterval counts a row of table intervals.
func (st *Steps) AddInterval(from Source, party int32, row *format.Interval) {
	s, ok := st.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	c := &st.Captures[from.Capture]
	c.Intervals[st.middle(s)]++
	p := st.party(party, from.Capture)
	t := st.thread(ThreadKey{from.Capture, row.PID, row.TID}, party, row, p)
	softirq := strings.HasPrefix(row.Comm, "ksoftirqd/")
	values := [5]int64{row.OnCPUNs, row.RunQueueNs, row.Timeslices, row.Voluntary, row.Involuntary}
	st.Frame.spread(s, values, func(index int32, v [5]int64) {
		a := Account{v[0], v[1], v[2], v[3], v[4]}
		st.used += addStep(&p.CPU, index, &a)
		if t != nil {
			st.threadsUsed += addStep(&t.CPU, index, &a)
			for i := max(len(t.CPU)-2, 0); i < len(t.CPU); i++ {
				t.PeakNs = max(t.PeakNs, t.CPU[i].OnCPUNs)
			}
		}
		if softirq {
			add(&c.SoftirqNs[index], a.OnCPUNs)
		}
	})
}

// middle is the window of the middle of a span.
func (st *Steps) middle(s span) int32 { return st.Frame.Of(s.from + (s.to-s.from)/2) }

// spread calls fn for the windows of a span with the part of the values in each.
func (f *Frame) spread(s span, values [5]int64, fn func(index int32, v [5]int64)) {
	var before [5]int64
	if s.from > s.start {
		for k, v := range values {
			before[k] = s.until(v, s.from)
		}
	}
	f.each(s, func(index int32, part span) {
		var v [5]int64
		for k := range values {
			until := part.until(values[k], part.to)
			v[k] = until - before[k]
			before[k] = until
		}
		fn(index, v)
	})
}

// addStep adds to the step of a window and gives 1 if it is a new one.
func addStep(list *[]Step, index int32, a *Account) int {
	n := len(*list)
	for i := n - 1; i >= max(n-2, 0); i-- {
		if step := &(*list)[i]; step.Index == index {
			step.Add(a)
			return 0
		}
	}
	*list = append(*list, Step{index, *a})
	return 1
}

// party gives the steps to add to.
func (st *Steps) party(party, capture int32) *PartySteps {
	for int(party) >= len(st.Parties) {
		st.Parties = append(st.Parties, PartySteps{})
	}
	p := &st.Parties[party]
	if st.used < maxSteps || !p.None() && st.used < 2*maxSteps {
		return p
	}
	st.Folded = true
	return &st.Captures[capture].Rest
}

// thread gives the steps of a thread, nil when there is no room for it.
func (st *Steps) thread(k ThreadKey, party int32, row *format.Interval, p *PartySteps) *ThreadSteps {
	t := st.Threads[k]
	if t == nil {
		p.Threads++
		if st.threadsUsed >= maxThreadSteps {
			st.forget()
		}
		if st.threadsUsed >= maxThreadSteps {
			return nil
		}
		t = new(ThreadSteps)
		st.Threads[k] = t
	}
	t.Party = party
	if t.Comm != row.Comm {
		t.Comm = st.name(row.Comm)
	}
	return t
}

// forget makes room: threads that did little go.
func (st *Steps) forget() {
	st.Forgotten, st.threadsUsed = true, 0
	for k, t := range st.Threads {
		if 2*t.PeakNs < st.Frame.WidthNs {
			delete(st.Threads, k)
			continue
		}
		st.threadsUsed += len(t.CPU)
	}
	clear(st.names)
}

// name gives one copy of a name: a row's may hold a page alive.
func (st *Steps) name(s string) string {
	if kept, ok := st.names[s]; ok {
		return kept
	}
	kept := strings.Clone(s)
	st.names[kept] = kept
	return kept
}

// AddOffCPU counts a row of table offcpu whose waits are of a class.
func (st *Steps) AddOffCPU(from Source, party int32, class Class, row *format.OffCPU) {
	s, ok := st.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	st.Captures[from.Capture].OffCPU[st.middle(s)]++
	p := st.party(party, from.Capture)
	st.Frame.spread(s, [5]int64{row.Count, row.TotalNs}, func(index int32, v [5]int64) {
		if v[0] > 0 || v[1] > 0 {
			st.used += p.addWait(WaitStep{index, class, v[0], v[1]})
		}
	})
}

// addWait adds to the step of a window and class and gives 1 if it is a new one.
func (p *PartySteps) addWait(w WaitStep) int {
	n := len(p.Waits)
	for i := n - 1; i >= max(n-recent, 0); i-- {
		if step := &p.Waits[i]; step.Index == w.Index && step.Class == w.Class {
			add(&step.Count, w.Count)
			add(&step.TotalNs, w.TotalNs)
			return 0
		}
	}
	p.Waits = append(p.Waits, w)
	return 1
}

// AddSyscall counts a row of table syscalls, if it is of a system call.
func (st *Steps) AddSyscall(from Source, party int32, row *format.Syscall) {
	s, ok := st.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	st.Captures[from.Capture].Syscalls[st.middle(s)]++
	if row.Kind != format.CounterSyscall {
		return
	}
	p := st.party(party, from.Capture)
	st.Frame.spread(s, [5]int64{row.Count}, func(index int32, v [5]int64) {
		st.used += p.addCalls(CallStep{index, v[0]})
	})
}

// addCalls adds to the step of a window and gives 1 if it is a new one.
func (p *PartySteps) addCalls(c CallStep) int {
	n := len(p.Calls)
	for i := n - 1; i >= max(n-2, 0); i-- {
		if step := &p.Calls[i]; step.Index == c.Index {
			add(&step.Count, c.Count)
			return 0
		}
	}
	p.Calls = append(p.Calls, c)
	return 1
}

// AddSample counts a sample taken at a Unix time within the frame.
func (st *Steps) AddSample(capture, party int32, ns int64, at Busy) {
	index := st.Frame.Of(ns)
	st.Captures[capture].OnCPU[index]++
	p := st.party(party, capture)
	n := len(p.Samples)
	if n == 0 || p.Samples[n-1].Index != index {
		p.Samples = append(p.Samples, SampleStep{Index: index})
		st.used++
		n++
	}
	p.Samples[n-1].N[at]++
}
