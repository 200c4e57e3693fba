package finding

import "testing"

// storm has front ask orders, and orders stock, factor times as often: of one try
// in factor comes an answer, and each try has a connection of its own.
func (in *Input) storm(d during, factor float64) {
	again := func(r *Requests, factor float64, failing bool) {
		r.Count, r.Bytes = int64(float64(r.Count)*factor), int64(float64(r.Bytes)*factor)
		if failing {
			r.Errors = r.Count - int64(float64(r.Count)/factor)
		}
	}
	for _, at := range []struct{ client, server string }{{"front", "orders"}, {"orders", "stock"}} {
		e := in.between(at.client, at.server)
		for i := d.from; i < d.to; i++ {
			again(&e.Windows[i].AtClient, factor, true)
			again(&e.Windows[i].AtServer, factor, true)
			e.Windows[i].Connects = e.Windows[i].AtClient.Errors
		}
		in.each(at.server, d, func(_ int, w *InstanceWindow) { again(&w.Served, factor, true) })
	}
}

func TestRetryAmplification(t *testing.T) {
	long(t)
	fault := func(factor float64, d during) func(seed uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			in.storm(d, factor)
			return in
		}
	}
	// As recorded: the client that gave up has no answer, so it counts no request.
	gaveUp := func(seed uint64) *Input {
		in := fault(5, half)(seed)
		for _, e := range []*Edge{in.between("front", "orders"), in.between("orders", "stock")} {
			for i := half.from; i < half.to; i++ {
				e.Windows[i].AtClient = Requests{}
			}
		}
		return in
	}
	subject := "front → orders → stock"
	for _, c := range []trial{
		{name: "3×", in: fault(3, half), kind: RetryAmplification, subject: subject},
		{name: "10×", in: fault(10, half), kind: RetryAmplification, subject: subject},
		{name: "for 20 s", in: fault(5, during{10, 14}), kind: RetryAmplification, subject: subject},
		{name: "clients count nothing", in: gaveUp, kind: RetryAmplification, subject: subject},
		{name: "fewer come in, and none is answered", in: func(seed uint64) *Input {
			in := fault(5, half)(seed)
			for i := half.from; i < half.to; i++ {
				w := &in.Edges[0].Windows[i].AtServer
				w.Errors = w.Count
			}
			return in
		}, kind: RetryAmplification, subject: subject},
	} {
		c.run(t, false)
		c.run(t, true)
	}
	whole := during{0, 24}
	trial{name: "from the first window to the last", in: fault(5, whole), kind: RetryAmplification, subject: subject}.run(t, false)
	trial{name: "the same, with a baseline", in: fault(3, whole), kind: RetryAmplification, subject: subject}.run(t, true)
	for _, f := range Find(fault(5, whole)(1), nil, DefaultRules()).of(RetryAmplification) {
		if f.Severity != Info {
			t.Errorf("without a reference it is %s, want info", f.Severity)
		}
	}
}

// One that is asked more because others ask again is only told of as overloaded.
func TestRetriesExplainLoad(t *testing.T) {
	in := healthy(1)
	in.storm(half, 4)
	in.each("stock", half, func(_ int, w *InstanceWindow) { w.Served.Latency = stretched(w.Served.Latency, 3) })
	e := in.between("orders", "stock")
	for i := half.from; i < half.to; i++ {
		e.Windows[i].AtClient.Latency = stretched(e.Windows[i].AtClient.Latency, 3)
	}
	for _, f := range Find(in, nil, DefaultRules()).Findings {
		if f.Kind == Overload && f.Severity != Info {
			t.Errorf("%s is %s, want info", f.Title, f.Severity)
		}
	}
}

func TestNoRetryAmplification(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(in *Input)
	}{
		{"all ask three times as much", func(in *Input) {
			for k := range in.Edges {
				for i := half.from; i < half.to; i++ {
					in.Edges[k].Windows[i].AtClient.Count *= 3
					in.Edges[k].Windows[i].AtServer.Count *= 3
				}
			}
		}},
		{"a release that asks more often, and nothing fails", func(in *Input) {
			e := in.between("orders", "stock")
			for i := half.from; i < half.to; i++ {
				e.Windows[i].AtClient.Count, e.Windows[i].AtClient.Bytes = 3*e.Windows[i].AtClient.Count, 3*e.Windows[i].AtClient.Bytes
			}
		}},
		{"other messages, larger ones, and some fail", func(in *Input) {
			in.storm(half, 3)
			for _, e := range []*Edge{in.between("front", "orders"), in.between("orders", "stock")} {
				for i := half.from; i < half.to; i++ {
					e.Windows[i].AtClient.Bytes *= 2
				}
			}
		}},
		{"a service that is down: requests fail, and are not repeated", func(in *Input) {
			e := in.between("orders", "stock")
			for i := range e.Windows {
				e.Windows[i].AtClient.Errors = e.Windows[i].AtClient.Count
			}
		}},
		{"two windows of it", func(in *Input) { in.storm(during{10, 12}, 5) }},
		{"too few requests", func(in *Input) {
			in.storm(half, 5)
			for k := range in.Edges {
				for i := range in.Edges[k].Windows {
					w := &in.Edges[k].Windows[i]
					for _, r := range []*Requests{&w.AtClient, &w.AtServer} {
						r.Count, r.Errors, r.Bytes = r.Count/50, r.Errors/50, r.Bytes/50
					}
				}
			}
		}},
	} {
		for seed := range uint64(seeds) {
			in := healthy(seed)
			c.change(in)
			for _, f := range Find(in, nil, DefaultRules()).of(RetryAmplification) {
				t.Errorf("%s, seed %d: %s", c.name, seed, f.Title)
			}
		}
	}
}

// Two services that ask each other, and nobody else asks them.
func TestRetryCircle(t *testing.T) {
	in := healthy(1)
	back := *in.between("orders", "stock")
	back.Client, back.Server, back.Windows = back.Server, back.Client, append([]EdgeWindow{}, back.Windows...)
	there := *in.between("orders", "stock")
	in.Edges = []Edge{there, back}
	for k := range in.Edges {
		for i := half.from; i < half.to; i++ {
			w := &in.Edges[k].Windows[i]
			w.AtClient.Count, w.AtClient.Bytes, w.Connects = 5*w.AtClient.Count, 5*w.AtClient.Bytes, w.AtClient.Count
		}
	}
	list := Find(in, nil, DefaultRules()).of(RetryAmplification)
	if len(list) != 1 || list[0].Subject.Name != "orders → stock → orders" {
		t.Errorf("findings are %+v, want one of the circle", list)
	}
}

func TestReceiveLivelock(t *testing.T) {
	flood := func(in *Input, softirqNs, received int64) {
		node := in.at("stock").Node
		for i := half.from; i < half.to; i++ {
			in.Nodes[node].Windows[i].SoftirqNs = softirqNs
			in.Nodes[node].Windows[i].Drops = 20_000
		}
		in.each("stock", half, func(_ int, w *InstanceWindow) { w.BytesIn = w.BytesIn * received / 100 })
	}
	flooded := func(cpus float64, received int64) func(uint64) *Input {
		return func(seed uint64) *Input {
			in := healthy(seed)
			flood(in, int64(cpus*float64(in.WindowNs)), received)
			return in
		}
	}
	fault := func(received int64) func(uint64) *Input { return flooded(0.8, received) }
	most := 0.6 * float64(healthy(1).Nodes[healthy(1).at("stock").Node].CPUs)
	for _, baseline := range []bool{false, true} {
		trial{name: "a third gets through", in: fault(33), kind: ReceiveLivelock, subject: "node-stock-a"}.run(t, baseline)
		trial{name: "all gets through", in: fault(100), kind: "", subject: ""}.run(t, baseline)
		trial{name: "most CPUs for less than before", in: flooded(most, 75), kind: ReceiveLivelock, subject: "node-stock-a"}.run(t, baseline)
		trial{name: "most CPUs for more", in: flooded(most, 140), kind: "", subject: ""}.run(t, baseline)
	}
	in := fault(33)(1)
	for i := range in.Nodes[2].Windows {
		in.Nodes[2].Windows[i].Coverage.NetEvents = NotRecorded
	}
	if c := Find(in, nil, DefaultRules()).check(ReceiveLivelock); c.NotRecorded != "netevents" || c.Found != 0 || c.Judged != 2 {
		t.Errorf("without drops the check is %+v, want netevents as not recorded", c)
	}
	quiet := fault(33)(1)
	for i := range quiet.Nodes[2].Windows {
		quiet.Nodes[2].Windows[i].SoftirqNs = 5 * milli
	}
	if list := Find(quiet, nil, DefaultRules()).of(ReceiveLivelock); len(list) > 0 {
		t.Errorf("drops, and a kernel at rest: %s", list[0].Title)
	}
}
