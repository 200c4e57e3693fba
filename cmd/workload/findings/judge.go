package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kmon/analyze"
	"kmon/analyze/finding"
	"kmon/record/synthetic"
)

// result is what was found in the captures of a trial.
type result struct {
	Trial trial              `json:"trial"`
	Truth synthetic.Injected `json:"truth"`
	// Found: the fault is among the findings, of its kind, with its subject, at its
	// time. Insufficient: it is not, and the check says that it could not be judged.
	Found        bool        `json:"found"`
	Insufficient bool        `json:"insufficient"`
	Claims       []claim     `json:"claims"` // above info
	Notes        []claim     `json:"notes"`  // info
	Checks       []noteworth `json:"checks,omitempty"`
}

// claim is a finding.
type claim struct {
	Kind    finding.Kind    `json:"kind"`
	Subject finding.Subject `json:"subject"`
	Title   string          `json:"title"`
	// Right: it is the fault, or what the fault truly is in other words.
	// Explained: it names a right one as its cause. Neither: it is wrong.
	Right     bool `json:"right"`
	Explained bool `json:"explained"`
}

// noteworth is what the check of the fault's kind says.
type noteworth struct {
	Judged       int      `json:"judged"`
	Rejected     int      `json:"rejected"`
	Insufficient []string `json:"insufficient"`
	NotRecorded  string   `json:"not_recorded"`
}

// judgeAll runs trials, several at once.
func judgeAll(ctx context.Context, list []trial, workers int, progress func(done int)) ([]result, error) {
	results, errs := make([]result, len(list)), make([]error, len(list))
	var group sync.WaitGroup
	var mu sync.Mutex
	done := 0
	slots := make(chan struct{}, max(workers, 1))
	for i, c := range list {
		slots <- struct{}{}
		group.Go(func() {
			results[i], errs[i] = judge(ctx, c)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			done++
			progress(done)
		})
	}
	group.Wait()
	return results, errors.Join(errs...)
}

// judge makes the captures of a trial, analyzes them and holds what is found
// against what was done.
func judge(ctx context.Context, c trial) (r result, err error) {
	dir, err := os.MkdirTemp("", "kmon-findings-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	made, paths, err := generate(ctx, c.scenario(), filepath.Join(dir, "faulty"))
	if err != nil {
		return r, err
	}
	options := analyze.Options{Workers: 1}
	if c.Baseline {
		if _, options.Baseline, err = generate(ctx, c.healthyTwin(), filepath.Join(dir, "healthy")); err != nil {
			return r, err
		}
	}
	a, err := analyze.Run(ctx, paths, options)
	if err != nil {
		return r, err
	}
	r = result{Trial: c, Claims: []claim{}, Notes: []claim{}}
	if len(made.Truth.Faults) > 0 {
		r.Truth = made.Truth.Faults[0]
	}
	r.hold(a, made.Truth.StartNs)
	return r, nil
}

// generate makes captures in a new folder.
func generate(ctx context.Context, s synthetic.Scenario, dir string) (made synthetic.Result, paths []string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return made, nil, err
	}
	if made, err = synthetic.Generate(ctx, s, synthetic.Options{Dir: dir}); err != nil {
		return made, nil, err
	}
	paths, err = filepath.Glob(filepath.Join(dir, "*.kmon"))
	return made, paths, err
}

// hold fills in what the analysis says.
func (r *result) hold(a *analyze.Analysis, startNs int64) {
	right := map[string]bool{}
	for _, f := range a.Findings {
		right[f.ID] = r.isRight(f, startNs)
		r.Found = r.Found || right[f.ID] && string(f.Kind) == r.Trial.Kind
	}
	for _, f := range a.Findings {
		c := claim{Kind: f.Kind, Subject: f.Subject, Title: f.Title, Right: right[f.ID]}
		c.Explained = !c.Right && slices.ContainsFunc(f.CausedBy, func(id string) bool { return right[id] })
		if f.Severity == finding.Info {
			r.Notes = append(r.Notes, c)
		} else {
			r.Claims = append(r.Claims, c)
		}
	}
	for _, k := range a.Checks {
		if string(k.Kind) == r.Trial.Kind && !r.Found {
			r.Insufficient = len(k.Insufficient) > 0 || k.NotRecorded != ""
			r.Checks = append(r.Checks, noteworth{k.Judged, k.Rejected, k.Insufficient, k.NotRecorded})
		}
	}
}

// also is what a fault of a kind truly is besides: the model does both.
var also = map[string][]finding.Kind{
	"limping-disk":        {finding.Limplock},       // when all wait for it
	"limplock":            {finding.LimpingDisk},    // it begins with one
	"slow-path":           {finding.Retransmission}, // it loses packets too
	"receive-livelock":    {finding.Retransmission}, // what is dropped is sent again
	"overload":            {finding.CPUSaturation},  // what is overloaded are the CPUs
	"retry-amplification": {finding.SlowCallee},     // the service answers late
}

// slackNs is how far a finding's windows may lie from the fault.
const slackNs = 10e9

// isRight says whether a finding is about the fault.
func (r *result) isRight(f finding.Finding, startNs int64) bool {
	if r.Trial.Kind == "" || string(f.Kind) != r.Trial.Kind && !slices.Contains(also[r.Trial.Kind], f.Kind) {
		return false
	}
	if f.EndNs < startNs+r.Truth.FromNs || f.StartNs < startNs+r.Truth.FromNs-slackNs {
		return false
	}
	return r.fits(f)
}

// fits says whether a finding's subject is where the fault is.
func (r *result) fits(f finding.Finding) bool {
	t, s := r.Truth, f.Subject
	at := func(node string) bool {
		return node != "" && (s.Host == node || slices.Contains(words(s.Name), node))
	}
	switch {
	case t.Kind == "overload":
		return true // all of it is asked too much
	case t.Peer != "": // either end, as the way between them has two
		return at(t.Node) || at(t.Peer) || s.Type == "edge"
	case f.Kind == finding.IOLimit: // it is of a disk that the instance reads
		return at(t.Node)
	case t.Instance != "":
		return s.Service == t.Service && at(t.Node) || slices.Contains(words(s.Name), t.Instance)
	case t.Kind == "retransmission" || t.Kind == "receive-livelock":
		return at(t.Node) || f.Kind == finding.Retransmission
	case t.Node != "":
		return at(t.Node)
	default:
		return s.Service == t.Service || slices.Contains(words(s.Name), t.Service)
	}
}

// words are the names in a subject's name.
func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}
