package request

import (
	"cmp"
	"slices"

	"kmon/analyze/stat"
)

const (
	// GiveUpNs is how long a client waits before its orderly close counts as
	// giving up on an answer.
	GiveUpNs = 1e9
	// PushBursts is how many one-way bursts in a segment make a stream.
	PushBursts = 3
)

// Counts is what one cell's rows add up to. Requests is the number of
// latencies and Untimed, Unanswered and InFlight.
type Counts struct {
	Rows         int64
	RequestBytes int64
	AnswerBytes  int64
	Matched      int64 // server's end: requests also seen on the client's end
	Reversed     int64 // matched, but faster for the client than for the server
	Requests     int64
	Unanswered   int64 // the connection ended without an answer
	InFlight     int64 // no answer yet when the recording ended
	WaitedNs     int64 // time that Unanswered and InFlight waited for one
	Untimed      int64 // answered, but joined late or interleaved
	OneWay       int64 // pushes, greetings and goodbyes outside of streams
	MessagesIn   int64 // of streams: in the direction of requests
	MessagesOut  int64 // of streams: in the direction of answers
}

// Stats is the counts of a cell and its distributions.
type Stats struct {
	Counts
	Upload   stat.Sketch
	Server   stat.Sketch
	Download stat.Sketch
	Network  stat.Sketch // server's end: client's latency − server's
	Windows  []Window    // sorted by Index, only those with requests or bytes
	Examples Examples
}

// Window is the requests of a cell that began within one window.
type Window struct {
	Index    int32
	Requests int64
	Errors   int64 // unanswered, or ended by a reset
	InFlight int64 // of requests, no answer yet when the recording ended
	Bytes    Bytes // of all exchanges
	Streamed Bytes // of Bytes, on streams
	Messages Messages
	Parts    Parts
	Latency  stat.Sketch
}

// Messages is what does not read as request and answer, as of Counts.
type Messages struct{ In, Out, OneWay int64 }

func (m *Messages) add(o Messages) {
	m.In += o.In
	m.Out += o.Out
	m.OneWay += o.OneWay
}

// Parts are sums of the latencies; the rest of them is the server's.
type Parts struct{ UploadNs, DownloadNs int64 }

func (p *Parts) add(o Parts) {
	p.UploadNs += o.UploadNs
	p.DownloadNs += o.DownloadNs
}

// Bytes is what went in the direction of requests, and in that of answers.
type Bytes struct{ Requests, Answers int64 }

func (b *Bytes) add(o Bytes) {
	b.Requests += o.Requests
	b.Answers += o.Answers
}

// Latency is the distribution over all windows.
func (s *Stats) Latency() stat.Sketch {
	var all stat.Sketch
	for i := range s.Windows {
		all.Merge(&s.Windows[i].Latency)
	}
	return all
}

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	c.Rows += o.Rows
	c.Requests += o.Requests
	c.Unanswered += o.Unanswered
	c.InFlight += o.InFlight
	c.WaitedNs += o.WaitedNs
	c.Untimed += o.Untimed
	c.OneWay += o.OneWay
	c.MessagesIn += o.MessagesIn
	c.MessagesOut += o.MessagesOut
	c.RequestBytes += o.RequestBytes
	c.AnswerBytes += o.AnswerBytes
	c.Matched += o.Matched
	c.Reversed += o.Reversed
}

// Merge adds all of o to s.
func (s *Stats) Merge(o *Stats) {
	s.Counts.Add(&o.Counts)
	s.Upload.Merge(&o.Upload)
	s.Server.Merge(&o.Server)
	s.Download.Merge(&o.Download)
	s.Network.Merge(&o.Network)
	s.Examples.merge(&o.Examples)
	for i := range o.Windows {
		s.window(o.Windows[i].Index).merge(&o.Windows[i])
	}
}

func (w *Window) merge(o *Window) {
	w.Requests += o.Requests
	w.Errors += o.Errors
	w.InFlight += o.InFlight
	w.Bytes.add(o.Bytes)
	w.Streamed.add(o.Streamed)
	w.Messages.add(o.Messages)
	w.Parts.add(o.Parts)
	w.Latency.Merge(&o.Latency)
}

// window gives the window with an index, adding it when it is missing.
func (s *Stats) window(index int32) *Window {
	n := len(s.Windows)
	if n > 0 && s.Windows[n-1].Index == index {
		return &s.Windows[n-1]
	}
	at, ok := slices.BinarySearchFunc(s.Windows, index, func(w Window, i int32) int { return cmp.Compare(w.Index, i) })
	if !ok {
		s.Windows = slices.Insert(s.Windows, at, Window{Index: index})
	}
	return &s.Windows[at]
}

// Place is the connection of a socket.
type Place struct {
	Paired  bool      // the other end was recorded too
	Pair    SocketKey // if Paired: of the client's end, on both ends
	Peer    int32     // the other end's index in the same capture; -1: none there
	ShiftNs int64     // added to the socket's times to compare them with its pair's
}

// Places tells where sockets and rows belong. Its methods are called
// concurrently.
type Places interface {
	// Place of a socket, by capture and index; socket -1 is not described.
	Place(capture int, socket int32) Place
	// Cell that rows of the socket count into, written by pid and ending
	// at ns (monotonic).
	Cell(capture int, socket, pid int32, ns int64, client bool) int32
}

// SocketKey names a socket of a capture.
type SocketKey struct {
	Capture int32
	ID      int64
}

// Partial is the result of some batches. With its Frame set and nothing else
// it is that of none.
type Partial struct {
	Frame   Frame
	Cells   []*Stats           // by cell; nil: no rows
	Streams map[SocketKey]bool // sockets found to be pushed to
	// Unlinked counts rows on sockets that their capture does not describe.
	Unlinked int64
	// Clocks is what requests seen on both ends tell of the clocks of captures;
	// Pair adds to it.
	Clocks  map[ClockKey]*ClockBounds
	waiting map[SocketKey]*queue // by connection
	words   int                  // size of all windows, about, in 8 bytes
	// Connections is by socket; those that are counted at their other end are
	// not in it.
	Connections map[SocketKey]*Connection
	// examples counts those of all cells; see limitExamples.
	examples, scarcity int
}

// Stats gives the stats of a cell, never nil.
func (p *Partial) Stats(cell int32) *Stats {
	for int(cell) >= len(p.Cells) {
		p.Cells = append(p.Cells, nil)
	}
	if p.Cells[cell] == nil {
		p.Cells[cell] = new(Stats)
	}
	return p.Cells[cell]
}

// Merge adds all of o to p. o must not be used afterwards.
func (p *Partial) Merge(o *Partial) {
	for p.Frame.WidthNs < o.Frame.WidthNs {
		p.widen()
	}
	for o.Frame.WidthNs < p.Frame.WidthNs {
		o.widen()
	}
	for cell, stats := range o.Cells {
		if stats != nil {
			p.Stats(int32(cell)).Merge(stats)
		}
	}
	for key := range o.Streams {
		p.addStream(key)
	}
	p.Unlinked += o.Unlinked
	p.takeWaiting(o)
	p.takeConnections(o)
	p.scarcity = max(p.scarcity, o.scarcity)
	p.halveExamples()
	p.limitExamples()
	p.measure()
	p.limit()
}

func (p *Partial) addStream(key SocketKey) {
	if p.Streams == nil {
		p.Streams = map[SocketKey]bool{}
	}
	p.Streams[key] = true
}
