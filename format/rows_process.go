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

// Limit is a row of table limits: a limit of a cgroup with targets, and what came
// of it from StartNs to EndNs. DeviceID says of what: 0 is CPU time, else a disk.
type Limit struct {
	StartNs          int64  `parquet:"start_ns,delta"`
	EndNs            int64  `parquet:"end_ns,delta"`
	Cgroup           string `parquet:"cgroup,dict"`
	PID              int32  `parquet:"pid,dict"`                // 0: all of the cgroup
	SetBy            string `parquet:"set_by,dict"`             // the cgroup with the limit: this one or one above
	DeviceID         int64  `parquet:"device_id,dict"`          // 0: a limit of CPU time
	QuotaNs          int64  `parquet:"quota_ns,dict"`           // CPU time in each period; 0: none
	PeriodNs         int64  `parquet:"period_ns,dict"`          // of the quota
	Periods          int64  `parquet:"periods,delta"`           // in which it ran
	ThrottledPeriods int64  `parquet:"throttled_periods,delta"` // of these, in which it was throttled
	// ThrottledNs is added up over CPUs, but not over threads.
	ThrottledNs    int64 `parquet:"throttled_ns,delta"`
	ReadBytesPerS  int64 `parquet:"read_bytes_per_s,dict"` // limits; 0: none
	WriteBytesPerS int64 `parquet:"write_bytes_per_s,dict"`
	ReadsPerS      int64 `parquet:"reads_per_s,dict"`
	WritesPerS     int64 `parquet:"writes_per_s,dict"`
	ReadBytes      int64 `parquet:"read_bytes,delta"` // what was done; -1: not known
	WriteBytes     int64 `parquet:"write_bytes,delta"`
	Reads          int64 `parquet:"reads,delta"`
	Writes         int64 `parquet:"writes,delta"`
}
