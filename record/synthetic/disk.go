package synthetic

import "kmon/format"

const (
	diskDepth   = 8
	readBytes   = 16 << 10
	writeBytes  = 64 << 10
	readNs      = 250e3
	writeNs     = 400e3
	diskID      = 259 << 20 // the first nvme disk
	diskSectors = 1 << 30
)

// disk is the disk of a node: several IOs at once, further ones wait.
type disk struct {
	node    *node
	busy    int
	waiting []*access
	factor  float64 // of the time of each IO
	level   level
}

// access is one request to a disk.
type access struct {
	thread  *thread
	op      format.Operation
	bytes   int64
	startNs int64
	done    func()
}

func newDisk(n *node) *disk { return &disk{node: n, factor: 1, level: level{factor: 1}} }

// submit asks for an IO. The limit of the thread's cgroup holds it back first,
// which nobody sees on the disk.
func (d *disk) submit(r *access) {
	w, p := d.node.w, r.thread.process
	if p.readEveryNs == 0 || r.op != format.OperationRead {
		d.accept(r)
		return
	}
	at := max(w.nowNs, p.readNextNs)
	p.readNextNs = at + p.readEveryNs
	w.after(at-w.nowNs, func() { d.accept(r) })
}

func (d *disk) accept(r *access) {
	r.startNs = d.node.w.nowNs
	if p := r.thread.process; r.op == format.OperationRead {
		p.reads++
		p.readBytes += r.bytes
	}
	if d.busy == diskDepth {
		d.waiting = append(d.waiting, r)
		return
	}
	d.give(r)
}

// give hands an IO to the device.
func (d *disk) give(r *access) {
	d.busy++
	w := d.node.w
	median := float64(readNs)
	if r.op == format.OperationWrite {
		median = writeNs
	}
	givenNs := w.nowNs
	w.after(w.noisy(median*w.scale*d.factor*d.level.factor), func() {
		d.busy--
		if len(d.waiting) > 0 {
			next := d.waiting[0]
			d.waiting = d.waiting[1:]
			d.give(next)
		}
		d.node.capture.io(r, givenNs)
		r.done()
	})
}

// flush is what the kernel writes back on every node.
func (d *disk) flush() bool {
	w := d.node.w
	for range 4 {
		d.submit(&access{thread: d.node.flusher, op: format.OperationWrite, bytes: writeBytes, done: func() {}})
	}
	w.after(w.noisy(float64(250*ms)), func() { d.flush() })
	return false
}
