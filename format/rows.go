package format

// Row types: one Go struct per table of a capture. The struct tags are the
// schema on disk; FORMAT.md describes every column and a test holds the two
// together. Times named ts_ns and start_ns are the kernel's CLOCK_MONOTONIC;
// Manifest.Clock and the clock pairs in table self turn them into Unix time.
// Text that was not known is "", ids that were not known are 0.

// ExchangeFlags says how an exchange ended and how far its times can be
// trusted. The numbers are stored: never renumber.
type ExchangeFlags int32

const (
	// ExchangeClient: the socket is the client's end, its request burst was
	// sent. Without the flag the socket is the server's end, its request
	// burst was received.
	ExchangeClient ExchangeFlags = 1 << 0
	// ExchangePartial: more rows of this exchange follow, so this row is not
	// a request; only its bytes and messages count.
	ExchangePartial ExchangeFlags = 1 << 1
	// ExchangeContinued: earlier rows of this exchange exist. Times are those
	// of the whole exchange so far, bytes and messages those of this part.
	ExchangeContinued ExchangeFlags = 1 << 2
	// ExchangeNoRequest: an answer burst without a request burst (a push, a
	// greeting, or a recording that began in between).
	ExchangeNoRequest ExchangeFlags = 1 << 3
	// ExchangeNoAnswer: no answer burst was seen. ServerNs is then the time
	// waited until the row was written.
	ExchangeNoAnswer ExchangeFlags = 1 << 4
	// ExchangeOpen: the recording ended (or the target left the filter) while
	// the exchange could still go on.
	ExchangeOpen ExchangeFlags = 1 << 5
	// ExchangeClosed: the socket closed.
	ExchangeClosed ExchangeFlags = 1 << 6
	// ExchangeInterleaved: the next request arrived while bytes of this
	// answer were unacknowledged, so the pairing of this row is not sound.
	ExchangeInterleaved ExchangeFlags = 1 << 7
	// ExchangeStream: the socket interleaved at least three times; none of
	// its pairings is sound. Sticky until the socket closes.
	ExchangeStream ExchangeFlags = 1 << 8
	// ExchangeIdle: flushed after ExchangeIdleNs of silence following a
	// complete answer. A later part of the same answer is Continued.
	ExchangeIdle ExchangeFlags = 1 << 9
	// ExchangeJoined: first exchange of a socket older than its recording;
	// its first bytes may lie before it, so its times are lower bounds.
	ExchangeJoined ExchangeFlags = 1 << 10
	// ExchangeReset: with Closed, the connection ended by a reset or timeout.
	ExchangeReset ExchangeFlags = 1 << 11
	// ExchangeServerClosed: with Closed, the server's end closed first.
	ExchangeServerClosed ExchangeFlags = 1 << 12
	// ExchangeAccounted: on the server's end, one thread took the request and
	// answered it, and RunQueueNs to OtherWaitNs are what it waited for from
	// the first message to the last; the rest of that time it was on a CPU.
	// What it did for other requests meanwhile is in them, too.
	ExchangeAccounted ExchangeFlags = 1 << 13
	// ExchangeHandedOver: on the server's end, the thread that took the request
	// is not the one that answered it, so its waits are not those of the request.
	ExchangeHandedOver ExchangeFlags = 1 << 14
)

// Exchange is a row of table exchanges: on one socket, a burst of messages
// one way (the request burst) and the burst that answers it. Each row stands
// by itself. Roles, not direction, decide which burst is the request: on the
// server's end the one received, on the client's end the one sent.
type Exchange struct {
	SocketID        int64         `parquet:"socket_id,dict"`
	StartNs         int64         `parquet:"start_ns,delta"`    // first message of the exchange
	UploadNs        int64         `parquet:"upload_ns,delta"`   // first to last message of the request burst
	ServerNs        int64         `parquet:"server_ns,delta"`   // last of the request burst to first of the answer burst
	DownloadNs      int64         `parquet:"download_ns,delta"` // first to last message of the answer burst
	RequestBytes    int64         `parquet:"request_bytes,dict"`
	AnswerBytes     int64         `parquet:"answer_bytes,dict"`
	RequestMessages int32         `parquet:"request_messages,dict"`
	AnswerMessages  int32         `parquet:"answer_messages,dict"`
	PID             int32         `parquet:"pid,dict"` // process of the last message on this end
	TID             int32         `parquet:"tid,dict"` // its thread
	Flags           ExchangeFlags `parquet:"flags,dict"`
	// Of an ExchangeAccounted, what its thread waited for; 0 in all others.
	RunQueueNs  int64 `parquet:"run_queue_ns,delta"`
	LockNs      int64 `parquet:"lock_ns,delta"`
	DiskNs      int64 `parquet:"disk_ns,delta"`
	NetworkNs   int64 `parquet:"network_ns,delta"`
	SleepNs     int64 `parquet:"sleep_ns,delta"`
	OtherWaitNs int64 `parquet:"other_wait_ns,delta"`
}

// SocketEvent is what happened to a socket. Stored numbers.
type SocketEvent int32

const (
	SocketExisting      SocketEvent = 1 // older than the recording, listed at its start
	SocketOpen          SocketEvent = 2 // established
	SocketClose         SocketEvent = 3
	SocketConnectFailed SocketEvent = 4 // connect ended without a connection; see CloseReason
)

// Role of a socket's end in its connection. Stored numbers.
type Role int32

const (
	RoleUnknown Role = 0
	RoleClient  Role = 1
	RoleServer  Role = 2
)

// RoleSource is how a role is known. Stored numbers.
type RoleSource int32

const (
	RoleSourceUnknown  RoleSource = 0
	RoleSourceConnect  RoleSource = 1 // seen connecting
	RoleSourceAccept   RoleSource = 2 // seen being accepted
	RoleSourceListener RoleSource = 3 // a listener of the same network namespace holds its local port
	RoleSourcePort     RoleSource = 4 // a guess: the lower port is the server's
)

// CloseReason is how a socket ended. Stored numbers.
type CloseReason int32

const (
	CloseNone          CloseReason = 0 // the row is not an end
	CloseLocal         CloseReason = 1 // orderly, this end closed first
	ClosePeer          CloseReason = 2 // orderly, the peer closed first
	CloseResetSent     CloseReason = 3
	CloseResetReceived CloseReason = 4
	CloseTimeout       CloseReason = 5
	CloseRefused       CloseReason = 6
	CloseOther         CloseReason = 7 // another error
)

// Socket is a row of table sockets: the beginning or the end of one TCP
// socket. What a socket is stands here once, not in each exchange.
type Socket struct {
	TsNs          int64       `parquet:"ts_ns,delta"`
	SocketID      int64       `parquet:"socket_id,delta"`
	Event         SocketEvent `parquet:"event,dict"`
	Role          Role        `parquet:"role,dict"`
	RoleSource    RoleSource  `parquet:"role_source,dict"`
	Family        int32       `parquet:"family,dict"`   // 4 or 6; IPv4-mapped IPv6 is 4
	NetnsID       int64       `parquet:"netns_id,dict"` // inode of the network namespace
	LocalAddr     string      `parquet:"local_addr,dict"`
	LocalPort     int32       `parquet:"local_port,dict"`
	RemoteAddr    string      `parquet:"remote_addr,dict"`
	RemotePort    int32       `parquet:"remote_port,dict"`
	PID           int32       `parquet:"pid,dict"` // owner as far as known at that time; 0: not known
	CloseReason   CloseReason `parquet:"close_reason,dict"`
	BytesSent     int64       `parquet:"bytes_sent,delta"`     // life total at close, from the kernel's own counters
	BytesReceived int64       `parquet:"bytes_received,delta"` // life total at close
	Retransmits   int64       `parquet:"retransmits,dict"`     // segments, life total at close
	SRTTNs        int64       `parquet:"srtt_ns,delta"`        // smoothed round trip time at close; 0: not known
}

// ProcEvent is what happened to a process. Stored numbers.
type ProcEvent int32

const (
	ProcFork ProcEvent = 1
	ProcExec ProcEvent = 2
	ProcExit ProcEvent = 3
)

// Proc is a row of table procs: a process begins, changes its program, ends.
type Proc struct {
	TsNs      int64     `parquet:"ts_ns,delta"`
	Event     ProcEvent `parquet:"event,dict"`
	PID       int32     `parquet:"pid,dict"`
	ParentPID int32     `parquet:"parent_pid,dict"`
	StartNs   int64     `parquet:"start_ns,delta"` // start time of the process, monotonic; with pid its identity
	Comm      string    `parquet:"comm,dict"`
	Exe       string    `parquet:"exe,dict"`       // exec only: the file as given to execve
	Cmdline   string    `parquet:"cmdline,dict"`   // exec only: arguments joined by spaces, cut at 240 bytes, secrets replaced by ***
	CgroupID  int64     `parquet:"cgroup_id,dict"` // inode in the hierarchy Manifest.Host.CgroupHierarchy
	PidnsPID  int32     `parquet:"pidns_pid,dict"` // pid inside its own pid namespace
	ExitCode  int32     `parquet:"exit_code,dict"` // exit only: wait(2) status
}

// LossCause is why events are missing. Stored numbers.
type LossCause int32

const (
	LossRingFull  LossCause = 1 // ring buffer full: the recorder did not read fast enough
	LossStateFull LossCause = 2 // no room for a socket's state in the kernel
	LossDecode    LossCause = 3 // a record the recorder could not decode
	LossWrite     LossCause = 4 // rows that could not be written (disk full, I/O error)
	LossMissedHit LossCause = 5 // the kernel skipped the program, or it found a socket's state busy
	LossDamage    LossCause = 6 // rows were in the file, but it is damaged (written by Repair)
	LossShed      LossCause = 7 // left out so that recording stays within its budget (--max-overhead)
)

// LossUncounted is the Count of events of which nobody knows how many there were.
const LossUncounted = -1

// Loss is a row of table losses: events known to be missing.
type Loss struct {
	StartNs   int64     `parquet:"start_ns,delta"` // the events were lost after this …
	EndNs     int64     `parquet:"end_ns,delta"`   // … and not after this
	Collector string    `parquet:"collector,dict"` // tcp, proc, …
	Table     string    `parquet:"table,dict"`     // the table that lacks them
	Cause     LossCause `parquet:"cause,dict"`
	Count     int64     `parquet:"count,delta"` // LossUncounted, or 0: only with LossShed
}

// Self is a row of table self: what the recorder cost, and a clock pair.
// Counters run from the capture's start; in one of several parts, from that of
// each, see CostOf.
type Self struct {
	TsNs         int64 `parquet:"ts_ns,delta"`
	RealtimeNs   int64 `parquet:"realtime_ns,delta"` // CLOCK_REALTIME at TsNs, since the Unix epoch
	CPUNs        int64 `parquet:"cpu_ns,delta"`      // user and system time of the recorder
	RSSBytes     int64 `parquet:"rss_bytes,delta"`
	BPFRunNs     int64 `parquet:"bpf_run_ns,delta"`    // run time of the programs, estimated; 0 when the kernel does not measure it
	Events       int64 `parquet:"events,delta"`        // rows handed to the writer
	BacklogBytes int64 `parquet:"backlog_bytes,delta"` // fullest ring buffer at TsNs
}

// Mark is a row of table marks: a moment worth a line on every time axis.
type Mark struct {
	TsNs int64  `parquet:"ts_ns,delta"`
	Kind string `parquet:"kind,dict"` // config, loss, user, …
	Text string `parquet:"text,dict"`
}

// Process is a row of snapshot processes: a process as /proc showed it, and
// the service it belongs to. A row is written when a process is first seen
// and again whenever one of its columns has changed.
type Process struct {
	TsNs          int64  `parquet:"ts_ns,delta"`
	PID           int32  `parquet:"pid,delta"`
	StartNs       int64  `parquet:"start_ns,delta"` // start time, monotonic; with pid its identity
	ParentPID     int32  `parquet:"parent_pid,dict"`
	Comm          string `parquet:"comm,dict"`
	Exe           string `parquet:"exe,dict"`
	Cmdline       string `parquet:"cmdline,dict"`
	Cgroup        string `parquet:"cgroup,dict"` // path in the hierarchy that names containers
	ContainerID   string `parquet:"container_id,dict"`
	PidnsID       int64  `parquet:"pidns_id,dict"`
	NetnsID       int64  `parquet:"netns_id,dict"`
	MntnsID       int64  `parquet:"mntns_id,dict"`
	UID           int32  `parquet:"uid,dict"`
	Service       string `parquet:"service,dict"`
	ServiceSource string `parquet:"service_source,dict"` // rule, kubernetes, container, systemd, executable
	Instance      string `parquet:"instance,dict"`       // pod, container or unit; "" : host:pid is the instance
}

// Listener is a row of snapshot listeners: a listening TCP socket.
type Listener struct {
	TsNs     int64  `parquet:"ts_ns,delta"`
	NetnsID  int64  `parquet:"netns_id,dict"`
	Addr     string `parquet:"addr,dict"`
	Port     int32  `parquet:"port,dict"`
	Protocol int32  `parquet:"protocol,dict"` // 6 TCP, 262 MPTCP
	PID      int32  `parquet:"pid,dict"`      // one of its owners; 0: not known
	Backlog  int32  `parquet:"backlog,dict"`  // accept queue limit; 0: not known
}

// Container is a row of snapshot containers.
type Container struct {
	TsNs         int64  `parquet:"ts_ns,delta"`
	ContainerID  string `parquet:"container_id,dict"`
	Runtime      string `parquet:"runtime,dict"` // containerd, cri-o, docker, …
	Name         string `parquet:"name,dict"`
	Image        string `parquet:"image,dict"`
	Pod          string `parquet:"pod,dict"`
	PodNamespace string `parquet:"pod_namespace,dict"`
	PodUID       string `parquet:"pod_uid,dict"`
	Service      string `parquet:"service,dict"`
	Source       string `parquet:"source,dict"` // the file or directory that told it
}

// Interface is a row of snapshot interfaces: one address of one network
// interface, or the interface with Addr "" when it has none.
type Interface struct {
	TsNs      int64  `parquet:"ts_ns,delta"`
	NetnsID   int64  `parquet:"netns_id,dict"`
	Index     int32  `parquet:"index,dict"`
	Name      string `parquet:"name,dict"`
	Addr      string `parquet:"addr,dict"` // address/prefix length
	MTU       int32  `parquet:"mtu,dict"`
	SpeedMbps int32  `parquet:"speed_mbps,dict"` // 0: not known
}

// Config is a row of snapshot config: one version of the configuration file.
type Config struct {
	TsNs    int64  `parquet:"ts_ns,delta"`
	Version int32  `parquet:"version,delta"` // 1 at the start
	Path    string `parquet:"path,dict"`
	Text    string `parquet:"text,dict"`
	Error   string `parquet:"error,dict"` // why this version was not taken; "" : in force
}
