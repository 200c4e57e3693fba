package replay

import (
	"cmp"
	"math"
	"slices"

	"kmon/format"
)

// Socket is one end of a TCP connection, folded from its rows. 64 bytes: a
// capture may have millions.
type Socket struct {
	ID          int64
	OpenNs      int64 // monotonic; math.MinInt64: older than the recording
	SeenNs      int64 // monotonic; of the first row about it
	CloseNs     int64 // monotonic; math.MaxInt64: not seen closing
	Local       int32 // index for Sockets.Addr
	Remote      int32 // index for Sockets.Addr
	LocalPort   uint16
	RemotePort  uint16
	NetnsID     uint32
	PID         int32 // owner when it opened, else when it closed; 0: not known
	Retransmits int32
	Role        uint8 // format.Role; never unknown once loaded
	RoleSource  uint8 // format.RoleSource
	Close       uint8 // format.CloseReason
	Failed      bool  // connect ended without a connection
	Recent      bool  // its end was read last
}

// HeldNs is the first moment, monotonic, at which its process is known to have held
// it: when it opened, else when it was listed.
func (s *Socket) HeldNs() int64 { return max(s.OpenNs, s.SeenNs) }

// Client says that the socket is its connection's client end.
func (s *Socket) Client() bool { return s.Role == uint8(format.RoleClient) }

// Reset says that the connection ended by a reset or a timeout.
func (s *Socket) Reset() bool {
	switch format.CloseReason(s.Close) {
	case format.CloseResetSent, format.CloseResetReceived, format.CloseTimeout:
		return !s.Failed
	}
	return false
}

// Sockets holds the sockets of one capture that are live in the current part
// of it, sorted by ID; see Parts.
type Sockets struct {
	List    []Socket
	Guessed int64 // sockets so far whose role is a guess

	addrs []string
	index map[string]int32
	known map[int64]int32 // id → index in List, while reading
}

func newSockets() *Sockets {
	return &Sockets{index: map[string]int32{}, known: map[int64]int32{}}
}

// Addr returns the address that Socket.Local and Socket.Remote stand for.
func (s *Sockets) Addr(i int32) string { return s.addrs[i] }

// Find returns the index of the live socket with an id, -1 when there is none.
func (s *Sockets) Find(id int64) int32 {
	i, ok := slices.BinarySearchFunc(s.List, id, func(e Socket, id int64) int { return cmp.Compare(e.ID, id) })
	if !ok {
		return -1
	}
	return int32(i)
}

// add folds rows of the table, in the order of their time, into sockets.
func (s *Sockets) add(rows []format.Socket) {
	for i := range rows {
		r := &rows[i]
		at, ok := s.known[r.SocketID]
		if !ok {
			at = int32(len(s.List))
			s.List = append(s.List, s.begin(r))
			s.known[r.SocketID] = at
		}
		socket := &s.List[at]
		if socket.PID == 0 {
			socket.PID = r.PID
		}
		if better(r.RoleSource, socket.RoleSource) {
			socket.Role, socket.RoleSource = uint8(r.Role), uint8(r.RoleSource)
		}
		switch r.Event {
		case format.SocketOpen, format.SocketExisting:
			if r.Event == format.SocketOpen && socket.OpenNs == math.MinInt64 {
				socket.OpenNs = r.TsNs
			}
		default:
			socket.end(r)
		}
	}
}

// better says whether a role's source beats another: the lower number, but
// known before unknown.
func better(a format.RoleSource, b uint8) bool {
	return a != format.RoleSourceUnknown && (b == 0 || uint8(a) < b)
}

// begin makes a socket of the first row about it.
func (s *Sockets) begin(r *format.Socket) Socket {
	socket := Socket{
		ID: r.SocketID, OpenNs: math.MinInt64, SeenNs: r.TsNs, CloseNs: math.MaxInt64,
		Local: s.addr(r.LocalAddr), Remote: s.addr(r.RemoteAddr),
		LocalPort: uint16(r.LocalPort), RemotePort: uint16(r.RemotePort),
		NetnsID: uint32(r.NetnsID), PID: r.PID,
		Role: uint8(r.Role), RoleSource: uint8(r.RoleSource),
	}
	if r.Event == format.SocketConnectFailed {
		socket.Role, socket.RoleSource = uint8(format.RoleClient), uint8(format.RoleSourceConnect)
	}
	if r := format.RoleSource(socket.RoleSource); r == format.RoleSourcePort || r == format.RoleSourceUnknown {
		s.Guessed++
	}
	if socket.Role != uint8(format.RoleClient) && socket.Role != uint8(format.RoleServer) {
		socket.Role = uint8(format.RoleServer) // a guess: the lower port serves
		if r.LocalPort > r.RemotePort {
			socket.Role = uint8(format.RoleClient)
		}
	}
	return socket
}

func (s *Socket) end(r *format.Socket) {
	s.CloseNs, s.Recent = r.TsNs, true
	s.Close = uint8(r.CloseReason)
	s.Retransmits = int32(min(max(r.Retransmits, 0), math.MaxInt32))
	s.Failed = r.Event == format.SocketConnectFailed
	if s.Failed {
		s.OpenNs = r.TsNs
	}
}

// finish sorts the sockets.
func (s *Sockets) finish() {
	slices.SortFunc(s.List, func(a, b Socket) int { return cmp.Compare(a.ID, b.ID) })
}

// Keep drops the sockets for which keep is false. Those kept are no longer
// Recent.
func (s *Sockets) Keep(keep []bool) {
	kept := s.List[:0]
	clear(s.known)
	for i := range s.List {
		if keep[i] {
			s.List[i].Recent = false
			s.known[s.List[i].ID] = int32(len(kept))
			kept = append(kept, s.List[i])
		}
	}
	s.List = kept
}

func (s *Sockets) addr(text string) int32 {
	if i, ok := s.index[text]; ok {
		return i
	}
	i := int32(len(s.addrs))
	kept := string([]byte(text))
	s.addrs = append(s.addrs, kept)
	s.index[kept] = i
	return i
}

// Addrs returns the number of addresses; indexes are below it.
func (s *Sockets) Addrs() int { return len(s.addrs) }
