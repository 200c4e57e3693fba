package network

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/replay"
	"kmon/format"
)

const second = int64(1e9)

var windows = replay.Windows{ToNs: 20 * second, WidthNs: second, Count: 20}

// byPID names services after their process; pid 3 is not wanted.
func byPID(pid int32, _ int64) (string, bool) {
	if pid == 0 {
		return "", true
	}
	return fmt.Sprint("service", pid), pid != 3
}

func randomEvents(seed uint64, n int) []format.NetEvent {
	r := rand.New(rand.NewPCG(seed, 3))
	rows := make([]format.NetEvent, n)
	for i := range rows {
		at := r.Int64N(21 * second)
		rows[i] = format.NetEvent{
			TsNs: at, LastNs: at + r.Int64N(second), Kind: format.NetEventKind(1 + r.IntN(5)), Reason: fmt.Sprint("R", r.IntN(3)),
			Protocol: 6, LocalAddr: "10.0.0.1", LocalPort: 1000 + r.Int32N(3), RemoteAddr: fmt.Sprint("10.0.0.", r.IntN(9)), RemotePort: r.Int32N(3000),
			PID: r.Int32N(5), StackID: r.Int64N(4), Count: r.Int64N(5),
		}
	}
	return rows
}

func count(events []format.NetEvent, queues []format.AcceptQueue) *Partial {
	a := New(0, 0, windows, NewOwners(nil), byPID)
	a.AddEvents(events)
	a.AddQueues(queues)
	return a.Partial()
}

// Any order and any partition of the rows adds up to the same, and to what a
// plain count gives.
func TestMergeInAnyOrder(t *testing.T) {
	events := randomEvents(1, 3000)
	var queues []format.AcceptQueue
	for i := range int32(300) {
		queues = append(queues, format.AcceptQueue{TsNs: int64(i) * second / 20, Addr: "0.0.0.0", Port: i % 7, PID: i % 3, Depth: i % 11, Limit: 9, Overflows: int64(i % 4)})
	}
	want := count(events, queues)
	plain := map[string]Faults{}
	for _, e := range events {
		f := plain[fmt.Sprint("service", e.PID)]
		switch {
		case e.TsNs >= 20*second || e.PID == 3:
		case e.Kind == format.NetRetransmit:
			f.Retransmits += e.Count
		case e.Kind == format.NetResetSent:
			f.ResetsSent += e.Count
		case e.Kind == format.NetResetReceived:
			f.ResetsReceived += e.Count
		case e.Kind == format.NetDrop:
			f.Drops += e.Count
		}
		plain[fmt.Sprint("service", e.PID)] = f
	}
	for _, q := range queues {
		if q.TsNs < 20*second {
			f := plain[fmt.Sprint("service", q.PID)]
			f.Overflows += q.Overflows
			plain[fmt.Sprint("service", q.PID)] = f
		}
	}
	for _, name := range []string{"service1", "service2", "service4"} {
		if got := want.Service(name).Faults; got != plain[name] || got.Total() == 0 {
			t.Errorf("%s: %+v, want %+v", name, got, plain[name])
		}
	}
	r := rand.New(rand.NewPCG(1, 4))
	for range 10 {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		r.Shuffle(len(queues), func(i, j int) { queues[i], queues[j] = queues[j], queues[i] })
		parts := []*Partial{count(nil, queues[:150]), count(nil, queues[150:])}
		for part := range slices.Chunk(events, 1+r.IntN(900)) {
			parts = append(parts, count(part, nil))
		}
		got := &Partial{}
		for _, i := range r.Perm(len(parts)) {
			got.Merge(parts[i])
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatal("another order gives another result")
		}
	}
}

// A hostile capture has more reasons, listeners and addresses than anybody
// told apart; everything still counts.
func TestBounds(t *testing.T) {
	a := New(0, 0, windows, NewOwners(nil), byPID)
	const n = maxNames + 10_000
	for i := range n {
		a.AddEvents([]format.NetEvent{{Kind: format.NetDrop, Reason: fmt.Sprint(i % (2 * maxKeys)), RemoteAddr: fmt.Sprint("peer", i), Count: 1}})
		a.AddQueues([]format.AcceptQueue{{Addr: fmt.Sprint(i % (2 * maxKeys)), Overflows: 1}})
	}
	p := a.Partial()
	drops, overflows, names := int64(0), int64(0), 0
	for _, d := range p.Drops {
		drops += d.Count
		names += len(d.Peers) + len(d.Locals) + len(d.Stacks)
	}
	for _, q := range p.Queues {
		overflows += q.Overflows
	}
	if drops != n || overflows != n || p.Service("").Drops != n {
		t.Errorf("%d drops, %d overflows, want %d", drops, overflows, n)
	}
	a.used = maxWindows - 1
	a.AddEvents([]format.NetEvent{{Kind: format.NetDrop, Count: 1}, {Kind: format.NetDrop, TsNs: second, Count: 1}, {Kind: format.NetDrop, Count: 1}})
	if q := a.Partial(); !q.Coarse || q.Service("").Drops != 3 || len(q.Service("").Windows) != 1 || q.Service("").Windows[0].Drops != 2 {
		t.Errorf("without room for windows: %+v", q.Service(""))
	}
	if len(p.Drops) != maxKeys+1 || len(p.Queues) != maxKeys+1 || names > maxNames {
		t.Errorf("%d drops, %d queues and %d names are told apart", len(p.Drops), len(p.Queues), names)
	}
}

func TestHostileRows(t *testing.T) {
	a := New(0, 0, replay.Windows{FromNs: math.MinInt64, ToNs: math.MaxInt64, WidthNs: 1, Count: 1}, NewOwners(nil), byPID)
	a.AddEvents([]format.NetEvent{
		{Kind: format.NetDrop, Count: -5}, {Kind: 99, Count: 5}, {Kind: format.NetDrop, Count: 2, LastNs: math.MinInt64, StackID: -1, LocalPort: -1, RemotePort: math.MaxInt32, RemoteAddr: "x"},
	})
	a.AddQueues([]format.AcceptQueue{{Depth: -1, Limit: -2, Overflows: -3, Port: -4}})
	p := a.Partial()
	if got := p.Service("").Faults; got != (Faults{Drops: 2}) {
		t.Errorf("got %+v", got)
	}
	for key, d := range p.Drops {
		if d.LastNs != 0 || len(d.Stacks) != 0 || d.Peers.Busiest() != "x" {
			t.Errorf("%+v: %+v", key, d)
		}
	}
	for key, q := range p.Queues {
		if *q != (Queue{}) {
			t.Errorf("%+v: %+v", key, q)
		}
	}
}

func TestOwners(t *testing.T) {
	o := NewOwners([]format.Listener{
		{TsNs: 9, NetnsID: 1, Addr: "0.0.0.0", Port: 80, PID: 20}, {TsNs: 1, NetnsID: 1, Addr: "0.0.0.0", Port: 80, PID: 10},
		{NetnsID: 2, Addr: "10.0.0.2", Port: 80, PID: 30},
	})
	at := func(netns int64, addr string, port int32, ns, socket int64) *format.NetEvent {
		return &format.NetEvent{NetnsID: netns, LocalAddr: addr, LocalPort: port, TsNs: ns, SocketID: socket, RemoteAddr: "::1", RemotePort: 50000}
	}
	o.Want([]format.NetEvent{*at(1, "", 0, 0, 7), *at(1, "", 0, 0, 8), {SocketID: 9, PID: 1}})
	o.See([]format.Socket{{SocketID: 7, PID: 0}, {SocketID: 7, PID: 70}, {SocketID: 7, PID: 71}, {SocketID: 9, PID: 90}})
	for _, test := range []struct {
		event *format.NetEvent
		want  int32
	}{
		{at(1, "10.0.0.1", 80, 5, 0), 10}, {at(1, "10.0.0.1", 80, 9, 0), 20}, {at(1, "10.0.0.1", 80, 0, 0), 10},
		{at(2, "10.0.0.1", 80, 5, 0), 0}, {at(2, "10.0.0.2", 80, 5, 0), 30}, {at(3, "10.0.0.2", 80, 5, 0), 0},
		{at(1, "10.0.0.1", 80, 5, 7), 70}, {at(9, "", 0, 5, 8), 0}, {at(9, "", 0, 5, 9), 0},
		{&format.NetEvent{PID: 5, SocketID: 7}, 5},
	} {
		if got := o.ofEvent(test.event); got != test.want {
			t.Errorf("%+v happened to %d, want %d", test.event, got, test.want)
		}
	}
	local, remote := o.ends(at(1, "10.0.0.1", 80, 5, 0))
	if local != "10.0.0.1:80" || remote != "::1" {
		t.Errorf("a server's ends are %s and %s", local, remote)
	}
	client := at(1, "10.0.0.1", 50001, 5, 0)
	if local, remote = o.ends(client); local != "10.0.0.1" || remote != "[::1]:50000" {
		t.Errorf("a client's ends are %s and %s", local, remote)
	}
	if client.RemotePort = 0; client.LocalPort != 0 { // of any client
		if local, remote = o.ends(client); local != "10.0.0.1:50001" || remote != "::1" {
			t.Errorf("a closed port's ends are %s and %s", local, remote)
		}
	}
}

// Round trip times are kept by process, also of processes nobody describes,
// but of no more than maxStrangers.
func TestRTTs(t *testing.T) {
	processes := replay.NewOwners([]format.Process{{PID: 10, Service: "cart"}}, nil)
	owners := NewOwners([]format.Listener{{NetnsID: 1, Addr: "::", Port: 80, PID: 10}})
	r := NewRTTs(0, windows, processes, owners)
	close := format.Socket{Event: format.SocketClose, TsNs: second, PID: 10, SRTTNs: 5}
	open, late, unknown, listening := close, close, close, close
	open.Event, late.TsNs, unknown.SRTTNs = format.SocketOpen, 20*second, 0
	listening.PID, listening.NetnsID, listening.LocalPort, listening.SRTTNs = 0, 1, 80, 9
	r.Add([]format.Socket{close, open, late, unknown, listening})
	for i := range int32(maxStrangers + 100) {
		stranger := close
		stranger.PID = 1000 + i
		r.Add([]format.Socket{stranger})
	}
	counts := map[int32]int64{}
	for _, h := range r.Result() {
		counts[h.PID] += h.RTT.Count()
		if h.PID == 10 && h.RTT.Max() != 9 {
			t.Errorf("the longest of cart is %d", h.RTT.Max())
		}
	}
	if counts[10] != 2 || counts[1000] != 1 || counts[0] != 100 || len(counts) != maxStrangers+2 {
		t.Errorf("%d processes; cart %d, a stranger %d, nobody %d", len(counts), counts[10], counts[1000], counts[0])
	}
}

// A listener is found by its address or by any, as of the time asked for, among
// as many rows as a long recording lists.
func TestListenerAtATime(t *testing.T) {
	var rows []format.Listener
	add := func(addr string, pid int32, ns int64) {
		rows = append(rows, format.Listener{TsNs: ns, NetnsID: 1, Addr: addr, Port: 80, PID: pid})
	}
	for ns := range int64(1000) {
		add("10.0.0.9", 9, ns)
	}
	add("10.0.0.1", 1, 100)
	add("0.0.0.0", 2, 200)
	add("10.0.0.1", 3, 300)
	add("::", 4, 300) // at the same time, the address itself counts more
	add("10.0.0.2", 5, 50)
	o := NewOwners(rows)
	for _, test := range []struct {
		addr string
		ns   int64
		want int32
	}{
		{"10.0.0.1", 0, 1}, {"10.0.0.1", 100, 1}, {"10.0.0.1", 199, 1}, {"10.0.0.1", 200, 2}, {"10.0.0.1", 300, 3},
		{"10.0.0.2", 0, 5}, {"10.0.0.2", 200, 2}, {"10.0.0.3", 0, 2}, {"10.0.0.3", 250, 2}, {"", 999, 4},
		{"10.0.0.9", 100, 9},
	} {
		if got := o.listening(1, test.addr, 80, test.ns); got != test.want {
			t.Errorf("%s at %d: process %d, want %d", test.addr, test.ns, got, test.want)
		}
	}
	if got := o.listening(2, "10.0.0.1", 80, 100) + o.listening(1, "10.0.0.1", 81, 100); got != 0 {
		t.Errorf("elsewhere: process %d, want none", got)
	}
}
