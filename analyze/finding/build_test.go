package finding

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kmon/analyze/stat"
)

const (
	second = int64(1e9)
	milli  = int64(1e6)
	micro  = int64(1e3)
)

// shape is what a healthy Input looks like: clients that were not recorded ask
// front, which asks orders once and that asks stock twice, each service on a node
// of its own, or with replicas on as many nodes. The zero value is a small one.
type shape struct {
	windows  int     // of 5 s; 0: 24
	replicas int     // of orders and stock; 0: 1
	rate     float64 // requests a second that front gets; 0: 40
	noise    float64 // standard deviation of the logarithm of every sum; 0: 0.1
}

// builder makes Inputs whose every sum has noise of its own.
type builder struct {
	shape
	rand *rand.Rand
	in   *Input
}

// healthy is the smallest healthy Input.
func healthy(seed uint64) *Input { return shape{}.build(seed) }

// build gives the same Input for the same seed.
func (s shape) build(seed uint64) *Input {
	s.windows, s.replicas = max(s.windows, 0), max(s.replicas, 1)
	if s.windows == 0 {
		s.windows = 24
	}
	if s.rate == 0 {
		s.rate = 40
	}
	if s.noise == 0 {
		s.noise = 0.1
	}
	b := &builder{shape: s, rand: rand.New(rand.NewPCG(seed, 1)), in: &Input{
		StartNs: 1_700_000_000 * second, WindowNs: 5 * second, Windows: make([]Window, s.windows), ClockErrorNs: 50 * micro,
	}}
	each := s.rate / float64(s.replicas)
	b.instance("front", 0, s.rate, 1, 12*milli)
	for i := range s.replicas {
		b.instance("orders", i, each, 2, 5*milli)
	}
	for i := range s.replicas {
		b.instance("stock", i, 2*each, 0, 2*milli)
	}
	b.edges()
	for node := range b.in.Nodes {
		b.finishNode(node)
	}
	return b.in
}

// around is v with noise.
func (b *builder) around(v float64) int64 {
	return int64(v*math.Exp(b.rand.NormFloat64()*b.noise) + 0.5)
}

// requests are count of them, with latencies around the median.
func (b *builder) requests(count float64, bytes, answer, median int64) Requests {
	r := Requests{Count: b.around(count)}
	r.Bytes, r.Answers = r.Count*bytes, r.Count*answer
	r.Latency = latencies(b.rand, r.Count, float64(b.around(float64(median))))
	return r
}

// spread are factors, log-normal (0.3) around 1, to draw from: faster than exp.
var spread = func() (f [4096]float64) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range f {
		f[i] = math.Exp(r.NormFloat64() * 0.3)
	}
	return f
}()

// latencies are n values, log-normal (0.3) around a median in ns.
func latencies(r *rand.Rand, n int64, medianNs float64) stat.Sketch {
	var values stat.Builder
	for range n {
		values.Add(int64(medianNs*spread[r.Uint32()%uint32(len(spread))]), &counters)
	}
	var s stat.Sketch
	values.Flush(&s, &counters)
	return s
}

var counters stat.Pool

// stretched is a set of durations times a factor.
func stretched(s stat.Sketch, factor float64) stat.Sketch {
	var out stat.Sketch
	s.Each(func(low, count int64) { out.Add(int64(float64(low)*factor), count) })
	return out
}

// instance adds the i-th replica of a service with its node: it serves rate
// requests a second, asks calls each, and has one busy thread (TID = PID).
func (b *builder) instance(service string, i int, rate float64, calls float64, latency int64) {
	node, pid := len(b.in.Nodes), int32(1000+100*len(b.in.Instances))
	name := service + "-" + string(rune('a'+i))
	b.in.Nodes = append(b.in.Nodes, Node{Name: "node-" + name, CPUs: 4, Windows: make([]NodeWindow, b.windows)})
	in := Instance{Service: service, Name: name, Node: node, PIDs: []int32{pid}, Threads: 4, LimitCores: 0}
	for range b.windows {
		w := InstanceWindow{Served: b.requests(rate*5, 200, 800, latency)}
		if calls > 0 {
			w.Asked = b.requests(float64(w.Served.Count)*calls, 120, 400, latency/3)
		}
		w.Connects, w.FailedConnects = b.around(2), 0
		w.BytesIn, w.BytesOut = w.Served.Bytes+w.Asked.Answers, w.Served.Answers+w.Asked.Bytes
		b.work(&w)
		in.Windows = append(in.Windows, w)
	}
	b.in.Instances = append(b.in.Instances, in)
}

// work is the CPU time, the switches and the waits for what a window served: 1 ms
// of CPU in slices of about 100 µs each request.
func (b *builder) work(w *InstanceWindow) {
	served := float64(w.Served.Count)
	w.OnCPUNs = b.around(served * float64(milli))
	w.Timeslices = b.around(served * 10)
	w.RunQueueNs = w.OnCPUNs / 20
	w.Involuntary = w.Timeslices / 30
	w.Voluntary = w.Timeslices - w.Involuntary
	w.OnCPUSamples = w.OnCPUNs * 99 / second
	w.LockSamples = w.OnCPUSamples / 100
	wait := func(count, eachNs float64) Wait {
		n := b.around(count)
		return Wait{Count: n, TotalNs: n * int64(eachNs)}
	}
	w.Waits.Network = wait(served, 3e6)
	w.Waits.Idle = wait(served/2, 10e6)
	w.Waits.Futex = wait(served/4, 2e6)
	w.DiskWriteBytes = b.around(64 << 10)
}

// edges adds who asks whom, from what the instances serve.
func (b *builder) edges() {
	front := b.in.at("front")
	entry := Edge{Client: End{Service: "10.9.9.9", Host: "10.9.9.9", Index: -1}, Server: b.end(0), Port: 80, ServerRecorded: true}
	for _, w := range front.Windows {
		entry.Windows = append(entry.Windows, EdgeWindow{AtServer: w.Served, Connects: w.Served.Count / 50})
	}
	b.in.Edges = append(b.in.Edges, entry)
	for server := range b.in.Instances {
		client := map[string]string{"orders": "front", "stock": "orders"}[b.in.Instances[server].Service]
		for c := range b.in.Instances {
			if b.in.Instances[c].Service == client {
				b.edge(c, server)
			}
		}
	}
}

// edge adds the share of what a server serves that one of its clients asks.
func (b *builder) edge(client, server int) {
	clients := 0
	for _, in := range b.in.Instances {
		if in.Service == b.in.Instances[client].Service {
			clients++
		}
	}
	e := Edge{Client: b.end(client), Server: b.end(server), Port: 8000, ClientRecorded: true, ServerRecorded: true}
	for _, w := range b.in.Instances[server].Windows {
		count, median := float64(w.Served.Count)/float64(clients), w.Served.Latency.Quantile(0.5)
		at := b.requests(count, 200, 800, median)
		e.Windows = append(e.Windows, EdgeWindow{AtServer: at, AtClient: at, Connects: b.around(1)})
		e.Windows[len(e.Windows)-1].AtClient.Latency = latencies(b.rand, at.Count, float64(median+200*micro))
	}
	b.in.Edges = append(b.in.Edges, e)
}

func (b *builder) end(i int) End {
	in := &b.in.Instances[i]
	return End{Service: in.Service, Instance: in.Name, Host: b.in.Nodes[in.Node].Name, Index: i}
}

// finishNode adds up a node, and gives it a disk and the thread of its instance.
func (b *builder) finishNode(node int) {
	i := slices.IndexFunc(b.in.Instances, func(in Instance) bool { return in.Node == node })
	in := &b.in.Instances[i]
	thread := Thread{Instance: i, PID: in.PIDs[0], TID: in.PIDs[0], Comm: in.Service}
	disk := Disk{Node: node, Name: "vda", Kind: "virtio", Rotational: 0}
	for k := range in.Windows {
		w := &in.Windows[k]
		b.in.Nodes[node].Windows[k] = NodeWindow{
			Coverage: Coverage{Exchanges: 1, Intervals: 1, OffCPU: 1, OnCPU: 1, IOs: 1, NetEvents: 1, AcceptQueues: 1, Limits: 1},
			OnCPUNs:  w.OnCPUNs + b.around(float64(200*milli)), SoftirqNs: b.around(float64(5 * milli)),
		}
		thread.Windows = append(thread.Windows, ThreadWindow{
			OnCPUNs: w.OnCPUNs / 2, RunQueueNs: w.RunQueueNs / 2,
			Timeslices: w.Timeslices / 2, Voluntary: w.Voluntary / 2, Involuntary: w.Involuntary / 2,
		})
		ios := b.around(200)
		disk.Windows = append(disk.Windows, DiskWindow{
			BusyNs: ios * milli, LimitedNs: 0,
			Classes: []IOClass{{
				Operation: "write", SizeTo: 4096, IOs: ios, Bytes: ios * 4096,
				Queue: latencies(b.rand, ios, 2e4), Device: latencies(b.rand, ios, float64(b.around(float64(milli)))),
			}},
			Users: []DiskUser{{Instance: i, IOs: ios, Bytes: ios * 4096, TotalNs: ios * milli}},
		})
	}
	b.in.Threads = append(b.in.Threads, thread)
	b.in.Disks = append(b.in.Disks, disk)
}

// at is the first instance of a service, or the instance of that name.
func (in *Input) at(name string) *Instance {
	return &in.Instances[in.indexOf(name)]
}

func (in *Input) indexOf(name string) int {
	i := slices.IndexFunc(in.Instances, func(i Instance) bool { return i.Service == name || i.Name == name })
	if i < 0 {
		panic("no instance " + name)
	}
	return i
}

// between is the first edge from one instance to another, each by service or name.
func (in *Input) between(client, server string) *Edge {
	is := func(e End, name string) bool { return e.Service == name || e.Instance == name }
	i := slices.IndexFunc(in.Edges, func(e Edge) bool { return is(e.Client, client) && is(e.Server, server) })
	if i < 0 {
		panic("no edge from " + client + " to " + server)
	}
	return &in.Edges[i]
}

// covered sets the coverage of a node's window.
func (in *Input) covered(node, window int, share float64) {
	in.Nodes[node].Windows[window].Coverage = Coverage{share, share, share, share, share, share, share, share, share}
}

// of are the findings of a kind.
func (r Result) of(kind Kind) []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Kind != kind })
}

// check is the check of a kind.
func (r Result) check(kind Kind) Check {
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Kind == kind })
	if i < 0 {
		return Check{}
	}
	return r.Checks[i]
}

// long marks a test of many seeds. Rules run in one goroutine, so that the race
// detector, which runs short tests, has nothing to find in them.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: many seeds")
	}
}
