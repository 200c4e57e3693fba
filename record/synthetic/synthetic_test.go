package synthetic

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// make generates into a directory of the test.
func generate(t *testing.T, s Scenario) Result {
	t.Helper()
	r, err := Generate(context.Background(), s, Options{Dir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// short is a scenario of a few thousand requests.
func short(faults ...string) Scenario {
	s := Scenario{Duration: 15 * time.Second, Rate: 30, Noise: 0.2, Seed: 5}
	for _, text := range faults {
		f, err := ParseFault(text)
		if err != nil {
			panic(err)
		}
		s.Faults = append(s.Faults, f)
	}
	return s
}

// rows reads a table of all captures.
func rows[T format.Row](t *testing.T, r Result) []T {
	t.Helper()
	var list []T
	for _, path := range r.Paths {
		c, err := format.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := format.All[T](c)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, got...)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// sound holds captures against the rules of the format.
func sound(t *testing.T, r Result) {
	t.Helper()
	for _, path := range r.Paths {
		c, err := format.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckValid(); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Problems() {
			t.Errorf("problem: %s", p)
		}
		if c.Manifest.Synthetic == "" {
			t.Errorf("%s does not say that it is synthetic", path)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryFaultAndLoadIsSound(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			r := generate(t, short(k.Name+":from=4s,to=12s"))
			sound(t, r)
			in := r.Truth.Faults[0]
			if k.takes("node") != (in.Node != "") || k.takes("service") != (in.Service != "") || k.takes("peer") != (in.Peer != "") {
				t.Errorf("the truth names node %q, peer %q, service %q; the fault takes %q", in.Node, in.Peer, in.Service, k.Targets)
			}
			if answered(t, r) < 1000 {
				t.Errorf("only %d requests were answered", answered(t, r))
			}
		})
	}
	for _, p := range Patterns {
		t.Run(p.Name, func(t *testing.T) {
			s := short()
			s.Load = []string{p.Name}
			sound(t, generate(t, s))
		})
	}
}

// answered counts answered requests at the servers.
func answered(t *testing.T, r Result) int {
	n := 0
	for _, e := range rows[format.Exchange](t, r) {
		if e.Flags&(format.ExchangeClient|format.ExchangeNoAnswer) == 0 {
			n++
		}
	}
	return n
}

func TestSameSeedSameBytes(t *testing.T) {
	s := short("slow-path:from=5s", "lock-livelock:from=8s")
	s.Load, s.Lost = []string{"gc", "bursty", "deploy", "batch"}, 0.1
	a, b := generate(t, s), generate(t, s)
	s.Seed++
	other := generate(t, s)
	for i := range a.Paths {
		if !bytes.Equal(read(t, a.Paths[i]), read(t, b.Paths[i])) {
			t.Errorf("%s differs from one time to the next", filepath.Base(a.Paths[i]))
		}
		if bytes.Equal(read(t, a.Paths[i]), read(t, other.Paths[i])) {
			t.Errorf("%s is the same with another seed", filepath.Base(a.Paths[i]))
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLossIsCounted: what a lossy recording has and what it says it lost are what
// one without losses has.
func TestLossIsCounted(t *testing.T) {
	s := short("retransmission:from=3s,size=3")
	whole := generate(t, s)
	s.Lost = 0.2
	lossy := generate(t, s)
	lost := map[string]int64{}
	for _, l := range rows[format.Loss](t, lossy) {
		lost[l.Table] += l.Count
	}
	for table, count := range map[string]func(Result) int{
		"exchanges": func(r Result) int { return len(rows[format.Exchange](t, r)) },
		"ios":       func(r Result) int { return len(rows[format.IO](t, r)) },
		"oncpu":     func(r Result) int { return len(rows[format.OnCPU](t, r)) },
		"offcpu":    func(r Result) int { return len(rows[format.OffCPU](t, r)) },
		"intervals": func(r Result) int { return len(rows[format.Interval](t, r)) },
		"netevents": func(r Result) int { return len(rows[format.NetEvent](t, r)) },
	} {
		all, kept := count(whole), count(lossy)
		if int64(all-kept) != lost[table] || math.Abs(float64(kept)/float64(all)-0.8) > 0.15 {
			t.Errorf("%s: %d of %d rows are there and %d are counted as lost", table, kept, all, lost[table])
		}
	}
	sound(t, lossy)
}

// TestEndsAgree: each request is at both ends, longer at the client's.
func TestEndsAgree(t *testing.T) {
	r := generate(t, short())
	client, server := int64(0), int64(0)
	clients, servers := 0, 0
	for _, e := range rows[format.Exchange](t, r) {
		switch {
		case e.Flags&(format.ExchangeNoAnswer|format.ExchangeOpen) != 0:
		case e.Flags&format.ExchangeClient != 0:
			clients, client = clients+1, client+e.ServerNs
		default:
			servers, server = servers+1, server+e.ServerNs
		}
	}
	if max(clients-servers, servers-clients) > 20 || clients < 2000 || client <= server {
		t.Errorf("%d requests of %d ns at the clients, %d of %d ns at the servers", clients, client, servers, server)
	}
}

// TestCPUAddsUp: threads were on no more CPU than there is, and about as long as
// they were sampled.
func TestCPUAddsUp(t *testing.T) {
	s := short("cpu-saturation:node=1,from=5s")
	r := generate(t, s)
	on := int64(0)
	for _, i := range rows[format.Interval](t, r) {
		if i.OnCPUNs > i.EndNs-i.StartNs {
			t.Errorf("thread %d was on CPUs for %d ns of %d", i.TID, i.OnCPUNs, i.EndNs-i.StartNs)
		}
		on += i.OnCPUNs
	}
	if limit := int64(3*cpusPerNode) * s.Duration.Nanoseconds(); on > limit {
		t.Errorf("%d ns on CPUs, there are %d", on, limit)
	}
	sampled := int64(len(rows[format.OnCPU](t, r))) * samplePeriodNs
	if ratio := float64(sampled) / float64(on); ratio < 0.9 || ratio > 1.1 {
		t.Errorf("%d ns on CPUs, %d sampled", on, sampled)
	}
}

func TestLimpingDisk(t *testing.T) {
	before, during := deviceTimes(t, generate(t, short("limping-disk:node=2,size=5,from=6s")), "node2")
	if ratio := float64(during) / float64(before); ratio < 4.5 || ratio > 5.5 {
		t.Errorf("the disk takes %d ns, %d before: %.1f times as long, not 5", during, before, ratio)
	}
	before, during = deviceTimes(t, generate(t, short("limping-disk:node=2,size=5,from=6s")), "node1")
	if ratio := float64(during) / float64(before); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("another disk takes %d ns, %d before", during, before)
	}
}

// deviceTimes gives the median time of IOs on a node before and after second 6.
func deviceTimes(t *testing.T, r Result, node string) (before, during int64) {
	t.Helper()
	c, err := format.Open(filepath.Join(filepath.Dir(r.TruthPath), node+".kmon"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ios, err := format.All[format.IO](c)
	if err != nil {
		t.Fatal(err)
	}
	var times [2][]int64
	for _, io := range ios {
		if io.Op == format.OperationWrite {
			at := 0
			if io.StartNs-c.Manifest.Clock.MonotonicNs > 6e9 {
				at = 1
			}
			times[at] = append(times[at], io.DeviceNs)
		}
	}
	for _, list := range times {
		slices.Sort(list)
	}
	return times[0][len(times[0])/2], times[1][len(times[1])/2]
}

// TestLivelockAnswersNobody: the instance burns CPUs, and switches, for nothing.
func TestLivelockAnswersNobody(t *testing.T) {
	r := generate(t, short("lock-livelock:size=2,service=cart,from=5s"))
	victim := r.Truth.Faults[0].Instance
	pid := int32(0)
	for _, p := range rows[format.Process](t, r) {
		if p.Instance == victim {
			pid = p.PID
		}
	}
	on, switches := int64(0), int64(0)
	for _, i := range rows[format.Interval](t, r) {
		if i.PID == pid && (i.EndNs-i.StartNs) > 0 {
			on, switches = on+i.OnCPUNs, switches+i.Voluntary+i.Involuntary
		}
	}
	if on < 18e9 || switches < 100_000 {
		t.Errorf("%s was on CPUs for %d ns and switched %d times in 10 s of livelock", victim, on, switches)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	s := short()
	s.Duration = time.Second
	if _, err := Generate(context.Background(), s, Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	before := read(t, filepath.Join(dir, "node1.kmon"))
	s.Seed++
	if _, err := Generate(context.Background(), s, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("a second time: error %v", err)
	}
	if err := os.Remove(filepath.Join(dir, truthName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(context.Background(), s, Options{Dir: dir}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without %s: error %v", truthName, err)
	}
	if !bytes.Equal(before, read(t, filepath.Join(dir, "node1.kmon"))) {
		t.Error("node1.kmon has changed")
	}
}

// The truth is written in no place where another user's link leads.
func TestTruthStaysHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give links to others")
	}
	dir := t.TempDir()
	target, trap := filepath.Join(dir, "target"), filepath.Join(dir, "trap")
	if err := errors.Join(os.Mkdir(target, 0o700), os.Symlink(target, trap), os.Lchown(trap, 1001, 1001)); err != nil {
		t.Fatal(err)
	}
	if err := writeTruth(filepath.Join(trap, truthName), Truth{}); err == nil || !strings.Contains(err.Error(), "another user made") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("written are %v, %v", left, err)
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := Generate(ctx, short(), Options{Dir: dir, Progress: func(share float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestParseFault(t *testing.T) {
	got, err := ParseFault("slow-node:node=node2,size=x3,from=40s,to=1m")
	want := Fault{Kind: "slow-node", Node: 2, Size: 3, From: 40 * time.Second, To: time.Minute}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"slow":                     "no fault",
		"overload:node=1":          "takes no node",
		"slow-node:size=0":         "not a number from 1",
		"slow-node:size=NaN":       "not a number from 1",
		"slow-node:node=999":       "not a number from 1 to 256",
		"slow-node:from=soon":      "not a time",
		"slow-node:speed=2":        "no such name",
		"slow-node:from":           "not a time",
		"limping-disk:service=web": "takes no service",
	} {
		if _, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestParseGraph(t *testing.T) {
	got, err := ParseGraph(strings.NewReader("# a shop\nweb replicas=2 cpu=5ms calls=cart,db\n\ncart calls=db workers=3\ndb reads=1.5 writes=0.5 # on a disk\n"))
	want := Graph{
		{Name: "web", Replicas: 2, Workers: 16, CPU: 5 * time.Millisecond, Calls: []string{"cart", "db"}},
		{Name: "cart", Workers: 3, CPU: 2 * time.Millisecond, Calls: []string{"db"}},
		{Name: "db", Workers: 16, CPU: 2 * time.Millisecond, Reads: 1.5, Writes: 0.5},
	}
	if err != nil || !slices.EqualFunc(got, want, func(a, b Service) bool {
		calls := slices.Equal(a.Calls, b.Calls)
		a.Calls, b.Calls = nil, nil
		return calls && a.Name == b.Name && a.Replicas == b.Replicas && a.Workers == b.Workers && a.CPU == b.CPU && a.Reads == b.Reads && a.Writes == b.Writes
	}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                       "1 to 64 services",
		"a\na":                   "two services a",
		"clients":                "another name",
		"A":                      "no name for a service",
		"a calls=b":              "which is no service",
		"a calls=b\nb calls=a":   "in a circle",
		"a calls=a":              "in a circle",
		"a speed":                "line 1: speed: is not name=value",
		"a\nb speed=1":           "line 2: speed=1: no such name",
		"a cpu=0s":               "not a duration",
		"a reads=-1":             "not a number from 0",
		"a workers=1000000":      "not a number from 1 to 1024",
		"a replicas=0":           "not a number from 1 to 256",
		strings.Repeat("x", 100): "no name for a service",
	} {
		if _, err := ParseGraph(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestScenarioThatMakesNoSense(t *testing.T) {
	for want, s := range map[string]Scenario{
		"nodes":                     {Nodes: 1000},
		"rate":                      {Rate: math.NaN()},
		"duration":                  {Duration: time.Millisecond},
		"noise":                     {Noise: 3},
		"share":                     {Lost: 1},
		"no load":                   {Load: []string{"heavy"}},
		"does not lie within":       {Faults: []Fault{{Kind: "overload", From: time.Hour}}},
		"there is no node 4":        {Faults: []Fault{{Kind: "slow-node", Node: 4}}},
		"there is no service":       {Faults: []Fault{{Kind: "slow-callee", Service: "mail"}}},
		"needs two nodes":           {Nodes: 1, Faults: []Fault{{Kind: "slow-path"}}},
		"no fault \"slow\"":         {Faults: []Fault{{Kind: "slow"}}},
		"1 to 64 services, not 100": {Graph: DefaultGraph(100)},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", s, err, want)
		}
	}
}
