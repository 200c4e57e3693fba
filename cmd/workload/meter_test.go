package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// talk connects two metered ends over loopback.
func talk(t *testing.T) (client, server net.Conn, asked, served *meter) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	plain, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	asked, served = &meter{}, &meter{}
	server, err = meteredListener{listener, served}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client = asked.wrap(plain, false)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server, asked, served
}

// pass sends text from one end to the other in one message.
func pass(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := from.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, len(text))); err != nil {
		t.Fatal(err)
	}
}

// A request in two messages and an answer in two are one exchange, from the
// first byte of the one to the last byte of the other.
func TestMeterExchange(t *testing.T) {
	client, server, asked, served := talk(t)
	const gap = 5 * time.Millisecond
	began := time.Now()
	pass(t, client, server, "GET")
	time.Sleep(gap)
	pass(t, client, server, " /")
	time.Sleep(gap)
	pass(t, server, client, "200")
	time.Sleep(gap)
	pass(t, server, client, " OK")
	most := time.Since(began)
	time.Sleep(10 * gap) // before the next request: no part of it
	pass(t, client, server, "GET /again")
	pass(t, server, client, "404")

	got := served.service("server", "")
	if got.Requests != 2 || got.Unanswered != 0 || got.BytesIn != 15 || got.BytesOut != 9 || got.Connections != 1 {
		t.Errorf("server: got %+v", got)
	}
	if d := time.Duration(got.Latency.Max); d < 3*gap || d > most {
		t.Errorf("server: the longest exchange took %v, want %v to %v and no pause after it", d, 3*gap, most)
	}
	edge := asked.edge("client", "server")
	if edge.Requests != 2 || edge.BytesSent != 15 || edge.BytesReceived != 9 || edge.Latency.Max < int64(3*gap) {
		t.Errorf("client: got %+v", edge)
	}
}

// A connection that closes after its request leaves it unanswered on both ends.
func TestMeterUnanswered(t *testing.T) {
	client, server, asked, served := talk(t)
	pass(t, client, server, "GET /")
	client.Close()
	if got := served.service("server", ""); got.Requests != 0 || got.Unanswered != 1 || got.Latency.Count != 0 {
		t.Errorf("server: got %+v", got)
	}
	if got := asked.edge("client", "server"); got.Requests != 0 || got.Unanswered != 1 {
		t.Errorf("client: got %+v", got)
	}
}

func TestSummarize(t *testing.T) {
	var durations []time.Duration
	for i := 200; i > 0; i-- {
		durations = append(durations, time.Duration(i))
	}
	want := Latency{Count: 200, Mean: 100, P50: 100, P90: 180, P95: 190, P99: 198, Max: 200}
	if got := summarize(durations); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := summarize(nil); got != (Latency{}) {
		t.Errorf("nothing measured gave %+v", got)
	}
	one := Latency{Count: 1, Mean: 7, P50: 7, P90: 7, P95: 7, P99: 7, Max: 7}
	if got := summarize([]time.Duration{7}); got != one {
		t.Errorf("got %+v, want %+v", got, one)
	}
}
