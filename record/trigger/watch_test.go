package trigger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kmon/format"
)

const second = int64(time.Second)

// watch makes a Watch of conditions over the processes of some services: the
// first has pid 1, and so on.
func watch(t *testing.T, services []string, conditions ...string) *Watch {
	t.Helper()
	var parsed []Condition
	for _, text := range conditions {
		c, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, c)
	}
	w, err := New(parsed, time.Minute, pressureFiles("0.00"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range services {
		w.Processes([]format.Process{{PID: int32(i + 1), StartNs: int64(i + 1), Service: name}})
	}
	return w
}

func pressureFiles(avg10 string) fstest.MapFS {
	text := "some avg10=" + avg10 + " avg60=99.00 avg300=99.00 total=1\nfull avg10=98.00 avg60=0.00 avg300=0.00 total=1\n"
	return fstest.MapFS{"proc/pressure/memory": {Data: []byte(text)}}
}

// requests are n of a process that took so long.
func requests(pid int32, n int, took time.Duration) []format.Exchange {
	ns := took.Nanoseconds()
	rows := slices.Repeat([]format.Exchange{{PID: pid, UploadNs: ns / 4, ServerNs: ns / 2, DownloadNs: ns / 4}}, n)
	return rows
}

// said are the sentences of what fired.
func said(fired []Fired) string {
	var all []string
	for _, f := range fired {
		all = append(all, f.String())
	}
	return strings.Join(all, "; ")
}

func TestQuantilesAreNearTheExactOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		var h, half histogram
		values := make([]int64, 1+r.IntN(3000))
		for i := range values {
			values[i] = int64(math.Exp(11 + r.Float64()*16)) // 60 µs to 9 min
			if i%2 == 0 {
				h.add(values[i])
			} else {
				half.add(values[i])
			}
		}
		h.merge(&half)
		slices.Sort(values)
		for _, q := range []float64{0.5, 0.95, 0.99, 1} {
			exact := values[int(math.Ceil(q*float64(len(values))))-1]
			if got := h.quantile(q); math.Abs(float64(got-exact)) > relativeError*float64(exact) {
				t.Fatalf("round %d: q%g of %d is %d, exactly %d", round, q, len(values), got, exact)
			}
		}
	}
}

func TestBucketsCoverAllLatencies(t *testing.T) {
	previous := 0
	for _, ns := range []int64{math.MinInt64, -1, 0, 1, 1023, 1024, 65535, 65536, 66000, 1e6, 1e9, 1e12, 1 << 40, math.MaxInt64} {
		b := bucketOf(ns)
		if b < previous || b >= buckets {
			t.Errorf("the bucket of %d is %d, after %d, of %d", ns, b, previous, buckets)
		}
		previous = b
	}
	if previous != buckets-1 {
		t.Errorf("the last bucket is %d of %d: the others are waste", previous, buckets)
	}
}

// A service that becomes slow fires once, with its p99, and again only after the
// rest.
func TestSlowServiceFires(t *testing.T) {
	w := watch(t, []string{"cart", "db"}, "p99(service=cart)>200ms")
	now := 100 * second
	for range 15 {
		w.Exchanges(requests(1, 100, 2*time.Millisecond))
		w.Exchanges(requests(2, 100, time.Second)) // another service
		if fired := w.Evaluate(now); len(fired) > 0 {
			t.Fatalf("%s fired", said(fired))
		}
		now += second
	}
	w.Exchanges(requests(1, 90, 2*time.Millisecond))
	w.Exchanges(requests(1, 11, 312*time.Millisecond)) // 11 of some 1000
	fired := w.Evaluate(now)
	const want = "p99(service=cart) was 312ms in the last 10s, over 200ms (1001 requests)"
	if len(fired) != 1 || said(fired) != want {
		t.Fatalf("got  %q\nwant %q", said(fired), want)
	}
	again := int64(0)
	for i := range int64(120) {
		w.Exchanges(requests(1, 50, 300*time.Millisecond))
		if now += second; len(w.Evaluate(now)) > 0 {
			if again == 0 {
				again = i + 1
			}
		}
	}
	if again != 60 {
		t.Errorf("it fires again after %d s, the rest is 60", again)
	}
}

func TestWindowSlides(t *testing.T) {
	for _, c := range []struct {
		condition string
		after     int // seconds for which the slow requests count
	}{
		{"p50(over=1s)>10ms", 1}, {"p50(over=3s)>10ms", 3}, {"p50>10ms", 10}, {"p50(over=60s)>10ms", 60},
	} {
		w := watch(t, []string{"cart"}, c.condition)
		w.rest = 0
		w.Exchanges(requests(1, 50, 20*time.Millisecond))
		held := 0
		for i := range int64(100) {
			if len(w.Evaluate((100+i)*second)) > 0 {
				held++
			}
		}
		if held != c.after {
			t.Errorf("%s holds for %d s, want %d", c.condition, held, c.after)
		}
	}
}

// A quantile of a few requests, or of one slow one among few, is nothing.
func TestFewRequestsDoNotFire(t *testing.T) {
	for _, c := range []struct {
		condition  string
		fast, slow int
		want       bool
	}{
		{"p99>200ms", 0, 3, false},
		{"p99>200ms", 0, MinRequests - 1, false},
		{"p99>200ms", 0, MinRequests, true},
		{"p99>200ms", 30, 1, false},
		{"p99>200ms", 30, minSlow - 1, false},
		{"p99>200ms", 30, minSlow, true},
		{"p99>200ms", 996, 4, false},
		{"p99>200ms", 989, 11, true},
		{"max>200ms", 0, 1, true},
		{"max>200ms", 1000, 0, false},
	} {
		w := watch(t, []string{"cart"}, c.condition)
		w.Exchanges(requests(1, c.fast, time.Millisecond))
		w.Exchanges(requests(1, c.slow, 300*time.Millisecond))
		if fired := w.Evaluate(second); (len(fired) > 0) != c.want {
			t.Errorf("%s of %d fast and %d slow: %q, want %v", c.condition, c.fast, c.slow, said(fired), c.want)
		}
	}
}

// What is no request, or has no latency, is none here either; what was never
// answered took at least as long as it waited.
func TestOnlyRequestsCount(t *testing.T) {
	for _, c := range []struct {
		flags format.ExchangeFlags
		slow  bool
	}{
		{0, true},
		{format.ExchangeContinued | format.ExchangeIdle, true},
		{format.ExchangeClosed | format.ExchangeReset, true},
		{format.ExchangeClient, false},
		{format.ExchangePartial, false},
		{format.ExchangeNoRequest, false},
		{format.ExchangeStream | format.ExchangeInterleaved, false},
		{format.ExchangeInterleaved, false},
		{format.ExchangeJoined, false},
		{format.ExchangeNoAnswer, false},
		{format.ExchangeNoAnswer | format.ExchangeClosed, false}, // a goodbye
		{format.ExchangeNoAnswer | format.ExchangeClosed | format.ExchangeOpen | format.ExchangeReset, false},
		{format.ExchangeNoAnswer | format.ExchangeClosed | format.ExchangeReset, true},
		{format.ExchangeNoAnswer | format.ExchangeClosed | format.ExchangeServerClosed, true},
	} {
		w := watch(t, []string{"cart"}, "p50>200ms")
		rows := requests(1, 100, 300*time.Millisecond)
		for i := range rows {
			rows[i].Flags = c.flags
		}
		w.Exchanges(rows)
		if fired := w.Evaluate(second); (len(fired) > 0) != c.slow {
			t.Errorf("flags %#x: fired %q, want %v", c.flags, said(fired), c.slow)
		}
	}
	w := watch(t, []string{"cart"}, "p50>200ms")
	gaveUp := requests(1, 30, 4*time.Second) // 2 s of it waiting for an answer
	for i := range gaveUp {
		gaveUp[i].Flags = format.ExchangeNoAnswer | format.ExchangeClosed
	}
	w.Exchanges(gaveUp)
	if len(w.Evaluate(second)) != 1 {
		t.Error("clients that gave up do not count")
	}
}

// Without a name it is the worst service that is told.
func TestAnyService(t *testing.T) {
	w := watch(t, []string{"cart", "db", "web"}, "p50>10ms")
	w.Exchanges(requests(1, 30, 20*time.Millisecond))
	w.Exchanges(requests(2, 30, 50*time.Millisecond))
	w.Exchanges(requests(3, 30, time.Millisecond))
	w.Exchanges(requests(9, 30, time.Second)) // nobody knows whose
	if got, want := said(w.Evaluate(second)), "p50(service=db) was 49.8ms in the last 10s, over 10ms (30 requests)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// More services than there is room for: those that fall silent give it back.
func TestManyServices(t *testing.T) {
	var names []string
	for i := range maxServices + 10 {
		names = append(names, fmt.Sprint("s", i))
	}
	w := watch(t, names, "p50>10ms", "requests(service=s70)<1/s")
	for pid := range names {
		w.Exchanges(requests(int32(pid+1), 20, time.Millisecond))
	}
	if got := len(w.windows[0].services); got != maxServices+1 || !w.Crowded() { // and the one that is named
		t.Fatalf("%d services are watched, crowded %v", got, w.Crowded())
	}
	now := second
	for range 12 {
		w.Evaluate(now)
		now += second
	}
	if got := len(w.windows[0].services); got != 1 {
		t.Errorf("%d silent services are watched, want the one that is named", got)
	}
	w.Exchanges(requests(maxServices+10, 20, time.Second))
	if got := said(w.Evaluate(now)); !strings.HasPrefix(got, "p50(service=s73) was 998ms") {
		t.Errorf("a service that had no room: %q", got)
	}
}

// Requests can be too few, by a service that has died too, but not before there
// were enough.
func TestTooFewRequests(t *testing.T) {
	w := watch(t, []string{"cart"}, "requests(service=cart)<5/s", "requests>20/s")
	now := second
	for range 30 { // nobody asks
		if fired := w.Evaluate(now); len(fired) > 0 {
			t.Fatalf("%s", said(fired))
		}
		now += second
	}
	for range 12 {
		w.Exchanges(requests(1, 10, time.Millisecond))
		if fired := w.Evaluate(now); len(fired) > 0 {
			t.Fatalf("%s", said(fired))
		}
		now += second
	}
	w.Ended([]format.Proc{{Event: format.ProcExit, PID: 1, StartNs: 1}})
	var fired []Fired
	seconds := 0
	for ; len(fired) == 0 && seconds < 20; seconds++ {
		fired = w.Evaluate(now)
		now += second
	}
	if want := "requests(service=cart) was 4/s in the last 10s, under 5/s"; said(fired) != want || seconds != 6 {
		t.Errorf("after %d s: %q, want %q", seconds, said(fired), want)
	}
	w.Processes([]format.Process{{PID: 7, Service: "web"}})
	for range 12 {
		w.Exchanges(requests(7, 30, time.Millisecond))
		fired = w.Evaluate(now)
		if now += second; len(fired) > 0 {
			break
		}
	}
	if got := said(fired); !strings.HasPrefix(got, "requests(service=web) was 2") {
		t.Errorf("too many: %q", got)
	}
}

// Requests that were not recorded are not too few.
func TestLostRequestsAreNotTooFew(t *testing.T) {
	w := watch(t, []string{"cart"}, "requests(service=cart)<5/s")
	now := 100 * second
	step := func(requestsNow int) []Fired {
		w.Exchanges(requests(1, requestsNow, time.Millisecond))
		now += second
		return w.Evaluate(now)
	}
	for range 12 {
		step(10)
	}
	for range 20 {
		w.Lost(now)
		if fired := step(0); len(fired) > 0 {
			t.Fatalf("while exchanges are lost: %s", said(fired))
		}
	}
	for range 10 {
		if fired := step(10); len(fired) > 0 {
			t.Fatalf("while the window lacks some: %s", said(fired))
		}
	}
	seconds := 1
	for len(step(0)) == 0 && seconds < 20 {
		seconds++
	}
	if seconds != 6 {
		t.Errorf("it fires %d s after the last request, want 6", seconds)
	}
}

// A process is known for a second after its end, and its pid may be another's then.
func TestEndedProcesses(t *testing.T) {
	w := watch(t, []string{"cart"}, "p50>10ms")
	w.Ended([]format.Proc{{Event: format.ProcExit, PID: 1, StartNs: 1}, {Event: format.ProcExec, PID: 1}, {Event: format.ProcExit, PID: 99}})
	w.Evaluate(second)
	w.Exchanges(requests(1, 30, time.Second))
	if fired := w.Evaluate(2 * second); len(fired) != 1 {
		t.Error("the last requests of a process that ended do not count")
	}
	if len(w.processes)+len(w.services) != 0 {
		t.Errorf("%d processes and %d services are kept", len(w.processes), len(w.services))
	}
	w.Processes([]format.Process{{PID: 1, StartNs: 5, Service: "db"}})
	w.Ended([]format.Proc{{Event: format.ProcExit, PID: 1, StartNs: 5}})
	w.Processes([]format.Process{{PID: 1, StartNs: 6, Service: "web"}})
	w.Evaluate(3 * second)
	w.Evaluate(4 * second)
	if w.processes[1].service == nil || w.processes[1].service.name != "web" {
		t.Error("the end of a process took the next one with its pid")
	}
}

// Events of several seconds come at once when the recorder was held up; the
// rate is that of the seconds in which they happened.
func TestFaults(t *testing.T) {
	drops := func(second, count int64) format.NetEvent {
		return format.NetEvent{TsNs: second*secondNs + 5, Kind: format.NetDrop, Count: count}
	}
	for _, c := range []struct {
		condition string
		rows      []format.NetEvent
		want      string
	}{
		{"drops>100/s", []format.NetEvent{drops(50, 60), drops(51, 60), drops(52, 60)}, ""},
		{"drops>100/s", []format.NetEvent{drops(50, 60), drops(50, 70), drops(52, 60)}, "drops was 130/s in the last 1s, over 100/s"},
		{"drops(over=4s)>40/s", []format.NetEvent{drops(50, 60), drops(51, 60), drops(52, 60)}, "drops was 45/s in the last 4s, over 40/s"},
		{"resets>1/s", []format.NetEvent{drops(50, 60), {TsNs: 51 * secondNs, Kind: format.NetResetSent, Count: 1}, {TsNs: 51 * secondNs, Kind: format.NetResetReceived, Count: 2}},
			"resets was 3/s in the last 1s, over 1/s"},
		{"retransmits>1/s", []format.NetEvent{drops(50, 60), {TsNs: 51 * secondNs, Kind: format.NetRetransmit, Count: 2}}, "retransmits was 2/s in the last 1s, over 1/s"},
		{"drops>1/s", []format.NetEvent{{TsNs: -5, Kind: format.NetDrop, Count: 9}, {Kind: 99, Count: 9}, {Kind: -1, Count: 9}}, ""},
	} {
		w := watch(t, nil, c.condition)
		w.NetEvents(c.rows)
		if got := said(w.Evaluate(second)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.condition, got, c.want)
		}
		w.conditions[0].restsNs = 0
		w.NetEvents([]format.NetEvent{drops(53, 1), {TsNs: 53 * secondNs, Kind: format.NetRetransmit, Count: 1}})
		if c.condition != "drops(over=4s)>40/s" {
			if fired := w.Evaluate(second); len(fired) > 0 {
				t.Errorf("%s: what is over fires again: %q", c.condition, said(fired))
			}
		}
	}
}

func TestPressure(t *testing.T) {
	w := watch(t, nil, "pressure(memory)>10%")
	if fired := w.Evaluate(second); len(fired) > 0 {
		t.Errorf("without pressure: %q", said(fired))
	}
	w.root = pressureFiles("23.45")
	if got, want := said(w.Evaluate(2*second)), "pressure(memory) was 23.45% in the last 10s, over 10%"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.root = fstest.MapFS{}
	if fired := w.Evaluate(200 * second); len(fired) > 0 {
		t.Errorf("a file that is gone: %q", said(fired))
	}
}

func TestPressureThatIsNotMeasured(t *testing.T) {
	c, err := Parse("pressure(io)>10%")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                "condition pressure(io)>10%: this kernel does not measure pressure (CONFIG_PSI; where it is off by default, psi=1 on its command line): open proc/pressure/io",
		"nonsense":        "condition pressure(io)>10%: /proc/pressure/io has no line of some with avg10",
		"some avg10=nix ": "condition pressure(io)>10%: /proc/pressure/io has no line of some with avg10",
	} {
		root := t.TempDir()
		if name != "" {
			write(t, filepath.Join(root, "proc/pressure/io"), name)
		}
		if _, err := New([]Condition{c}, time.Minute, os.DirFS(root)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNothingToWatch(t *testing.T) {
	w, err := New(nil, time.Minute, nil)
	if w != nil || err != nil {
		t.Fatalf("got %v, %v", w, err)
	}
	w.Processes([]format.Process{{PID: 1}})
	w.Exchanges(requests(1, 1, time.Second))
	w.NetEvents([]format.NetEvent{{}})
	w.Ended([]format.Proc{{}})
	if w.Evaluate(1) != nil || w.Crowded() {
		t.Error("a nil Watch says something")
	}
	if _, err := New(make([]Condition, MaxConditions+1), time.Minute, nil); err == nil {
		t.Error("any number of conditions is taken")
	}
}

// What an exchange costs: of processes that nobody watches, of one that is, of many
// in turn.
func BenchmarkExchanges(b *testing.B) {
	parse := func(text string) Condition {
		c, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	for _, bench := range []struct {
		name       string
		conditions []Condition
		processes  int32
	}{
		{"none", nil, 1},
		{"other", []Condition{parse("p99(service=cart)>1s")}, 1},
		{"one", []Condition{parse("p99>1s")}, 1},
		{"many", []Condition{parse("p99>1s")}, 60},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w, err := New(bench.conditions, time.Minute, nil)
			if err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			rows := make([]format.Exchange, 4096)
			for i := range rows {
				rows[i] = format.Exchange{PID: 1 + r.Int32N(bench.processes), ServerNs: int64(math.Exp(12 + 5*r.Float64()))}
			}
			for pid := range bench.processes {
				w.Processes([]format.Process{{PID: pid + 1, Service: fmt.Sprint("s", pid)}})
			}
			for b.Loop() {
				w.Exchanges(rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/exchange")
		})
	}
}
