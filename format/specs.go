package format

// spec says what one column means. Together with the row type's struct tags it
// is the only description of a table: README.txt, FORMAT.md's tables and the
// printer come from it.
type spec struct {
	column string
	unit   string // of a text its class, which says what Redact makes of it
	zero   string // what 0 or "" means
	text   string
}

// Units of columns.
const (
	unitTime  = "ns, monotonic" // CLOCK_MONOTONIC of the recorded kernel
	unitNs    = "ns"
	unitBytes = "bytes"
	unitCount = "count"
	unitID    = "id"
	unitEnum  = "enum"
	unitFlags = "flags"
)

// tableSpec says what a table holds.
type tableSpec struct {
	table   string
	text    string
	columns []spec
}

var specs = []tableSpec{
	{"exchanges", "On one socket, a burst of messages one way (the request) and the burst that answers it. Each row stands by itself. " +
		"On the server's end the request was received, on the client's end it was sent. " +
		"Rows are in the order of start_ns within a batch of some 3000 rows, nearly so within a segment; readers sort.", []spec{
		{"socket_id", unitID, "never", "the socket, see table sockets"},
		{"start_ns", unitTime, "never", "first message of the exchange"},
		{"upload_ns", unitNs, "the request was one message", "from the first to the last message of the request"},
		{"server_ns", unitNs, "no answer or no request, see flags; or under 1 ns", "from the last message of the request to the first of the answer; with no-answer: waited until the row was written"},
		{"download_ns", unitNs, "the answer was one message", "from the first to the last message of the answer"},
		{"request_bytes", unitBytes, "no request burst in this row", "bytes of the request burst"},
		{"answer_bytes", unitBytes, "no answer burst in this row", "bytes of the answer burst"},
		{"request_messages", unitCount, "no request burst in this row", "messages (sends or receives) of the request burst"},
		{"answer_messages", unitCount, "no answer burst in this row", "messages of the answer burst"},
		{"pid", unitID, "not known", "process of the last message on this end"},
		{"tid", unitID, "not known", "thread of the last message on this end"},
		{"flags", unitFlags, "a complete exchange on the server's end", "how the exchange ended and how far its times can be trusted"},
		{"run_queue_ns", unitNs, "none; without flag accounted not known", "of a request that one thread took and answered (accounted), what that thread waited for a CPU from the first message to the last. It was on a CPU for what this and the next five columns leave of upload_ns + server_ns + download_ns"},
		{"lock_ns", unitNs, "as run_queue_ns", "waited for a lock or another thread (futex), or for a lock of the kernel on memory"},
		{"disk_ns", unitNs, "as run_queue_ns", "waited without letting itself be interrupted: for a disk or within a filesystem"},
		{"network_ns", unitNs, "as run_queue_ns", "waited for a socket or a pipe, or for any of many (epoll)"},
		{"sleep_ns", unitNs, "as run_queue_ns", "waited for a time (nanosleep)"},
		{"other_wait_ns", unitNs, "as run_queue_ns", "waited for something else"},
	}},
	{"sockets", "The beginning or the end of one TCP socket. What a socket is stands here once, not in each exchange.", []spec{
		{"ts_ns", unitTime, "never", "when it happened"},
		{"socket_id", unitID, "never", "the socket"},
		{"event", unitEnum, "never", "what happened"},
		{"role", unitEnum, "not known", "which end of its connection the socket is"},
		{"role_source", unitEnum, "not known", "how the role is known"},
		{"family", unitCount, "not known", "IP version, 4 or 6; IPv4-mapped IPv6 is 4"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"local_addr", textAddress, "not known", "address of this end"},
		{"local_port", unitID, "not known", "port of this end"},
		{"remote_addr", textAddress, "not known", "address of the other end"},
		{"remote_port", unitID, "not known", "port of the other end"},
		{"pid", unitID, "not known", "owner as far as known at that time"},
		{"close_reason", unitEnum, "the row is not an end", "how the socket ended"},
		{"bytes_sent", unitBytes, "none, or the row is not an end", "sent in the socket's life, from the kernel's own counters"},
		{"bytes_received", unitBytes, "none, or the row is not an end", "received in the socket's life"},
		{"retransmits", unitCount, "none, or the row is not an end", "segments sent again in the socket's life"},
		{"srtt_ns", unitNs, "not known, or the row is not an end", "smoothed round trip time at the end"},
	}},
	{"procs", "A process begins, changes its program, or ends.", []spec{
		{"ts_ns", unitTime, "never", "when it happened"},
		{"event", unitEnum, "never", "what happened"},
		{"pid", unitID, "never", "the process, in the root pid namespace"},
		{"parent_pid", unitID, "not known", "its parent"},
		{"start_ns", unitTime, "not known", "when the process started; with pid its identity. Of one that started after the machine was suspended while recording, later by that time"},
		{"comm", textThread, "not known", "name of the task"},
		{"exe", textProgram, "not an exec, or not known", "the file as given to execve"},
		{"cmdline", textCommand, "not an exec, or not known", "arguments joined by spaces, cut at 240 bytes, secrets replaced by ***"},
		{"cgroup_id", unitID, "not known", "inode in the hierarchy that the manifest's cgroup_hierarchy names"},
		{"pidns_pid", unitID, "not known", "pid inside its own pid namespace"},
		{"exit_code", unitCount, "not an exit, or success", "status as wait(2) gives it"},
	}},
	{"netevents", "Something went wrong on the network. Events alike within a second may share a row.", []spec{
		{"ts_ns", unitTime, "never", "the first"},
		{"last_ns", unitTime, "never", "the last"},
		{"kind", unitEnum, "never", "what happened"},
		{"reason", textWord, "not known", "of a drop or reset, the kernel's word without its prefix (SKB_DROP_REASON_, SK_RST_REASON_)"},
		{"socket_id", unitID, "not known", "the socket, see table sockets"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"family", unitCount, "not known", "IP version, 4 or 6"},
		{"protocol", unitCount, "not known", "6 TCP, 17 UDP, …"},
		{"local_addr", textAddress, "not known", "address of this end"},
		{"local_port", unitID, "not known", "port of this end"},
		{"remote_addr", textAddress, "not known", "address of the other end"},
		{"remote_port", unitID, "not known, or many: of packets that asked for a connection and got none", "port of the other end"},
		{"pid", unitID, "not known", "owner of the socket"},
		{"stack_id", unitID, "none taken", "of a drop, the kernel stack of the first"},
		{"count", unitCount, "never", "how many"},
	}},
	{"acceptqueues", "Connections that wait to be accepted by one listener, and those it turned away. A row is written once a second while either is not 0.", []spec{
		{"ts_ns", unitTime, "never", "when it was looked at"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"addr", textAddress, "not known", "address it listens on"},
		{"port", unitID, "not known", "port it listens on"},
		{"pid", unitID, "not known", "one of its owners"},
		{"depth", unitCount, "none wait", "connections that waited at ts_ns"},
		{"limit", unitCount, "not known", "the backlog it listens with; the kernel lets one more wait"},
		{"overflows", unitCount, "none", "connections turned away since the row before, or since the start; one that asks again counts again"},
	}},
	{"intervals", "What one thread did in one interval, from the kernel's own accounts. A thread that did not run in an interval has no row; one that ended in it has its last row.", []spec{
		{"start_ns", unitTime, "never", "the interval begins"},
		{"end_ns", unitTime, "never", "and ends"},
		{"pid", unitID, "never", "the process, in the root pid namespace"},
		{"tid", unitID, "never", "the thread"},
		{"comm", textThread, "not known", "name of the thread"},
		{"on_cpu_ns", unitNs, "it did not run", "time on a CPU"},
		{"run_queue_ns", unitNs, "it never waited", "time runnable, waiting for a CPU"},
		{"timeslices", unitCount, "none", "times it was given a CPU"},
		{"voluntary", unitCount, "none", "switches because it waited for something"},
		{"involuntary", unitCount, "none", "switches while it could have run on"},
	}},
	{"wakes", "How often one thread woke another in one interval.", []spec{
		{"start_ns", unitTime, "never", "the interval begins"},
		{"end_ns", unitTime, "never", "and ends"},
		{"waker_pid", unitID, "an interrupt of an idle CPU", "process of the thread that woke, or that an interrupt woke from"},
		{"waker_tid", unitID, "an interrupt of an idle CPU", "the thread that woke, or that an interrupt woke from"},
		{"pid", unitID, "never", "process of the thread that was woken"},
		{"tid", unitID, "never", "the thread that was woken"},
		{"count", unitCount, "never", "how often"},
	}},
	{"offcpu", "The waits of one process in one state with one pair of stacks that ended in the interval and took at least the setting off_cpu_min_ns of collector cpu.", []spec{
		{"start_ns", unitTime, "never", "the interval begins"},
		{"end_ns", unitTime, "never", "and ends"},
		{"pid", unitID, "never", "the process"},
		{"state", unitEnum, "never", "what the threads waited for; one that is woken and then waits for a CPU has waited twice, asleep and runnable"},
		{"stack_id", unitID, "none", "kernel stack at the wait; -1: could not be taken"},
		{"user_stack_id", unitID, "not asked for, or none", "user stack at the wait; -1: could not be taken"},
		{"count", unitCount, "never", "waits"},
		{"total_ns", unitNs, "never", "time waited by all of them"},
		{"max_ns", unitNs, "never", "the longest"},
		{"waiting", unitCount, "all ended", "of count, waits that had not ended when the recording did"},
	}},
	{"oncpu", "One sample of what a CPU did; idle CPUs give none. The setting sample_hz of collector cpu is the rate.", []spec{
		{"ts_ns", unitTime, "never", "when it was taken"},
		{"cpu", unitID, "the first CPU", "number of the CPU"},
		{"pid", unitID, "never", "the process"},
		{"tid", unitID, "never", "the thread"},
		{"stack_id", unitID, "it ran in user mode", "kernel stack; -1: could not be taken"},
		{"user_stack_id", unitID, "a kernel thread", "user stack; -1: could not be taken"},
	}},
	{"ios", "One request to a block device. start_ns + queue_ns is when it was given to the device, and device_ns later it was done.", []spec{
		{"start_ns", unitTime, "never", "when it was asked for"},
		{"queue_ns", unitNs, "not known, or under 1 ns", "time in the kernel's queue; of an open IO that the device had not got, until the recording ended"},
		{"device_ns", unitNs, "under 1 ns, or open and not given to the device", "time in the device; of an open IO, until the recording ended"},
		{"device_id", unitID, "not known", "major << 20 | minor of the whole disk, see snapshot disks"},
		{"sector", unitCount, "the first", "where on the disk, in units of 512 bytes; -1: nowhere (flush), or not known"},
		{"bytes", unitBytes, "none (flush, failed, open)", "what was completed"},
		{"op", unitEnum, "never", "what was asked"},
		{"flags", unitFlags, "none", "how it was asked"},
		{"pid", unitID, "not known", "the process that asked; buffered writes are asked by the kernel's flusher"},
		{"tid", unitID, "not known", "its thread"},
		{"error", unitCount, "none", "errno"},
		{"requeues", unitCount, "none", "times the device sent it back"},
		{"merges", unitCount, "none", "bios merged into it beyond the first"},
	}},
	{"syscalls", "How often one process called something in one interval: a system call, or what --count asked for.", []spec{
		{"start_ns", unitTime, "never", "the interval begins"},
		{"end_ns", unitTime, "never", "and ends"},
		{"pid", unitID, "never", "the process"},
		{"kind", unitEnum, "never", "what is counted"},
		{"name", textWord, "never", "the system call, tracepoint or function; 32-bit: any system call of a 32-bit program"},
		{"count", unitCount, "never", "calls; of system calls those that returned in the interval"},
		{"errors", unitCount, "none", "calls that failed; -1: not recorded"},
		{"total_ns", unitNs, "under 1 ns", "time inside; -1: not recorded"},
		{"max_ns", unitNs, "under 1 ns", "the longest; -1: not recorded"},
	}},
	{"memory", "Memory of one target process, or of one cgroup with targets, read at each look at /proc (5 s). Of many processes the 200 largest have rows.", []spec{
		{"ts_ns", unitTime, "never", "when it was read"},
		{"pid", unitID, "the row is a cgroup's", "the process"},
		{"cgroup", textPath, "the row is a process's", "path of the cgroup"},
		{"rss_bytes", unitBytes, "none, or the row is a cgroup's", "resident memory"},
		{"swap_bytes", unitBytes, "none", "swapped memory; -1: not known"},
		{"current_bytes", unitBytes, "the row is a process's", "memory charged to the cgroup"},
		{"limit_bytes", unitBytes, "no limit", "limit of the cgroup; -1: not known"},
		{"oom_kills", unitCount, "none", "processes of the cgroup killed for want of memory, since it exists; -1: not known"},
	}},
	{"limits", "A limit of CPU time, or of IO on one disk, of a cgroup with targets, and what came of it. A row is written when a limit is first seen, changes or is lifted, " +
		"then once a second while the quota throttles or the cgroup does IO; without a limit there is none. Limits are looked for at each look at /proc (5 s) " +
		"if collector proc has indicator limits.", []spec{
		{"start_ns", unitTime, "never", "what is counted happened after this"},
		{"end_ns", unitTime, "never", "and not after this; start_ns when the limit is first seen"},
		{"cgroup", textPath, "not known", "path of the cgroup, as in processes"},
		{"pid", unitID, "all processes of the cgroup", "the one process of it that has the limit (v1, where hierarchies differ)"},
		{"set_by", textPath, "the limit was lifted", "the cgroup with the limit, in the hierarchy of its controller: this one or one above. Of several quotas the one that throttled most, else the tightest"},
		{"device_id", unitID, "a limit of CPU time", "major << 20 | minor of the disk"},
		{"quota_ns", unitNs, "none, or the row is of IO", "CPU time that may be used in each period"},
		{"period_ns", unitNs, "none, or the row is of IO", "length of a period; quota_ns / period_ns are CPUs"},
		{"periods", unitCount, "none", "periods in which it ran; -1: not known"},
		{"throttled_periods", unitCount, "none", "of these, those in which it was throttled; -1: not known"},
		{"throttled_ns", unitNs, "none", "time throttled, added up over CPUs (not threads); -1: not known"},
		{"read_bytes_per_s", unitBytes, "no such limit", "limit of bytes read in a second"},
		{"write_bytes_per_s", unitBytes, "no such limit", "limit of bytes written in a second"},
		{"reads_per_s", unitCount, "no such limit", "limit of reads in a second"},
		{"writes_per_s", unitCount, "no such limit", "limit of writes in a second"},
		{"read_bytes", unitBytes, "none", "read by the cgroup that set_by names; -1: not known"},
		{"write_bytes", unitBytes, "none", "written by it; -1: not known"},
		{"reads", unitCount, "none", "reads of it; -1: not known"},
		{"writes", unitCount, "none", "writes of it; -1: not known"},
	}},
	{"losses", "Events known to be missing.", []spec{
		{"start_ns", unitTime, "unknown start", "they were lost after this"},
		{"end_ns", unitTime, "never", "and not after this"},
		{"collector", textWord, "never", "tcp, proc, …"},
		{"table", textWord, "not known", "the table that lacks them"},
		{"cause", unitEnum, "never", "why"},
		{"count", unitCount, "cause shed only: none", "how many; -1 with cause shed: nothing counted them"},
	}},
	{"self", "What the recorder cost, and a pair of clocks. Counters run from the capture's start; in one that was joined of parts, from that of each.", []spec{
		{"ts_ns", unitTime, "never", "when the row was made"},
		{"realtime_ns", "ns since the Unix epoch", "not known", "CLOCK_REALTIME at ts_ns"},
		{"cpu_ns", unitNs, "not known", "user and system time of the recorder"},
		{"rss_bytes", unitBytes, "not known", "its resident memory"},
		{"bpf_run_ns", unitNs, "the kernel does not measure it", "run time of its BPF programs, an estimate: the kernel measures for 100 ms every 10 s (every second with --max-overhead), and each such time stands for all since the one before"},
		{"events", unitCount, "none yet", "rows handed to the writer"},
		{"backlog_bytes", unitBytes, "empty", "fullest ring buffer at ts_ns"},
	}},
	{"marks", "A moment worth a line on every time axis.", []spec{
		{"ts_ns", unitTime, "not known", "the moment"},
		{"kind", textWord, "never", "clock (set), config, loss, recover, repair, shed, stopped (the recorder), suspend (the machine), user, warning, …"},
		{"text", textMark, "nothing to say", "what happened"},
	}},
	{"processes", "A process as /proc showed it, and the service it belongs to. A row is written when a process is first seen and whenever a column has changed.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"pid", unitID, "never", "the process, in the root pid namespace"},
		{"start_ns", unitTime, "not known", "when the process started; with pid its identity. Of one that started after the machine was suspended while recording, later by that time"},
		{"parent_pid", unitID, "not known, or no parent", "its parent"},
		{"comm", textThread, "not known", "name of the task"},
		{"exe", textProgram, "not known, or a kernel thread", "its executable"},
		{"cmdline", textCommand, "not known, or empty", "its arguments, joined by spaces, secrets replaced by ***"},
		{"cgroup", textPath, "not known", "path in the hierarchy that names containers"},
		{"container_id", textIdentifier, "in no container, or not known", "its container"},
		{"pidns_id", unitID, "not known", "inode of its pid namespace"},
		{"netns_id", unitID, "not known", "inode of its network namespace"},
		{"mntns_id", unitID, "not known", "inode of its mount namespace"},
		{"uid", unitID, "root", "effective user; -1: not known"},
		{"service", textService, "not known", "the service it belongs to"},
		{"service_source", textWord, "not known", "rule, kubernetes, container, systemd or executable"},
		{"instance", textInstance, "host and pid are the instance", "pod, container or unit"},
	}},
	{"listeners", "A listening TCP socket.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"addr", textAddress, "not known", "address it listens on"},
		{"port", unitID, "not known", "port it listens on"},
		{"protocol", unitCount, "not known", "6 TCP, 262 MPTCP"},
		{"pid", unitID, "not known", "one of its owners"},
		{"backlog", unitCount, "not known", "limit of the accept queue"},
	}},
	{"containers", "A container found on the node.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"container_id", textIdentifier, "never", "the container"},
		{"runtime", textWord, "not known", "containerd, cri-o, docker, …"},
		{"name", textInstance, "not known", "its name"},
		{"image", textImage, "not known", "its image"},
		{"pod", textInstance, "in no pod, or not known", "its pod"},
		{"pod_namespace", textNamespace, "in no pod, or not known", "namespace of the pod"},
		{"pod_uid", textIdentifier, "in no pod, or not known", "uid of the pod"},
		{"service", textService, "not known", "the service it belongs to"},
		{"source", textPath, "not known", "the file or directory that told it"},
	}},
	{"interfaces", "One address of one network interface, or the interface itself when it has none.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"index", unitID, "not known", "index of the interface"},
		{"name", textDevice, "not known", "its name"},
		{"addr", textAddress, "it has no address", "address/prefix length"},
		{"mtu", unitBytes, "not known", "largest packet"},
		{"speed_mbps", "Mbit/s", "not known", "speed of the link"},
	}},
	{"disks", "A block device or one of its partitions. A row is written at the start and whenever a column has changed.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"device_id", unitID, "never", "major << 20 | minor"},
		{"name", textDevice, "never", "its name"},
		{"parent_id", unitID, "none, or not known", "of a partition its disk, of a loop device the device its file lies on, of a mapping or raid the first device below"},
		{"kind", textWord, "not known", "disk, partition, loop, mapping, raid, zram"},
		{"model", textModel, "not known", "what its maker calls it"},
		{"rotational", unitCount, "no", "1: yes, -1: not known"},
		{"size_bytes", unitBytes, "not known, or empty", "its size"},
		{"scheduler", textWord, "none, or not known", "the I/O scheduler in force"},
		{"queue_depth", unitCount, "not known", "requests its queue takes"},
	}},
	{"mounts", "A file system mounted in the first process's mount namespace, or the recorder's own where that may not be read.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"mntns_id", unitID, "not known", "inode of the mount namespace"},
		{"device_id", unitID, "never", "major << 20 | minor; major 0 for file systems without a disk"},
		{"point", textPath, "never", "where it is mounted"},
		{"type", textWord, "not known", "its type"},
		{"source", textPath, "not known", "what was mounted"},
	}},
	{"stacks", "One frame of one stack. The rows of a stack stand together, leaf first.", []spec{
		{"ts_ns", unitTime, "never", "when the stack was first written"},
		{"stack_id", unitID, "never", "the stack"},
		{"depth", unitCount, "the leaf", "frames below this one"},
		{"frame_id", unitID, "never", "the frame, see snapshot frames"},
	}},
	{"frames", "One place in code.", []spec{
		{"ts_ns", unitTime, "never", "when the frame was first written"},
		{"frame_id", unitID, "never", "the frame"},
		{"kind", unitEnum, "never", "kernel or user code"},
		{"symbol", textSymbol, "no name", "the function, demangled"},
		{"module", textProgram, "not known", "path of the file, or of memory without one [vdso], [jit], [anon], …; of the kernel: kernel, bpf, or a module's name"},
		{"offset", unitBytes, "the start", "user: in the file, without one the address; kernel: from the symbol's start, without one the address; above the leaf, one byte before the return address"},
		{"build_id", textBuild, "not known", "of the file, in hex"},
		{"source", unitEnum, "no name", "how the symbol is known; dynsym is approximate"},
	}},
	{"config", "One version of the configuration file.", []spec{
		{"ts_ns", unitTime, "never", "when it was read"},
		{"version", unitCount, "never", "1 at the start"},
		{"path", textPath, "not known", "the file"},
		{"text", textConfig, "an empty file", "its content"},
		{"error", textError, "in force", "why this version was not taken"},
	}},
}

// addedColumns are columns that tables gained after captures without them were
// written: there they read as zero, which means "not known", without a word.
var addedColumns = map[string]bool{
	"sockets.srtt_ns": true,

	"exchanges.run_queue_ns":  true,
	"exchanges.lock_ns":       true,
	"exchanges.disk_ns":       true,
	"exchanges.network_ns":    true,
	"exchanges.sleep_ns":      true,
	"exchanges.other_wait_ns": true,
}
