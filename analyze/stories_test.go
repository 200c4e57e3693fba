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
