package main

import (
	"fmt"
	"strings"

	"kmon/format"
)

// traffic is what the rows of a capture add up to.
type traffic struct {
	processes map[process]sum
	sockets   map[ports]sum
	existing  map[int32]int // sockets older than the recording, by their owner
}

// process is one process as the client or the server of connections.
type process struct {
	pid    int32
	client bool
}

type ports struct{ local, remote int32 }

// sum is what went through sockets, as their owner sees it.
type sum struct{ requests, sent, received int64 }

func (s *sum) add(e format.Exchange) {
	if e.Flags&(format.ExchangePartial|format.ExchangeNoRequest) == 0 {
		s.requests++
	}
	if e.Flags&format.ExchangeClient != 0 {
		s.sent, s.received = s.sent+e.RequestBytes, s.received+e.AnswerBytes
	} else {
		s.sent, s.received = s.sent+e.AnswerBytes, s.received+e.RequestBytes
	}
}

func readTraffic(capture *format.Capture) (traffic, error) {
	t := traffic{processes: map[process]sum{}, sockets: map[ports]sum{}, existing: map[int32]int{}}
	sockets, err := format.All[format.Socket](capture)
	if err != nil {
		return t, err
	}
	of := map[int64]ports{}
	for _, s := range sockets {
		of[s.SocketID] = ports{s.LocalPort, s.RemotePort}
		if s.Event == format.SocketExisting {
			t.existing[s.PID]++
		}
	}
	exchanges, err := format.All[format.Exchange](capture)
	for _, e := range exchanges {
		p := process{e.PID, e.Flags&format.ExchangeClient != 0}
		byProcess, bySocket := t.processes[p], t.sockets[of[e.SocketID]]
		byProcess.add(e)
		bySocket.add(e)
		t.processes[p], t.sockets[of[e.SocketID]] = byProcess, bySocket
	}
	return t, err
}

// check holds the sums against what the processes of a load counted.
func (t traffic) check(r *result, truth truth) {
	name := strings.Join(truth.load, " ")
	streams := truth.load[0] == "stream" // which has no requests
	for _, s := range truth.Services {
		if truth.early {
			r.expect("sockets of "+s.Name+" older than the recording", t.existing[s.PID], earlyConnections)
		}
		got, want := t.processes[process{s.PID, false}], sum{s.Requests, s.BytesOut, s.BytesIn}
		if streams {
			got.requests, want.requests = 0, 0
		}
		r.expect(fmt.Sprintf("%s: %s", name, s.Name), got, want)
	}
	for _, e := range truth.Edges {
		got, want := t.processes[process{e.PID, true}], sum{e.Requests, e.BytesSent, e.BytesReceived}
		if streams {
			got.requests, want.requests = 0, 0
		}
		r.expect(name+": the client", got, want)
	}
	for _, s := range truth.Sockets {
		r.expect(fmt.Sprintf("%s: %s of %s", name, s.Role, s.Path), t.sockets[ports{s.LocalPort, s.RemotePort}], sum{s.Requests, s.BytesSent, s.BytesReceived})
	}
}
