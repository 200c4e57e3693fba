package finding

import (
	"cmp"
	"fmt"
	"slices"
)

// rule finds one kind. Rules run in the order of the table: later ones may look at
// what earlier ones found.
type rule struct {
	kind Kind
	find func(*search)
}

// rules is filled by the files of the kinds, a line each: parts that limp first,
// what waits for them after.
var rules = []rule{
	{LockLivelock, findLockLivelock},
	{Spin, findSpin},
	{RetryAmplification, findRetryAmplification},
	{ReceiveLivelock, findReceiveLivelock},
	{LimpingDisk, findLimpingDisk},
	{IOLimit, findIOLimit},
	{CPUThrottling, findCPUThrottling},
	{Overload, findOverload},
	{CPUSaturation, findCPUSaturation},
	{SlowPath, findSlowPath},
	{SlowNode, findSlowNode},
	{Retransmission, findRetransmission},
	{ListenOverflow, findListenOverflow},
	{SlowCallee, findSlowCallee},
	{Limplock, findLimplock},
}

// search is one run of the rules.
type search struct {
	in       *Input
	baseline *Input // nil: none was given
	rules    *Rules
	found    []Finding
	checks   map[Kind]*Check

	active, activeBefore []activity // see activities
	medians              map[typicalKey]float64
	repeated             []string // services that are asked again and again

	cells   *traffic           // of in, made by the first rule that needs it
	healthy *traffic           // of baseline, at the same time
	badWays map[[2]string]bool // that were found slow; see wayKey
}

// Find runs all rules over in. baseline is the same of a healthy capture, nil
// without one. Neither is changed.
func Find(in, baseline *Input, r *Rules) Result {
	s := &search{in: in, baseline: baseline, rules: r, checks: map[Kind]*Check{}, badWays: map[[2]string]bool{}}
	for _, rule := range rules {
		s.checks[rule.kind] = &Check{Kind: rule.kind, Insufficient: []string{}}
		rule.find(s)
	}
	s.relate()
	return Result{RulesVersion: r.Version, Findings: s.found, Checks: s.listChecks()}
}

// finding begins a finding of a kind about a subject in a run of windows: a
// warning, with all that every finding needs the same way.
func (s *search) finding(kind Kind, subject Subject, run span) Finding {
	start := s.in.StartNs + int64(run.first)*s.in.WindowNs
	return Finding{
		ID: fmt.Sprintf("%s/%s/%d", kind, subject.Name, start), Kind: kind, Severity: Warning, Subject: subject,
		StartNs: start, EndNs: s.in.StartNs + int64(run.last+1)*s.in.WindowNs, Windows: run.held, Coverage: 1,
		Evidence: []Evidence{}, CounterEvidence: []Evidence{}, CausedBy: []string{}, Causes: []string{},
	}
}

// add keeps a finding and counts it. What is critical is so only against a healthy
// capture.
func (s *search) add(f Finding) {
	if s.baseline == nil && f.Severity == Critical {
		f.Severity = Warning
	}
	f.Confidence = min(max(f.Confidence, 0), 1)
	f.Evidence, f.CounterEvidence = finite(f.Evidence), finite(f.CounterEvidence)
	if len(f.Evidence) == 0 {
		s.checks[f.Kind].Rejected++
		return
	}
	s.found = append(s.found, f)
	s.checks[f.Kind].Found++
}

// maxInsufficient is how many subjects a Check lists.
const maxInsufficient = 20

// insufficient notes that a subject could not be judged.
func (s *search) insufficient(kind Kind, subject, why string) {
	c := s.checks[kind]
	if len(c.Insufficient) < maxInsufficient {
		c.Insufficient = append(c.Insufficient, subject+": "+why)
	}
}

func (s *search) listChecks() []Check {
	list := []Check{}
	for _, c := range s.checks {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Check) int { return cmp.Compare(a.Kind, b.Kind) })
	return list
}
