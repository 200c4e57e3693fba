package record

import (
	"testing"

	"kmon/format"
)

func TestTargetSockets(t *testing.T) {
	const second = 1_000_000_000
	var s targetSockets
	on := func(socket int64, local, remote int32) *format.NetEvent {
		return &format.NetEvent{SocketID: socket, LocalPort: local, RemotePort: remote}
	}
	s.see([]format.Socket{{SocketID: 1, Event: format.SocketOpen, PID: 70}, {SocketID: 2, Event: format.SocketExisting}})
	s.see([]format.Socket{{SocketID: 2, Event: format.SocketClose, TsNs: 10 * second}, {SocketID: 3, Event: format.SocketConnectFailed, TsNs: 12 * second}})
	places := s.places(map[format.Listener]int{
		{NetnsID: 1, Port: 443, PID: 7}: 1, {NetnsID: 1, Port: 8080, PID: 70}: 1, {NetnsID: 1, Port: 9090, PID: 8}: 1,
	}, []int32{7})
	wants := func(row *format.NetEvent) bool { return s.wants(row, []uint16{80}, places) }
	for port, want := range map[int32]bool{443: true, 8080: true, 9090: false} {
		if got := wants(&format.NetEvent{NetnsID: 1, LocalPort: port}); got != want {
			t.Errorf("where port %d is, wanted: %v", port, got)
		}
		if wants(&format.NetEvent{NetnsID: 2, LocalPort: port}) || wants(&format.NetEvent{NetnsID: 1, RemotePort: port}) {
			t.Errorf("port %d of another namespace or host is wanted", port)
		}
	}
	for _, test := range []struct {
		when int64 // seconds
		row  *format.NetEvent
		want bool
	}{
		{10, on(1, 1, 2), true}, {10, on(2, 1, 2), true}, {10, on(4, 1, 2), false}, {10, on(0, 1, 2), false},
		{10, on(0, 80, 2), true}, {10, on(4, 1, 80), true},
		{16, on(1, 1, 2), true}, {16, on(2, 1, 2), false}, {16, on(3, 1, 2), true}, {18, on(3, 1, 2), false},
	} {
		s.forget(test.when * second)
		if got := wants(test.row); got != test.want {
			t.Errorf("after %d s, %+v wanted: %v", test.when, test.row, got)
		}
	}
	many := make([]format.Socket, maxTargetSockets+1)
	for i := range many {
		many[i].SocketID = int64(i + 1)
	}
	if s.see(many); !s.blind || len(s.endsNs)+len(s.pids) != 0 {
		t.Errorf("with %d sockets, %d are kept", len(many), len(s.endsNs))
	}
}
