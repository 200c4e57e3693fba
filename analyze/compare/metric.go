package compare

// Metric names a quantity of a service or edge. The words are stable: they are part
// of the JSON and of thresholds.
type Metric string

// The metrics. All but Rate and the latencies are per request: served by a service,
// asked over an edge.
const (
	P50          Metric = "p50"
	P95          Metric = "p95"
	P99          Metric = "p99"
	Rate         Metric = "rate"   // requests a second
	Errors       Metric = "errors" // share of the requests that were reset or never answered
	Retransmits  Metric = "retransmits"
	RequestBytes Metric = "request_bytes"
	AnswerBytes  Metric = "answer_bytes"
	CPU          Metric = "cpu" // ns on the CPUs
	Voluntary    Metric = "voluntary"
	Involuntary  Metric = "involuntary"
	Syscalls     Metric = "syscalls"
	IOs          Metric = "ios"
	DiskBytes    Metric = "disk_bytes"
	RunQueue     Metric = "run_queue" // ns ready to run but not on a CPU
)
