package breakdown

import (
	"kmon/analyze/replay"
	"kmon/format"
)

const (
	handedOver = format.ExchangeHandedOver
	// notTimed are the flags of rows that are no request with a latency. One that a
	// reset ended has one: its answer came too late for who asked.
	notTimed = format.ExchangePartial | format.ExchangeNoRequest | format.ExchangeNoAnswer |
		format.ExchangeInterleaved | format.ExchangeStream | format.ExchangeJoined
	// givenUp are the flags by which to tell a call that ended without an answer.
	givenUp = format.ExchangeClient | format.ExchangeNoAnswer | format.ExchangeClosed | format.ExchangeOpen
)

// Places tells where rows belong. Its methods are called concurrently.
type Places interface {
	// Cell that rows of the socket count in, as for package request.
	Cell(capture int, socket, pid int32, ns int64, client bool) int32
	// Instance that rows of a cell are of.
	Instance(cell int32) int32
}

// Joins are the Joins of all captures and the processes that make calls.
type Joins struct {
	list  []*Join
	calls []map[int32]bool // capture → process that asks others
}

// NewJoins is for so many captures.
func NewJoins(captures int) *Joins {
	j := &Joins{}
	for range captures {
		j.list = append(j.list, NewJoin(captures))
		j.calls = append(j.calls, map[int32]bool{})
	}
	return j
}

// Learn looks for processes that ask others among the sockets of the part at hand.
func (j *Joins) Learn(c *replay.Capture) {
	for i := range c.Sockets.List {
		if s := &c.Sockets.List[i]; s.Client() {
			j.calls[c.Index][s.PID] = true
		}
	}
}

// asks says whether a process may ask others; one of which no socket tells may.
func (j *Joins) asks(capture int, pid int32) bool {
	return j.calls[capture][pid] || j.calls[capture][0]
}

// End ends a part, which had the batches of a capture below the given number.
func (j *Joins) End(c *replay.Capture) { j.list[c.Index].SkipTo(c.Taken()) }

// Sums gives what all Joins found, and ends them.
func (j *Joins) Sums() *Sums {
	all := new(Sums)
	for _, join := range j.list {
		all.Merge(join.Sums())
	}
	return all
}

// Counter counts batches. It belongs to one goroutine.
type Counter struct {
	Sums    Sums // of requests that need no Join
	windows replay.Windows
	places  Places
	joins   *Joins
	sockets []socket
	rows    rows // of the batch at hand
}

// socket is one socket of the batch, as of its latest row.
type socket struct {
	pid    int32
	client format.ExchangeFlags
	place  int32 // cell of a client's end, instance of a server's
	known  bool
	joined bool // its process asks others
	stream bool
}

// NewCounter counts what began within the windows.
func NewCounter(w replay.Windows, places Places, joins *Joins) *Counter {
	return &Counter{windows: w, places: places, joins: joins}
}

// Add counts the rows of a batch.
func (c *Counter) Add(b *replay.Batch) {
	join := c.joins.list[b.Capture.Index]
	c.rows = join.room()
	if c.worth(b) {
		c.read(b)
	}
	join.add(b.Number, c.rows)
}

// worth says whether a batch tells anything: threads were recorded, or processes
// ask others.
func (c *Counter) worth(b *replay.Batch) bool {
	if len(c.joins.calls[b.Capture.Index]) > 0 {
		return true
	}
	for _, flags := range b.Columns.Flags {
		if flags&(format.ExchangeAccounted|format.ExchangeHandedOver) != 0 {
			return true
		}
	}
	return false
}

// read takes the rows.
func (c *Counter) read(b *replay.Batch) {
	columns := b.Columns
	c.begin(b)
	for i, flags := range columns.Flags {
		end := columns.StartNs[i] + columns.UploadNs[i] + columns.ServerNs[i] + columns.DownloadNs[i]
		c.rows.endNs = max(c.rows.endNs, end)
		s := &c.sockets[columns.Socket[i]]
		if flags&givenUp == givenUp&^format.ExchangeOpen { // the caller waited all the same
			flags &^= format.ExchangeNoAnswer
		}
		if flags&notTimed != 0 || s.stream || !c.windows.Holds(columns.StartNs[i]+b.Capture.OffsetNs) {
			continue
		}
		client := flags & format.ExchangeClient
		if !s.known || columns.PID[i] != s.pid || client != s.client {
			c.enter(b, s, columns.Socket[i], columns.PID[i], client, end)
		}
		switch {
		case client == 0:
			c.request(b, s, i, end)
		case s.joined:
			c.rows.calls = append(c.rows.calls, Call{StartNs: columns.StartNs[i], EndNs: end, Cell: s.place, PID: s.pid, TID: columns.TID[i]})
		}
	}
}

// begin prepares the sockets of a batch.
func (c *Counter) begin(b *replay.Batch) {
	c.sockets = c.sockets[:0]
	for _, id := range b.Columns.SocketIDs {
		c.sockets = append(c.sockets, socket{stream: b.Capture.Streams[id]})
	}
}

// enter finds where rows of a socket belong that another process wrote than those
// before, or that are of the other end.
func (c *Counter) enter(b *replay.Batch, s *socket, number, pid int32, client format.ExchangeFlags, endNs int64) {
	s.pid, s.client, s.known = pid, client, true
	s.joined = c.joins.asks(b.Capture.Index, pid)
	if client != 0 && !s.joined {
		return
	}
	s.place = c.places.Cell(b.Capture.Index, b.Sockets[number], pid, endNs, client != 0)
	if client == 0 {
		s.place = c.places.Instance(s.place)
	}
}

// request takes row i, of a server's end.
func (c *Counter) request(b *replay.Batch, s *socket, i int, endNs int64) {
	columns := b.Columns
	r := Request{
		StartNs: columns.StartNs[i], EndNs: endNs, Instance: s.place, Window: c.windows.Of(columns.StartNs[i] + b.Capture.OffsetNs),
		PID: s.pid, TID: columns.TID[i], Flags: columns.Flags[i],
	}
	if r.accounted() {
		r.Waits = [waits]int64{
			columns.RunQueueNs[i], columns.LockNs[i], columns.DiskNs[i],
			columns.SleepNs[i], columns.OtherWaitNs[i], columns.NetworkNs[i],
		}
	}
	if s.joined {
		c.rows.requests = append(c.rows.requests, r)
		return
	}
	parts, _ := r.split(0, false)
	c.Sums.add(&r, &parts, nil)
}
