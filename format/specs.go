package format

// spec says what one column means. Together with the row type's struct tags it
// is the only description of a table: README.txt, FORMAT.md's tables and the
// printer come from it.
type spec struct {
	column string
	unit   string
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
	unitText  = "text"
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
	}},
	{"sockets", "The beginning or the end of one TCP socket. What a socket is stands here once, not in each exchange.", []spec{
		{"ts_ns", unitTime, "never", "when it happened"},
		{"socket_id", unitID, "never", "the socket"},
		{"event", unitEnum, "never", "what happened"},
		{"role", unitEnum, "not known", "which end of its connection the socket is"},
		{"role_source", unitEnum, "not known", "how the role is known"},
		{"family", unitCount, "not known", "IP version, 4 or 6; IPv4-mapped IPv6 is 4"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"local_addr", unitText, "not known", "address of this end"},
		{"local_port", unitID, "not known", "port of this end"},
		{"remote_addr", unitText, "not known", "address of the other end"},
		{"remote_port", unitID, "not known", "port of the other end"},
		{"pid", unitID, "not known", "owner as far as known at that time"},
		{"close_reason", unitEnum, "the row is not an end", "how the socket ended"},
		{"bytes_sent", unitBytes, "none, or the row is not an end", "sent in the socket's life, from the kernel's own counters"},
		{"bytes_received", unitBytes, "none, or the row is not an end", "received in the socket's life"},
		{"retransmits", unitCount, "none, or the row is not an end", "segments sent again in the socket's life"},
	}},
	{"procs", "A process begins, changes its program, or ends.", []spec{
		{"ts_ns", unitTime, "never", "when it happened"},
		{"event", unitEnum, "never", "what happened"},
		{"pid", unitID, "never", "the process, in the root pid namespace"},
		{"parent_pid", unitID, "not known", "its parent"},
		{"start_ns", unitTime, "not known", "when the process started; with pid its identity"},
		{"comm", unitText, "not known", "name of the task"},
		{"exe", unitText, "not an exec, or not known", "the file as given to execve"},
		{"cmdline", unitText, "not an exec, or not known", "arguments joined by spaces, cut at 240 bytes"},
		{"cgroup_id", unitID, "not known", "inode in the hierarchy that the manifest's cgroup_hierarchy names"},
		{"pidns_pid", unitID, "not known", "pid inside its own pid namespace"},
		{"exit_code", unitCount, "not an exit, or success", "status as wait(2) gives it"},
	}},
	{"losses", "Events known to be missing.", []spec{
		{"start_ns", unitTime, "unknown start", "they were lost after this"},
		{"end_ns", unitTime, "never", "and not after this"},
		{"collector", unitText, "never", "tcp, proc, …"},
		{"table", unitText, "not known", "the table that lacks them"},
		{"cause", unitEnum, "never", "why"},
		{"count", unitCount, "never", "how many"},
	}},
	{"self", "What the recorder cost, and a pair of clocks. Counters run from the recording's start.", []spec{
		{"ts_ns", unitTime, "never", "when the row was made"},
		{"realtime_ns", "ns since the Unix epoch", "not known", "CLOCK_REALTIME at ts_ns"},
		{"cpu_ns", unitNs, "not known", "user and system time of the recorder"},
		{"rss_bytes", unitBytes, "not known", "its resident memory"},
		{"bpf_run_ns", unitNs, "the kernel does not measure it", "run time of its BPF programs"},
		{"events", unitCount, "none yet", "rows handed to the writer"},
		{"backlog_bytes", unitBytes, "empty", "fullest ring buffer at ts_ns"},
	}},
	{"marks", "A moment worth a line on every time axis.", []spec{
		{"ts_ns", unitTime, "not known", "the moment"},
		{"kind", unitText, "never", "config, loss, repair, user, …"},
		{"text", unitText, "nothing to say", "what happened"},
	}},
	{"processes", "A process as /proc showed it, and the service it belongs to. A row is written when a process is first seen and whenever a column has changed.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"pid", unitID, "never", "the process, in the root pid namespace"},
		{"start_ns", unitTime, "not known", "when the process started; with pid its identity"},
		{"parent_pid", unitID, "not known, or no parent", "its parent"},
		{"comm", unitText, "not known", "name of the task"},
		{"exe", unitText, "not known, or a kernel thread", "its executable"},
		{"cmdline", unitText, "not known, or empty", "its arguments, joined by spaces"},
		{"cgroup", unitText, "not known", "path in the hierarchy that names containers"},
		{"container_id", unitText, "in no container, or not known", "its container"},
		{"pidns_id", unitID, "not known", "inode of its pid namespace"},
		{"netns_id", unitID, "not known", "inode of its network namespace"},
		{"mntns_id", unitID, "not known", "inode of its mount namespace"},
		{"uid", unitID, "root", "effective user; -1: not known"},
		{"service", unitText, "not known", "the service it belongs to"},
		{"service_source", unitText, "not known", "rule, kubernetes, container, systemd or executable"},
		{"instance", unitText, "host and pid are the instance", "pod, container or unit"},
	}},
	{"listeners", "A listening TCP socket.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"addr", unitText, "not known", "address it listens on"},
		{"port", unitID, "not known", "port it listens on"},
		{"protocol", unitCount, "not known", "6 TCP, 262 MPTCP"},
		{"pid", unitID, "not known", "one of its owners"},
		{"backlog", unitCount, "not known", "limit of the accept queue"},
	}},
	{"containers", "A container found on the node.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"container_id", unitText, "never", "the container"},
		{"runtime", unitText, "not known", "containerd, cri-o, docker, …"},
		{"name", unitText, "not known", "its name"},
		{"image", unitText, "not known", "its image"},
		{"pod", unitText, "in no pod, or not known", "its pod"},
		{"pod_namespace", unitText, "in no pod, or not known", "namespace of the pod"},
		{"pod_uid", unitText, "in no pod, or not known", "uid of the pod"},
		{"service", unitText, "not known", "the service it belongs to"},
		{"source", unitText, "not known", "the file or directory that told it"},
	}},
	{"interfaces", "One address of one network interface, or the interface itself when it has none.", []spec{
		{"ts_ns", unitTime, "never", "when it was seen"},
		{"netns_id", unitID, "not known", "inode of the network namespace"},
		{"index", unitID, "not known", "index of the interface"},
		{"name", unitText, "not known", "its name"},
		{"addr", unitText, "it has no address", "address/prefix length"},
		{"mtu", unitBytes, "not known", "largest packet"},
		{"speed_mbps", "Mbit/s", "not known", "speed of the link"},
	}},
	{"config", "One version of the configuration file.", []spec{
		{"ts_ns", unitTime, "never", "when it was read"},
		{"version", unitCount, "never", "1 at the start"},
		{"path", unitText, "not known", "the file"},
		{"text", unitText, "an empty file", "its content"},
		{"error", unitText, "in force", "why this version was not taken"},
	}},
}
