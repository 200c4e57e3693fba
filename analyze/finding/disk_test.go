package finding

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// moment is what a disk of diskInput does in one window.
type moment struct {
	ios      float64 // a second
	kib      int64   // of each
	deviceNs float64 // median
	queueNs  float64
	busy     float64
	large    float64 // share of the IOs that are 1 MiB, and take ten times as long
	stalled  float64 // share of the IOs that take 400 ms
	limited  float64 // share of the window at a limit; negative: not recorded
	coverage float64 // 0: 1
}

// steady is a healthy window of a disk, and steadyFor some with noise in load and
// latency from one to the next.
var steady = moment{ios: 100, kib: 4, deviceNs: 1e6, queueNs: 1e4, busy: 0.1}

type diskSpec struct {
	name  string
	below []string
	// at gives what it does in a window.
	at func(window int) moment
}

// diskInput makes an Input of nodes, each with the disks given for it.
func diskInput(seed uint64, windows int, noise float64, nodes ...[]diskSpec) *Input {
	r := rand.New(rand.NewPCG(seed, 2))
	around := func(v float64) float64 { return v * math.Exp(r.NormFloat64()*noise) }
	in := &Input{StartNs: 1_700_000_000 * second, WindowNs: 5 * second, Windows: make([]Window, windows)}
	for n, disks := range nodes {
		node := Node{Name: "node-" + string(rune('a'+n)), CPUs: 4, Windows: make([]NodeWindow, windows)}
		for i := range node.Windows {
			node.Windows[i].Coverage = Coverage{1, 1, 1, 1, 1, 1, 1, 1, 1}
		}
		for _, spec := range disks {
			d := Disk{Node: n, Name: spec.name, Kind: "disk", Below: spec.below}
			for i := range windows {
				m := spec.at(i)
				if m.coverage > 0 {
					node.Windows[i].Coverage.IOs = m.coverage
				}
				d.Windows = append(d.Windows, m.window(r, around))
			}
			in.Disks = append(in.Disks, d)
		}
		in.Nodes = append(in.Nodes, node)
	}
	return in
}

func (m moment) window(r *rand.Rand, around func(float64) float64) DiskWindow {
	count := int64(around(m.ios * 5))
	w := DiskWindow{BusyNs: int64(m.busy * 5e9), LimitedNs: int64(m.limited * 5e9)}
	if m.limited < 0 {
		w.LimitedNs = NotRecorded
	}
	slow := around(m.deviceNs)
	add := func(ios, size int64, device float64) {
		if ios == 0 {
			return
		}
		c := IOClass{Operation: "write", SizeTo: size, IOs: ios, Bytes: ios * size, Queue: latencies(r, ios, around(m.queueNs))}
		stalls := int64(m.stalled * float64(ios))
		c.Device = latencies(r, ios-stalls, device)
		c.Device.Add(4e8, stalls)
		w.Classes = append(w.Classes, c)
	}
	large := int64(m.large * float64(count))
	add(count-large, m.kib<<10, slow)
	add(large, 1<<20, 10*slow)
	return w
}

// from is healthy up to a window, and what change makes of it from there on.
func from(window int, change func(*moment)) func(int) moment {
	return func(i int) moment {
		m := steady
		if i >= window {
			change(&m)
		}
		return m
	}
}

func healthyDisk(int) moment { return steady }

func times(factor float64) func(*moment) {
	return func(m *moment) { m.deviceNs *= factor; m.busy = min(1, m.busy*factor) }
}

func one(at func(int) moment) [][]diskSpec { return [][]diskSpec{{{name: "vda", at: at}}} }

// peered is a disk and others like it on further nodes.
func peered(at func(int) moment, others int) [][]diskSpec {
	nodes := one(at)
	for range others {
		nodes = append(nodes, []diskSpec{{name: "vda", at: healthyDisk}})
	}
	return nodes
}

func findDisks(in, baseline *Input) Result { return Find(in, baseline, DefaultRules()) }

func TestLimpingDiskFound(t *testing.T) {
	slowThroughout := from(0, times(3))
	for name, c := range map[string]struct {
		nodes    [][]diskSpec
		baseline [][]diskSpec
		source   string
		severity Severity
		start    int
	}{
		"its own quiet windows": {one(from(12, times(3))), nil, FromQuiet, Warning, 12},
		"a healthy capture":     {one(slowThroughout), one(healthyDisk), FromBaseline, Warning, 0},
		"ten times as slow":     {one(from(6, times(10))), one(healthyDisk), FromBaseline, Critical, 6},
		"ten times, unproven":   {one(from(12, times(10))), nil, FromQuiet, Warning, 12},
		"two peers":             {peered(slowThroughout, 2), nil, FromPeers, Warning, 0},
		"five peers":            {peered(slowThroughout, 5), nil, FromPeers, Warning, 0},
		"a closed loop":         {one(from(12, func(m *moment) { times(4)(m); m.ios /= 4 })), nil, FromQuiet, Warning, 12},
	} {
		in := diskInput(1, 24, 0.1, c.nodes...)
		var baseline *Input
		if c.baseline != nil {
			baseline = diskInput(2, 24, 0.1, c.baseline...)
		}
		got := findDisks(in, baseline)
		found := got.of(LimpingDisk)
		if len(found) != 1 || len(got.Findings) != 1 {
			t.Errorf("%s: found %+v, checks %+v", name, got.Findings, got.check(LimpingDisk))
			continue
		}
		f := found[0]
		if f.Reference != c.source || f.Severity != c.severity || !strings.HasPrefix(f.Subject.Name, "vda") || f.Subject.Host != "node-a" ||
			f.StartNs != in.StartNs+int64(c.start)*in.WindowNs || len(f.Evidence) < 2 || f.Alternative == "" || f.NextStep == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestLimpingDiskNotFound(t *testing.T) {
	for name, c := range map[string]struct {
		nodes    [][]diskSpec
		baseline [][]diskSpec
	}{
		"healthy":                     {one(healthyDisk), nil},
		"healthy, against a capture":  {one(healthyDisk), one(healthyDisk)},
		"1.3 times as slow":           {one(from(12, times(1.3))), one(healthyDisk)},
		"larger IOs":                  {one(from(12, func(m *moment) { m.kib = 1024; m.deviceNs *= 20; m.ios /= 10 })), nil},
		"more of the larger IOs":      {one(func(i int) moment { m := steady; m.large = 0.2 + 0.7*float64(i/12); return m }), nil},
		"the queue grows":             {one(from(12, func(m *moment) { m.queueNs = 2e7; m.ios *= 1.2; m.busy = 1 })), nil},
		"more is asked, more is done": {one(from(12, func(m *moment) { m.ios *= 10; m.deviceNs *= 4; m.busy = 1 })), nil},
		"full before, and deeper now": {one(func(i int) moment { m := steady; m.busy = 1; m.deviceNs *= float64(1 + 3*(i/12)); return m }), nil},
		"three windows of few IOs":    {one(from(12, func(m *moment) { times(5)(m); m.ios = 4 })), nil},
		"two windows": {one(func(i int) moment {
			m := steady
			if i == 7 || i == 8 {
				times(5)(&m)
			}
			return m
		}), nil},
		"peers that have less to do":   {peered(from(0, func(m *moment) { times(3)(m); m.ios *= 3 }), 4), nil},
		"peers that differ themselves": {append(peered(from(0, times(3)), 0), []diskSpec{{name: "vda", at: from(0, times(1))}}, []diskSpec{{name: "vda", at: from(0, times(6))}}, []diskSpec{{name: "vda", at: from(0, times(2))}}), nil},
	} {
		in := diskInput(3, 24, 0.1, c.nodes...)
		var baseline *Input
		if c.baseline != nil {
			baseline = diskInput(4, 24, 0.1, c.baseline...)
		}
		if found := findDisks(in, baseline).of(LimpingDisk); len(found) != 0 && found[0].Subject.Host == "node-a" {
			t.Errorf("%s: found %+v", name, found[0])
		}
	}
}

// What is lost or rare makes no verdict, and says so.
func TestLimpingDiskInsufficient(t *testing.T) {
	for name, change := range map[string]func(*moment){
		"lost events": func(m *moment) { times(5)(m); m.coverage = 0.7 },
		"few IOs":     func(m *moment) { times(5)(m); m.ios = 5 },
	} {
		got := findDisks(diskInput(5, 24, 0.1, one(from(0, change))...), diskInput(6, 24, 0.1, one(healthyDisk)...))
		if c := got.check(LimpingDisk); len(got.Findings) != 0 || len(c.Insufficient) != 1 || c.Judged != 0 {
			t.Errorf("%s: %+v, %+v", name, got.Findings, c)
		}
	}
	got := findDisks(diskInput(5, 2, 0.1, one(healthyDisk)...), nil)
	if c := got.check(LimpingDisk); len(c.Insufficient) != 1 {
		t.Errorf("two windows: %+v", c)
	}
	in := diskInput(5, 24, 0.1, one(from(12, times(5)))...)
	for i := range in.Nodes[0].Windows {
		in.Nodes[0].Windows[i].Coverage.IOs = NotRecorded
	}
	if c := findDisks(in, nil).check(LimpingDisk); c.NotRecorded != "ios" || c.Judged+c.Found != 0 {
		t.Errorf("not recorded: %+v", c)
	}
}

// Of a mapping and the disk below it, the disk is to blame.
func TestLimpingDiskBelow(t *testing.T) {
	slow := from(12, times(4))
	in := diskInput(7, 24, 0.1, []diskSpec{{name: "dm-0", below: []string{"sda"}, at: slow}, {name: "sda", at: slow}})
	if found := findDisks(in, nil).of(LimpingDisk); len(found) != 1 || found[0].Subject.Name != "sda" {
		t.Errorf("found %+v", found)
	}
	in = diskInput(7, 24, 0.1, []diskSpec{{name: "loop0", below: []string{"sda"}, at: slow}, {name: "sda", at: healthyDisk}})
	found := findDisks(in, nil).of(LimpingDisk)
	if len(found) != 1 || found[0].Subject.Name != "loop0" || len(found[0].CounterEvidence) == 0 {
		t.Errorf("a healthy disk below: found %+v", found)
	}
}

func TestLimpingDiskStalls(t *testing.T) {
	stalls := func(m *moment) { m.stalled = 0.05 }
	found := findDisks(diskInput(8, 5, 0.1, one(from(0, stalls))...), nil).of(LimpingDisk)
	if len(found) != 1 || found[0].Severity != Warning || found[0].Evidence[0].Name != "stall_share" || found[0].Confidence > 0.4 {
		t.Errorf("found %+v", found)
	}
	deep := func(m *moment) { m.stalled = 0.05; m.deviceNs = 1.5e8; m.busy = 1 }
	if found := findDisks(diskInput(8, 5, 0.1, one(from(0, deep))...), nil).of(LimpingDisk); len(found) != 0 {
		t.Errorf("all IOs take long: %+v", found)
	}
}

// TestLimpingDiskOverSeeds: noise is never a fault, and a fault of three times is
// found in nine of ten, whatever it is held against.
func TestLimpingDiskOverSeeds(t *testing.T) {
	long(t)
	const seeds = 60
	for name, c := range map[string]struct {
		nodes    func(at func(int) moment) [][]diskSpec
		onset    int
		baseline bool
	}{
		"quiet windows": {one, 12, false},
		"baseline":      {one, 0, true},
		"peers":         {func(at func(int) moment) [][]diskSpec { return peered(at, 3) }, 0, false},
	} {
		for factor, want := range map[float64][2]int{1: {0, 0}, 1.3: {0, 0}, 3: {seeds * 9 / 10, seeds}, 10: {seeds * 9 / 10, seeds}} {
			found := 0
			for seed := range uint64(seeds) {
				noise := 0.05 + 0.25*float64(seed)/seeds
				var baseline *Input
				if c.baseline {
					baseline = diskInput(seed+1000, 24, noise, one(healthyDisk)...)
				}
				got := findDisks(diskInput(seed, 24, noise, c.nodes(from(c.onset, times(factor)))...), baseline).of(LimpingDisk)
				for _, f := range got {
					if f.Subject.Host == "node-a" {
						found++
					} else {
						t.Errorf("%s, %g times, seed %d: %s is blamed", name, factor, seed, f.Subject.Name)
					}
				}
			}
			if found < want[0] || found > want[1] {
				t.Errorf("%s: %g times as slow is found in %d of %d seeds, want %d to %d", name, factor, found, seeds, want[0], want[1])
			}
		}
	}
}

// A fit finds a curve through outliers, and gives no more β than points bear.
func TestFit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var x, y []float64
	for i := range 40 {
		v := 1 + float64(i)/10
		x, y = append(x, v), append(y, 0.2+0.3*v+0.1*v*v+r.NormFloat64()*0.05)
	}
	y[7], y[20] = 5, 9
	m := fit(x, y, 3)
	for _, v := range []float64{1, 2.5, 4.9} {
		got, upper := m.at(v)
		if want := 0.2 + 0.3*v + 0.1*v*v; math.Abs(got-want) > 0.06 || upper-got < 0.1 || upper-got > 0.4 {
			t.Errorf("at %g: %g, bound %g, want %g", v, got, upper, want)
		}
	}
	if low, _ := m.at(-9); !almost(low, first(m.at(1))) || m.covers(6) || !m.covers(0) {
		t.Errorf("outside: %g, covers(6) %v", low, m.covers(6))
	}
	if m := fit(x[:5], y[:5], 3); len(m.beta) != 1 {
		t.Errorf("five points have %d β", len(m.beta))
	}
	if m := fit([]float64{2, 2, 2, 2, 2, 2, 2, 2, 2}, make([]float64, 9), 3); len(m.beta) != 1 {
		t.Errorf("points at one place have %d β", len(m.beta))
	}
	if m := fit(x[:2], y[:2], 3); m != nil {
		t.Errorf("two points give %+v", m)
	}
}

func first(v, _ float64) float64 { return v }

func almost(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// The quantiles are those of a table of Student's t.
func TestStudentT999(t *testing.T) {
	for n, want := range map[int]float64{5: 5.893, 10: 4.144, 20: 3.552, 60: 3.232, 1000: 3.098} {
		if got := studentT999(n); math.Abs(got/want-1) > 0.03 {
			t.Errorf("t of %d is %g, want %g", n, got, want)
		}
	}
}
