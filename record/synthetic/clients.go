package synthetic

import "math"

// loadName is the service that asks the first one.
const loadName = "clients"

// maxOpen is how many requests the clients have open to one instance; while all
// have as many they ask for nothing.
const maxOpen = 128

// clientNs is the CPU time of a request at the client.
const clientNs = 20e3

// clients is those who ask: one process that has a connection for each request
// it waits for.
type clients struct {
	w       *world
	as      *instance
	free    map[*instance][]*conn
	threads []*thread
	turn    int
}

func newClients(w *world, at *node) *clients {
	s := &service{spec: Service{Name: loadName, Workers: 0}, slow: 1}
	c := &clients{w: w, as: newInstance(w, s, 0, at), free: map[*instance][]*conn{}}
	for range 4 {
		t := c.as.process.thread(loadName)
		t.block(codeIdle)
		c.threads = append(c.threads, t)
	}
	return c
}

// arrive makes a request and decides when the next comes.
func (c *clients) arrive() {
	w := c.w
	rate := w.s.Rate * w.surge * w.pattern()
	w.after(int64(min(w.rng.ExpFloat64()/rate, 1)*1e9), c.arrive)
	target := c.as.choose(w.services[0])
	if c.as.open[target] >= maxOpen {
		return
	}
	conn := c.take(target)
	conn.thread.wake()
	conn.thread.block(codeIdle)
	conn.thread.account.onCPUNs += int64(clientNs * w.scale)
	conn.thread.account.slices++
	conn.thread.account.voluntary++
	conn.send(func(bool) {
		if !conn.closed {
			c.free[target] = append(c.free[target], conn)
		}
	})
}

// take gives a free connection, or opens one.
func (c *clients) take(target *instance) *conn {
	list := c.free[target]
	for len(list) > 0 {
		conn := list[len(list)-1]
		list = list[:len(list)-1]
		if !conn.closed {
			c.free[target] = list
			return conn
		}
	}
	c.free[target] = list
	c.turn++
	return c.w.connect(c.as, c.threads[c.turn%len(c.threads)], target)
}

// pattern is the factor of the rate at present.
func (w *world) pattern() float64 {
	factor := w.steady
	if w.s.has("diurnal") {
		factor *= 1 - 0.5*math.Cos(2*math.Pi*float64(w.nowNs)/float64(w.endNs))
	}
	return factor
}
