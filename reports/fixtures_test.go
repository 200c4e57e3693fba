package reports

import (
	"fmt"
	"math"
	"strings"

	"kmon/analyze"
)

// start is when every fixture's recording began: 2026-03-14 02:59:00 UTC.
const start = int64(1773457140) * second

const (
	second      = int64(1e9)
	millisecond = int64(1e6)
	microsecond = int64(1e3)
)

// spread is a distribution of n requests about a median.
func spread(n, p50 int64) analyze.Distribution {
	if n == 0 {
		return analyze.Distribution{}
	}
	return analyze.Distribution{Count: n, Mean: p50 * 5 / 4, P50: p50, P90: p50 * 19 / 10, P95: p50 * 26 / 10, P99: p50 * 62 / 10, Max: p50 * 31}
}

// waves is a series of windows of 1 s about a rate and a median.
func waves(n int, perS, p50 int64) []analyze.Point {
	points := make([]analyze.Point, n)
	for i := range points {
		swing := 1 + 0.25*math.Sin(float64(i)/3)
		p := int64(float64(p50) * swing)
		r := int64(float64(perS) * (2 - swing))
		points[i] = analyze.Point{StartNs: start + int64(i)*second, Requests: r, P50: p, P95: p * 26 / 10, P99: p * 6, Max: p * 20, Count: r}
	}
	points[0].Partial, points[n-1].Partial = true, true
	return points
}

// shopCapture is a whole recording of a minute.
func shopCapture() analyze.Capture {
	return analyze.Capture{
		File: "kmon-node-1-20260314T025900Z.kmon", SHA256: strings.Repeat("5e1f", 16), Host: "node-1",
		Kernel: "6.12.38-amd64", OS: "Debian GNU/Linux 13 (trixie)", Arch: "amd64", CPUs: 8, KmonVersion: "0.2.0",
		StartNs: start, DurationNs: 60 * second, StopReason: "duration",
		Collectors: []analyze.Collector{
			{Name: "proc", Variant: "exec=tp_btf:sched_process_exec, exit=tp_btf:sched_process_exit, fork=tp_btf:sched_process_fork"},
			{Name: "tcp", Variant: "receive=tp_btf:sock_recv_length, send=tp_btf:sock_send_length, state=tp_btf:inet_sock_set_state", Missing: "retransmit: tracepoint not supported"},
		},
		Coverage: []analyze.Coverage{{Table: "exchanges", Seen: 148210, Ratio: 1}, {Table: "procs", Seen: 42, Ratio: 1}, {Table: "sockets", Seen: 1204, Ratio: 1}},
		Clock:    analyze.Clock{OffsetNs: start - 81234*second, DriftNs: 1800, Source: "manifest and self"},
		Problems: []string{}, Rows: map[string]int64{"exchanges": 148210, "sockets": 1204, "procs": 42},
		Recorder: analyze.Recorder{CPUNs: 1410 * millisecond, CPUPercent: 2.35, MaxRSSBytes: 21 << 20, BPFRunNs: 212 * millisecond},
	}
}

// shopService is a service of the shop with one instance.
func shopService(name string, perS, p50 int64) analyze.Service {
	n := perS * 60
	l := spread(n, p50)
	return analyze.Service{
		Name: name, Source: "container", Ends: "server", Requests: n, RatePerS: float64(perS), Latency: l,
		Upload: spread(n, 12*microsecond), Server: spread(n, p50*8/10), Download: spread(n, p50/10),
		Instances: []analyze.Instance{{Name: name + "-7d9f", Host: "node-1", PIDs: []int32{1200, 1201}, Requests: n, RatePerS: float64(perS), Latency: l}},
		BytesIn:   n * 310, BytesOut: n * 2900, Coverage: 1, Series: waves(60, perS, p50),
	}
}

// shopEdge is an edge seen on both ends.
func shopEdge(client, server string, port int32, perS, p50 int64) analyze.Edge {
	n := perS * 60
	return analyze.Edge{
		Client: client, Server: server, ServerPort: port, Kind: "request", Ends: "both", Connections: 12, Requests: n,
		RatePerS: float64(perS), Latency: spread(n, p50), ClientLatency: spread(n, p50+90*microsecond), Network: spread(n, 88*microsecond),
		Matched: n, ClientUnmeasured: new(int64(0)), BytesSent: n * 310, BytesReceived: n * 2900, Coverage: 1, Series: []analyze.Point{},
	}
}

// shop is five services and an external client; the cart hangs for a while.
func shop() *analyze.Analysis {
	a := &analyze.Analysis{
		Schema: "kmon.analysis/v1", Version: "0.2.0", Captures: []analyze.Capture{shopCapture()},
		StartNs: start, EndNs: start + 60*second, WindowNs: second,
		Verdict:  "5 services answered 52,320 requests in 60 s without a known loss; slowest is checkout (p99 298 ms), and cart left 37 requests unanswered.",
		Findings: []analyze.Finding{}, Checks: []analyze.Check{},
		Losses: []analyze.Loss{}, Warnings: []string{},
		Connections: []analyze.Connection{}, Examples: []analyze.ExampleRequest{},
		Marks:     []analyze.Mark{{Capture: "kmon-node-1-20260314T025900Z.kmon", TsNs: start + 22*second, Kind: "user", Text: "deploy of cart 1.8.2"}},
		Quantiles: "DDSketch, 1% relative error",
	}
	cart := shopService("cart", 240, 1900*microsecond)
	cart.Unanswered, cart.Resets, cart.InFlight = 37, 4, 2
	for i := 24; i < 31; i++ {
		cart.Series[i] = analyze.Point{StartNs: cart.Series[i].StartNs, Errors: int64(3 + i%5)}
	}
	for i := 31; i < 34; i++ {
		cart.Series[i].P99 *= 9
	}
	client := analyze.Service{Name: "10.0.7.21", Source: "address", External: true, Instances: []analyze.Instance{}, Series: []analyze.Point{}}
	redis := shopService("redis", 310, 85*microsecond)
	redis.Streams = analyze.Streams{Connections: 1, MessagesIn: 12, MessagesOut: 5400, RatePerS: 90.2, OneWay: 14}
	redis.Untimed = 6
	postgres := shopService("postgres", 122, 640*microsecond)
	postgres.Source, postgres.Ends = "systemd", "client"
	a.Services = []analyze.Service{client, cart, shopService("checkout", 40, 48*millisecond), shopService("frontend", 160, 21*millisecond), postgres, redis}
	a.Series = served(a.Services)
	dead := shopEdge("checkout", "10.0.9.9", 9092, 0, 0)
	dead.Kind, dead.Ends, dead.Failed, dead.Connections, dead.Matched = "connect-only", "client", 18, 0, 0
	slow := shopEdge("frontend", "cart", 8081, 240, 1900*microsecond)
	slow.ClientUnmeasured = new(int64(41))
	slow.Unanswered, slow.Resets, slow.Via, slow.Retransmits = 37, 4, "10.96.0.14:80", 211
	stream := shopEdge("cart", "redis", 6379, 310, 85*microsecond)
	stream.Kind, stream.Streams, stream.Untimed = "mixed", redis.Streams, 6
	outer := shopEdge("10.0.7.21", "frontend", 8080, 160, 21*millisecond)
	outer.Ends, outer.ClientLatency, outer.ClientUnmeasured, outer.Network, outer.Matched = "server", analyze.Distribution{}, nil, analyze.Distribution{}, 0
	a.Edges = []analyze.Edge{
		outer, stream, dead, shopEdge("checkout", "postgres", 5432, 80, 640*microsecond),
		shopEdge("cart", "postgres", 5432, 42, 700*microsecond), slow, shopEdge("frontend", "checkout", 8082, 40, 48*millisecond),
	}
	return a
}

// served adds the series of services up; of percentiles the worst stands, which is
// near enough for a drawing.
func served(services []analyze.Service) []analyze.Point {
	var all []analyze.Point
	for _, s := range services {
		for i, w := range s.Series {
			if i == len(all) {
				all = append(all, analyze.Point{StartNs: w.StartNs})
			}
			servicePoints.add(&all[i], &w)
		}
	}
	return all
}

// empty is a recording in which nothing happened.
func empty() *analyze.Analysis {
	a := &analyze.Analysis{
		Schema: "kmon.analysis/v1", Version: "0.2.0", StartNs: start, EndNs: start + 10*second, WindowNs: second,
		Verdict: "No request was recorded in 10 s.", Quantiles: "exact",
	}
	c := shopCapture()
	c.DurationNs, c.Recorder = 10*second, analyze.Recorder{}
	c.Coverage = []analyze.Coverage{{Table: "exchanges"}, {Table: "sockets"}}
	a.Captures = []analyze.Capture{c}
	return a
}

// lossy is the shop, cut short and with losses.
func lossy() *analyze.Analysis {
	a := shop()
	a.Verdict = "Recording is incomplete: 18,400 exchanges were lost (coverage 87.5%) and the file was cut; rates are too low."
	c := &a.Captures[0]
	c.StopReason, c.Recorder = "", analyze.Recorder{}
	c.Problems = []string{"entry events/exchanges/000061.parquet at byte 1048576 is cut: 14 complete entries before it were read; kmon repair makes a whole file of them"}
	c.Coverage = []analyze.Coverage{{Table: "exchanges", Seen: 128800, Lost: 18400, Ratio: 0.875}, {Table: "sockets", Seen: 1203, Lost: 1, Ratio: 1203.0 / 1204}}
	a.Losses = []analyze.Loss{
		{Capture: c.File, Collector: "tcp", Table: "exchanges", Cause: "ring full", Count: 18000, StartNs: start + 40*second, EndNs: start + 43*second},
		{Capture: c.File, Collector: "tcp", Table: "exchanges", Cause: "state full", Count: 400, StartNs: start + 12*second, EndNs: start + 13*second},
		{Capture: c.File, Collector: "tcp", Table: "sockets", Cause: "ring full", Count: 1, StartNs: start + 41*second, EndNs: start + 42*second},
	}
	waits := int64(5210)
	a.LeftOut = []analyze.LeftOut{
		{Capture: c.File, Collector: "cpu", Table: "oncpu", What: "on-CPU samples", StartNs: start + 20*second, EndNs: start + 31500*millisecond},
		{Capture: c.File, Collector: "cpu", Table: "offcpu", What: "off-CPU waits", StartNs: start + 16*second, EndNs: start + 41*second, Count: &waits},
	}
	a.Warnings = []string{"coverage of exchanges is 87.5%: below 90% percentiles are hints", "node-1 stopped before its recording ended: the last second may be missing"}
	for i := range a.Services {
		s := &a.Services[i]
		s.Coverage = 0.875
		for j := range s.Series {
			if j >= 40 && j < 43 {
				s.Series[j].Lost = 6000
			}
		}
	}
	return a
}

// many is a large fleet: edges between neighbours, some closing cycles.
func many(services, edges int) *analyze.Analysis {
	a := shop()
	a.Services, a.Edges = nil, nil
	a.Verdict = fmt.Sprintf("%d services answered.", services)
	name := func(i int) string { return fmt.Sprintf("team-%02d/service-%03d", i%17, i) }
	for i := range services {
		s := shopService(name(i), int64(1+(i*7919)%400), int64(200+(i*104729)%90000)*microsecond)
		s.Series = s.Series[:20]
		a.Services = append(a.Services, s)
	}
	for i := range edges {
		from := i % services
		tier := services / 5
		to := (from/tier+1)*tier + (i*31+i/services)%tier // one tier down; the last calls the first
		to %= services
		a.Edges = append(a.Edges, shopEdge(name(from), name(to), int32(8000+i%50), int64(1+(i*6007)%250), int64(150+(i*1299709)%50000)*microsecond))
	}
	return a
}

// hostileNames are names that try to be more than names.
var hostileNames = []string{
	`<script>alert(1)</script>`,
	`"]; click A "javascript:alert(1)"`,
	"a|b|c",
	"line\none\r\ntwo",
	"\x1b[31mred\x1b[0m\a",
	"evil\u202egnp.exe\u2066\u200b",
	strings.Repeat("long-", 400),
	"@everyone see #123 and GH-7 at https://evil.example/?q=1 or www.evil.example",
	"`code` ``` **bold** _it_ [x](javascript:alert(1)) ![i](//evil.example/i.png)",
	`</title></style></details><img src=x onerror="alert(1)">`,
	"bad utf8 \xff\xfe end", "#quot;&quot;&#34;", "end", "subgraph x", `back\slash\|pipe`, "服务-购物车", "",
}

// hostile has such names wherever a capture can put text.
func hostile() *analyze.Analysis {
	a := shop()
	a.Services, a.Edges = nil, nil
	c := &a.Captures[0]
	c.Collectors, c.Coverage = nil, nil
	for i, n := range hostileNames {
		s := shopService(n, int64(100-i), millisecond)
		s.Instances[0].Name, s.Instances[0].Host, s.Source, s.Ends = n, n, n, n
		s.Series = s.Series[:5]
		a.Services = append(a.Services, s)
		e := shopEdge(n, hostileNames[(i+1)%len(hostileNames)], 80, int64(100-i), millisecond)
		e.Via, e.Kind, e.Ends = n, n, n
		a.Edges = append(a.Edges, e)
		a.Losses = append(a.Losses, analyze.Loss{Capture: n, Collector: n, Table: n, Cause: n, Count: 1, StartNs: start, EndNs: start + second})
		a.LeftOut = append(a.LeftOut, analyze.LeftOut{Capture: n, Collector: n, Table: n, What: "table " + n, StartNs: start, EndNs: start + second})
		a.Marks = append(a.Marks, analyze.Mark{Capture: n, TsNs: start + int64(i)*second/4, Kind: n, Text: n})
		a.Warnings = append(a.Warnings, "service "+n+" is odd")
		c.Problems = append(c.Problems, n)
		c.Collectors = append(c.Collectors, analyze.Collector{Name: n, Variant: n, Missing: n})
		c.Coverage = append(c.Coverage, analyze.Coverage{Table: n, Seen: 1, Ratio: 1})
		a.Filter.Services = append(a.Filter.Services, n)
	}
	all := strings.Join(hostileNames, " ")
	a.Verdict = "Slowest is " + all
	c.File, c.Host, c.Kernel, c.OS, c.Arch, c.KmonVersion, c.SHA256, c.StopReason = all, all, all, all, all, all, all, all
	c.Clock.Source, a.Version, a.Quantiles, a.Filter.Since, a.Filter.Until = all, all, all, all, all
	return a
}
