package synthetic

import (
	"fmt"
	"slices"
)

// service is a service of the graph at work.
type service struct {
	spec      Service
	number    int
	port      int32
	instances []*instance
	callees   []*service
	nominalNs float64 // what a request takes when nothing waits
	slow      float64 // factor of the time of a request
	storm     *storm
}

// instance is one process of a service, and its threads.
type instance struct {
	service *service
	name    string
	node    *node
	process *process
	idle    []*thread
	waiting []*visit
	open    map[*instance]int // requests to each that it waits for
	visits  int               // that it serves or that wait
	level   level
	down    bool // is asked by nobody
	trap    *trap
	next    map[*service]int // whom to ask first
}

func newInstance(w *world, s *service, number int, at *node) *instance {
	i := &instance{service: s, name: fmt.Sprintf("%s-%d", s.spec.Name, number), node: at, level: level{factor: 1}, open: map[*instance]int{}, next: map[*service]int{}}
	i.begin()
	return i
}

// begin starts the instance's process.
func (i *instance) begin() {
	i.process = i.node.process(i.service.spec.Name, i.service.spec.Name, i.name)
	i.idle = i.idle[:0]
	for range i.service.spec.Workers {
		t := i.process.thread(i.service.spec.Name)
		t.block(codeIdle)
		i.idle = append(i.idle, t)
	}
	slices.Reverse(i.idle)
}

// build makes the nodes, services and instances of a scenario.
func (w *world) build() {
	for i := range w.s.Nodes {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	for i, spec := range w.s.Graph {
		s := &service{spec: spec, number: i, port: firstPort + int32(i), slow: 1}
		if s.spec.Replicas == 0 {
			s.spec.Replicas = min(w.s.Nodes, 3)
		}
		w.services = append(w.services, s)
	}
	for _, s := range w.services {
		for _, callee := range s.spec.Calls {
			s.callees = append(s.callees, w.services[w.s.Graph.index(callee)])
		}
	}
	w.scale = w.scaling()
	for _, s := range w.services {
		s.nominalNs = w.nominal(s)
		for k := range s.spec.Replicas {
			s.instances = append(s.instances, newInstance(w, s, k, w.nodes[(s.number+k)%len(w.nodes)]))
		}
	}
	w.clients = newClients(w, w.nodes[0])
}

// utilization is the share of the CPUs that the rate takes at most.
const utilization = 0.25

// cpuPerEntry is what one request of a client costs all services, unscaled.
func (w *world) cpuPerEntry() float64 {
	ns := 0.0
	for i, n := range w.s.Graph.perEntry() {
		ns += n * float64(w.s.Graph[i].CPU)
	}
	return ns
}

// scaling makes requests cheaper, so that the nodes can serve the rate.
func (w *world) scaling() float64 {
	return min(1, utilization*float64(w.s.Nodes*cpusPerNode)*1e9/(w.s.Rate*w.cpuPerEntry()))
}

// capacity is how many requests of clients a second the CPUs can serve.
func (w *world) capacity() float64 {
	return float64(w.s.Nodes*cpusPerNode) * 1e9 / (w.cpuPerEntry() * w.scale)
}

func (w *world) nominal(s *service) float64 {
	ns := w.scale * (float64(s.spec.CPU) + s.spec.Reads*readNs + s.spec.Writes*writeNs)
	for _, callee := range s.callees {
		ns += w.nominal(callee) + 2*hopNs
	}
	return ns
}

// patience is how many more requests than to its freest replica an instance has
// open to one before it asks the other.
const patience = 4

// choose gives the instance of a service to ask: each in turn, but not one that
// already has many more of the asker's requests than another.
func (i *instance) choose(s *service) *instance {
	least := -1
	for _, r := range s.instances {
		if n := i.open[r]; !r.down && (least < 0 || n < least) {
			least = n
		}
	}
	for range s.instances {
		r := s.instances[i.next[s]%len(s.instances)]
		i.next[s]++
		if least < 0 || !r.down && i.open[r] < least+patience {
			return r
		}
	}
	return s.instances[0]
}
