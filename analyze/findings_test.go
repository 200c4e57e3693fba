package analyze

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/analyze/cpu"
	"kmon/analyze/finding"
	"kmon/format"
)

// inputFrom gives what the rules look at of stories.
func inputFrom(t *testing.T, o Options, stories ...*story) *finding.Input {
	t.Helper()
	var paths []string
	for _, s := range stories {
		paths = append(paths, s.write())
	}
	return inputFromFiles(t, o, paths...)
}

func inputFromFiles(t *testing.T, o Options, paths ...string) *finding.Input {
	t.Helper()
	in, _, err := inputOf(context.Background(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// instanceNamed gives an instance by its service and name.
func instanceNamed(t *testing.T, in *finding.Input, service, name string) (int, *finding.Instance) {
	t.Helper()
	var names []string
	for i := range in.Instances {
		if o := &in.Instances[i]; o.Service == service && o.Name == name {
			return i, o
		}
		names = append(names, in.Instances[i].Service+"/"+in.Instances[i].Name)
	}
	t.Fatalf("no instance %s/%s, there are %q", service, name, names)
	return 0, nil
}

// byWindow gives a number of each window.
func byWindow[T any](windows []T, of func(*T) int64) []int64 {
	list := make([]int64, len(windows))
	for i := range windows {
		list[i] = of(&windows[i])
	}
	return list
}

func total(list []int64) int64 {
	sum := int64(0)
	for _, v := range list {
		sum += v
	}
	return sum
}

// A story of 10 s has two windows of 5 s; what is not aligned to a second has one
// before, of the rest of the first second.
func TestWindowsOfFindings(t *testing.T) {
	in := inputFrom(t, Options{}, busyNode(t).story)
	if in.StartNs != unix0 || in.WindowNs != 5*second || !reflect.DeepEqual(in.Windows, []finding.Window{{}, {}}) {
		t.Errorf("windows from %d of %d: %v", in.StartNs-unix0, in.WindowNs, in.Windows)
	}
	late := busyNode(t)
	late.manifest.Clock.RealtimeNs += 300 * ms
	in = inputFrom(t, Options{}, late.story)
	if want := []finding.Window{{Partial: true}, {}, {Partial: true}}; in.StartNs != unix0-4*second || !reflect.DeepEqual(in.Windows, want) {
		t.Errorf("windows from %d: %v, want %v", in.StartNs-unix0, in.Windows, want)
	}
	in = inputFrom(t, Options{WindowNs: 3 * second}, busyNode(t).story)
	if in.WindowNs != 6*second || len(in.Windows) < 2 {
		t.Errorf("windows of 3 s make %d of %d", len(in.Windows), in.WindowNs)
	}
	in = inputFromFiles(t, Options{}, dropPart(split(t, busyNode(t).write(), 3*second, 4*second), 1)...)
	if want := []finding.Window{{Partial: true}, {}}; !reflect.DeepEqual(in.Windows, want) {
		t.Errorf("beside a gap the windows are %v, want %v", in.Windows, want)
	}
}

func dropPart(paths []string, i int) []string { return slices.Delete(slices.Clone(paths), i, i+1) }

// What instances, threads and edges did, by window, is what the rows say.
func TestInputOfANode(t *testing.T) {
	n := busyNode(t)
	n.samples = []format.OnCPU{
		{TsNs: mono0 + second, PID: 10, TID: 10, StackID: 4}, {TsNs: mono0 + second, PID: 10, TID: 11, StackID: 5},
		{TsNs: mono0 + 6*second, PID: 10, TID: 10, StackID: 2}, {TsNs: mono0 + 6*second, PID: 20, TID: 20},
	}
	n.stack(4, "yield_task_fair do_sched_yield __x64_sys_sched_yield do_syscall_64")
	n.stack(5, "native_queued_spin_lock_slowpath _raw_spin_lock do_futex __x64_sys_futex")
	in := inputFrom(t, Options{}, n.story)
	at, web := instanceNamed(t, in, "web", "node:10")
	w := web.Windows[0]
	if w.Served.Count != 100 || w.Asked.Count != 100 || w.Served.Bytes != 10_000 || w.Asked.Answers != 100_000 || w.Served.Latency.Count() != 100 {
		t.Errorf("web served %+v and asked %+v", w.Served, w.Asked)
	}
	if w.BytesIn != 10_000+100_000 || w.BytesOut != 100_000+10_000 {
		t.Errorf("web had %d in, %d out", w.BytesIn, w.BytesOut)
	}
	if w.OnCPUNs != second+second/2 || web.Windows[1].OnCPUNs != second/2 || w.RunQueueNs != second/10 || w.Voluntary != 40 || web.Threads != 2 {
		t.Errorf("web's threads: %d, did %+v, then %+v", web.Threads, w, web.Windows[1])
	}
	if w.Waits.Poll != (finding.Wait{Count: 500, TotalNs: 4 * second}) || w.Waits.Disk != (finding.Wait{}) {
		t.Errorf("web waited %+v", w.Waits)
	}
	if w.OnCPUSamples != 2 || w.YieldSamples != 1 || w.LockSamples != 1 || web.Windows[1].OnCPUSamples != 1 || web.Windows[1].LockSamples != 0 {
		t.Errorf("web's samples: %+v, %+v", w, web.Windows[1])
	}
	if w.ThrottledNs != finding.NotRecorded || web.LimitCores != finding.NotRecorded || w.DiskReadBytes != finding.NotRecorded {
		t.Errorf("what was not recorded is %d, %g and %d", w.ThrottledNs, web.LimitCores, w.DiskReadBytes)
	}
	var threads []string
	for _, th := range in.Threads {
		threads = append(threads, fmt.Sprintf("%s %d/%d %s %v", in.Instances[th.Instance].Service, th.PID, th.TID, th.Comm,
			byWindow(th.Windows, func(w *finding.ThreadWindow) int64 { return w.OnCPUNs / ms })))
	}
	if want := []string{"batch 20/20 t20 [0 3000]"}; !slices.Equal(threads, want) {
		t.Errorf("threads with half a CPU are %q, want %q", threads, want)
	}
	var edges []string
	for _, e := range in.Edges {
		edges = append(edges, fmt.Sprintf("%s/%d>%s/%d:%d %t %t %v %v", e.Client.Service, e.Client.Index, e.Server.Service, e.Server.Index, e.Port, e.ClientRecorded, e.ServerRecorded,
			byWindow(e.Windows, func(w *finding.EdgeWindow) int64 { return w.AtClient.Count }), byWindow(e.Windows, func(w *finding.EdgeWindow) int64 { return w.AtServer.Count })))
	}
	want := []string{fmt.Sprintf("10.0.0.9/-1>web/%d:80 false true [0 0] [100 0]", at), fmt.Sprintf("web/%d>10.0.0.7:6379/-1:6379 true false [100 0] [0 0]", at)}
	if !slices.Equal(edges, want) {
		t.Errorf("edges are %q, want %q", edges, want)
	}
	node := in.Nodes[0]
	if node.Name != "node" || node.CPUs != 2 || node.Windows[0].OnCPUNs != 1_500_100_000 || node.Windows[1].OnCPUNs != 3_500*ms || node.Windows[0].Drops != finding.NotRecorded {
		t.Errorf("the node is %+v", node)
	}
	if c, want := node.Windows[0].Coverage, (finding.Coverage{Exchanges: 1, Intervals: 1, OffCPU: 1, OnCPU: 1, Syscalls: 1, IOs: -1, NetEvents: -1, AcceptQueues: -1, Limits: -1}); c != want {
		t.Errorf("coverage %+v, want %+v", c, want)
	}
}

// Losses lower the coverage of the windows they fell into, and what nobody counted
// is not covered.
func TestCoverageOfFindings(t *testing.T) {
	n := busyNode(t)
	n.losses = []format.Loss{
		{StartNs: mono0 + 5*second, EndNs: mono0 + 6*second, Collector: "cpu", Table: "intervals", Cause: format.LossStateFull, Count: 6},
		{StartNs: mono0 + 1*second, EndNs: mono0 + 3*second, Collector: "cpu", Table: "offcpu", Cause: format.LossShed, Count: format.LossUncounted},
		{StartNs: mono0, EndNs: mono0 + second, Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 50},
	}
	in := inputFrom(t, Options{}, n.story)
	first, second := in.Nodes[0].Windows[0].Coverage, in.Nodes[0].Windows[1].Coverage
	if first.Intervals != 1 || second.Intervals != 0.25 || first.OffCPU != 0.6 || second.OffCPU != 1 || first.Exchanges != 0.8 || second.Exchanges != 1 {
		t.Errorf("coverage %+v, then %+v", first, second)
	}
	plain := newStory(t, "plain")
	plain.process(10, "web")
	plain.socket(1, format.RoleServer, 10, 0, "10.0.0.1 80", "10.0.0.9 4000")
	plain.exchange(1, 10, ms, 0, ms, 0, 0)
	in = inputFrom(t, Options{}, plain)
	_, web := instanceNamed(t, in, "web", "plain:10")
	if w := web.Windows[0]; w.OnCPUNs != -1 || w.Waits.Lock.Count != -1 || w.OnCPUSamples != -1 || w.Served.Count != 1 || in.Nodes[0].Windows[0].OnCPUNs != -1 {
		t.Errorf("of what was not recorded there is %+v, %+v", w, in.Nodes[0].Windows[0])
	}
	if c := in.Nodes[0].Windows[0].Coverage; c.Exchanges != 1 || c.Intervals != -1 || c.OffCPU != -1 || c.OnCPU != -1 {
		t.Errorf("coverage of what was not recorded is %+v", c)
	}
}

// Both ends of a connection between hosts are one edge, from instance to instance.
func TestEdgesBetweenHosts(t *testing.T) {
	client, server := twoHosts(t, 0, 50)
	client.process(101, "shop")
	client.socket(2, format.RoleClient, 101, 6*second, "10.0.0.1 40001", "10.0.0.2 8080")
	server.socket(2, format.RoleServer, 0, 6*second+ms, "10.0.0.2 8080", "10.0.0.1 40001")
	for i := range int64(7) {
		client.exchange(2, 101, 7*second+i*10*ms, 0, 4*ms, 0, format.ExchangeClient)
		server.exchange(2, 100, 7*second+i*10*ms+2*ms, 0, ms, 0, 0)
	}
	server.listeners = []format.Listener{{TsNs: mono0, NetnsID: 1, Addr: "0.0.0.0", Port: 8080, Protocol: 6, PID: 100}}
	in := inputFrom(t, Options{}, client, server)
	first, _ := instanceNamed(t, in, "shop", "node1:100")
	other, shop := instanceNamed(t, in, "shop", "node1:101")
	cart, _ := instanceNamed(t, in, "cart", "node2:100")
	if len(in.Edges) != 2 {
		t.Fatalf("edges are %+v", in.Edges)
	}
	for i, from := range []int{first, other} {
		e := in.Edges[i]
		count := []int64{50, 7}[i]
		if e.Client.Index != from || e.Server.Index != cart || e.Client.Host != "node1" || e.Server.Host != "node2" || !e.ClientRecorded || !e.ServerRecorded ||
			e.Windows[i].AtClient.Count != count || e.Windows[i].AtServer.Count != count || e.Windows[i].Connects != 1 || e.Windows[1-i].Connects != 0 {
			t.Errorf("edge %d is %+v", i, e)
		}
	}
	if shop.Windows[1].Connects != 1 || shop.Windows[1].FailedConnects != 0 {
		t.Errorf("shop connected %+v", shop.Windows[1])
	}
}

// Whatever the workers and the parts, the rules look at the same.
func TestInputWithAnyWorkersAndParts(t *testing.T) {
	for seed := range uint64(3) {
		path := randomStory(t, 300+seed).write()
		want := inputFromFiles(t, Options{Workers: 1}, path)
		for _, o := range []Options{{Workers: 3}, {Workers: 2, partSockets: 7, partSegments: 1}} {
			if got := inputFromFiles(t, o, path); !reflect.DeepEqual(got, want) {
				t.Errorf("seed %d: with %+v the input is another", seed, o)
			}
		}
		checkInput(t, analyzedFiles(t, path), want)
	}
}

// A real capture: the windows add up to what the Analysis says.
func TestInputOfARealCapture(t *testing.T) {
	path := "../testdata/captures/v1/shop.kmon"
	a, in := analyzedFiles(t, path), inputFromFiles(t, Options{}, path)
	checkInput(t, a, in)
	whole, both := 0, 0
	for _, w := range in.Windows {
		if !w.Partial {
			whole++
		}
	}
	for _, e := range in.Edges {
		if e.Client.Index >= 0 && e.Server.Index >= 0 && e.ClientRecorded && e.ServerRecorded {
			both++
		}
	}
	if whole < 3 || both < 4 || len(in.Nodes) != 1 || len(in.Instances) < 6 {
		t.Errorf("%d whole windows, %d edges with both ends, %d nodes, %d instances", whole, both, len(in.Nodes), len(in.Instances))
	}
}

// checkInput holds the sums over windows to the totals of the Analysis.
func checkInput(t *testing.T, a *Analysis, in *finding.Input) {
	t.Helper()
	type sums struct{ served, errors, inFlight, in, out, onCPU, timeslices int64 }
	byService := map[string]*sums{}
	for i := range in.Instances {
		o := &in.Instances[i]
		if byService[o.Service] == nil {
			byService[o.Service] = new(sums)
		}
		s := byService[o.Service]
		for _, w := range o.Windows {
			s.served += w.Served.Count
			s.errors += w.Served.Errors
			s.inFlight += w.Served.InFlight
			s.in += w.BytesIn
			s.out += w.BytesOut
			s.onCPU += max(w.OnCPUNs, 0)
			s.timeslices += max(w.Timeslices, 0)
		}
	}
	for _, s := range a.Services {
		got := byService[s.Name]
		if got == nil || s.Ends != "server" {
			continue
		}
		if got.served != s.Requests || got.inFlight != s.InFlight || got.in != s.BytesIn || got.out != s.BytesOut {
			t.Errorf("%s: the windows have %+v, the service %d requests, %d in flight, %d bytes in and %d out", s.Name, got, s.Requests, s.InFlight, s.BytesIn, s.BytesOut)
		}
		if s.CPU != nil && (got.onCPU != s.CPU.OnCPUNs || got.timeslices != s.CPU.Timeslices) {
			t.Errorf("%s: the windows have %+v, the service %+v", s.Name, got, s.CPU)
		}
	}
	requests, failed := map[string]int64{}, map[string]int64{}
	for i := range in.Edges {
		e := &in.Edges[i]
		name := fmt.Sprintf("%s>%s:%d", e.Client.Service, e.Server.Service, e.Port)
		for _, w := range e.Windows {
			requests[name+" server"] += w.AtServer.Count
			requests[name+" client"] += w.AtClient.Count
			failed[name] += w.FailedConnects
		}
	}
	for _, e := range a.Edges {
		name := fmt.Sprintf("%s>%s:%d", e.Client, e.Server, e.ServerPort)
		end := " client"
		if e.Ends != "client" {
			end = " server"
		}
		if requests[name+end] != e.Requests || failed[name] != e.Failed {
			t.Errorf("%s: the windows have %d requests and %d failed connects, the edge %d and %d", name, requests[name+end], failed[name], e.Requests, e.Failed)
		}
	}
}

// Sums of what threads did are exact, also of rows that straddle windows.
func TestInputAddsUp(t *testing.T) {
	n := newNode(t, "node")
	r := rand.New(rand.NewPCG(5, 5))
	for pid := int32(1); pid < 40; pid++ {
		n.process(pid, fmt.Sprintf("job%d", pid%7))
		for at := int64(0); at < 9; at += 1 + r.Int64N(3) {
			n.intervals = append(n.intervals, format.Interval{
				StartNs: mono0 + at*second + 300*ms, EndNs: mono0 + min(at+5, 10)*second, PID: pid, TID: pid, Comm: "t",
				OnCPUNs: r.Int64N(second), RunQueueNs: r.Int64N(second), Timeslices: r.Int64N(100), Voluntary: r.Int64N(100), Involuntary: r.Int64N(9),
			})
		}
	}
	path := n.write()
	a, in := analyzedFiles(t, path), inputFromFiles(t, Options{}, path)
	for _, s := range a.Services {
		want := cpu.Account{OnCPUNs: s.CPU.OnCPUNs, RunQueueNs: s.CPU.RunQueueNs, Timeslices: s.CPU.Timeslices, Voluntary: s.CPU.Voluntary, Involuntary: s.CPU.Involuntary}
		if sum := cpuOf(in, s.Name); sum != want {
			t.Errorf("%s: the windows have %+v, the service %+v", s.Name, sum, want)
		}
	}
	if len(a.Services) < 7 {
		t.Errorf("%d services", len(a.Services))
	}
}

// cpuOf adds the sums of a service up.
func cpuOf(in *finding.Input, service string) (sum cpu.Account) {
	for i := range in.Instances {
		if in.Instances[i].Service != service {
			continue
		}
		for _, w := range in.Instances[i].Windows {
			sum.Add(&cpu.Account{OnCPUNs: w.OnCPUNs, RunQueueNs: w.RunQueueNs, Timeslices: w.Timeslices, Voluntary: w.Voluntary, Involuntary: w.Involuntary})
		}
	}
	return sum
}

// Disks: classes and users by window add up to the disk's, and its busy time is the
// union of what was in the device.
func TestInputOfADisk(t *testing.T) {
	s := newStory(t, "node")
	s.withBlock()
	s.process(10, "db")
	s.disk(8<<20, 0, "sda", "disk", 1<<30)
	s.io(8<<20, 10, second, ms, 4*ms, format.OperationRead, 4096)
	s.io(8<<20, 10, second+2*ms, ms, 4*ms, format.OperationRead, 4096) // one in the device with the first
	s.io(8<<20, 99, 2*second, 0, 10*ms, format.OperationWrite, 1<<16)
	s.io(8<<20, 10, 4*second+999*ms, 0, 3*ms, format.OperationRead, 8192).Error = 5
	s.io(8<<20, 10, 9*second, 0, second, format.OperationRead, 0).Flags = format.IOOpen
	in := inputFrom(t, Options{}, s)
	db, instance := instanceNamed(t, in, "db", "node:10")
	d := in.Disks[0]
	if len(in.Disks) != 1 || d.Name != "sda" || d.Node != 0 || d.Windows[0].LimitedNs != finding.NotRecorded {
		t.Fatalf("disks are %+v", in.Disks)
	}
	if got, want := byWindow(d.Windows, func(w *finding.DiskWindow) int64 { return w.BusyNs }), []int64{6*ms + 10*ms + ms, 2*ms + second}; !slices.Equal(got, want) {
		t.Errorf("busy %v, want %v", got, want)
	}
	w := d.Windows[0]
	var classes []string
	for _, c := range w.Classes {
		classes = append(classes, fmt.Sprintf("%s %d: %d %d %d %d", c.Operation, c.SizeTo, c.IOs, c.Bytes, c.Device.Count(), c.Queue.Count()))
	}
	if want := []string{"read 4096: 2 8192 2 2", "read 8192: 1 8192 1 0", "write 65536: 1 65536 1 0"}; !slices.Equal(classes, want) || w.Errors != 1 || len(d.Windows[1].Classes) != 0 {
		t.Errorf("classes are %q, want %q; errors %d", classes, want, w.Errors)
	}
	if len(w.Users) != 2 || !slices.Contains(w.Users, finding.DiskUser{Instance: db, IOs: 3, Bytes: 16384, TotalNs: 13 * ms}) {
		t.Errorf("users are %+v", w.Users)
	}
	if i := instance.Windows[0]; i.DiskReadBytes != 16384 || i.DiskWriteBytes != 0 || instance.Windows[1].DiskReadBytes != 0 {
		t.Errorf("db read %d", i.DiskReadBytes)
	}
	if c := in.Nodes[0].Windows[0].Coverage.IOs; c != 1 {
		t.Errorf("coverage %g", c)
	}
}

// Faults are on the edge of their socket; a reset that both ends saw is one.
func TestInputOfFaults(t *testing.T) {
	s := loopback(t, 20)
	s.withDrop()
	client, server := s.sockets[0], s.sockets[1]
	event := func(kind format.NetEventKind, socket int64, at, count int64) {
		e := s.event(kind, "", 0, at, count, "127.0.0.1 40000", "127.0.0.1 8080")
		e.SocketID, e.Protocol = socket, 6
	}
	event(format.NetRetransmit, client.SocketID, second, 3)
	event(format.NetRetransmit, server.SocketID, 6*second, 2)
	event(format.NetResetSent, server.SocketID, 7*second, 1)
	event(format.NetResetReceived, client.SocketID, 7*second, 1)
	event(format.NetRetransmit, 0, second, 100)
	event(format.NetDrop, 0, 8*second, 5)
	s.queues = []format.AcceptQueue{
		{TsNs: mono0 + second, NetnsID: 1, Addr: "127.0.0.1", Port: 8080, PID: server.PID, Depth: 4, Limit: 128},
		{TsNs: mono0 + 8*second, NetnsID: 1, Addr: "127.0.0.1", Port: 8080, PID: server.PID, Depth: 9, Limit: 128, Overflows: 2},
	}
	in := inputFrom(t, Options{}, s)
	if len(in.Edges) != 1 {
		t.Fatalf("edges are %+v", in.Edges)
	}
	e := in.Edges[0]
	if got := byWindow(e.Windows, func(w *finding.EdgeWindow) int64 { return w.Retransmits }); !slices.Equal(got, []int64{3, 2}) {
		t.Errorf("retransmits %v", got)
	}
	if got := byWindow(e.Windows, func(w *finding.EdgeWindow) int64 { return w.Resets }); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("resets %v", got)
	}
	if n := in.Nodes[0].Windows; n[0].Drops != 0 || n[1].Drops != 5 {
		t.Errorf("drops %+v", n)
	}
	if len(in.Listeners) != 1 {
		t.Fatalf("listeners are %+v", in.Listeners)
	}
	l := in.Listeners[0]
	if want := []finding.ListenerWindow{{MaxDepth: 4}, {MaxDepth: 9, Overflows: 2}}; l.Address != "127.0.0.1:8080" || l.Limit != 128 || !reflect.DeepEqual(l.Windows, want) ||
		l.Instance != e.Server.Index || l.Instance < 0 {
		t.Errorf("the listener is %+v", l)
	}
	plain := inputFrom(t, Options{}, loopback(t, 20))
	if w := plain.Edges[0].Windows[0]; w.Retransmits != finding.NotRecorded || w.Resets != finding.NotRecorded || plain.Nodes[0].Windows[0].Drops != finding.NotRecorded {
		t.Errorf("without the collector there are %+v", w)
	}
}

// Too many processes: those that did least are one, nothing is lost, and it is said.
func TestInputIsBounded(t *testing.T) {
	n := newNode(t, "node")
	want := int64(0)
	for i := range int32(3000) {
		n.process(100+i, fmt.Sprintf("job%04d", i))
		n.ran(100+i, 100+i, 0, int64(i)*ms, 0)
		want += int64(i) * ms
		id := int64(i)
		n.socket(id+1, format.RoleClient, 100+i, second, fmt.Sprintf("10.0.0.1 %d", 10000+i), fmt.Sprintf("10.1.%d.%d 80", i/200, i%200))
		n.exchange(id+1, 100+i, second+id*ms, 0, ms, 0, format.ExchangeClient)
	}
	path := n.write()
	in := inputFromFiles(t, Options{}, path)
	if len(in.Instances) > maxSubjects+1 || len(in.Edges) > maxSubjects || len(in.Threads) > maxInputThreads {
		t.Errorf("%d instances, %d edges, %d threads", len(in.Instances), len(in.Edges), len(in.Threads))
	}
	onCPU, asked, edges := int64(0), int64(0), int64(0)
	for i := range in.Instances {
		for _, w := range in.Instances[i].Windows {
			onCPU += w.OnCPUNs
			asked += w.Asked.Count
		}
	}
	for i := range in.Edges {
		edges += total(byWindow(in.Edges[i].Windows, func(w *finding.EdgeWindow) int64 { return w.AtClient.Count }))
	}
	if onCPU != want || asked != 3000 || edges != 3000 {
		t.Errorf("windows have %d of %d ns, %d and %d of 3000 requests", onCPU, want, asked, edges)
	}
	said := strings.Join(analyzedFiles(t, path).Warnings, "\n")
	if !strings.Contains(said, "processes that did least count as other processes of their node in the findings") || !strings.Contains(said, "edges between processes with few requests are folded for findings") {
		t.Errorf("warnings %q", said)
	}
}

// A baseline is named; what it holds is an input of its own. Without one there is
// none.
func TestBaseline(t *testing.T) {
	path, base := busyNode(t).write(), busyNode(t).write()
	a, err := Run(context.Background(), []string{path}, Options{Baseline: []string{base}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Baseline, []string{"node.kmon"}) || a.Findings == nil || a.Checks == nil || a.RulesVersion != finding.DefaultRules().Version || a.RulesChanged != nil {
		t.Errorf("baseline %q, rules %d, changed %q", a.Baseline, a.RulesVersion, a.RulesChanged)
	}
	rules, err := finding.DefaultRules().Override(fmt.Appendf(nil, "version: %d\nall:\n  min_windows: 7\n", finding.DefaultRules().Version))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = Run(context.Background(), []string{path}, Options{Rules: rules}); err != nil || !slices.Equal(a.RulesChanged, []string{"all.min_windows=7"}) || a.Baseline != nil {
		t.Errorf("%v: baseline %q, changed %q", err, a.Baseline, a.RulesChanged)
	}
	if _, err = Run(context.Background(), []string{path}, Options{Baseline: []string{path + ".missing"}}); err == nil || !strings.HasPrefix(err.Error(), "baseline: ") {
		t.Errorf("a missing baseline gives %v", err)
	}
}

// Requests that both hosts saw tell by how much their clocks differ, and how sure
// that is.
func TestClocksOfFindings(t *testing.T) {
	for _, ahead := range []int64{0, 55 * ms, -55 * ms} {
		client, server := twoHosts(t, ahead, 50)
		a := analyzed(t, Options{}, client, server)
		peers := a.Captures[1].Clock.Peers
		if len(peers) != 1 || peers[0].Host != "node1" || peers[0].Source != "requests" || peers[0].ErrorNs == nil || *peers[0].ErrorNs != 1500*1000 ||
			max(peers[0].AheadNs-ahead, ahead-peers[0].AheadNs) > *peers[0].ErrorNs {
			t.Errorf("%d ns ahead: %+v", ahead, peers)
		}
		client, server = twoHosts(t, ahead, 50)
		if in := inputFrom(t, Options{}, client, server); in.ClockErrorNs < max(ahead, -ahead) || in.ClockErrorNs > max(ahead, -ahead)+3*ms {
			t.Errorf("%d ns ahead: the clocks may differ by %d", ahead, in.ClockErrorNs)
		}
	}
	if in := inputFrom(t, Options{}, newStory(t, "a"), newStory(t, "b")); in.ClockErrorNs != unknownClockNs {
		t.Errorf("of clocks never compared the error is %d", in.ClockErrorNs)
	}
	if in := inputFrom(t, Options{}, newStory(t, "a")); in.ClockErrorNs != 0 {
		t.Errorf("one clock differs from itself by %d", in.ClockErrorNs)
	}
}

// Clocks that are far apart are set by each other: what happened on both hosts at once
// stands in one window, and who reads the report is told.
func TestClocksAreAligned(t *testing.T) {
	for _, ahead := range []int64{7 * second, -7 * second} {
		client, server := twoHosts(t, ahead, 50)
		a := analyzed(t, Options{}, client, server)
		shift := a.Captures[1].Clock.ShiftNs
		if off := shift + ahead; max(off, -off) > 2*ms || a.Captures[0].Clock.ShiftNs != 0 {
			t.Errorf("%d ns ahead: shifted by %d and %d", ahead, a.Captures[0].Clock.ShiftNs, shift)
		}
		if start := a.Captures[1].StartNs - a.Captures[0].StartNs; max(start, -start) > 2*ms {
			t.Errorf("%d ns ahead: the captures begin %d ns apart", ahead, start)
		}
		want := "the clock of node2 is ahead: its times are put back 7.0 s, as requests tell"
		if ahead < 0 {
			want = "the clock of node2 is behind: its times are put forward 7.0 s, as requests tell"
		}
		if text := strings.Join(a.Warnings, "\n"); !strings.Contains(text, want) {
			t.Errorf("%d ns ahead: warnings %q", ahead, a.Warnings)
		}
		client, server = twoHosts(t, ahead, 50)
		if in := inputFrom(t, Options{}, client, server); in.ClockErrorNs > 5*ms || len(in.Windows) > 4 {
			t.Errorf("%d ns ahead: %d windows, the clocks may differ by %d", ahead, len(in.Windows), in.ClockErrorNs)
		}
	}
}

// Of three clocks the one that is apart from both others is wrong.
func TestMiddleClock(t *testing.T) {
	ahead := map[string]int64{"a": 0, "b": -5 * second, "c": -5*second + ms}
	if got := middleClock([]string{"a", "b", "c"}, ahead); got != -5*second+ms && got != -5*second {
		t.Errorf("the middle of %v is %d", ahead, got)
	}
}

// Quotas and limits of IO are of the processes and disks of their cgroup; of what
// two cgroups tell of one above them half is left out.
func TestInputOfLimits(t *testing.T) {
	n := newNode(t, "node")
	n.withBlock()
	n.manifest.Collectors = append(n.manifest.Collectors, format.Collector{Name: "proc", Variants: map[string]string{"limits": "cgroup2"}})
	for pid, cgroup := range map[int32]string{10: "/pod/a", 11: "/pod/b", 12: "/free"} {
		p := n.process(pid, "web")
		p.Cgroup, p.Instance = cgroup, "pod"
		if pid == 12 {
			p.Service, p.Instance = "free", "free"
		}
		n.ran(pid, pid, 0, second, 0)
	}
	n.disk(8<<20, 0, "sda", "disk", 1<<30)
	n.io(8<<20, 10, second, 0, ms, format.OperationRead, 4096)
	row := func(cgroup string, at, length int64) format.Limit {
		return format.Limit{StartNs: mono0 + at, EndNs: mono0 + at + length, Cgroup: cgroup, SetBy: "/pod", ReadBytes: -1, WriteBytes: -1, Reads: -1, Writes: -1}
	}
	var rows []format.Limit
	for _, cgroup := range []string{"/pod/a", "/pod/b"} {
		cpu := row(cgroup, 4*second, 2*second)
		cpu.QuotaNs, cpu.PeriodNs, cpu.ThrottledNs = 50*ms, 100*ms, second
		disk := row(cgroup, second, second)
		disk.DeviceID, disk.ReadBytesPerS, disk.ReadBytes = 8<<20, 1000, 960
		idle := row(cgroup, 2*second, second)
		idle.DeviceID, idle.ReadBytesPerS, idle.ReadBytes = 8<<20, 1000, 100
		rows = append(rows, cpu, disk, idle)
	}
	n.more = append(n.more, func(w *format.Writer) { add(t, w, rows) })
	in := inputFrom(t, Options{}, n.story)
	_, web := instanceNamed(t, in, "web", "pod")
	_, free := instanceNamed(t, in, "free", "free")
	throttled := func(w *finding.InstanceWindow) int64 { return w.ThrottledNs }
	if got := byWindow(web.Windows, throttled); web.LimitCores != 0.5 || !slices.Equal(got, []int64{second / 2, second / 2}) {
		t.Errorf("web has %g CPUs and was throttled %v", web.LimitCores, got)
	}
	if got := byWindow(free.Windows, throttled); free.LimitCores != 0 || !slices.Equal(got, []int64{0, 0}) {
		t.Errorf("free has %g CPUs and was throttled %v", free.LimitCores, got)
	}
	if got := byWindow(in.Disks[0].Windows, func(w *finding.DiskWindow) int64 { return w.LimitedNs }); !slices.Equal(got, []int64{second, 0}) {
		t.Errorf("the disk was at a limit for %v", got)
	}
	if c := in.Nodes[0].Windows[0].Coverage.Limits; c != 1 {
		t.Errorf("coverage %g", c)
	}
}
