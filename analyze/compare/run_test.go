package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
	"kmon/record/synthetic"
)

// made makes captures of a scenario of two nodes and three services.
func made(t *testing.T, s synthetic.Scenario) Recording {
	t.Helper()
	dir := t.TempDir()
	s.Nodes, s.Duration, s.Noise = 2, 20*time.Second, 0.2
	if s.Rate == 0 {
		s.Rate = 60
	}
	if s.Graph == nil {
		s.Graph = synthetic.DefaultGraph(3)
	}
	r, err := synthetic.Generate(t.Context(), s, synthetic.Options{Dir: dir, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return Recording{Paths: r.Paths}
}

func compared(t *testing.T, base, new []Recording, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), base, new, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// has finds a change of an outcome.
func (r *Result) has(subject string, m Metric, o Outcome) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool {
		return c.Subject.Name == subject && c.Metric == m && c.Outcome == o
	})
}

func reasons(r *Result) string { return r.Verdict + "\n" + strings.Join(r.Reasons, "\n") }

// Healthy systems with other seeds are no regression; a slow disk is one, of the
// service that waits for it; and the other way round it is an improvement.
func TestSynthetic(t *testing.T) {
	base, again := made(t, synthetic.Scenario{Seed: 1}), made(t, synthetic.Scenario{Seed: 2})
	fault, err := synthetic.ParseFault("limping-disk:node=1,size=6,from=1s")
	if err != nil {
		t.Fatal(err)
	}
	limping := made(t, synthetic.Scenario{Seed: 3, Faults: []synthetic.Fault{fault}})
	one := func(r Recording) []Recording { return []Recording{r} }

	same := compared(t, one(base), one(again), Options{})
	if same.Counts.Regressions+same.Counts.Improvements > 0 || same.Outcome != NoChange {
		t.Errorf("of the same: %s", reasons(same))
	}
	if exact := compared(t, one(base), one(again), Options{MinEffect: 0.05}); exact.Outcome != Inconclusive {
		t.Errorf("single recordings show no change within 5%%: %s", reasons(exact))
	}
	if wide := compared(t, one(base), one(again), Options{MinEffect: 0.25}); wide.Outcome != NoChange {
		t.Errorf("within 25%%: %s", reasons(wide))
	}
	worse := compared(t, one(base), one(limping), Options{})
	if worse.Outcome != Regression || !worse.has("db", P99, Regression) || !strings.Contains(worse.Verdict, "of db ") {
		t.Errorf("limping: %s", reasons(worse))
	}
	better := compared(t, one(limping), one(base), Options{MinEffect: 0.25})
	if better.Counts.Regressions > 0 || !better.has("db", P99, Improvement) {
		t.Errorf("mended: %s", reasons(better))
	}
	for i := range 2 {
		if again := compared(t, one(base), one(limping), Options{Workers: 1 + i}); !bytes.Equal(text(t, worse), text(t, again)) {
			t.Error("the same captures give another result")
		}
	}
}

func text(t *testing.T, r *Result) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Ten percent more CPU time of one service are found between runs, of that service
// alone; runs of the same system are no change.
func TestRuns(t *testing.T) {
	graph := func(cpu string) synthetic.Graph {
		g, err := synthetic.ParseGraph(strings.NewReader("web replicas=2 workers=16 cpu=2ms calls=cart\ncart cpu=" + cpu + " calls=db\ndb cpu=1ms\n"))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	var base, again, next []Recording
	for seed := range uint64(4) {
		base = append(base, made(t, synthetic.Scenario{Seed: 100 + seed, Graph: graph("3ms")}))
		again = append(again, made(t, synthetic.Scenario{Seed: 200 + seed, Graph: graph("3ms")}))
		next = append(next, made(t, synthetic.Scenario{Seed: 300 + seed, Graph: graph("3.3ms")}))
	}
	worse := compared(t, base, next, Options{})
	if worse.Settings.Unit != "run" || !worse.has("cart", CPU, Regression) || worse.has("db", CPU, Regression) || worse.has("web", CPU, Regression) {
		t.Errorf("10%% more: %s", reasons(worse))
	}
	same := compared(t, base, again, Options{MinEffect: 0.1})
	if same.Outcome != NoChange {
		t.Errorf("of the same: %s", reasons(same))
	}
	thresholds := []Threshold{
		{Text: "cpu(service=cart):+5%", Metric: CPU, Service: "cart", Kind: RelativeLimit, Limit: 0.05},
		{Text: "cpu(service=cart):+25%", Metric: CPU, Service: "cart", Kind: RelativeLimit, Limit: 0.25},
		{Text: "cpu(service=cart):1ms", Metric: CPU, Service: "cart", Kind: ValueLimit, Limit: 1e6},
		{Text: "cpu(service=mail):+5%", Metric: CPU, Service: "mail", Kind: RelativeLimit, Limit: 0.05},
	}
	for i, want := range []JudgedOutcome{Failed, Passed, Failed, Undecided} {
		if j := compared(t, base, next, Options{Thresholds: thresholds[i : i+1]}).Thresholds[0]; j.Outcome != want {
			t.Errorf("%s: %s (%s), want %s", j.Text, j.Outcome, j.Reason, want)
		}
	}
	noisy := compared(t, base[:1], next[:1], Options{Noise: again})
	if noisy.Noise == nil || noisy.Noise.Pairs != 3 || noisy.Noise.FalseAlarms > 0 {
		t.Errorf("noise: %+v", noisy.Noise)
	}
}

// What was not recorded, or only in part, is never no change.
func TestNeverNoChange(t *testing.T) {
	whole := made(t, synthetic.Scenario{Seed: 1})
	wide := Options{MinEffect: 0.5} // with it whole recordings are no change
	one := func(paths ...string) []Recording { return []Recording{{Paths: paths}} }
	if r := compared(t, one(whole.Paths...), []Recording{made(t, synthetic.Scenario{Seed: 3})}, wide); r.Outcome != NoChange {
		t.Fatalf("whole: %s", reasons(r))
	}
	cut := filepath.Join(t.TempDir(), "cut.kmon")
	file, err := os.ReadFile(whole.Paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, file[:len(file)*9/10], 0o600); err != nil {
		t.Fatal(err)
	}
	mended := filepath.Join(t.TempDir(), "mended.kmon")
	if _, err := format.Repair(t.Context(), cut, mended); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		new  []Recording
		want string
	}{
		{"repaired", one(mended, whole.Paths[1]), "mended.kmon: it ends before its recording did"},
		{"itself", one(whole.Paths...), "is in base and in new, or a copy of it"}, // a script that copied the wrong file
		{"cut", one(cut, whole.Paths[1]), "damaged"},
		{"lossy", []Recording{made(t, synthetic.Scenario{Seed: 2, Lost: 0.2})}, "lost"},
		{"a node is missing", one(whole.Paths[1]), "2 nodes"},
		{"another load", []Recording{made(t, synthetic.Scenario{Seed: 2, Rate: 90})}, "load is not the same"},
	} {
		r := compared(t, one(whole.Paths...), test.new, wide)
		if r.Outcome == NoChange || r.Outcome == Improvement || !strings.Contains(reasons(r), test.want) {
			t.Errorf("%s: %s: %s", test.name, r.Outcome, reasons(r))
		}
	}
}

// Real recordings are no regression against themselves.
func TestRealAgainstThemselves(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"../../testdata/captures/v1/*.kmon", "../../cmd/workload/faults/testdata/*.kmon"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, more...)
	}
	if len(paths) == 0 {
		t.Fatal("there are no captures")
	}
	for _, path := range paths {
		side := []Recording{{Paths: []string{path}}}
		r := compared(t, side, side, Options{})
		if r.Outcome != NoChange && r.Outcome != Inconclusive || r.Counts.Changed > 0 {
			t.Errorf("%s: %s: %s", path, r.Outcome, reasons(r))
		}
		text(t, r)
	}
}

// Options that make no sense, and files that are no captures, are refused.
func TestRefused(t *testing.T) {
	some := []Recording{{Paths: []string{"nothing.kmon"}}}
	for _, test := range []struct {
		base, new []Recording
		o         Options
		want      string
	}{
		{nil, some, Options{}, "base has no recording"},
		{some, nil, Options{}, "new has no recording"},
		{some, []Recording{{}}, Options{}, "without a file"},
		{some, some, Options{Noise: some}, "two recordings"},
		{some, some, Options{Alpha: 0.7}, "alpha"},
		{some, some, Options{MinEffect: -1}, "minimum effect"},
		{some, some, Options{Thresholds: []Threshold{{Text: "x:+1%", Metric: "x"}}}, "no metric"},
		{some, some, Options{}, "nothing.kmon"},
	} {
		if _, err := Run(context.Background(), test.base, test.new, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
