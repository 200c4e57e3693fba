package network

import (
	"strings"

	"kmon/analyze/replay"
	"kmon/format"
)

// maxSteps bounds the windows of sockets with faults, and of listeners: 40 bytes
// each.
const maxSteps = 1 << 17

// SocketStep is a window of a socket.
type SocketStep struct {
	Socket int64
	Index  int32
}

// QueueStep is a window of a listener.
type QueueStep struct {
	QueueKey
	Index int32
}

// SocketFaults is what went wrong on a socket in a window.
type SocketFaults struct{ Retransmits, Resets int64 }

// QueueDepth is a listener's accept queue in a window.
type QueueDepth struct {
	MaxDepth, Limit int32
	Overflows       int64
	PID             int32 // that listens, the least; 0: not known
	AtNs            int64 // monotonic, when it was
}

// Steps adds the rows of one capture up by socket, listener and window, for the
// findings.
type Steps struct {
	Events, QueueRows []int64 // rows by window
	Drops             []int64 // packets of TCP by window
	Faults            map[SocketStep]*SocketFaults
	Queues            map[QueueStep]*QueueDepth
	Folded            bool // there were too many

	windows  replay.Windows
	offsetNs int64
	owners   *Owners
}

// NewSteps is the steps of no rows.
func NewSteps(offsetNs int64, w replay.Windows, o *Owners) *Steps {
	return &Steps{
		Events: make([]int64, w.Count), QueueRows: make([]int64, w.Count), Drops: make([]int64, w.Count),
		Faults: map[SocketStep]*SocketFaults{}, Queues: map[QueueStep]*QueueDepth{},
		windows: w, offsetNs: offsetNs, owners: o,
	}
}

// IP protocol numbers; 262 is the kernel's own for MPTCP.
const (
	protocolTCP   = 6
	protocolMPTCP = 262
)

// AddEvents counts rows. It keeps nothing of them.
func (st *Steps) AddEvents(rows []format.NetEvent) {
	for i := range rows {
		row := &rows[i]
		at := row.TsNs + st.offsetNs
		if !st.windows.Holds(at) || row.Count <= 0 {
			continue
		}
		index := st.windows.Of(at)
		st.Events[index]++
		switch row.Kind {
		case format.NetDrop:
			if row.Protocol == protocolTCP || row.Protocol == protocolMPTCP {
				st.Drops[index] += row.Count
			}
		case format.NetRetransmit:
			st.fault(row, index).Retransmits += row.Count
		case format.NetResetSent, format.NetResetReceived:
			st.fault(row, index).Resets += row.Count
		}
	}
}

// fault gives the sums of a row's socket, one that nobody sees when there are too
// many, or no socket is known.
func (st *Steps) fault(row *format.NetEvent, index int32) *SocketFaults {
	k := SocketStep{row.SocketID, index}
	if row.SocketID == 0 || st.Faults[k] == nil && len(st.Faults) >= maxSteps {
		st.Folded = st.Folded || row.SocketID != 0
		return new(SocketFaults)
	}
	return made(&st.Faults, k)
}

// AddQueues counts rows. It keeps nothing of them.
func (st *Steps) AddQueues(rows []format.AcceptQueue) {
	for i := range rows {
		row := &rows[i]
		at := row.TsNs + st.offsetNs
		if !st.windows.Holds(at) {
			continue
		}
		index := st.windows.Of(at)
		st.QueueRows[index]++
		k := QueueStep{QueueKey{0, row.NetnsID, row.Addr, row.Port}, index}
		if st.Queues[k] == nil {
			if len(st.Queues) >= maxSteps {
				st.Folded = true
				continue
			}
			k.Addr = strings.Clone(k.Addr) // the row's may hold a whole page alive
		}
		pid := row.PID
		if pid == 0 {
			pid = st.owners.listening(row.NetnsID, row.Addr, row.Port, row.TsNs)
		}
		q := made(&st.Queues, k)
		q.MaxDepth, q.Limit = max(q.MaxDepth, row.Depth), max(q.Limit, row.Limit)
		q.Overflows += max(row.Overflows, 0)
		if pid != 0 && (q.PID == 0 || pid < q.PID) {
			q.PID, q.AtNs = pid, row.TsNs
		}
	}
}

// SocketIDs notes the sockets that rows tell faults of, at most maxSockets.
func SocketIDs(rows []format.NetEvent, note map[int64]bool) {
	for i := range rows {
		if k := rows[i].Kind; k != format.NetDrop && rows[i].SocketID != 0 && len(note) < maxSockets {
			note[rows[i].SocketID] = true
		}
	}
}
