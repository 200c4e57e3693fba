package main

import (
	"cmp"
	"encoding/json"
	"io"
	"math"
	"slices"
	"time"
)

// Truth is what a load knows of itself, counted by the processes that did the
// work. Times are nanoseconds, sizes bytes. Every count is exact.
type Truth struct {
	Load        string     `json:"load"`
	StartUnixNs int64      `json:"start_unix_ns"`
	EndUnixNs   int64      `json:"end_unix_ns"`
	Processes   []Process  `json:"processes"`
	Services    []Service  `json:"services"`
	Edges       []Edge     `json:"edges"`
	Sockets     []Socket   `json:"sockets,omitempty"`
	Threads     []Thread   `json:"threads,omitempty"`
	Disks       []Disk     `json:"disks,omitempty"`
	Refused     []Refused  `json:"refused,omitempty"`
	Listeners   []Listener `json:"listeners,omitempty"`
	Spawned     int64      `json:"spawned,omitempty"` // processes that began, ran a program and ended
	Fault       *Fault     `json:"fault,omitempty"`
	Notes       []string   `json:"notes,omitempty"` // what the machine refused, so what is not in the load
}

// Process is one process of the load; its executable carries its name.
type Process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// Thread is what one thread did, by its own clocks.
type Thread struct {
	Name    string `json:"name"`
	TID     int    `json:"tid"`
	Times   int64  `json:"times"`    // how often it did what its name says
	AskedNs int64  `json:"asked_ns"` // for how long in all
	TookNs  int64  `json:"took_ns"`  // and how long that took
	// RunQueueNs is the part of TookNs in which it could run and others ran.
	RunQueueNs int64 `json:"run_queue_ns"`
	LifeCPUNs  int64 `json:"life_cpu_ns"` // on CPUs since the thread began, which may have had other work before
}

// Disk is what one process read from and wrote to one disk or file, one IO at
// a time.
type Disk struct {
	Path       string `json:"path"`
	PID        int    `json:"pid"`
	Reads      int64  `json:"reads"`
	Writes     int64  `json:"writes"`
	Flushes    int64  `json:"flushes"`
	ReadBytes  int64  `json:"read_bytes"`
	WriteBytes int64  `json:"write_bytes"`
	TookNs     int64  `json:"took_ns"` // all of them, one after the other
}

// Fault is what was wrong, with whom and when.
type Fault struct {
	Kind        string `json:"kind"`    // as it was asked for
	Healthy     bool   `json:"healthy"` // it did not come: the load without it
	Service     string `json:"service"` // that it befell
	PID         int    `json:"pid"`
	OnsetUnixNs int64  `json:"onset_unix_ns"` // before, all was well
	EndUnixNs   int64  `json:"end_unix_ns"`   // no request was sent after
}

// Refused is how often one process asked for a connection and was refused.
type Refused struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	PID      int    `json:"pid"`
	Connects int64  `json:"connects"`
}

// Listener is what became of connections that nobody accepted.
type Listener struct {
	Port      int   `json:"port"`
	PID       int   `json:"pid"`
	Limit     int   `json:"limit"`     // its backlog
	Depth     int   `json:"depth"`     // connections that waited
	Overflows int64 `json:"overflows"` // times that one was turned away
	// Retransmits is how often its clients sent a segment again.
	Retransmits int64 `json:"retransmits"`
}

// Service is what one serving process saw on the connections it accepted. The
// last byte leaves between the call of the last write and its return, and on a
// busy machine these lie apart: the peer that the byte wakes often runs first.
type Service struct {
	Name        string  `json:"name"`
	PID         int     `json:"pid"`
	Address     string  `json:"address"`
	Connections int64   `json:"connections"`
	Requests    int64   `json:"requests"`   // answered
	Unanswered  int64   `json:"unanswered"` // connection ended before an answer
	Errors      int64   `json:"errors"`     // answered, but not as asked
	BytesIn     int64   `json:"bytes_in"`
	BytesOut    int64   `json:"bytes_out"`
	MessagesIn  int64   `json:"messages_in,omitempty"`  // the application's, streams only
	MessagesOut int64   `json:"messages_out,omitempty"` // the application's, streams only
	Latency     Latency `json:"latency_ns"`             // first byte read to the call of the last write
	Returned    Latency `json:"returned_ns"`            // first byte read to the return of the last write
}

// Edge is what one client process did on the connections it opened to a server.
type Edge struct {
	Client           string  `json:"client"`
	Server           string  `json:"server"`
	PID              int     `json:"pid"` // the client's
	Connections      int64   `json:"connections"`
	Requests         int64   `json:"requests"` // answered
	Unanswered       int64   `json:"unanswered"`
	Errors           int64   `json:"errors"`
	BytesSent        int64   `json:"bytes_sent"`
	BytesReceived    int64   `json:"bytes_received"`
	MessagesSent     int64   `json:"messages_sent,omitempty"` // the application's, streams only
	MessagesReceived int64   `json:"messages_received,omitempty"`
	Latency          Latency `json:"latency_ns"` // first byte written to last byte read
}

// Socket is what one end of one connection sent and received, and how. A
// message is a call that moved at least one byte; a call that sends several
// messages (sendmmsg) counts each.
type Socket struct {
	Path             string `json:"path"`
	Role             string `json:"role"` // client or server
	LocalPort        int    `json:"local_port"`
	RemotePort       int    `json:"remote_port"`
	Requests         int64  `json:"requests"` // asked or served on it, one after the other
	BytesSent        int64  `json:"bytes_sent"`
	BytesReceived    int64  `json:"bytes_received"`
	MessagesSent     int64  `json:"messages_sent"`
	MessagesReceived int64  `json:"messages_received"`
}

// Latency summarizes durations by exact quantiles of all of them, nearest
// rank. Count 0 means that nothing was measured.
type Latency struct {
	Count int64 `json:"count"`
	Mean  int64 `json:"mean"`
	P50   int64 `json:"p50"`
	P90   int64 `json:"p90"`
	P95   int64 `json:"p95"`
	P99   int64 `json:"p99"`
	Max   int64 `json:"max"`
}

// summarize takes the durations over and sorts them.
func summarize(durations []time.Duration) Latency {
	n := len(durations)
	if n == 0 {
		return Latency{}
	}
	slices.Sort(durations)
	rank := func(q float64) int64 { return int64(durations[int(math.Ceil(q*float64(n)))-1]) }
	var sum time.Duration
	for _, d := range durations {
		sum += d
	}
	return Latency{Count: int64(n), Mean: int64(sum) / int64(n), P50: rank(.5), P90: rank(.9),
		P95: rank(.95), P99: rank(.99), Max: rank(1)}
}

// add appends the part of the truth that one process knows.
func (t *Truth) add(part Truth) {
	t.Processes = append(t.Processes, part.Processes...)
	t.Services = append(t.Services, part.Services...)
	t.Edges = append(t.Edges, part.Edges...)
	t.Sockets = append(t.Sockets, part.Sockets...)
	t.Notes = append(t.Notes, part.Notes...)
}

// write sorts the truth and writes it as indented JSON.
func (t *Truth) write(w io.Writer) error {
	slices.SortFunc(t.Processes, func(a, b Process) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID))
	})
	slices.SortFunc(t.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID))
	})
	slices.SortFunc(t.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server))
	})
	t.Services, t.Edges = append([]Service{}, t.Services...), append([]Edge{}, t.Edges...) // [], never null
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(t)
}
