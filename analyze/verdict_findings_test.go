package analyze

import (
	"strings"
	"testing"

	"kmon/analyze/finding"
)

// What is wrong comes first; that nothing was found is said with how much could
// be judged.
func TestVerdictOfFindings(t *testing.T) {
	of := func(severity finding.Severity, title string) Finding {
		return Finding{Severity: severity, Title: title}
	}
	judged := Check{Kind: finding.Spin, Judged: 3}
	noSubject := Check{Kind: finding.ListenOverflow}
	few := Check{Kind: finding.SlowPath, Insufficient: []string{"a: 2 windows"}}
	unrecorded := func(kind finding.Kind) Check { return Check{Kind: kind, NotRecorded: "disks"} }
	for _, c := range []struct {
		name     string
		findings []Finding
		checks   []Check
		want     string
	}{
		{"nobody looked", nil, nil, ""},
		{"a warning", []Finding{of("info", "busy."), of("warning", "disk sda limps."), of("critical", "db waits")}, []Check{judged}, "disk sda limps (warning); 1 more finding"},
		{"one finding", []Finding{of("critical", "disk sda limps")}, nil, "disk sda limps (critical)"},
		{"nothing in all", nil, []Check{judged, noSubject}, "no fault was found in 2 kinds that were judged"},
		{"a note", []Finding{of("info", "cart is busy.")}, []Check{judged}, "no fault was found in 1 kind that was judged; noted: cart is busy"},
		{"some kinds", nil, []Check{judged, few, unrecorded("io-limit")}, "no fault was found; 1 of 3 kinds could be judged, not slow-path, io-limit"},
		{"many kinds", nil, []Check{judged, few, unrecorded("a"), unrecorded("b"), unrecorded("c")}, "no fault was found; 1 of 5 kinds could be judged, not slow-path, a, b, 1 more"},
		{"nothing there", nil, []Check{noSubject}, "no kind of fault could be judged"},
		{"no kind", nil, []Check{few, unrecorded("a")}, "no kind of fault could be judged"},
	} {
		a := &Analysis{Findings: c.findings, Checks: c.checks}
		if got := strings.Join(append(found(a), unjudged(a)...), "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Two of 63,452 lost is no 100%, and no other number than the reports'.
func TestCoverageText(t *testing.T) {
	for _, c := range []struct {
		seen, lost int64
		want       string
	}{{63450, 2, "99.99%"}, {2, 1, "66.66%"}, {7, 0, "100%"}, {0, 3, "0%"}, {1, 1, "50%"}} {
		if got := coverageText(ratio(c.seen, c.lost)); got != c.want {
			t.Errorf("%d seen, %d lost: %s, want %s", c.seen, c.lost, got, c.want)
		}
	}
}
