package compare

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"kmon/analyze"
	"kmon/analyze/finding"
	"kmon/analyze/topology"
)

// outside stands for clients that are addresses: each run has others.
const outside = "clients outside"

// run is what is kept of one recording.
type run struct {
	info RunInfo
	grid
	subjects map[key]*series
	// intervalNs is how long the recorder's intervals were; 0: nothing was added up
	// over intervals.
	intervalNs int64
	// counted are the settings of system calls: others counted other calls.
	counted string
	entries map[string]bool // services that are asked from outside
	entry   []step          // what was asked from outside
}

// gather analyzes a recording.
func gather(ctx context.Context, r Recording, o *Options, flames *flameSums) (*run, error) {
	a, in, err := analyze.Windowed(ctx, r.Paths, analyze.Options{WindowNs: o.WindowNs, Workers: o.Workers, Version: o.Version})
	if err != nil {
		return nil, err
	}
	if flames != nil {
		flames.add(a)
	}
	g := &run{subjects: map[key]*series{}}
	g.describe(a)
	g.info.Name = r.Name
	g.addGrid(in)
	external := map[string]bool{}
	for _, s := range a.Services {
		external[s.Name] = s.External
	}
	g.addServices(in)
	g.addEdges(in, external)
	g.findEntries()
	return g, nil
}

// describe fills info from the captures.
func (g *run) describe(a *analyze.Analysis) {
	g.info = RunInfo{StartNs: a.StartNs, DurationNs: a.EndNs - a.StartNs, Problems: []string{}, Coverage: []Coverage{}}
	least := map[string]float64{}
	for i := range a.Captures {
		c := &a.Captures[i]
		g.info.Files = append(g.info.Files, c.File)
		g.info.SHA256 = append(g.info.SHA256, c.SHA256)
		g.info.Hosts = append(g.info.Hosts, c.Host)
		g.info.Kernels = append(g.info.Kernels, c.Kernel)
		g.info.Versions = append(g.info.Versions, c.KmonVersion)
		g.info.Synthetic = g.info.Synthetic || c.Synthetic != ""
		g.info.Problems = append(g.info.Problems, c.Problems...) // they name the file
		if !c.EndsInOrder() {
			g.info.Problems = append(g.info.Problems, c.File+": it ends before its recording did")
		}
		for range c.Gaps {
			g.info.Problems = append(g.info.Problems, c.File+": a part is missing")
		}
		for _, t := range c.Coverage {
			if known, ok := least[t.Table]; !ok || t.Ratio < known {
				least[t.Table] = t.Ratio
			}
		}
		g.settings(c)
	}
	for table, ratio := range least {
		g.info.Coverage = append(g.info.Coverage, Coverage{table, ratio})
	}
	slices.SortFunc(g.info.Coverage, func(a, b Coverage) int { return strings.Compare(a.Table, b.Table) })
	g.info.Damaged = len(g.info.Problems) > 0
}

// settings keeps what the recorder's sums depend on.
func (g *run) settings(c *analyze.Capture) {
	for _, k := range c.Collectors {
		for setting := range strings.SplitSeq(k.Settings, ", ") {
			name, value, _ := strings.Cut(setting, "=")
			if ns, err := strconv.ParseInt(value, 10, 64); name == "interval_ns" && err == nil && ns > 0 {
				g.intervalNs = max(g.intervalNs, ns)
			}
		}
		if k.Name == "syscall" {
			g.counted = cmp.Or(g.counted, k.Settings)
		}
	}
}

// addGrid says which windows were recorded, and how much of them on the node with
// the least.
func (g *run) addGrid(in *finding.Input) {
	g.startNs, g.widthNs = in.StartNs, in.WindowNs
	for i, w := range in.Windows {
		g.usable = append(g.usable, !w.Partial)
		if w.Partial {
			g.info.Partial++
		}
		least := [tables]float64{}
		for t := range least {
			least[t] = math.NaN()
		}
		for _, n := range in.Nodes {
			c := n.Windows[i].Coverage
			for t, v := range [tables]float64{exchanges: c.Exchanges, intervals: c.Intervals, netEvents: c.NetEvents, calls: c.Syscalls, blockIOs: c.IOs} {
				if v >= 0 && !(least[t] <= v) {
					least[t] = v
				}
			}
		}
		for t, v := range least {
			g.coverage[t] = append(g.coverage[t], v)
		}
	}
}

// at gives the series of a subject, with empty windows when it is new.
func (g *run) at(k key) *series {
	s := g.subjects[k]
	if s == nil {
		s = &series{key: k, steps: make([]step, len(g.usable))}
		g.subjects[k] = s
	}
	return s
}

// addServices adds the instances up by service. Names that stand for what happens to
// be left over are no service.
func (g *run) addServices(in *finding.Input) {
	for i := range in.Instances {
		instance := &in.Instances[i]
		switch instance.Service {
		case topology.OtherProcesses, analyze.UnknownProcess, "":
			continue
		}
		s := g.at(key{service: instance.Service})
		for w := range instance.Windows {
			s.steps[w].addInstance(&instance.Windows[w])
		}
	}
}

// recorded turns a sum of package finding into one of a step.
func recorded(v int64) float64 {
	if v == finding.NotRecorded {
		return math.NaN()
	}
	return float64(v)
}

func (s *step) addInstance(w *finding.InstanceWindow) {
	for q, v := range [quantities]int64{
		requests: w.Served.Count, asked: w.Asked.Count, errs: w.Served.Errors,
		requestBytes: w.Served.Bytes, answerBytes: w.Served.Answers,
		onCPU: w.OnCPUNs, runQueue: w.RunQueueNs, voluntary: w.Voluntary, involuntary: w.Involuntary,
		syscalls: w.Syscalls, ios: w.DiskIOs, diskBytes: disk(w),
	} {
		s.sums[q] += recorded(v)
	}
	s.latency.Merge(&w.Served.Latency)
}

func disk(w *finding.InstanceWindow) int64 {
	if w.DiskReadBytes == finding.NotRecorded {
		return finding.NotRecorded
	}
	return w.DiskReadBytes + w.DiskWriteBytes
}

// addEdges adds the edges between instances up by service and port. What a client
// saw counts where its end was recorded: it holds the network and the queue.
func (g *run) addEdges(in *finding.Input, external map[string]bool) {
	name := func(service string) string {
		if external[service] || service == topology.OtherExternal || service == topology.UnknownPeer {
			return outside
		}
		return service
	}
	for i := range in.Edges {
		e := &in.Edges[i]
		server := e.Server.Service
		if server == topology.OtherExternal || server == topology.UnknownPeer {
			continue
		}
		s := g.at(key{client: name(e.Client.Service), server: server, port: e.Port})
		if end := endOf(e); s.end == "" || s.end == end {
			s.end = end
		} else {
			s.end = "mixed"
		}
		for w := range e.Windows {
			s.steps[w].addEdge(&e.Windows[w], e.ClientRecorded)
		}
	}
}

func endOf(e *finding.Edge) string {
	if e.ClientRecorded {
		return "client"
	}
	return "server"
}

func (s *step) addEdge(w *finding.EdgeWindow, client bool) {
	r := &w.AtServer
	if client {
		r = &w.AtClient
	}
	for q := range s.sums {
		switch quantity(q) {
		case requests:
			s.sums[q] += float64(r.Count + w.FailedConnects)
		case errs:
			s.sums[q] += float64(r.Errors + w.FailedConnects)
		case requestBytes:
			s.sums[q] += float64(r.Bytes)
		case answerBytes:
			s.sums[q] += float64(r.Answers)
		case retransmits:
			s.sums[q] += recorded(w.Retransmits)
		default:
			s.sums[q] = math.NaN()
		}
	}
	s.latency.Merge(&r.Latency)
}

// findEntries finds the services that are asked from outside, or by services that
// nobody asks, and adds up what was asked of them.
func (g *run) findEntries() {
	serves := map[string]bool{}
	for k, s := range g.subjects {
		if k.service == "" && s.total(requests) > 0 {
			serves[k.server] = true
		}
	}
	g.entries, g.entry = map[string]bool{}, make([]step, len(g.usable))
	for _, k := range g.keys() {
		s := g.subjects[k]
		if k.service != "" || serves[k.client] || s.total(requests) == 0 {
			continue
		}
		g.entries[k.server] = true
		for i := range s.steps {
			g.entry[i].add(&s.steps[i])
		}
	}
}

// keys gives the subjects, sorted.
func (g *run) keys() []key {
	list := make([]key, 0, len(g.subjects))
	for k := range g.subjects {
		list = append(list, k)
	}
	slices.SortFunc(list, key.compare)
	return list
}

func (k key) compare(o key) int {
	return cmp.Or(strings.Compare(k.service, o.service), strings.Compare(k.client, o.client), strings.Compare(k.server, o.server), cmp.Compare(k.port, o.port))
}

// subject writes a key for the result.
func (k key) subject() Subject {
	if k.service != "" {
		return Subject{Type: "service", Name: k.service, Service: k.service}
	}
	name := k.client + " → " + k.server
	if k.port != 0 {
		name = fmt.Sprintf("%s:%d", name, k.port)
	}
	return Subject{Type: "edge", Name: name, Client: k.client, Server: k.server, Port: k.port}
}
