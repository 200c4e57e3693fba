package breakdown

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
)

const (
	// lateNs is how much later than the end of a request the row of one of its
	// calls may come: the kernel keeps the last exchange of a socket for 5 s of
	// silence, and for the sweep and the batch after that.
	lateNs = 10e9
	// longNs is for how long a call waits for the row of its request.
	longNs = 120e9
	// maxHeld bounds the rows that wait for others in all captures together, about
	// 100 B each.
	maxHeld = 1 << 18
	// maxActive is how many requests of a process at once are looked through.
	maxActive = 256
)

// Join finds the requests of one capture that calls belong to. Its result does not
// depend on the order in which Add is called.
type Join struct {
	limit int // of held

	mu        sync.Mutex
	next      int // number of the batch that comes next
	early     map[int]rows
	processes map[int32]*process
	spare     []rows // their room is used again
	held      int    // rows in processes
	reachedNs int64  // latest end of a row
	settledNs int64
	sums      Sums
	called    []Called // of the request at hand
}

// rows are those of one batch.
type rows struct {
	requests []Request
	calls    []Call
	endNs    int64
}

// process holds what waits for other rows of its process. Millions of rows pass
// through: none of them is allocated for itself or has a pointer.
type process struct {
	requests []held
	calls    []Call
	owned    []owned // calls of requests
	unused   int32   // first of owned that are of no request any more
	active   []int32 // for settle
}

// held is a request with the calls that were found to be its own.
type held struct {
	Request
	first, last int32 // of its calls in owned
}

// owned is a call that was found to be of a request.
type owned struct {
	Call
	next int32 // of the same request
}

// none ends a list of calls.
const none int32 = -1

// own gives a call to a request.
func (p *process) own(r *held, c Call) {
	at := p.unused
	if at == none {
		at = int32(len(p.owned))
		p.owned = append(p.owned, owned{c, none})
	} else {
		p.unused = p.owned[at].next
		p.owned[at] = owned{c, none}
	}
	if r.first == none {
		r.first = at
	} else {
		p.owned[r.last].next = at
	}
	r.last = at
}

// disown leaves the calls of a request for others to use.
func (p *process) disown(r *held) {
	if r.first != none {
		p.owned[r.last].next = p.unused
		p.unused = r.first
	}
}

// NewJoin is the Join of one of so many captures.
func NewJoin(captures int) *Join {
	return &Join{
		limit: max(maxHeld/max(captures, 1), 1<<10), early: map[int]rows{}, processes: map[int32]*process{},
		reachedNs: math.MinInt64, settledNs: math.MinInt64,
	}
}

// room gives empty rows to fill for add.
func (j *Join) room() (r rows) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if last := len(j.spare) - 1; last >= 0 {
		r = j.spare[last]
		j.spare = j.spare[:last]
	}
	return rows{requests: r.requests[:0], calls: r.calls[:0]}
}

// add takes over the rows of the batch with a number.
func (j *Join) add(number int, r rows) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.early[number] = r
	for {
		next, ok := j.early[j.next]
		if !ok {
			return
		}
		delete(j.early, j.next)
		j.next++
		j.take(next)
	}
}

// SkipTo says that no batch with a lower number is missing any more.
func (j *Join) SkipTo(number int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	late := make([]int, 0, len(j.early))
	for n := range j.early {
		late = append(late, n)
	}
	slices.Sort(late)
	for _, n := range late {
		j.take(j.early[n])
		delete(j.early, n)
	}
	j.next = max(j.next, number)
}

// Sums ends the Join: no call comes any more.
func (j *Join) Sums() *Sums {
	j.SkipTo(j.next)
	j.settle(math.MaxInt64, math.MaxInt64)
	return &j.sums
}

// take adds rows to those of their processes.
func (j *Join) take(r rows) {
	for i := range r.requests {
		p := j.process(r.requests[i].PID)
		p.requests = append(p.requests, held{r.requests[i], none, none})
	}
	for _, c := range r.calls {
		p := j.process(c.PID)
		p.calls = append(p.calls, c)
	}
	j.spare = append(j.spare, r)
	j.held += len(r.requests) + len(r.calls)
	j.reachedNs = max(j.reachedNs, r.endNs)
	if j.settledNs == math.MinInt64 {
		j.settledNs = j.reachedNs
	}
	if j.reachedNs-j.settledNs > lateNs {
		j.settle(j.reachedNs-lateNs, j.reachedNs-longNs)
	}
	if j.held > j.limit { // what comes late finds nothing any more
		j.settle(j.reachedNs-lateNs/10, math.MaxInt64)
	}
	if j.held > j.limit/2 {
		j.settle(math.MaxInt64, math.MaxInt64)
	}
}

func (j *Join) process(pid int32) *process {
	p := j.processes[pid]
	if p == nil {
		p = &process{unused: none}
		j.processes[pid] = p
	}
	return p
}

// settle counts the requests that ended before until. Calls that ended before then
// get their request; those that find none stay if they began after forget.
func (j *Join) settle(until, forget int64) {
	j.settledNs, j.held = j.reachedNs, 0
	for _, pid := range slices.Sorted(maps.Keys(j.processes)) {
		p := j.processes[pid]
		if len(p.requests)+len(p.calls) == 0 { // for a while; it has room for as many as it ever held
			delete(j.processes, pid)
			continue
		}
		p.assign(j, until, forget)
		kept := p.requests[:0]
		for i := range p.requests {
			if r := &p.requests[i]; r.EndNs < until || until == math.MaxInt64 {
				j.count(p, r)
				p.disown(r)
			} else {
				kept = append(kept, *r)
			}
		}
		p.requests = kept
		j.held += len(p.requests) + len(p.calls)
	}
}

// assign gives calls to the requests they belong to.
func (p *process) assign(j *Join, until, forget int64) {
	slices.SortFunc(p.requests, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs), cmp.Compare(a.TID, b.TID))
	})
	slices.SortFunc(p.calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.EndNs, b.EndNs), cmp.Compare(a.TID, b.TID), cmp.Compare(a.Cell, b.Cell))
	})
	p.active = p.active[:0]
	kept, next := p.calls[:0], 0
	for _, c := range p.calls {
		for ; next < len(p.requests) && p.requests[next].StartNs <= c.StartNs; next++ {
			p.active = append(p.active, int32(next))
		}
		if c.EndNs >= until && until != math.MaxInt64 {
			kept = append(kept, c)
			continue
		}
		r, unclear := p.owner(c)
		switch {
		case r == nil:
			if len(p.requests) > 0 && c.StartNs > forget {
				kept = append(kept, c)
			}
		case unclear:
			add(&j.sums.at(r.Instance).Unclear, 1)
		default:
			p.own(r, c)
		}
	}
	p.calls = kept
}

// owner gives the request that a call belongs to, nil if there is none; unclear:
// one of several.
func (p *process) owner(c Call) (r *held, unclear bool) {
	p.active = slices.DeleteFunc(p.active, func(i int32) bool { return p.requests[i].EndNs < c.StartNs })
	if len(p.active) > maxActive {
		return &p.requests[p.active[0]], true
	}
	var own *held // served by the thread that called
	within, byThread := 0, 0
	for _, i := range p.active {
		candidate := &p.requests[i]
		if candidate.EndNs < c.EndNs {
			continue
		}
		if within++; within == 1 {
			r = candidate
		}
		if candidate.TID == c.TID {
			byThread++
			own = candidate
		}
	}
	if within > 1 && byThread == 1 {
		return own, false
	}
	return r, within > 1
}

// count adds a request of a process to the sums. Where several of its calls run at
// once, the time is that of the one that began first.
func (j *Join) count(p *process, r *held) {
	called := j.called[:0]
	covered, elsewhere := int64(0), false
	coveredTo := r.StartNs
	for at := r.first; at != none; at = p.owned[at].next {
		c := &p.owned[at]
		elsewhere = elsewhere || c.TID != r.TID
		if ns := c.EndNs - max(c.StartNs, coveredTo); ns > 0 {
			called = append(called, Called{c.Cell, min(ns, maxNs)})
			covered = min(covered+ns, maxNs)
			coveredTo = c.EndNs
		}
	}
	parts, ns := r.split(covered, elsewhere)
	scale(called, ns, covered)
	j.sums.add(&r.Request, &parts, called)
	j.called = called
}

// scale makes called, which add up to have, add up to want, which is less or equal.
func scale(called []Called, want, have int64) {
	if want == have {
		return
	}
	given, sum := int64(0), int64(0)
	for i := range called {
		sum += called[i].Ns
		until := int64(float64(want) * (float64(sum) / float64(have)))
		if i == len(called)-1 {
			until = want
		}
		until = min(max(until, given), want)
		called[i].Ns = until - given
		given = until
	}
}
