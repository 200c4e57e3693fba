package format

// CounterKind is what a row of table syscalls counts. Stored numbers.
type CounterKind int32

const (
	CounterSyscall    CounterKind = 1
	CounterTracepoint CounterKind = 2 // asked for with --count
	CounterFunction   CounterKind = 3 // asked for with --count
)

// Syscall is a row of table syscalls: how often one process called something in
// one interval.
type Syscall struct {
	StartNs int64       `parquet:"start_ns,delta"`
	EndNs   int64       `parquet:"end_ns,delta"`
	PID     int32       `parquet:"pid,dict"`
	Kind    CounterKind `parquet:"kind,dict"`
	Name    string      `parquet:"name,dict"`
	Count   int64       `parquet:"count,delta"`
	Errors  int64       `parquet:"errors,delta"`   // -1: not recorded
	TotalNs int64       `parquet:"total_ns,delta"` // time inside; -1: not recorded
	MaxNs   int64       `parquet:"max_ns,delta"`   // -1: not recorded
}

// Memory is a row of table memory: memory of one target process, or of one
// cgroup with targets (pid 0).
type Memory struct {
	TsNs         int64  `parquet:"ts_ns,delta"`
	PID          int32  `parquet:"pid,dict"`    // 0: the row is a cgroup's
	Cgroup       string `parquet:"cgroup,dict"` // "": the row is a process's
	RSSBytes     int64  `parquet:"rss_bytes,delta"`
	SwapBytes    int64  `parquet:"swap_bytes,delta"`
	CurrentBytes int64  `parquet:"current_bytes,delta"` // of a cgroup
	LimitBytes   int64  `parquet:"limit_bytes,dict"`    // of a cgroup; 0: none
	OOMKills     int64  `parquet:"oom_kills,dict"`      // of a cgroup, since it exists; -1: not known, as in swap and limit
}
