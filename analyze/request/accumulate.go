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

// Accumulator adds batches up. It belongs to one goroutine; merge the Partials
// of several.
type Accumulator struct {
	Partial Partial

	frame   Frame
	places  Places
	pool    stat.Pool
	sockets []socket   // of the batch, by index of SocketIDs
	at      []int32    // socket index of the capture → index in sockets, -1
	slots   []int32    // cell → index in counters + 1; 0: not in the batch
	cells   []int32    // cells in the batch, by counters
	counter []*counter // cells[i]'s, reused by the next batch
	window  int32
	until   int64 // end of the window on the batch's clock
}

// New gives an empty Accumulator.
func New(frame Frame, places Places) *Accumulator {
	return &Accumulator{frame: frame, places: places}
}

// counter counts rows of one cell within one batch; what concerns windows is
// that of the current window.
type counter struct {
	sums     Stats // counts only
	requests int64
	errors   int64
	brief    stat.Builder // latencies of one message each way: upload and download are 0
	latency  stat.Builder // all others, with their parts
	upload   stat.Builder
	server   stat.Builder
	download stat.Builder
	network  stat.Builder
}

// socket is one socket of the batch.
type socket struct {
	counter *counter
	pid     int32
	end     format.ExchangeFlags // ExchangeClient or 0: the end counter is for
	stream  bool
	cross   bool // the other end is in another capture
	paired  bool // both ends are recorded
	index   int32
	pair    SocketKey
	peer    int32 // index in sockets of the other end, -1: not in the batch
	cell    int32
	shift   int64
	rows    int32 // timed requests so far
	open    bool  // last is not matched yet
	last    half
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
		c.sums.Rows++
		c.sums.RequestBytes += columns.RequestBytes[i]
		c.sums.AnswerBytes += columns.AnswerBytes[i]
		switch {
		case s.stream:
			c.sums.MessagesIn += int64(columns.RequestMessages[i])
			c.sums.MessagesOut += int64(columns.AnswerMessages[i])
		case flags&notPlain == 0 || c.classify(flags, columns.ServerNs[i]):
			c.requests++
			upload, latency, download := columns.UploadNs[i], columns.ServerNs[i], columns.DownloadNs[i]
			if upload|download == 0 {
				c.brief.Add(latency, &a.pool)
			} else {
				latency = c.addParts(upload, latency, download, &a.pool)
			}
			if s.paired {
				a.match(s, start+s.shift, latency)
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
	return latency
}

// rowsOf gives the range of rows that began within the frame.
func (a *Accumulator) rowsOf(starts []int64, offset int64) (first, last int) {
	if len(starts) == 0 {
		return 0, 0
	}
	last = len(starts)
	if starts[0]+offset < a.frame.FromNs {
		first, _ = slices.BinarySearch(starts, a.frame.FromNs-offset)
	}
	if starts[last-1]+offset >= a.frame.ToNs {
		last, _ = slices.BinarySearch(starts, a.frame.ToNs-offset)
	}
	return first, last
}

// classify counts a row that is not plain and says whether it has a latency.
func (c *counter) classify(flags format.ExchangeFlags, serverNs int64) bool {
	switch {
	case flags&format.ExchangePartial != 0:
		return false
	case flags&format.ExchangeNoRequest != 0:
		c.sums.OneWay++
		return false
	case flags&format.ExchangeNoAnswer != 0:
		c.unanswered(flags, serverNs)
		return false
	}
	if flags&format.ExchangeReset != 0 {
		c.errors++
	}
	if flags&(format.ExchangeInterleaved|format.ExchangeJoined) != 0 {
		c.requests++
		c.sums.Untimed++
		return false
	}
	return true
}

// unanswered counts a burst without an answer.
func (c *counter) unanswered(flags format.ExchangeFlags, waitedNs int64) {
	closed := flags&format.ExchangeClosed != 0 && flags&format.ExchangeOpen == 0
	failed := flags&(format.ExchangeReset|format.ExchangeServerClosed) != 0 || waitedNs >= GiveUpNs
	switch {
	case !closed:
		c.requests++
		c.sums.InFlight++
	case failed:
		c.requests++
		c.sums.Unanswered++
		c.errors++
	default:
		c.sums.OneWay++
	}
}

// match looks for the other end's record of a request.
func (a *Accumulator) match(s *socket, start, latency int64) {
	h := half{start: start, end: start + latency, pair: s.pair, cell: s.cell}
	if s.end != 0 {
		h.cell = -1
	}
	if s.cross {
		a.Partial.waiting = append(a.Partial.waiting, h)
		return
	}
	s.rows++
	if s.open && s.rows == 2 { // the first of the batch: its other end may be in an earlier one
		a.Partial.waiting = append(a.Partial.waiting, s.last)
		s.open = false
	}
	if s.end == 0 && s.peer >= 0 {
		client := &a.sockets[s.peer]
		if client.open && client.end != 0 && h.within(&client.last) {
			client.open, s.open = false, false
			s.counter.sums.Matched++
			if ns, ok := network(client.last.end-client.last.start, latency); ok {
				s.counter.network.Add(ns, &a.pool)
			} else {
				s.counter.sums.Reversed++
			}
			return
		}
	}
	s.last, s.open = h, true
}

// nextWindow closes the window and begins the one of a start time.
func (a *Accumulator) nextWindow(start, offset int64) {
	a.closeWindow()
	a.window = a.frame.Window(start + offset)
	a.until = a.frame.BaseNs + int64(a.window+1)*a.frame.WidthNs - offset
	if a.window == a.frame.Windows-1 {
		a.until = math.MaxInt64
	}
}

// closeWindow moves the window's counts from the batch's counters to the Partial.
func (a *Accumulator) closeWindow() {
	for i, cell := range a.cells {
		c := a.counter[i]
		if c.requests == 0 {
			continue
		}
		stats := a.Partial.Stats(cell)
		stats.Requests += c.requests
		w := stats.window(a.window)
		w.Requests += c.requests
		w.Errors += c.errors
		stats.Upload.Add(0, c.brief.Count())
		stats.Download.Add(0, c.brief.Count())
		c.brief.Flush(&a.pool, &w.Latency, &stats.Server)
		c.latency.Flush(&a.pool, &w.Latency)
		c.requests, c.errors = 0, 0
	}
}
