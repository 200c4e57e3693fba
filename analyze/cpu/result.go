package cpu

import "fmt"

// Threads calls fn for the threads, those with most time on a CPU first, until
// it returns false.
func (p *Partial) Threads(fn func(ThreadKey, *Thread) bool) {
	for _, k := range p.threads.sorted() {
		if !fn(k, p.threads.sums[k]) {
			return
		}
	}
}

// Comm is the name of a thread, "" when no interval tells it.
func (p *Partial) Comm(k ThreadKey) string {
	if t := p.threads.sums[k]; t != nil {
		return t.Comm
	}
	return ""
}

// Pairs calls fn for the pairs of threads, those with most wake-ups first,
// until it returns false. A pair that wakes each other comes once, with the
// wake-ups the other way.
func (p *Partial) Pairs(fn func(k PairKey, pair *Pair, back int64) bool) {
	for _, k := range p.pairs.sorted() {
		back := int64(0)
		reverse := PairKey{k.Capture, k.TID, k.WakerTID}
		if other := p.pairs.sums[reverse]; other != nil && reverse != k {
			count := p.pairs.sums[k].Count
			if other.Count > count || other.Count == count && comparePairs(reverse, k) < 0 {
				continue
			}
			back = other.Count
		}
		if !fn(k, p.pairs.sums[k], back) {
			return
		}
	}
}

// Calls calls fn for what was called, most frequent first.
func (p *Partial) Calls(fn func(CallKey, *Calls)) {
	for _, k := range p.calls.sorted() {
		fn(k, p.calls.sums[k])
	}
}

// Dropped says what was left out because there was too much of it.
func (p *Partial) Dropped() []string {
	var list []string
	for _, d := range []struct {
		n    int64
		what string
	}{
		{p.threads.dropped, "threads with little CPU time are left out of the list of threads"},
		{p.pairs.dropped, "rare pairs of threads are left out of the wake-ups"},
		{p.calls.dropped, "rare calls are left out of the system calls"},
		{p.Memory.moments.dropped, "looks at little memory are left out"},
	} {
		if d.n > 0 {
			list = append(list, fmt.Sprintf("%d %s, there are too many", d.n, d.what))
		}
	}
	return list
}
