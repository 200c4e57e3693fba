package analyze

import "kmon/format"

// Analysis is everything kmon knows of one or more captures, as plain values:
// the reports render it and compute nothing. It is also the JSON output
// (schema kmon.analysis/v1). Units: nanoseconds, bytes, counts; times are
// nanoseconds since the Unix epoch. Slices are never nil and are sorted, so
// that the same captures give the same bytes.
type Analysis struct {
	Schema   string    `json:"schema"` // "kmon.analysis/v1"
	Version  string    `json:"kmon_version"`
	Captures []Capture `json:"captures"`
	// StartNs and EndNs bound what was analyzed (after --since and --until).
	StartNs  int64  `json:"start_ns"`
	EndNs    int64  `json:"end_ns"`
	WindowNs int64  `json:"window_ns"` // width of a window of the series
	Filter   Filter `json:"filter"`
	Verdict  string `json:"verdict"` // one sentence, what to know first
	// Findings is what is wrong, root causes first; empty: nothing was found by
	// the rules, see Checks for what they could judge.
	Findings []Finding `json:"findings"`
	Checks   []Check   `json:"checks"`
	// RulesVersion is that of the table of thresholds, RulesChanged the thresholds
	// that were overridden ("kind.name=value", sorted), Baseline the files of the
	// healthy capture they were compared with.
	RulesVersion int       `json:"rules_version"`
	RulesChanged []string  `json:"rules_changed,omitempty"`
	Baseline     []string  `json:"baseline,omitempty"`
	Services     []Service `json:"services"`
	Edges        []Edge    `json:"edges"`
	// Series is of all requests that the Services served. A request for which a
	// service asked another counts for both.
	Series []Point `json:"series"`
	// Connections are the busiest and the slowest of each instance, at most 16 of
	// one and 1500 in all, sorted by server, its instance, then the busiest first.
	Connections []Connection `json:"connections"`
	// Examples are requests: of each service the 10 slowest, then up to 5 near its
	// p99 and its p50, fewer where there are many services (at most 2000 in all),
	// sorted by server.
	Examples []ExampleRequest `json:"examples"`
	// NotRecorded is what of the analyzed time no capture recorded, by time:
	// rates leave it out, and series have no points there. Absent: it was
	// recorded throughout.
	NotRecorded []Span `json:"not_recorded,omitempty"`
	// From here to Losses: absent when no capture recorded them.
	Threads      []Thread       `json:"threads,omitzero"`  // busiest first, at most 50
	Wakes        []WakePair     `json:"wakes,omitzero"`    // most frequent first, at most 50
	Syscalls     []SyscallCount `json:"syscalls,omitzero"` // most frequent first, at most 500
	Disks        []Disk         `json:"disks,omitzero"`
	Drops        []Drop         `json:"drops,omitzero"`
	Network      []NetworkCount `json:"network,omitzero"`
	AcceptQueues []AcceptQueue  `json:"accept_queues,omitzero"`
	Flames       []FlameTree    `json:"flames,omitzero"`
	HeatMaps     []HeatMap      `json:"heatmaps,omitzero"`
	// Profile is what the HTML report draws flame graphs of any moment from.
	// nil: no stacks were recorded.
	Profile *Profile `json:"-"`
	// OffCPUMinNs is the least length of a wait that is in any OffCPU; 0: not
	// known.
	OffCPUMinNs int64  `json:"off_cpu_min_ns,omitempty"`
	Losses      []Loss `json:"losses"` // without those of LeftOut
	// LeftOut is what was not recorded on purpose; absent when nothing was left
	// out.
	LeftOut   []LeftOut `json:"left_out,omitzero"`
	Marks     []Mark    `json:"marks"`
	Warnings  []string  `json:"warnings"`  // what the reader should know before trusting the numbers
	Quantiles string    `json:"quantiles"` // how quantiles were computed and their relative error
}

// Filter is the part of the captures that was analyzed.
type Filter struct {
	Since    string   `json:"since,omitempty"`
	Until    string   `json:"until,omitempty"`
	Services []string `json:"services,omitempty"`
}

// RecordedNs is how much of the analyzed time was recorded.
func (a *Analysis) RecordedNs() int64 {
	ns := a.EndNs - a.StartNs
	for _, s := range a.NotRecorded {
		ns -= s.EndNs - s.StartNs
	}
	return ns
}

// RecordedWithin is how much of [from, to) was analyzed and recorded.
func (a *Analysis) RecordedWithin(from, to int64) int64 {
	from, to = max(from, a.StartNs), min(to, a.EndNs)
	ns := max(to-from, 0)
	for _, s := range a.NotRecorded {
		ns -= max(min(s.EndNs, to)-max(s.StartNs, from), 0)
	}
	return max(ns, 0)
}

// Span is a time.
type Span struct {
	StartNs int64 `json:"start_ns"`
	EndNs   int64 `json:"end_ns"`
}

// Capture is one recording: an input file, or several that are its parts.
type Capture struct {
	File        string `json:"file"`            // of parts the first
	SHA256      string `json:"sha256"`          // of parts, that of all one after the other
	Parts       []Part `json:"parts,omitempty"` // absent: the file is the whole recording, or one part
	Gaps        []Gap  `json:"gaps,omitempty"`  // parts that are missing
	Host        string `json:"host"`
	Kernel      string `json:"kernel"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	CPUs        int    `json:"cpus"`
	KmonVersion string `json:"kmon_version"`
	Synthetic   string `json:"synthetic,omitempty"` // how it was made; absent: it is a recording
	Redacted    bool   `json:"redacted,omitempty"`  // names are pseudonyms (kmon redact)
	CutFrom     *Span  `json:"cut_from,omitempty"`  // the time of the capture that it was cut from; absent: of none
	// NoCommandLines says that command lines were not recorded (record --no-cmdline).
	NoCommandLines bool             `json:"no_command_lines,omitempty"`
	StartNs        int64            `json:"start_ns"`
	DurationNs     int64            `json:"duration_ns"`
	StopReason     string           `json:"stop_reason"` // "" : the file was cut
	Collectors     []Collector      `json:"collectors"`
	Coverage       []Coverage       `json:"coverage"`
	Clock          Clock            `json:"clock"`
	Problems       []string         `json:"problems"` // damage found while reading
	Rows           map[string]int64 `json:"rows"`     // all that could be read
	Recorder       Recorder         `json:"recorder"`
}

// EndsInOrder says whether the recorder wrote the capture to its end. One that was
// cut lacks its last moments and a count of what it lost; so does what kmon repair
// made of it.
func (c *Capture) EndsInOrder() bool {
	return c.StopReason != "" && c.StopReason != format.StopRepaired
}

// Part is one file of a recording of several.
type Part struct {
	File   string `json:"file"`
	Part   int    `json:"part"` // from 1; the first that the file has
	SHA256 string `json:"sha256"`
}

// Gap is a time of a recording that the files at hand lack.
type Gap struct {
	After   int   `json:"after_part"`         // 0: there is nothing before
	Before  int   `json:"before_part"`        // parts between the two are missing; without any, the end of the first is
	StartNs int64 `json:"start_ns,omitempty"` // absent: not known, the recording began earlier
	EndNs   int64 `json:"end_ns"`
}

// Collector is a collector of a capture with the hook variants it used.
type Collector struct {
	Name    string `json:"name"`
	Variant string `json:"variant"` // "indicator=variant, …", sorted
	Missing string `json:"missing,omitempty"`
	// Settings is what the rows depend on, "name=value, …", sorted.
	Settings string `json:"settings,omitempty"`
}

// Coverage is seen / (seen + lost) of one table in the analyzed time, times the
// share of it in which the table was recorded or at least counted.
type Coverage struct {
	Table string  `json:"table"`
	Seen  int64   `json:"seen"`
	Lost  int64   `json:"lost"`
	Ratio float64 `json:"ratio"`
	// UncountedNs is how long nobody even counted what was left out.
	UncountedNs int64 `json:"uncounted_ns,omitempty"`

	durationNs int64 // of the analyzed time of the capture
}

// Clock is how the monotonic times of a capture became Unix times.
type Clock struct {
	OffsetNs int64  `json:"offset_ns"` // realtime − monotonic at the start
	DriftNs  int64  `json:"drift_ns"`  // largest change of the offset during the recording
	Source   string `json:"source"`
	// ShiftNs was added to its times, OffsetNs included, because requests that both
	// ends recorded tell that its clock was off by that; absent: 0.
	ShiftNs int64 `json:"shift_ns,omitempty"`
	// Peers are the hosts of other captures that its clock was compared with:
	// those of its servers' clients. Absent: none.
	Peers []ClockPeer `json:"peers,omitempty"`
}

// Recorder is what recording cost on the node.
type Recorder struct {
	CPUNs       int64   `json:"cpu_ns"`
	CPUPercent  float64 `json:"cpu_percent"` // of one core
	MaxRSSBytes int64   `json:"max_rss_bytes"`
	BPFRunNs    int64   `json:"bpf_run_ns"` // 0: not measured
}

// Distribution summarizes durations, of requests those that were answered and timed.
// Count 0 means nothing was measured; the other fields are then 0 and must not be shown
// as numbers.
type Distribution struct {
	Count int64 `json:"count"`
	Mean  int64 `json:"mean"`
	P50   int64 `json:"p50"`
	P90   int64 `json:"p90"`
	P95   int64 `json:"p95"`
	P99   int64 `json:"p99"`
	Max   int64 `json:"max"`
}

// Service is a group of instances that answer, or ask, under one name.
type Service struct {
	Name      string       `json:"name"`
	Source    string       `json:"source"`   // rule, kubernetes, container, systemd, executable, address
	External  bool         `json:"external"` // a peer seen only from outside: an address, not a process
	Ends      string       `json:"ends"`     // server: the numbers are of its own end; client: it was not recorded, they are its clients'; "": it has no connections
	Instances []Instance   `json:"instances"`
	Requests  int64        `json:"requests"` // served, see Ends
	RatePerS  float64      `json:"rate_per_s"`
	Latency   Distribution `json:"latency_ns"`
	Upload    Distribution `json:"upload_ns"`
	Server    Distribution `json:"server_ns"`
	Download  Distribution `json:"download_ns"`
	// Breakdown is where the time of requests went; nil: nothing that would tell was
	// recorded, or the service's own end was not.
	Breakdown  *Breakdown `json:"breakdown,omitempty"`
	BytesIn    int64      `json:"bytes_in"`
	BytesOut   int64      `json:"bytes_out"`
	Unanswered int64      `json:"unanswered"` // requests whose connection ended without an answer
	InFlight   int64      `json:"in_flight"`  // requests without an answer when the recording ended
	Untimed    int64      `json:"untimed"`    // requests counted without a latency (joined or interleaved)
	Resets     int64      `json:"resets"`
	Streams    Streams    `json:"streams"`
	CPU        *CPU       `json:"cpu,omitempty"`
	CPUSeries  []CPUPoint `json:"cpu_series,omitzero"` // the windows of a series
	OffCPU     []Wait     `json:"off_cpu,omitzero"`    // sorted by total, largest first
	// WaitSeries are TotalNs of each of OffCPU, in its order.
	WaitSeries SumSeries `json:"-"`
	// WaitCounts are Count and TotalNs of each of OffCPU, in its order; without points of
	// callee and idle, which only sums tell apart, and of what did not take long.
	WaitCounts []SumSeries `json:"-"`
	Memory     *Memory     `json:"memory,omitempty"`
	Coverage   float64     `json:"coverage"`
	Series     []Point     `json:"series"`
	// PartSeries are of requests with a latency how many, and ns of upload, server and
	// download; StreamSeries are messages in, out, and one way. They have no points for
	// services that are not among those with most.
	PartSeries   SumSeries `json:"-"`
	StreamSeries SumSeries `json:"-"`
}

// Instance is one process, container or pod of a service.
type Instance struct {
	Name     string       `json:"name"`
	Host     string       `json:"host"`
	PIDs     []int32      `json:"pids"` // first 16, sorted
	Requests int64        `json:"requests"`
	RatePerS float64      `json:"rate_per_s"`
	Latency  Distribution `json:"latency_ns"`
	Contrast *Contrast    `json:"contrast,omitempty"` // absent: it has no peers, or too few requests
	CPU      *CPU         `json:"cpu,omitempty"`
	OffCPU   []Wait       `json:"off_cpu,omitzero"`
	// Series is for the HTML report; nil: the service has no other instances, or it is
	// not among those with the most requests.
	Series []Point `json:"-"`
}

// Streams counts traffic that does not read as request and answer.
type Streams struct {
	Connections int64   `json:"connections"` // connections labelled as streams
	MessagesIn  int64   `json:"messages_in"`
	MessagesOut int64   `json:"messages_out"`
	RatePerS    float64 `json:"messages_per_s"`
	OneWay      int64   `json:"one_way"` // bursts with neither request nor answer to them (pushes, greetings, goodbyes)
}

// Edge is the traffic from one service to another.
type Edge struct {
	Client        string       `json:"client"`
	Server        string       `json:"server"`
	ServerPort    int32        `json:"server_port"`
	Kind          string       `json:"kind"`          // request, stream, mixed, connect-only
	Ends          string       `json:"ends"`          // both, client, server: which ends were recorded
	Via           string       `json:"via,omitempty"` // service address that was translated (destination NAT)
	Connections   int64        `json:"connections"`
	Failed        int64        `json:"failed_connects"`
	Requests      int64        `json:"requests"`
	RatePerS      float64      `json:"rate_per_s"`
	Latency       Distribution `json:"latency_ns"`        // server's end; as the next two, of answered requests only
	ClientLatency Distribution `json:"client_latency_ns"` // client's end: without those that the client gave up
	Network       Distribution `json:"network_ns"`        // client − server per request: network and queues
	Matched       int64        `json:"matched_requests"`  // requests seen on both ends
	// ClientUnmeasured is how many requests are not in ClientLatency: those that either
	// end tells of and the client's has no latency of, because the client gave them up,
	// a reset ended them, nobody answered until the recording ended, or they were not
	// timed. Absent: the client's end was not recorded.
	ClientUnmeasured *int64 `json:"client_unmeasured,omitempty"`
	// Contrast says how slow it was against a reference; absent: there is none, or
	// it has too few requests.
	Contrast      *Contrast `json:"contrast,omitempty"`
	BytesSent     int64     `json:"bytes_sent"`     // by the client
	BytesReceived int64     `json:"bytes_received"` // by the client
	Retransmits   int64     `json:"retransmits"`
	Resets        int64     `json:"resets"`
	Unanswered    int64     `json:"unanswered"`
	Untimed       int64     `json:"untimed"`
	Streams       Streams   `json:"streams"`
	Coverage      float64   `json:"coverage"`
	Series        []Point   `json:"series"`
	// ByteSeries are BytesSent and BytesReceived; without points where the edge is not
	// among those with most requests.
	ByteSeries SumSeries `json:"-"`
}

// Point is one window of a series. A window without requests has Requests 0
// and no latency (Latency.Count 0); one that was not recorded has no point.
type Point struct {
	StartNs  int64 `json:"start_ns"`
	Partial  bool  `json:"partial,omitempty"` // not fully recorded: the first or last window, or one beside a gap
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"` // resets and unanswered
	P50      int64 `json:"p50"`
	P95      int64 `json:"p95"`
	P99      int64 `json:"p99"`
	Max      int64 `json:"max"`
	Count    int64 `json:"latency_count"`
	Lost     int64 `json:"lost"` // exchanges known lost in this window, all services
	// Classes are the latencies of the window, for the HTML report, which adds
	// windows up. nil: none, or not among the series with the most requests.
	Classes []ClassCount `json:"-"`
}

// ClassCount is how many latencies were of one class: see stat.ClassOf. Lists
// are sorted by class.
type ClassCount struct {
	Class int32
	Count int64
}

// Loss is a period with known missing events.
type Loss struct {
	Capture   string `json:"capture"`
	Collector string `json:"collector"`
	Table     string `json:"table"`
	Cause     string `json:"cause"`
	Count     int64  `json:"count"`
	StartNs   int64  `json:"start_ns"`
	EndNs     int64  `json:"end_ns"`
}

// Mark is a moment the recorder or the user marked.
type Mark struct {
	Capture string `json:"capture"`
	TsNs    int64  `json:"ts_ns"`
	Kind    string `json:"kind"`
	Text    string `json:"text"`
}
