package analyze

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/stat"
	"kmon/format"
)

// randomStory is a busy host: services that call each other over loopback and
// from outside, over connections long and short, with rows of every kind,
// some of them lost, cut into segments.
func randomStory(t *testing.T, seed uint64) *story {
	r := rand.New(rand.NewPCG(seed, 7))
	s := newStory(t, "node1")
	s.segments = 1 + r.IntN(20)
	s.final.EndNs = mono0 + 60*second
	services := []string{"shop", "cart", "redis", "web"}
	for i, name := range services {
		s.process(int32(100+i), name)
	}
	for i := range 40 {
		client, server := r.IntN(4), r.IntN(4)
		local, remote := fmt.Sprintf("127.0.0.1 %d", 40000+i), fmt.Sprintf("127.0.0.1 %d", 8000+server)
		opened := r.Int64N(5 * second)
		both := r.IntN(4) > 0
		if !both {
			local = fmt.Sprintf("203.0.113.%d 40000", i)
		} else {
			s.socket(int64(2*i), format.RoleClient, int32(100+client), opened, local, remote)
		}
		pid := int32(0) // accepted where nobody knows by whom
		if r.IntN(2) == 0 {
			pid = int32(100 + server)
		}
		s.socket(int64(2*i+1), format.RoleServer, pid, opened+1000, remote, local)
		end := s.randomConnection(r, int64(2*i), both, int32(100+client), int32(100+server), opened)
		if r.IntN(3) > 0 {
			s.randomClose(r, int64(2*i), both, end)
		}
	}
	slices.SortStableFunc(s.exchanges, func(a, b format.Exchange) int {
		return cmp.Compare(a.StartNs+a.ServerNs+a.DownloadNs, b.StartNs+b.ServerNs+b.DownloadNs)
	})
	return s
}

// randomConnection adds the rows of one connection, one request in flight at a
// time.
func (s *story) randomConnection(r *rand.Rand, id int64, both bool, client, server int32, at int64) int64 {
	pushes := 0
	for range 1 + r.IntN(60) {
		at += r.Int64N(200 * ms)
		upload, wait, download := r.Int64N(ms)*r.Int64N(2), r.Int64N(20*ms), r.Int64N(ms)*r.Int64N(2)
		if r.IntN(20) == 0 {
			wait += second * r.Int64N(3)
		}
		before, after := 1000+r.Int64N(ms), 1000+r.Int64N(ms)
		flags := format.ExchangeFlags(0)
		switch r.IntN(30) {
		case 0:
			flags = format.ExchangeNoAnswer | format.ExchangeClosed
		case 1:
			flags = format.ExchangeNoAnswer | format.ExchangeClosed | format.ExchangeReset
		case 2:
			flags = format.ExchangeNoAnswer | format.ExchangeOpen
		case 3:
			flags = format.ExchangeInterleaved
		case 4:
			flags = format.ExchangePartial
		case 5:
			flags = format.ExchangeJoined
		case 6:
			flags = format.ExchangeReset | format.ExchangeClosed
		case 7:
			if pushes++; pushes <= 2 {
				flags = format.ExchangeNoRequest
			}
		case 8:
			if r.IntN(8) == 0 {
				flags = format.ExchangeStream
			}
		}
		if r.IntN(40) > 0 {
			s.exchange(id+1, server, at+before, upload, wait, download, flags).RequestBytes = r.Int64N(1000)
		}
		if both && r.IntN(40) > 0 {
			s.exchange(id, client, at, upload, before+wait+after, download, flags|format.ExchangeClient).AnswerBytes = r.Int64N(1000)
		}
		at += upload + before + wait + after + download
	}
	return at
}

// randomClose ends a connection, in order or by a reset, its two ends not at
// one moment.
func (s *story) randomClose(r *rand.Rand, id int64, both bool, at int64) {
	sent, received := format.CloseLocal, format.ClosePeer
	if r.IntN(3) == 0 {
		sent, received = format.CloseResetSent, format.CloseResetReceived
	}
	s.close(id+1, at+1, sent).Retransmits = 1
	if both {
		s.close(id, at+r.Int64N(100*ms), received).Retransmits = 2
	}
}

// naiveEdge is an edge added up row by row with maps, without segments.
type naiveEdge struct {
	Requests, Unanswered, Untimed, OneWay, Sent, Received, Matched int64
	Streams, MessagesIn, MessagesOut                               int64
	Connections, Resets, Retransmits                               int64
	Latency, ClientLatency, Network                                Distribution
	Windows                                                        map[int64]Point
}

// timed is a request with a latency on one end.
type timed struct{ start, latency int64 }

// naiveSide is one end of an edge.
type naiveSide struct {
	rows, requests, unanswered, untimed, oneWay, in, out, messagesIn, messagesOut int64
	streams                                                                       map[int64]bool
	latencies                                                                     []timed
	windows                                                                       map[int64]*naiveWindow
}

type naiveWindow struct {
	requests, errors int64
	latencies        []timed
}

func summary(values []timed) Distribution {
	var s stat.Sketch
	for _, v := range values {
		s.Add(v.latency, 1)
	}
	return distribution(&s)
}

// naive analyzes a story whose topology is simple: both ends of a connection
// have the same addresses, every row's process is known.
func naive(s *story) map[string]naiveEdge {
	type tuple struct {
		local, remote string
	}
	names := map[int32]string{}
	for _, p := range s.processes {
		names[p.PID] = p.Service
	}
	sockets, byTuple := map[int64]format.Socket{}, map[tuple]int64{}
	for _, row := range s.sockets {
		sockets[row.SocketID] = row
		byTuple[tuple{fmt.Sprint(row.LocalAddr, row.LocalPort), fmt.Sprint(row.RemoteAddr, row.RemotePort)}] = row.SocketID
	}
	peerOf := func(row format.Socket) (int64, bool) {
		id, ok := byTuple[tuple{fmt.Sprint(row.RemoteAddr, row.RemotePort), fmt.Sprint(row.LocalAddr, row.LocalPort)}]
		return id, ok
	}
	streams := map[int64]bool{}
	for _, x := range s.exchanges {
		if x.Flags&format.ExchangeStream != 0 {
			streams[x.SocketID] = true
		}
	}
	sides := map[string]map[bool]*naiveSide{}
	perSocket := map[int64][]timed{}
	edgeOf := map[int64]string{}
	for _, x := range s.exchanges {
		socket := sockets[x.SocketID]
		peer, paired := peerOf(socket)
		isClient := x.Flags&format.ExchangeClient != 0
		var name string
		if isClient {
			name = names[x.PID] + " → " + names[100+sockets[peer].LocalPort-8000]
		} else if paired {
			name = names[sockets[peer].PID] + " → " + names[x.PID]
		} else {
			name = socket.RemoteAddr + " → " + names[x.PID]
		}
		edgeOf[x.SocketID] = name
		if sides[name] == nil {
			sides[name] = map[bool]*naiveSide{}
			for _, c := range []bool{false, true} {
				sides[name][c] = &naiveSide{streams: map[int64]bool{}, windows: map[int64]*naiveWindow{}}
			}
		}
		if timed, ok := sides[name][isClient].count(x, streams[x.SocketID]); ok {
			perSocket[x.SocketID] = append(perSocket[x.SocketID], timed)
		}
	}
	edges := naiveEdges(sides, perSocket, edgeOf, func(id int64) (int64, bool) { return peerOf(sockets[id]) })
	for _, row := range s.sockets {
		server, client, name := row.LocalPort, row.RemoteAddr, ""
		peer, paired := peerOf(row)
		switch {
		case row.Role == format.RoleClient:
			server, client = row.RemotePort, names[row.PID]
		case paired:
			client = names[sockets[peer].PID]
		}
		name = client + " → " + names[100+server-8000]
		e, ok := edges[name]
		if !ok {
			continue // all its rows were lost
		}
		first := row.Role == format.RoleClient || !paired
		reset := row.CloseReason == format.CloseResetSent || row.CloseReason == format.CloseResetReceived
		if first && row.Event == format.SocketOpen {
			e.Connections++
		}
		if first && reset {
			e.Resets++
		}
		e.Retransmits += row.Retransmits
		edges[name] = e
	}
	return edges
}

// count adds a row to an end and gives its latency, if it has one.
func (n *naiveSide) count(x format.Exchange, stream bool) (timed, bool) {
	has := func(f format.ExchangeFlags) bool { return x.Flags&f != 0 }
	n.rows++
	n.in += x.RequestBytes
	n.out += x.AnswerBytes
	if stream {
		n.streams[x.SocketID] = true
		n.messagesIn += int64(x.RequestMessages)
		n.messagesOut += int64(x.AnswerMessages)
		return timed{}, false
	}
	if has(format.ExchangePartial) {
		return timed{}, false
	}
	failed := has(format.ExchangeReset) || has(format.ExchangeServerClosed) || x.ServerNs >= second
	if has(format.ExchangeNoRequest) || has(format.ExchangeNoAnswer) && !has(format.ExchangeOpen) && !failed {
		n.oneWay++
		return timed{}, false
	}
	index := (x.StartNs - mono0) / second
	w := n.windows[index]
	if w == nil {
		w = &naiveWindow{}
		n.windows[index] = w
	}
	n.requests++
	w.requests++
	if has(format.ExchangeNoAnswer) {
		if !has(format.ExchangeOpen) {
			n.unanswered++
			w.errors++
		}
		return timed{}, false
	}
	if has(format.ExchangeReset) {
		w.errors++
	}
	if has(format.ExchangeInterleaved) || has(format.ExchangeJoined) {
		n.untimed++
		return timed{}, false
	}
	v := timed{x.StartNs, x.UploadNs + x.ServerNs + x.DownloadNs}
	n.latencies = append(n.latencies, v)
	w.latencies = append(w.latencies, v)
	return v, true
}

// naiveEdges folds the two ends of each edge and matches requests one by one.
func naiveEdges(sides map[string]map[bool]*naiveSide, perSocket map[int64][]timed, edgeOf map[int64]string, peerOf func(int64) (int64, bool)) map[string]naiveEdge {
	network := map[string][]timed{}
	for id, served := range perSocket {
		peer, ok := peerOf(id)
		if id%2 == 0 || !ok {
			continue
		}
		for _, c := range perSocket[peer] {
			for _, v := range served {
				middle := v.start + v.latency/2
				if middle >= c.start && middle <= c.start+c.latency {
					network[edgeOf[id]] = append(network[edgeOf[id]], timed{latency: c.latency - v.latency})
				}
			}
		}
	}
	edges := map[string]naiveEdge{}
	for name, side := range sides {
		p := side[false]
		if p.rows == 0 {
			p = side[true]
		}
		e := naiveEdge{
			Requests: p.requests, Unanswered: p.unanswered, Untimed: p.untimed, OneWay: p.oneWay,
			Sent: p.in, Received: p.out, Matched: int64(len(network[name])),
			Streams: int64(len(p.streams)), MessagesIn: p.messagesIn, MessagesOut: p.messagesOut,
			Latency: summary(side[false].latencies), ClientLatency: summary(side[true].latencies), Network: summary(network[name]),
			Windows: map[int64]Point{},
		}
		for i, w := range p.windows {
			d := summary(w.latencies)
			e.Windows[i] = Point{Requests: w.requests, Errors: w.errors, Count: d.Count, P50: d.P50, P95: d.P95, P99: d.P99, Max: d.Max}
		}
		edges[name] = e
	}
	return edges
}

// The fast way through segments, cells and merges gives to the last digit what
// adding up row by row gives.
func TestAgainstNaiveAnalysis(t *testing.T) {
	for seed := range uint64(40) {
		s := randomStory(t, seed)
		want := naive(s)
		got := map[string]naiveEdge{}
		matched := int64(0)
		o := Options{Workers: 1 + int(seed%3)}
		if seed > 5 { // in parts as small as can be
			o.partSockets, o.partSegments = 1+int(seed%4)*5, 1+int(seed%3)
		}
		for _, e := range analyzed(t, o, s).Edges {
			if e.Connections > 0 && e.Kind == "connect-only" {
				continue // no rows, so not in the naive result
			}
			matched += e.Matched
			n := naiveEdge{
				Requests: e.Requests, Unanswered: e.Unanswered, Untimed: e.Untimed, OneWay: e.Streams.OneWay,
				Sent: e.BytesSent, Received: e.BytesReceived, Matched: e.Matched,
				Connections: e.Connections, Resets: e.Resets, Retransmits: e.Retransmits,
				Streams: e.Streams.Connections, MessagesIn: e.Streams.MessagesIn, MessagesOut: e.Streams.MessagesOut,
				Latency: e.Latency, ClientLatency: e.ClientLatency, Network: e.Network, Windows: map[int64]Point{},
			}
			for i, p := range e.Series {
				if p.Requests > 0 {
					p.StartNs, p.Partial, p.Classes = 0, false, nil // of the classes P50 to Max are made
					n.Windows[int64(i)] = p
				}
			}
			got[e.Client+" → "+e.Server] = n
		}
		for name := range want {
			if !reflect.DeepEqual(got[name], want[name]) {
				t.Errorf("seed %d, %s:\n got %+v\nwant %+v", seed, name, got[name], want[name])
			}
		}
		if len(got) != len(want) || matched == 0 {
			t.Errorf("seed %d: %d edges, want %d; %d matched", seed, len(got), len(want), matched)
		}
	}
}

// However many workers read the segments, and in whatever order they end, the
// result is the same to the byte.
func TestSameBytesWithAnyWorkers(t *testing.T) {
	client, server := twoHosts(t, 20*ms, 80)
	client.segments, server.segments = 5, 7
	third := randomStory(t, 99)
	third.manifest.Host.Name = "node3"
	paths := []string{client.write(), server.write(), third.write()}
	for _, words := range []int{0, 5000} { // with room for the windows, and without
		var want []byte
		for round := range 9 {
			a, err := Run(t.Context(), paths, Options{Workers: 1 + round%6, maxWords: words})
			if err != nil {
				t.Fatal(err)
			}
			if wide := a.WindowNs > second; wide != (words > 0) {
				t.Fatalf("%d words: windows are %d ns wide", words, a.WindowNs)
			}
			checkConsistent(t, a)
			got, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			if string(got) != string(want) {
				t.Fatalf("%d workers give other bytes than 1", 1+round%6)
			}
		}
	}
}
