package format

import "runtime"

// hurryBatches is how many full batches may wait before the encoder is hurried:
// half of the queue, so that the owner of the Writer does not wait for it.
const hurryBatches = queueBatches / 2

// pace keeps the encoder out of the way. Its thread comes behind all others: on
// a busy node a burst of encoding would otherwise stop two programs at once,
// the one whose CPU it takes and the one that waits for its answer. When too
// much waits for the encoder it runs like any thread until it has caught up.
//
// All of it is done by the owner of the Writer, without a lock: on a full machine
// a thread that comes last, and does anything here itself, would have the owner
// wait for seconds.
type pace struct {
	thread  thread // of the encoder
	behind  bool   // the system allows it, both ways
	hurried bool
}

// begin lets others go before the encoder, whose thread this is.
func (p *pace) begin(encoder thread) {
	p.thread = encoder
	p.behind = canHurry() && encoder.last() == nil
}

// canHurry tries on a thread of its own, which ends, whether there is a way back.
func canHurry() bool {
	begun, tried := make(chan thread), make(chan struct{})
	defer close(tried)
	go func() {
		runtime.LockOSThread()
		begun <- currentThread()
		<-tried
	}()
	t := <-begun
	return t.last() == nil && t.normal() == nil
}

// hurry makes the encoder run like any thread, until ease.
func (p *pace) hurry() {
	if p.behind && !p.hurried {
		p.hurried = p.thread.normal() == nil
	}
}

// ease lets others go first again: nothing waits for the encoder.
func (p *pace) ease() {
	if p.hurried {
		p.hurried = p.thread.last() != nil
	}
}
