package finding

import (
	"strings"
	"testing"
)

func TestIOLimitFound(t *testing.T) {
	in := diskInput(1, 24, 0.1, one(from(12, func(m *moment) { m.limited = 0.9; m.ios /= 2 }))...)
	in.Instances = []Instance{{Service: "cart", Name: "cart-a", LimitCores: 0, Windows: make([]InstanceWindow, 24)}}
	for i := range in.Instances[0].Windows {
		in.Instances[0].Windows[i].Waits.Disk = Wait{Count: 10, TotalNs: 4 * second}
		in.Disks[0].Windows[i].Users = []DiskUser{{Instance: 0, IOs: 10}, {Instance: -1, IOs: 3}}
	}
	got := findDisks(in, nil)
	found := got.of(IOLimit)
	if len(found) != 1 || len(got.Findings) != 1 {
		t.Fatalf("found %+v", got.Findings)
	}
	f := found[0]
	if f.Severity != Warning || f.Confidence < 0.7 || f.StartNs != in.StartNs+12*in.WindowNs || !strings.Contains(f.Evidence[len(f.Evidence)-1].Text, "cart") {
		t.Errorf("%+v", f)
	}
}

// Without the table, a queue before an idle device is a limit, and one before a
// busy device is none.
func TestIOLimitOfQueues(t *testing.T) {
	queued := func(m *moment) { m.limited = -1; m.queueNs = 5e7; m.busy = 0.2 }
	in := diskInput(2, 24, 0.05, one(from(0, queued))...)
	got := findDisks(in, nil)
	found := got.of(IOLimit)
	if len(found) != 1 || found[0].Severity != Info || found[0].Confidence > 0.4 || len(found[0].CounterEvidence) == 0 || got.check(IOLimit).NotRecorded != "limits" {
		t.Fatalf("found %+v", got.Findings)
	}
	for name, change := range map[string]func(*moment){
		"a busy device":      func(m *moment) { queued(m); m.busy = 1 },
		"few IOs":            func(m *moment) { queued(m); m.ios = 4 },
		"lost":               func(m *moment) { queued(m); m.coverage = 0.7 },
		"no limit, recorded": func(m *moment) { queued(m); m.limited = 0 },
		"short waits":        func(m *moment) { queued(m); m.queueNs, m.deviceNs = 4e5, 2e4 },
	} {
		if found := findDisks(diskInput(3, 24, 0.05, one(from(0, change))...), nil).of(IOLimit); len(found) != 0 {
			t.Errorf("%s: found %+v", name, found)
		}
	}
	ups := func(i int) moment { m := steady; queued(&m); m.ios *= float64(1 + i%3); return m }
	if got := findDisks(diskInput(3, 24, 0.05, one(ups)...), nil); len(got.of(IOLimit)) != 0 || got.check(IOLimit).Rejected != 1 {
		t.Errorf("no ceiling: found %+v", got.of(IOLimit))
	}
	slower := from(12, func(m *moment) { queued(m); m.deviceNs *= 2 })
	if found := findDisks(diskInput(3, 24, 0.05, one(slower)...), nil).of(IOLimit); len(found) != 0 {
		t.Errorf("a slower device: found %+v", found)
	}
}

// throttle has a quota stop an instance for so much of each window from one on, and
// run so much of it.
func throttle(in *Input, name string, first int, stopped, running float64) {
	i := in.at(name)
	for k := first; k < len(i.Windows); k++ {
		w := &i.Windows[k]
		w.ThrottledNs, w.OnCPUNs = int64(stopped*5e9), int64(running*5e9)
		w.RunQueueNs = w.ThrottledNs + w.OnCPUNs/20
		w.Served.Latency = stretched(w.Served.Latency, 1+5*stopped)
		in.Nodes[i.Node].Windows[k].OnCPUNs = w.OnCPUNs + 200*milli
	}
}

func TestCPUThrottlingFound(t *testing.T) {
	in := healthy(1)
	in.at("orders").LimitCores = 0.5
	throttle(in, "orders", 12, 0.8, 0.5)
	found := Find(in, nil, DefaultRules()).of(CPUThrottling)
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	f := found[0]
	if f.Subject.Service != "orders" || f.StartNs != in.StartNs+12*in.WindowNs || f.Confidence < 0.5 || !strings.Contains(f.Title, "0.5 CPUs") || f.NextStep == "" {
		t.Errorf("%+v", f)
	}
}

func TestCPUThrottlingNotFound(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"healthy":           func(*Input) {},
		"throttled shortly": func(in *Input) { throttle(in, "orders", 0, 0.03, 0.5) },
		"two windows":       func(in *Input) { throttle(in, "orders", 22, 0.8, 0.5) },
		"another of its group": func(in *Input) {
			throttle(in, "orders", 0, 0.8, 0.1)
			for k := range in.at("orders").Windows {
				in.at("orders").Windows[k].RunQueueNs = 100 * milli
			}
		},
		"a busy node": func(in *Input) {
			throttle(in, "orders", 0, 0, 0.5)
			for k := range in.at("orders").Windows {
				in.at("orders").Windows[k].RunQueueNs = 20 * second
			}
		},
		"lost events": func(in *Input) {
			throttle(in, "orders", 0, 0.8, 0.5)
			for k := range in.Windows {
				in.covered(in.at("orders").Node, k, 0.7)
			}
		},
	} {
		in := healthy(2)
		change(in)
		got := Find(in, nil, DefaultRules())
		if found := got.of(CPUThrottling); len(found) != 0 {
			t.Errorf("%s: found %+v", name, found)
		}
		if name == "lost events" && len(got.check(CPUThrottling).Insufficient) != 1 {
			t.Errorf("%s: %+v", name, got.check(CPUThrottling))
		}
	}
}

// Without the table, run queues on a node with idle CPUs tell nothing: a virtual
// machine has such where nothing is wrong.
func TestCPUThrottlingWithoutLimits(t *testing.T) {
	in := healthy(3)
	throttle(in, "orders", 0, 0.8, 0.3)
	for k := range in.Windows {
		in.at("orders").Windows[k].ThrottledNs = NotRecorded
		for n := range in.Nodes {
			in.Nodes[n].Windows[k].Coverage.Limits = NotRecorded
		}
	}
	got := Find(in, nil, DefaultRules())
	if found, c := got.of(CPUThrottling), got.check(CPUThrottling); c.NotRecorded != "limits" || c.Judged != 0 || len(found) != 0 {
		t.Errorf("%+v, found %+v", c, found)
	}
}

func TestCPUThrottlingOverSeeds(t *testing.T) {
	long(t)
	const seeds = 40
	found := 0
	for seed := range uint64(seeds) {
		in := shape{noise: 0.3}.build(seed)
		if f := Find(in, nil, DefaultRules()).of(CPUThrottling); len(f) != 0 {
			t.Errorf("seed %d is healthy: %+v", seed, f)
		}
		throttle(in, "stock", 8, 0.5, 0.3)
		found += len(Find(in, nil, DefaultRules()).of(CPUThrottling))
	}
	if found != seeds {
		t.Errorf("found in %d of %d", found, seeds)
	}
}
