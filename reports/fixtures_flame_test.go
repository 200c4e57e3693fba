package reports

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"kmon/analyze"
)

// profiler builds a profile from stacks, callers first.
type profiler struct {
	p      *analyze.Profile
	frames map[string]int32
	nodes  map[analyze.ProfileNode]int32
	on     map[[2]int32]int64
	off    map[[2]int32]int64
}

func newProfiler(bucketNs int64) *profiler {
	return &profiler{
		&analyze.Profile{StartNs: start, BucketNs: bucketNs, SampleNs: second / 99, IntervalNs: 5 * second},
		map[string]int32{}, map[analyze.ProfileNode]int32{}, map[[2]int32]int64{}, map[[2]int32]int64{},
	}
}

// node gives the path of a stack, making what is new.
func (b *profiler) node(service string, stack ...analyze.ProfileFrame) int32 {
	parent := int32(-1)
	for _, f := range append([]analyze.ProfileFrame{{Name: service, Kind: "service"}}, stack...) {
		key := f.Name + "\x00" + f.Module + "\x00" + f.Kind
		if _, known := b.frames[key]; !known {
			b.frames[key] = int32(len(b.p.Frames))
			b.p.Frames = append(b.p.Frames, f)
		}
		n := analyze.ProfileNode{Parent: parent, Frame: b.frames[key]}
		if _, known := b.nodes[n]; !known {
			b.nodes[n] = int32(len(b.p.Nodes))
			b.p.Nodes = append(b.p.Nodes, n)
		}
		parent = b.nodes[n]
	}
	return parent
}

// cellsOf are counts by bucket and node, in order.
func cellsOf(counts map[[2]int32]int64) []analyze.ProfileCell {
	list := []analyze.ProfileCell{}
	for at, n := range counts {
		list = append(list, analyze.ProfileCell{Bucket: at[0], Node: at[1], Value: n})
	}
	slices.SortFunc(list, func(a, b analyze.ProfileCell) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Node, b.Node))
	})
	return list
}

// profile gives what was counted.
func (b *profiler) profile() *analyze.Profile {
	b.p.OnCPU, b.p.OffCPU = cellsOf(b.on), cellsOf(b.off)
	return b.p
}

func user(name string) analyze.ProfileFrame {
	return analyze.ProfileFrame{Name: name, Module: "cart", Kind: "user"}
}

func kernel(name string) analyze.ProfileFrame {
	return analyze.ProfileFrame{Name: name, Module: "kernel", Kind: "kernel"}
}

// busyShop is the shop with stacks, heat maps and a disk.
func busyShop() *analyze.Analysis {
	a := shop()
	b := newProfiler(20 * millisecond)
	stacks := []int32{
		b.node("cart", user("main.main"), user("net/http.(*conn).serve"), user("cart.(*Server).Price"), user("crypto/sha256.block")),
		b.node("cart", user("main.main"), user("net/http.(*conn).serve"), user("encoding/json.Marshal")),
		b.node("cart", user("main.main"), user("net/http.(*conn).serve"), kernel("entry_SYSCALL_64_after_hwframe"), kernel("do_syscall_64"), kernel("tcp_sendmsg")),
		b.node("postgres", user("PostgresMain"), user("exec_simple_query"), user("ExecutorRun"), user("ExecSeqScan")),
		b.node("postgres", user("PostgresMain"), user("exec_simple_query"), analyze.ProfileFrame{Name: "memcpy", Module: "libc.so.6", Kind: "user", Approximate: true}),
		b.node("redis", user("main"), user("aeMain"), user("processCommand")),
	}
	waits := []int32{
		b.node("postgres", analyze.ProfileFrame{Name: "disk wait (D)", Kind: "state"}, user("PostgresMain"), user("FileRead"), kernel("io_schedule")),
		b.node("cart", analyze.ProfileFrame{Name: "sleeping (S)", Kind: "state"}, user("main.main"), kernel("futex_wait_queue")),
	}
	for bucket := range int32(60 * 50) {
		for i, node := range stacks {
			n := int64(2 + 2*math.Sin(float64(bucket)/37+float64(i)))
			if bucket/50 >= 24 && bucket/50 < 31 && i < 3 {
				n = 0 // the cart hangs
			}
			if n > 0 {
				b.on[[2]int32{bucket, node}] = n
			}
		}
		if bucket%250 == 0 {
			b.off[[2]int32{bucket, waits[0]}] = 3*millisecond + int64(bucket)*1001
			b.off[[2]int32{bucket, waits[1]}] = 90 * millisecond
		}
	}
	a.Profile = b.profile()
	a.Flames = []analyze.FlameTree{treeOf(a.Profile, "on-cpu"), treeOf(a.Profile, "off-cpu")}
	a.HeatMaps = []analyze.HeatMap{secondsOf(a.Profile), latencyMap("frontend → cart:8081", 60), latencyMap("cart → redis:6379", 60)}
	a.Disks = []analyze.Disk{shopDisk()}
	return a
}

// inclusive is the value of each node with what it called.
func inclusive(p *analyze.Profile, cells []analyze.ProfileCell) []int64 {
	sums := make([]int64, len(p.Nodes))
	for _, c := range cells {
		sums[c.Node] += c.Value
	}
	for i := len(sums) - 1; i >= 0; i-- {
		if parent := p.Nodes[i].Parent; parent >= 0 {
			sums[parent] += sums[i]
		}
	}
	return sums
}

// treeOf merges a profile over time.
func treeOf(p *analyze.Profile, kind string) analyze.FlameTree {
	t := analyze.FlameTree{Functions: []analyze.FlameFunction{}, Paths: []analyze.FlamePath{}, Kind: kind, Unit: "samples", NsPerUnit: p.SampleNs}
	cells := p.OnCPU
	if kind == "off-cpu" {
		t.Unit, t.NsPerUnit, cells = "ns", 1, p.OffCPU
	}
	sums := inclusive(p, cells)
	for i, n := range p.Nodes {
		if n.Parent < 0 {
			t.Total += sums[i]
		}
	}
	t.Root = analyze.FlameNode{Name: "all services", Value: t.Total}
	var below func(parent int32) []analyze.FlameNode
	below = func(parent int32) (list []analyze.FlameNode) {
		for i, n := range p.Nodes {
			if n.Parent == parent && sums[i] > 0 {
				f := p.Frames[n.Frame]
				list = append(list, analyze.FlameNode{Name: f.Name, Module: f.Module, Kind: f.Kind, Approximate: f.Approximate, Value: sums[i], Children: below(int32(i))})
			}
		}
		return list
	}
	t.Root.Children = below(-1)
	return t
}

// secondsOf is the heat map of samples by offset within the second.
func secondsOf(p *analyze.Profile) analyze.HeatMap {
	rows := int32(second / p.BucketNs)
	m := analyze.HeatMap{Kind: "on-cpu", StartNs: p.StartNs, ColumnNs: second}
	for r := range int64(rows) + 1 {
		m.RowBounds = append(m.RowBounds, r*p.BucketNs)
	}
	for _, c := range p.OnCPU {
		last := len(m.Cells) - 1
		if column, row := c.Bucket/rows, c.Bucket%rows; last < 0 || m.Cells[last].Column != column || m.Cells[last].Row != row {
			m.Cells = append(m.Cells, analyze.HeatCell{Column: column, Row: row})
			last++
		}
		m.Cells[last].Count += c.Value
	}
	return m
}

// latencyMap is a map of latencies that rise for some seconds.
func latencyMap(subject string, columns int32) analyze.HeatMap {
	m := analyze.HeatMap{Kind: "latency", Subject: subject, StartNs: start, ColumnNs: second}
	for ns := int64(100 * microsecond); ns < second; ns = ns * 5 / 4 {
		m.RowBounds = append(m.RowBounds, ns)
	}
	rows := int32(len(m.RowBounds) - 1)
	for c := range columns {
		mid := rows / 3
		if c > 20 && c < 30 {
			mid = rows * 2 / 3
		}
		for r := range rows {
			if n := int64(200 * math.Exp(-float64((r-mid)*(r-mid))/8)); n > 0 {
				m.Cells = append(m.Cells, analyze.HeatCell{Column: c, Row: r, Count: n})
			}
		}
	}
	return m
}

// shopDisk is a disk that is busy every ten seconds.
func shopDisk() analyze.Disk {
	d := analyze.Disk{
		Capture: "kmon-node-1-20260314T025900Z.kmon", Name: "nvme0n1", Kind: "disk", Model: "KM-1", SizeBytes: 512 << 30, Scheduler: "none",
		Mounts: []string{"/"}, Below: []string{}, IOs: 4200, ReadBytes: 90 << 20, WriteBytes: 310 << 20,
		Latency: spread(4200, 180*microsecond), Queue: spread(4200, 9*microsecond), Device: spread(4200, 170*microsecond),
		Operations: []analyze.DiskOperation{}, Users: []analyze.DiskUser{}, Coverage: 1,
	}
	for i := range int64(60) {
		n := 40 + 90*(i%10)/5
		p := (150 + 10*(i%10)) * microsecond
		d.Series = append(d.Series, analyze.DiskPoint{
			StartNs: start + i*second, IOs: n, ReadBytes: n * 21_000, WriteBytes: n * 74_000, P50: p, P99: p * 6, Max: p * 14, Partial: i == 0 || i == 59,
		})
	}
	return d
}

// hostileShop has hostile names in stacks, modules and maps.
func hostileShop() *analyze.Analysis {
	a := hostile()
	b := newProfiler(20 * millisecond)
	for i, n := range hostileNames {
		f := analyze.ProfileFrame{Name: n, Module: n, Kind: n}
		node := b.node(n, f, user(n), kernel(hostileNames[(i+1)%len(hostileNames)]))
		for bucket := range int32(100) {
			b.on[[2]int32{bucket, node}] = int64(i + 1)
			b.off[[2]int32{bucket, node}] = int64(i+1) * millisecond
		}
		a.HeatMaps = append(a.HeatMaps, latencyMap(n, 10))
	}
	a.Profile = b.profile()
	a.Flames = []analyze.FlameTree{treeOf(a.Profile, "on-cpu"), treeOf(a.Profile, "off-cpu")}
	a.Flames[0].Service, a.Flames[1].Kind = hostileNames[0], hostileNames[1]
	d := shopDisk()
	d.Name = hostileNames[0]
	a.Disks = []analyze.Disk{d}
	return a
}

// bigProfile has so many samples of so many stacks over 10 minutes, of which a
// few are frequent and most are rare, made small as package flame does it:
// buckets of 100 ms, and what is less than a share of all in an "(other)".
func bigProfile(samples, stacks int, share float64) *analyze.Analysis {
	a := shop()
	r := rand.New(rand.NewPCG(1, 2))
	b := newProfiler(100 * millisecond)
	nodes := make([]int32, stacks)
	for i := range nodes {
		stack := make([]analyze.ProfileFrame, 8+r.IntN(30))
		for j := range stack {
			at := i >> max(0, 14-j) // stacks part the deeper they are
			stack[j] = user(fmt.Sprintf("company.example/team/package%d.(*Type%d).Function%d", at%37, j, at*7919%4001))
		}
		nodes[i] = b.node(fmt.Sprintf("service-%d", i%23), stack...)
	}
	zipf := rand.NewZipf(r, 1.1, 8, uint64(stacks-1))
	for range samples {
		b.on[[2]int32{int32(r.IntN(6000)), nodes[zipf.Uint64()]}]++
	}
	for bucket := int32(0); bucket < 6000; bucket += 50 {
		for i := 0; i < stacks/10; i++ {
			b.off[[2]int32{bucket, nodes[i*10]}] += r.Int64N(5 * second)
		}
	}
	a.Profile = pruned(b.profile(), share)
	a.EndNs = start + 600*second
	a.Flames = []analyze.FlameTree{}
	a.HeatMaps = []analyze.HeatMap{secondsOf(a.Profile)}
	return a
}

// busyNode is bigProfile with all else that ten minutes of a busy node tell: so many
// services and edges, each with its latencies by window, and some disks.
func busyNode(services, edges int) *analyze.Analysis {
	a := bigProfile(4_000_000, 20_000, 0.001)
	fleet := many(services, edges)
	a.Services, a.Edges = fleet.Services, fleet.Edges
	series := func(perS, p50 int64, classes bool) []analyze.Point {
		points := waves(600, perS, p50)
		for i := range points {
			for c := range int64(40) {
				if !classes || (c*7+int64(i))%3 == 0 {
					continue // the rare ones come and go
				}
				points[i].Classes = append(points[i].Classes, analyze.ClassCount{Class: int32(200 + c), Count: 1 + (perS*c+int64(i)*31)%97})
			}
		}
		return points
	}
	for i := range a.Services {
		s := &a.Services[i]
		s.Series = series(int64(s.RatePerS), s.Latency.P50, i < 32)
		s.CPU = &analyze.CPU{OnCPUNs: 60 * second, Coverage: 1}
		for w := range int64(600) {
			s.CPUSeries = append(s.CPUSeries, analyze.CPUPoint{StartNs: start + w*second, OnCPUNs: 90*millisecond + w*7919%20_000_000, RunQueueNs: w * 104729 % 9_000_000})
		}
	}
	for i := range a.Edges {
		a.Edges[i].Series = series(int64(a.Edges[i].RatePerS), a.Edges[i].Latency.P50, i < 32)
	}
	addSums(a, series)
	a.Series = served(a.Services)
	return a
}

// addSums adds to a busy node what else is kept by window, about as much as the page
// holds of it.
func addSums(a *analyze.Analysis, series func(perS, p50 int64, classes bool) []analyze.Point) {
	sums := func(seed int64, n int, width, most int64, k int) analyze.SumSeries {
		return sumsEach(n, width, func(w int64) []int64 {
			list := make([]int64, k)
			for i := range list {
				list[i] = (w*7919 + seed*104729 + int64(i)*1299709*(1+w%13)) * 32452843 % most
			}
			return list
		})
	}
	for i := range a.Services {
		s, seed := &a.Services[i], int64(i)
		if i >= sumServices {
			continue
		}
		s.Breakdown = lockBound()
		for _, b := range []*analyze.BreakdownBand{&s.Breakdown.Slow, &s.Breakdown.Middle} {
			b.Series = sums(seed, 150, 4*second, 40*second, 1+len(b.Parts))
			for k := range b.Series.Points {
				b.Series.Points[k].Sums[0] = 1 + int64(k)%37
			}
		}
		s.OffCPU = []analyze.Wait{}
		for _, w := range waitWords[:8] {
			s.OffCPU = append(s.OffCPU, analyze.Wait{For: w.word, Count: 10_000, TotalNs: 600 * second, MaxNs: second})
		}
		s.WaitSeries = sums(seed, 600, second, 5*second, 8)
		if i < 16 {
			other := s.Instances[0]
			other.Name += "-other"
			s.Instances = append(s.Instances, other)
			for k := range s.Instances {
				s.Instances[k].Series = series(int64(s.RatePerS)/2+int64(k), s.Latency.P50, true)
			}
		}
	}
	addParts(a)
	each := int64(second)
	for i := range int64(sumCalls) {
		name := a.Services[i%int64(len(a.Services))].Name
		a.Syscalls = append(a.Syscalls, analyze.SyscallCount{Name: fmt.Sprintf("call%d", i), Kind: "syscall", Service: name, Count: 1_000_000 - i, Errors: &each, TotalNs: &each, Series: sums(i, 120, 5*second, 90_000, 3)})
		if i < 50 {
			a.Threads = append(a.Threads, analyze.Thread{Service: name, TID: int32(i), Comm: fmt.Sprintf("worker-%d", i), CPU: *used(1, 0), Series: sums(i, 120, 5*second, 5*second, 2)})
		}
	}
}

// addParts adds to a busy node what else is kept by window: users and operations of
// disks, listeners, drops and memory, as many as the page holds.
func addParts(a *analyze.Analysis) {
	random := rand.New(rand.NewPCG(1, 2))
	most := func(n int, width int64, sums []int64, largest ...int64) analyze.SumSeries {
		each := func(of []int64) (list []int64) {
			for _, v := range of {
				list = append(list, random.Int64N(v))
			}
			return list
		}
		return mostEach(n, width, func(int64) ([]int64, []int64) { return each(sums), each(largest) })
	}
	disk, drops := []int64{50, 500_000, 500_000, 50 * millisecond}, []int64{20}
	for d := range int64(3) {
		busy := nodeDisk(fmt.Sprintf("nvme%dn1", d), "disk", 2000, millisecond)
		busy.Series, busy.Users, busy.Operations = latencies(600, 2000, millisecond), nil, nil
		for i := range int64(sumParts/3 + 1) {
			name := a.Services[i%int64(len(a.Services))].Name
			busy.Users = append(busy.Users, analyze.DiskUser{Service: name, IOs: 90_000 - i, Latency: spread(90_000, millisecond), Series: most(600, second, disk, 50*millisecond)})
			busy.Operations = append(busy.Operations, analyze.DiskOperation{Operation: "read", SizeTo: 1 << i, IOs: 90_000 - i, Latency: spread(90_000, millisecond), Series: most(600, second, disk, 50*millisecond)})
		}
		a.Disks = append(a.Disks, busy)
	}
	for i := range int64(sumFaults) {
		name := a.Services[i%int64(len(a.Services))].Name
		a.AcceptQueues = append(a.AcceptQueues, analyze.AcceptQueue{Service: name, Address: fmt.Sprintf("0.0.0.0:%d", 8000+i), MaxDepth: 128, Limit: 128, Series: most(600, second, drops, 128, 129)})
		a.Drops = append(a.Drops, analyze.Drop{Reason: fmt.Sprintf("REASON_%d", i), Protocol: "TCP", Service: name, Count: 1000, FirstNs: start, LastNs: start + 600*second, Series: most(600, second, drops)})
	}
	for i := range 32 { // as many as the analysis keeps
		a.Services[i].PartSeries = most(600, second, []int64{50, 50 * millisecond, 50 * millisecond, 50 * millisecond})
		a.Services[i].Streams = analyze.Streams{Connections: 1, MessagesIn: 1}
		a.Services[i].StreamSeries = most(600, second, []int64{30, 30, 10})
		a.Edges[i].ByteSeries = most(600, second, []int64{50_000, 500_000})
	}
	for i := range int32(50) {
		name := a.Services[i].Name
		a.Wakes = append(a.Wakes, analyze.WakePair{WakerService: name, WakerTID: 1000 + i, WakerComm: "waker", Service: name, TID: 2000 + i, Comm: "woken", Count: 1000, Series: most(120, 5*second, []int64{3000, 3000})})
	}
	for i := range sumServices {
		for range a.Services[i].OffCPU {
			a.Services[i].WaitCounts = append(a.Services[i].WaitCounts, most(120, 5*second, []int64{2000, 5 * second}))
		}
		a.Services[i].Memory = &analyze.Memory{MaxRSSBytes: 2 << 30, MaxCurrentBytes: 3 << 30, Series: most(120, 5*second, []int64{1}, 2<<30, 3<<30)}
	}
}

// pruned adds up nodes with less than a share of both kinds of time below the
// last node kept.
func pruned(p *analyze.Profile, share float64) *analyze.Profile {
	b := newProfiler(p.BucketNs)
	on, off := inclusive(p, p.OnCPU), inclusive(p, p.OffCPU)
	var onAll, offAll int64
	for i, n := range p.Nodes {
		if n.Parent < 0 {
			onAll, offAll = onAll+on[i], offAll+off[i]
		}
	}
	to, kept, path := make([]int32, len(p.Nodes)), make([]bool, len(p.Nodes)), make([][]analyze.ProfileFrame, len(p.Nodes))
	for i, n := range p.Nodes {
		whole := n.Parent < 0 || kept[n.Parent]
		kept[i] = n.Parent < 0 || whole && (float64(on[i]) >= share*float64(onAll) || float64(off[i]) >= share*float64(offAll))
		switch {
		case kept[i] && n.Parent < 0:
			path[i] = []analyze.ProfileFrame{p.Frames[n.Frame]}
		case kept[i]:
			path[i] = append(slices.Clone(path[n.Parent]), p.Frames[n.Frame])
		case whole:
			path[i] = append(slices.Clone(path[n.Parent]), analyze.ProfileFrame{Name: "(other)"})
		default:
			to[i] = to[n.Parent]
			continue
		}
		to[i] = b.node(path[i][0].Name, path[i][1:]...)
	}
	for _, c := range p.OnCPU {
		b.on[[2]int32{c.Bucket, to[c.Node]}] += c.Value
	}
	for _, c := range p.OffCPU {
		b.off[[2]int32{c.Bucket, to[c.Node]}] += c.Value
	}
	return b.profile()
}
