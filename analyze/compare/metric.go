package compare

import (
	"slices"
	"strings"
)

// Metric names a quantity of a service or edge. The words are stable: they are part
// of the JSON and of thresholds.
type Metric string

// The metrics. All but Rate and the latencies are per request: served by a service
// (asked, of one that serves none), or asked over an edge.
const (
	P50          Metric = "p50"
	P95          Metric = "p95"
	P99          Metric = "p99"
	Errors       Metric = "errors"      // share that was reset, never answered, or could not connect
	Retransmits  Metric = "retransmits" // of edges
	CPU          Metric = "cpu"         // ns on the CPUs
	IOs          Metric = "ios"         // that disks were asked for
	Rate         Metric = "rate"        // requests a second
	RequestBytes Metric = "request_bytes"
	AnswerBytes  Metric = "answer_bytes"
	DiskBytes    Metric = "disk_bytes"
	RunQueue     Metric = "run_queue" // ns ready to run, but not on a CPU
	Voluntary    Metric = "voluntary"
	Involuntary  Metric = "involuntary"
	Syscalls     Metric = "syscalls"
)

// quantity is something that is added up window by window.
type quantity int

const (
	requests quantity = iota
	asked             // by a service
	errs
	retransmits
	requestBytes
	answerBytes
	onCPU
	runQueue
	voluntary
	involuntary
	syscalls
	ios
	diskBytes
	quantities
)

// table is what a quantity was recorded in.
type table int

const (
	exchanges table = iota
	intervals
	netEvents
	calls
	blockIOs
	tables
)

// metricRule is what is known of a metric.
type metricRule struct {
	name  Metric
	title string
	unit  string
	// quantile of the latencies, above 0; else sum over requests.
	quantile float64
	sum      quantity
	table    table
	// gate: more is worse, and makes a regression. Others tell why.
	gate bool
	// count: a number of things, which vary at least as a Poisson process does.
	count bool
	// byInterval: the recorder adds it up over its intervals.
	byInterval bool
	service    bool // services have it
	edge       bool // edges have it
	// least is the smallest absolute change that anybody minds, in unit.
	least float64
	// spread is the standard deviation of the logarithm over identical runs that is
	// assumed of single recordings.
	spread float64
}

// What is assumed that single recordings of an unchanged system differ by; make
// compare-proof measures it.
const (
	assumedLatency = 0.02
	assumedTail    = 0.02
	assumedCPU     = 0.05
	assumedHeldCPU = 0.015 // against controls
	assumedApart   = 0.03  // of controls
	assumedOther   = 0.02
	// assumedAtClient is how many times more latencies vary as clients see them: they
	// hold what the client waits for a CPU.
	assumedAtClient = 2.0
)

// metrics are all rules, in the order of reports.
var metrics = []metricRule{
	{name: P50, title: "p50 latency", unit: "ns", quantile: 0.50, gate: true, service: true, edge: true, least: 20e3, spread: assumedLatency},
	{name: P95, title: "p95 latency", unit: "ns", quantile: 0.95, gate: true, service: true, edge: true, least: 20e3, spread: assumedTail},
	{name: P99, title: "p99 latency", unit: "ns", quantile: 0.99, gate: true, service: true, edge: true, least: 20e3, spread: assumedTail},
	{name: Errors, title: "errors", unit: "ratio", sum: errs, gate: true, count: true, service: true, edge: true, least: 1e-3},
	{name: Retransmits, title: "retransmits per request", unit: "count", sum: retransmits, table: netEvents, gate: true, count: true, edge: true, least: 1e-3, spread: assumedOther},
	{name: CPU, title: "CPU time per request", unit: "ns", sum: onCPU, table: intervals, gate: true, byInterval: true, service: true, least: 20e3, spread: assumedCPU},
	{name: IOs, title: "disk IOs per request", unit: "count", sum: ios, table: blockIOs, gate: true, count: true, service: true, least: 1e-2, spread: assumedOther},
	{name: Rate, title: "requests a second", unit: "per_s", sum: requests, count: true, service: true, edge: true, spread: assumedOther},
	{name: RequestBytes, title: "request bytes", unit: "bytes", sum: requestBytes, service: true, edge: true, least: 1},
	{name: AnswerBytes, title: "answer bytes", unit: "bytes", sum: answerBytes, service: true, edge: true, least: 1},
	{name: DiskBytes, title: "disk bytes per request", unit: "bytes", sum: diskBytes, table: blockIOs, service: true, least: 64, spread: assumedOther},
	{name: RunQueue, title: "wait for a CPU per request", unit: "ns", sum: runQueue, table: intervals, byInterval: true, service: true, least: 20e3, spread: assumedOther},
	{name: Voluntary, title: "voluntary switches per request", unit: "count", sum: voluntary, table: intervals, byInterval: true, count: true, service: true, least: 0.1, spread: assumedOther},
	{name: Involuntary, title: "involuntary switches per request", unit: "count", sum: involuntary, table: intervals, byInterval: true, count: true, service: true, least: 0.1, spread: assumedOther},
	{name: Syscalls, title: "system calls per request", unit: "count", sum: syscalls, table: calls, byInterval: true, count: true, service: true, least: 0.1, spread: assumedOther},
}

// rule gives what is known of a metric; false: there is none of that name.
func (m Metric) rule() (metricRule, bool) {
	i := slices.IndexFunc(metrics, func(r metricRule) bool { return r.name == m })
	if i < 0 {
		return metricRule{}, false
	}
	return metrics[i], true
}

// MetricInfo is what a reader of a threshold must know of a metric.
type MetricInfo struct {
	Name     Metric
	Unit     string // as Change.Unit
	Services bool   // services have it
	Edges    bool   // edges have it
}

// Metrics lists all metrics, in the order of reports.
func Metrics() []MetricInfo {
	list := []MetricInfo{}
	for _, r := range metrics {
		list = append(list, MetricInfo{r.name, r.unit, r.service, r.edge})
	}
	return list
}

// MetricUnit gives the unit of a metric, as Change.Unit; false: there is no such
// metric.
func MetricUnit(m Metric) (string, bool) {
	r, ok := m.rule()
	return r.unit, ok
}

// MetricNames lists the metrics, for help and errors.
func MetricNames() string {
	var names []string
	for _, r := range metrics {
		names = append(names, string(r.name))
	}
	return strings.Join(names, ", ")
}
