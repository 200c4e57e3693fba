package synthetic

import "kmon/format"

const (
	hopNs  = 100e3 // from one node to another
	selfNs = 20e3  // from a node to itself
	rtoNs  = 200e6 // until a segment is sent again
)

// conn is a connection of one thread, or of the clients, to an instance. One
// request is under way at a time.
type conn struct {
	w              *world
	from           *instance
	thread         *thread
	to             *instance
	port           int32
	client, server int64 // ids of the two sockets
	openNs         int64
	sent, received int64
	lostFromClient int64
	lostFromServer int64
	closed         bool
	startNs        int64 // of the request under way
	bytes          int64
	under          func(ok bool) // to be told of its answer; nil: none is under way
	visit          *visit
	at             int // in w.conns
}

// connect opens a connection.
func (w *world) connect(from *instance, t *thread, to *instance) *conn {
	c := &conn{w: w, from: from, thread: t, to: to, port: from.node.port(), openNs: w.nowNs, at: len(w.conns)}
	c.client, c.server = from.node.socket(), to.node.socket()
	w.conns = append(w.conns, c)
	c.rows(format.SocketOpen, format.CloseNone, format.CloseNone)
	return c
}

func (n *node) socket() int64 {
	n.sockets++
	return n.sockets
}

// close ends a connection, from the client's end if byClient.
func (c *conn) close(byClient bool) {
	if c.closed {
		return
	}
	c.closed = true
	ofClient, ofServer := format.CloseLocal, format.ClosePeer
	if !byClient {
		ofClient, ofServer = ofServer, ofClient
	}
	c.rows(format.SocketClose, ofClient, ofServer)
	last := c.w.conns[len(c.w.conns)-1]
	last.at, c.w.conns[c.at] = c.at, last
	c.w.conns = c.w.conns[:len(c.w.conns)-1]
}

// rows writes what happens to both sockets.
func (c *conn) rows(event format.SocketEvent, ofClient, ofServer format.CloseReason) {
	a := format.Socket{
		Event: event, SocketID: c.client, Role: format.RoleClient, RoleSource: format.RoleSourceConnect, Family: 4, NetnsID: netnsID,
		LocalAddr: c.from.node.addr, LocalPort: c.port, RemoteAddr: c.to.node.addr, RemotePort: c.to.service.port,
		PID: c.thread.process.pid, CloseReason: ofClient,
	}
	b := format.Socket{
		Event: event, SocketID: c.server, Role: format.RoleServer, RoleSource: format.RoleSourceAccept, Family: 4, NetnsID: netnsID,
		LocalAddr: a.RemoteAddr, LocalPort: a.RemotePort, RemoteAddr: a.LocalAddr, RemotePort: a.LocalPort,
		PID: c.to.process.pid, CloseReason: ofServer,
	}
	switch event {
	case format.SocketClose:
		a.BytesSent, a.BytesReceived, a.Retransmits = c.sent, c.received, c.lostFromClient
		b.BytesSent, b.BytesReceived, b.Retransmits = c.received, c.sent, c.lostFromServer
		a.SRTTNs = 2 * int64(c.w.hop(c.from.node, c.to.node))
		b.SRTTNs = a.SRTTNs
	case format.SocketExisting:
		a.RoleSource, b.RoleSource = format.RoleSourcePort, format.RoleSourceListener
	}
	c.from.node.capture.socket(a)
	c.to.node.capture.socket(b)
}

// path is a fault between two nodes.
type path struct {
	a, b *node
	size float64
	loss float64
}

func (p *path) between(a, b *node) bool { return p.a == a && p.b == b || p.a == b && p.b == a }

// hop is how long a message takes from one node to another, without faults.
func (w *world) hop(a, b *node) float64 {
	if a == b {
		return selfNs
	}
	return hopNs
}

// carry moves a message of a connection and gives how long it takes.
func (c *conn) carry(fromClient bool) int64 {
	a, b := c.from.node, c.to.node
	lost := &c.lostFromClient
	if !fromClient {
		a, b, lost = b, a, &c.lostFromServer
	}
	ns := c.w.noisy(c.w.hop(a, b))
	if a == b {
		return ns
	}
	loss := 1 - (1-a.loss)*(1-b.loss)
	for _, p := range c.w.paths {
		if p.between(a, b) {
			ns += int64((p.size - 1) * c.to.service.nominalNs / 2)
			loss = 1 - (1-loss)*(1-p.loss)
		}
	}
	for rto := int64(rtoNs); loss > 0 && c.w.rng.Float64() < loss && rto < 1<<5*rtoNs; rto *= 2 {
		ns += rto
		*lost++
		c.retransmitted(a, fromClient, ns)
	}
	return ns
}

// retransmitted notes that a node sends a segment again in a time from now.
func (c *conn) retransmitted(by *node, fromClient bool, ns int64) {
	row := format.NetEvent{
		Kind: format.NetRetransmit, SocketID: c.client, NetnsID: netnsID, Family: 4, Protocol: 6,
		LocalAddr: c.from.node.addr, LocalPort: c.port, RemoteAddr: c.to.node.addr, RemotePort: c.to.service.port,
		PID: c.thread.process.pid, Count: 1,
	}
	if !fromClient {
		row.SocketID, row.PID = c.server, c.to.process.pid
		row.LocalAddr, row.RemoteAddr = row.RemoteAddr, row.LocalAddr
		row.LocalPort, row.RemotePort = row.RemotePort, row.LocalPort
	}
	c.w.after(ns, func() { by.capture.netEvent(row) })
}

// send sends a request. then is told whether it was answered.
func (c *conn) send(then func(ok bool)) {
	w := c.w
	c.startNs, c.under, c.bytes = w.nowNs, then, requestBytes+w.rng.Int64N(64)
	c.from.open[c.to]++
	v := &visit{at: c.to, conn: c}
	c.visit = v
	startNs := c.startNs
	v.answer = func(ok bool) {
		w.after(c.carry(false), func() {
			if c.closed || c.startNs != startNs || c.under == nil {
				return // nobody waits any more
			}
			c.exchange(c.client, c.thread, c.startNs, format.ExchangeClient, ok)
			c.end(ok)
		})
	}
	w.after(c.carry(true), func() { c.to.arrive(v) })
	if s := c.to.service.storm; s != nil {
		w.after(s.timeoutNs, func() {
			if c.startNs == startNs && c.under != nil && !c.closed {
				c.giveUp()
			}
		})
	}
}

// end tells the asker.
func (c *conn) end(ok bool) {
	then := c.under
	c.under = nil
	c.from.open[c.to]--
	then(ok)
}

// giveUp closes the connection, whose answer does not come.
func (c *conn) giveUp() {
	c.exchange(c.client, c.thread, c.startNs, format.ExchangeClient|format.ExchangeNoAnswer|format.ExchangeClosed, false)
	c.close(true)
	c.end(false)
}

// answered writes the server's end of a request that was served. Its answer
// meets a reset when nobody waits for it.
func (c *conn) answered(v *visit) {
	flags := format.ExchangeFlags(0)
	if c.closed {
		flags = format.ExchangeClosed | format.ExchangeReset
	}
	row := c.row(c.server, v.worker, v.begunNs, flags|format.ExchangeAccounted, !v.failed)
	w := v.worker.spent.since(v.before)
	row.RunQueueNs, row.LockNs, row.DiskNs, row.NetworkNs, row.SleepNs = w.runQueueNs, w.lockNs, w.diskNs, w.networkNs, w.sleepNs
	v.worker.process.node.capture.exchange(row)
	if c.visit == v {
		c.visit = nil
	}
	c.sent += c.bytes
	c.received += answerBytes
}

// unfinished writes both ends of a request that the recording's end cuts.
func (c *conn) unfinished() {
	if c.under == nil {
		return
	}
	const flags = format.ExchangeNoAnswer | format.ExchangeOpen
	c.exchange(c.client, c.thread, c.startNs, flags|format.ExchangeClient, false)
	if v := c.visit; v != nil && v.worker != nil && v.begunNs > 0 {
		c.exchange(c.server, v.worker, v.begunNs, flags, false)
	}
}

// exchange writes one end of the request under way, which ends now.
func (c *conn) exchange(socket int64, t *thread, startNs int64, flags format.ExchangeFlags, ok bool) {
	t.process.node.capture.exchange(c.row(socket, t, startNs, flags, ok))
}

// row is that of one end of the request under way, which ends now.
func (c *conn) row(socket int64, t *thread, startNs int64, flags format.ExchangeFlags, ok bool) format.Exchange {
	row := format.Exchange{
		SocketID: socket, StartNs: startNs, ServerNs: c.w.nowNs - startNs, RequestBytes: c.bytes, RequestMessages: 1,
		AnswerBytes: answerBytes, AnswerMessages: 1, PID: t.process.pid, TID: t.tid, Flags: flags,
	}
	if !ok {
		row.AnswerBytes = errorBytes
	}
	if flags&format.ExchangeNoAnswer != 0 {
		row.AnswerBytes, row.AnswerMessages = 0, 0
	}
	return row
}
