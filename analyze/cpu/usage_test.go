package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"kmon/analyze/replay"
	"kmon/format"
)

const second = int64(1e9)

// minute is 60 windows of 1 s from 1000 s on, without limits.
func minute() Frame {
	return Frame{replay.Windows{FromNs: math.MinInt64, ToNs: math.MaxInt64, BaseNs: 1000 * second, WidthNs: second, Count: 60}}
}

// rows are random rows of all tables over a minute, of some processes.
type rows struct {
	intervals []format.Interval
	offcpu    []format.OffCPU
	wakes     []format.Wake
	syscalls  []format.Syscall
	memory    []format.Memory
}

func randomRows(r *rand.Rand, n int) rows {
	var o rows
	for range n {
		start := 1000*second + r.Int64N(11)*5*second
		end := start + 5*second
		pid := 1 + r.Int32N(20)
		o.intervals = append(o.intervals, format.Interval{
			StartNs: start, EndNs: end, PID: pid, TID: pid*100 + r.Int32N(4), Comm: fmt.Sprint("t", r.IntN(3)), OnCPUNs: r.Int64N(5 * second),
			RunQueueNs: r.Int64N(second), Timeslices: r.Int64N(1000), Voluntary: r.Int64N(1000), Involuntary: r.Int64N(100),
		})
		o.offcpu = append(o.offcpu, format.OffCPU{
			StartNs: start, EndNs: end, PID: pid, State: format.StateSleep, StackID: r.Int64N(4), Count: r.Int64N(50),
			TotalNs: r.Int64N(20 * second), MaxNs: r.Int64N(5 * second), Waiting: r.Int64N(2),
		})
		o.wakes = append(o.wakes, format.Wake{
			StartNs: start, EndNs: end, WakerPID: pid, WakerTID: r.Int32N(30), PID: 1 + r.Int32N(20), TID: r.Int32N(30), Count: r.Int64N(100),
		})
		o.syscalls = append(o.syscalls, format.Syscall{
			StartNs: start, EndNs: end, PID: pid, Kind: format.CounterSyscall, Name: fmt.Sprint("call", r.IntN(5)),
			Count: r.Int64N(1000), Errors: r.Int64N(10), TotalNs: r.Int64N(12) - 1, MaxNs: r.Int64N(12) - 1,
		})
		o.memory = append(o.memory, format.Memory{TsNs: start, PID: pid, RSSBytes: r.Int64N(1 << 30)},
			format.Memory{TsNs: start, Cgroup: fmt.Sprint("/g", pid%3), CurrentBytes: r.Int64N(1 << 30), LimitBytes: r.Int64N(3), OOMKills: r.Int64N(5) - 1})
	}
	return o
}

// who puts five processes into each service.
func who(pid int32) Who { return Who{Party: pid, Service: pid / 5} }

// stacks of the random rows.
func testClass(stack int64) Class { return []Class{Other, Poll, Lock, Disk}[stack] }

// addTo adds every nth row, from the first.
func (o *rows) addTo(p *Partial, first, n int) {
	from := Source{Capture: 0}
	for i := first; i < len(o.intervals); i += n {
		p.AddInterval(from, who(o.intervals[i].PID), &o.intervals[i])
		p.AddOffCPU(from, who(o.offcpu[i].PID), testClass(o.offcpu[i].StackID), &o.offcpu[i])
		p.AddWake(from, who(o.wakes[i].WakerPID), who(o.wakes[i].PID), &o.wakes[i])
		p.AddSyscall(from, who(o.syscalls[i].PID), &o.syscalls[i])
	}
	for i := first; i < len(o.memory); i += n {
		p.AddMemory(from, who(o.memory[i].PID).Service, &o.memory[i])
	}
}

// plainly is what a Partial holds, without its functions.
func plainly(p *Partial) []any {
	return []any{p.Accounts, p.Waits, p.Windows, p.threads.sums, p.pairs.sums, p.calls.sums, p.Memory.moments.sums, p.Memory.groups, p.Memory.Services()}
}

func TestMergeOrderDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		data, frame := randomRows(r, 300), minute()
		if round%2 == 1 {
			frame.FromNs, frame.ToNs = 1003*second, 1037*second+1
		}
		whole := New(frame)
		data.addTo(whole, 0, 1)
		parts := make([]*Partial, 5)
		for i := range parts {
			parts[i] = New(frame)
			data.addTo(parts[i], i, len(parts))
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		merged := New(frame)
		for _, p := range parts {
			merged.Merge(p)
		}
		got, want := plainly(merged), plainly(whole)
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("round %d: part %d of the merged result is\n%+v, want\n%+v", round, i, got[i], want[i])
			}
		}
	}
}

// Parties, windows and threads each hold every nanosecond of the rows.
func TestSumsAreThoseOfTheRows(t *testing.T) {
	data := randomRows(rand.New(rand.NewPCG(3, 4)), 2000)
	p := New(minute())
	data.addTo(p, 0, 1)
	var want Account
	for i := range data.intervals {
		row := &data.intervals[i]
		want.Add(&Account{row.OnCPUNs, row.RunQueueNs, row.Timeslices, row.Voluntary, row.Involuntary})
	}
	var parties, threads Account
	for _, a := range p.Accounts {
		parties.Add(a)
	}
	p.Threads(func(_ ThreadKey, th *Thread) bool { threads.Add(&th.Account); return true })
	if parties != want || threads != want {
		t.Errorf("parties have %+v, threads %+v, the rows %+v", parties, threads, want)
	}
	windows, poll := Account{}, int64(0)
	for _, list := range p.Windows {
		for _, w := range list {
			windows.OnCPUNs += w.OnCPUNs
			windows.RunQueueNs += w.RunQueueNs
			poll += w.WaitNs[Poll]
		}
	}
	if windows.OnCPUNs != want.OnCPUNs || windows.RunQueueNs != want.RunQueueNs {
		t.Errorf("windows have %+v, the rows %+v", windows, want)
	}
	var waits Waits
	for _, w := range p.Waits {
		waits.Add(w)
	}
	wantPoll := int64(0)
	for i := range data.offcpu {
		if testClass(data.offcpu[i].StackID) == Poll {
			wantPoll += data.offcpu[i].TotalNs
		}
	}
	if waits[Poll].TotalNs != wantPoll || poll != wantPoll {
		t.Errorf("event loops waited %d, in windows %d, want %d", waits[Poll].TotalNs, poll, wantPoll)
	}
}

// What ranges that follow one another count adds up to the whole.
func TestRangesAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	data := randomRows(r, 500)
	whole := New(minute())
	data.addTo(whole, 0, 1)
	cut := 1000*second + r.Int64N(60*second)
	before, after := minute(), minute()
	before.ToNs, after.FromNs = cut, cut
	first, second := New(before), New(after)
	data.addTo(first, 0, 1)
	data.addTo(second, 0, 1)
	first.Merge(second)
	if !reflect.DeepEqual(first.Accounts, whole.Accounts) {
		t.Errorf("cut at %d, accounts are\n%+v, want\n%+v", cut, first.Accounts, whole.Accounts)
	}
	if !reflect.DeepEqual(first.pairs.sums, whole.pairs.sums) {
		t.Errorf("cut at %d, wake-ups differ", cut)
	}
}

func TestPartOfAnInterval(t *testing.T) {
	f := minute()
	f.FromNs, f.ToNs = 1002*second, 1003*second
	p := New(f)
	p.AddInterval(Source{OffsetNs: 1000 * second}, who(1), &format.Interval{EndNs: 5 * second, PID: 1, TID: 1, OnCPUNs: 1000, Voluntary: 10})
	p.AddInterval(Source{OffsetNs: 1000 * second}, who(1), &format.Interval{StartNs: 5 * second, EndNs: 10 * second, PID: 1, TID: 1, OnCPUNs: 1000})
	if got, want := *p.Accounts[1], (Account{OnCPUNs: 200, Voluntary: 2}); got != want {
		t.Errorf("one second of five is %+v, want %+v", got, want)
	}
	if got := p.Windows[0]; len(got) != 1 || got[0].Index != 2 || got[0].OnCPUNs != 200 {
		t.Errorf("its windows are %+v", got)
	}
}

func TestHostileRows(t *testing.T) {
	p := New(minute())
	for _, row := range []format.Interval{
		{StartNs: math.MinInt64, EndNs: math.MaxInt64, PID: 1, OnCPUNs: math.MaxInt64, Voluntary: -5},
		{StartNs: math.MaxInt64, EndNs: math.MinInt64, PID: 1, OnCPUNs: math.MaxInt64},
		{StartNs: 5, EndNs: 5, PID: 1, OnCPUNs: math.MinInt64},
	} {
		p.AddInterval(Source{OffsetNs: 7}, who(1), &row)
		p.AddOffCPU(Source{}, who(1), Poll, &format.OffCPU{StartNs: row.StartNs, EndNs: row.EndNs, Count: row.OnCPUNs, TotalNs: row.OnCPUNs, MaxNs: -1})
	}
	p.SplitPolls(0, []int32{1}, make([]int64, 3), math.MaxInt64)
	if a := p.Accounts[1]; a.OnCPUNs < 0 || a.Voluntary != 0 {
		t.Errorf("the account is %+v", *a)
	}
	for class, w := range p.Waits[1] {
		if w.TotalNs < 0 || w.Count < 0 || w.MaxNs < 0 {
			t.Errorf("waits of class %d are %+v", class, w)
		}
	}
}

// An event loop waits for answers at most as long as requests were under way.
func TestSplitPolls(t *testing.T) {
	loop := func(p *Partial, pid int32, start, ns int64) {
		p.AddOffCPU(Source{}, who(pid), Poll, &format.OffCPU{StartNs: start, EndNs: start + second, PID: pid, Count: 10, TotalNs: ns, MaxNs: ns / 5})
	}
	p := New(minute())
	loop(p, 1, 1000*second, second)
	loop(p, 1, 1001*second, second)
	loop(p, 2, 1001*second, second)
	asked := make([]int64, 60)
	asked[0], asked[1], asked[2] = 10*second, second/2, second
	p.SplitPolls(0, []int32{1, 2}, asked, 0)
	var sum Waits
	for _, w := range p.Waits {
		sum.Add(w)
	}
	if got := sum[Callee].TotalNs; got != second+second/2 {
		t.Errorf("waited for answers %d, want the first window and half of the second", got)
	}
	if sum[Idle].TotalNs != second+second/2 || sum[Poll] != (Wait{}) || sum[Callee].Count+sum[Idle].Count != 30 {
		t.Errorf("the split is %+v", sum)
	}
	p = New(minute())
	loop(p, 1, 1000*second, second)
	p.SplitPolls(0, []int32{1}, nil, 700)
	if w := p.Waits[1]; w[Callee].TotalNs != 700 || w[Idle].TotalNs != second-700 {
		t.Errorf("with one request never answered it is %+v", w)
	}
}

func TestPairsStandOnce(t *testing.T) {
	p := New(minute())
	wake := func(waker, tid int32, n int64) {
		p.AddWake(Source{}, who(waker), who(tid), &format.Wake{StartNs: 1000 * second, EndNs: 1005 * second, WakerPID: waker, WakerTID: waker, PID: tid, TID: tid, Count: n})
	}
	wake(1, 2, 100)
	wake(2, 1, 99)
	wake(0, 1, 50)
	wake(3, 3, 10)
	wake(5, 4, 7)
	wake(4, 5, 7)
	var got []string
	p.Pairs(func(k PairKey, pair *Pair, back int64) bool {
		got = append(got, fmt.Sprintf("%d>%d %d/%d", k.WakerTID, k.TID, pair.Count, back))
		return true
	})
	if want := []string{"1>2 100/99", "0>1 50/0", "3>3 10/0", "4>5 7/7"}; !reflect.DeepEqual(got, want) {
		t.Errorf("pairs are %q, want %q", got, want)
	}
}

func TestCallsNotRecorded(t *testing.T) {
	p := New(minute())
	for _, row := range []format.Syscall{
		{Name: "read", Count: 3, Errors: 1, TotalNs: -1, MaxNs: -1},
		{Name: "read", Count: 4, Errors: -1, TotalNs: -1, MaxNs: -1},
		{Name: "write", Count: 1, Errors: 0, TotalNs: 7, MaxNs: 7},
		{Name: "write", Count: 1, Errors: 2, TotalNs: 5, MaxNs: 5},
	} {
		row.StartNs, row.EndNs = 1000*second, 1001*second
		p.AddSyscall(Source{}, who(1), &row)
	}
	got := map[string]Calls{}
	p.Calls(func(k CallKey, c *Calls) { got[k.Name] = *c })
	want := map[string]Calls{"read": {7, -1, -1, -1, true}, "write": {2, 2, 12, 7, true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("calls are %+v, want %+v", got, want)
	}
}

func TestMemoryOfServices(t *testing.T) {
	p := New(minute())
	for _, row := range []format.Memory{
		{TsNs: 1000 * second, PID: 1, RSSBytes: 100}, {TsNs: 1000 * second, PID: 2, RSSBytes: 50},
		{TsNs: 1005 * second, PID: 1, RSSBytes: 120},
		{TsNs: 1000 * second, Cgroup: "/a", CurrentBytes: 400, LimitBytes: 1000, OOMKills: 3},
		{TsNs: 1005 * second, Cgroup: "/a", CurrentBytes: 300, LimitBytes: 900, OOMKills: 5},
		{TsNs: 1000 * second, Cgroup: "/b", CurrentBytes: 10, LimitBytes: -1, OOMKills: -1},
	} {
		p.AddMemory(Source{}, 0, &row)
	}
	want := ServiceMemory{MaxRSSBytes: 150, LastRSSBytes: 120, MaxCurrentBytes: 410, LimitBytes: 900, OOMKills: 2}
	if got := p.Memory.Services()[0]; got != want {
		t.Errorf("memory is %+v, want %+v", got, want)
	}
}

func TestLargestDropsTheSmall(t *testing.T) {
	l := newLargest(100, func(v *int64) int64 { return *v }, func(a, b int) int { return a - b })
	for i := range 1000 {
		*l.at(i) += int64(i)
	}
	if len(l.sums) > 100 || l.sorted()[0] != 999 || l.dropped == 0 {
		t.Errorf("%d of 100 are kept, first %d, %d dropped", len(l.sums), l.sorted()[0], l.dropped)
	}
}

// 2,000 threads over 10 minutes of 5 s: all rows must take less than a second.
func BenchmarkAddInterval(b *testing.B) {
	data := randomRows(rand.New(rand.NewPCG(7, 8)), 1<<12)
	for i := range data.intervals {
		data.intervals[i].PID, data.intervals[i].TID = int32(i%200), int32(i%2000)
	}
	p := New(minute())
	for i := range b.N {
		row := &data.intervals[i&(1<<12-1)]
		p.AddInterval(Source{}, who(row.PID), row)
	}
}

func BenchmarkAddWake(b *testing.B) {
	data := randomRows(rand.New(rand.NewPCG(7, 8)), 1<<12)
	p := New(minute())
	for i := range b.N {
		row := &data.wakes[i&(1<<12-1)]
		p.AddWake(Source{}, who(row.WakerPID), who(row.PID), row)
	}
}

func BenchmarkAddOffCPU(b *testing.B) {
	data := randomRows(rand.New(rand.NewPCG(7, 8)), 1<<12)
	p := New(minute())
	for i := range b.N {
		row := &data.offcpu[i&(1<<12-1)]
		p.AddOffCPU(Source{}, who(row.PID), testClass(row.StackID), row)
	}
}
