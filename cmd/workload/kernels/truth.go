package main

// truth is the part of what a load counted of itself (cmd/workload's Truth)
// that captures are held against.
type truth struct {
	Processes []struct {
		PID int32 `json:"pid"`
	} `json:"processes"`
	Services  []service  `json:"services"`
	Edges     []edge     `json:"edges"`
	Sockets   []socket   `json:"sockets"`
	Threads   []thread   `json:"threads"`
	Disks     []disk     `json:"disks"`
	Refused   []refused  `json:"refused"`
	Listeners []listener `json:"listeners"`
	Clock     clock      `json:"clock"`
	load      load
	early     bool // connected before kmon recorded
}

// clock is what a deed did to the clocks, and when.
type clock struct {
	BeganNs     int64 `json:"began_ns"` // monotonic
	EndedNs     int64 `json:"ended_ns"` // monotonic
	SetNs       int64 `json:"set_ns"`
	SuspendedNs int64 `json:"suspended_ns"`
}

type service struct {
	Name     string `json:"name"`
	PID      int32  `json:"pid"`
	Requests int64  `json:"requests"`
	BytesIn  int64  `json:"bytes_in"`
	BytesOut int64  `json:"bytes_out"`
}

type edge struct {
	PID           int32 `json:"pid"`
	Requests      int64 `json:"requests"`
	BytesSent     int64 `json:"bytes_sent"`
	BytesReceived int64 `json:"bytes_received"`
}

type socket struct {
	Path          string `json:"path"`
	Role          string `json:"role"`
	LocalPort     int32  `json:"local_port"`
	RemotePort    int32  `json:"remote_port"`
	Requests      int64  `json:"requests"`
	BytesSent     int64  `json:"bytes_sent"`
	BytesReceived int64  `json:"bytes_received"`
}

type thread struct {
	Name      string `json:"name"`
	TID       int32  `json:"tid"`
	Times     int64  `json:"times"`
	TookNs    int64  `json:"took_ns"`
	LifeCPUNs int64  `json:"life_cpu_ns"`
}

type disk struct {
	PID        int32 `json:"pid"`
	Reads      int64 `json:"reads"`
	Writes     int64 `json:"writes"`
	Flushes    int64 `json:"flushes"`
	ReadBytes  int64 `json:"read_bytes"`
	WriteBytes int64 `json:"write_bytes"`
	TookNs     int64 `json:"took_ns"`
}

type refused struct {
	Host     string `json:"host"`
	Port     int32  `json:"port"`
	PID      int32  `json:"pid"`
	Connects int64  `json:"connects"`
}

type listener struct {
	Port        int32 `json:"port"`
	PID         int32 `json:"pid"`
	Limit       int32 `json:"limit"`
	Depth       int32 `json:"depth"`
	Overflows   int64 `json:"overflows"`
	Retransmits int64 `json:"retransmits"`
}
