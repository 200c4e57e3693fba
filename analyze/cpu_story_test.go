package analyze

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/analyze/topology"
	"kmon/format"
)

// node is a story with rows of the collectors beside tcp.
type node struct {
	*story
	intervals []format.Interval
	wakes     []format.Wake
	offcpu    []format.OffCPU
	stacks    []format.Stack
	frames    []format.Frame
	syscalls  []format.Syscall
	memory    []format.Memory
	samples   []format.OnCPU
}

func newNode(t *testing.T, host string) *node {
	n := &node{story: newStory(t, host)}
	n.manifest.Host.MemoryBytes = 8 << 30
	n.manifest.Collectors = append(n.manifest.Collectors,
		format.Collector{Name: "cpu", Settings: map[string]string{"off_cpu_min_ns": "1000000", "sample_hz": "99"}},
		format.Collector{Name: "syscall"})
	n.more = append(n.more, func(w *format.Writer) {
		add(t, w, n.intervals)
		add(t, w, n.wakes)
		add(t, w, n.frames)
		add(t, w, n.stacks)
		add(t, w, n.offcpu)
		add(t, w, n.syscalls)
		add(t, w, n.memory)
		add(t, w, n.samples)
	})
	return n
}

// stack adds a kernel stack, leaf first.
func (n *node) stack(id int64, names string) {
	for depth, name := range strings.Fields(names) {
		frame := id*100 + int64(depth)
		n.frames = append(n.frames, format.Frame{TsNs: mono0, FrameID: frame, Kind: format.FrameKernel, Symbol: name, Module: "kernel", Source: format.SymbolKallsyms})
		n.stacks = append(n.stacks, format.Stack{TsNs: mono0, StackID: id, Depth: int32(depth), FrameID: frame})
	}
}

// ran is an interval of 5 s from at seconds.
func (n *node) ran(pid, tid int32, at, onCPU, queue int64) {
	n.intervals = append(n.intervals, format.Interval{
		StartNs: mono0 + at*second, EndNs: mono0 + (at+5)*second, PID: pid, TID: tid, Comm: fmt.Sprintf("t%d", tid),
		OnCPUNs: onCPU, RunQueueNs: queue, Timeslices: 30, Voluntary: 20, Involuntary: 10,
	})
}

func (n *node) waited(pid int32, stack, at, count, total int64) {
	n.offcpu = append(n.offcpu, format.OffCPU{
		StartNs: mono0 + at*second, EndNs: mono0 + (at+5)*second, PID: pid, State: format.StateSleep, StackID: stack,
		Count: count, TotalNs: total, MaxNs: total / count,
	})
}

func (n *node) woke(waker, tid int32, count int64) {
	n.wakes = append(n.wakes, format.Wake{
		StartNs: mono0, EndNs: mono0 + 5*second, WakerPID: waker / 10 * 10, WakerTID: waker, PID: tid / 10 * 10, TID: tid, Count: count,
	})
}

// busyNode is a server with an event loop and a callee, a batch job that waits
// for its disk, and a daemon that does next to nothing.
func busyNode(t *testing.T) *node {
	n := newNode(t, "node")
	n.process(10, "web").Cgroup = "/web"
	n.process(20, "batch")
	n.process(30, "sleepyd")
	n.process(40, "other").Cgroup = "/shared"
	n.process(50, "another").Cgroup = "/shared"
	n.socket(1, format.RoleServer, 10, 0, "10.0.0.1 80", "10.0.0.9 4000")
	n.socket(2, format.RoleClient, 10, 0, "10.0.0.1 5000", "10.0.0.7 6379")
	for i := range int64(100) {
		n.exchange(1, 10, i*50*ms, 0, 12*ms, 0, 0)
		n.exchange(2, 10, i*50*ms+ms, 0, 10*ms, 0, format.ExchangeClient)
	}
	n.stack(1, "do_epoll_wait __x64_sys_epoll_wait do_syscall_64")
	n.stack(2, "blk_io_schedule __iomap_dio_rw iomap_dio_rw ext4_file_read_iter")
	n.stack(3, "hrtimer_nanosleep common_nsleep __x64_sys_clock_nanosleep")
	n.ran(10, 10, 0, second, second/10)
	n.ran(10, 11, 0, second/2, 0)
	n.ran(10, 10, 5, second/2, 0)
	n.ran(20, 20, 5, 3*second, second)
	n.ran(30, 30, 0, 100_000, 0)
	n.waited(10, 1, 0, 500, 4*second)
	n.waited(20, 2, 5, 100, second)
	n.waited(30, 3, 0, 5, 5*second)
	n.woke(10, 11, 300)
	n.woke(11, 10, 290)
	n.woke(0, 10, 50)
	n.syscalls = []format.Syscall{
		{StartNs: mono0, EndNs: mono0 + 5*second, PID: 10, Kind: format.CounterSyscall, Name: "epoll_wait", Count: 500, Errors: 2, TotalNs: -1, MaxNs: -1},
		{StartNs: mono0, EndNs: mono0 + 5*second, PID: 20, Kind: format.CounterSyscall, Name: "read", Count: 1000, Errors: 0, TotalNs: 5000, MaxNs: 50},
	}
	n.memory = []format.Memory{
		{TsNs: mono0, PID: 10, RSSBytes: 100 << 20}, {TsNs: mono0 + 5*second, PID: 10, RSSBytes: 90 << 20},
		{TsNs: mono0, PID: 40, RSSBytes: 1 << 30},
		{TsNs: mono0, Cgroup: "/web", CurrentBytes: 120 << 20, LimitBytes: 256 << 20, OOMKills: 1},
		{TsNs: mono0 + 5*second, Cgroup: "/web", CurrentBytes: 110 << 20, LimitBytes: 256 << 20, OOMKills: 2},
		{TsNs: mono0, Cgroup: "/shared", CurrentBytes: 2 << 30},
	}
	return n
}

// waitFor gives the wait of a kind, zero when there is none.
func waitFor(list []Wait, kind string) Wait {
	for _, w := range list {
		if w.For == kind {
			return w
		}
	}
	return Wait{}
}

func TestWhatThreadsDid(t *testing.T) {
	a := analyzed(t, Options{}, busyNode(t).story)
	if got, want := serviceNames(a), []string{"10.0.0.7:6379", "10.0.0.9", "batch", "other", topology.OtherProcesses, "web"}; !slices.Equal(got, want) {
		t.Fatalf("services are %q, want %q", got, want)
	}
	web, batch, rest := serviceNamed(t, a, "web"), serviceNamed(t, a, "batch"), serviceNamed(t, a, topology.OtherProcesses)
	each := 2 * second / 100
	if want := (&CPU{OnCPUNs: 2 * second, Cores: 0.2, RunQueueNs: second / 10, MeanQueueNs: second / 900, Timeslices: 90, Voluntary: 60, Involuntary: 30, OnCPUPerRequestNs: &each, Coverage: 1}); !reflect.DeepEqual(web.CPU, want) {
		t.Errorf("web used %+v, want %+v", web.CPU, want)
	}
	if batch.CPU.OnCPUNs != 3*second || batch.CPU.OnCPUPerRequestNs != nil || batch.Ends != "" {
		t.Errorf("batch used %+v", batch.CPU)
	}
	if rest.CPU.OnCPUNs != 100_000 || len(rest.Instances) != 0 || waitFor(rest.OffCPU, "sleep").TotalNs != 5*second {
		t.Errorf("the rest is %+v", rest)
	}
	if got, want := waitFor(batch.OffCPU, "disk"), (Wait{For: "disk", Count: 100, TotalNs: second, MaxNs: 10 * ms}); got != want || len(batch.OffCPU) != 1 {
		t.Errorf("batch waited %+v, want %+v", batch.OffCPU, want)
	}
	if i := web.Instances[0]; len(web.Instances) != 1 || i.CPU.OnCPUNs != 2*second || *i.CPU.OnCPUPerRequestNs != each || !reflect.DeepEqual(i.OffCPU, web.OffCPU) {
		t.Errorf("the instance of web is %+v", web.Instances)
	}
	if a.OffCPUMinNs != ms {
		t.Errorf("waits are from %d on", a.OffCPUMinNs)
	}
}

// Requests to the callee took 10 of every 50 ms for 5 s, one at a time.
func TestEventLoopThatWaitsForItsCallee(t *testing.T) {
	web := serviceNamed(t, analyzed(t, Options{}, busyNode(t).story), "web")
	callee, idle := waitFor(web.OffCPU, "callee"), waitFor(web.OffCPU, "idle")
	if callee.TotalNs < 990*ms || callee.TotalNs > 1010*ms || callee.TotalNs+idle.TotalNs != 4*second {
		t.Errorf("waited %d for the callee and %d for work, want about %d of %d", callee.TotalNs, idle.TotalNs, second, 4*second)
	}
	n := busyNode(t)
	n.manifest.Collectors = n.manifest.Collectors[1:]
	n.sockets, n.exchanges = nil, nil
	web = serviceNamed(t, analyzed(t, Options{}, n.story), "web")
	if got := waitFor(web.OffCPU, "poll").TotalNs; got != 4*second || len(web.OffCPU) != 1 {
		t.Errorf("without requests recorded it waited %+v, want %d of poll", web.OffCPU, 4*second)
	}
	if web.CPU.OnCPUPerRequestNs != nil {
		t.Errorf("without requests recorded each took %d", *web.CPU.OnCPUPerRequestNs)
	}
}

func TestThreadsWakesAndCalls(t *testing.T) {
	a := analyzed(t, Options{}, busyNode(t).story)
	var threads []string
	for _, th := range a.Threads {
		threads = append(threads, fmt.Sprintf("%s %d/%d %s %d", th.Service, th.PID, th.TID, th.Comm, th.CPU.OnCPUNs/ms))
	}
	if want := []string{"batch 20/20 t20 3000", "web 10/10 t10 1500", "web 10/11 t11 500", "sleepyd 30/30 t30 0"}; !slices.Equal(threads, want) {
		t.Errorf("threads are %q, want %q", threads, want)
	}
	var wakes []string
	for _, w := range a.Wakes {
		wakes = append(wakes, fmt.Sprintf("%s/%d %s > %s/%d %s %d/%d %.0f/s", w.WakerService, w.WakerTID, w.WakerComm, w.Service, w.TID, w.Comm, w.Count, w.Back, w.RatePerS))
	}
	if want := []string{"web/10 t10 > web/11 t11 300/290 30/s", "/0  > web/10 t10 50/0 5/s"}; !slices.Equal(wakes, want) {
		t.Errorf("wake-ups are %q, want %q", wakes, want)
	}
	got, err := json.Marshal(a.Syscalls)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"name":"read","kind":"syscall","service":"batch","count":1000,"rate_per_s":100,"errors":0,"total_ns":5000,"max_ns":50},` +
		`{"name":"epoll_wait","kind":"syscall","service":"web","count":500,"rate_per_s":50,"per_request":5,"errors":2}]`; string(got) != want {
		t.Errorf("calls are\n%s, want\n%s", got, want)
	}
}

// A cgroup that several services share is nobody's.
func TestMemoryOfServicesAndCgroups(t *testing.T) {
	a := analyzed(t, Options{}, busyNode(t).story)
	a.Services[slices.IndexFunc(a.Services, func(o Service) bool { return o.Name == "web" })].Memory.Series = SumSeries{} // see TestMemoryByWindow
	want := &Memory{MaxRSSBytes: 100 << 20, LastRSSBytes: 90 << 20, MaxCurrentBytes: 120 << 20, LimitBytes: 256 << 20, OOMKills: 1}
	if got := serviceNamed(t, a, "web").Memory; !reflect.DeepEqual(got, want) {
		t.Errorf("web has %+v, want %+v", got, want)
	}
	if !strings.Contains(a.Verdict, "; 1 process of web was killed for want of memory") {
		t.Errorf("the verdict is %q", a.Verdict)
	}
	if got := serviceNamed(t, a, "other").Memory; got == nil || got.MaxRSSBytes != 1<<30 || got.MaxCurrentBytes != 0 {
		t.Errorf("other has %+v", got)
	}
}

// The points of a service add up to its sum; the interval is spread evenly.
func TestCPUSeriesAddsUp(t *testing.T) {
	n := busyNode(t)
	n.losses = []format.Loss{{StartNs: mono0 + 5*second, EndNs: mono0 + 6*second, Collector: "cpu", Table: "intervals", Cause: format.LossStateFull, Count: 5}}
	a := analyzed(t, Options{}, n.story)
	web, sum, lost := serviceNamed(t, a, "web"), int64(0), int64(0)
	for _, p := range web.CPUSeries {
		sum += p.OnCPUNs
		lost += p.Lost
	}
	if len(web.CPUSeries) != len(web.Series) || sum != web.CPU.OnCPUNs || lost != 5 {
		t.Errorf("%d points hold %d of %d, %d lost of 5", len(web.CPUSeries), sum, web.CPU.OnCPUNs, lost)
	}
	if got := web.CPUSeries[1].OnCPUNs; got != 300*ms {
		t.Errorf("the second point is %d, want a fifth of 1.5 s", got)
	}
	if got := web.CPU.Coverage; got != 0.5 {
		t.Errorf("with 5 of 10 rows lost, coverage is %g", got)
	}
}

func TestCPUHeedsFilterAndRange(t *testing.T) {
	a := analyzed(t, Options{Services: []string{"sleepyd"}}, busyNode(t).story)
	if got := serviceNames(a); !slices.Equal(got, []string{"sleepyd"}) || len(a.Threads) != 1 || len(a.Wakes) != 0 || len(a.Syscalls) != 0 {
		t.Errorf("of one service there are %q, %d threads, %d wake-ups, %d calls", got, len(a.Threads), len(a.Wakes), len(a.Syscalls))
	}
	a = analyzed(t, Options{Since: "6s", Until: "8s"}, busyNode(t).story)
	if got := serviceNamed(t, a, "batch").CPU.OnCPUNs; got != 3*second*2/5 {
		t.Errorf("two of five seconds used %d, want %d", got, 3*second*2/5)
	}
	if got := serviceNamed(t, a, "web").CPU.OnCPUNs; got != second/2*2/5 {
		t.Errorf("web used %d", got)
	}
}

// What no capture recorded is absent; what only some did is said once.
func TestCPUNotRecorded(t *testing.T) {
	plain := newStory(t, "plain")
	plain.process(10, "web")
	plain.socket(1, format.RoleServer, 10, 0, "10.0.0.1 80", "10.0.0.9 4000")
	plain.exchange(1, 10, second, 0, ms, 0, 0)
	a := analyzed(t, Options{}, plain)
	web := serviceNamed(t, a, "web")
	if a.Threads != nil || a.Wakes != nil || a.Syscalls != nil || web.CPU != nil || web.OffCPU != nil || web.Memory != nil || web.CPUSeries != nil {
		t.Errorf("without the collector there are %+v %+v", a.Threads, web)
	}
	if len(a.Warnings) != 0 {
		t.Errorf("warnings %q", a.Warnings)
	}
	a = analyzed(t, Options{}, plain, busyNode(t).story)
	said := slices.DeleteFunc(slices.Clone(a.Warnings), func(s string) bool { return !strings.Contains(s, "cpu was not recorded") })
	if len(said) != 1 || !strings.HasPrefix(said[0], "plain.kmon") {
		t.Errorf("of the capture without it the warnings are %q", a.Warnings)
	}
	if web = serviceNamed(t, a, "web"); web.CPU == nil || web.CPU.OnCPUPerRequestNs != nil {
		t.Errorf("on-CPU time of one capture is divided by requests of two: %+v", web.CPU)
	}
}

// A process may begin and end within an interval.
func TestProcessWithinAnInterval(t *testing.T) {
	n := newNode(t, "node")
	n.procs = []format.Proc{
		{TsNs: mono0 + second, Event: format.ProcExec, PID: 99, StartNs: mono0 + second, Comm: "gzip", Exe: "/bin/gzip"},
		{TsNs: mono0 + 2*second, Event: format.ProcExit, PID: 99, StartNs: mono0 + second, Comm: "gzip"},
	}
	n.ran(99, 99, 0, second, 0)
	a := analyzed(t, Options{}, n.story)
	if got := serviceNamed(t, a, "gzip").CPU.OnCPUNs; got != second {
		t.Errorf("it used %d", got)
	}
}

// All services together have what the rows have.
func TestServicesAddUpToTheRows(t *testing.T) {
	n := newNode(t, "node")
	want := int64(0)
	for i := range int32(300) {
		n.process(100+i, fmt.Sprintf("job%03d", i))
		n.ran(100+i, 100+i, int64(i%2)*5, int64(i)*ms, 0)
		want += int64(i) * ms
	}
	n.ran(5000, 5000, 0, second, 0)
	a, got := analyzed(t, Options{}, n.story), int64(0)
	for _, s := range a.Services {
		got += s.CPU.OnCPUNs
	}
	if got != want+second {
		t.Errorf("services used %d, the rows have %d", got, want+second)
	}
	if serviceNamed(t, a, UnknownProcess).CPU.OnCPUNs != second || len(a.Services) > maxUnconnected+1 || len(a.Threads) != maxThreadsListed {
		t.Errorf("%d services and %d threads are listed", len(a.Services), len(a.Threads))
	}
}
