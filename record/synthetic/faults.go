package synthetic

import (
	"fmt"
	"slices"

	"kmon/format"
)

// trap keeps an instance's threads from answering.
type trap struct {
	hogs    int  // how many more requests are caught with a thread that burns a CPU
	all     bool // all others wait for a lock that those hold
	caught  []func()
	threads []*thread // of the hogs
	codes   []int     // what they do
	// Their switches, a second of CPU.
	voluntary, involuntary int64
	opened                 bool
}

// catch keeps a request whose thread has read it; then is what it would do next.
func (t *trap) catch(v *visit, then func()) bool {
	switch {
	case t.opened:
		return false
	case t.hogs > 0:
		t.hogs--
		t.threads = append(t.threads, v.worker)
		v.at.node.hog(&burst{thread: v.worker, codes: t.codes, voluntary: t.voluntary, involuntary: t.involuntary, done: then}, func() bool { return t.opened })
		return true
	case t.all:
		v.worker.block(codeLock)
		t.caught = append(t.caught, func() {
			v.worker.wake()
			then()
		})
		return true
	}
	return false
}

// open lets all go on.
func (t *trap) open() {
	t.opened = true
	for _, goOn := range t.caught {
		goOn()
	}
}

// storm is a service that answers too late, and callers that ask again.
type storm struct {
	retries   int
	timeoutNs int64
}

// stormShare is how many of the answers come too late.
const stormShare = 0.95

func (s *storm) late(w *world) int64 {
	if w.rng.Float64() >= stormShare {
		return 0
	}
	return s.timeoutNs + s.timeoutNs/5
}

// put puts a fault into the world and says where it is.
func (w *world) put(f *Fault) (Injected, error) {
	in := Injected{Kind: f.Kind, Size: f.Size, FromNs: f.From.Nanoseconds(), ToNs: f.To.Nanoseconds()}
	k := kindOf(f.Kind)
	var i *instance
	var n, peer *node
	var s *service
	switch {
	case k.takes("node") && k.takes("service"):
		var err error
		if i, err = w.victim(f); err != nil {
			return in, err
		}
		n, s, in.Instance = i.node, i.service, i.name
	case k.takes("node"):
		n = w.nodeOf(f.Node, f.Kind)
	case k.takes("service"):
		s = w.serviceOf(f.Service)
	}
	if k.takes("peer") {
		n, peer = w.pathOf(f)
		in.Peer = peer.name
	}
	if n != nil {
		in.Node = n.name
	}
	if s != nil {
		in.Service = s.spec.Name
	}
	w.during(f, func() func() { return w.begin(f, n, peer, s, i) })
	return in, nil
}

// begin starts a fault and gives what ends it.
func (w *world) begin(f *Fault, n, peer *node, s *service, i *instance) (end func()) {
	switch f.Kind {
	case "lock-livelock":
		return i.jam(&trap{hogs: min(int(f.Size), cpusPerNode), all: true, voluntary: 9000, involuntary: 3000, codes: livelockCodes})
	case "spin":
		return i.jam(&trap{hogs: min(int(f.Size), cpusPerNode-1), all: true, codes: spinCodes})
	case "retry-amplification":
		s.storm = &storm{retries: int(f.Size), timeoutNs: max(int64(6*s.nominalNs), 1000*ms)}
		return func() { s.storm = nil }
	case "receive-livelock":
		return n.flood(f.Size)
	case "limping-disk":
		return n.limp(f.Size)
	case "limplock":
		return n.limp(10 * f.Size)
	case "slow-node":
		n.slow = f.Size
		return func() { n.slow = 1 }
	case "slow-path":
		p := &path{n, peer, f.Size, 0.002}
		w.paths = append(w.paths, p)
		return func() { w.paths = slices.DeleteFunc(w.paths, func(o *path) bool { return o == p }) }
	case "slow-callee":
		s.slow = f.Size
		return func() { s.slow = 1 }
	case "overload":
		w.surge = max(f.Size*w.capacity()/w.s.Rate, f.Size)
		return func() { w.surge = 1 }
	case "cpu-saturation":
		return n.crowd(f.Size)
	case "cpu-throttling":
		return i.process.limit(w, w.coresOf(i)/f.Size)
	case "io-limit":
		i.process.readEveryNs = int64(1e9 * f.Size / w.readsOf(i))
		return func() { i.process.readEveryNs = 0 }
	case "listen-overflow":
		return i.overflow(f.Size)
	case "retransmission":
		n.loss = min(f.Size/100, 0.9)
		return func() { n.loss = 0 }
	}
	return func() {}
}

func (i *instance) jam(t *trap) (end func()) {
	i.trap = t
	i.node.capture.traps = append(i.node.capture.traps, t)
	return func() {
		i.trap = nil
		t.open()
	}
}

func (n *node) limp(size float64) (end func()) {
	n.disk.factor = size
	return func() { n.disk.factor = 1 }
}

// crowd lets threads of another service burn CPUs.
func (n *node) crowd(perCPU float64) (end func()) {
	p := n.process("batch", "batch", "batch-"+n.name)
	n.capture.process(p)
	over := false
	for k := range int(perCPU * cpusPerNode) {
		n.hog(&burst{thread: p.thread(fmt.Sprint("batch-", k)), codes: batchCodes}, func() bool { return over })
	}
	return func() { over = true }
}

// flood gives CPU to the network's softirqs, which drop what comes.
func (n *node) flood(size float64) (end func()) {
	over := false
	share := min(0.2*size, 0.97)
	periodNs := 10 * ms
	for k := range cpusPerNode {
		t := n.process("", fmt.Sprint("ksoftirqd/", k), "").thread(fmt.Sprint("ksoftirqd/", k))
		n.capture.process(t.process)
		var turn func()
		turn = func() {
			if over {
				return
			}
			startNs := n.w.nowNs
			n.run(&burst{thread: t, leftNs: int64(share * float64(periodNs)), codes: softirqCodes, urgent: true, done: func() {
				n.w.after(periodNs-(n.w.nowNs-startNs), turn)
			}})
		}
		turn()
	}
	n.loss = min(0.1*size, 0.9)
	n.w.every(n.w.nowNs, 100*ms, func() bool {
		n.capture.dropped(int64(500 * size))
		return !over
	})
	return func() { over, n.loss = true, 0 }
}

// overflow lets an instance accept nobody for most of each second.
func (i *instance) overflow(size float64) (end func()) {
	const backlog = 128
	over := false
	i.node.w.every(i.node.w.nowNs, 1e9, func() bool {
		if over {
			return false
		}
		i.node.capture.acceptQueue(i, backlog+1, backlog, int64(size*10))
		i.node.w.turnAway(i, int(size))
		return true
	})
	return func() { over = true }
}

// turnAway writes connections of the clients that nobody accepted.
func (w *world) turnAway(i *instance, n int) {
	at := w.clients.as.node
	for range n {
		at.capture.socket(format.Socket{
			Event: format.SocketConnectFailed, SocketID: at.socket(), Role: format.RoleClient, RoleSource: format.RoleSourceConnect, Family: 4,
			NetnsID: netnsID, LocalAddr: at.addr, LocalPort: at.port(), RemoteAddr: i.node.addr, RemotePort: i.service.port,
			PID: w.clients.as.process.pid, CloseReason: format.CloseTimeout,
		})
	}
}

// coresOf is the CPU that an instance takes when all is well.
func (w *world) coresOf(i *instance) float64 {
	s := i.service
	return w.s.Rate * w.s.Graph.perEntry()[s.number] * float64(s.spec.CPU) * w.scale / 1e9 / float64(s.spec.Replicas)
}

// readsOf is how many reads a second it asks for then.
func (w *world) readsOf(i *instance) float64 {
	s := i.service
	return w.s.Rate * w.s.Graph.perEntry()[s.number] * s.spec.Reads / float64(s.spec.Replicas)
}
