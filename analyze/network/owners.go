package network

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"kmon/format"
)

// maxSockets is how many sockets Owners looks for.
const maxSockets = 1 << 18

// Owners finds processes that events don't tell.
type Owners struct {
	listeners map[place][]format.Listener // each by time
	sockets   map[int64]int32             // wanted socket → its process; 0: not seen yet
}

// place is a local end where somebody listens; all addresses are "".
type place struct {
	netnsID int64
	addr    string
	port    int32
}

// NewOwners gives the owners of a capture with those listeners.
func NewOwners(listeners []format.Listener) *Owners {
	o := &Owners{listeners: map[place][]format.Listener{}, sockets: map[int64]int32{}}
	for _, l := range listeners {
		at := place{l.NetnsID, l.Addr, l.Port}
		if wildcard(l.Addr) {
			at.addr = ""
		}
		o.listeners[at] = append(o.listeners[at], l)
	}
	for _, list := range o.listeners {
		slices.SortStableFunc(list, func(a, b format.Listener) int { return cmp.Compare(a.TsNs, b.TsNs) })
	}
	return o
}

// Want notes the sockets that events name without a process. Sockets are then
// to be shown to See before events are counted.
func (o *Owners) Want(rows []format.NetEvent) {
	for i := range rows {
		if rows[i].PID == 0 && rows[i].SocketID != 0 && len(o.sockets) < maxSockets {
			o.sockets[rows[i].SocketID] = 0
		}
	}
}

// See takes rows of sockets.
func (o *Owners) See(rows []format.Socket) {
	if len(o.sockets) == 0 {
		return
	}
	for i := range rows {
		if pid, wanted := o.sockets[rows[i].SocketID]; wanted && pid == 0 {
			o.sockets[rows[i].SocketID] = rows[i].PID
		}
	}
}

// listener gives the listener of a local end, of its address or of all, by the
// last row that has begun at a time, else the first; nil when nobody listens
// there.
func (o *Owners) listener(netnsID int64, addr string, port int32, ns int64) *format.Listener {
	own := at(o.listeners[place{netnsID, addr, port}], ns)
	all := at(o.listeners[place{netnsID, "", port}], ns)
	switch {
	case own == nil:
		return all
	case all == nil:
		return own
	case own.TsNs > ns: // neither has begun, or only that of all
		if all.TsNs < own.TsNs {
			return all
		}
		return own
	case all.TsNs <= ns && all.TsNs > own.TsNs:
		return all
	}
	return own
}

// at gives the last row that has begun at a time, else the first, of rows by
// time; nil when there is none.
func at(rows []format.Listener, ns int64) *format.Listener {
	if len(rows) == 0 {
		return nil
	}
	after, _ := slices.BinarySearchFunc(rows, ns, func(l format.Listener, ns int64) int {
		if l.TsNs <= ns {
			return -1
		}
		return 1
	})
	return &rows[max(after-1, 0)]
}

// ofEvent gives the process an event happened to, 0 when none is known.
func (o *Owners) ofEvent(e *format.NetEvent) int32 {
	if e.PID != 0 {
		return e.PID
	}
	if pid := o.sockets[e.SocketID]; pid != 0 {
		return pid
	}
	return o.listening(e.NetnsID, e.LocalAddr, e.LocalPort, e.TsNs)
}

// listening gives the process that listens at a local end, 0 when none is
// known.
func (o *Owners) listening(netnsID int64, addr string, port int32, ns int64) int32 {
	if l := o.listener(netnsID, addr, port, ns); l != nil {
		return l.PID
	}
	return 0
}

// serves says whether the local end of an event is a server's: somebody
// listens there, or the other end's port is any client's (0), or else its port is
// the lower one.
func (o *Owners) serves(e *format.NetEvent) bool {
	if o.listener(e.NetnsID, e.LocalAddr, e.LocalPort, e.TsNs) != nil {
		return true
	}
	return e.LocalPort != 0 && (e.RemotePort == 0 || e.LocalPort < e.RemotePort)
}

// ends writes the two ends of an event. A client's port says nothing, so it is
// left out: then all its connections are one peer.
func (o *Owners) ends(e *format.NetEvent) (local, remote string) {
	if o.serves(e) {
		return Address(e.LocalAddr, e.LocalPort), Address(e.RemoteAddr, 0)
	}
	return Address(e.LocalAddr, 0), Address(e.RemoteAddr, e.RemotePort)
}

// Address writes an address, and its port unless that is 0.
func Address(addr string, port int32) string {
	if addr == "" || port <= 0 || port > 65535 {
		return addr
	}
	if parsed, err := netip.ParseAddr(addr); err == nil {
		return netip.AddrPortFrom(parsed, uint16(port)).String()
	}
	return addr + ":" + strconv.Itoa(int(port))
}

func wildcard(addr string) bool { return addr == "0.0.0.0" || addr == "::" || addr == "" }
