package format

import (
	"runtime"
	"sync"
)

// hurryBatches is how many full batches may wait before the encoder is hurried:
// half of the queue, so that the owner of the Writer does not wait for it.
const hurryBatches = queueBatches / 2

// pace keeps the encoder out of the way. Its thread comes behind all others: on
// a busy node a burst of encoding would otherwise stop two programs at once,
// the one whose CPU it takes and the one that waits for its answer. When too
// much waits for the encoder it runs like any thread until it has caught up.
type pace struct {
	mu      sync.Mutex
	thread  thread
	behind  bool // the system allows it, both ways
	hurried bool
}

// begin ties the calling goroutine to its thread, which ends with it, and lets
// others go first.
func (p *pace) begin() {
	runtime.LockOSThread()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thread = currentThread()
	p.behind = canHurry() && p.thread.last() == nil
}

// canHurry tries on a thread of its own whether there is a way back.
func canHurry() bool {
	result := make(chan bool)
	go func() {
		runtime.LockOSThread()
		t := currentThread()
		result <- t.last() == nil && t.normal() == nil
	}()
	return <-result
}

// hurry makes the encoder run like any thread, until nothing waits for it.
func (p *pace) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind && !p.hurried {
		p.hurried = p.thread.normal() == nil
	}
}

// ease lets others go first again when nothing waits in queue. What is put
// into the queue before a call of hurry is done in a hurry.
func (p *pace) ease(queue chan work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hurried && len(queue) == 0 {
		p.hurried = p.thread.last() != nil
	}
}
