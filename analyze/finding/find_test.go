package finding

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// withRules runs Find with other rules than the real ones.
func withRules(t *testing.T, list ...rule) {
	old := rules
	rules = list
	t.Cleanup(func() { rules = old })
}

func TestAddFillsIn(t *testing.T) {
	in := healthy(1)
	withRules(t, rule{Spin, func(s *search) {
		f := s.finding(Spin, Subject{Type: "thread", Name: "a"}, span{2, 6, 4})
		f.Severity, f.Confidence = Critical, 1.5
		f.Evidence = []Evidence{fact("cores", 1, "one").held(2, nan), fact("unknown", nan, "not known")}
		s.add(f)
	}})
	f := Find(in, nil, DefaultRules()).Findings[0]
	if f.StartNs != in.StartNs+2*in.WindowNs || f.EndNs != in.StartNs+7*in.WindowNs || f.Windows != 4 {
		t.Errorf("finding is from %d to %d with %d windows", f.StartNs-in.StartNs, f.EndNs-in.StartNs, f.Windows)
	}
	if want := "spin/a/1700000010000000000"; f.ID != want {
		t.Errorf("ID is %s, want %s", f.ID, want)
	}
	if f.Severity != Warning || f.Confidence != 1 {
		t.Errorf("severity %s, confidence %v; want warning without a baseline, and 1", f.Severity, f.Confidence)
	}
	text, err := json.Marshal(f)
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("lists are null: %s, %v", text, err)
	}
	if f := Find(in, in, DefaultRules()).Findings[0]; f.Severity != Critical {
		t.Errorf("severity with a baseline is %s, want critical", f.Severity)
	}
}

// Urgent ones first, then causes before symptoms, then the surer one.
func TestFindingsAreInOrder(t *testing.T) {
	add := func(s *search, name string, severity Severity, confidence float64, causes ...string) {
		f := s.finding(Spin, Subject{Name: name}, span{0, 2, 3})
		f.Severity, f.Confidence, f.CausedBy = severity, confidence, causes
		f.Evidence = []Evidence{fact("cores", 1, "one")}
		s.add(f)
	}
	withRules(t, rule{Spin, func(s *search) {
		add(s, "told", Info, 1)
		add(s, "symptom", Warning, 1, "it")
		add(s, "sure", Warning, 0.9)
		add(s, "b", Warning, 0.5)
		add(s, "a", Warning, 0.5)
		add(s, "worst", Critical, 0.1)
	}})
	in := healthy(1)
	names := []string{}
	for _, f := range Find(in, in, DefaultRules()).Findings {
		names = append(names, f.Subject.Name)
	}
	if want := []string{"worst", "sure", "a", "b", "symptom", "told"}; !reflect.DeepEqual(names, want) {
		t.Errorf("order is %v, want %v", names, want)
	}
}

func TestChecksTellWhatWasJudged(t *testing.T) {
	withRules(t,
		rule{Spin, func(s *search) {
			s.checks[Spin].Judged = 7
			for range 30 {
				s.insufficient(Spin, "x", "too few samples")
			}
		}},
		rule{Overload, func(*search) {}})
	r := Find(healthy(1), nil, DefaultRules())
	if len(r.Checks) != 2 || r.Checks[0].Kind != Overload || r.Checks[1].Kind != Spin {
		t.Fatalf("checks are %+v, want one a kind, by kind", r.Checks)
	}
	if got := len(r.check(Spin).Insufficient); got != maxInsufficient {
		t.Errorf("%d subjects could not be judged, want %d at most", got, maxInsufficient)
	}
	if got := r.Checks[1].Insufficient[0]; got != "x: too few samples" {
		t.Errorf("why is %q", got)
	}
	if r.RulesVersion != DefaultRules().Version || r.Findings == nil {
		t.Errorf("version %d, findings %v; want the rules' version and an empty list", r.RulesVersion, r.Findings)
	}
}

// All rules, on nothing at all: no panic, no finding, and a check for every kind.
func TestNothingRecorded(t *testing.T) {
	for _, baseline := range []*Input{nil, {}} {
		r := Find(&Input{}, baseline, DefaultRules())
		if len(r.Findings) != 0 || len(r.Checks) != len(rules) {
			t.Errorf("%d findings, %d checks of %d kinds", len(r.Findings), len(r.Checks), len(rules))
		}
	}
}

// Healthy services have no finding, whatever the noise; and the same Input gives
// the same Result and stays as it was.
func TestHealthyHasNoFinding(t *testing.T) {
	for seed := range uint64(10) {
		for _, s := range []shape{{}, {replicas: 3}, {noise: 0.2}, {rate: 20}} {
			in := s.build(seed)
			r := Find(in, nil, DefaultRules())
			for _, f := range r.Findings {
				t.Errorf("seed %d, %+v: %s", seed, s, f.Title)
			}
			if r := Find(in, s.build(seed+1000), DefaultRules()); len(r.Findings) > 0 {
				t.Errorf("seed %d, %+v, with a baseline: %s", seed, s, r.Findings[0].Title)
			}
			if seed == 0 && (!reflect.DeepEqual(in, s.build(seed)) || !reflect.DeepEqual(r, Find(in, nil, DefaultRules()))) {
				t.Errorf("%+v: the Input was changed, or the Result is another", s)
			}
		}
	}
}
