package request

import (
	"slices"

	"kmon/analyze/replay"
	"kmon/format"
)

// begin prepares the sockets of a batch.
func (a *Accumulator) begin(b *replay.Batch) {
	for len(a.at) < len(b.Capture.Sockets.List) {
		a.at = append(a.at, -1)
	}
	a.sockets, a.capture = a.sockets[:0], int32(b.Capture.Index)
	for i, index := range b.Sockets {
		s := socket{index: index, peer: -1, stream: b.Capture.Streams[b.Columns.SocketIDs[i]]}
		if index >= 0 {
			a.at[index] = int32(len(a.sockets))
		}
		a.sockets = append(a.sockets, s)
	}
	for i := range a.sockets {
		a.link(b, &a.sockets[i])
	}
	a.findPushed(b)
}

// link finds the other end of a socket.
func (a *Accumulator) link(b *replay.Batch, s *socket) {
	place := a.places.Place(b.Capture.Index, s.index)
	if !place.Paired {
		return
	}
	s.paired, s.pair, s.shift = true, place.Pair, place.ShiftNs
	s.cross = place.Peer < 0
	if !s.cross {
		s.peer = a.at[place.Peer]
	}
}

// findPushed labels sockets that are mostly pushed to in this batch.
func (a *Accumulator) findPushed(b *replay.Batch) {
	for i, pushed := range Pushed(b.Columns) {
		if s := &a.sockets[i]; pushed && !s.stream {
			s.stream = true
			a.partial.addStream(SocketKey{int32(b.Capture.Index), b.Columns.SocketIDs[i]})
		}
	}
}

// Pushed says, by index of SocketIDs, which sockets are mostly pushed to in a
// batch, so that nothing on them is a request; nil: none.
func Pushed(c *format.ExchangeColumns) []bool {
	var any format.ExchangeFlags
	for _, flags := range c.Flags {
		any |= flags
	}
	if any&format.ExchangeNoRequest == 0 {
		return nil
	}
	pushes, requests := make([]int32, len(c.SocketIDs)), make([]int32, len(c.SocketIDs))
	for i, flags := range c.Flags {
		switch {
		case flags&format.ExchangePartial != 0:
		case flags&format.ExchangeNoRequest != 0:
			pushes[c.Socket[i]]++
		default:
			requests[c.Socket[i]]++
		}
	}
	pushed := make([]bool, len(c.SocketIDs))
	for i := range pushed {
		pushed[i] = pushes[i] >= PushBursts && pushes[i] > requests[i]
	}
	return pushed
}

// enter finds the counter for row i of a socket, written by another process
// or on another end than the rows before.
func (a *Accumulator) enter(b *replay.Batch, s *socket, i int) {
	c := b.Columns
	s.pid, s.end = c.PID[i], c.Flags[i]&format.ExchangeClient
	s.listed = s.index >= 0 && (!s.paired || s.end == 0)
	ended := c.StartNs[i] + c.UploadNs[i] + c.ServerNs[i] + c.DownloadNs[i]
	s.counter = a.counterOf(a.places.Cell(b.Capture.Index, s.index, s.pid, ended, s.end != 0))
	if !s.counter.active {
		s.counter.active = true
		a.active = append(a.active, s.counter)
	}
}

// counterOf gives the counter of a cell.
func (a *Accumulator) counterOf(cell int32) *counter {
	for int(cell) >= len(a.counters) {
		a.counters = append(a.counters, nil)
	}
	if a.counters[cell] == nil {
		a.counters[cell] = &counter{cell: cell}
	}
	return a.counters[cell]
}

// end closes the batch.
func (a *Accumulator) end(b *replay.Batch) {
	a.closeWindow()
	a.countUnlinked(b)
	a.countConnections(b)
	for i := range a.sockets {
		s := &a.sockets[i]
		if s.waits {
			a.wait(s, s.last)
		}
		if s.index >= 0 {
			a.at[s.index] = -1
		}
	}
	for _, c := range a.active {
		c.active = false
	}
	a.active = a.active[:0]
	a.partial.limit()
	a.partial.limitExamples()
	a.counted += int64(len(b.Columns.StartNs))
	if a.pool.Bytes() > maxCounterBytes || len(a.counters) > maxCounters || a.counted > maxCounted {
		a.flush()
	}
}

// countUnlinked counts the rows of sockets that the capture does not describe.
func (a *Accumulator) countUnlinked(b *replay.Batch) {
	if !slices.Contains(b.Sockets, -1) {
		return
	}
	for _, socket := range b.Columns.Socket {
		if b.Sockets[socket] < 0 {
			a.partial.Unlinked++
		}
	}
}
