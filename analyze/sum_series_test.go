package analyze

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"kmon/format"
)

// added adds the windows of a series up.
func added(t *testing.T, s *SumSeries) []int64 {
	t.Helper()
	var sums []int64
	for i, p := range s.Points {
		if i > 0 && (p.StartNs <= s.Points[i-1].StartNs || (p.StartNs-s.Points[0].StartNs)%s.WidthNs != 0) {
			t.Errorf("point %d is at %d, the one before at %d", i, p.StartNs, s.Points[i-1].StartNs)
		}
		if sums == nil {
			sums = make([]int64, len(p.Sums))
		}
		for k, v := range p.Sums {
			sums[k] += v
		}
	}
	return sums
}

// The windows of waits, threads and calls add up to what their rows say.
func TestSumsByWindow(t *testing.T) {
	a := analyzed(t, Options{}, busyNode(t).story)
	waiting := 0
	for _, s := range a.Services {
		if len(s.OffCPU) == 0 {
			continue
		}
		waiting++
		want := []int64{}
		for _, w := range s.OffCPU {
			want = append(want, w.TotalNs)
		}
		if got := added(t, &s.WaitSeries); !reflect.DeepEqual(got, want) {
			t.Errorf("%s waited %v by window, %v in all", s.Name, got, want)
		}
	}
	if waiting < 3 || len(a.Threads) < 4 || len(a.Syscalls) != 2 {
		t.Fatalf("%d services wait, %d threads, %d calls", waiting, len(a.Threads), len(a.Syscalls))
	}
	counted := 0
	for _, service := range a.Services {
		for i, w := range service.OffCPU {
			if got := added(t, &service.WaitCounts[i]); got != nil {
				counted++
				if !reflect.DeepEqual(got, []int64{w.Count, w.TotalNs}) {
					t.Errorf("%s waited for %s %v by window, %+v in all", service.Name, w.For, got, w)
				}
			} else if w.For != "idle" && w.For != "callee" {
				t.Errorf("%s waited for %s: not by window", service.Name, w.For)
			}
		}
	}
	if counted < 2 || len(a.Wakes) < 2 {
		t.Errorf("%d waits are counted, %d pairs", counted, len(a.Wakes))
	}
	for _, pair := range a.Wakes {
		if got, want := added(t, &pair.Series), []int64{pair.Count, pair.Back}; !reflect.DeepEqual(got, want) {
			t.Errorf("%d woke %d %v by window, %v in all", pair.WakerTID, pair.TID, got, want)
		}
	}
	for _, thread := range a.Threads {
		if got, want := added(t, &thread.Series), []int64{thread.CPU.OnCPUNs, thread.CPU.RunQueueNs}; !reflect.DeepEqual(got, want) {
			t.Errorf("thread %d used %v by window, %v in all", thread.TID, got, want)
		}
	}
	for _, c := range a.Syscalls {
		want := []int64{c.Count, *c.Errors, 0}
		if c.TotalNs != nil {
			want[2] = *c.TotalNs
		}
		if got := added(t, &c.Series); !reflect.DeepEqual(got, want) {
			t.Errorf("%s was called %v by window, %v in all", c.Name, got, want)
		}
	}
}

// Wake-ups and waits of a range of whole intervals are those of an analysis of it alone.
func TestWakesAndWaitsOfRange(t *testing.T) {
	node := busyNode(t)
	node.waited(20, 2, 0, 40, second/2)
	node.woke(10, 11, 7)
	node.wakes[len(node.wakes)-1].StartNs, node.wakes[len(node.wakes)-1].EndNs = mono0+5*second, mono0+10*second
	whole := analyzed(t, Options{}, node.story)
	for _, r := range [][2]int64{{0, 5}, {5, 10}, {0, 10}} {
		part := ofRange(t, r, node.story)
		for _, pair := range whole.Wakes {
			sums, _ := pair.Series.within(r[0], r[1])
			i := slices.IndexFunc(part.Wakes, func(o WakePair) bool { return o.WakerTID == pair.WakerTID && o.TID == pair.TID })
			if i < 0 && sums[0] != 0 || i >= 0 && !slices.Equal(sums, []int64{part.Wakes[i].Count, part.Wakes[i].Back}) {
				t.Errorf("seconds %v: %d woke %d %v by window, %+v in an analysis of them", r, pair.WakerTID, pair.TID, sums, part.Wakes)
			}
		}
		batch, of := serviceNamed(t, whole, "batch"), waitFor(serviceNamed(t, part, "batch").OffCPU, "disk")
		if sums, _ := batch.WaitCounts[0].within(r[0], r[1]); !slices.Equal(sums, []int64{of.Count, of.TotalNs}) || of.Count == 0 {
			t.Errorf("seconds %v: batch waited %v by window, %+v in an analysis of them", r, sums, of)
		}
	}
}

// The windows of a band add up to its requests and to the time of each part.
func TestBreakdownByWindow(t *testing.T) {
	a := analyzed(t, Options{}, frontAndStock(t, format.ExchangeAccounted))
	front := serviceNamed(t, a, "front").Breakdown
	for _, b := range []BreakdownBand{front.Middle, front.Slow} {
		want := []int64{b.Requests}
		for _, p := range b.Parts {
			want = append(want, p.Ns*b.Requests) // all alike: the means are exact
		}
		if got := added(t, &b.Series); !reflect.DeepEqual(got, want) {
			t.Errorf("by window %v, want %v", got, want)
		}
	}
	slow := map[int64]int64{}
	for _, p := range front.Slow.Series.Points {
		slow[(p.StartNs-front.Slow.Series.Points[0].StartNs)/second] += p.Sums[0]
	}
	if want := map[int64]int64{0: 1, 4: 1, 7: 1}; !reflect.DeepEqual(slow, want) { // at 0.9, 4.2 and 7.5 s
		t.Errorf("slow requests by second from the first: %v, want %v", slow, want)
	}
}

// within adds up the windows of a series that begin in a range of seconds, from the
// story's start; most are the largest.
func (s *SumSeries) within(from, to int64) (sums, most []int64) {
	for _, p := range s.Points {
		if p.StartNs < unix0+from*second || p.StartNs >= unix0+to*second {
			continue
		}
		if sums == nil {
			sums, most = make([]int64, len(p.Sums)), slices.Clone(p.Max)
		}
		for k, v := range p.Sums {
			sums[k] += v
		}
		for k, v := range p.Max {
			most[k] = max(most[k], v)
		}
	}
	return sums, most
}

// ranges are the whole of a story's ten seconds, and parts of it.
var ranges = [][2]int64{{0, 10}, {2, 4}, {3, 9}}

// ofRange analyzes a range of a story by itself.
func ofRange(t *testing.T, r [2]int64, s *story) *Analysis {
	t.Helper()
	return analyzed(t, Options{Since: fmt.Sprintf("%ds", r[0]), Until: fmt.Sprintf("%ds", r[1])}, s)
}

// What users and operations of disks did in windows is what an analysis of these alone
// says of them.
func TestDiskPartsByWindow(t *testing.T) {
	s := database(t)
	s.io(sda, 50, 3*second, ms, ms, format.OperationWrite, 1<<20)
	s.io(sda, 50, 3*second, ms, ms, format.OperationWrite, 4096).Flags = format.IOSync
	s.io(sda, 0, 4*second, ms, 7*ms, format.OperationRead, 4096)
	s.io(sda, 100, 4*second, 0, second, format.OperationRead, 4096).Flags = format.IOOpen
	whole := diskNamed(t, analyzed(t, Options{}, s), "sda")
	for _, r := range ranges {
		part := diskNamed(t, ofRange(t, r, s), "sda")
		users, operations := 0, 0
		for _, u := range whole.Users {
			sums, most := u.Series.within(r[0], r[1])
			for _, o := range part.Users {
				if o.Service != u.Service || o.Comm != u.Comm {
					continue
				}
				users++
				if want := []int64{o.IOs, o.ReadBytes, o.WriteBytes}; !slices.Equal(sums[:3], want) || sums[3]/sums[0] != o.Latency.Mean || most[0] != o.Latency.Max {
					t.Errorf("seconds %v of %s %s: %v, %v by window, %+v in an analysis of them", r, u.Service, u.Comm, sums, most, o)
				}
			}
		}
		for _, u := range whole.Operations {
			sums, most := u.Series.within(r[0], r[1])
			for _, o := range part.Operations {
				if o.Operation != u.Operation || o.SizeTo != u.SizeTo {
					continue
				}
				operations++
				if want := []int64{o.IOs, o.Bytes}; !slices.Equal(sums[:2], want) || sums[2]/sums[0] != o.Device.Mean || sums[3]/sums[0] != o.Latency.Mean || most[0] != o.Latency.Max {
					t.Errorf("seconds %v of %s to %d: %v, %v by window, %+v in an analysis of them", r, u.Operation, u.SizeTo, sums, most, o)
				}
			}
		}
		if users != len(part.Users) || operations != len(part.Operations) || users == 0 {
			t.Errorf("seconds %v: %d of %d users, %d of %d operations", r, users, len(part.Users), operations, len(part.Operations))
		}
	}
	for _, u := range whole.Users { // what did nothing is 0, and no latency
		if sums, most := u.Series.within(0, 1); u.Service == "kernel" && (!slices.Equal(sums, []int64{0, 0, 0, 0}) || most[0] != -1) {
			t.Errorf("%s %s did %v, %v in the first second", u.Service, u.Comm, sums, most)
		}
	}
}

// However many users there are, those beyond the list are one by window, too.
func TestOtherDiskUsersByWindow(t *testing.T) {
	s := newStory(t, "node1")
	s.withBlock()
	s.disk(sda, 0, "sda", "disk", 1<<40)
	for i := range int32(maxDiskUsers + 30) {
		s.process(100+i, fmt.Sprintf("job%03d", i))
		s.io(sda, 100+i, int64(i%10)*second, 0, ms, format.OperationRead, 4096)
	}
	d := diskNamed(t, analyzed(t, Options{}, s), "sda")
	other := d.Users[len(d.Users)-1]
	if sums := added(t, &other.Series); other.Service != otherUsers.Service || other.IOs != 31 || sums[0] != 31 {
		t.Errorf("the others are %+v, by window %v", other, sums)
	}
}

// Drops and accept queues of windows are those of an analysis of these alone.
func TestFaultsByWindow(t *testing.T) {
	whole := analyzed(t, Options{}, faulty(t))
	for _, r := range ranges {
		part := ofRange(t, r, faulty(t))
		for _, d := range whole.Drops {
			sums, _ := d.Series.within(r[0], r[1])
			i := slices.IndexFunc(part.Drops, func(o Drop) bool { return o.Reason == d.Reason && o.Service == d.Service })
			if i < 0 && sums[0] != 0 || i >= 0 && sums[0] != part.Drops[i].Count {
				t.Errorf("seconds %v of %s: %v by window, %+v in an analysis of them", r, d.Reason, sums, part.Drops)
			}
		}
		for _, q := range whole.AcceptQueues {
			sums, most := q.Series.within(r[0], r[1])
			want := AcceptQueue{} // no row: an empty queue
			if i := slices.IndexFunc(part.AcceptQueues, func(o AcceptQueue) bool { return o.Address == q.Address }); i >= 0 {
				want = part.AcceptQueues[i]
			}
			if sums[0] != want.Overflows || !slices.Equal(most, []int64{int64(want.MaxDepth), int64(want.Limit)}) {
				t.Errorf("seconds %v of %s: %v, %v by window, %+v in an analysis of them", r, q.Address, sums, most, want)
			}
		}
	}
}

// Memory of windows is that of an analysis of these alone; where nobody looked it is
// not known. A kill is told at the look that noticed it, though the look before is out.
func TestMemoryByWindow(t *testing.T) {
	whole := serviceNamed(t, analyzed(t, Options{}, busyNode(t).story), "web").Memory
	for _, r := range [][2]int64{{0, 10}, {0, 5}, {5, 10}} {
		part := serviceNamed(t, ofRange(t, r, busyNode(t).story), "web").Memory
		sums, most := whole.Series.within(r[0], r[1])
		if want := []int64{part.MaxRSSBytes, part.MaxCurrentBytes}; !slices.Equal(most, want) || part.MaxRSSBytes == 0 {
			t.Errorf("seconds %v: %v by window, %v in an analysis of them", r, most, want)
		}
		if want := whole.OOMKills; r[1] == 10 && sums[0] != want || r[1] == 5 && sums[0] != 0 {
			t.Errorf("seconds %v: %d kills by window, %d in all", r, sums[0], want)
		}
	}
	if _, most := whole.Series.within(1, 5); !slices.Equal(most, []int64{-1, -1}) {
		t.Errorf("while nobody looked it had %v", most)
	}
	node := busyNode(t)
	other := newNode(t, "node2")
	other.process(10, "web")
	other.memory = []format.Memory{{TsNs: mono0, PID: 10, RSSBytes: 1 << 20}}
	if both := serviceNamed(t, analyzed(t, Options{}, node.story, other.story), "web").Memory; both.MaxRSSBytes != 101<<20 || len(both.Series.Points) != 0 {
		t.Errorf("of two hosts: %+v", both)
	}
}

// Parts of latencies, messages of streams and bytes of a range are those of an analysis
// of it alone.
func TestRequestPartsByWindow(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "queue")
	s.process(300, "web")
	s.socket(2, format.RoleServer, 200, 0, "10.0.0.1 5672", "203.0.113.9 40000")
	s.socket(3, format.RoleServer, 300, 0, "10.0.0.1 80", "203.0.113.9 40001")
	for i := range int64(40) {
		s.exchange(2, 200, i*second/4, 0, 5*ms, 0, format.ExchangeStream)
		s.exchange(3, 300, i*second/4, i%3*ms, (5+i)*ms, i%2*ms, 0)
		s.exchange(3, 300, i*second/4+100*ms, 0, 0, 0, format.ExchangeNoRequest)
	}
	whole := analyzed(t, Options{}, s)
	for _, r := range ranges {
		part := ofRange(t, r, s)
		web, of := serviceNamed(t, whole, "web"), serviceNamed(t, part, "web")
		sums, _ := web.PartSeries.within(r[0], r[1])
		means := []int64{sums[1] / sums[0], sums[2] / sums[0], sums[3] / sums[0]}
		if want := []int64{of.Upload.Mean, of.Server.Mean, of.Download.Mean}; sums[0] != of.Latency.Count || !slices.EqualFunc(means, want, func(a, b int64) bool { return a-b <= 1 && b-a <= 1 }) {
			t.Errorf("seconds %v: %d with parts of %v by window, %d with %v in an analysis of them", r, sums[0], means, of.Latency.Count, want)
		}
		for _, name := range []string{"queue", "web"} {
			of := serviceNamed(t, part, name).Streams
			list := serviceNamed(t, whole, name).StreamSeries
			if sums, _ := list.within(r[0], r[1]); !slices.Equal(sums, []int64{of.MessagesIn, of.MessagesOut, of.OneWay}) || of.MessagesIn+of.OneWay == 0 {
				t.Errorf("seconds %v: %s has messages %v by window, %+v in an analysis of them", r, name, sums, of)
			}
		}
		for i, e := range whole.Edges {
			if sums, _ := e.ByteSeries.within(r[0], r[1]); !slices.Equal(sums, []int64{part.Edges[i].BytesSent, part.Edges[i].BytesReceived}) || sums[1] == 0 {
				t.Errorf("seconds %v: edge to %s carried %v by window, %+v in an analysis of them", r, e.Server, sums, part.Edges[i])
			}
		}
	}
}
