package cpu

import "math/bits"

// SplitPolls tells for one service, whose parties are given, how much of the
// waiting of its event loops was for answers: it moves that from Poll to
// Callee and the rest to Idle. asked is, by window, the time that requests of
// the service to others were under way, all of them added up, and open that of
// requests that were never answered.
//
// An event loop's stack is the same whether it waits for the next client or
// for an answer. But it can only wait for an answer while one is due: in each
// window Callee is the lesser of the loops' waiting and asked. Requests under
// way at once count each, so Callee is at most so much, and Idle at least.
// Streams give no requests and count as Idle.
func (p *Partial) SplitPolls(service int32, parties []int32, asked []int64, open int64) {
	total, callee := int64(0), int64(0)
	for _, party := range parties {
		if w := p.Waits[party]; w != nil {
			add(&total, w[Poll].TotalNs)
		}
	}
	windows := p.Windows[service]
	for i := range windows {
		if at := int(windows[i].Index); at < len(asked) {
			add(&callee, windows[i].answered(max(asked[at], 0)))
		}
	}
	callee = min(callee, total)
	late := min(max(open, 0), total-callee)
	callee += late
	splitWindows(windows, late, total-callee)
	before, moved := int64(0), int64(0)
	for _, party := range parties {
		w := p.Waits[party]
		if w == nil || w[Poll].TotalNs == 0 {
			continue
		}
		add(&before, w[Poll].TotalNs)
		until := share(callee, before, total)
		w.split(until - moved)
		moved = until
	}
}

// answered moves up to ns of Poll to Callee and gives how much.
func (w *Window) answered(ns int64) int64 {
	ns = min(w.WaitNs[Poll], ns)
	w.WaitNs[Poll] -= ns
	add(&w.WaitNs[Callee], ns)
	return ns
}

// splitWindows divides what is left of Poll in all windows into late, waits for
// requests that were never answered, and idle: each window has its share of both.
func splitWindows(windows []Window, late, idle int64) {
	before, moved := int64(0), int64(0)
	for i := range windows {
		w := &windows[i]
		add(&before, w.WaitNs[Poll])
		until := share(late, before, late+idle)
		w.answered(until - moved)
		moved = until
		add(&w.WaitNs[Idle], w.WaitNs[Poll])
		w.WaitNs[Poll] = 0
	}
}

// split moves ns of Poll to Callee, and the rest to Idle.
func (w *Waits) split(ns int64) {
	poll := w[Poll]
	count, waiting := share(poll.Count, ns, poll.TotalNs), share(poll.Waiting, ns, poll.TotalNs)
	if ns > 0 {
		w[Callee].add(Wait{count, ns, min(poll.MaxNs, ns), waiting})
	}
	if rest := poll.TotalNs - ns; rest > 0 {
		w[Idle].add(Wait{poll.Count - count, rest, min(poll.MaxNs, rest), poll.Waiting - waiting})
	}
	w[Poll] = Wait{}
}

// share is v × part / whole, for part up to whole.
func share(v, part, whole int64) int64 {
	if whole <= 0 || v <= 0 || part <= 0 {
		return 0
	}
	if part >= whole {
		return v
	}
	high, low := bits.Mul64(uint64(v), uint64(part))
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return int64(quotient)
}

// Spread adds v to sums, by window, evenly over the time from start to end.
func (f *Frame) Spread(sums []int64, v, start, end int64) {
	s, ok := f.span(start, end)
	if !ok {
		return
	}
	f.each(s, func(index int32, part span) {
		if int(index) < len(sums) {
			add(&sums[index], part.part(v))
		}
	})
}
