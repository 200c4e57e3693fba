package analyze

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"kmon/analyze/blockio"
	"kmon/analyze/cpu"
	"kmon/analyze/finding"
	"kmon/analyze/network"
	"kmon/analyze/replay"
	"kmon/analyze/topology"
	"kmon/format"
)

// Of package finding, for the reports.
type (
	// Finding is one thing that is wrong.
	Finding = finding.Finding
	// Evidence is one value that speaks for or against it.
	Evidence = finding.Evidence
	// Subject is what it is about.
	Subject = finding.Subject
	// Check is what of a kind could be judged.
	Check = finding.Check
	// FindingKind is what is wrong.
	FindingKind = finding.Kind
)

// gather is what the rules look at, added up while the topics read their tables.
// The filter of services does not matter to it: what is slow may be elsewhere.
type gather struct {
	windows replay.Windows
	cpu     *cpu.Steps
	calls   *cpu.CallSteps
	wakes   *cpu.WakeSteps
	stacks  []*cpu.Stacks    // by capture; nil: it has none
	trees   []*blockio.Tree  // by capture
	disks   []*blockio.Steps // by capture
	network []*network.Steps // by capture
	limits  []*limits        // by capture
}

// newGather needs the windows of requests to be final.
func (r *run) newGather() *gather {
	w := r.windows()
	if !r.options.windowed {
		w = findingWindows(w, r.start, r.end)
	}
	return &gather{
		windows: w, cpu: cpu.NewSteps(cpu.Frame{Windows: w}, len(r.captures)), calls: cpu.NewCallSteps(cpu.Frame{Windows: w}), wakes: cpu.NewWakeSteps(cpu.Frame{Windows: w}),
		stacks: make([]*cpu.Stacks, len(r.captures)),
	}
}

// leastFindingNs is the least width of a window that rules look at.
const leastFindingNs = 5e9

// findingWindows gives the windows that rules look at: each is made of whole ones
// of w, as few as make leastFindingNs. The first that is recorded throughout begins
// with the first of w that is.
func findingWindows(w replay.Windows, start, end int64) replay.Windows {
	f := w
	f.WidthNs = (leastFindingNs + w.WidthNs - 1) / w.WidthNs * w.WidthNs
	whole := w.BaseNs
	if whole < start {
		whole += w.WidthNs
	}
	f.BaseNs = whole
	if whole > start {
		f.BaseNs -= f.WidthNs
	}
	f.Count = int32(min(max((end-f.BaseNs+f.WidthNs-1)/f.WidthNs, 1), int64(w.Count)+1)) // of a damaged clock the difference wraps
	return f
}

// sampled counts a sample for the findings.
func (r *run) sampled(c *replay.Capture, party int32, ns int64, row *format.OnCPU) {
	if r.gather == nil || row.PID == 0 {
		return
	}
	at := cpu.Working
	if s := r.gather.stacks[c.Index]; s != nil {
		at = s.Busy(row.StackID)
	}
	r.gather.cpu.AddSample(int32(c.Index), party, ns, at)
}

// watchLines asks the graph for the connections of sockets of the next capture.
func (r *run) watchLines(sockets map[int64]bool) {
	lines := make(map[int64]topology.LineEnd, len(sockets))
	for id := range sockets {
		lines[id] = topology.LineEnd{Line: -1}
	}
	r.graph.Watched = append(r.graph.Watched, lines)
}

// addFindings runs the rules.
func (r *run) addFindings(ctx context.Context, a *Analysis) error {
	rules := r.options.Rules
	if rules == nil {
		rules = finding.DefaultRules()
	}
	var baseline *finding.Input
	if len(r.options.Baseline) > 0 {
		var err error
		o := Options{WindowNs: r.options.WindowNs, Workers: r.options.Workers}
		var latencies map[edgeKey]*endLatency
		if baseline, latencies, err = inputOf(ctx, r.options.Baseline, o); err != nil {
			return fmt.Errorf("baseline: %w", err)
		}
		r.contrastBaseline(a, latencies)
		for _, path := range r.options.Baseline {
			a.Baseline = append(a.Baseline, filepath.Base(path))
		}
	}
	result := finding.Find(r.input(), baseline, rules)
	a.Findings, a.Checks, a.RulesVersion = r.wantedFindings(result.Findings), result.Checks, result.RulesVersion
	if changed := rules.Changed(); len(changed) > 0 {
		a.RulesChanged = changed
	}
	return nil
}

// inputOf gives what the rules look at of captures, and their edges' latencies.
func inputOf(ctx context.Context, paths []string, o Options) (*finding.Input, map[edgeKey]*endLatency, error) {
	r, err := readAligned(ctx, paths, o)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll(r.captures)
	r.inputOnly = true
	if err := r.addTopics(ctx, r.assemble()); err != nil {
		return nil, nil, err
	}
	return r.input(), r.latencies, nil
}

// wantedFindings leaves out what is about other services than asked for, unless it
// explains, or is explained by, what is about them.
func (r *run) wantedFindings(all []Finding) []Finding {
	if len(r.options.Services) == 0 {
		return all
	}
	kept := map[string]bool{}
	for _, f := range all {
		if f.Subject.Service == "" || r.wanted(f.Subject.Service) {
			kept[f.ID] = true
			for _, id := range slices.Concat(f.CausedBy, f.Causes) {
				kept[id] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(f Finding) bool { return !kept[f.ID] })
}
