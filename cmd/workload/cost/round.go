package main

import (
	"slices"
)

// off is the name of a run without a recorder.
const off = "off"

// result is one run of a load under one recorder, or under none. Shares are of
// the whole machine, percentages of one core.
type result struct {
	Load       string  `json:"load"`
	Round      int     `json:"round"`
	Recorder   string  `json:"recorder"`
	Rate       float64 `json:"requests_per_s"`
	Requests   int64   `json:"requests"`           // the load generator's count
	Served     int64   `json:"served"`             // the server's own count, of the same run, as the wire shows them
	CPUNs      float64 `json:"cpu_ns_per_request"` // of server and load generator
	Foreign    float64 `json:"foreign"`            // share of the machine that others took
	RecorderMs float64 `json:"recorder_cpu_ms,omitempty"`
	CPUPercent float64 `json:"recorder_cpu_percent,omitempty"` // while the load ran
	PeakBytes  int64   `json:"recorder_vmhwm_bytes,omitempty"`
	FileBytes  int64   `json:"file_bytes,omitempty"`
	Lost       int64   `json:"lost"`                        // by the recorder's own count
	Seen       *int64  `json:"requests_recorded,omitempty"` // kmon only: requests its analysis finds
	Rows       *int64  `json:"exchange_rows,omitempty"`     // kmon only: both ends of each request
	StopMs     float64 `json:"stop_ms,omitempty"`           // from the signal to the end of the recorder
}

// round is the runs of one round, in their order.
type round struct {
	runs      []result
	discarded bool // others took too much of the machine
}

// sequence gives the order of a round: off before every second recorder and at
// the end, the recorders rotated by the round's number.
func sequence(recorders []string, number int) []string {
	turn := number % len(recorders)
	var order []string
	for i, name := range slices.Concat(recorders[turn:], recorders[:turn]) {
		if i%2 == 0 {
			order = append(order, off)
		}
		order = append(order, name)
	}
	return append(order, off)
}

// ratios compares value of each run of a recorder with the mean of its
// neighbouring off runs, in the rounds that count.
func ratios(rounds []round, recorder string, value func(result) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		if r.discarded {
			continue
		}
		for i, run := range r.runs {
			if run.Recorder != recorder {
				continue
			}
			before := slices.IndexFunc(backward(r.runs[:i]), isOff)
			after := slices.IndexFunc(r.runs[i+1:], isOff)
			base := (value(r.runs[i-1-before]) + value(r.runs[i+1+after])) / 2
			all = append(all, value(run)/base)
		}
	}
	return all
}

// noise compares each off run with the mean of the off runs before and after
// it, over the rounds that count.
func noise(rounds []round, value func(result) float64) []float64 {
	var base []float64
	for _, r := range rounds {
		for _, run := range r.runs {
			if !r.discarded && isOff(run) {
				base = append(base, value(run))
			}
		}
	}
	var all []float64
	for i := 1; i+1 < len(base); i++ {
		all = append(all, 2*base[i]/(base[i-1]+base[i+1]))
	}
	return all
}

func isOff(r result) bool { return r.Recorder == off }

func backward(runs []result) []result {
	reversed := slices.Clone(runs)
	slices.Reverse(reversed)
	return reversed
}

// spread is a median with the least and the greatest value.
type spread struct{ median, least, greatest float64 }

// spreadOf gives the spread of values, ok false when there are none.
func spreadOf(values []float64) (s spread, ok bool) {
	if len(values) == 0 {
		return spread{}, false
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}, true
}
