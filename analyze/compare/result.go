package compare

import (
	"slices"

	"kmon/analyze/stat"
)

// Schema names the form of a Result.
const Schema = "kmon.compare/v1"

// Outcome is what a comparison came to.
type Outcome string

// Outcomes.
const (
	Regression   Outcome = "regression"   // worse, by more than noise
	Improvement  Outcome = "improvement"  // better, by more than noise
	Changed      Outcome = "changed"      // different by more than noise, of a metric that is neither better nor worse
	NoChange     Outcome = "no-change"    // a change of the minimum effect would have been seen, and was not
	Inconclusive Outcome = "inconclusive" // too little data, too much loss or noise, or not recorded: see the reason
)

// Result is a comparison, as plain values: the reports render it and compute
// nothing. It is also the JSON output (schema kmon.compare/v1). Units:
// nanoseconds, bytes, counts, shares from 0 to 1; times are nanoseconds since the
// Unix epoch. What is not known is absent, never 0. Slices are sorted.
type Result struct {
	Schema  string  `json:"schema"`
	Version string  `json:"kmon_version"`
	Outcome Outcome `json:"outcome"` // never Changed
	// Verdict is one sentence: what, for whom, by how much; or why nothing can be
	// said.
	Verdict string `json:"verdict"`
	// Reasons are why the outcome is Inconclusive, the gravest first; of other
	// outcomes, what limits it.
	Reasons  []string `json:"reasons"`
	Settings Settings `json:"settings"`
	Base     Side     `json:"base"`
	New      Side     `json:"new"`
	Load     Load     `json:"load"`
	// Noise is what identical runs differ by; absent: no such runs were given.
	Noise *Noise `json:"noise,omitempty"`
	// Changes has every metric of every service and edge that a side has:
	// regressions first, then improvements, changed, inconclusive, no change; in
	// each the largest first.
	Changes []Change `json:"changes"`
	Counts  Counts   `json:"counts"`
	// Appeared are services and edges that only new has, Gone those that only base
	// has, of those with at least MinRequests.
	Appeared []Subject `json:"appeared"`
	Gone     []Subject `json:"gone"`
	// Thresholds are those asked for, judged, in the order given.
	Thresholds []Judged          `json:"thresholds"`
	Flames     []FlameDifference `json:"flames,omitzero"` // absent: a side has no stacks
	Warnings   []string          `json:"warnings"`        // what the reader should know before trusting the numbers
}

// Settings are what the comparison was made with.
type Settings struct {
	Unit     string `json:"unit"`      // "window": one recording a side; "run": several
	WindowNs int64  `json:"window_ns"` // width of a window
	// Alpha is the largest adjusted p of a change, and one minus it the confidence of
	// every interval.
	Alpha float64 `json:"alpha"`
	// MinEffect is the least relative change that counts; Change.MinEffect is what
	// became of it for each metric.
	MinEffect float64 `json:"min_effect"`
	// MinEffectAsked: the user gave it.
	MinEffectAsked bool     `json:"min_effect_asked"`
	MinDelta       float64  `json:"min_cliffs_delta"`
	MinCoverage    float64  `json:"min_coverage"`
	MinWindows     int      `json:"min_windows"`
	MinRuns        int      `json:"min_runs"`
	MinRequests    int64    `json:"min_requests"`
	LoadTolerance  float64  `json:"load_tolerance"` // rates of entering requests that differ by more are another load
	Resamples      int      `json:"resamples"`      // of the bootstrap
	Services       []string `json:"services,omitempty"`
}

// Side is base or new.
type Side struct {
	Runs    []RunInfo `json:"runs"` // never empty
	Windows int       `json:"windows"`
	// Damaged, Lossy: some run of it is.
	Damaged bool `json:"damaged"`
	Lossy   bool `json:"lossy"`
}

// RunInfo is one recording of a side, of one node or several at once.
type RunInfo struct {
	Name       string   `json:"name,omitempty"` // as Recording.Name
	Files      []string `json:"files"`
	SHA256     []string `json:"sha256"` // by file
	Hosts      []string `json:"hosts"`
	Kernels    []string `json:"kernels"` // by host
	Versions   []string `json:"kmon_versions"`
	Synthetic  bool     `json:"synthetic,omitempty"`
	StartNs    int64    `json:"start_ns"`
	DurationNs int64    `json:"duration_ns"`
	Requests   int64    `json:"requests"` // that entered, in the windows used
	RatePerS   float64  `json:"rate_per_s"`
	// Windows were used; the others were dropped.
	Windows int `json:"windows"`
	Partial int `json:"windows_partial"` // not recorded throughout
	WarmUp  int `json:"windows_warm_up"` // before the load was steady
	Lost    int `json:"windows_lossy"`   // requests of a coverage below the least
	// Coverage is the least of the hosts' for each table, by table.
	Coverage []Coverage `json:"coverage"`
	// Problems is damage found while reading; Damaged also says that the file ends
	// before the recording did.
	Problems []string `json:"problems"`
	Damaged  bool     `json:"damaged"`
}

// Coverage is seen / (seen + lost) of a table.
type Coverage struct {
	Table string  `json:"table"`
	Ratio float64 `json:"ratio"`
}

// Load compares what was asked of both sides.
type Load struct {
	// Rates of the requests that enter, over all windows used; absent: no requests
	// were recorded.
	BaseRatePerS *float64 `json:"base_rate_per_s,omitempty"`
	NewRatePerS  *float64 `json:"new_rate_per_s,omitempty"`
	Relative     *float64 `json:"relative,omitempty"` // new / base − 1
	// Same: they differ by no more than Settings.LoadTolerance. When not,
	// latencies are judged only where the load can't be the reason: worse though
	// less was asked, better though more was.
	Same    bool     `json:"same"`
	Text    string   `json:"text"`    // one sentence
	Entries []string `json:"entries"` // services that are asked from outside
}

// Noise is what runs of an unchanged system differ by.
type Noise struct {
	Runs []RunInfo `json:"runs"`
	// FalseAlarms are the pairs of these runs of which kmon would say regression or
	// improvement, without knowing the noise; Pairs is how many there are.
	Pairs       int `json:"pairs"`
	FalseAlarms int `json:"false_alarms"`
}

// Subject is a service, or an edge: what its clients see of it.
type Subject struct {
	Type    string `json:"type"` // service, edge
	Name    string `json:"name"` // as the reports write it: "cart", "web → cart:8080"
	Service string `json:"service,omitempty"`
	Client  string `json:"client,omitempty"`
	Server  string `json:"server,omitempty"`
	Port    int32  `json:"port,omitempty"` // absent of an edge: several, or another on either side
}

// Change is one metric of one subject.
type Change struct {
	Subject Subject `json:"subject"`
	Metric  Metric  `json:"metric"`
	Title   string  `json:"title"` // of the metric: "p99 latency", "CPU time per request"
	Unit    string  `json:"unit"`  // ns, ratio (share of requests), count, bytes, per_s
	// End is whose end latencies and requests were measured on: server or client.
	End  string `json:"end,omitempty"`
	Base *Value `json:"base,omitempty"` // absent: not recorded, or the side lacks the subject
	New  *Value `json:"new,omitempty"`
	// Absolute and Relative are the change from base to new, in Unit and as new / base
	// − 1. They are estimates over the units (Hodges-Lehmann, ratio of counts), not
	// the difference of the values. Absent: not known; Relative also where base is 0.
	Absolute *float64 `json:"absolute,omitempty"`
	Relative *float64 `json:"relative,omitempty"`
	// Common is what the other services show of such a change, too, as far as this one
	// follows them: the node was slower or faster. Relative leaves it out: together
	// they are what new is of base. CPU time only; absent: there are too few others, or
	// runs show more without it.
	Common *float64 `json:"common,omitempty"`
	// Interval holds Relative with a confidence of 1 − alpha.
	Interval *Interval `json:"interval,omitempty"`
	P        *float64  `json:"p,omitempty"`
	Adjusted *float64  `json:"p_adjusted,omitempty"` // over all metrics that were tested
	Delta    *float64  `json:"cliffs_delta,omitempty"`
	// Pairs and Agreeing are, of three runs and more a side, the pairs of a run of
	// base with one of new, and those of them that differ in the direction of
	// Relative.
	Pairs    int `json:"pairs,omitempty"`
	Agreeing int `json:"pairs_agreeing,omitempty"`
	// MinEffect is the least relative change that counts as one here: the largest of
	// what was asked for (or a threshold says), of twice NoiseSpread, and of what the
	// metric's least absolute change (20 µs of a latency) is of base. No change takes
	// an Interval and a Detectable within it, NoiseSpread left aside.
	MinEffect float64 `json:"min_effect"`
	// NoiseSpread is what identical recordings, as many as here, differ by (standard
	// deviation): measured with Result.Noise, else assumed of single recordings, more
	// where their halves differ; absent: none enters.
	NoiseSpread  *float64 `json:"noise_spread,omitempty"`
	NoiseAssumed bool     `json:"noise_assumed,omitempty"`
	// Detectable is the smallest relative change that this much data would have
	// shown four times of five; absent: not known.
	Detectable *float64 `json:"detectable,omitempty"`
	Outcome    Outcome  `json:"outcome"`
	// Reason is why the outcome is Inconclusive; "" of others.
	Reason string `json:"reason,omitempty"`
	// Decisive: the outcome of the whole rests on it. When it is Inconclusive, so is
	// the whole, unless something regressed.
	Decisive bool `json:"decisive"`
}

// Value is a metric of a side.
type Value struct {
	Value    float64 `json:"value"`    // over all windows used: quantile of all requests, sum over sum
	Windows  int     `json:"windows"`  // with a value
	Runs     int     `json:"runs"`     // with a value
	Requests int64   `json:"requests"` // in these windows
	Coverage float64 `json:"coverage"` // least over the tables and windows it rests on
	// Samples are the values of the units in order of time, at most MaxSamples.
	Samples []float64 `json:"samples,omitempty"`
}

// Middle is the median of the samples; NaN without any.
func (v *Value) Middle() float64 { return stat.Median(slices.Clone(v.Samples)) }

// MaxSamples is how many samples of a value are listed; of more, evenly spread ones
// are.
const MaxSamples = 120

// Interval is a range that holds a relative change.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Counts counts the changes by outcome.
type Counts struct {
	Regressions  int `json:"regressions"`
	Improvements int `json:"improvements"`
	Changed      int `json:"changed"`
	NoChange     int `json:"no_change"`
	Inconclusive int `json:"inconclusive"`
}

// Judged is a threshold and what came of it.
type Judged struct {
	Threshold
	Outcome JudgedOutcome `json:"outcome"`
	// Reason says in a sentence what was seen, or why it could not be judged.
	Reason string `json:"reason"`
	// Changes are the indexes in Result.Changes of what it names; empty: nothing, and
	// it is then inconclusive.
	Changes []int `json:"changes"`
}

// JudgedOutcome is what came of a threshold.
type JudgedOutcome string

// Outcomes of a threshold.
const (
	Passed    JudgedOutcome = "passed"
	Failed    JudgedOutcome = "failed"
	Undecided JudgedOutcome = "inconclusive"
)
