package finding

import (
	"slices"
	"testing"
)

// from to is windows that a fault lasts.
type during struct{ from, to int }

var half = during{12, 24} // of the 24 of a shape

// each changes the windows of an instance, and of the edges to it, by hand.
func (in *Input) each(name string, d during, change func(i int, w *InstanceWindow)) {
	a := in.at(name)
	for i := d.from; i < d.to; i++ {
		change(i, &a.Windows[i])
	}
}

// slowed makes an instance answer a factor less and later, at both ends; stuck
// requests of every window never get an answer.
func (in *Input) slowed(name string, d during, factor float64, stuck int64) {
	index := in.indexOf(name)
	slow := func(r *Requests) {
		r.Count = int64(float64(r.Count)/factor) + stuck
		r.InFlight = stuck
		r.Bytes, r.Answers = int64(float64(r.Bytes)/factor), int64(float64(r.Answers)/factor)
		r.Latency = stretched(r.Latency, factor)
	}
	in.each(name, d, func(_ int, w *InstanceWindow) {
		slow(&w.Served)
		slow(&w.Asked)
		w.Asked.InFlight = 0
		w.BytesIn, w.BytesOut = int64(float64(w.BytesIn)/factor), int64(float64(w.BytesOut)/factor)
	})
	for k := range in.Edges {
		for i := d.from; i < d.to && in.Edges[k].Server.Index == index; i++ {
			slow(&in.Edges[k].Windows[i].AtServer)
			slow(&in.Edges[k].Windows[i].AtClient)
		}
	}
}

// late makes the answers of an instance take a factor longer, at both ends.
func (in *Input) late(name string, d during, factor float64) {
	in.each(name, d, func(_ int, w *InstanceWindow) { w.Served.Latency = stretched(w.Served.Latency, factor) })
	for k := range in.Edges {
		for i := d.from; i < d.to && in.Edges[k].Server.Index == in.indexOf(name); i++ {
			w := &in.Edges[k].Windows[i]
			w.AtServer.Latency, w.AtClient.Latency = stretched(w.AtServer.Latency, factor), stretched(w.AtClient.Latency, factor)
		}
	}
}

// burn sets the CPU time and switches of an instance, with all of it in one thread
// (or two, for the instance's own windows hold more than one CPU).
func (in *Input) burn(name string, d during, cores float64, sliceNs int64, involuntary float64) {
	index := in.indexOf(name)
	on := int64(cores * float64(in.WindowNs))
	slices := on / sliceNs
	in.each(name, d, func(i int, w *InstanceWindow) {
		w.OnCPUNs, w.Timeslices = on, slices
		w.Involuntary = int64(float64(slices) * involuntary)
		w.Voluntary = slices - w.Involuntary
		w.OnCPUSamples = on * 99 / second
		in.Nodes[in.Instances[index].Node].Windows[i].OnCPUNs += on
		for k := range in.Threads {
			if t := &in.Threads[k]; t.Instance == index {
				share := min(on, in.WindowNs*98/100)
				t.Windows[i] = ThreadWindow{OnCPUNs: share, Timeslices: share / sliceNs,
					Voluntary: w.Voluntary * share / on, Involuntary: w.Involuntary * share / on}
			}
		}
	})
}

// more makes a factor more requests come in, each for the CPU time it always took.
func (in *Input) more(name string, d during, factor, latency float64) {
	index := in.indexOf(name)
	add := func(r *Requests) {
		r.Count, r.Bytes, r.Answers = int64(float64(r.Count)*factor), int64(float64(r.Bytes)*factor), int64(float64(r.Answers)*factor)
		r.Latency = stretched(r.Latency, latency)
	}
	in.each(name, d, func(_ int, w *InstanceWindow) {
		add(&w.Served)
		add(&w.Asked)
		for _, v := range []*int64{&w.OnCPUNs, &w.Timeslices, &w.Voluntary, &w.Involuntary, &w.OnCPUSamples, &w.BytesIn, &w.BytesOut} {
			*v = int64(float64(*v) * factor)
		}
	})
	for k := range in.Edges {
		for i := d.from; i < d.to && in.Edges[k].Server.Index == index; i++ {
			add(&in.Edges[k].Windows[i].AtServer)
			add(&in.Edges[k].Windows[i].AtClient)
		}
	}
}

// livelocks are the kinds that nothing plain may be called.
var livelocks = []Kind{LockLivelock, Spin, RetryAmplification, ReceiveLivelock}

// trial is an Input with what must be found in it: nothing but kinds about subject,
// or, without kinds, no livelock at all.
type trial struct {
	name    string
	in      func(seed uint64) *Input
	kind    Kind
	subject string
	// always: it was no other before, so a baseline that was tells another story
	always bool
}

// seeds that trials run with.
const seeds = 10

func (c trial) run(t *testing.T, baseline bool) {
	t.Helper()
	hits := 0
	for seed := range uint64(seeds) {
		var healthy *Input
		if baseline {
			healthy = before(seed)
		}
		r := Find(c.in(seed), healthy, DefaultRules())
		for _, f := range r.Findings {
			if c.kind == f.Kind && f.Subject.Name == c.subject {
				hits++
			} else if slices.Contains(livelocks, f.Kind) {
				t.Errorf("%s, seed %d: %s about %s: %s", c.name, seed, f.Kind, f.Subject.Name, f.Title)
			}
		}
	}
	if c.kind != "" && hits < seeds*9/10 {
		t.Errorf("%s, baseline %v: found with %d of %d seeds", c.name, baseline, hits, seeds)
	}
}

// before is a healthy capture to compare with, made once a seed.
func before(seed uint64) *Input {
	if baselines[seed] == nil {
		baselines[seed] = healthy(seed + 5000)
	}
	return baselines[seed]
}

var baselines = map[uint64]*Input{}

// quota is a CPU quota that a busy instance runs into.
func (in *Input) quota(name string, d during, cores float64) {
	in.at(name).LimitCores = cores
	in.each(name, d, func(_ int, w *InstanceWindow) {
		w.ThrottledNs = in.WindowNs / 2
		w.RunQueueNs = in.WindowNs / 2
	})
}

// TestPlainCausesAreNoLivelock: healthy, overloaded, throttled and busy services
// that get on with it, and busy ones that nobody waits for.
func TestPlainCausesAreNoLivelock(t *testing.T) {
	long(t)
	in := func(change func(in *Input)) func(uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			change(in)
			return in
		}
	}
	for _, c := range []trial{
		{name: "healthy", in: in(func(*Input) {})},
		{name: "overloaded: four times the requests, late answers, CPU full", in: in(func(in *Input) {
			in.more("orders", half, 4, 8)
			in.burn("orders", half, 0.16, 3*milli, 0.8)
			in.each("orders", half, func(_ int, w *InstanceWindow) { w.Served.InFlight = 20 })
		})},
		{name: "a quota: a third of the answers, for a third of the CPU time", in: in(func(in *Input) {
			in.slowed("orders", half, 3, 5)
			in.each("orders", half, func(_ int, w *InstanceWindow) { w.OnCPUNs /= 3 })
			in.quota("orders", half, 0.05)
		})},
		{name: "busy: every answer takes the CPU, nobody waits", in: in(func(in *Input) { in.burn("stock", during{0, 24}, 1.9, 200*micro, 0.1) })},
		{name: "yields, nobody waits, answers as ever", in: in(func(in *Input) { in.burn("stock", half, 1.9, 4*micro, 0.99) })},
		{name: "spins, nobody waits, answers as ever", in: in(func(in *Input) { in.burn("stock", half, 0.98, 4*milli, 1) })},
		{name: "contention: yields, each answer costs more and is late, but as many as ever", in: in(func(in *Input) {
			in.slowed("orders", half, 1, 0)
			in.burn("orders", half, 1.9, 4*micro, 0.99)
			in.late("orders", half, 5)
		})},
		{name: "too much: three times the requests, few of them answered, yields", in: in(func(in *Input) {
			in.more("orders", half, 3, 5)
			in.burn("orders", half, 1.9, 4*micro, 0.99)
			in.each("orders", half, func(_ int, w *InstanceWindow) { w.Served.Errors = w.Served.Count * 9 / 10 })
		})},
		{name: "half the answers for half the CPU time, in threads that yield", always: true, in: in(func(in *Input) {
			in.burn("orders", during{0, 24}, 1.2, 4*milli, 0.1)
			in.slowed("orders", half, 2, 3)
			in.burn("orders", half, 0.7, 4*micro, 0.99)
		})},
		{name: "yields always, and the one it asks gets slow", always: true, in: in(func(in *Input) {
			in.burn("orders", during{0, 24}, 1.9, 4*micro, 0.99)
			in.slowed("orders", half, 5, 3)
		})},
		{name: "spins always, and the one it asks gets slow", always: true, in: in(func(in *Input) {
			in.burn("orders", during{0, 24}, 0.98, 4*milli, 1)
			in.slowed("orders", half, 5, 3)
		})},
		{name: "yields, and fewer requests come", in: in(func(in *Input) {
			in.slowed("orders", half, 5, 0)
			in.burn("orders", half, 1.9, 4*micro, 0.99)
			in.late("orders", half, 0.2)
		})},
		{name: "spins, and fewer requests come", in: in(func(in *Input) {
			in.slowed("orders", half, 5, 0)
			in.burn("orders", half, 0.98, 4*milli, 1)
			in.late("orders", half, 0.2)
		})},
		{name: "a batch job that yields, was never asked", in: in(func(in *Input) {
			in.burn("stock", half, 1.9, 4*micro, 0.99)
			in.each("stock", during{0, 24}, func(_ int, w *InstanceWindow) { w.Served, w.Asked = Requests{}, Requests{} })
			in.between("orders", "stock").Windows = make([]EdgeWindow, 24)
		})},
		{name: "a crowded node: half of the switches are involuntary, after 80 µs", in: in(func(in *Input) {
			in.slowed("orders", half, 5, 2)
			in.burn("orders", half, 0.7, 80*micro, 0.5)
		})},
		{name: "a poller that yields", in: in(func(in *Input) {
			in.slowed("orders", half, 10, 5)
			in.burn("orders", half, 1.9, 4*micro, 0.99)
			in.Threads[in.indexOf("orders")].Comm = "lcore-worker-1"
		})},
		{name: "a batch job: burns a CPU, was never asked", in: in(func(in *Input) {
			in.burn("stock", half, 0.98, 4*milli, 1)
			in.each("stock", half, func(_ int, w *InstanceWindow) { w.Served, w.Asked = Requests{}, Requests{} })
			in.between("orders", "stock").Windows = make([]EdgeWindow, 24)
		})},
		{name: "blocked: nothing done, no CPU time", in: in(func(in *Input) { in.slowed("orders", half, 20, 5) })},
		{name: "a known poller", in: in(func(in *Input) {
			in.slowed("orders", half, 10, 5)
			in.burn("orders", half, 0.98, 4*milli, 1)
			in.Threads[in.indexOf("orders")].Comm = "lcore-worker-1"
		})},
	} {
		c.run(t, false)
		if !c.always {
			c.run(t, true)
		}
	}
}

func TestLockLivelock(t *testing.T) {
	long(t)
	fault := func(factor float64, d during, fight func(in *Input)) func(seed uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			in.slowed("orders", d, factor, 1)
			fight(in)
			return in
		}
	}
	yields := func(d during) func(in *Input) {
		return func(in *Input) { in.burn("orders", d, 1.9, 4*micro, 0.99) }
	}
	apart := func(in *Input) { // on CPUs of their own: no switches
		in.burn("orders", half, 1.9, 4*milli, 0.5)
		in.each("orders", half, func(_ int, w *InstanceWindow) { w.YieldSamples = w.OnCPUSamples * 6 / 10 })
	}
	futex := func(in *Input) {
		in.burn("orders", half, 1.2, 10*micro, 0.02)
		in.each("orders", half, func(_ int, w *InstanceWindow) { w.Waits.Futex = Wait{20000, 20000 * 2 * milli} })
	}
	for _, c := range []trial{
		{name: "yield to each other, 3×", in: fault(3, half, yields(half)), kind: LockLivelock, subject: "orders-a"},
		{name: "yield to each other, 10×", in: fault(10, half, yields(half)), kind: LockLivelock, subject: "orders-a"},
		{name: "for 20 s", in: fault(10, during{10, 14}, yields(during{10, 14})), kind: LockLivelock, subject: "orders-a"},
		{name: "yield on CPUs of their own", in: fault(5, half, apart), kind: LockLivelock, subject: "orders-a"},
		{name: "futex", in: fault(3, half, futex), kind: LockLivelock, subject: "orders-a"},
	} {
		c.run(t, false)
		c.run(t, true)
	}
	crowded := func(seed uint64) *Input { // as recorded on two CPUs with 40 threads that want them
		in := healthy(seed)
		in.slowed("orders", half, 10, 1)
		in.burn("orders", half, 0.2, 10*micro, 0.92)
		in.each("orders", half, func(_ int, w *InstanceWindow) { w.RunQueueNs = 2 * in.WindowNs })
		return in
	}
	late := func(seed uint64) *Input { // the first windows are before its start
		in := fault(10, half, yields(half))(seed)
		in.each("orders", during{0, 5}, func(_ int, w *InstanceWindow) { *w = InstanceWindow{} })
		return in
	}
	trial{name: "on a crowded node", in: crowded, kind: LockLivelock, subject: "orders-a"}.run(t, false)
	trial{name: "of a service that starts late", in: late, kind: LockLivelock, subject: "orders-a"}.run(t, false)
	whole := during{0, 24}
	trial{name: "from the first window to the last", in: fault(1000, whole, yields(whole)), kind: LockLivelock, subject: "orders-a"}.run(t, false)
	trial{name: "the same, with a baseline", in: fault(3, whole, yields(whole)), kind: LockLivelock, subject: "orders-a"}.run(t, true)
}

func TestSpin(t *testing.T) {
	fault := func(factor float64, d during) func(seed uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			in.slowed("orders", d, factor, 2)
			in.burn("orders", d, 0.98, 4*milli, 1)
			return in
		}
	}
	subject := "orders-a thread 1100 (orders)"
	for _, c := range []trial{
		{name: "3×", in: fault(3, half), kind: Spin, subject: subject},
		{name: "10×", in: fault(10, half), kind: Spin, subject: subject},
		{name: "for 20 s", in: fault(10, during{10, 14}), kind: Spin, subject: subject},
	} {
		c.run(t, false)
		c.run(t, true)
	}
	whole := during{0, 24}
	trial{name: "nothing at all answered", in: func(seed uint64) *Input {
		in := fault(1000, whole)(seed)
		in.each("orders", whole, func(_ int, w *InstanceWindow) {
			w.Served.Count, w.BytesIn, w.BytesOut, w.DiskWriteBytes = w.Served.InFlight, 0, 0, 0
			w.Asked = Requests{}
		})
		return in
	}, kind: Spin, subject: subject}.run(t, false)
}

func TestOverload(t *testing.T) {
	fault := func(factor float64, change func(in *Input)) func(seed uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			in.more("orders", half, factor, factor)
			change(in)
			return in
		}
	}
	for _, c := range []trial{
		{name: "3× the requests, answers 3× later", in: fault(3, func(*Input) {}), kind: Overload, subject: "orders-a"},
		{name: "the quota is used up", in: fault(3, func(in *Input) { in.quota("orders", half, 0.12) }), kind: Overload, subject: "orders-a"},
	} {
		c.run(t, false)
		c.run(t, true)
	}
	in := fault(3, func(*Input) {})(1)
	in.each("orders", half, func(_ int, w *InstanceWindow) { w.Served.Errors = 20 })
	for _, f := range Find(in, nil, DefaultRules()).of(Overload) {
		if f.Severity != Warning {
			t.Errorf("overload with failed requests is %s, want warning", f.Severity)
		}
	}
	none := func(what string, in *Input) {
		if list := Find(in, nil, DefaultRules()).of(Overload); len(list) > 0 {
			t.Errorf("%s: %s", what, list[0].Title)
		}
	}
	late := healthy(1)
	late.slowed("orders", half, 3, 0)
	none("late without more requests", late)
	more := healthy(1)
	more.more("orders", half, 3, 1)
	none("more requests, answered in time", more)
	dear := fault(3, func(*Input) {})(1)
	dear.each("orders", half, func(_ int, w *InstanceWindow) { w.OnCPUNs *= 4 })
	none("more requests, and each costs more", dear)
}

// The accept queue is deep and one thread has a CPU all the time: full, whatever
// the load was before.
func TestOverloadFromTheBeginning(t *testing.T) {
	in := healthy(1)
	in.burn("orders", during{0, 24}, 0.97, 3*milli, 0.9)
	l := Listener{Instance: in.indexOf("orders"), Address: "10.0.0.2:8000", Limit: 128, Windows: make([]ListenerWindow, 24)}
	for i := range l.Windows {
		l.Windows[i].MaxDepth = 60
	}
	in.Listeners = append(in.Listeners, l)
	if list := Find(in, nil, DefaultRules()).of(Overload); len(list) != 1 || list[0].Subject.Name != "orders-a" || list[0].Severity != Info {
		t.Errorf("findings are %+v, want one of orders-a", list)
	}
}

// saturated makes a node busy, with threads that wait for a CPU.
func (in *Input) saturated(name string, d during, sliceNs int64, involuntary float64) {
	node := in.at(name).Node
	in.burn(name, d, 3.6, sliceNs, involuntary)
	in.each(name, d, func(i int, w *InstanceWindow) {
		w.RunQueueNs = w.OnCPUNs
		in.Nodes[node].Windows[i].OnCPUNs = in.WindowNs * 4 * 97 / 100
	})
}

func TestCPUSaturation(t *testing.T) {
	for seed := range uint64(seeds) {
		in := healthy(seed)
		in.saturated("orders", half, 3*milli, 0.9)
		list := Find(in, nil, DefaultRules()).of(CPUSaturation)
		if len(list) != 1 || list[0].Subject.Name != "node-orders-a" || list[0].Severity != Info {
			t.Fatalf("seed %d: findings are %+v, want one of node-orders-a", seed, list)
		}
		in.slowed("orders", half, 2, 0)
		list = Find(in, nil, DefaultRules()).of(CPUSaturation)
		if len(list) != 1 || list[0].Severity != Warning || len(list[0].CounterEvidence) != 0 {
			t.Fatalf("seed %d, late answers: findings are %+v, want a warning", seed, list)
		}
	}
	none := func(what string, change func(in *Input)) {
		in := healthy(1)
		in.saturated("orders", half, 3*milli, 0.9)
		change(in)
		if list := Find(in, nil, DefaultRules()).of(CPUSaturation); len(list) > 0 {
			t.Errorf("%s: %s", what, list[0].Title)
		}
	}
	none("busy, but nobody waits for a CPU", func(in *Input) {
		in.each("orders", half, func(_ int, w *InstanceWindow) { w.RunQueueNs = w.OnCPUNs / 20 })
	})
	none("a quota on a node with time to spare", func(in *Input) {
		for i := range in.Nodes[1].Windows {
			in.Nodes[1].Windows[i].OnCPUNs = in.WindowNs
		}
	})
	none("a quota on a busy node", func(in *Input) {
		in.each("orders", half, func(_ int, w *InstanceWindow) { w.ThrottledNs = w.RunQueueNs })
	})
	none("threads that yield to each other", func(in *Input) {
		in.burn("orders", half, 3.6, 4*micro, 0.99)
	})
}
