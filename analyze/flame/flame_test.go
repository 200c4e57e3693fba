package flame

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/analyze/replay"
	"kmon/format"
)

const (
	mono0  = int64(5e9)
	unix0  = int64(1_700_000_000e9)
	second = int64(1e9)
	ms     = int64(1e6)
)

// node is a capture in the making.
type node struct {
	processes []format.Process
	frames    []format.Frame
	stacks    []format.Stack
	oncpu     []format.OnCPU
	offcpu    []format.OffCPU
	hz        string
	seconds   int64
}

func newNode() *node { return &node{hz: "99", seconds: 60} }

func (n *node) process(pid int32, service string) {
	n.processes = append(n.processes, format.Process{TsNs: mono0, PID: pid, StartNs: mono0 - 100*second, Service: service, ServiceSource: "executable"})
}

// frame adds a frame: "k:name", "u:name", "?name" approximate, or without a
// name "k:" and "u:".
func (n *node) frame(id int64, text string) {
	f := format.Frame{TsNs: mono0, FrameID: id, Kind: format.FrameUser, Module: "/usr/bin/app", Offset: 0x10 * id, Source: format.SymbolTable}
	kind, name, _ := strings.Cut(text, ":")
	if kind == "k" {
		f.Kind, f.Module, f.Source = format.FrameKernel, "kernel", format.SymbolKallsyms
	}
	if strings.HasPrefix(name, "?") {
		f.Source = format.SymbolDynamic
	}
	if f.Symbol = strings.TrimPrefix(name, "?"); f.Symbol == "" {
		f.Source = format.SymbolNone
	}
	n.frames = append(n.frames, f)
}

// stack adds a stack of frames, leaf first.
func (n *node) stack(id int64, frames ...int64) {
	for depth, f := range frames {
		n.stacks = append(n.stacks, format.Stack{TsNs: mono0, StackID: id, Depth: int32(depth), FrameID: f})
	}
}

func (n *node) sample(at int64, pid int32, user, kernel int64) {
	n.oncpu = append(n.oncpu, format.OnCPU{TsNs: mono0 + at, PID: pid, TID: pid, UserStackID: user, StackID: kernel})
}

func (n *node) wait(interval int64, pid int32, state format.ThreadState, user, kernel, total int64) {
	n.offcpu = append(n.offcpu, format.OffCPU{StartNs: mono0 + interval*5*second, EndNs: mono0 + (interval+1)*5*second,
		PID: pid, State: state, UserStackID: user, StackID: kernel, Count: 1, TotalNs: total, MaxNs: total})
}

// open writes the capture and opens it.
func (n *node) open(t testing.TB) *replay.Capture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.kmon")
	w, err := format.Create(path, format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1"},
		Clock:      format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
		Collectors: []format.Collector{{Name: "cpu", Settings: map[string]string{"sample_hz": n.hz}}}}, format.WriterOptions{NoSync: true})
	check(t, err)
	check(t, format.Append(w, n.processes...))
	check(t, format.Append(w, n.frames...))
	check(t, format.Append(w, n.stacks...))
	check(t, format.Append(w, n.oncpu...))
	check(t, format.Append(w, n.offcpu...))
	check(t, w.Close(format.Final{EndNs: mono0 + n.seconds*second, EndUnixNs: unix0 + n.seconds*second, StopReason: "duration"}))
	c, err := replay.Open(t.Context(), path, 0)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// everything are the options that leave nothing out.
func (n *node) everything() Options {
	return Options{FromNs: math.MinInt64, ToNs: math.MaxInt64, StartNs: unix0, EndNs: unix0 + n.seconds*second, Party: party}
}

// party names processes by their owners alone.
func party(c *replay.Capture, pid int32, ns int64) (int32, string) {
	if i := c.Owners.At(pid, ns); i >= 0 {
		return i + 1, c.Owners.Get(i).Service
	}
	return 0, "unknown process"
}

// result adds the node up.
func (n *node) result(t testing.TB, o Options) *Result {
	t.Helper()
	b := New(o)
	check(t, b.Add(t.Context(), n.open(t)))
	return b.Result(10)
}

// folded writes what ended in each path, as "a;b;c 3" lines, sorted.
func (r *Result) folded(k Kind) []string {
	sums := map[string]int64{}
	for node, v := range r.Self[k] {
		if v == 0 {
			continue
		}
		var names []string
		for _, f := range r.frames(int32(node)) {
			names = append(names, f.Name)
		}
		sums[strings.Join(names, ";")] += v
	}
	lines := []string{}
	for path, v := range sums {
		lines = append(lines, fmt.Sprintf("%s %d", path, v))
	}
	slices.Sort(lines)
	return lines
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// shopNode is a small node with every kind of stack.
func shopNode() *node {
	n := newNode()
	n.process(100, "cart")
	n.process(200, "web")
	n.process(2, "kernel")
	n.frame(1, "u:main")
	n.frame(2, "u:handle")
	n.frame(3, "k:tcp_sendmsg")
	n.frame(4, "k:do_syscall_64")
	n.frame(5, "u:?memcpy")
	n.frame(6, "u:")
	n.frame(7, "u:handle") // another address of the function
	n.frame(8, "k:")
	n.stack(10, 2, 1)       // main → handle
	n.stack(11, 5, 7, 1)    // main → handle → memcpy
	n.stack(12, 6, 1)       // main → no name
	n.stack(20, 3, 4)       // do_syscall_64 → tcp_sendmsg
	n.stack(21, 8, 999, 4)  // do_syscall_64 → unknown frame → no name
	n.sample(0, 100, 10, 0) // user mode
	n.sample(10*ms, 100, 10, 20)
	n.sample(20*ms, 100, 11, 0)
	n.sample(second, 100, 11, 0)
	n.sample(2*second, 200, 12, 20)
	n.sample(2*second, 200, -1, 20) // user stack not taken
	n.sample(2*second, 200, 10, -1) // kernel stack not taken
	n.sample(2*second, 200, 77, 0)  // stack lost
	n.sample(3*second, 2, 0, 21)    // a kernel thread
	n.sample(4*second, 300, 10, 0)  // nobody knows the process
	n.wait(0, 100, format.StateSleep, 10, 20, 3*second)
	n.wait(0, 100, format.StateSleep, 10, 20, 2*second)
	n.wait(1, 100, format.StateDisk, 0, 20, 50*ms)
	n.wait(1, 200, format.StateRunnable, -1, -1, 7*ms)
	n.wait(2, 200, 9, 0, 0, 1)
	return n
}

func TestPaths(t *testing.T) {
	n := shopNode()
	r := n.result(t, n.everything())
	same(t, "on-CPU", r.folded(OnCPU), []string{
		"cart;main;handle 1",
		"cart;main;handle;do_syscall_64;tcp_sendmsg 1",
		"cart;main;handle;memcpy 2",
		"kernel;do_syscall_64;(no symbol);(no symbol) kernel+0x80 1",
		"unknown process;main;handle 1",
		"web;(stack not recorded) 1",
		"web;(stack not recorded);do_syscall_64;tcp_sendmsg 1",
		"web;main;(no symbol) app+0x60;do_syscall_64;tcp_sendmsg 1",
		"web;main;handle;(stack not recorded) 1",
	})
	same(t, "off-CPU", r.folded(OffCPU), []string{
		"cart;disk;do_syscall_64;tcp_sendmsg 50000000",
		"cart;sleep;main;handle;do_syscall_64;tcp_sendmsg 5000000000",
		"web;runnable;(stack not recorded);(stack not recorded) 7000000",
		"web;state 9 1",
	})
	if r.SampleNs != 10_101_010 || r.IntervalNs != 5*second {
		t.Errorf("sample %d ns, interval %d ns", r.SampleNs, r.IntervalNs)
	}
	for _, f := range r.Frames {
		if f.Approximate != (f.Name == "memcpy") {
			t.Errorf("%s: approximate is %v", f.Name, f.Approximate)
		}
	}
}

// What has no symbol is named by its place in the file, where it has one.
func TestFrameNames(t *testing.T) {
	for _, c := range []struct {
		frame format.Frame
		want  string
	}{
		{format.Frame{Symbol: "main", Module: "/bin/a", Offset: 5}, "main"},
		{format.Frame{Module: "/usr/bin/a", Offset: 0x50}, "(no symbol) a+0x50"},
		{format.Frame{Module: "/usr/bin/a", Offset: -7}, "(no symbol) a"},
		{format.Frame{Module: "[anon]", Offset: 0x7000}, "(no symbol) [anon]"},
		{format.Frame{Offset: 0x7f0012345678}, "(no symbol)"},
	} {
		if got := frameOf(&c.frame).Name; got != c.want {
			t.Errorf("%+v: got %s, want %s", c.frame, got, c.want)
		}
	}
}

func TestFilters(t *testing.T) {
	n := shopNode()
	o := n.everything()
	o.FromNs, o.ToNs = unix0+10*ms, unix0+2*second
	r := n.result(t, o)
	same(t, "on-CPU in a range", r.folded(OnCPU), []string{
		"cart;main;handle;do_syscall_64;tcp_sendmsg 1",
		"cart;main;handle;memcpy 2",
	})
	same(t, "no interval has its middle there", r.folded(OffCPU), []string{})
	o.ToNs = unix0 + 3*second
	same(t, "one has", n.result(t, o).folded(OffCPU), []string{"cart;sleep;main;handle;do_syscall_64;tcp_sendmsg 5000000000"})
	o = n.everything()
	o.Wanted = func(s string) bool { return s == "kernel" }
	r = n.result(t, o)
	same(t, "one service", r.folded(OnCPU), []string{"kernel;do_syscall_64;(no symbol);(no symbol) kernel+0x80 1"})
	if r.Rows != [2]int64{1, 0} || len(r.Heats) != 2 || r.Heats[0].Total != 1 {
		t.Errorf("rows %v, heat maps %+v", r.Rows, r.Heats)
	}
}

func TestFunctionsAndPaths(t *testing.T) {
	n := newNode()
	n.process(1, "a")
	n.process(2, "b")
	n.frame(1, "u:f")
	n.frame(2, "u:g")
	n.stack(10, 2, 1, 2, 1) // f → g → f → g
	n.stack(11, 1)
	for range 3 {
		n.sample(0, 1, 10, 0)
	}
	n.sample(0, 1, 11, 0)
	n.sample(0, 2, 11, 0)
	r := n.result(t, n.everything())
	var got []string
	for _, f := range r.Functions(OnCPU, "", 10) {
		got = append(got, fmt.Sprintf("%s %d %d", f.Name, f.Self, f.Total))
	}
	same(t, "functions of all", got, []string{"g 3 3", "f 2 5"})
	got = nil
	for _, f := range r.Functions(OnCPU, "b", 10) {
		got = append(got, fmt.Sprintf("%s %d %d", f.Name, f.Self, f.Total))
	}
	same(t, "functions of b", got, []string{"f 1 1"})
	got = nil
	for _, p := range r.Paths(OnCPU, "", 2) {
		line := ""
		for _, f := range p.Frames {
			line += f.Name + ";"
		}
		got = append(got, fmt.Sprintf("%s %d", line, p.Value))
	}
	same(t, "paths", got, []string{"a;f;g;f;g; 3", "a;f; 1"})
	if len(r.Functions(OnCPU, "nobody", 5)) != 0 || len(r.Paths(OffCPU, "", 5)) != 0 {
		t.Error("a service or kind without values has functions or paths")
	}
}

// randomNode has stacks over few functions, so that paths share, and rows with
// every oddity.
func randomNode(seed uint64, samples, stacks int) *node {
	r := rand.New(rand.NewPCG(seed, 3))
	n := newNode()
	for i := range 6 {
		n.process(int32(100+i), fmt.Sprintf("service-%d", i%4))
	}
	for i := range int64(60) {
		n.frame(1+i, fmt.Sprintf("%c:f%d", "uk"[i%2], i%45))
	}
	for i := range stacks {
		frames := make([]int64, 1+r.IntN(12))
		for j := range frames {
			frames[j] = int64(1 + min(r.IntN(60), r.IntN(60), r.IntN(63)))
		}
		n.stack(int64(1000+i), frames...)
	}
	stack := func() int64 { return int64(998 + min(r.IntN(stacks+4), r.IntN(stacks+4))) }
	for range samples {
		n.sample(r.Int64N(60*second), int32(100+r.IntN(7)), stack(), []int64{0, 0, -1, stack()}[r.IntN(4)])
	}
	for range samples / 4 {
		n.wait(r.Int64N(12), int32(100+r.IntN(7)), format.ThreadState(r.IntN(4)), stack(), stack(), r.Int64N(second))
	}
	return n
}

// An interval's tree is the sum of its rows, exactly: the tree of a range of
// buckets equals that of a run over the rows within it.
func TestIntervalIsSumOfRows(t *testing.T) {
	for seed := range uint64(8) {
		n := randomNode(seed, 2000, 200)
		_, p := n.profile(t, Budget{1 << 20, 1 << 30})
		if p.BucketNs != 20*ms || p.StartNs != unix0 {
			t.Fatalf("buckets of %d ns from %d", p.BucketNs, p.StartNs)
		}
		for _, from := range []int64{0, 7, 35} { // seconds
			length := 1 + int64(seed)*3
			o := n.everything()
			o.FromNs, o.ToNs = unix0+from*second, unix0+(from+length)*second
			part := n.result(t, o)
			want := map[string]int64{}
			first, last := int32(from*second/p.BucketNs), int32((from+length)*second/p.BucketNs)
			for _, c := range p.Cells[OnCPU] {
				if c.Bucket >= first && c.Bucket < last {
					want[text(p.Tree, c.Node)] += c.Value
				}
			}
			got := map[string]int64{}
			for node, v := range part.Self[OnCPU] {
				if v > 0 {
					got[text(part.Tree, int32(node))] += v
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("seed %d, %d s from %d s: the tree is not the sum of its rows", seed, length, from)
			}
		}
	}
}

// text writes a path.
func text(tree *Tree, node int32) string {
	s := ""
	for _, f := range tree.Path(node) {
		s += fmt.Sprint(tree.Frames[f])
	}
	return s
}

// profile adds the node up, with a profile within a budget.
func (n *node) profile(t testing.TB, budget Budget) (*Result, *Profile) {
	t.Helper()
	b, c := New(n.everything()), n.open(t)
	check(t, b.Add(t.Context(), c))
	r := b.Result(0)
	kept := *r // Profile ends r
	p, err := b.Profile(t.Context(), []*replay.Capture{c}, r, budget)
	check(t, err)
	return &kept, p
}

// A branch is the sum of its children and of what ended in it; what is pruned
// stands in "(other)".
func TestPruningKeepsSums(t *testing.T) {
	for seed := range uint64(8) {
		n := randomNode(seed, 3000, 300)
		r := n.result(t, n.everything())
		for _, k := range []Kind{OnCPU, OffCPU} {
			for _, l := range []Limits{{0, 1 << 30}, {0.001, 1 << 30}, {0.02, 1 << 30}, {0, 20}, {0, 0}} {
				sum := int64(0)
				for _, service := range r.Services(k, 100) {
					b := r.Flame(k, service, l)
					sum += b.Value
					r.checkBranch(t, k, r.root(service), b)
					if nodes := countBranches(b); nodes > 2*l.Nodes+2 && l.Nodes < 1<<20 {
						t.Errorf("%d nodes, limit %d", nodes, l.Nodes)
					}
				}
				all := r.Flame(k, "", l)
				if all.Value != sum || all.Value != r.Total(k) {
					t.Errorf("%s: all is %d, its services %d", k, all.Value, sum)
				}
				r.checkBranch(t, k, NoNode, all)
			}
		}
	}
}

func countBranches(b Branch) int {
	n := 1
	for _, child := range b.Children {
		n += countBranches(child)
	}
	return n
}

// checkBranch holds a branch against the node it is of.
func (r *Result) checkBranch(t *testing.T, k Kind, node int32, b Branch) {
	t.Helper()
	sum := int64(0)
	if node != NoNode {
		sum = r.Self[k][node]
		if b.Value != r.totals[k][node] {
			t.Errorf("%s is %d, want %d", b.Name, b.Value, r.totals[k][node])
		}
	}
	for _, child := range b.Children {
		sum += child.Value
		if child.Name == OtherName {
			continue
		}
		at := slices.IndexFunc(r.under(node), func(c int32) bool { return r.Frames[r.Nodes[c].Frame] == child.Frame })
		if at < 0 {
			t.Fatalf("no node %+v", child.Frame)
		}
		r.checkBranch(t, k, r.under(node)[at], child)
	}
	if sum != b.Value {
		t.Errorf("%s is %d, its parts are %d", b.Name, b.Value, sum)
	}
}

// A profile keeps the sum of every bucket, and every path it keeps.
func TestProfileKeepsSums(t *testing.T) {
	long(t)
	defer func(were []float64) { shares = were }(shares)
	shares = []float64{0.00004, 0.003, 0.02} // as much as the larger ones leave of a large capture
	detailed := 0
	for seed := range uint64(3) {
		n := randomNode(seed, 4000, 400)
		r, whole := n.profile(t, Budget{1 << 20, 1 << 30})
		full := [2]map[string]int64{{}, {}}
		for i := range r.Nodes {
			path := text(r.Tree, int32(i))
			full[OnCPU][path], full[OffCPU][path] = r.totals[OnCPU][i], r.totals[OffCPU][i]
		}
		for _, budget := range []Budget{{1 << 20, 1 << 30}, {400, 1 << 30}, {4000, 15_000}, {4000, 18_000}, {40, 3000}, {8, 100}, {0, 0}} {
			_, p := n.profile(t, budget)
			size := int64(0)
			for k := range p.Cells {
				got, want := byBucket(p.Cells[k], 1), byBucket(whole.Cells[k], int32(p.BucketNs/whole.BucketNs))
				if !maps.Equal(got, want) {
					t.Errorf("seed %d, %+v, %s: buckets differ", seed, budget, Kind(k))
				}
				p.checkNodes(t, p.Cells[k], full[k], Kind(k) == OnCPU && p.DetailNs == 0 || budget.Bytes > 1<<20)
				size += bitsOfAll(p.Cells[k])
			}
			if p.DetailNs > 0 {
				if got, want := byBucket(p.Detail, 1), byBucket(whole.Cells[OnCPU], int32(p.DetailNs/whole.BucketNs)); !maps.Equal(got, want) || p.DetailNs%p.BucketNs != 0 {
					t.Errorf("seed %d, %+v: buckets of the detail differ", seed, budget)
				}
				p.checkNodes(t, p.Detail, full[OnCPU], true)
				size += bitsOfAll(p.Detail)
				detailed++
			}
			for i, n := range p.Nodes {
				if n.Parent >= int32(i) {
					t.Fatalf("node %d has the parent %d", i, n.Parent)
				}
			}
			if limit := budget.Nodes + 2; len(p.Nodes) > limit {
				t.Errorf("%d nodes, want at most %d", len(p.Nodes), limit)
			}
			if size > 8*budget.Bytes && p.BucketNs < 60*second {
				t.Errorf("%+v: %d bytes in buckets of %d ns", budget, size/8, p.BucketNs)
			}
		}
	}
	if detailed == 0 {
		t.Error("no profile has a detail")
	}
}

// checkNodes fails when a node that cells count in is not what all rows give;
// every says that no path may be missing.
func (p *Profile) checkNodes(t *testing.T, list []Cell, want map[string]int64, every bool) {
	t.Helper()
	totals := p.totals(selfOf(list, len(p.Nodes)))
	for i := range p.Nodes {
		path := text(p.Tree, int32(i))
		if !strings.Contains(path, OtherName) && totals[i] != want[path] && (every || totals[i] != 0) {
			t.Errorf("%s is %d, want %d", path, totals[i], want[path])
		}
	}
}

func selfOf(list []Cell, nodes int) []int64 {
	self := make([]int64, nodes)
	for _, c := range list {
		self[c.Node] += c.Value
	}
	return self
}

// bitsOfAll is the estimated size of cells.
func bitsOfAll(list []Cell) (sum int64) {
	last := Cell{}
	for _, c := range list {
		gap := c.Node - last.Node
		if c.Bucket != last.Bucket {
			gap = c.Node
		}
		sum += bitsOf(uint64(gap), uint64(c.Value))
		last = c
	}
	return sum
}

// byBucket adds cells up by bucket, with buckets so many times as wide.
func byBucket(list []Cell, by int32) map[int32]int64 {
	sums := map[int32]int64{}
	for _, c := range list {
		sums[c.Bucket/by] += c.Value
	}
	return sums
}

// Full cells merge and widen, and lose nothing but detail in time: whether rows
// come in the order of time or not.
func TestCellsWiden(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		times := make([]int64, 20_000)
		for i := range times {
			times[i] = unix0 + r.Int64N(600*second)
		}
		if seed%2 == 0 {
			slices.Sort(times)
		}
		a, nodes := newAxis(unix0, unix0+600*second, 20*ms), make([]int32, 40)
		for i := range nodes {
			nodes[i] = int32(i)
		}
		all := cells{axis: a, room: 1 << 40, nodes: nodes, counts: make([]int64, 40)}
		few := cells{axis: a, room: 4000 + 300*int64(seed), nodes: nodes, counts: make([]int64, 40)}
		for _, ns := range times {
			node, v := int32(r.IntN(40)), r.Int64N(5)
			all.add(ns, node, v)
			few.add(ns, node, v)
			few.look = min(few.look, len(few.strips)+100)
		}
		for _, c := range []*cells{&all, &few} {
			c.flush()
			c.shrink()
		}
		if few.bits != bitsOfAll(few.list()) || few.bits > few.room || few.widthNs <= second {
			t.Errorf("%d bits of %d cells, %d ns wide", few.bits, len(few.list()), few.widthNs)
		}
		for all.widthNs < few.widthNs {
			all.widen()
		}
		if all.axis != few.axis || !slices.Equal(all.list(), few.list()) {
			t.Errorf("seed %d: widening late gives other cells than widening early", seed)
		}
	}
}

// Hostile values do not wrap, and hostile times have a bucket.
func TestHostileRows(t *testing.T) {
	n := newNode()
	n.process(1, "a")
	n.stack(10, 1, 2, 3)
	n.stack(10, 4, 5)
	for i, v := range []int64{math.MaxInt64, math.MaxInt64, -5, math.MinInt64, 1} {
		n.wait(int64(i)*1e9, 1, 1, 10, -7, v)
	}
	n.sample(math.MinInt64, 1, 10, 0)
	n.sample(math.MaxInt64, math.MinInt32, math.MinInt64, math.MaxInt64)
	n.hz = "-1e400"
	r := n.result(t, n.everything())
	if r.Total(OffCPU) != math.MaxInt64 || r.Total(OnCPU) != r.Rows[OnCPU] || r.Rows[OnCPU] == 0 || r.SampleNs != 0 {
		t.Errorf("totals %d and %d of %v rows, sample %d ns", r.Total(OnCPU), r.Total(OffCPU), r.Rows, r.SampleNs)
	}
	same(t, "the first stack of an id counts", r.folded(OffCPU),
		[]string{"a;sleep;(no symbol);(no symbol);(no symbol);(stack not recorded) 9223372036854775807"})
}

// A tree that is full sends what is new to "(other)".
func TestFullTree(t *testing.T) {
	n := randomNode(5, 3000, 300)
	b := New(n.everything())
	b.tree.limit = 50
	check(t, b.Add(t.Context(), n.open(t)))
	r := b.Result(4)
	whole := n.result(t, n.everything())
	if len(r.Nodes) > 110 || r.Total(OnCPU) != whole.Total(OnCPU) || r.Total(OffCPU) != whole.Total(OffCPU) {
		t.Errorf("%d nodes, totals %d and %d, want %d and %d", len(r.Nodes), r.Total(OnCPU), r.Total(OffCPU),
			whole.Total(OnCPU), whole.Total(OffCPU))
	}
	r.checkBranch(t, OnCPU, NoNode, r.Flame(OnCPU, "", Limits{0.01, 1 << 20}))
}

func TestHeat(t *testing.T) {
	n := shopNode()
	n.sample(5*second+999*ms, 100, 10, 0)
	r := n.result(t, n.everything())
	var got []string
	for _, h := range r.Heats {
		for _, c := range h.Cells {
			got = append(got, fmt.Sprintf("%s %d:%d %d", h.Service, c.Column, c.Row, c.Count))
		}
	}
	same(t, "heat", got, []string{
		" 0:0 2", " 0:1 1", " 1:0 1", " 2:0 4", " 3:0 1", " 4:0 1", " 5:49 1",
		"cart 0:0 2", "cart 0:1 1", "cart 1:0 1", "cart 5:49 1", "kernel 3:0 1", "unknown process 4:0 1", "web 2:0 4"})
	if a := heatAxis(unix0, unix0+7200*second); a.buckets > maxHeatColumns || a.widthNs%1e9 != 0 {
		t.Errorf("two hours: %d columns of %d ns", a.buckets, a.widthNs)
	}
}

// The estimate of a profile's size is near what a compressor makes of it.
func TestCellBits(t *testing.T) {
	long(t)
	n := randomNode(3, 60_000, 3000)
	for _, budget := range []Budget{{2000, 1 << 30}, {20_000, 100_000}} {
		_, p := n.profile(t, budget)
		var raw []byte
		estimate := int64(0)
		for k := range p.Cells {
			last := Cell{}
			for _, c := range p.Cells[k] {
				raw = binary.AppendUvarint(raw, uint64(c.Bucket-last.Bucket))
				gap := c.Node - last.Node
				if c.Bucket != last.Bucket {
					gap = c.Node
				}
				raw = binary.AppendUvarint(binary.AppendUvarint(raw, uint64(gap)), uint64(c.Value))
				last = c
			}
			estimate += bitsOfAll(p.Cells[k]) / 8
		}
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, 9)
		check(t, err)
		_, err = w.Write(raw)
		check(t, err)
		check(t, w.Close())
		ratio := float64(estimate) / float64(packed.Len())
		t.Logf("%d cells in %d bytes, estimate %.2f of it", len(p.Cells[0])+len(p.Cells[1]), packed.Len(), ratio)
		if ratio < 0.8 || ratio > 1.6 {
			t.Errorf("estimate is %.2f of the compressed size", ratio)
		}
	}
}

// long skips what takes seconds, and far longer under the race detector, with
// nothing that runs at once.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}
