package main

import (
	"slices"

	"kmon/format"
)

// faults are what went wrong on the network, as a capture tells it.
type faults struct {
	sockets []format.Socket
	events  []format.NetEvent
	queues  []format.AcceptQueue
}

// checkFaults holds the faults of a capture against what the loads that made
// them counted, or asked the kernel.
func checkFaults(r *result, capture *format.Capture, truths []truth) (err error) {
	var f faults
	if f.sockets, err = format.All[format.Socket](capture); err != nil {
		return err
	}
	if f.events, err = format.All[format.NetEvent](capture); err != nil {
		return err
	}
	if f.queues, err = format.All[format.AcceptQueue](capture); err != nil {
		return err
	}
	for _, truth := range truths {
		for _, want := range truth.Refused {
			f.checkRefused(r, want)
		}
		for _, want := range truth.Listeners {
			f.checkListener(r, want)
		}
	}
	return nil
}

// checkRefused: each connect failed, its packet was dropped and answered by a
// reset, which was received.
func (f faults) checkRefused(r *result, want refused) {
	failed := slices.DeleteFunc(slices.Clone(f.sockets), func(s format.Socket) bool {
		return s.PID != want.PID || s.RemoteAddr != want.Host || s.RemotePort != want.Port || s.CloseReason != format.CloseRefused
	})
	r.expect("refused connects to "+want.Host, int64(len(failed)), want.Connects)
	count := map[format.NetEventKind]int64{}
	for _, e := range f.events {
		atServer := e.LocalAddr == want.Host && e.LocalPort == want.Port
		atClient := e.RemoteAddr == want.Host && e.RemotePort == want.Port
		if atServer && (e.Kind != format.NetDrop || e.Reason == "NO_SOCKET") || atClient && e.Kind == format.NetResetReceived {
			count[e.Kind] += e.Count
		}
	}
	r.expect("packets to a closed port of "+want.Host, count[format.NetDrop], want.Connects)
	r.expect("resets sent by a closed port of "+want.Host, count[format.NetResetSent], want.Connects)
	r.expect("resets received from a closed port of "+want.Host, count[format.NetResetReceived], want.Connects)
}

// checkListener: as many waited, were turned away and asked again.
func (f faults) checkListener(r *result, want listener) {
	var depth int32
	var overflows, retransmits int64
	for _, row := range f.queues {
		if row.PID == want.PID && row.Port == want.Port && row.Limit == want.Limit {
			depth, overflows = max(depth, row.Depth), overflows+row.Overflows
		}
	}
	for _, e := range f.events {
		if e.Kind == format.NetRetransmit && e.RemotePort == want.Port {
			retransmits += e.Count
		}
	}
	r.expect("connections that waited", depth, want.Depth)
	r.expect("connections turned away", overflows, want.Overflows)
	r.expect("segments sent again", retransmits, want.Retransmits)
}
