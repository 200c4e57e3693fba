package reports

import (
	"strings"

	"kmon/analyze"
	"kmon/analyze/compare"
)

func ptr(x float64) *float64 { return &x }

// compareRun is a whole recording of a minute.
func compareRun(file, hash string) compare.RunInfo {
	return compare.RunInfo{Files: []string{file}, SHA256: []string{strings.Repeat(hash, 16)}, Hosts: []string{"node-1"}, Kernels: []string{"6.12.38-amd64"},
		Versions: []string{"0.3.0"}, StartNs: start, DurationNs: 60 * second, Requests: 9600, RatePerS: 160, Windows: 22, Partial: 2,
		Coverage: []compare.Coverage{{Table: "exchanges", Ratio: 1}, {Table: "oncpu", Ratio: 0.999}}, Problems: []string{}}
}

func service2(name string) compare.Subject {
	return compare.Subject{Type: "service", Name: name, Service: name}
}

func edge2(client, server string, port int32) compare.Subject {
	return compare.Subject{Type: "edge", Name: client + " → " + server, Client: client, Server: server, Port: port}
}

// judgedChange is a change of a metric in ns by a share of base.
func judgedChange(s compare.Subject, m compare.Metric, title string, outcome compare.Outcome, base, relative float64) compare.Change {
	value := func(mid float64) *compare.Value {
		v := &compare.Value{Value: mid, Windows: 22, Runs: 1, Requests: 9600, Coverage: 1}
		for i := range 22 {
			v.Samples = append(v.Samples, mid*(0.95+0.1*float64(i*7%22)/21))
		}
		return v
	}
	return compare.Change{Subject: s, Metric: m, Title: title, Unit: "ns", End: "server", Base: value(base), New: value(base * (1 + relative)),
		Absolute: ptr(base * relative), Relative: ptr(relative), Interval: &compare.Interval{Low: relative - 0.031, High: relative + 0.042},
		P: ptr(0.0004), Adjusted: ptr(0.0021), Delta: ptr(0.71), MinEffect: 0.05, NoiseSpread: ptr(0.018), NoiseAssumed: true,
		Detectable: ptr(0.064), Outcome: outcome, Decisive: true}
}

// worse is a comparison with a regression, an improvement, and all else there can be.
func worse() *compare.Result {
	openP99 := judgedChange(service2("payment"), compare.P99, "p99 latency", compare.Inconclusive, 84*1e6, 0.09)
	openP99.Reason, openP99.Detectable, openP99.Interval = "only 7 windows of NEW have requests, 10 are needed", ptr(0.31), nil
	openP99.P, openP99.Adjusted = nil, nil
	calls := compare.Change{Subject: service2("cart"), Metric: compare.Syscalls, Title: "system calls per request", Unit: "count", MinEffect: 0.05,
		Outcome: compare.Inconclusive, Reason: "system calls were not recorded (collector syscall)"}
	calls2 := calls
	calls2.Subject = service2("payment")
	errors := judgedChange(edge2("web", "cart", 8081), compare.Errors, "errors", compare.Regression, 0, 0)
	errors.Unit, errors.Relative, errors.Absolute, errors.Interval = "ratio", nil, ptr(0.0042), nil
	errors.New.Value, errors.Base.Samples, errors.New.Samples, errors.End = 0.0042, nil, nil, "client"
	bytes := judgedChange(service2("cart"), compare.AnswerBytes, "bytes of an answer", compare.Changed, 2900, 0.13)
	bytes.Unit = "bytes"
	rate := judgedChange(service2("cart"), compare.Rate, "requests a second", compare.NoChange, 160, 0.004)
	rate.Unit = "per_s"
	r := &compare.Result{
		Schema: compare.Schema, Version: "0.3.0", Outcome: compare.Regression,
		Verdict: "NEW is worse than BASE: p99 latency of cart grew by 18.3% (from 11.2 ms to 13.2 ms), and 1 other metric; 1 improved.",
		Settings: compare.Settings{Unit: "window", WindowNs: 2500 * millisecond, Alpha: 0.05, MinEffect: 0.05, MinDelta: 0.33, MinCoverage: 0.9,
			MinWindows: 10, MinRuns: 5, MinRequests: 100, LoadTolerance: 0.1, Resamples: 2000},
		Base: compare.Side{Runs: []compare.RunInfo{compareRun("before.kmon", "5e1f")}, Windows: 22},
		New:  compare.Side{Runs: []compare.RunInfo{compareRun("after.kmon", "0a7c")}, Windows: 22},
		Load: compare.Load{BaseRatePerS: ptr(160), NewRatePerS: ptr(161.2), Relative: ptr(0.0075), Same: true,
			Text: "Load is the same: 160/s asked of BASE, 161/s of NEW (+0.75%).", Entries: []string{"web"}},
		Changes: []compare.Change{judgedChange(service2("cart"), compare.P99, "p99 latency", compare.Regression, 11.2*1e6, 0.183), errors,
			heldChange(judgedChange(service2("web"), compare.CPU, "CPU time per request", compare.Improvement, 412*1e3, -0.21), 0.034), bytes, openP99, calls, calls2, rate},
		Counts:   compare.Counts{Regressions: 2, Improvements: 1, Changed: 1, Inconclusive: 3, NoChange: 1},
		Appeared: []compare.Subject{edge2("cart", "redis", 6379)}, Gone: []compare.Subject{edge2("cart", "memcached", 11211), service2("memcached")},
		Warnings: []string{"AFTER was recorded by another version of the kernel"},
	}
	r.Thresholds = []compare.Judged{
		{Threshold: compare.Threshold{Text: "p99(service=cart):+10%", Metric: compare.P99, Service: "cart", Kind: compare.RelativeLimit, Limit: 0.1},
			Outcome: compare.Failed, Reason: "p99 latency of cart grew by 18.3%, by 15.2% to 22.5%", Changes: []int{0}},
		{Threshold: compare.Threshold{Text: "cpu:+10%", Metric: compare.CPU, Kind: compare.RelativeLimit, Limit: 0.1},
			Outcome: compare.Passed, Reason: "none of 3 services grew by more", Changes: []int{2}},
		{Threshold: compare.Threshold{Text: "p99(service=crat):+10%", Metric: compare.P99, Service: "crat", Kind: compare.RelativeLimit, Limit: 0.1},
			Outcome: compare.Undecided, Reason: "neither side has a service crat", Changes: []int{}},
	}
	r.Flames = compare.Flames(flameSideOf(100, 9600, false), flameSideOf(140, 9600, true))
	return r
}

// flameSideOf is a side whose cart prices things for so many samples.
func flameSideOf(price, requests int64, changed bool) compare.FlameSide {
	p := newProfiler(second)
	hash, leaf := user("crypto/sha256.block"), user("encoding/json.Marshal")
	if changed {
		leaf = user("encoding/json/v2.Marshal")
	}
	for node, n := range map[int32]int64{
		p.node("cart", user("main.main"), user("cart.(*Server).Price"), hash):                           40 * price,
		p.node("cart", user("main.main"), leaf):                                                         3000,
		p.node("cart", user("main.main"), kernel("tcp_sendmsg")):                                        2500,
		p.node("web", user("main.main"), user("(no symbol) web+0x"+strings.Repeat("1", int(price/20)))): 900,
	} {
		p.on[[2]int32{0, node}] = n
	}
	p.off[[2]int32{0, p.node("cart", analyze.ProfileFrame{Name: "disk wait (D)", Kind: "state"}, user("cart.(*Server).Log"))}] = price * 31 * millisecond
	return compare.FlameSide{Profiles: []*analyze.Profile{p.profile()}, Requests: map[string]int64{"cart": requests}, RecordedNs: 60 * second}
}

// calm is a comparison of runs in which nothing changed.
func calm() *compare.Result {
	r := worse()
	r.Outcome, r.Verdict = compare.NoChange, "NEW is no worse than BASE: no metric of 4 services changed by 5% or more, which would have been seen."
	r.Settings.Unit = "run"
	r.Changes = []compare.Change{judgedChange(service2("cart"), compare.P99, "p99 latency", compare.NoChange, 11.2*1e6, 0.003)}
	r.Changes[0].Pairs, r.Changes[0].Agreeing = 25, 14
	r.Counts, r.Thresholds, r.Appeared, r.Gone, r.Warnings, r.Flames = compare.Counts{NoChange: 1}, nil, nil, nil, nil, nil
	for _, side := range []*compare.Side{&r.Base, &r.New} {
		run := side.Runs[0]
		side.Runs = nil
		for i := range 5 {
			run.Files = []string{strings.TrimSuffix(run.Files[0], ".kmon") + "/" + string(rune('1'+i)) + ".kmon"}
			side.Runs = append(side.Runs, run)
			run.Files = []string{strings.Split(run.Files[0], "/")[0]}
		}
	}
	r.Noise = &compare.Noise{Runs: []compare.RunInfo{compareRun("noise/1.kmon", "11aa"), compareRun("noise/2.kmon", "22bb")}, Pairs: 1}
	return r
}

// unsure is a comparison of another load and of a damaged, lossy recording.
func unsure() *compare.Result {
	r := worse()
	r.Outcome, r.Verdict = compare.Inconclusive, "Nothing can be said: NEW is damaged, and 38% of its windows lost requests."
	r.Reasons = []string{"after.kmon is cut: 14 complete entries were read", "8 of 22 windows of NEW have a coverage below 0.9"}
	r.Load.NewRatePerS, r.Load.Relative, r.Load.Same = ptr(231), ptr(0.44), false
	r.Load.Text = "Not the same load: 160/s asked of BASE, 231/s of NEW (+44%)."
	r.Changes = r.Changes[4:6]
	r.Counts = compare.Counts{Inconclusive: 2}
	r.Thresholds = r.Thresholds[2:]
	r.New.Damaged, r.New.Lossy = true, true
	n := &r.New.Runs[0]
	n.Damaged, n.Lost, n.Windows, n.Problems = true, 8, 14, []string{"entry events/exchanges/000061.parquet at byte 1048576 is cut", "no final.json"}
	n.Coverage[0].Ratio = 0.62
	r.Appeared, r.Gone, r.Flames = nil, nil, []compare.FlameDifference{}
	return r
}

// hostileComparison has hostile names wherever a capture can put text.
func hostileComparison() *compare.Result {
	r := worse()
	r.Changes, r.Flames = nil, nil
	for i, n := range hostileNames {
		outcomes := []compare.Outcome{compare.Regression, compare.Improvement, compare.Inconclusive, compare.NoChange, compare.Changed}
		x := judgedChange(service2(n), compare.P99, "p99 latency", outcomes[i%len(outcomes)], 1e6, 0.2)
		x.Reason = "service " + n + " is odd"
		r.Changes = append(r.Changes, x)
		y := x
		y.Subject, y.Outcome, y.Decisive = edge2(n, n, 80), compare.Inconclusive, false
		r.Changes = append(r.Changes, y)
		r.Appeared = append(r.Appeared, service2(n))
		r.Gone = append(r.Gone, compare.Subject{Type: n, Name: n})
		r.Thresholds = append(r.Thresholds, compare.Judged{Threshold: compare.Threshold{Text: "p99(service=" + n + "):+1%"}, Outcome: compare.Failed, Reason: n})
		r.Warnings = append(r.Warnings, n)
		r.Reasons = append(r.Reasons, n)
		run := compareRun(n, n)
		run.Hosts, run.Problems = []string{n}, []string{n, n}
		r.Base.Runs, r.New.Runs = append(r.Base.Runs, run), append(r.New.Runs, run)
		f := compare.FlameDifference{Kind: "on-cpu", Service: n, Per: "request", Unit: "ns", Base: 10, New: 20,
			Functions: []compare.FlameFunction{{Name: n, Module: n, State: "changed", BaseSelf: 1, NewSelf: 2, BaseTotal: 1, NewTotal: 2}},
			Root:      compare.FlameNode{Name: n, Module: n, Base: 10, New: 20, Children: []compare.FlameNode{{Name: n, New: 10}, {Name: n, Base: 9}}}}
		r.Flames = append(r.Flames, f)
	}
	all := strings.Join(hostileNames, " ")
	r.Verdict, r.Version, r.Load.Text, r.Settings.Services = all, all, all, hostileNames
	r.Base.Runs[0].Files[0], r.New.Runs[0].Files[0], r.New.Runs[0].Hosts[0] = all, all, all
	return r
}

// heldChange is a change beside one that all services share.
func heldChange(c compare.Change, common float64) compare.Change {
	c.Common = &common
	return c
}
