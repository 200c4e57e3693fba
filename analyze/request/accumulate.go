package request

import (
	"math"
	"slices"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

// notPlain are the flags of rows that are not simply an answered request.
const notPlain = format.ExchangePartial | format.ExchangeNoRequest | format.ExchangeNoAnswer |
	format.ExchangeInterleaved | format.ExchangeJoined | format.ExchangeReset

// maxCounterBytes and maxCounters bound the memory of an Accumulator's dense
// counters: a counter itself is about 3 KB.
const (
	maxCounterBytes = 16 << 20
	maxCounters     = 4096
	// maxCounted keeps the counters from overflowing.
	maxCounted = 1 << 31
)

// Accumulator adds batches up. It belongs to one goroutine; merge the Partials
// of several.
type Accumulator struct {
	partial  Partial
	places   Places
	pool     stat.Pool
	sockets  []socket   // of the batch, by index of SocketIDs
	at       []int32    // socket index of the capture → index in sockets, -1
	counters []*counter // by cell; nil: no rows yet
	active   []*counter // with rows in the batch
	timed    []timed    // of the batch: latencies of connections that are told of
	sorted   []int64    // those of timed, by socket
	lines    stat.Builder
	counted  int64 // rows since the last flush
	capture  int32 // of the batch
	window   int32
	until    int64 // end of the window on the batch's clock
}

// maxAlone bounds the records of a run that wait: twice what a batch of the
// kernel holds, which is one a CPU (BATCH_RECORDS).
const maxAlone = 32

// New gives an empty Accumulator.
func New(frame Frame, places Places) *Accumulator {
	return &Accumulator{partial: Partial{Frame: frame}, places: places}
}

// Drain moves the pairs that wait, the streams found and the connections to p,
// between parts.
func (a *Accumulator) Drain(p *Partial) {
	p.takeWaiting(&a.partial)
	for key := range a.partial.Streams {
		p.addStream(key)
	}
	a.partial.Streams = nil
	p.takeConnections(&a.partial)
}

// Partial gives what was added up so far, and empties the Accumulator.
func (a *Accumulator) Partial() *Partial {
	a.flush()
	p := a.partial
	a.partial = Partial{Frame: p.Frame}
	return &p
}

// counter counts the rows of one cell. Counts but Requests, InFlight and bytes, and
// the parts of latencies, are of all batches since the last flush; the others are
// of the current window. What most rows touch comes first, to be in one cache line.
type counter struct {
	requests int64
	errors   int64
	cell     int32
	active   bool  // has rows in the batch
	bytes    Bytes // of all rows
	Counts
	inFlight int64
	streamed Bytes // of bytes, on streams
	parts    Parts
	told     Messages // of Counts, those of windows that are closed
	drawing
	brief    stat.Builder // latencies of one message each way: upload and download are 0
	latency  stat.Builder // all others, with their parts
	upload   stat.Builder
	server   stat.Builder
	download stat.Builder
	network  stat.Builder
}

// socket is one socket of the batch. Its client's record waits in start and
// end for the server's.
type socket struct {
	counter *counter
	pid     int32
	end     format.ExchangeFlags // ExchangeClient or 0: the end counter is for
	stream  bool
	cross   bool  // the other end is in another capture
	paired  bool  // both ends are recorded
	waits   bool  // last is not matched yet
	listed  bool  // its connection is told of at this end
	alone   int32 // records that were not matched since the last that was
	peer    int32 // index in sockets of the other end, -1: not in the batch
	index   int32
	last    span
	shift   int64
	pair    SocketKey
	queue   *queue // pair's, once something waits
	sums    connectionSums
}

// Add counts the rows of a batch.
func (a *Accumulator) Add(b *replay.Batch) {
	offset := b.Capture.OffsetNs
	first, last := a.rowsOf(b.Columns.StartNs, offset)
	if first >= last {
		return
	}
	a.begin(b)
	a.window, a.until = -1, math.MinInt64
	columns := b.Columns
	for i := first; i < last; i++ {
		start := columns.StartNs[i]
		if start >= a.until {
			a.nextWindow(start, offset)
		}
		s := &a.sockets[columns.Socket[i]]
		flags := columns.Flags[i]
		if columns.PID[i] != s.pid || flags&format.ExchangeClient != s.end || s.counter == nil {
			a.enter(b, s, i)
		}
		c := s.counter
		c.Rows++
		c.bytes.Requests += columns.RequestBytes[i]
		c.bytes.Answers += columns.AnswerBytes[i]
		s.sums.bytes.Requests += columns.RequestBytes[i]
		s.sums.bytes.Answers += columns.AnswerBytes[i]
		s.sums.last = i
		switch {
		case s.stream:
			c.streamed.Requests += columns.RequestBytes[i]
			c.streamed.Answers += columns.AnswerBytes[i]
			c.MessagesIn += int64(columns.RequestMessages[i])
			c.MessagesOut += int64(columns.AnswerMessages[i])
		case flags&notPlain == 0 || c.classify(flags, columns.ServerNs[i], &s.sums):
			c.requests++
			upload, latency, download := columns.UploadNs[i], columns.ServerNs[i], columns.DownloadNs[i]
			if upload|download == 0 {
				c.brief.Add(latency, &a.pool)
			} else {
				latency = c.addParts(upload, latency, download, &a.pool)
			}
			if c.wants(start, latency) {
				a.keep(b, s, i)
			}
			if s.listed {
				a.timed = append(a.timed, timed{columns.Socket[i], latency})
			}
			if s.paired {
				a.match(s, span{start + s.shift, start + s.shift + latency})
			}
		}
	}
	a.end(b)
}

// addParts counts the parts of a request of several messages and gives its
// latency.
func (c *counter) addParts(upload, server, download int64, p *stat.Pool) int64 {
	latency := upload + server + download
	c.latency.Add(latency, p)
	c.upload.Add(upload, p)
	c.server.Add(server, p)
	c.download.Add(download, p)
	c.parts.add(Parts{upload, download})
	return latency
}

// rowsOf gives the range of rows that began within the frame.
func (a *Accumulator) rowsOf(starts []int64, offset int64) (first, last int) {
	if len(starts) == 0 {
		return 0, 0
	}
	last = len(starts)
	if starts[0]+offset < a.partial.Frame.FromNs {
		first, _ = slices.BinarySearch(starts, a.partial.Frame.FromNs-offset)
	}
	if starts[last-1]+offset >= a.partial.Frame.ToNs {
		last, _ = slices.BinarySearch(starts, a.partial.Frame.ToNs-offset)
	}
	return first, last
}

// classify counts a row that is not plain and says whether it has a latency.
func (c *counter) classify(flags format.ExchangeFlags, serverNs int64, sums *connectionSums) bool {
	switch {
	case flags&format.ExchangePartial != 0:
		return false
	case flags&format.ExchangeNoRequest != 0:
		c.OneWay++
		return false
	case flags&format.ExchangeNoAnswer != 0:
		c.unanswered(flags, serverNs, sums)
		return false
	}
	if flags&format.ExchangeReset != 0 {
		c.errors++
		sums.errors++
	}
	if flags&(format.ExchangeInterleaved|format.ExchangeJoined) != 0 {
		c.requests++
		c.Untimed++
		sums.untimed++
		return false
	}
	return true
}

// unanswered counts a burst without an answer.
func (c *counter) unanswered(flags format.ExchangeFlags, waitedNs int64, sums *connectionSums) {
	closed := flags&format.ExchangeClosed != 0 && flags&format.ExchangeOpen == 0
	failed := flags&(format.ExchangeReset|format.ExchangeServerClosed) != 0 || waitedNs >= GiveUpNs
	switch {
	case !closed:
		c.requests++
		c.inFlight++
		sums.untimed++
		c.WaitedNs += max(waitedNs, 0)
	case failed:
		c.requests++
		c.Unanswered++
		c.WaitedNs += max(waitedNs, 0)
		c.errors++
		sums.untimed++
		sums.errors++
	default:
		c.OneWay++
	}
}

// match looks for the other end's record of a request. Of each run of records
// that find none some wait for other batches: where one segment ends and the
// next begins, the two ends differ by what waits in the kernel for each CPU.
func (a *Accumulator) match(s *socket, record span) {
	if s.cross {
		a.wait(s, record)
		return
	}
	if s.waits && s.alone < maxAlone {
		s.alone++
		a.wait(s, s.last)
		s.waits = false
	}
	if s.end == 0 && s.peer >= 0 {
		client := &a.sockets[s.peer]
		if client.waits && client.end != 0 && record.within(client.last) {
			client.waits, s.waits = false, false
			client.alone, s.alone = 0, 0
			s.counter.Matched++
			if ns, ok := network(client.last, record); ok {
				s.counter.network.Add(ns, &a.pool)
			} else {
				s.counter.Reversed++
			}
			return
		}
	}
	s.last, s.waits = record, true
}

// wait keeps a socket's record for other batches.
func (a *Accumulator) wait(s *socket, record span) {
	if s.queue == nil {
		s.queue = a.partial.waitingOf(s.pair)
	}
	if s.end != 0 {
		s.queue.clients = append(s.queue.clients, record)
		return
	}
	s.queue.servers = append(s.queue.servers, served{record, s.counter.cell})
	s.queue.served, s.queue.capture, s.queue.shift = true, a.capture, s.shift
}

// nextWindow closes the window and begins the one of a start time.
func (a *Accumulator) nextWindow(start, offset int64) {
	a.closeWindow()
	a.window = a.partial.Frame.Window(start + offset)
	a.until = a.partial.Frame.BaseNs + int64(a.window+1)*a.partial.Frame.WidthNs - offset
	if a.window == a.partial.Frame.Windows-1 {
		a.until = math.MaxInt64
	}
}

// closeWindow moves the window's counts to the Partial.
func (a *Accumulator) closeWindow() {
	for _, c := range a.active {
		messages := c.newMessages()
		if c.requests == 0 && c.bytes == (Bytes{}) && messages == (Messages{}) {
			continue
		}
		stats := a.partial.Stats(c.cell)
		stats.Requests += c.requests
		stats.InFlight += c.inFlight
		stats.RequestBytes += c.bytes.Requests
		stats.AnswerBytes += c.bytes.Answers
		windows := len(stats.Windows)
		w := stats.window(a.window)
		a.partial.words += windowWords*(len(stats.Windows)-windows) - w.Latency.Size()
		w.Requests += c.requests
		w.Errors += c.errors
		w.InFlight += c.inFlight
		w.Bytes.add(c.bytes)
		w.Streamed.add(c.streamed)
		w.Messages.add(messages)
		w.Parts.add(c.parts)
		c.requests, c.errors, c.inFlight, c.bytes, c.streamed, c.parts = 0, 0, 0, Bytes{}, Bytes{}, Parts{}
		c.upload.AddZeros(c.brief.Count(), &a.pool)
		c.download.AddZeros(c.brief.Count(), &a.pool)
		c.brief.AddTo(&c.server, &a.pool)
		c.latency.AddTo(&c.brief, &a.pool)
		c.latency.Reset(&a.pool)
		c.brief.Flush(&w.Latency, &a.pool)
		a.partial.words += w.Latency.Size()
	}
}

// newMessages gives those of the window that ends.
func (c *counter) newMessages() Messages {
	all := Messages{c.MessagesIn, c.MessagesOut, c.OneWay}
	fresh := Messages{all.In - c.told.In, all.Out - c.told.Out, all.OneWay - c.told.OneWay}
	c.told = all
	return fresh
}

// flush moves all counters to the Partial.
func (a *Accumulator) flush() {
	for _, c := range a.counters {
		if c == nil {
			continue
		}
		stats := a.partial.Stats(c.cell)
		stats.Counts.Add(&c.Counts)
		c.upload.Flush(&stats.Upload, &a.pool)
		c.server.Flush(&stats.Server, &a.pool)
		c.download.Flush(&stats.Download, &a.pool)
		c.network.Flush(&stats.Network, &a.pool)
	}
	a.counters, a.counted = a.counters[:0], 0
}
