package cpu

import (
	"cmp"
	"slices"
	"strings"

	"kmon/format"
)

const (
	// maxThreads and maxPairs bound the threads and pairs that are kept to
	// find the largest: 100 and 60 bytes each.
	maxThreads = 1 << 17
	maxPairs   = 1 << 18
	// maxCalls bounds what calls are told apart by: about 100 bytes each.
	maxCalls = 1 << 16
	// maxMoments bounds the moments memory was read at: 60 bytes each.
	maxMoments = 1 << 18
)

// Who is who a row belongs to: a process and its service, as numbers of the
// caller's.
type Who struct{ Party, Service int32 }

// Account is what threads did on CPUs.
type Account struct {
	OnCPUNs, RunQueueNs                int64
	Timeslices, Voluntary, Involuntary int64
}

// Add adds o to a.
func (a *Account) Add(o *Account) {
	add(&a.OnCPUNs, o.OnCPUNs)
	add(&a.RunQueueNs, o.RunQueueNs)
	add(&a.Timeslices, o.Timeslices)
	add(&a.Voluntary, o.Voluntary)
	add(&a.Involuntary, o.Involuntary)
}

// Wait is the waits of one class.
type Wait struct{ Count, TotalNs, MaxNs, Waiting int64 }

// Waits are the waits by Class.
type Waits [Classes]Wait

// Add adds o to w.
func (w *Waits) Add(o *Waits) {
	for i := range o {
		w[i].add(o[i])
	}
}

func (w *Wait) add(o Wait) {
	add(&w.Count, o.Count)
	add(&w.TotalNs, o.TotalNs)
	add(&w.Waiting, o.Waiting)
	w.MaxNs = max(w.MaxNs, o.MaxNs)
}

// Window is what a service did in one window. Rows tell sums over intervals
// that are longer; they are spread evenly.
type Window struct {
	Index      int32
	OnCPUNs    int64
	RunQueueNs int64
	WaitNs     [Classes]int64 // by Class
}

// ThreadKey names a thread of a capture.
type ThreadKey struct{ Capture, PID, TID int32 }

// Thread is one thread. A number that was used again is one thread with the
// one before it.
type Thread struct {
	Account
	Who    Who // of its latest row, as is Comm
	Comm   string
	lastNs int64
}

// PairKey is two threads of a capture of which one wakes the other.
type PairKey struct{ Capture, WakerTID, TID int32 }

// Pair is how often one woke the other, and who they are by the latest row.
type Pair struct {
	Count         int64
	Waker, Who    Who
	WakerPID, PID int32
	lastNs        int64
}

// CallKey is something that a service called.
type CallKey struct {
	Service int32
	Kind    format.CounterKind
	Name    string
}

// Calls is how often. Errors, TotalNs and MaxNs are -1 when a row lacks them.
type Calls struct {
	Count, Errors, TotalNs, MaxNs int64
	known                         bool // has a row
}

// Partial is the result of some rows. Rows of all tables may come in any
// order, and Partials merge exactly in any order, as long as they stay below
// the bounds above; Dropped tells whether they did.
type Partial struct {
	Frame    Frame
	Accounts map[int32]*Account // by party
	Waits    map[int32]*Waits   // by party
	Windows  map[int32][]Window // by service, sorted by Index
	Memory   Memory
	threads  largest[ThreadKey, Thread]
	pairs    largest[PairKey, Pair]
	calls    largest[CallKey, Calls]
	names    map[string]string // one copy of each
}

// New is the result of no rows.
func New(f Frame) *Partial {
	return &Partial{
		Frame: f, Accounts: map[int32]*Account{}, Waits: map[int32]*Waits{}, Windows: map[int32][]Window{},
		Memory: newMemory(f.Windows), names: map[string]string{},
		threads: newLargest(maxThreads, func(t *Thread) int64 { return t.OnCPUNs }, compareThreads),
		pairs:   newLargest(maxPairs, func(p *Pair) int64 { return p.Count }, comparePairs),
		calls:   newLargest(maxCalls, func(c *Calls) int64 { return c.Count }, compareCalls),
	}
}

func compareThreads(a, b ThreadKey) int {
	return cmp.Or(cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.PID, b.PID), cmp.Compare(a.TID, b.TID))
}

func comparePairs(a, b PairKey) int {
	return cmp.Or(cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.WakerTID, b.WakerTID), cmp.Compare(a.TID, b.TID))
}

func compareCalls(a, b CallKey) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// Source is where rows come from: a capture, and what makes its times Unix.
type Source struct {
	Capture  int32
	OffsetNs int64
}

// AddInterval counts a row of table intervals.
func (p *Partial) AddInterval(from Source, who Who, row *format.Interval) {
	s, ok := p.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	account := Account{
		OnCPUNs: s.part(row.OnCPUNs), RunQueueNs: s.part(row.RunQueueNs), Timeslices: s.part(row.Timeslices),
		Voluntary: s.part(row.Voluntary), Involuntary: s.part(row.Involuntary),
	}
	sum := p.Accounts[who.Party]
	if sum == nil {
		sum = new(Account)
		p.Accounts[who.Party] = sum
	}
	sum.Add(&account)
	t := p.threads.at(ThreadKey{from.Capture, row.PID, row.TID})
	t.Account.Add(&account)
	t.seen(who, row.Comm, s.end, p)
	p.Frame.each(s, func(index int32, part span) {
		w := p.window(who.Service, index)
		add(&w.OnCPUNs, part.part(row.OnCPUNs))
		add(&w.RunQueueNs, part.part(row.RunQueueNs))
	})
}

// seen keeps what the latest row says.
func (t *Thread) seen(who Who, comm string, ns int64, p *Partial) {
	newer := cmp.Or(cmp.Compare(ns, t.lastNs), cmp.Compare(who.Party, t.Who.Party), cmp.Compare(comm, t.Comm))
	if t.lastNs == 0 || newer > 0 {
		t.Who, t.lastNs = who, ns
		if t.Comm != comm {
			t.Comm = p.name(comm)
		}
	}
}

// name gives one copy of a name: a row's may hold a page alive.
func (p *Partial) name(s string) string {
	if kept, ok := p.names[s]; ok {
		return kept
	}
	kept := strings.Clone(s)
	if len(p.names) < maxThreads {
		p.names[kept] = kept
	}
	return kept
}

// window gives a window of a service.
func (p *Partial) window(service, index int32) *Window {
	list := p.Windows[service]
	if n := len(list); n > 0 && list[n-1].Index == index {
		return &list[n-1]
	}
	at, ok := slices.BinarySearchFunc(list, index, func(w Window, i int32) int { return cmp.Compare(w.Index, i) })
	if !ok {
		list = slices.Insert(list, at, Window{Index: index})
		p.Windows[service] = list
	}
	return &list[at]
}

// AddOffCPU counts a row of table offcpu whose waits are of a class. Waits
// count in the interval they ended in.
func (p *Partial) AddOffCPU(from Source, who Who, class Class, row *format.OffCPU) {
	s, ok := p.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	sum := p.Waits[who.Party]
	if sum == nil {
		sum = new(Waits)
		p.Waits[who.Party] = sum
	}
	sum[class].add(Wait{s.part(row.Count), s.part(row.TotalNs), max(row.MaxNs, 0), s.part(row.Waiting)})
	p.Frame.each(s, func(index int32, part span) {
		add(&p.window(who.Service, index).WaitNs[class], part.part(row.TotalNs))
	})
}

// AddWake counts a row of table wakes.
func (p *Partial) AddWake(from Source, waker, who Who, row *format.Wake) {
	s, ok := p.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	pair := p.pairs.at(PairKey{from.Capture, row.WakerTID, row.TID})
	add(&pair.Count, s.part(row.Count))
	pair.seen(&Pair{Waker: waker, Who: who, WakerPID: row.WakerPID, PID: row.PID, lastNs: s.end})
}

func (p *Pair) seen(o *Pair) {
	newer := cmp.Or(cmp.Compare(o.lastNs, p.lastNs), cmp.Compare(o.Waker.Party, p.Waker.Party), cmp.Compare(o.Who.Party, p.Who.Party),
		cmp.Compare(o.WakerPID, p.WakerPID), cmp.Compare(o.PID, p.PID))
	if p.lastNs == 0 || newer > 0 {
		count := p.Count
		*p = *o
		p.Count = count
	}
}

// AddSyscall counts a row of table syscalls.
func (p *Partial) AddSyscall(from Source, who Who, row *format.Syscall) {
	s, ok := p.Frame.span(row.StartNs+from.OffsetNs, row.EndNs+from.OffsetNs)
	if !ok {
		return
	}
	o := Calls{Count: s.part(row.Count), Errors: -1, TotalNs: -1, MaxNs: row.MaxNs, known: true}
	if row.Errors >= 0 {
		o.Errors = s.part(row.Errors)
	}
	if row.TotalNs >= 0 {
		o.TotalNs = s.part(row.TotalNs)
	}
	p.calls.at(CallKey{who.Service, row.Kind, p.name(row.Name)}).add(&o)
}

func (c *Calls) add(o *Calls) {
	if !c.known {
		*c = *o
		return
	}
	add(&c.Count, o.Count)
	for _, f := range []struct{ sum, v *int64 }{{&c.Errors, &o.Errors}, {&c.TotalNs, &o.TotalNs}} {
		if *f.sum < 0 || *f.v < 0 {
			*f.sum = -1
			continue
		}
		add(f.sum, *f.v)
	}
	if c.MaxNs < 0 || o.MaxNs < 0 {
		c.MaxNs = -1
		return
	}
	c.MaxNs = max(c.MaxNs, o.MaxNs)
}

// Merge adds all of o to p. o must not be used afterwards.
func (p *Partial) Merge(o *Partial) {
	for party, a := range o.Accounts {
		if sum := p.Accounts[party]; sum != nil {
			sum.Add(a)
		} else {
			p.Accounts[party] = a
		}
	}
	for party, w := range o.Waits {
		if sum := p.Waits[party]; sum != nil {
			sum.Add(w)
		} else {
			p.Waits[party] = w
		}
	}
	for service, list := range o.Windows {
		for _, w := range list {
			sum := p.window(service, w.Index)
			add(&sum.OnCPUNs, w.OnCPUNs)
			add(&sum.RunQueueNs, w.RunQueueNs)
			for class, ns := range w.WaitNs {
				add(&sum.WaitNs[class], ns)
			}
		}
	}
	for k, v := range o.threads.sums {
		t := p.threads.at(k)
		t.Account.Add(&v.Account)
		t.seen(v.Who, v.Comm, v.lastNs, p)
	}
	for k, v := range o.pairs.sums {
		pair := p.pairs.at(k)
		add(&pair.Count, v.Count)
		pair.seen(v)
	}
	for k, v := range o.calls.sums {
		p.calls.at(k).add(v)
	}
	p.threads.dropped += o.threads.dropped
	p.pairs.dropped += o.pairs.dropped
	p.calls.dropped += o.calls.dropped
	p.Memory.merge(&o.Memory)
}
