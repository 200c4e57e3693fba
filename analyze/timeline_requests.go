package analyze

import (
	"cmp"
	"container/heap"
	"context"

	"kmon/analyze/replay"
	"kmon/analyze/request"
	"kmon/analyze/topology"
	"kmon/format"
)

// requests tells all exchanges.
func (l *timeline) requests(ctx context.Context) error {
	g := topology.New(l.captures, l.run.start, l.run.end)
	e := &exchangeTeller{timeline: l, namer: exchangeNamer{capture: l.capture, graph: g}, open: map[int64]openCall{}}
	e.sorted.compare = compareRequests
	for l.parts.Next() {
		if l.parts.Read {
			g.Begin()
		}
		if err := l.parts.Each(ctx, 1, func(_ int, b *replay.Batch) error { return e.add(b) }); err != nil {
			return err
		}
		if l.parts.Spent {
			g.End(l.parts.Last, func(int, int64) bool { return false })
		}
	}
	return e.sorted.drain(0, e.tell)
}

// exchangeTeller tells the exchanges of a capture.
type exchangeTeller struct {
	*timeline
	namer  exchangeNamer
	sorted inOrder[timelineRow]
	open   map[int64]openCall // client's socket → its last request
	flows  uint64
	ended  []int64 // clients' sockets, in the order they came into open
}

// timelineRow is a request with what finds its other end.
type timelineRow struct {
	TimelineRequest
	pair int64 // the client's socket of the connection; 0: only one end was recorded
}

// openCall is a request on the client's end.
type openCall struct {
	flow       uint64
	start, end int64
}

// maxOpenCalls bounds the requests that wait for their other end.
const maxOpenCalls = 1 << 16

// compareRequests orders by start; of two that begin together the client's end is
// first, then the longer.
func compareRequests(a, b *timelineRow) int {
	if c := cmp.Compare(a.StartNs, b.StartNs); c != 0 {
		return c
	}
	if a.OnClient != b.OnClient {
		if a.OnClient {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.LatencyNs(), a.LatencyNs()), cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.AnswerBytes, b.AnswerBytes))
}

// add takes the exchanges of a segment.
func (e *exchangeTeller) add(b *replay.Batch) error {
	c, pushed := b.Columns, request.Pushed(b.Columns)
	if e.options.Progress != nil {
		e.options.Progress.rows.Add(int64(len(c.StartNs)))
	}
	for i := range c.StartNs {
		if !e.within(c.StartNs[i]) || c.Flags[i]&format.ExchangePartial != 0 {
			continue
		}
		at := c.Socket[i]
		stream := e.capture.Streams[c.SocketIDs[at]] || pushed != nil && pushed[at]
		named := e.namer.row(b, i)
		if !e.wanted(named.Client, named.Server) {
			continue
		}
		heap.Push(&e.sorted, e.row(&named, b, i, exchangeKind(c.Flags[i], c.ServerNs[i], stream)))
		if err := e.sorted.drain(timelineRows, e.tell); err != nil {
			return err
		}
	}
	return nil
}

// row makes a request of a named exchange.
func (e *exchangeTeller) row(n *NamedExchange, b *replay.Batch, i int, kind TimelineKind) timelineRow {
	start := b.Columns.StartNs[i]
	owner := int32(-1)
	if n.PID != 0 {
		owner = e.capture.Owners.At(n.PID, start+n.LatencyNs)
	}
	row := timelineRow{TimelineRequest: TimelineRequest{
		Thread: e.thread(n.PID, n.TID, owner), OnClient: n.Role == "client", Kind: kind,
		StartNs: start, UploadNs: n.UploadNs, ServerNs: n.ServerNs, DownloadNs: n.DownloadNs,
		Client: n.Client, Server: n.Server, ServerPort: n.ServerPort, Peer: n.RemoteAddr, PeerPort: n.RemotePort,
		Socket: n.SocketID, RequestBytes: n.RequestBytes, AnswerBytes: n.AnswerBytes,
		RequestMessages: n.RequestMessages, AnswerMessages: n.AnswerMessages, Flags: (b.Columns.Flags[i] &^ format.ExchangeClient).String(),
	}}
	if link := e.namer.graph.Link(0, b.Sockets[b.Columns.Socket[i]]); link.Paired && kind == TimelineAnswered {
		row.pair = link.ID
	}
	return row
}

// exchangeKind says what an exchange is, as package request counts it.
func exchangeKind(flags format.ExchangeFlags, waitedNs int64, stream bool) TimelineKind {
	switch {
	case stream:
		return TimelineStream
	case flags&format.ExchangeNoRequest != 0:
		return TimelineOneWay
	case flags&format.ExchangeNoAnswer != 0:
		closed := flags&format.ExchangeClosed != 0 && flags&format.ExchangeOpen == 0
		failed := flags&(format.ExchangeReset|format.ExchangeServerClosed) != 0 || waitedNs >= request.GiveUpNs
		if closed && !failed {
			return TimelineOneWay
		}
		return TimelineUnanswered
	case flags&(format.ExchangeInterleaved|format.ExchangeJoined) != 0:
		return TimelineUntimed
	}
	return TimelineAnswered
}

// tell tells a request, with the flow of its other end: the client's last on the
// connection, if the middle of the server's lies in it.
func (e *exchangeTeller) tell(row *timelineRow) error {
	start, end := row.StartNs, row.StartNs+row.LatencyNs()
	switch {
	case row.pair == 0:
	case row.OnClient:
		e.flows++
		row.Flow = e.flows
		e.remember(row.pair, openCall{row.Flow, start, end})
	default:
		middle := start + (end-start)/2
		if call, ok := e.open[row.pair]; ok && call.start <= middle && middle <= call.end {
			row.Flow = call.flow
			call.end = call.start - 1 // taken
			e.open[row.pair] = call
		}
	}
	return e.to.Request(&row.TimelineRequest)
}

// remember keeps a call, of too many the last.
func (e *exchangeTeller) remember(pair int64, call openCall) {
	if _, known := e.open[pair]; !known {
		if len(e.ended) >= maxOpenCalls {
			delete(e.open, e.ended[0])
			e.ended = e.ended[1:]
		}
		e.ended = append(e.ended, pair)
	}
	e.open[pair] = call
}

// inOrder gives rows back in order, as far as it may hold them.
type inOrder[T any] struct {
	list    []T
	compare func(a, b *T) int
}

func (o *inOrder[T]) Len() int           { return len(o.list) }
func (o *inOrder[T]) Less(i, j int) bool { return o.compare(&o.list[i], &o.list[j]) < 0 }
func (o *inOrder[T]) Swap(i, j int)      { o.list[i], o.list[j] = o.list[j], o.list[i] }
func (o *inOrder[T]) Push(x any)         { o.list = append(o.list, x.(T)) }

func (o *inOrder[T]) Pop() any {
	last := len(o.list) - 1
	x := o.list[last]
	o.list = o.list[:last]
	return x
}

// drain hands the first rows to fn until most are left.
func (o *inOrder[T]) drain(most int, fn func(*T) error) error {
	for len(o.list) > most {
		x := heap.Pop(o).(T)
		if err := fn(&x); err != nil {
			return err
		}
	}
	return nil
}
