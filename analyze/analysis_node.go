package analyze

// What the collectors beside tcp tell, as parts of an Analysis. A pointer that
// is nil and a list that is absent from the JSON mean "not recorded"; a list
// that is there and empty means "none".

// CPU is what threads did on the CPUs and waiting for one.
type CPU struct {
	OnCPUNs     int64   `json:"on_cpu_ns"`
	Cores       float64 `json:"cores"`         // CPUs used, on average
	RunQueueNs  int64   `json:"run_queue_ns"`  // runnable, waiting for a CPU
	MeanQueueNs int64   `json:"mean_queue_ns"` // of it for each time slice; 0: no slice
	Timeslices  int64   `json:"timeslices"`
	Voluntary   int64   `json:"voluntary"`
	Involuntary int64   `json:"involuntary"`
	// OnCPUPerRequestNs is OnCPUNs by the requests served; nil: none were, or
	// collector tcp did not record.
	OnCPUPerRequestNs *int64  `json:"on_cpu_per_request_ns,omitempty"`
	Coverage          float64 `json:"coverage"`
}

// CPUPoint is one window of a service on the CPUs. What was recorded as a sum
// over a longer interval is spread evenly over it.
type CPUPoint struct {
	StartNs    int64 `json:"start_ns"`
	Partial    bool  `json:"partial,omitempty"` // first or last window, not fully recorded
	OnCPUNs    int64 `json:"on_cpu_ns"`
	RunQueueNs int64 `json:"run_queue_ns"`
	Lost       int64 `json:"lost,omitempty"` // rows known lost in this window, all services
}

// Wait is time off the CPU, by what was waited for. A wait counts in the
// interval it ended in.
type Wait struct {
	// For is lock, disk, network (one socket), sleep, idle (an event loop or a
	// pool's thread with nothing to do), callee (an event loop while requests
	// of its service were unanswered; an estimate, at most so much), child,
	// pipe, page-fault, preempted or other. Where that is not known it is futex
	// (a lock, a condition or an idle pool's thread) or poll (an event loop,
	// requests were not recorded).
	For     string `json:"for"`
	Count   int64  `json:"count"`
	TotalNs int64  `json:"total_ns"`
	MaxNs   int64  `json:"max_ns"`
	Waiting int64  `json:"waiting"` // of count, waits that had not ended when the recording did
}

// SyscallCount is how often something was called.
type SyscallCount struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"` // syscall, tracepoint, function
	Service    string   `json:"service"`
	Count      int64    `json:"count"`
	RatePerS   float64  `json:"rate_per_s"`
	PerRequest *float64 `json:"per_request,omitempty"`
	Errors     *int64   `json:"errors,omitempty"`   // nil: not recorded
	TotalNs    *int64   `json:"total_ns,omitempty"` // nil: not recorded
	MaxNs      *int64   `json:"max_ns,omitempty"`   // nil: not recorded
	// Series are Count, Errors and TotalNs, those that were not recorded as 0. It has no
	// points where there were too many calls to keep it by window.
	Series SumSeries `json:"-"`
}

// Memory is the memory of a service's processes and their cgroups.
type Memory struct {
	MaxRSSBytes     int64 `json:"max_rss_bytes"`     // largest sum over its processes at one moment
	LastRSSBytes    int64 `json:"last_rss_bytes"`    // at the end
	MaxCurrentBytes int64 `json:"max_current_bytes"` // of its cgroups; 0: none recorded
	LimitBytes      int64 `json:"limit_bytes"`       // least limit of its cgroups; 0: none
	OOMKills        int64 `json:"oom_kills"`         // during the recording
	// Series are OOMKills, at the look that noticed them; Max are the largest sum over the
	// processes, and that over the cgroups, 0: not known, -1: nobody looked. It has no
	// points for a service of several hosts.
	Series SumSeries `json:"-"`
}

// Thread is one of the busiest threads.
type Thread struct {
	Capture string `json:"capture"`
	Service string `json:"service"`
	PID     int32  `json:"pid"`
	TID     int32  `json:"tid"`
	Comm    string `json:"comm"`
	CPU     CPU    `json:"cpu"`
	// Series are OnCPUNs and RunQueueNs; without points as that of a SyscallCount.
	Series SumSeries `json:"-"`
}

// WakePair is two threads of which one wakes the other, often. A pair stands
// once, in the direction of more wake-ups.
type WakePair struct {
	Capture      string  `json:"capture"`
	WakerService string  `json:"waker_service"`
	WakerPID     int32   `json:"waker_pid"`
	WakerTID     int32   `json:"waker_tid"`  // 0: an interrupt of an idle CPU
	WakerComm    string  `json:"waker_comm"` // "": not known
	Service      string  `json:"service"`
	PID          int32   `json:"pid"`
	TID          int32   `json:"tid"`
	Comm         string  `json:"comm"` // "": not known
	Count        int64   `json:"count"`
	Back         int64   `json:"back"` // wake-ups the other way
	RatePerS     float64 `json:"rate_per_s"`
	// Series are Count and Back; without points as that of a SyscallCount.
	Series SumSeries `json:"-"`
}

// Disk is one block device, with its partitions. With a filter of services it
// is the IO that these asked for. An IO that had not ended when the recording
// did is in no number but Open.
type Disk struct {
	Capture    string   `json:"capture"`
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Model      string   `json:"model,omitempty"`
	Rotational *bool    `json:"rotational,omitempty"`
	SizeBytes  int64    `json:"size_bytes"`
	Scheduler  string   `json:"scheduler,omitempty"`
	Mounts     []string `json:"mounts"` // at most 16, the shortest; those of its partitions too
	// Below names the disks whose IO this one's IO becomes (loop, mapping,
	// raid): their numbers hold it too. So never add all disks up: those with
	// nothing Below are what the hardware did, those that are Below no other
	// what was asked for.
	Below          []string     `json:"below"`
	IOs            int64        `json:"ios"`
	RatePerS       float64      `json:"rate_per_s"`
	ReadBytes      int64        `json:"read_bytes"`
	WriteBytes     int64        `json:"write_bytes"`
	ReadBytesPerS  float64      `json:"read_bytes_per_s"`
	WriteBytesPerS float64      `json:"write_bytes_per_s"`
	Errors         int64        `json:"errors"`
	Requeues       int64        `json:"requeues"` // times the device sent an IO back
	Merges         int64        `json:"merges"`   // bios that joined another's IO
	Open           int64        `json:"open"`     // IOs that had not ended when the recording did
	Latency        Distribution `json:"latency_ns"`
	// Queue is the part of Latency before the device had the IO; of fewer IOs
	// where that is not known (flushes), which then have Latency = Device.
	Queue  Distribution `json:"queue_ns"`
	Device Distribution `json:"device_ns"`
	// MeanInFlight is how many IOs were under way on average.
	MeanInFlight float64         `json:"mean_in_flight"`
	Operations   []DiskOperation `json:"operations"` // by operation, then size
	Users        []DiskUser      `json:"users"`      // most IOs first, at most 64
	Series       []DiskPoint     `json:"series"`     // empty for a disk that did nothing
	Coverage     float64         `json:"coverage"`   // of all IO of the capture
}

// DiskOperation is one kind of IO, in one class of sizes.
type DiskOperation struct {
	Operation string       `json:"operation"`     // read, write, flush, discard, other
	SizeTo    int64        `json:"size_to_bytes"` // upper bound of the class, a power of two; 0: no data
	IOs       int64        `json:"ios"`
	Bytes     int64        `json:"bytes"`
	Latency   Distribution `json:"latency_ns"`
	Device    Distribution `json:"device_ns"`
	// Series are IOs, Bytes, ns in the device and ns of latency; Max is the longest latency.
	// It has no points where it is not among those with most IOs, of all disks.
	Series SumSeries `json:"-"`
}

// DiskUser is who asked for IO. What a process writes through the page cache
// is asked for by the kernel's flusher, later, and is not the process's.
type DiskUser struct {
	Service string `json:"service"`
	// Comm says of the kernel's own threads which: flusher, kworker,
	// jbd2/sda1-8, …; "" for other services.
	Comm       string       `json:"comm,omitempty"`
	IOs        int64        `json:"ios"`
	ReadBytes  int64        `json:"read_bytes"`
	WriteBytes int64        `json:"write_bytes"`
	Latency    Distribution `json:"latency_ns"`
	// Series are IOs, ReadBytes, WriteBytes and ns of latency; Max is the longest latency.
	// Without points as that of a DiskOperation.
	Series SumSeries `json:"-"`
}

// DiskPoint is the IO that was asked for in one window.
type DiskPoint struct {
	StartNs    int64 `json:"start_ns"`
	Partial    bool  `json:"partial,omitempty"`
	IOs        int64 `json:"ios"`
	ReadBytes  int64 `json:"read_bytes"`
	WriteBytes int64 `json:"write_bytes"`
	P50        int64 `json:"p50"` // of queue + device
	P99        int64 `json:"p99"`
	Max        int64 `json:"max"`
	Count      int64 `json:"latency_count"`  // 0: P50, P99 and Max are not known
	Lost       int64 `json:"lost,omitempty"` // IOs known lost or left out in this window, all disks
	// Classes are the latencies of the window; nil: as of a Point.
	Classes []ClassCount `json:"-"`
}

// Drop is packets dropped for one reason at one service.
type Drop struct {
	Capture  string `json:"capture"`
	Reason   string `json:"reason"`   // the kernel's word
	Protocol string `json:"protocol"` // TCP, UDP, ICMP, …; "": not known
	Count    int64  `json:"count"`
	Service  string `json:"service,omitempty"` // whose socket it was; "": nobody's
	Local    string `json:"local,omitempty"`   // the busiest local address, with the port if it is a server's
	Peer     string `json:"peer,omitempty"`    // the busiest remote address, with the port if it is a server's
	FirstNs  int64  `json:"first_ns"`
	LastNs   int64  `json:"last_ns"`
	// Stack is the most frequent, leaf first; empty: none taken.
	Stack    []string  `json:"stack"`
	Coverage float64   `json:"coverage"` // of all network events of the capture
	Series   SumSeries `json:"-"`        // is Count
}

// NetworkCount is what went wrong on the sockets of one service, and their
// round trip times; beyond 256 services with most faults the others are one. Its retransmits and resets are events that happened in the
// analyzed time. Those of an Edge are others: of connections that ended, over
// their whole life, as the kernel counted them.
type NetworkCount struct {
	Service string `json:"service"` // "": on nobody's socket
	// The counts are nil when they were not recorded.
	Retransmits    *int64         `json:"retransmits,omitempty"`
	ResetsSent     *int64         `json:"resets_sent,omitempty"`
	ResetsReceived *int64         `json:"resets_received,omitempty"`
	Drops          *int64         `json:"drops,omitempty"`
	Overflows      *int64         `json:"overflows,omitempty"`    // connections that its listeners turned away
	Peer           string         `json:"peer,omitempty"`         // with the most retransmits and resets, as of a Drop
	ResetReason    string         `json:"reset_reason,omitempty"` // the most frequent, the kernel's word
	RTT            Distribution   `json:"rtt_ns"`                 // smoothed, of connections at their close
	Series         []NetworkPoint `json:"series"`                 // empty without faults
	Coverage       float64        `json:"coverage"`               // of network events
}

// NetworkPoint is one window of a service's network faults.
type NetworkPoint struct {
	StartNs     int64 `json:"start_ns"`
	Partial     bool  `json:"partial,omitempty"`
	Retransmits int64 `json:"retransmits"`
	Resets      int64 `json:"resets"`
	Drops       int64 `json:"drops"`
	Overflows   int64 `json:"overflows"` // in the second that ended here
}

// AcceptQueue is the queue of one listener in which connections waited to be
// accepted, or which turned some away. Others are not listed.
type AcceptQueue struct {
	Capture   string  `json:"capture"`
	Service   string  `json:"service"`   // "": not known
	Address   string  `json:"address"`   // address:port
	MaxDepth  int32   `json:"max_depth"` // largest number seen waiting, looked at once a second
	Limit     int32   `json:"limit"`     // the backlog it listens with, the kernel lets one more wait; 0: not known
	Overflows int64   `json:"overflows"` // connections turned away, each time they asked
	Coverage  float64 `json:"coverage"`
	// Series are Overflows; Max are the largest number seen waiting, and Limit.
	Series SumSeries `json:"-"`
}

// FlameTree is where time went, merged by call path from the root. The value of
// a node holds its children's.
type FlameTree struct {
	Kind    string `json:"kind"`    // on-cpu, off-cpu
	Service string `json:"service"` // "": all
	Unit    string `json:"unit"`    // samples, ns
	Total   int64  `json:"total"`
	// NsPerUnit turns the unit into nanoseconds; 0: not known.
	NsPerUnit int64 `json:"ns_per_unit"`
	// Functions are those with the most value of their own, largest first, at
	// most 50; Paths those that most value ended in, at most 20. Both are of
	// the whole tree, before it was pruned.
	Functions []FlameFunction `json:"functions"`
	Paths     []FlamePath     `json:"paths"`
	// Root is the tree. Nodes below 1/1000 of the total, and more than some
	// thousands, are added up in nodes named "(other)".
	Root FlameNode `json:"root"`
}

// FlameFunction is a function, over all its call paths.
type FlameFunction struct {
	Name        string `json:"name"`
	Module      string `json:"module,omitempty"`
	Kind        string `json:"kind,omitempty"` // kernel, user
	Approximate bool   `json:"approximate,omitempty"`
	Self        int64  `json:"self"`  // it was the leaf
	Total       int64  `json:"total"` // it was on the path, counted once a path
}

// FlamePath is a call path.
type FlamePath struct {
	Frames []string `json:"frames"` // names from the root: service, state of a wait, functions
	Value  int64    `json:"value"`  // that ended in the last
}

// FlameNode is a frame on a call path.
type FlameNode struct {
	Name        string      `json:"name"`
	Module      string      `json:"module,omitempty"`
	Kind        string      `json:"kind,omitempty"`        // service, state (of a wait), user, kernel
	Approximate bool        `json:"approximate,omitempty"` // the nearest exported name of a stripped file
	Value       int64       `json:"value"`
	Children    []FlameNode `json:"children,omitempty"` // sorted by name, "(other)" last
}

// HeatMap counts things over time.
type HeatMap struct {
	Kind     string `json:"kind"`    // on-cpu (offset within the second), latency
	Subject  string `json:"subject"` // service, or "client → server:port"; "": all
	StartNs  int64  `json:"start_ns"`
	ColumnNs int64  `json:"column_ns"` // width of a column
	// RowBounds are the lower bounds of the rows, and last the upper bound of
	// the last one, in ns.
	RowBounds []int64 `json:"row_bounds_ns"`
	// Cells are the counts that are not 0, by column, then row.
	Cells []HeatCell `json:"cells"`
}

// HeatCell is one count of a heat map.
type HeatCell struct {
	Column int32 `json:"column"`
	Row    int32 `json:"row"`
	Count  int64 `json:"count"`
}
