package synthetic

import "kmon/format"

const (
	requestBytes = 320
	answerBytes  = 1800
	errorBytes   = 90
)

// visit is one request at an instance.
type visit struct {
	at      *instance
	conn    *conn
	begunNs int64 // when it was read; 0 with worker nil: not yet
	worker  *thread
	before  waits         // what the worker had waited for by then
	answer  func(ok bool) // tells the asker
	failed  bool          // whom it asked did not answer
}

// arrive hands a request to an instance; it waits for a thread.
func (i *instance) arrive(v *visit) {
	i.visits++
	if len(i.idle) == 0 {
		i.waiting = append(i.waiting, v)
		return
	}
	t := i.idle[len(i.idle)-1]
	i.idle = i.idle[:len(i.idle)-1]
	t.wake()
	v.serve(t)
}

// serve begins to work on a request: some CPU, the disk, the callees, and the
// rest of the CPU.
func (v *visit) serve(t *thread) {
	v.worker = t
	i, w := v.at, v.at.node.w
	cpuNs := w.noisy(float64(i.service.spec.CPU) * w.scale * i.level.factor)
	reads, writes := w.times(i.service.spec.Reads), w.times(i.service.spec.Writes)
	last := func() { v.compute(cpuNs/2+1, v.linger) }
	calls := func() { v.call(0, last) }
	write := func() { v.disk(format.OperationWrite, writeBytes, writes, calls) }
	read := func() { v.disk(format.OperationRead, readBytes, reads, write) }
	i.node.run(&burst{
		thread: t, leftNs: cpuNs/2 + 1, codes: workCodes,
		began: func() { v.begunNs, v.before = w.nowNs, t.spent },
		done: func() {
			if i.trap == nil || !i.trap.catch(v, read) {
				read()
			}
		},
	})
}

// compute needs a CPU for a time.
func (v *visit) compute(ns int64, then func()) {
	v.at.node.run(&burst{thread: v.worker, leftNs: ns, codes: workCodes, done: then})
}

// disk does n IOs, one after the other.
func (v *visit) disk(op format.Operation, bytes int64, n int, then func()) {
	if n == 0 {
		then()
		return
	}
	t := v.worker
	code := codeRead
	if op == format.OperationWrite {
		code = codeWrite
	}
	t.block(code)
	v.at.node.disk.submit(&access{thread: t, op: op, bytes: bytes, done: func() {
		t.wake()
		v.disk(op, bytes, n-1, then)
	}})
}

// call asks the callees from number k on, one after the other.
func (v *visit) call(k int, then func()) {
	if k == len(v.at.service.callees) {
		then()
		return
	}
	v.ask(v.at.service.callees[k], 0, func(ok bool) {
		v.failed = v.failed || !ok
		v.call(k+1, then)
	})
}

// linger is what a slow node or service adds, at no cost.
func (v *visit) linger() {
	w := v.at.node.w
	factor := v.at.node.slow * v.at.service.slow
	late := int64((factor - 1) * float64(w.nowNs-v.begunNs))
	if s := v.at.service.storm; s != nil {
		late = s.late(w)
	}
	if late <= 0 {
		v.finish()
		return
	}
	v.worker.block(codeSleep)
	w.after(late, func() {
		v.worker.wake()
		v.finish()
	})
}

// finish answers, and frees the thread for the next.
func (v *visit) finish() {
	i := v.at
	v.conn.answered(v)
	v.answer(!v.failed)
	i.visits--
	if len(i.waiting) > 0 {
		next := i.waiting[0]
		i.waiting = i.waiting[1:]
		next.serve(v.worker)
		return
	}
	v.worker.block(codeIdle)
	i.idle = append(i.idle, v.worker)
}

// ask sends a request to a service over a connection of the thread and waits for
// the answer. While the service has a storm it does not wait long, and asks again.
func (v *visit) ask(callee *service, attempt int, then func(ok bool)) {
	i, t := v.at, v.worker
	target := i.choose(callee)
	c := t.conns[target]
	if c == nil || c.closed {
		c = i.node.w.connect(i, t, target)
		t.conns[target] = c
	}
	t.block(codeReceive)
	c.send(func(ok bool) {
		t.wake()
		if !ok && c.closed {
			if s := callee.storm; s != nil && attempt < s.retries {
				v.ask(callee, attempt+1, then)
				return
			}
		}
		then(ok)
	})
}
