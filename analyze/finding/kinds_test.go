package finding

import (
	"strings"
	"testing"
)

// faultOf is the plainest Input with a fault of each kind in some windows, and what
// its subject is called.
var faultOf = map[Kind]struct {
	subject string
	make    func(in *Input, d during)
}{
	LockLivelock: {"orders-a", func(in *Input, d during) {
		in.slowed("orders", d, 20, 1)
		in.burn("orders", d, 1.9, 4*micro, 0.99)
	}},
	Spin: {"orders-a thread 1100 (orders)", func(in *Input, d during) {
		in.slowed("orders", d, 20, 2)
		in.burn("orders", d, 0.98, 4*milli, 1)
	}},
	RetryAmplification: {"front → orders → stock", func(in *Input, d during) { in.storm(d, 5) }},
	ReceiveLivelock: {"node-stock-a", func(in *Input, d during) {
		for i := d.from; i < d.to; i++ {
			in.Nodes[2].Windows[i].SoftirqNs, in.Nodes[2].Windows[i].Drops = 4*second, 20_000
		}
		in.each("stock", d, func(_ int, w *InstanceWindow) { w.BytesIn /= 5 })
	}},
	Overload:      {"orders-a", func(in *Input, d during) { in.more("orders", d, 3, 3) }},
	CPUSaturation: {"node-orders-a", func(in *Input, d during) { in.saturated("orders", d, 3*milli, 0.9) }},
}

// Every finding says what it rests on, and what to do next.
func TestFindingsAreWhole(t *testing.T) {
	for kind, fault := range faultOf {
		in := healthy(3)
		fault.make(in, half)
		r := Find(in, nil, DefaultRules())
		list := r.of(kind)
		if len(list) != 1 || list[0].Subject.Name != fault.subject {
			t.Errorf("%s: findings are %+v, want one of %s", kind, list, fault.subject)
			continue
		}
		f := list[0]
		if f.StartNs != in.StartNs+12*in.WindowNs || f.EndNs != in.StartNs+24*in.WindowNs || f.Windows != 12 {
			t.Errorf("%s: %d windows from %d to %d ns, want the 12 of the fault", kind, f.Windows, f.StartNs-in.StartNs, f.EndNs-in.StartNs)
		}
		if len(f.Evidence) < 2 || f.Title == "" || f.Alternative == "" || f.NextStep == "" || f.Reference == "" || f.Coverage != 1 || f.Confidence < 0.4 {
			t.Errorf("%s: something is missing: %+v", kind, f)
		}
		for _, e := range append(f.Evidence, f.CounterEvidence...) {
			if e.Name == "" || strings.Contains(e.Text, "NaN") || strings.Contains(e.Text, "%!") || strings.Contains(e.Text, "Inf") || e.Value != e.Value {
				t.Errorf("%s: evidence %+v", kind, e)
			}
		}
		if c := r.check(kind); c.Judged == 0 || c.Found != 1 || c.NotRecorded != "" {
			t.Errorf("%s: check is %+v", kind, c)
		}
	}
}

// Lost events: nothing is found, and nothing is called fine.
func TestLossesAreInsufficient(t *testing.T) {
	for kind, fault := range faultOf {
		in := healthy(3)
		fault.make(in, half)
		for node := range in.Nodes {
			for i := range in.Windows {
				in.covered(node, i, 0.8)
			}
		}
		r := Find(in, nil, DefaultRules())
		if c := r.check(kind); len(r.Findings) > 0 || len(c.Insufficient) == 0 || c.Judged > 0 {
			t.Errorf("%s: %d findings, check %+v; want all insufficient", kind, len(r.Findings), c)
		}
	}
}

// A fifth of the windows with losses doesn't hide a fault, and makes none.
func TestSomeLosses(t *testing.T) {
	for kind, fault := range faultOf {
		for seed := range uint64(seeds) {
			in := healthy(seed)
			fault.make(in, half)
			for i := int(seed % 5); i < len(in.Windows); i += 5 {
				for node := range in.Nodes {
					in.covered(node, i, 0.5)
				}
			}
			r := Find(in, nil, DefaultRules())
			if list := r.of(kind); len(list) != 1 || list[0].Coverage < 0.9 {
				t.Errorf("%s, seed %d: findings are %+v, want one", kind, seed, list)
			}
		}
	}
}

// What is not recorded is not 0.
func TestNotRecorded(t *testing.T) {
	for kind, fault := range faultOf {
		in := healthy(3)
		fault.make(in, half)
		for node := range in.Nodes {
			for i := range in.Windows {
				in.covered(node, i, NotRecorded)
			}
		}
		r := Find(in, nil, DefaultRules())
		if c := r.check(kind); len(r.Findings) > 0 || c.NotRecorded == "" || c.Judged > 0 {
			t.Errorf("%s: %d findings, check %+v; want it not recorded", kind, len(r.Findings), c)
		}
	}
}

// Two windows are no fault; nor are partial ones.
func TestTooFewWindows(t *testing.T) {
	for kind, fault := range faultOf {
		in := healthy(3)
		fault.make(in, during{10, 12})
		if list := Find(in, nil, DefaultRules()).of(kind); len(list) > 0 {
			t.Errorf("%s, two windows: %s", kind, list[0].Title)
		}
		in = healthy(3)
		fault.make(in, half)
		for i := half.from; i < half.to; i++ {
			in.Windows[i].Partial = true
		}
		if list := Find(in, nil, DefaultRules()).of(kind); len(list) > 0 {
			t.Errorf("%s, partial windows: %s", kind, list[0].Title)
		}
		short := shape{windows: 2}.build(3)
		fault.make(short, during{0, 2})
		if c := Find(short, nil, DefaultRules()).check(kind); c.Found > 0 || len(c.Insufficient) == 0 {
			t.Errorf("%s, two windows in all: %+v, want insufficient", kind, c)
		}
	}
}

// Only against a healthy capture can something be critical.
func TestSeverity(t *testing.T) {
	for _, kind := range []Kind{LockLivelock, Spin, ReceiveLivelock} {
		in := healthy(3)
		faultOf[kind].make(in, half)
		for _, c := range []struct {
			baseline *Input
			want     Severity
			source   string
		}{{nil, Warning, FromQuiet}, {before(3), Critical, FromBaseline}} {
			for _, f := range Find(in, c.baseline, DefaultRules()).of(kind) {
				if f.Severity != c.want || f.Reference != c.source {
					t.Errorf("%s: %s against %s, want %s against %s", kind, f.Severity, f.Reference, c.want, c.source)
				}
			}
		}
	}
}

// Replicas serve as the reference of one that was never healthy.
func TestReplicasAreAReference(t *testing.T) {
	in := shape{replicas: 4}.build(1)
	whole := during{0, 24}
	in.slowed("orders-b", whole, 4, 1)
	in.burn("orders-b", whole, 1.9, 4*micro, 0.99)
	list := Find(in, nil, DefaultRules()).of(LockLivelock)
	if len(list) != 1 || list[0].Subject.Name != "orders-b" || list[0].Reference != FromPeers {
		t.Errorf("findings are %+v, want orders-b against its peers", list)
	}
}

// BenchmarkFind is an hour of 61 services with 930 edges.
func BenchmarkFind(b *testing.B) {
	in := shape{windows: 720, replicas: 30, rate: 600}.build(1)
	b.Logf("%d instances, %d edges, %d windows", len(in.Instances), len(in.Edges), len(in.Windows))
	for b.Loop() {
		Find(in, nil, DefaultRules())
	}
}
