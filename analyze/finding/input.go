package finding

import "kmon/analyze/stat"

// Input is what rules look at. Slices of windows are as long as Windows; what
// happened in a window stands at its index. Lists are sorted by name.
type Input struct {
	StartNs  int64 // of window 0, Unix
	WindowNs int64 // 5 s, or more when the capture is long
	Windows  []Window
	// ClockErrorNs bounds how far the clocks of two nodes may still differ after
	// they were aligned; 0: there is one node.
	ClockErrorNs int64
	Nodes        []Node
	Instances    []Instance
	Threads      []Thread // only those that had half a CPU in some window
	Edges        []Edge
	Disks        []Disk
	Listeners    []Listener // only those with waiting connections or overflows
}

// Window is one window of time.
type Window struct {
	Partial bool // not recorded throughout by every capture: rules pass over it
}

// Coverage is by table the share of a window's events that was recorded: seen /
// (seen + lost). NotRecorded: nobody recorded them.
type Coverage struct {
	Exchanges, Intervals, OffCPU, OnCPU, Syscalls, IOs, NetEvents, AcceptQueues, Limits float64
}

// NotRecorded stands for a coverage of which nothing is known, and for sums that
// no capture recorded. It is never 0.
const NotRecorded = -1

// Node is a machine that was recorded.
type Node struct {
	Name    string // host
	CPUs    int
	Windows []NodeWindow
}

// NodeWindow is what a node did in a window.
type NodeWindow struct {
	Coverage Coverage
	OnCPUNs  int64 // of all threads
	// SoftirqNs is the CPU time of the ksoftirqd threads. Softirqs that run on
	// top of other threads count for those.
	SoftirqNs int64
	Drops     int64 // packets of TCP
}

// Instance is one process, container or pod of a service. Node is an index in
// Input.Nodes.
type Instance struct {
	Service, Name string
	Node          int
	PIDs          []int32 // first 16, sorted
	Threads       int     // that ever ran
	// LimitCores is the CPU quota of its cgroup or the tightest above it; 0: none,
	// NotRecorded: not known.
	LimitCores float64
	Windows    []InstanceWindow
}

// InstanceWindow is what an instance did in a window. Sums of tables that its
// node did not record are NotRecorded: look at Node.Coverage first.
type InstanceWindow struct {
	Served Requests // on its own end
	Asked  Requests // on its own end
	// Connections it has begun (connect) and those of them that failed.
	Connects, FailedConnects int64
	BytesIn, BytesOut        int64 // of TCP

	OnCPUNs, RunQueueNs                int64
	Timeslices, Voluntary, Involuntary int64
	Waits                              Waits
	// OnCPUSamples are samples taken on a CPU; of them YieldSamples in
	// sched_yield(2), LockSamples in futex(2) or the spinning part of a lock.
	OnCPUSamples, YieldSamples, LockSamples int64

	DiskReadBytes, DiskWriteBytes int64
	DiskIOs                       int64
	// Syscalls are the system calls that were counted: all, or those asked for.
	Syscalls int64
	// ThrottledNs is how long its cgroup's threads were kept from running by a
	// CPU quota, over all CPUs.
	ThrottledNs int64
}

// Requests is the requests that began in a window.
type Requests struct {
	Count    int64
	Errors   int64 // reset or without an answer when the connection ended
	InFlight int64 // begun in this window, and without an answer when the recording ended
	Bytes    int64 // of the requests
	Answers  int64 // bytes of the answers
	Latency  stat.Sketch
}

// Waits is how long threads were off the CPUs, by what for.
type Waits struct {
	Lock, Futex, Disk, Network, Poll, Sleep, Idle, Pipe, PageFault, Preempted, Other Wait
}

// Wait is waits of one kind. NotRecorded counts: see InstanceWindow.
type Wait struct{ Count, TotalNs int64 }

// Thread is a thread that had half a CPU in some window. Instance is an index in
// Input.Instances.
type Thread struct {
	Instance int
	PID, TID int32
	Comm     string
	Windows  []ThreadWindow
}

// ThreadWindow is what a thread did in a window.
type ThreadWindow struct {
	OnCPUNs, RunQueueNs                int64
	Timeslices, Voluntary, Involuntary int64
}

// End is who is at one end of an edge.
type End struct {
	Service  string
	Instance string // "": several, or not known
	Host     string // "": not known
	// Index in Input.Instances; -1: several, not known, or not recorded.
	Index int
}

// Edge is the requests of one instance to another, at one port.
type Edge struct {
	Client, Server End
	Port           int32
	// Which ends were recorded.
	ClientRecorded, ServerRecorded bool
	Windows                        []EdgeWindow
}

// EdgeWindow is the requests of an edge in a window. Latencies of the client's end
// hold the network and the server's queue, those of the server's end do not.
type EdgeWindow struct {
	AtClient, AtServer Requests
	// Retransmits of both recorded ends, Resets and FailedConnects in this window;
	// NotRecorded where the drop collector was off.
	Retransmits, Resets int64
	// Connections that were opened in this window.
	Connects, FailedConnects int64
}

// Disk is a block device with its partitions. Node is an index in Input.Nodes.
type Disk struct {
	Node       int
	Name       string
	Kind       string   // nvme, virtio, scsi, loop, …
	Rotational int      // 1, 0; NotRecorded
	Below      []string // disks of the same node that its IO becomes
	Windows    []DiskWindow
}

// DiskWindow is the IOs that began in a window.
type DiskWindow struct {
	BusyNs int64 // time with at least one IO under way, up to the window's length
	Errors int64
	// LimitedNs is how long cgroups with an IO limit on this disk were at it;
	// NotRecorded.
	LimitedNs int64
	Classes   []IOClass // sorted by Operation, then SizeTo; only those with IOs
	// Users are the instances (index in Input.Instances, -1: others) that asked.
	Users []DiskUser
}

// IOClass is the IOs of one operation and size class (at most SizeTo bytes and
// more than half of it).
type IOClass struct {
	Operation  string // read, write, flush, discard, other
	SizeTo     int64
	IOs, Bytes int64
	Queue      stat.Sketch // before the device had it; empty: not known
	Device     stat.Sketch
}

// DiskUser is an instance's part of a disk's IO in a window.
type DiskUser struct {
	Instance int
	IOs      int64
	Bytes    int64
	TotalNs  int64 // latencies added up
}

// Listener is a listening socket. Instance is an index in Input.Instances, -1: not
// known.
type Listener struct {
	Instance int
	Node     int
	Address  string // address:port
	Limit    int32  // backlog; 0: not known
	Windows  []ListenerWindow
}

// ListenerWindow is a listener's accept queue in a window.
type ListenerWindow struct {
	MaxDepth  int32 // seen waiting, looked at once a second
	Overflows int64 // connections turned away
}
