package analyze

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/analyze/topology"
	"kmon/format"
)

// withDrop says that the collector ran.
func (s *story) withDrop() {
	s.manifest.Collectors = append(s.manifest.Collectors, format.Collector{Name: "drop", Variants: map[string]string{
		"drop": "tp_btf:kfree_skb", "retransmit": "tp_btf:tcp_retransmit_skb", "reset-sent": "tp_btf:tcp_send_reset",
		"reset-received": "tp_btf:tcp_receive_reset", "accept-queue": "iter:bpf_sk_storage_map",
	}})
}

// event adds events of a kind at a time. Ends are as of socket.
func (s *story) event(kind format.NetEventKind, reason string, pid int32, at, count int64, local, remote string) *format.NetEvent {
	row := format.NetEvent{TsNs: mono0 + at, LastNs: mono0 + at + 500*ms, Kind: kind, Reason: reason, NetnsID: 1, Family: 4, Protocol: 6, PID: pid, Count: count}
	s.address(local, &row.LocalAddr, &row.LocalPort)
	s.address(remote, &row.RemoteAddr, &row.RemotePort)
	s.events = append(s.events, row)
	return &s.events[len(s.events)-1]
}

// faulty is a shop that loses segments to its database: retransmits of its
// client sockets, resets, drops for two reasons, and a full accept queue.
func faulty(t *testing.T) *story {
	s := newStory(t, "node1")
	s.withDrop()
	s.process(100, "shop")
	s.process(200, "cart")
	s.listeners = []format.Listener{{TsNs: mono0, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, PID: 200}}
	s.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "10.0.0.7 5432")
	s.close(1, 9*second, format.CloseLocal).SRTTNs = 4 * ms
	s.socket(2, format.RoleClient, 100, second, "10.0.0.1 40001", "10.0.0.7 5432")
	s.close(2, 9*second, format.CloseLocal).SRTTNs = 6 * ms
	s.socket(3, format.RoleServer, 200, second, "10.0.0.1 8080", "10.0.0.9 50000")
	s.close(3, 9*second, format.CloseLocal) // its round trip time is not known
	s.event(format.NetRetransmit, "", 100, 2*second, 5, "10.0.0.1 40000", "10.0.0.7 5432")
	s.event(format.NetRetransmit, "", 0, 3*second, 2, "10.0.0.1 40001", "10.0.0.7 5432").SocketID = 2
	s.event(format.NetResetReceived, "TCP_ABORT", 100, 4*second, 1, "10.0.0.1 40002", "10.0.0.8 6379")
	s.event(format.NetResetSent, "TCP_STATE", 0, 4*second, 3, "10.0.0.1 8080", "10.0.0.9 50001") // by its listener
	s.event(format.NetResetSent, "NO_SOCKET", 0, 5*second, 4, "10.0.0.1 9999", "10.0.0.9 50002") // nobody's
	s.event(format.NetDrop, "NO_SOCKET", 0, 5*second, 4, "10.0.0.1 9999", "10.0.0.9 50002").StackID = 7
	s.event(format.NetDrop, "NO_SOCKET", 0, 6*second, 1, "10.0.0.1 9999", "10.0.0.5 50002").StackID = 8
	s.event(format.NetDrop, "SOCKET_RCVBUFF", 200, 6*second, 2, "10.0.0.1 8080", "10.0.0.9 50000")
	s.queues = []format.AcceptQueue{
		{TsNs: mono0 + second, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, Depth: 3, Limit: 4},
		{TsNs: mono0 + 2*second, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, Depth: 5, Limit: 4, Overflows: 6},
		{TsNs: mono0 + 3*second, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, Depth: 1, Limit: 4, Overflows: 1},
		{TsNs: mono0 + 3*second, NetnsID: 1, Addr: "::1", Port: 25, PID: 100, Depth: 1, Limit: 128},
	}
	s.stacks = []format.Stack{
		{TsNs: mono0, StackID: 8, Depth: 0, FrameID: 3}, {TsNs: mono0, StackID: 7, Depth: 0, FrameID: 1},
		{TsNs: mono0, StackID: 7, Depth: 1, FrameID: 2}, {TsNs: mono0, StackID: 7, Depth: 2, FrameID: 99},
	}
	s.frames = []format.Frame{
		{TsNs: mono0, FrameID: 1, Kind: format.FrameKernel, Symbol: "tcp_v4_rcv", Module: "kernel", Offset: 16, Source: format.SymbolKallsyms},
		{TsNs: mono0, FrameID: 2, Kind: format.FrameKernel, Module: "/lib/modules/veth.ko", Offset: 0x2a},
		{TsNs: mono0, FrameID: 3, Kind: format.FrameKernel, Symbol: "other"},
	}
	return s
}

func networkOf(t *testing.T, a *Analysis, service string) *NetworkCount {
	t.Helper()
	for i := range a.Network {
		if a.Network[i].Service == service {
			return &a.Network[i]
		}
	}
	t.Fatalf("nothing of service %q among %+v", service, a.Network)
	return nil
}

func TestNetworkFaults(t *testing.T) {
	a := analyzed(t, Options{}, faulty(t))
	tests := []struct {
		service                         string
		retransmits, sent, recvd, drops int64
		peer, reason                    string
	}{
		{"shop", 7, 0, 1, 0, "10.0.0.7:5432", "TCP_ABORT"},
		{"cart", 0, 3, 0, 2, "10.0.0.9", "TCP_STATE"},
		{"", 0, 4, 0, 5, "10.0.0.9", "NO_SOCKET"},
	}
	if len(a.Network) != len(tests) || a.Network[0].Service != "cart" || a.Network[1].Service != "" {
		t.Errorf("services are not those, most faults first: %+v", a.Network)
	}
	for _, test := range tests {
		n := networkOf(t, a, test.service)
		if *n.Retransmits != test.retransmits || *n.ResetsSent != test.sent || *n.ResetsReceived != test.recvd || *n.Drops != test.drops {
			t.Errorf("%q: %d retransmits, %d resets sent, %d received, %d drops, want %+v", test.service,
				*n.Retransmits, *n.ResetsSent, *n.ResetsReceived, *n.Drops, test)
		}
		if n.Peer != test.peer || n.ResetReason != test.reason {
			t.Errorf("%q: peer %q, reason %q, want %q, %q", test.service, n.Peer, n.ResetReason, test.peer, test.reason)
		}
		var sum NetworkPoint
		for _, p := range n.Series {
			sum.Retransmits += p.Retransmits
			sum.Resets += p.Resets
			sum.Drops += p.Drops
			sum.Overflows += p.Overflows
		}
		if sum.Overflows != *n.Overflows || *n.Overflows != map[string]int64{"cart": 7}[test.service] {
			t.Errorf("%q: %d connections turned away, %d in the windows", test.service, *n.Overflows, sum.Overflows)
		}
		if len(n.Series) != 10 || sum.Retransmits != test.retransmits || sum.Resets != test.sent+test.recvd || sum.Drops != test.drops {
			t.Errorf("%q: the %d windows add up to %+v", test.service, len(n.Series), sum)
		}
	}
	if p := networkOf(t, a, "cart").Series[2]; p.Overflows != 6 {
		t.Errorf("window 2 of cart is %+v", p)
	}
	if p := networkOf(t, a, "shop").Series[3]; p != (NetworkPoint{StartNs: unix0 + 3*second, Retransmits: 2}) {
		t.Errorf("window 3 of shop is %+v", p)
	}
}

// A round trip time of 0 is not known; then there is none.
func TestRTT(t *testing.T) {
	a := analyzed(t, Options{}, faulty(t))
	if rtt := networkOf(t, a, "shop").RTT; rtt.Count != 2 || rtt.Max != 6*ms || rtt.Mean != 5*ms {
		t.Errorf("round trip times of shop: %+v", rtt)
	}
	if rtt := networkOf(t, a, "cart").RTT; rtt.Count != 0 {
		t.Errorf("round trip times of cart: %+v", rtt)
	}
}

func TestDrops(t *testing.T) {
	a := analyzed(t, Options{}, faulty(t))
	if len(a.Drops) != 2 {
		t.Fatalf("drops are %+v", a.Drops)
	}
	d := a.Drops[0]
	if d.Reason != "NO_SOCKET" || d.Protocol != "TCP" || d.Count != 5 || d.Service != "" || d.Local != "10.0.0.1:9999" || d.Peer != "10.0.0.9" {
		t.Errorf("first is %+v", d)
	}
	if d.FirstNs != unix0+5*second || d.LastNs != unix0+6*second+500*ms {
		t.Errorf("it happened from %d to %d", d.FirstNs-unix0, d.LastNs-unix0)
	}
	if want := []string{"tcp_v4_rcv", "veth.ko+0x2a", "unknown frame"}; !slices.Equal(d.Stack, want) {
		t.Errorf("its stack is %q, want %q", d.Stack, want)
	}
	if d := a.Drops[1]; d.Reason != "SOCKET_RCVBUFF" || d.Service != "cart" || d.Count != 2 || d.Stack == nil || len(d.Stack) != 0 || d.Local != "10.0.0.1:8080" {
		t.Errorf("second is %+v", d)
	}
}

func TestAcceptQueues(t *testing.T) {
	a := analyzed(t, Options{}, faulty(t))
	want := []AcceptQueue{
		{Capture: "node1.kmon", Service: "cart", Address: "0.0.0.0:8080", MaxDepth: 5, Limit: 4, Overflows: 7, Coverage: 1},
		{Capture: "node1.kmon", Service: "shop", Address: "[::1]:25", MaxDepth: 1, Limit: 128, Coverage: 1},
	}
	got := slices.Clone(a.AcceptQueues)
	for i := range got {
		got[i].Series = SumSeries{} // see TestFaultsByWindow
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFaultFilters(t *testing.T) {
	a := analyzed(t, Options{Services: []string{"cart"}}, faulty(t))
	if len(a.Network) != 1 || a.Network[0].Service != "cart" || len(a.Drops) != 1 || len(a.AcceptQueues) != 1 || len(a.Services) != 1 {
		t.Errorf("of cart: %+v, %+v, %+v", a.Network, a.Drops, a.AcceptQueues)
	}
	a = analyzed(t, Options{Since: "5500ms", Until: "8s"}, faulty(t))
	if len(a.Drops) != 2 || a.Drops[0].Reason != "SOCKET_RCVBUFF" || a.Drops[1].Count != 1 || len(a.AcceptQueues) != 0 || a.AcceptQueues == nil {
		t.Errorf("of 2.5 seconds: %+v, %+v", a.Drops, a.AcceptQueues)
	}
	for _, n := range a.Network {
		if n.RTT.Count != 0 {
			t.Errorf("%q: connections that closed later have round trip times: %+v", n.Service, n.RTT)
		}
	}
}

// What was not recorded is not 0.
func TestFaultsNotRecorded(t *testing.T) {
	plain := loopback(t, 1)
	a := analyzed(t, Options{}, plain)
	if a.Drops != nil || a.Network != nil || a.AcceptQueues != nil {
		t.Errorf("nobody recorded %+v, %+v, %+v", a.Drops, a.Network, a.AcceptQueues)
	}
	// Collector tcp alone tells round trip times, and nothing else.
	timed := loopback(t, 1)
	timed.close(1, 3*second, format.CloseLocal).SRTTNs = ms
	a = analyzed(t, Options{}, timed)
	if n := networkOf(t, a, "shop"); a.Drops != nil || n.Retransmits != nil || n.Drops != nil || n.ResetsSent != nil || len(n.Series) != 0 || n.RTT.Count != 1 {
		t.Errorf("tcp alone tells %+v", n)
	}
	quiet := loopback(t, 1)
	quiet.withDrop()
	a = analyzed(t, Options{}, quiet)
	if a.Drops == nil || len(a.Drops) != 0 || a.Network == nil || len(a.Network) != 0 || a.AcceptQueues == nil {
		t.Errorf("nothing went wrong: %+v, %+v, %+v", a.Drops, a.Network, a.AcceptQueues)
	}
	queues := loopback(t, 1)
	queues.close(1, 3*second, format.CloseLocal).SRTTNs = ms
	queues.manifest.Collectors = append(queues.manifest.Collectors, format.Collector{Name: "drop", Variants: map[string]string{"accept-queue": "iter"}})
	a = analyzed(t, Options{}, queues)
	if n := networkOf(t, a, "shop"); a.AcceptQueues == nil || a.Drops != nil || n.Retransmits != nil || n.ResetsSent != nil || n.ResetsReceived != nil || n.Drops != nil {
		t.Errorf("accept queues alone tell %+v, %+v, %+v", a.AcceptQueues, a.Drops, n)
	}
	part := faulty(t)
	part.manifest.Collectors[1].Missing = map[string]string{"retransmit": "no tracepoint", "accept-queue": "no iterator"}
	part.queues = nil
	a = analyzed(t, Options{}, part)
	if n := networkOf(t, a, "shop"); n.Retransmits != nil || n.Overflows != nil || *n.ResetsReceived != 1 || a.AcceptQueues != nil || len(a.Drops) != 2 {
		t.Errorf("without retransmits: %+v, %+v", n, a.AcceptQueues)
	}
}

func TestFaultCoverage(t *testing.T) {
	s := faulty(t)
	s.losses = []format.Loss{{StartNs: mono0, EndNs: mono0 + second, Collector: "drop", Table: "netevents", Cause: format.LossRingFull, Count: 8}}
	a := analyzed(t, Options{}, s)
	if n := networkOf(t, a, "shop"); n.Coverage != 0.5 || a.Drops[0].Coverage != 0.5 || a.AcceptQueues[0].Coverage != 1 {
		t.Errorf("coverage %g, %g, %g, want half of the events", n.Coverage, a.Drops[0].Coverage, a.AcceptQueues[0].Coverage)
	}
}

// Events of a connection and its own counter are different numbers, and stand
// in different places.
func TestEdgeRetransmitsAreOfConnections(t *testing.T) {
	s := faulty(t)
	for i := range s.sockets {
		if s.sockets[i].SocketID == 1 && s.sockets[i].Event == format.SocketClose {
			s.sockets[i].Retransmits = 50 // mostly before the recording
		}
	}
	a := analyzed(t, Options{}, s)
	sum := int64(0)
	for _, e := range a.Edges {
		sum += e.Retransmits
	}
	if got := *networkOf(t, a, "shop").Retransmits; sum != 50 || got != 7 {
		t.Errorf("%d in the life of connections, %d events, want 50 and 7", sum, got)
	}
}

// The verdict names the disk that fails, not what lies on it, and the listener
// that turns connections away.
func TestVerdictNamesFailuresOfTheNode(t *testing.T) {
	s := faulty(t)
	s.withBlock()
	s.disk(sda, 0, "sda", "disk", 1<<40)
	s.disk(loop, sda, "loop0", "loop", 1<<30)
	for _, device := range []int64{loop, sda} {
		s.io(device, 100, second, ms, ms, format.OperationRead, 4096).Error = 5
		s.io(device, 100, second, ms, ms, format.OperationRead, 4096)
	}
	got := analyzed(t, Options{}, s).Verdict
	for _, want := range []string{"1 IO of disk sda failed", "cart (0.0.0.0:8080) turned 7 connections away"} {
		if !strings.Contains(got, want) {
			t.Errorf("the verdict is %q, and does not say %q", got, want)
		}
	}
	if got := analyzed(t, Options{}, loopback(t, 1)).Verdict; strings.Contains(got, "disk") || strings.Contains(got, "turned") {
		t.Errorf("the verdict of a quiet node is %q", got)
	}
}

// However many services have faults, the list is bounded and adds up.
func TestFaultyServicesAreBounded(t *testing.T) {
	s := newStory(t, "node1")
	s.withDrop()
	for i := range int32(400) {
		s.process(100+i, fmt.Sprintf("job%03d", i))
		s.event(format.NetRetransmit, "", 100+i, second, 1+int64(i%3), "10.0.0.1 40000", "10.0.0.7 5432")
	}
	a := analyzed(t, Options{}, s)
	sum := int64(0)
	for _, n := range a.Network {
		sum += *n.Retransmits
	}
	if last := a.Network[len(a.Network)-1]; len(a.Network) != maxFaulty || sum != 799 || last.Service != topology.OtherProcesses || *last.Retransmits < 145 {
		t.Errorf("%d services with %d retransmits, the last is %s", len(a.Network), sum, last.Service)
	}
}
