package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kmon/analyze/finding"
	"kmon/analyze/replay"
	"kmon/analyze/request"
	"kmon/analyze/topology"
)

const (
	// maxInputWindows bounds the windows of all instances, and those of all
	// edges: about 600 and 300 bytes each, without distributions.
	maxInputWindows = 1 << 16
	// maxSubjects and minSubjects bound instances and edges themselves.
	maxSubjects = 512
	minSubjects = 64
)

// input makes the Input of what was gathered. It is to be called once, after the
// topics.
func (r *run) input() *finding.Input {
	b := &inputBuilder{run: r, windows: r.gather.windows, in: &finding.Input{StartNs: r.gather.windows.BaseNs, WindowNs: r.gather.windows.WidthNs},
		entities: map[entityKey]int32{}, tables: r.inputTables()}
	b.addNodes()
	b.in.Windows = b.listWindows()
	b.findEntities()
	b.addInstances()
	b.addQuotas()
	b.addRequests()
	b.addParties()
	b.addThreads()
	b.addEdges()
	b.addDisks()
	b.addListeners()
	b.addNodeWindows()
	b.in.ClockErrorNs = r.clockErrorNs()
	return b.in
}

// inputBuilder fills an Input.
type inputBuilder struct {
	*run
	windows replay.Windows
	in      *finding.Input
	tables  inputTables
	nodes   []inputNode
	nodeOf  []int // by capture, index in nodes and in.Nodes

	entities  map[entityKey]int32
	list      []entity
	instances []int32 // of topology.Instances, index in list
	holders   []int32 // of topology.Holders, index in list
	parties   []int32 // index in list; -1: did nothing
}

// inputNode is a host and its captures.
type inputNode struct {
	captures []int32
	has      finding.Coverage // 1: some capture of it recorded the table, else NotRecorded
	faults   bool             // retransmits and resets were recorded
	drops    bool
}

// limit is how many instances, or edges, there may be.
func (b *inputBuilder) limit() int {
	return min(max(maxInputWindows/int(b.windows.Count), minSubjects), maxSubjects)
}

// remark tells the reader, unless this is a baseline.
func (b *inputBuilder) remark(text string, args ...any) {
	b.remarks = append(b.remarks, fmt.Sprintf(text, args...))
}

// addNodes lists the hosts.
func (b *inputBuilder) addNodes() {
	names := map[string]bool{}
	for _, c := range b.captures {
		names[c.Host()] = true
	}
	for name := range names {
		b.in.Nodes = append(b.in.Nodes, finding.Node{Name: name})
	}
	slices.SortFunc(b.in.Nodes, func(a, b finding.Node) int { return strings.Compare(a.Name, b.Name) })
	b.nodes = make([]inputNode, len(b.in.Nodes))
	for i, c := range b.captures {
		at := b.node(c.Host())
		b.nodeOf = append(b.nodeOf, at)
		b.nodes[at].captures = append(b.nodes[at].captures, int32(i))
		b.in.Nodes[at].CPUs = max(b.in.Nodes[at].CPUs, c.Manifest.Host.CPUs)
	}
	for at := range b.nodes {
		n := &b.nodes[at]
		n.has = b.tables.of(n.captures)
		n.faults = slices.ContainsFunc(n.captures, func(c int32) bool { return b.tables.faults[c] })
		n.drops = slices.ContainsFunc(n.captures, func(c int32) bool { return b.tables.drops[c] })
	}
}

// node gives the index of a host, -1: it was not recorded.
func (b *inputBuilder) node(host string) int {
	return slices.IndexFunc(b.in.Nodes, func(n finding.Node) bool { return n.Name == host })
}

// entityKey names an instance as topology and parties do.
type entityKey struct{ service, name, host string }

func (k entityKey) compare(o entityKey) int {
	return cmp.Or(strings.Compare(k.service, o.service), strings.Compare(k.name, o.name), strings.Compare(k.host, o.host))
}

// entity is an instance in the making.
type entity struct {
	entityKey
	index    int // in Input.Instances
	folded   bool
	rest     bool // stands for the folded
	pids     []int32
	threads  int
	requests int64
	onCPUNs  int64
	ios      int64
}

// entity gives the index of an instance in list.
func (b *inputBuilder) entity(k entityKey) int32 {
	i, ok := b.entities[k]
	if !ok {
		i = int32(len(b.list))
		b.entities[k] = i
		b.list = append(b.list, entity{entityKey: k})
	}
	return i
}

// restOf gives the entity that stands for the folded of a host.
func (b *inputBuilder) restOf(host string) int32 {
	i := b.entity(entityKey{topology.OtherProcesses, host + ":" + topology.OtherProcesses, host})
	b.list[i].rest = true
	return i
}

// addPID keeps the lowest ids.
func (e *entity) addPID(pid int32) {
	at, known := slices.BinarySearch(e.pids, pid)
	if pid == 0 || known || at >= maxPIDsListed {
		return
	}
	e.pids = slices.Insert(e.pids, at, pid)
	e.pids = e.pids[:min(len(e.pids), maxPIDsListed)]
}

// findEntities names who did what was gathered, and how much of it.
func (b *inputBuilder) findEntities() {
	for _, i := range b.topology.Instances {
		at := b.entity(entityKey{b.topology.Services[i.Service].Name, i.Name, i.Host})
		b.instances = append(b.instances, at)
		for _, pid := range i.PIDs {
			b.list[at].addPID(pid)
		}
	}
	for _, h := range b.topology.Holders {
		b.holders = append(b.holders, b.entity(entityKey{b.topology.Services[h.Service].Name, h.Name, h.Host}))
	}
	for i, cell := range b.topology.Cells {
		b.list[b.instances[cell.Instance]].requests += b.total.Stats(int32(i)).Requests
	}
	b.findParties()
	b.foldEntities()
}

// findParties adds the processes that ran, waited or did IO. The kernel's threads
// are one for each host.
func (b *inputBuilder) findParties() {
	ios := map[int32]int64{}
	for _, steps := range b.gather.disks {
		for _, d := range steps.Disks {
			for _, w := range d.Windows {
				for party, u := range w.Users {
					ios[party] += u.IOs
				}
			}
		}
	}
	listens := b.listening()
	b.parties = make([]int32, len(b.run.parties().list))
	for i, p := range b.run.parties().list {
		b.parties[i] = -1
		steps := b.partySteps(int32(i))
		k := entityKey{p.Service, p.Instance, p.Host}
		if p.Service == kernelService {
			k.name = p.Host + ":" + kernelService
		}
		if _, known := b.entities[k]; !known && steps.None() && ios[int32(i)] == 0 && !listens[int32(i)] {
			continue
		}
		at := b.entity(k)
		b.parties[i] = at
		e := &b.list[at]
		if p.Service != UnknownProcess {
			e.addPID(p.PID)
		}
		e.threads += steps.Threads
		e.ios += ios[int32(i)]
		for _, step := range steps.CPU {
			e.onCPUNs += step.OnCPUNs
		}
	}
	for i, c := range b.captures {
		if !b.gather.cpu.Captures[i].Rest.None() {
			b.restOf(c.Host())
		}
	}
	if b.gather.cpu.Folded {
		b.remark("processes that came late count as %s of their node in the findings: there are too many", topology.OtherProcesses)
	}
}

// listening gives the parties whose accept queues were seen.
func (b *inputBuilder) listening() map[int32]bool {
	parties := map[int32]bool{}
	for i, steps := range b.gather.network {
		for _, q := range steps.Queues {
			if q.PID != 0 {
				parties[b.party(b.captures[i], q.PID, q.AtNs)] = true
			}
		}
	}
	return parties
}

// foldEntities makes one for each host of those that did least, by requests, CPU
// time and IO, as many as there are too many.
func (b *inputBuilder) foldEntities() {
	least := b.limit()
	if len(b.list) <= least {
		return
	}
	best := make([]int, len(b.list))
	for i := range best {
		best[i] = len(b.list)
	}
	for _, weight := range []func(*entity) int64{
		func(e *entity) int64 { return e.requests },
		func(e *entity) int64 { return e.onCPUNs },
		func(e *entity) int64 { return e.ios },
	} {
		order := b.ordered(func(x, y int) int { return cmp.Compare(weight(&b.list[y]), weight(&b.list[x])) })
		for rank, i := range order {
			best[i] = min(best[i], rank)
		}
	}
	order := b.ordered(func(x, y int) int { return cmp.Compare(best[x], best[y]) })
	folded := 0
	for _, i := range order[least:] {
		if !b.list[i].rest {
			b.list[i].folded = true
			b.restOf(b.list[i].host)
			folded++
		}
	}
	b.remark("%d processes that did least count as %s of their node in the findings: there are too many", folded, topology.OtherProcesses)
}

// ordered gives the indexes of list in an order, of equals by name.
func (b *inputBuilder) ordered(compare func(x, y int) int) []int {
	order := make([]int, len(b.list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(compare(x, y), b.list[x].entityKey.compare(b.list[y].entityKey))
	})
	return order
}

// addInstances lists the instances with empty windows.
func (b *inputBuilder) addInstances() {
	for _, i := range b.ordered(func(int, int) int { return 0 }) {
		e := &b.list[i]
		if e.folded {
			continue
		}
		e.index = len(b.in.Instances)
		node := b.node(e.host)
		in := finding.Instance{
			Service: e.service, Name: e.name, Node: node, PIDs: append([]int32{}, e.pids...), Threads: e.threads,
			LimitCores: finding.NotRecorded, Windows: make([]finding.InstanceWindow, b.windows.Count),
		}
		for w := range in.Windows {
			notRecorded(&in.Windows[w], b.nodes[node].has)
		}
		b.in.Instances = append(b.in.Instances, in)
	}
	for i := range b.list {
		if e := &b.list[i]; e.folded {
			e.index = b.list[b.restOf(e.host)].index
			b.in.Instances[e.index].Threads += e.threads
		}
	}
}

// notRecorded sets the sums of tables that were not recorded.
func notRecorded(w *finding.InstanceWindow, has finding.Coverage) {
	const none = finding.NotRecorded
	w.ThrottledNs = none
	if has.Exchanges < 0 {
		nothing := finding.Requests{Count: none, Errors: none, InFlight: none, Bytes: none, Answers: none}
		w.Served, w.Asked = nothing, nothing
		w.Connects, w.FailedConnects, w.BytesIn, w.BytesOut = none, none, none, none
	}
	if has.Intervals < 0 {
		w.OnCPUNs, w.RunQueueNs, w.Timeslices, w.Voluntary, w.Involuntary = none, none, none, none, none
	}
	if has.OffCPU < 0 {
		for _, wait := range waitsOf(&w.Waits) {
			*wait = finding.Wait{Count: none, TotalNs: none}
		}
	}
	if has.OnCPU < 0 {
		w.OnCPUSamples, w.YieldSamples, w.LockSamples = none, none, none
	}
	if has.Syscalls < 0 {
		w.Syscalls = none
	}
	if has.IOs < 0 {
		w.DiskReadBytes, w.DiskWriteBytes, w.DiskIOs = none, none, none
	}
}

// index gives the Input's window of a window of the requests.
func (b *inputBuilder) index(w int32) int32 {
	return b.windows.Of(b.frame.BaseNs + int64(w)*b.frame.WidthNs)
}

// addRequests adds what was served and asked to the instances.
func (b *inputBuilder) addRequests() {
	for i, cell := range b.topology.Cells {
		in := &b.in.Instances[b.list[b.instances[cell.Instance]].index]
		windows := b.total.Stats(int32(i)).Windows
		for j := range windows {
			from := &windows[j]
			w := &in.Windows[b.index(from.Index)]
			if cell.Client {
				addRequests(&w.Asked, from)
				w.BytesIn += from.Bytes.Answers
				w.BytesOut += from.Bytes.Requests
			} else {
				addRequests(&w.Served, from)
				w.BytesIn += from.Bytes.Requests
				w.BytesOut += from.Bytes.Answers
			}
		}
	}
}

// addRequests adds a window's requests up, without the bytes of streams.
func addRequests(to *finding.Requests, from *request.Window) {
	to.Count += from.Requests
	to.Errors += from.Errors
	to.InFlight += from.InFlight
	to.Bytes += from.Bytes.Requests - from.Streamed.Requests
	to.Answers += from.Bytes.Answers - from.Streamed.Answers
	to.Latency.Merge(&from.Latency)
}
