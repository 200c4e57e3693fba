package analyze

import (
	"testing"

	"kmon/format"
)

// loopback is a client and a server on one host, both ends recorded, n
// requests 100 ms apart, 2 ms for the server and 3 ms for the client.
func loopback(t *testing.T, n int) *story {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.process(200, "cart")
	s.socket(1, format.RoleClient, 100, second, "127.0.0.1 40000", "127.0.0.1 8080")
	s.socket(2, format.RoleServer, 200, second, "127.0.0.1 8080", "127.0.0.1 40000")
	for i := range int64(n) {
		at := second + i*100*ms
		s.exchange(1, 100, at, 0, 3*ms, 0, format.ExchangeClient)
		s.exchange(2, 200, at+ms/2, 0, 2*ms, 0, 0)
	}
	return s
}

// Each request on one host gives two rows; it must count once, and the
// difference of its two latencies is network and queue time.
func TestBothEndsOnOneHost(t *testing.T) {
	a := analyzed(t, Options{}, loopback(t, 10))
	e := onlyEdge(t, a)
	if e.Client != "shop" || e.Server != "cart" || e.ServerPort != 8080 || e.Ends != "both" || e.Kind != "request" {
		t.Errorf("edge is %+v", e)
	}
	if e.Requests != 10 || e.Matched != 10 || e.Connections != 1 || e.BytesSent != 1000 || e.BytesReceived != 10000 {
		t.Errorf("requests %d matched %d connections %d bytes %d %d, want 10 10 1 1000 10000",
			e.Requests, e.Matched, e.Connections, e.BytesSent, e.BytesReceived)
	}
	if !near(e.Latency.P50, 2*ms) || !near(e.ClientLatency.P50, 3*ms) || !near(e.Network.P50, ms) || e.Network.Count != 10 {
		t.Errorf("server p50 %d, client p50 %d, network p50 %d of %d", e.Latency.P50, e.ClientLatency.P50, e.Network.P50, e.Network.Count)
	}
	cart := serviceNamed(t, a, "cart")
	if cart.Requests != 10 || cart.RatePerS != 1 || cart.External || cart.Source != "executable" || cart.Ends != "server" {
		t.Errorf("cart is %+v", cart)
	}
	if shop := serviceNamed(t, a, "shop"); shop.Requests != 0 || shop.BytesOut != 1000 || shop.BytesIn != 10000 {
		t.Errorf("shop serves %d requests, in %d out %d", shop.Requests, shop.BytesIn, shop.BytesOut)
	}
}

// A server whose clients are elsewhere: they are external peers by address.
func TestServerEndOnly(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "cart")
	s.socket(2, format.RoleServer, 0, second, "10.0.0.1 8080", "203.0.113.9 40000")
	s.exchange(2, 200, 2*second, 1*ms, 5*ms, 2*ms, 0)
	a := analyzed(t, Options{}, s)
	e := onlyEdge(t, a)
	if e.Client != "203.0.113.9" || e.Server != "cart" || e.Ends != "server" || e.Requests != 1 || e.ClientLatency.Count != 0 || e.Network.Count != 0 {
		t.Errorf("edge is %+v", e)
	}
	if peer := serviceNamed(t, a, "203.0.113.9"); !peer.External || peer.Source != "address" {
		t.Errorf("peer is %+v", peer)
	}
	cart := serviceNamed(t, a, "cart")
	if !near(cart.Latency.P50, 8*ms) || !near(cart.Upload.P50, ms) || !near(cart.Server.P50, 5*ms) || !near(cart.Download.P50, 2*ms) {
		t.Errorf("latency %d = %d + %d + %d, want 8 = 1 + 5 + 2 ms", cart.Latency.P50, cart.Upload.P50, cart.Server.P50, cart.Download.P50)
	}
}

// A client whose server is elsewhere: the server has its clients' numbers,
// and says so.
func TestClientEndOnly(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "198.51.100.7 5432")
	s.exchange(1, 100, 2*second, 0, 5*ms, 0, format.ExchangeClient)
	a := analyzed(t, Options{}, s)
	e := onlyEdge(t, a)
	if e.Server != "198.51.100.7:5432" || e.Ends != "client" || e.Requests != 1 || e.Latency.Count != 0 || !near(e.ClientLatency.P50, 5*ms) {
		t.Errorf("edge is %+v", e)
	}
	db := serviceNamed(t, a, "198.51.100.7:5432")
	if !db.External || db.Ends != "client" || db.Requests != 1 || !near(db.Latency.P50, 5*ms) || db.BytesIn != 100 {
		t.Errorf("server is %+v", db)
	}
}

// An IPv6 server is named with brackets.
func TestExternalIPv6(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.socket(1, format.RoleClient, 100, second, "2001:db8::1 40000", "2001:db8::2 443")
	if got := onlyEdge(t, analyzed(t, Options{}, s)).Server; got != "[2001:db8::2]:443" {
		t.Errorf("server is %q", got)
	}
}

// A listener of this host whose end was not recorded (a filter, a lost row)
// is still a known service.
func TestListenerNamesServer(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.process(200, "cart")
	s.listeners = []format.Listener{{TsNs: mono0, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, PID: 200}}
	s.addresses = []format.Interface{{TsNs: mono0, NetnsID: 1, Name: "eth0", Addr: "10.0.0.1/24"}}
	s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "10.0.0.1 8080")
	s.exchange(1, 100, 2*second, 0, 5*ms, 0, format.ExchangeClient)
	a := analyzed(t, Options{}, s)
	if e := onlyEdge(t, a); e.Server != "cart" || e.Ends != "client" || serviceNamed(t, a, "cart").External {
		t.Errorf("edge is %+v", e)
	}
}

// A server accepts and forks: rows carry the child's pid. The child that only
// forked is its parent's service; the one that ran a program is that program.
func TestForkedServer(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "inetd")
	s.procs = []format.Proc{
		{TsNs: mono0 + second, Event: format.ProcFork, PID: 201, ParentPID: 200, StartNs: mono0 + second, Comm: "inetd"},
		{TsNs: mono0 + second, Event: format.ProcFork, PID: 202, ParentPID: 200, StartNs: mono0 + second, Comm: "inetd"},
		{TsNs: mono0 + second + ms, Event: format.ProcExec, PID: 202, ParentPID: 200, StartNs: mono0 + second, Comm: "ftpd", Exe: "/usr/sbin/ftpd"},
	}
	for i, pid := range []int32{201, 202} {
		id := int64(2 + i)
		remote := []string{"203.0.113.9 40000", "203.0.113.9 40001"}[i]
		s.socket(id, format.RoleServer, 200, second, "10.0.0.1 21", remote)
		s.exchange(id, pid, 2*second, 0, 5*ms, 0, 0)
	}
	a := analyzed(t, Options{}, s)
	for _, name := range []string{"inetd", "ftpd"} {
		service := serviceNamed(t, a, name)
		if service.Requests != 1 || len(service.Instances) != 1 {
			t.Errorf("%s has %d requests, %d instances", name, service.Requests, len(service.Instances))
		}
	}
	if got := serviceNamed(t, a, "inetd").Instances[0].Name; got != "node1:201" {
		t.Errorf("instance is %q, want the child", got)
	}
}

// What a socket says when it ends without an answer.
func TestUnansweredAndGoodbyes(t *testing.T) {
	closed := format.ExchangeNoAnswer | format.ExchangeClosed
	tests := []struct {
		name       string
		flags      format.ExchangeFlags
		waited     int64
		requests   int64
		unanswered int64
		inFlight   int64
		oneWay     int64
	}{
		{"reset", closed | format.ExchangeReset, 0, 1, 1, 0, 0},
		{"server closed", closed | format.ExchangeServerClosed, 0, 1, 1, 0, 0},
		{"client gave up", closed, second, 1, 1, 0, 0},
		{"goodbye", closed, second - 1, 0, 0, 0, 1},
		{"in flight", format.ExchangeNoAnswer | format.ExchangeOpen, 2 * second, 1, 0, 1, 0},
		{"partial", format.ExchangePartial | format.ExchangeNoAnswer, 0, 0, 0, 0, 0},
		{"push", format.ExchangeNoRequest, 0, 0, 0, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(t, "node1")
			s.process(200, "cart")
			s.socket(2, format.RoleServer, 200, second, "10.0.0.1 8080", "203.0.113.9 40000")
			s.exchange(2, 200, 2*second, 0, test.waited, 0, test.flags)
			a := analyzed(t, Options{}, s)
			cart := serviceNamed(t, a, "cart")
			got := [4]int64{cart.Requests, cart.Unanswered, cart.InFlight, cart.Streams.OneWay}
			if want := [4]int64{test.requests, test.unanswered, test.inFlight, test.oneWay}; got != want {
				t.Errorf("requests, unanswered, in flight, one way = %d, want %d", got, want)
			}
			if cart.Latency.Count != 0 {
				t.Errorf("%d latencies of something without an answer", cart.Latency.Count)
			}
			if cart.BytesIn != 100 {
				t.Errorf("bytes in %d: they count whatever the row is", cart.BytesIn)
			}
			if errors := cart.Series[2].Errors; errors != test.unanswered {
				t.Errorf("%d errors in the window, want %d", errors, test.unanswered)
			}
		})
	}
}

// A storm of timeouts: the client waits 300 ms and asks again. Its end has latencies of
// the answered requests only, and of the others it has sent one way; how many they are
// stands beside its fast p99.
func TestGivenUpRequestsAreToldBesideTheClientsLatency(t *testing.T) {
	gaveUp := format.ExchangeClient | format.ExchangeNoAnswer | format.ExchangeClosed
	s := loopback(t, 10)
	for i := range int64(3) {
		at := 3*second + i*second
		s.exchange(1, 100, at, 0, 300*ms, 0, gaveUp)
		s.exchange(2, 200, at+ms/2, 0, 700*ms, 0, format.ExchangeReset|format.ExchangeClosed)
	}
	e := onlyEdge(t, analyzed(t, Options{}, s))
	if e.Requests != 13 || e.Latency.Max != 700*ms || e.ClientLatency.Count != 10 || e.ClientLatency.Max != 3*ms || e.Unanswered != 0 {
		t.Fatalf("edge is %+v", e)
	}
	if n := e.ClientUnmeasured; n == nil || *n != 3 {
		t.Errorf("client unmeasured is %v, want 3", n)
	}
	// Without the server's end, those that waited for a second or ended otherwise.
	s = newStory(t, "node1")
	s.process(100, "shop")
	s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "198.51.100.7 5432")
	s.exchange(1, 100, second, 0, 3*ms, 0, format.ExchangeClient)
	s.exchange(1, 100, 2*second, 0, second, 0, gaveUp)
	s.exchange(1, 100, 4*second, 0, ms, 0, gaveUp|format.ExchangeReset)
	s.exchange(1, 100, 5*second, 0, ms, 0, format.ExchangeClient|format.ExchangeJoined)
	s.exchange(1, 100, 6*second, 0, second, 0, format.ExchangeClient|format.ExchangeNoAnswer|format.ExchangeOpen)
	if n := onlyEdge(t, analyzed(t, Options{}, s)).ClientUnmeasured; n == nil || *n != 4 {
		t.Errorf("client unmeasured is %v of the client's end alone, want 4", n)
	}
	// Of a client that was not recorded nobody knows.
	s = newStory(t, "node1")
	s.process(200, "cart")
	s.socket(2, format.RoleServer, 200, second, "10.0.0.1 8080", "203.0.113.9 40000")
	s.exchange(2, 200, 2*second, 0, ms, 0, format.ExchangeReset|format.ExchangeClosed)
	if n := onlyEdge(t, analyzed(t, Options{}, s)).ClientUnmeasured; n != nil {
		t.Errorf("client unmeasured is %d, want none", *n)
	}
}

// A reset counts on the connection, once, though both ends tell of it.
func TestResetCountsOnce(t *testing.T) {
	s := loopback(t, 1)
	s.close(1, 3*second, format.CloseResetReceived)
	s.close(2, 3*second, format.CloseResetSent)
	if e := onlyEdge(t, analyzed(t, Options{}, s)); e.Resets != 1 || e.Connections != 1 {
		t.Errorf("%d resets on %d connections", e.Resets, e.Connections)
	}
}

// A refused connect is a failure on an edge without connections.
func TestFailedConnect(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	row := s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "198.51.100.7 5432")
	row.Event, row.CloseReason = format.SocketConnectFailed, format.CloseRefused
	e := onlyEdge(t, analyzed(t, Options{}, s))
	if e.Failed != 1 || e.Connections != 0 || e.Kind != "connect-only" || e.Resets != 0 {
		t.Errorf("edge is %+v", e)
	}
}

// One interleaved request is counted without a latency; so is the first of a
// socket older than the recording.
func TestUntimed(t *testing.T) {
	for _, flag := range []format.ExchangeFlags{format.ExchangeInterleaved, format.ExchangeJoined} {
		s := loopback(t, 1)
		s.exchange(2, 200, 3*second, 0, 7*ms, 0, flag)
		cart := serviceNamed(t, analyzed(t, Options{}, s), "cart")
		if cart.Requests != 2 || cart.Untimed != 1 || cart.Latency.Count != 1 || cart.Latency.Max != 2*ms {
			t.Errorf("%s: %d requests, %d untimed, %d latencies up to %d", flag, cart.Requests, cart.Untimed, cart.Latency.Count, cart.Latency.Max)
		}
	}
}

// The stream label may come late, in a later segment: it holds for the whole
// socket, earlier rows too.
func TestStreamLabelIsForTheSocket(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "queue")
	s.socket(2, format.RoleServer, 200, second, "10.0.0.1 5672", "203.0.113.9 40000")
	s.socket(3, format.RoleServer, 200, second, "10.0.0.1 5672", "203.0.113.9 40001")
	for i := range int64(10) {
		flags := format.ExchangeFlags(0)
		if i == 9 {
			flags = format.ExchangeStream | format.ExchangeInterleaved
		}
		s.exchange(2, 200, second+i*ms, 0, 5*ms, 0, flags)
	}
	s.exchange(3, 200, 2*second, 0, 5*ms, 0, 0)
	a := analyzed(t, Options{}, s)
	queue := serviceNamed(t, a, "queue")
	if queue.Requests != 1 || queue.Latency.Count != 1 || queue.Streams.Connections != 1 ||
		queue.Streams.MessagesIn != 10 || queue.Streams.MessagesOut != 10 || queue.Streams.RatePerS != 2 {
		t.Errorf("%d requests, %d latencies, streams %+v", queue.Requests, queue.Latency.Count, queue.Streams)
	}
	if e := onlyEdge(t, a); e.Kind != "mixed" {
		t.Errorf("edge is %s, want mixed", e.Kind)
	}
}

// A subscriber that is mostly pushed to is a stream: its few requests would
// be paired with any next message. A single greeting makes no stream.
func TestPushes(t *testing.T) {
	tests := []struct {
		pushes, requests int
		stream           bool
	}{{1, 5, false}, {2, 0, false}, {3, 2, true}, {3, 3, false}, {30, 1, true}}
	for _, test := range tests {
		s := newStory(t, "node1")
		s.process(200, "redis")
		s.socket(2, format.RoleServer, 200, second, "10.0.0.1 6379", "203.0.113.9 40000")
		for i := range test.requests {
			s.exchange(2, 200, second+int64(i)*ms, 0, 5*ms, 0, 0)
		}
		for i := range test.pushes {
			row := s.exchange(2, 200, 2*second+int64(i)*ms, 0, 0, 0, format.ExchangeNoRequest)
			row.RequestBytes, row.RequestMessages = 0, 0
		}
		redis := serviceNamed(t, analyzed(t, Options{}, s), "redis")
		stream := redis.Streams.Connections == 1
		if stream != test.stream || stream && redis.Requests != 0 || !stream && redis.Requests != int64(test.requests) {
			t.Errorf("%d pushes, %d requests: %d requests, streams %+v", test.pushes, test.requests, redis.Requests, redis.Streams)
		}
		if !stream && redis.Streams.OneWay != int64(test.pushes) || stream && redis.Streams.OneWay != 0 {
			t.Errorf("%d pushes, %d requests: %d one way", test.pushes, test.requests, redis.Streams.OneWay)
		}
	}
}

// A long download is written in parts: its bytes add up, it is one request,
// and its latency is that of the whole.
func TestLongDownloadInParts(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "files")
	s.socket(2, format.RoleServer, 200, second, "10.0.0.1 80", "203.0.113.9 40000")
	s.exchange(2, 200, second, 0, 5*ms, 2*second, format.ExchangePartial)
	s.exchange(2, 200, second, 0, 5*ms, 4*second, format.ExchangePartial|format.ExchangeContinued).RequestBytes = 0
	s.exchange(2, 200, second, 0, 5*ms, 5*second, format.ExchangeContinued).RequestBytes = 0
	files := serviceNamed(t, analyzed(t, Options{}, s), "files")
	if files.Requests != 1 || files.Latency.Max != 5*second+5*ms || files.BytesOut != 3000 || files.BytesIn != 100 {
		t.Errorf("%d requests, latency %d, %d bytes out, %d in", files.Requests, files.Latency.Max, files.BytesOut, files.BytesIn)
	}
}

// A pod calls a service address; the server's end knows its own address. The
// client's address and port are what both know.
func TestServiceAddressIsTranslated(t *testing.T) {
	s := newStory(t, "node1")
	s.process(100, "shop")
	s.process(200, "cart")
	s.socket(1, format.RoleClient, 100, second, "10.1.0.5 40000", "10.96.0.14 80").NetnsID = 7
	s.socket(2, format.RoleServer, 200, second, "10.1.0.9 8080", "10.1.0.5 40000").NetnsID = 8
	s.exchange(1, 100, 2*second, 0, 3*ms, 0, format.ExchangeClient)
	s.exchange(2, 200, 2*second+ms, 0, ms, 0, 0)
	e := onlyEdge(t, analyzed(t, Options{}, s))
	if e.Via != "10.96.0.14:80" || e.ServerPort != 8080 || e.Ends != "both" || e.Matched != 1 || e.Connections != 1 || !near(e.Network.P50, 2*ms) {
		t.Errorf("edge is %+v", e)
	}
}

// Two pods of one host may use the same loopback addresses: only the network
// namespace tells their connections apart.
func TestLoopbackOfTwoNamespaces(t *testing.T) {
	s := newStory(t, "node1")
	for i, name := range []string{"a", "b"} {
		pid, id := int32(100+10*i), int64(10*i)
		s.process(pid, "client-"+name)
		s.process(pid+1, "server-"+name)
		// a's server opens nearest to b's client.
		opens := [][2]int64{{0, 2 * ms}, {2 * ms, 0}}[i]
		s.socket(id+1, format.RoleClient, pid, second+opens[0], "127.0.0.1 40000", "127.0.0.1 80").NetnsID = int64(i + 1)
		s.socket(id+2, format.RoleServer, pid+1, second+opens[1], "127.0.0.1 80", "127.0.0.1 40000").NetnsID = int64(i + 1)
		s.exchange(id+1, pid, 2*second, 0, 3*ms, 0, format.ExchangeClient)
		s.exchange(id+2, pid+1, 2*second+ms, 0, ms, 0, 0)
	}
	a := analyzed(t, Options{}, s)
	if len(a.Edges) != 2 || a.Edges[0].Client != "client-a" || a.Edges[0].Server != "server-a" || a.Edges[1].Server != "server-b" {
		t.Errorf("edges are %+v", a.Edges)
	}
}

// A service that calls itself has an edge to itself.
func TestSelfCalls(t *testing.T) {
	s := loopback(t, 3)
	s.processes[1].Service = "shop"
	if e := onlyEdge(t, analyzed(t, Options{}, s)); e.Client != "shop" || e.Server != "shop" || e.Requests != 3 || e.Matched != 3 {
		t.Errorf("edge is %+v", e)
	}
}

// A connection without a byte has an edge, and says which ends were seen.
func TestConnectOnly(t *testing.T) {
	s := loopback(t, 0)
	e := onlyEdge(t, analyzed(t, Options{}, s))
	if e.Kind != "connect-only" || e.Ends != "both" || e.Connections != 1 || e.Server != "cart" {
		t.Errorf("edge is %+v", e)
	}
	s = newStory(t, "node1")
	s.process(200, "cart")
	s.socket(2, format.RoleServer, 200, second, "10.0.0.1 8080", "203.0.113.9 40000")
	if e := onlyEdge(t, analyzed(t, Options{}, s)); e.Ends != "server" || e.Connections != 1 {
		t.Errorf("edge is %+v", e)
	}
}

// A port is used again and again: each server's end is paired with the client
// of its own time, and every request with its own connection's.
func TestPortReuse(t *testing.T) {
	s := newStory(t, "node1")
	for i := range int64(5) {
		client, server := int32(100+i), int32(200)
		s.process(client, "client-"+string(rune('a'+i)))
		at := second + i*second
		s.socket(2*i, format.RoleClient, client, at, "127.0.0.1 40000", "127.0.0.1 80")
		s.socket(2*i+1, format.RoleServer, server, at+1000, "127.0.0.1 80", "127.0.0.1 40000")
		s.exchange(2*i, client, at+ms, 0, 3*ms, 0, format.ExchangeClient)
		s.exchange(2*i+1, server, at+2*ms, 0, ms, 0, 0)
		s.close(2*i, at+10*ms, format.CloseLocal)
		s.close(2*i+1, at+10*ms, format.ClosePeer)
	}
	s.process(200, "web")
	a := analyzed(t, Options{}, s)
	if len(a.Edges) != 5 {
		t.Fatalf("%d edges, want 5", len(a.Edges))
	}
	for _, e := range a.Edges {
		if e.Server != "web" || e.Requests != 1 || e.Matched != 1 || e.Connections != 1 || !near(e.Network.Max, 2*ms) {
			t.Errorf("edge is %+v", e)
		}
	}
}

// A service of very many processes has that many instances up to a limit;
// their requests are all counted.
func TestManyInstances(t *testing.T) {
	s := newStory(t, "node1")
	s.socket(1, format.RoleServer, 1, second, "10.0.0.1 80", "203.0.113.9 40000")
	for pid := int32(1); pid <= 1500; pid++ {
		s.process(pid, "worker")
		s.exchange(1, pid, second+int64(pid)*ms, 0, ms/2, 0, 0)
	}
	worker := serviceNamed(t, analyzed(t, Options{}, s), "worker")
	requests, names := int64(0), map[string]bool{}
	for _, i := range worker.Instances {
		requests += i.Requests
		names[i.Name] = true
	}
	if worker.Requests != 1500 || requests != 1500 || len(worker.Instances) != maxListed || !names["other processes"] {
		t.Errorf("%d requests, %d on %d instances", worker.Requests, requests, len(worker.Instances))
	}
}
