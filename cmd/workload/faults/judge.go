package main

import (
	"fmt"
	"slices"
	"strings"

	"kmon/analyze/finding"
)

// What a recorded fault leaves, by the ending of its name.
const (
	captureEnding = ".kmon"
	truthEnding   = ".json"
)

// truth is what a load says of itself, as far as it is needed.
type truth struct {
	Fault struct {
		Kind        string `json:"kind"`
		Healthy     bool   `json:"healthy"`
		Service     string `json:"service"`
		PID         int32  `json:"pid"`
		OnsetUnixNs int64  `json:"onset_unix_ns"`
		EndUnixNs   int64  `json:"end_unix_ns"`
	} `json:"fault"`
}

// expectation is what kmon must find of one load, and may.
type expectation struct {
	name     string
	load     []string // flags of workload fault
	services []string // that are recorded, and nothing else
	guest    bool     // recorded in a virtual machine, where all is
	// must is the kind to be found, about the subject, and above info if it is one of
	// the hidden ones; "": none is asked for.
	must finding.Kind
	// subject is the text that its subject must hold where it is no service or
	// process of the truth.
	subject string
	// may are kinds that are true, too: what the fault leads to, and the plain causes
	// that its load has anyway.
	may []finding.Kind
}

// hidden are the kinds of faults that a healthy, an overloaded or a throttled
// service never has.
var hidden = []finding.Kind{finding.LockLivelock, finding.Spin, finding.RetryAmplification, finding.ReceiveLivelock,
	finding.LimpingDisk, finding.SlowNode, finding.SlowPath, finding.Limplock}

var expectations = slices.Concat(
	withTwin(expectation{name: "yield", load: kind("yield"), services: []string{"asker", "ledger"}, must: finding.LockLivelock, may: []finding.Kind{finding.CPUSaturation}}),
	withTwin(expectation{name: "spin", load: kind("spin"), services: []string{"asker", "ledger"}, must: finding.Spin}),
	withTwin(expectation{name: "retry", load: kind("retry"), services: []string{"asker", "front", "middle", "leaf"}, must: finding.RetryAmplification, subject: "leaf", may: []finding.Kind{finding.SlowCallee}}),
	withTwin(expectation{name: "overload", load: kind("overload"), services: []string{"asker", "ledger"}, must: finding.Overload}),
	withTwin(expectation{name: "limit", load: kind("limit"), services: []string{"asker", "ledger"}, must: finding.CPUThrottling, may: []finding.Kind{finding.Overload}}),
	withTwin(expectation{name: "busy", load: kind("busy"), services: []string{"asker", "ledger", "burner"}, must: finding.CPUSaturation, subject: "", may: []finding.Kind{finding.Overload}}),
	withTwin(expectation{name: "late", load: kind("late"), services: []string{"asker", "replica"}, must: finding.SlowNode, may: []finding.Kind{finding.SlowCallee, finding.Limplock}}),
	[]expectation{
		{name: "disk", guest: true, must: finding.LimpingDisk, subject: "vdc", may: []finding.Kind{finding.Limplock, finding.SlowCallee}},
		{name: "disk-healthy", guest: true},
		{name: "loop", guest: true, must: finding.LimpingDisk, subject: "vdg", may: []finding.Kind{finding.Limplock, finding.SlowCallee}},
		{name: "loop-healthy", guest: true},
		{name: "path", guest: true, must: finding.SlowPath, may: []finding.Kind{finding.Retransmission, finding.Limplock}},
		{name: "node", guest: true, must: finding.SlowNode, may: []finding.Kind{finding.SlowCallee, finding.Limplock}},
		{name: "apart-healthy", guest: true},
	})

func kind(name string) []string { return []string{"-kind", name} }

// withTwin gives an expectation and that of the same load without the fault.
func withTwin(e expectation) []expectation {
	twin := expectation{name: e.name + "-healthy", load: append(slices.Clone(e.load), "-healthy"), services: e.services}
	return []expectation{e, twin}
}

// verdict is what came of one capture.
type verdict struct {
	saw   []string
	wrong []string
}

func (v verdict) String() string {
	text := strings.Join(v.saw, "; ")
	if text == "" {
		text = "nothing found"
	}
	if len(v.wrong) == 0 {
		return "ok: " + text
	}
	return "WRONG: " + strings.Join(v.wrong, "; ") + " (" + text + ")"
}

// judge holds findings against what was wrong.
func (e expectation) judge(found []finding.Finding, t truth) (v verdict) {
	right := e.must == ""
	for _, f := range found {
		v.saw = append(v.saw, fmt.Sprintf("%s %s of %s", f.Severity, f.Kind, f.Subject.Name))
		alarm := f.Severity != finding.Info
		switch {
		case e.must != "" && f.Kind == e.must && (alarm || !slices.Contains(hidden, e.must)):
			if !e.names(f.Subject, t) {
				v.wrong = append(v.wrong, fmt.Sprintf("%s is found of %s", f.Kind, f.Subject.Name))
			} else if f.EndNs <= t.Fault.OnsetUnixNs {
				v.wrong = append(v.wrong, fmt.Sprintf("%s is found before it began", f.Kind))
			} else {
				right = true
			}
		case slices.Contains(hidden, f.Kind) && (alarm || e.must == "") && !slices.Contains(e.may, f.Kind):
			v.wrong = append(v.wrong, fmt.Sprintf("%s is found of %s", f.Kind, f.Subject.Name))
		case alarm && !slices.Contains(e.may, f.Kind):
			v.wrong = append(v.wrong, fmt.Sprintf("%s of %s is blamed", f.Kind, f.Subject.Name))
		}
	}
	if !right {
		v.wrong = append(v.wrong, fmt.Sprintf("%s of %s is not found", e.must, e.subjectText(t)))
	}
	return v
}

// names says whether a subject is the right one: a process or thread of the
// truth, or its service, or what is asked for by name.
func (e expectation) names(s finding.Subject, t truth) bool {
	if e.subject != "" {
		return strings.Contains(s.Name, e.subject)
	}
	if s.Type == "node" {
		return true // there is one
	}
	if s.PID != 0 {
		return s.PID == t.Fault.PID
	}
	return s.Service == t.Fault.Service || strings.Contains(s.Name, t.Fault.Service)
}

func (e expectation) subjectText(t truth) string {
	if e.subject != "" {
		return e.subject
	}
	return fmt.Sprintf("%s (pid %d)", t.Fault.Service, t.Fault.PID)
}
