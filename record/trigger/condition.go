package trigger

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"kmon/format"
)

// MaxConditions bounds the conditions of a Watch.
const MaxConditions = 16

const (
	// DefaultOver is the window in which requests are measured: short enough to
	// act while it hurts, long enough for a quantile.
	DefaultOver = 10 * time.Second
	// DefaultFaultsOver is that of drops, resets and retransmits: they come in bursts.
	DefaultFaultsOver = time.Second
	minOver           = time.Second
	maxOver           = 10 * time.Minute

	// MinRequests is how many requests a window must have for a quantile to mean
	// something; max needs one.
	MinRequests = 20
	// minSlow of them must be slower than the bound, or one slow request would be
	// the p99 of any service with fewer than a hundred.
	minSlow = 5
)

// unit is what a measure is counted in.
type unit int

const (
	unitDuration unit = iota // bounds and values in nanoseconds
	unitRate                 // a second
	unitPercent
)

// measure is a thing that a condition can be about.
type measure struct {
	name      string
	unit      unit
	quantile  float64               // of latencies, 1: the largest; 0: not of latencies
	requests  bool                  // how many there are
	faults    []format.NetEventKind // network events that count
	collector string                // that must run; "": none
}

// measures are all there are, in the order in which errors list them.
var measures = []measure{
	{name: "p50", unit: unitDuration, quantile: 0.50, collector: "tcp"},
	{name: "p95", unit: unitDuration, quantile: 0.95, collector: "tcp"},
	{name: "p99", unit: unitDuration, quantile: 0.99, collector: "tcp"},
	{name: "max", unit: unitDuration, quantile: 1, collector: "tcp"},
	{name: "requests", unit: unitRate, requests: true, collector: "tcp"},
	{name: "drops", unit: unitRate, faults: []format.NetEventKind{format.NetDrop}, collector: "drop"},
	{name: "resets", unit: unitRate, faults: []format.NetEventKind{format.NetResetSent, format.NetResetReceived}, collector: "drop"},
	{name: "retransmits", unit: unitRate, faults: []format.NetEventKind{format.NetRetransmit}, collector: "drop"},
	{name: "pressure", unit: unitPercent},
}

// ofServices says whether the measure is one of requests to a service.
func (m *measure) ofServices() bool { return m.quantile > 0 || m.requests }

// Condition is a parsed condition. It holds when a value measured over a window
// is over, or under, its bound.
type Condition struct {
	text     string
	measure  *measure
	service  string        // of requests; "": any, each by itself
	resource string        // of pressure: cpu, io, memory
	over     time.Duration // the window; of pressure the kernel's own, ten seconds
	below    bool
	bound    float64 // in the measure's unit
}

// String is the condition as it was written.
func (c Condition) String() string { return c.text }

// Collector is the one without which the condition can never hold; "": it needs
// none.
func (c Condition) Collector() string { return c.measure.collector }

// Service is whose requests the condition is about; "": any's, or none's.
func (c Condition) Service() string { return c.service }

// Fired is a condition that held.
type Fired struct {
	Condition Condition
	Service   string  // whose requests; "" unless they are what was measured
	Value     float64 // nanoseconds, a second, or percent, as the condition's bound
	Requests  int64   // in the window, of a latency
}

// String says what was measured, in a sentence without a stop.
func (f Fired) String() string {
	c := f.Condition
	text := c.measure.name
	switch {
	case f.Service != "":
		text += fmt.Sprintf("(service=%s)", f.Service)
	case c.resource != "":
		text += fmt.Sprintf("(%s)", c.resource)
	}
	than := "over"
	if c.below {
		than = "under"
	}
	u := c.measure.unit
	text += fmt.Sprintf(" was %s in the last %s, %s %s", u.text(f.Value), c.over, than, u.text(c.bound))
	if c.measure.quantile > 0 {
		text += fmt.Sprintf(" (%d requests)", f.Requests)
	}
	return text
}

// text writes a value with some three digits.
func (u unit) text(v float64) string {
	if u == unitDuration {
		d, step := time.Duration(v), time.Duration(1)
		for d >= 1000*step {
			step *= 10
		}
		return d.Round(step).String()
	}
	decimals := -1
	if v >= 100 {
		decimals = 0
	} else if v >= 0.01 {
		v = math.Round(v*100) / 100
	}
	number := strconv.FormatFloat(v, 'f', decimals, 64)
	if u == unitPercent {
		return number + "%"
	}
	return number + "/s"
}
