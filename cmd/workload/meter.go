package main

import (
	"net"
	"os"
	"sync"
	"time"
)

// A meter counts what one process does on the connections it wraps. An
// exchange is a request and its answer on one connection: it begins with the
// first byte asked and ends with the last byte answered before the next
// request or the end of the connection. On the server's end reading asks and
// writing answers; on the client's end it is the other way round.
type meter struct {
	mu          sync.Mutex
	open        map[*meteredConn]bool
	connections int64
	unanswered  int64
	bytesRead   int64
	bytesWrote  int64
	errors      int64
	latencies   []time.Duration // one per answered exchange
	returned    []time.Duration // the same, to the return of the server's last write
}

// exchange is one exchange in progress.
type exchange struct {
	first    time.Time
	last     time.Time // of the answer: the client's last read, the call of the server's last write
	returned time.Time // the return of the server's last write
	answered bool
	writing  int  // writes of the answer that have not returned
	over     bool // the next request has begun, or the connection ended
}

// meteredConn is a connection under a meter.
type meteredConn struct {
	net.Conn
	meter   *meter
	server  bool
	current *exchange
}

func (m *meter) wrap(conn net.Conn, server bool) net.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &meteredConn{Conn: conn, meter: m, server: server}
	if m.open == nil {
		m.open = map[*meteredConn]bool{}
	}
	m.open[c] = true
	m.connections++
	return c
}

// fail counts an answer that was not as asked.
func (m *meter) fail() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors++
}

// Read reads and takes the time as soon as bytes are there.
func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	now := time.Now()
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	c.meter.bytesRead += int64(n)
	if c.server {
		c.ask(now)
	} else if c.current != nil {
		c.current.answered, c.current.last = true, now
	}
	return n, err
}

// Write writes. The exchange is marked before the bytes leave, for the peer
// may have read them and asked again before Write returns.
func (c *meteredConn) Write(p []byte) (int, error) {
	c.meter.mu.Lock()
	if !c.server {
		c.ask(time.Now())
	}
	x := c.current
	if c.server && x != nil {
		x.answered, x.last = true, time.Now()
		x.writing++
	}
	c.meter.mu.Unlock()

	n, err := c.Conn.Write(p)
	now := time.Now()
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	c.meter.bytesWrote += int64(n)
	if c.server && x != nil {
		x.returned = now
		x.writing--
		c.meter.settle(x)
	}
	return n, err
}

// Close closes the connection and ends its exchange.
func (c *meteredConn) Close() error {
	c.meter.mu.Lock()
	c.end()
	delete(c.meter.open, c)
	c.meter.mu.Unlock()
	return c.Conn.Close()
}

// ask begins an exchange, unless the request of the current one goes on.
func (c *meteredConn) ask(now time.Time) {
	if c.current != nil && !c.current.answered {
		return
	}
	c.end()
	c.current = &exchange{first: now}
}

// end ends the current exchange, if any.
func (c *meteredConn) end() {
	if c.current != nil {
		c.current.over = true
		c.meter.settle(c.current)
		c.current = nil
	}
}

// settle counts an exchange once it is over and all its writes returned.
func (m *meter) settle(x *exchange) {
	switch {
	case !x.over || x.writing > 0:
	case x.answered:
		m.latencies = append(m.latencies, x.last.Sub(x.first))
		if !x.returned.IsZero() {
			m.returned = append(m.returned, x.returned.Sub(x.first))
		}
	default:
		m.unanswered++
	}
}

// endAll ends the exchanges of connections that are still open.
func (m *meter) endAll() {
	for c := range m.open {
		c.end()
	}
}

// service gives the meter's counts as those of a server.
func (m *meter) service(name, address string) Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll()
	latency := summarize(m.latencies)
	return Service{Name: name, PID: os.Getpid(), Address: address, Connections: m.connections,
		Requests: latency.Count, Unanswered: m.unanswered, Errors: m.errors,
		BytesIn: m.bytesRead, BytesOut: m.bytesWrote, Latency: latency, Returned: summarize(m.returned)}
}

// edge gives the meter's counts as those of a client.
func (m *meter) edge(client, server string) Edge {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endAll()
	latency := summarize(m.latencies)
	return Edge{Client: client, Server: server, PID: os.Getpid(), Connections: m.connections,
		Requests: latency.Count, Unanswered: m.unanswered, Errors: m.errors,
		BytesSent: m.bytesWrote, BytesReceived: m.bytesRead, Latency: latency}
}

// meteredListener wraps what it accepts as the server's end.
type meteredListener struct {
	net.Listener
	meter *meter
}

// Accept waits for the next connection.
func (l meteredListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.meter.wrap(conn, true), nil
}
