package network

import (
	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

const (
	// maxStrangers is how many processes that the capture does not describe
	// have round trip times of their own; those of the rest are nobody's.
	maxStrangers = 4096
	// maxCounterBytes bounds dense counters.
	maxCounterBytes = 8 << 20
)

// RTTs keeps the smoothed round trip times that connections of one capture
// had at their close. It belongs to one goroutine.
type RTTs struct {
	offsetNs  int64
	windows   replay.Windows // only FromNs and ToNs matter
	processes *replay.Owners
	owners    *Owners
	pool      stat.Pool
	list      []*HolderRTT
	known     map[int32]*HolderRTT // by index in processes
	strangers map[int32]*HolderRTT // by process id
}

// HolderRTT is the round trip times of one process.
type HolderRTT struct {
	PID     int32
	AtNs    int64 // a moment, monotonic, at which it was that process
	RTT     stat.Sketch
	builder stat.Builder
}

// NewRTTs gives an empty RTTs for a capture whose monotonic times become Unix
// times by adding offsetNs.
func NewRTTs(offsetNs int64, w replay.Windows, processes *replay.Owners, owners *Owners) *RTTs {
	return &RTTs{
		offsetNs: offsetNs, windows: w, processes: processes, owners: owners,
		known: map[int32]*HolderRTT{}, strangers: map[int32]*HolderRTT{},
	}
}

// Add takes rows of sockets. Connections that were open all the time have no
// round trip time, nor have those whose row says 0 (not known).
func (r *RTTs) Add(rows []format.Socket) {
	for i := range rows {
		row := &rows[i]
		if row.Event != format.SocketClose || row.SRTTNs <= 0 || !r.windows.Holds(row.TsNs+r.offsetNs) {
			continue
		}
		r.holder(row).builder.Add(row.SRTTNs, &r.pool)
	}
	if r.pool.Bytes() > maxCounterBytes {
		r.flush()
	}
}

// holder gives the process of a socket.
func (r *RTTs) holder(row *format.Socket) *HolderRTT {
	pid := row.PID
	if pid == 0 {
		pid = r.owners.listening(row.NetnsID, row.LocalAddr, row.LocalPort, row.TsNs)
	}
	index, id := r.known, r.processes.At(pid, row.TsNs)
	if id < 0 {
		index, id = r.strangers, pid
		if index[id] == nil && len(index) >= maxStrangers {
			pid, id = 0, 0
		}
	}
	h := index[id]
	if h == nil {
		h = &HolderRTT{PID: pid, AtNs: row.TsNs}
		index[id] = h
		r.list = append(r.list, h)
	}
	return h
}

func (r *RTTs) flush() {
	for _, h := range r.list {
		h.builder.Flush(&h.RTT, &r.pool)
	}
}

// Result gives the round trip times by process, in no order that matters.
func (r *RTTs) Result() []*HolderRTT {
	r.flush()
	return r.list
}
