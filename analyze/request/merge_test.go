package request

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/replay"
	"kmon/format"
)

// fixed puts socket i into cell i/2 (its connection) times two plus its end;
// even sockets are clients, odd their servers.
type fixed struct{}

func (fixed) Place(_ int, socket int32) Place {
	return Place{Paired: true, Pair: SocketKey{ID: int64(socket / 2)}, Peer: socket ^ 1}
}

func (fixed) Cell(_ int, socket, _ int32, _ int64, _ bool) int32 { return socket }

var frame = Frame{FromNs: -1 << 62, ToNs: 1 << 62, WidthNs: 1e6, Windows: 20, MaxWords: 1 << 20}

// batches gives n successive segments of some connections, the two ends'
// records of a request often in different ones.
func batches(seed uint64, n int) []*replay.Batch {
	const connections = 4
	r := rand.New(rand.NewPCG(seed, 5))
	capture := &replay.Capture{Sockets: &replay.Sockets{List: make([]replay.Socket, 2*connections)}}
	columns := make([]*format.ExchangeColumns, n)
	for i := range columns {
		columns[i] = &format.ExchangeColumns{SocketIDs: []int64{0, 1, 2, 3, 4, 5, 6, 7}}
	}
	now := int64(0)
	for range 60 * n {
		now += 50_000
		connection := r.IntN(connections)
		wait := r.Int64N(20_000)
		at := min(int(now/(50_000*60)), n-1)
		for end := range 2 { // the client's record, then the server's
			c := columns[min(at+r.IntN(2)*r.IntN(2), n-1)]
			flags := []format.ExchangeFlags{0, 0, 0, 0, format.ExchangeInterleaved, format.ExchangeNoRequest}[r.IntN(6)]
			c.Socket = append(c.Socket, int32(2*connection+end))
			c.StartNs = append(c.StartNs, now+int64(end)*1000)
			c.UploadNs = append(c.UploadNs, 0)
			c.ServerNs = append(c.ServerNs, wait+int64(1-end)*3000)
			c.DownloadNs = append(c.DownloadNs, r.Int64N(2)*500)
			c.RequestBytes = append(c.RequestBytes, 1)
			c.AnswerBytes = append(c.AnswerBytes, 2)
			c.RequestMessages = append(c.RequestMessages, 1)
			c.AnswerMessages = append(c.AnswerMessages, 1)
			c.PID, c.TID = append(c.PID, int32(end)), append(c.TID, int32(connection))
			c.Flags = append(c.Flags, flags|format.ExchangeFlags(1-end))
		}
	}
	var list []*replay.Batch
	for _, c := range columns {
		list = append(list, &replay.Batch{Capture: capture, Columns: c, Sockets: []int32{0, 1, 2, 3, 4, 5, 6, 7}})
	}
	return list
}

// Any order and any partition of the batches adds up to the same: requests,
// distributions, windows, and pairs whose two records are batches apart.
func TestMergeInAnyOrder(t *testing.T) {
	for seed := range uint64(12) {
		list := batches(seed, 12)
		frame := frame
		if seed > 5 { // so little memory that windows must become wider
			frame.MaxWords = 1000 + 300*int(seed-6)
		}
		if seed%2 == 1 { // and examples fewer
			frame.MaxExamples = 20 + 30*int(seed)
		}
		all := New(frame, fixed{})
		for _, b := range list {
			all.Add(b)
		}
		want := all.Partial()
		want.Pair()
		r := rand.New(rand.NewPCG(seed, 6))
		for range 20 {
			parts := make([]*Accumulator, 1+r.IntN(5))
			for i := range parts {
				parts[i] = New(frame, fixed{})
			}
			for _, i := range r.Perm(len(list)) {
				parts[r.IntN(len(parts))].Add(list[i])
			}
			got := Partial{Frame: frame}
			for _, i := range r.Perm(len(parts)) {
				got.Merge(parts[i].Partial())
			}
			got.Pair()
			if !reflect.DeepEqual(got.Cells, want.Cells) || got.Frame != want.Frame || !reflect.DeepEqual(got.Streams, want.Streams) || !sameWaiting(got.waiting, want.waiting) ||
				!reflect.DeepEqual(got.Connections, want.Connections) {
				t.Fatalf("seed %d: another order gives another result", seed)
			}
		}
		if widened := want.Frame.WidthNs > frame.WidthNs; widened != (seed > 5) {
			t.Errorf("seed %d: windows are %d ns wide", seed, want.Frame.WidthNs)
		}
		matched, network := int64(0), int64(0)
		for _, s := range want.Cells {
			matched += s.Matched
			network = max(network, s.Network.Max())
		}
		if matched < 100 || network < 2000 || network > 4000 {
			t.Errorf("seed %d: %d matched, network at most %d: the batches test little", seed, matched, network)
		}
	}
}

// sameWaiting compares what waits; empty lists may be nil or not.
func sameWaiting(a, b map[SocketKey]*queue) bool {
	for key, q := range a {
		o := b[key]
		if o == nil || !slices.Equal(q.clients, o.clients) || !slices.Equal(q.servers, o.servers) {
			return false
		}
	}
	return len(a) == len(b)
}

// Counters that are flushed early, because they take much memory, lose nothing.
func TestFlushBetweenBatches(t *testing.T) {
	list := batches(1, 6)
	whole, flushed := New(frame, fixed{}), New(frame, fixed{})
	for _, b := range list {
		whole.Add(b)
		flushed.Add(b)
		flushed.flush()
	}
	got, want := flushed.Partial(), whole.Partial()
	if !reflect.DeepEqual(got.Cells, want.Cells) {
		t.Error("flushing after each batch gives another result")
	}
}

func TestNetworkWithinClockPrecision(t *testing.T) {
	tests := []struct {
		client, server int64
		want           int64
		ok             bool
	}{
		{3000, 2000, 1000, true},
		{3000, 3000, 0, true},
		{3000, 4000, 0, true}, // 1 µs is within the clocks' precision
		{3000, 4001, 0, false},
		{1e9, 1e9 + 101_000, 0, true}, // so are 100 ppm
		{1e9, 1e9 + 102_000, 0, false},
	}
	for _, test := range tests {
		got, ok := network(span{0, test.client}, span{0, test.server})
		if got != test.want || ok != test.ok {
			t.Errorf("client %d, server %d: %d, %v, want %d, %v", test.client, test.server, got, ok, test.want, test.ok)
		}
	}
}

// Windows made wider are as if counted into wide windows from the start.
func TestWiden(t *testing.T) {
	list := batches(3, 6)
	narrow := frame
	narrow.BaseNs = 1e6 // odd: the first wide window begins before it
	count := func(f Frame) *Partial {
		a := New(f, fixed{})
		for _, b := range list {
			a.Add(b)
		}
		return a.Partial()
	}
	got, want := count(narrow), count(narrow.wider())
	got.widen()
	if got.Frame != want.Frame || want.Frame.BaseNs != 0 || want.Frame.Windows != 11 || got.words != want.words || !reflect.DeepEqual(got.Cells, want.Cells) {
		t.Errorf("widened to %+v, %d words, want %+v, %d words", got.Frame, got.words, want.Frame, want.words)
	}
}

// The kernel gathers a CPU's records before it hands them on, so the rows of one
// end may be in the next segment for many requests in a row.
func TestEndsAreMatchedAcrossSegments(t *testing.T) {
	const requests, behind = 100, 20
	capture := &replay.Capture{Sockets: &replay.Sockets{List: make([]replay.Socket, 2)}}
	columns := []*format.ExchangeColumns{{SocketIDs: []int64{0, 1}}, {SocketIDs: []int64{0, 1}}}
	add := func(segment int, start int64, socket int32) {
		c := columns[segment]
		c.Socket = append(c.Socket, socket)
		c.StartNs = append(c.StartNs, start+1000*int64(socket))
		c.ServerNs = append(c.ServerNs, 10_000-2000*int64(socket))
		c.UploadNs, c.DownloadNs = append(c.UploadNs, 0), append(c.DownloadNs, 0)
		c.RequestBytes, c.AnswerBytes = append(c.RequestBytes, 1), append(c.AnswerBytes, 1)
		c.RequestMessages, c.AnswerMessages = append(c.RequestMessages, 1), append(c.AnswerMessages, 1)
		c.PID, c.TID = append(c.PID, socket), append(c.TID, socket)
		c.Flags = append(c.Flags, format.ExchangeFlags(1-socket))
	}
	for i := range requests {
		client, server := 2*i/requests, 2*(i+behind)/requests
		add(client, int64(i)*50_000, 0)
		add(min(server, 1), int64(i)*50_000, 1)
	}
	a := New(frame, fixed{})
	for _, c := range columns {
		a.Add(&replay.Batch{Capture: capture, Columns: c, Sockets: []int32{0, 1}})
	}
	p := a.Partial()
	p.Pair()
	if got := p.Stats(1).Matched; got != requests {
		t.Errorf("%d of %d requests are matched", got, requests)
	}
}
