package reports

import (
	"fmt"

	"kmon/analyze"
)

// over is an evidence above its threshold.
func over(text, name string, value, threshold, reference float64) analyze.Evidence {
	return analyze.Evidence{Text: text, Name: name, Value: value, Threshold: &threshold, Reference: &reference}
}

// limpingDisk is a finding with all that a finding can have.
func limpingDisk() analyze.Finding {
	return analyze.Finding{
		ID: "limping-disk/sda/1773457150000000000", Kind: "limping-disk", Severity: "critical", Confidence: 0.86,
		Subject: analyze.Subject{Type: "disk", Name: "sda", Host: "node-1"},
		Title:   "disk sda of node-1 takes 6.2 times as long for writes of 64 KiB as it did",
		StartNs: start + 10*second, EndNs: start + 40*second, Windows: 6, Reference: "baseline capture",
		Evidence: []analyze.Evidence{
			over("writes of 64 KiB took the device 56.1 ms, 6.2 times as long as in the baseline", "device_p50_ns", 56.1e6, 18e6, 9e6),
			over("it was busy 93% of the time", "busy_share", 0.93, 0.8, 0.11),
			{Text: "it did 12.1 IOs a second", Name: "ios_per_s", Value: 12.1},
		},
		CounterEvidence: []analyze.Evidence{over("flushes took as long as ever", "flush_ratio", 1.04, 2, 1)},
		Alternative:     "the load on the disk's own controller, which kmon does not see",
		NextStep:        "iostat -x 1 sda; smartctl -a /dev/sda",
		Coverage:        0.95, CausedBy: []string{}, Causes: []string{"limplock/postgres/1773457150000000000"},
	}
}

// checksOf are checks of all states.
func checksOf(found ...analyze.Check) []analyze.Check {
	return append(found,
		analyze.Check{Kind: "overload", Judged: 5, Insufficient: []string{}},
		analyze.Check{Kind: "retransmission", Insufficient: []string{}, NotRecorded: "network faults (collector drop)"},
		analyze.Check{Kind: "slow-path", Insufficient: []string{"cart → redis: 31 samples in a window, 50 are needed", "node-1: coverage of exchanges 0.87, 0.9 is needed"}},
		analyze.Check{Kind: "spin", Insufficient: []string{}},
	)
}

// limping is a node on which a disk limps, and what comes of it.
func limping() *analyze.Analysis {
	a := node()
	limplock := analyze.Finding{
		ID: "limplock/postgres/1773457150000000000", Kind: "limplock", Severity: "warning", Confidence: 0.7,
		Subject: analyze.Subject{Type: "instance", Name: "postgres-0", Service: "postgres", Host: "node-1", PID: 4711},
		Title:   "postgres waits for disk sda 71% of its time",
		StartNs: start + 10*second, EndNs: start + 40*second, Windows: 6, Reference: "its own quiet windows",
		Evidence: []analyze.Evidence{over("its threads waited for disk sda 71% of the time they were off the CPUs", "disk_wait_share", 0.71, 0.5, 0.03)},
		Coverage: 0.95, CausedBy: []string{limpingDisk().ID}, Alternative: "a checkpoint", NextStep: "see “CPUs, and what was waited for”",
	}
	overload := analyze.Finding{
		ID: "overload/cart/1773457150000000000", Kind: "overload", Severity: "info", Confidence: 0.5, Title: "cart is asked 1.8 times as often as before",
		Subject: analyze.Subject{Type: "service", Name: "cart"}, StartNs: start + 20*second, EndNs: start + 35*second, Windows: 3,
		Evidence: []analyze.Evidence{over("432 requests a second", "requests_per_s", 432, 360, 240)}, Coverage: 1,
	}
	a.Findings = []analyze.Finding{limpingDisk(), limplock, overload}
	a.Checks = checksOf(analyze.Check{Kind: "limping-disk", Judged: 2, Found: 1, Insufficient: []string{"vda: 3 windows with 50 IOs, 6 are needed"}},
		analyze.Check{Kind: "limplock", Judged: 5, Found: 1, Rejected: 1, Insufficient: []string{}})
	a.RulesVersion, a.RulesChanged, a.Baseline = 1, []string{"limping-disk.busy_share=0.8"}, []string{"healthy.kmon"}
	a.Verdict = "disk sda of node-1 takes 6.2 times as long for writes of 64 KiB as it did (critical); 1 more warning; 5 services, 7 edges."
	return a
}

// silent is a shop in which nothing was found, and not all could be judged.
func silent() *analyze.Analysis {
	a := shop()
	a.Findings, a.Checks, a.RulesVersion = []analyze.Finding{}, checksOf(), 1
	a.Verdict = "no fault was found: 2 of 4 kinds could be judged (not retransmission, slow-path); 5 services, 7 edges."
	return a
}

// hostileFindings has more findings than anybody reads, with hostile names.
func hostileFindings(n int) *analyze.Analysis {
	a := hostile()
	for i := range n {
		name := hostileNames[i%len(hostileNames)]
		f := limpingDisk()
		f.ID = fmt.Sprintf("%s/%d", name, i)
		f.Kind, f.Title, f.Reference, f.Alternative, f.NextStep = analyze.FindingKind(name), name, name, name, name
		f.Subject = analyze.Subject{Type: name, Name: name, Service: name + " ", Host: name + "  "}
		f.Evidence = append(f.Evidence, over(name, name, 1, 2, 3))
		f.CounterEvidence = []analyze.Evidence{over(name, name, 1, 2, 3)}
		f.CausedBy, f.Causes = []string{name, fmt.Sprintf("%s/%d", hostileNames[0], 0)}, []string{fmt.Sprintf("%s/%d", name, i)}
		a.Findings = append(a.Findings, f)
		a.Checks = append(a.Checks, analyze.Check{Kind: analyze.FindingKind(name), Insufficient: []string{name, name}, NotRecorded: name})
	}
	a.RulesVersion, a.RulesChanged, a.Baseline = 1, hostileNames, hostileNames
	return a
}
