package synthetic

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

const (
	ms = int64(time.Millisecond)
	// warmUpNs is how long the world runs before the recording begins, so that
	// connections exist and queues are as they always are.
	warmUpNs = 2e9
	// intervalNs is that of the recorder's accounts.
	intervalNs = 5e9
	// offCPUMinNs is the shortest wait that is noted, as in a recording.
	offCPUMinNs = ms
	sampleHz    = 99
	// levelEvery is how often instances and disks become a little faster or slower.
	levelEvery = 5e9
)

// world is everything that happens, in virtual time.
type world struct {
	s        Scenario
	rng      *rand.Rand
	nowNs    int64 // since the recording's start; negative while warming up
	events   events
	nodes    []*node
	services []*service
	clients  *clients
	conns    []*conn // open ones
	paths    []*path // faults of the network
	endNs    int64
	scale    float64 // of all costs, so that the rate can be served
	surge    float64 // factor of the rate
	steady   float64 // and that of the pattern
	err      error   // the first of writing
}

// event is something to do at a time.
type event struct {
	atNs int64
	seq  uint64
	do   func()
}

// events is a heap of events, the next first; of those at one time the one that
// was added first.
type events struct {
	heap []event
	seq  uint64
}

func (e *events) before(i, j int) bool {
	a, b := &e.heap[i], &e.heap[j]
	return a.atNs < b.atNs || a.atNs == b.atNs && a.seq < b.seq
}

func (e *events) push(atNs int64, do func()) {
	e.seq++
	e.heap = append(e.heap, event{atNs, e.seq, do})
	for i := len(e.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !e.before(i, parent) {
			return
		}
		e.heap[i], e.heap[parent] = e.heap[parent], e.heap[i]
		i = parent
	}
}

func (e *events) pop() event {
	next, last := e.heap[0], len(e.heap)-1
	e.heap[0] = e.heap[last]
	e.heap[last] = event{}
	e.heap = e.heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return next
		}
		if child+1 < last && e.before(child+1, child) {
			child++
		}
		if !e.before(child, i) {
			return next
		}
		e.heap[i], e.heap[child] = e.heap[child], e.heap[i]
		i = child
	}
}

// after does something in a time from now.
func (w *world) after(ns int64, do func()) { w.events.push(w.nowNs+max(ns, 0), do) }

// every does something each ns from a time on, for as long as it gives true.
func (w *world) every(fromNs, ns int64, do func() bool) {
	w.events.push(fromNs, func() {
		if do() {
			w.every(w.nowNs+ns, ns, do)
		}
	})
}

// during does begin at the time a fault begins, and what that gives when it ends.
func (w *world) during(f *Fault, begin func() (end func())) {
	w.events.push(f.From.Nanoseconds(), func() {
		end := begin()
		w.events.push(f.To.Nanoseconds(), end)
	})
}

// run lets the world run to the recording's end. It stops when writing failed.
func (w *world) run(ctx context.Context, progress func(share float64)) error {
	for n := 0; len(w.events.heap) > 0 && w.events.heap[0].atNs < w.endNs && w.err == nil; n++ {
		if n%(1<<12) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if progress != nil {
				progress(max(0, float64(w.nowNs)/float64(w.endNs)))
			}
		}
		e := w.events.pop()
		w.nowNs = e.atNs
		e.do()
	}
	w.nowNs = w.endNs
	return w.err
}

// fail keeps the first error of writing.
func (w *world) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// noisy draws a duration around a median.
func (w *world) noisy(medianNs float64) int64 {
	if w.s.Noise == 0 {
		return max(int64(medianNs), 1)
	}
	return max(int64(medianNs*math.Exp(w.s.Noise*w.rng.NormFloat64())), 1)
}

// times draws a whole number whose mean is given.
func (w *world) times(mean float64) int {
	n := math.Floor(mean)
	if w.rng.Float64() < mean-n {
		n++
	}
	return int(n)
}

// level is how fast something is at present: it wanders around 1.
type level struct{ deviation, factor float64 }

// wander moves a level; that of one time is related to that before.
func (w *world) wander(l *level) {
	l.deviation = 0.6*l.deviation + 0.8*w.rng.NormFloat64()
	l.factor = math.Exp(0.25 * w.s.Noise * l.deviation)
}

// wanderAll moves the levels of all instances and disks.
func (w *world) wanderAll() bool {
	for _, s := range w.services {
		for _, i := range s.instances {
			w.wander(&i.level)
		}
	}
	for _, n := range w.nodes {
		w.wander(&n.disk.level)
	}
	return true
}
