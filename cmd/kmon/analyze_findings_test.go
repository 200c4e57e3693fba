package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"kmon/analyze"
	"kmon/analyze/finding"
)

func TestPrintRules(t *testing.T) {
	stdout, stderr, code := kmon("analyze", "--print-rules")
	if stdout != string(finding.RulesText) || stderr != "" || code != codeOK {
		t.Errorf("got exit code %d, stderr %q and %d bytes, want the table of thresholds", code, stderr, len(stdout))
	}
}

// What --print-rules writes is taken back by --rules, and a mistake in it is found
// again by its line.
func TestRulesFile(t *testing.T) {
	t.Chdir(writeSamples(t))
	write(t, "rules.yaml", finding.RulesText)
	if stdout, stderr, code := kmon("analyze", "shop.kmon", "--rules", "rules.yaml"); code != codeOK || strings.Contains(stdout, "changed:") {
		t.Errorf("unchanged rules: exit code %d, stderr %q, report\n%s", code, stderr, stdout)
	}
	version := fmt.Sprintf("version: %d\n", finding.DefaultRules().Version)
	write(t, "rules.yaml", []byte(version+"all:\n  min_windows: 7\n"))
	if stdout, stderr, code := kmon("analyze", "shop.kmon", "--rules", "rules.yaml"); code != codeOK || !strings.Contains(stdout, "changed: all.min_windows=7") {
		t.Errorf("changed rules: exit code %d, stderr %q, report\n%s", code, stderr, stdout)
	}
	write(t, "rules.yaml", []byte(version+"all:\n  min_window: 7\n"))
	_, stderr, code := kmon("analyze", "shop.kmon", "--rules", "rules.yaml")
	if want := "kmon: --rules rules.yaml: line 3: all has no threshold min_window: there are min_"; code != codeError || !strings.HasPrefix(stderr, want) {
		t.Errorf("a mistake: exit code %d, stderr %q, want %q", code, stderr, want)
	}
}

// The foot of a report says how to make it again.
func TestBaselineInTheFoot(t *testing.T) {
	t.Chdir(writeSamples(t))
	_, stderr, code := kmon("analyze", "cpu.kmon", "--baseline", "shop.kmon", "-o", "report.md")
	report, err := os.ReadFile("report.md")
	if err != nil || code != codeOK || !bytes.Contains(report, []byte("kmon analyze cpu.kmon --baseline shop.kmon")) {
		t.Errorf("exit code %d, stderr %q, %v, report\n%s", code, stderr, err, report)
	}
}

// A gate fails on what it was told to, and does not pass where nobody could look.
func TestFailOn(t *testing.T) {
	analysis := func(change func(*analyze.Analysis)) *analyze.Analysis {
		a := &analyze.Analysis{
			Captures: []analyze.Capture{{File: "node.kmon", Rows: map[string]int64{"exchanges": 9},
				Collectors: []analyze.Collector{{Name: "tcp", Variant: "send=x"}, {Name: "block", Missing: "ios: not asked for"}},
				Coverage:   []analyze.Coverage{{Table: "ios", Seen: 90, Lost: 1, Ratio: 0.98}}}},
			Services: []analyze.Service{{Name: "cart", Requests: 9}},
			Checks:   []analyze.Check{{Kind: finding.Spin, Judged: 3}, {Kind: finding.LimpingDisk, NotRecorded: "disks"}},
		}
		change(a)
		return a
	}
	finds := func(s ...analyze.Finding) func(*analyze.Analysis) {
		return func(a *analyze.Analysis) { a.Findings = s }
	}
	info, warning, critical := analyze.Finding{Severity: finding.Info}, analyze.Finding{Severity: finding.Warning, Title: "cart spins"}, analyze.Finding{Severity: finding.Critical}
	for _, c := range []struct {
		name, failOn string
		change       func(*analyze.Analysis)
		code         int
	}{
		{"nothing", "warning", finds(), codeOK},
		{"no gate", "", finds(critical), codeOK},
		{"info", "warning", finds(info), codeOK},
		{"a warning", "warning", finds(info, warning), codeGate},
		{"only a warning", "critical", finds(warning), codeOK},
		{"critical", "warning", finds(critical), codeGate},
		{"critical on critical", "critical", finds(critical), codeGate},
		{"a table with losses", "warning", func(a *analyze.Analysis) { a.Captures[0].Coverage[0].Ratio = 0.8 }, codeInconclusive},
		{"losses and a warning", "warning", func(a *analyze.Analysis) {
			a.Captures[0].Coverage[0].Ratio, a.Findings = 0.8, []analyze.Finding{warning}
		}, codeGate},
		{"losses without a gate", "", func(a *analyze.Analysis) { a.Captures[0].Coverage[0].Ratio = 0.8 }, codeOK},
		{"a collector that failed", "warning", func(a *analyze.Analysis) { a.Captures[0].Collectors[1].Missing = "ios: no tracepoint" }, codeInconclusive},
		{"nothing judged", "warning", func(a *analyze.Analysis) { a.Checks = a.Checks[1:] }, codeInconclusive},
		{"no traffic", "warning", func(a *analyze.Analysis) { a.Services = nil }, codeInconclusive},
	} {
		var stderr bytes.Buffer
		err := findingFlags{failOn: c.failOn}.gate(analysis(c.change), &stderr)
		code := codeOK
		if e := (*exitError)(nil); errors.As(err, &e) {
			code = e.code
		}
		if code != c.code {
			t.Errorf("%s: exit code %d (%v), want %d", c.name, code, err, c.code)
		}
		if told := strings.Contains(stderr.String(), "not judged, the report says why: limping-disk"); told != (code == codeOK && c.failOn != "") {
			t.Errorf("%s: what was not judged is told or not: %q", c.name, stderr.String())
		}
	}
}
