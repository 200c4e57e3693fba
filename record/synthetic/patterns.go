package synthetic

import "kmon/format"

// usual lets happen what happens on healthy systems.
func (w *world) usual() {
	w.every(-warmUpNs, levelEvery, w.wanderAll)
	for _, n := range w.nodes {
		w.events.push(-warmUpNs, func() { n.disk.flush() })
	}
	w.events.push(-warmUpNs, w.clients.arrive)
	w.steady = 1
	if w.s.has("bursty") {
		w.after(0, w.burst)
	}
	if w.s.has("gc") {
		for _, s := range w.services {
			for _, i := range s.instances {
				w.after(int64(w.rng.Float64()*8e9), i.collect)
			}
		}
	}
	if w.s.has("batch") {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		w.events.push(w.endNs/4, func() {
			end := n.crowd(0.75)
			w.events.push(w.endNs*3/4, end)
		})
	}
	if w.s.has("deploy") {
		s := w.serviceOf("")
		for k, i := range s.instances {
			w.events.push(w.endNs/4+int64(k)*max(8e9, w.endNs/12), i.restart)
		}
	}
}

// burst is a while with more requests.
func (w *world) burst() {
	w.steady = 3
	w.after(int64(1e9+3e9*w.rng.Float64()), func() {
		w.steady = 1
		w.after(int64(2*15e9*w.rng.Float64()), w.burst)
	})
}

// collect stops a process while two threads of it burn CPUs.
func (i *instance) collect() {
	w, p := i.node.w, i.process
	p.paused = true
	pauseNs := int64((20 + 100*w.rng.Float64()) * float64(ms))
	w.after(pauseNs, func() {
		p.paused = false
		p.release()
	})
	for len(p.collectors) < 2 {
		p.collectors = append(p.collectors, p.thread("gc"))
	}
	for _, t := range p.collectors {
		i.node.run(&burst{thread: t, leftNs: pauseNs, codes: gcCodes, exempt: true, done: func() {}})
	}
	w.after(int64(w.rng.ExpFloat64()*8e9)+2*pauseNs, i.collect)
}

// restartNs is how long an instance is away.
const restartNs = 1500 * ms

// restart replaces the instance's process once it has nothing to do.
func (i *instance) restart() {
	w := i.node.w
	if len(i.service.instances) > 1 {
		i.down = true
	}
	if i.visits > 0 || i.busyClients() {
		w.after(50*ms, i.restart)
		return
	}
	for _, c := range w.connsOf(i) {
		c.close(c.from == i)
	}
	i.node.capture.proc(i.process, format.ProcExit)
	i.process.threads = nil
	w.after(restartNs, func() {
		i.begin()
		i.node.capture.proc(i.process, format.ProcFork)
		i.node.capture.proc(i.process, format.ProcExec)
		i.node.capture.process(i.process)
		i.node.capture.listener(i)
		i.down = false
	})
}

// busyClients says whether a request to it is on its way.
func (i *instance) busyClients() bool {
	for _, c := range i.node.w.conns {
		if c.to == i && c.under != nil {
			return true
		}
	}
	return false
}

// connsOf lists the connections from and to an instance.
func (w *world) connsOf(i *instance) []*conn {
	var list []*conn
	for _, c := range w.conns {
		if c.to == i || c.from == i {
			list = append(list, c)
		}
	}
	return list
}
