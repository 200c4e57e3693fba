package record

import (
	"errors"
	"slices"

	"kmon/format"
)

// appendNetEvents writes the network faults of the seconds that are over, at
// the end with last those of the second that was running.
func (r *recorder) appendNetEvents(nowNs int64, last bool) error {
	rows, err := r.session.NetEvents(nowNs, last)
	if t := r.targets; !t.All && !r.ofTargets.blind && len(rows) > 0 {
		places := r.ofTargets.places(r.listeners, t.PIDs)
		rows = slices.DeleteFunc(rows, func(row format.NetEvent) bool { return !r.ofTargets.wants(&row, t.Ports, places) })
	}
	r.ofTargets.forget(nowNs)
	r.watching().NetEvents(rows)
	return errors.Join(err, format.Append(r.writer, rows...))
}

const (
	// maxTargetSockets bounds the memory of sockets of targets, 6 MB.
	maxTargetSockets = 1 << 17
	// forgetAfterNs is how long a socket is known after its end: the events of
	// its last second are taken out of the kernel up to three seconds later.
	forgetAfterNs = 5_000_000_000
)

// targetSockets knows the sockets of the recorded processes. The kernel cannot
// tell whose socket an event happened on, but collector tcp announces every socket
// that a target has moved bytes on or connected.
type targetSockets struct {
	blind  bool            // there are too many, or collector tcp does not run
	endsNs map[int64]int64 // by id; 0: it lives
	pids   map[int32]bool  // that have or had one
}

// listenPlace is where somebody listens.
type listenPlace struct {
	netnsID int64
	port    int32
}

// see takes rows of sockets, all of targets.
func (s *targetSockets) see(rows []format.Socket) {
	if s.endsNs == nil {
		s.endsNs, s.pids = map[int64]int64{}, map[int32]bool{}
	}
	for i := range rows {
		row := &rows[i]
		if s.blind = s.blind || len(s.endsNs)+len(s.pids) >= maxTargetSockets; s.blind {
			clear(s.endsNs)
			clear(s.pids)
			return
		}
		if row.PID != 0 {
			s.pids[row.PID] = true
		}
		ended := row.Event == format.SocketClose || row.Event == format.SocketConnectFailed
		if s.endsNs[row.SocketID] = 0; ended {
			s.endsNs[row.SocketID] = row.TsNs
		}
	}
}

// places are those where targets listen.
func (s *targetSockets) places(listeners map[format.Listener]int, pids []int32) map[listenPlace]bool {
	places := map[listenPlace]bool{}
	for l := range listeners {
		if s.pids[l.PID] || slices.Contains(pids, l.PID) {
			places[listenPlace{l.NetnsID, l.Port}] = true
		}
	}
	return places
}

// wants says whether an event is one of the targets': on a socket of theirs, on
// a port that is one, or where one listens.
func (s *targetSockets) wants(row *format.NetEvent, ports []uint16, places map[listenPlace]bool) bool {
	_, ours := s.endsNs[row.SocketID]
	return ours || places[listenPlace{row.NetnsID, row.LocalPort}] ||
		slices.Contains(ports, uint16(row.LocalPort)) || slices.Contains(ports, uint16(row.RemotePort))
}

// forget drops the sockets that ended long ago.
func (s *targetSockets) forget(nowNs int64) {
	for id, endNs := range s.endsNs {
		if endNs != 0 && endNs < nowNs-forgetAfterNs {
			delete(s.endsNs, id)
		}
	}
}
