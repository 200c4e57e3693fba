package synthetic

import (
	"math"
	"slices"
)

// cpu is one CPU.
type cpu struct {
	index     int
	running   *burst
	countedNs int64 // until when the running thread has its account
}

// burst is a time that a thread wants a CPU for.
type burst struct {
	thread  *thread
	leftNs  int64
	readyNs int64       // since when it could run
	codes   []int       // what samples of it show, in turn
	urgent  bool        // goes before all others
	exempt  bool        // runs while its process may not
	stop    func() bool // ends one without an end of its own; nil: leftNs does
	// Of one that gives the CPU away again and again, switches a second of CPU.
	voluntary, involuntary int64
	began                  func() // on a CPU, the first time; may be nil
	done                   func()
}

// quota is the CPU time that a process may take in a period.
type quota struct {
	perPeriodNs, usedNs int64
	spentNs             int64 // when nothing was left of it
	// In the current second.
	periods, throttled, throttledNs int64
}

// quotaPeriodNs is the kernel's default (cpu.max).
const quotaPeriodNs = 100 * ms

// held says whether a burst may not run at present.
func (b *burst) held() bool {
	p := b.thread.process
	return !b.exempt && (p.paused || p.quota != nil && p.quota.usedNs >= p.quota.perPeriodNs)
}

// release lets what was held go on.
func (p *process) release() {
	parked := p.parked
	p.parked = nil
	for _, b := range parked {
		p.node.queue(b)
	}
}

// run gives a burst a CPU as soon as one is free.
func (n *node) run(b *burst) {
	b.readyNs = n.w.nowNs
	n.queue(b)
}

func (n *node) queue(b *burst) {
	if b.held() {
		b.thread.process.parked = append(b.thread.process.parked, b)
		return
	}
	for i := range n.cpus {
		if n.cpus[i].running == nil {
			n.start(&n.cpus[i], b)
			return
		}
	}
	if b.urgent {
		n.ready = slices.Insert(n.ready, 0, b)
		return
	}
	n.ready = append(n.ready, b)
}

// next gives a CPU that is free to the first that may run.
func (n *node) next(c *cpu) {
	c.running = nil
	for len(n.ready) > 0 {
		b := n.ready[0]
		n.ready = n.ready[1:]
		if !b.held() {
			n.start(c, b)
			return
		}
		b.thread.process.parked = append(b.thread.process.parked, b)
	}
}

func (n *node) start(c *cpu, b *burst) {
	c.running, c.countedNs = b, n.w.nowNs
	b.thread.account.runQueueNs += n.w.nowNs - b.readyNs
	*b.thread.spent.on(codeRunnable) += n.w.nowNs - b.readyNs
	b.thread.account.slices++
	n.capture.waited(b.thread, codeRunnable, b.readyNs)
	if b.began != nil {
		b.began()
		b.began = nil
	}
	n.slice(c, b)
}

// slice lets a burst run for a while.
func (n *node) slice(c *cpu, b *burst) {
	ns := min(b.leftNs, sliceNs)
	if q := b.thread.process.quota; q != nil {
		ns = min(ns, max(q.perPeriodNs-q.usedNs, ms/2))
	}
	startNs := n.w.nowNs
	n.w.after(ns, func() {
		n.count(c)
		n.capture.sample(c, b, startNs)
		b.leftNs -= ns
		if q := b.thread.process.quota; q != nil {
			q.use(n.w, ns)
		}
		n.sliced(c, b)
	})
}

// sliced decides what comes after a slice.
func (n *node) sliced(c *cpu, b *burst) {
	account := &b.thread.account
	switch {
	case b.leftNs <= 0 || b.stop != nil && b.stop():
		account.voluntary++
		n.next(c)
		b.done()
	case b.held() || len(n.ready) > 0 && !b.urgent:
		account.involuntary++
		b.readyNs = n.w.nowNs
		n.next(c)
		n.queue(b)
	default:
		n.slice(c, b)
	}
}

// count adds what has run on a CPU to its thread's account.
func (n *node) count(c *cpu) {
	b := c.running
	if b == nil {
		return
	}
	ns := n.w.nowNs - c.countedNs
	c.countedNs = n.w.nowNs
	account := &b.thread.account
	account.onCPUNs += ns
	account.voluntary += b.voluntary * ns / 1e9
	account.involuntary += b.involuntary * ns / 1e9
	account.slices += (b.voluntary + b.involuntary) * ns / 1e9
}

// use takes CPU time from a quota.
func (q *quota) use(w *world, ns int64) {
	if q.usedNs < q.perPeriodNs && q.usedNs+ns >= q.perPeriodNs {
		q.spentNs = w.nowNs
	}
	q.usedNs += ns
}

// limit gives a process a quota of CPU time, until end is called.
func (p *process) limit(w *world, cores float64) (end func()) {
	q := &quota{perPeriodNs: max(int64(cores*float64(quotaPeriodNs)), ms/2)}
	p.quota = q
	w.every(w.nowNs+quotaPeriodNs, quotaPeriodNs, func() bool {
		if p.quota != q {
			return false
		}
		q.periods++
		if held := min(len(p.parked), cpusPerNode); held > 0 {
			q.throttled++
			q.throttledNs += int64(held) * (w.nowNs - q.spentNs)
		}
		q.spentNs = w.nowNs
		q.usedNs = max(q.usedNs-q.perPeriodNs, 0)
		p.release()
		return true
	})
	return func() {
		p.quota = nil
		p.release()
	}
}

// hog keeps a thread on a CPU until stop says so.
func (n *node) hog(b *burst, stop func() bool) {
	b.leftNs, b.stop = math.MaxInt64, stop
	if b.done == nil {
		b.done = func() {}
	}
	n.run(b)
}
