package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kmon/analyze/finding"
)

// A finding is right only of who it befell, and nothing else may be blamed.
func TestJudge(t *testing.T) {
	var truth truth
	truth.Fault.Service, truth.Fault.PID, truth.Fault.OnsetUnixNs = "ledger", 7, 100
	e := expectation{must: finding.Spin, may: []finding.Kind{finding.Overload}}
	of := func(kind finding.Kind, pid int32, severity finding.Severity, endNs int64) finding.Finding {
		return finding.Finding{Kind: kind, Severity: severity, EndNs: endNs, Subject: finding.Subject{Type: "thread", Name: "x", PID: pid}}
	}
	right := of(finding.Spin, 7, finding.Warning, 200)
	for name, test := range map[string]struct {
		e     expectation
		found []finding.Finding
		wrong string // a part of what is said; "": nothing
	}{
		"right":              {e, []finding.Finding{right}, ""},
		"and what it may be": {e, []finding.Finding{right, of(finding.Overload, 7, finding.Warning, 200)}, ""},
		"and a remark":       {e, []finding.Finding{right, of(finding.Retransmission, 8, finding.Info, 200)}, ""},
		"missed":             {e, nil, "spin of ledger (pid 7) is not found"},
		"as a remark":        {e, []finding.Finding{of(finding.Spin, 7, finding.Info, 200)}, "not found"},
		"of another":         {e, []finding.Finding{right, of(finding.Spin, 8, finding.Warning, 200)}, "found of x"},
		"too early":          {e, []finding.Finding{of(finding.Spin, 7, finding.Warning, 100)}, "before it began"},
		"another hidden":     {e, []finding.Finding{right, of(finding.LimpingDisk, 8, finding.Warning, 200)}, "limping-disk is found"},
		"another plain":      {e, []finding.Finding{right, of(finding.ListenOverflow, 8, finding.Warning, 200)}, "listen-overflow of x is blamed"},
		"healthy":            {expectation{}, nil, ""},
		"healthy, a remark":  {expectation{}, []finding.Finding{of(finding.Overload, 7, finding.Info, 200)}, ""},
		"healthy, hidden":    {expectation{}, []finding.Finding{of(finding.Spin, 7, finding.Info, 200)}, "spin is found"},
		"healthy, blamed":    {expectation{}, []finding.Finding{of(finding.Overload, 7, finding.Warning, 200)}, "blamed"},
	} {
		got := strings.Join(test.e.judge(test.found, truth).wrong, "; ")
		if test.wrong == "" && got != "" || !strings.Contains(got, test.wrong) {
			t.Errorf("%s: got %q, want %q", name, got, test.wrong)
		}
	}
}

// Every fault has a twin that is healthy, and nothing is asked for of that.
func TestTwins(t *testing.T) {
	names := map[string]expectation{}
	for _, e := range expectations {
		names[e.name] = e
	}
	for name, e := range names {
		twin, ok := names[name+"-healthy"]
		if e.must == "" || name == "path" || name == "node" { // these share one
			continue
		}
		if !ok || twin.must != "" || twin.may != nil || twin.guest != e.guest {
			t.Errorf("%s: its twin is %+v", name, twin)
		}
	}
	if _, ok := names["apart-healthy"]; !ok {
		t.Error("path and node have no twin")
	}
}

// recorded are the captures of make faults that are kept: each a recording of a
// real fault, or of its healthy twin.
const recorded = "testdata"

// In every capture that is kept the fault is found of the right one, and nothing else
// is blamed; in those of healthy, overloaded and throttled services nothing hidden is
// found.
func TestRecorded(t *testing.T) {
	kept := 0
	for _, e := range expectations {
		path := filepath.Join(recorded, e.name)
		if _, err := os.Stat(path + captureEnding); err != nil {
			continue
		}
		kept++
		v, err := judge(t.Context(), path, e)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		if len(v.wrong) > 0 {
			t.Errorf("%s: %s", e.name, v)
		}
	}
	files, err := filepath.Glob(filepath.Join(recorded, "*"+captureEnding))
	if err != nil || kept == 0 || kept != len(files) {
		t.Errorf("%d of the %d captures in %s were judged, %v", kept, len(files), recorded, err)
	}
}
