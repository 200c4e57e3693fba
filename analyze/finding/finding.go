package finding

// Kind is what is wrong. The words are stable: they are part of the JSON.
type Kind string

// The kinds. Those of the first group are the faults that CPU and memory graphs
// hide; those of the second are the plain causes that must not be mistaken for them.
const (
	LockLivelock       Kind = "lock-livelock"       // threads yield to each other or fight for a lock, and nothing gets done
	Spin               Kind = "spin"                // a thread burns a CPU while requests wait
	RetryAmplification Kind = "retry-amplification" // services ask each other the same again and again
	ReceiveLivelock    Kind = "receive-livelock"    // the kernel spends its time on packets that it then drops
	LimpingDisk        Kind = "limping-disk"        // a disk is much slower than it was or than its peers
	SlowNode           Kind = "slow-node"           // every answer of one node is late
	SlowPath           Kind = "slow-path"           // the network between two ends, or one NIC, is slow
	Limplock           Kind = "limplock"            // a limping part holds up those that wait for it

	Overload       Kind = "overload"        // more is asked than it can do
	CPUSaturation  Kind = "cpu-saturation"  // threads wait for a CPU of a busy node
	CPUThrottling  Kind = "cpu-throttling"  // a quota keeps threads from CPUs
	IOLimit        Kind = "io-limit"        // a quota keeps IO from the disk
	ListenOverflow Kind = "listen-overflow" // connections are turned away
	Retransmission Kind = "retransmission"  // packets are lost on the way
	SlowCallee     Kind = "slow-callee"     // one service that it asks is slow
)

// Severity says how urgent a finding is.
type Severity string

// Severities, by urgency.
const (
	Info     Severity = "info"     // good to know: an explanation, no alarm
	Warning  Severity = "warning"  // something is wrong
	Critical Severity = "critical" // something is very wrong, and it is clear what
)

// Finding is one thing that is wrong, with what speaks for and against it.
type Finding struct {
	ID         string   `json:"id"` // "kind/subject/start", unique in an Analysis
	Kind       Kind     `json:"kind"`
	Severity   Severity `json:"severity"`
	Confidence float64  `json:"confidence"` // 0 to 1; grows with independent signals, no probability
	Subject    Subject  `json:"subject"`
	Title      string   `json:"title"` // one sentence: who, what, by how much
	// StartNs and EndNs bound the windows in which the rule held.
	StartNs         int64      `json:"start_ns"`
	EndNs           int64      `json:"end_ns"`
	Windows         int        `json:"windows"` // that held
	Reference       string     `json:"reference"`
	Evidence        []Evidence `json:"evidence"`         // never empty
	CounterEvidence []Evidence `json:"counter_evidence"` // what speaks against it; empty: nothing seen
	Alternative     string     `json:"alternative"`      // the plainest other explanation
	NextStep        string     `json:"next_step"`        // a command, or a place in the report
	Coverage        float64    `json:"coverage"`         // least of the tables and windows it rests on
	// CausedBy and Causes are IDs of findings that explain this one, and that it
	// explains.
	CausedBy []string `json:"caused_by"`
	Causes   []string `json:"causes"`

	// lagNs is how long the requests took that a rule about latencies rests on: they
	// began that much before what held them up, and count for when they began.
	lagNs float64
	// lost is the share of the packets that were lost, of a retransmission.
	lost float64
	// services are those that ask each other again and again, of a retry amplification.
	services []string
}

// Subject is what a finding is about.
type Subject struct {
	Type string `json:"type"` // service, instance, thread, edge, node, disk, listener
	Name string `json:"name"` // as the reports write it
	// What of these is known.
	Service string `json:"service,omitempty"`
	Host    string `json:"host,omitempty"`
	PID     int32  `json:"pid,omitempty"`
	TID     int32  `json:"tid,omitempty"`
}

// Evidence is one value and what it was held against.
type Evidence struct {
	Text      string   `json:"text"`                // in words, with the numbers
	Name      string   `json:"name"`                // of the quantity: on_cpu_cores, device_p50_ns, …
	Value     float64  `json:"value"`               // median over the windows that held, unless Text says otherwise
	Threshold *float64 `json:"threshold,omitempty"` // of the rule; nil: a fact without one
	Reference *float64 `json:"reference,omitempty"` // the value it was compared with
}

// Check tells of a kind what was judged, so that silence is not read as health.
type Check struct {
	Kind     Kind `json:"kind"`
	Judged   int  `json:"judged"` // subjects that had enough to be judged
	Found    int  `json:"found"`
	Rejected int  `json:"rejected"` // subjects that looked like it until something spoke against it
	// Insufficient lists subjects that could not be judged, with why: too few
	// windows or samples, or coverage below the least. At most 20.
	Insufficient []string `json:"insufficient"`
	// NotRecorded says what the captures lack for this kind; "": nothing.
	NotRecorded string `json:"not_recorded,omitempty"`
}

// Unjudged says that there may have been subjects, and not one could be judged:
// that nothing was found then means nothing.
func (c Check) Unjudged() bool {
	return c.Judged+c.Found+c.Rejected == 0 && (c.NotRecorded != "" || len(c.Insufficient) > 0)
}

// Result is what Find gives.
type Result struct {
	RulesVersion int       `json:"rules_version"`
	Findings     []Finding `json:"findings"` // root causes first
	Checks       []Check   `json:"checks"`   // one a kind, by kind
}
