package finding

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// mesh is a model of services on several nodes whose faults go up to who waits: a
// server's latency is its own and that of what it asks, its client's that and the
// network. Every service has a replica on each of the first replicas nodes, and
// asks all replicas of a callee alike.
type mesh struct {
	nodes, windows int
	services       []meshService // callees before their callers
	rate           float64       // requests a second to each service
	noise          float64       // deviation of the logarithm of a window's median
	// What is done to it; nil: nothing. on are names of instances or nodes.
	own     func(instance, node string, w int) float64 // factor of an instance's own part
	network func(from, to string, w int) float64       // factor of the way between nodes
	reads   func(instance string, w int) float64       // factor of all an instance waits for as a client
	asked   func(instance string, w int) float64       // factor of how often an instance is asked
}

type meshService struct {
	name     string
	ownNs    float64
	replicas int
	calls    []string
}

// shop is three services with a replica on each of nodes.
func shopOn(nodes int) mesh {
	return mesh{nodes: nodes, windows: 24, rate: 60 * float64(nodes), noise: 0.05, services: []meshService{
		{"db", 4e6, nodes, nil}, {"cart", 3e6, nodes, []string{"db"}}, {"web", 2e6, nodes, []string{"cart"}},
	}}
}

// shopInLine is services with one instance each, on a node each.
func shopInLine() mesh {
	m := shopOn(3)
	m.rate = 60
	for i := range m.services {
		m.services[i].replicas = 1
	}
	return m
}

type meshRun struct {
	mesh
	rand *rand.Rand
	in   *Input
}

func (m mesh) build(seed uint64) *Input {
	r := &meshRun{mesh: m, rand: rand.New(rand.NewPCG(seed, 7)), in: &Input{
		StartNs: 1_700_000_000 * second, WindowNs: 5 * second, Windows: make([]Window, m.windows), ClockErrorNs: milli,
	}}
	r.in.Windows[0].Partial = true
	for i := range m.nodes {
		n := Node{Name: fmt.Sprintf("n%d", i+1), CPUs: 4}
		for range m.windows {
			n.Windows = append(n.Windows, NodeWindow{Coverage: Coverage{1, 1, 1, 1, 1, 1, 1, 1, 1}})
		}
		r.in.Nodes = append(r.in.Nodes, n)
	}
	for k, s := range m.services {
		for i := range s.replicas {
			node := i
			if s.replicas == 1 {
				node = k % m.nodes
			}
			r.instance(s, i, node)
		}
	}
	r.entry()
	return r.in
}

// entry are clients that were not recorded and ask the last service.
func (r *meshRun) entry() {
	for i := range r.in.Instances {
		in := &r.in.Instances[i]
		if in.Service != r.services[len(r.services)-1].name {
			continue
		}
		e := Edge{Client: End{Service: "10.9.9.9", Host: "10.9.9.9", Index: -1}, Server: r.end(i), Port: 80, ServerRecorded: true}
		for w := range in.Windows {
			e.Windows = append(e.Windows, EdgeWindow{AtServer: in.Windows[w].Served})
		}
		r.in.Edges = append(r.in.Edges, e)
	}
}

func (r *meshRun) end(i int) End {
	in := &r.in.Instances[i]
	return End{Service: in.Service, Instance: in.Name, Host: r.in.Nodes[in.Node].Name, Index: i}
}

// instance adds an instance with the edges to what it asks, window by window.
func (r *meshRun) instance(s meshService, i, node int) {
	index := len(r.in.Instances)
	in := Instance{Service: s.name, Name: fmt.Sprintf("%s-%d", s.name, i+1), Node: node, PIDs: []int32{int32(100 + index)}, Threads: 8}
	in.Windows = make([]InstanceWindow, r.windows)
	r.in.Instances = append(r.in.Instances, in)
	first := len(r.in.Edges)
	for _, callee := range s.calls {
		for k := range r.in.Instances {
			if r.in.Instances[k].Service == callee {
				r.in.Edges = append(r.in.Edges, Edge{Client: r.end(index), Server: r.end(k), Port: 8000, ClientRecorded: true, ServerRecorded: true, Windows: make([]EdgeWindow, r.windows)})
			}
		}
	}
	for w := range r.windows {
		r.window(s, index, r.in.Edges[first:], w)
	}
}

func (r *meshRun) factor(f float64) float64 { return f * math.Exp(r.rand.NormFloat64()*r.noise) }

func (r *meshRun) window(s meshService, index int, edges []Edge, w int) {
	in := &r.in.Instances[index]
	host := r.in.Nodes[in.Node].Name
	count := r.factor(r.rate * 5 / float64(s.replicas))
	if r.asked != nil {
		count *= r.asked(in.Name, w)
	}
	own := r.factor(s.ownNs)
	if r.own != nil {
		own *= r.own(in.Name, host, w)
	}
	sum, calls := 0.0, 0.0
	v := &in.Windows[w]
	for i := range edges {
		e := &edges[i]
		callee := &r.in.Instances[e.Server.Index]
		way := r.factor(200e3)
		if host == e.Server.Host {
			way = 40e3
		} else if r.network != nil {
			way *= r.network(host, e.Server.Host, w)
		}
		n := int64(count/float64(len(edges))*float64(len(s.calls)) + 0.5)
		seen := float64(callee.Windows[w].Served.Latency.Quantile(0.5)) + way
		if r.reads != nil {
			seen *= r.reads(in.Name, w)
		}
		e.Windows[w] = EdgeWindow{AtClient: r.asks(n, seen), AtServer: r.asks(n, seen)}
		e.Windows[w].AtServer.Latency = latencies(r.rand, n, float64(callee.Windows[w].Served.Latency.Quantile(0.5)))
		sum, calls = sum+float64(n)*seen, calls+float64(n)
		v.Asked.Count += n
	}
	v.Served = r.asks(int64(count), own+sum/max(count, 1))
	r.load(v)
}

func (r *meshRun) asks(n int64, medianNs float64) Requests {
	return Requests{Count: n, Bytes: 200 * n, Answers: 900 * n, Latency: latencies(r.rand, n, medianNs)}
}

// load is the CPU time and the waits that go with what a window served.
func (r *meshRun) load(v *InstanceWindow) {
	v.OnCPUNs = v.Served.Count * milli
	v.RunQueueNs = v.OnCPUNs / 20
	v.Timeslices, v.Voluntary = v.Served.Count*5, v.Served.Count*5
	v.Waits.Network = Wait{Count: v.Asked.Count, TotalNs: v.Asked.Count * 4 * milli}
	v.Waits.Idle = Wait{Count: v.Served.Count, TotalNs: 20 * second}
}

// from is a factor that holds from window 9 on.
func from9(w int, factor float64) float64 {
	if w >= 9 {
		return factor
	}
	return 1
}
