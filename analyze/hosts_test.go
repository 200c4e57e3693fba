package analyze

import (
	"strings"
	"testing"

	"kmon/format"
)

// twoHosts is a client on one host and a server on another, whose wall clock
// is ahead, with n keep-alive requests 10 ms apart: 4 ms for the client, 1 ms
// for the server.
func twoHosts(t *testing.T, ahead int64, n int) (client, server *story) {
	client, server = newStory(t, "node1"), newStory(t, "node2")
	server.manifest.Clock.RealtimeNs += ahead
	client.process(100, "shop")
	server.process(100, "cart")
	client.socket(1, format.RoleClient, 100, second, "10.0.0.1 40000", "10.0.0.2 8080")
	server.socket(1, format.RoleServer, 0, second+ms, "10.0.0.2 8080", "10.0.0.1 40000")
	for i := range int64(n) {
		at := second + i*10*ms
		client.exchange(1, 100, at, 0, 4*ms, 0, format.ExchangeClient)
		server.exchange(1, 100, at+2*ms, 0, ms, 0, 0)
	}
	return client, server
}

// Both ends on two hosts are matched, also when the clocks differ by many
// requests: the connection's two openings tell by how much.
func TestTwoHosts(t *testing.T) {
	for _, ahead := range []int64{0, 55 * ms, -55 * ms, second} {
		client, server := twoHosts(t, ahead, 50)
		a := analyzed(t, Options{}, client, server)
		e := onlyEdge(t, a)
		if e.Client != "shop" || e.Server != "cart" || e.Ends != "both" || e.Requests != 50 || e.Matched != 50 || e.Connections != 1 {
			t.Errorf("%d ns ahead: edge is %+v", ahead, e)
		}
		if e.Network.Count != 50 || !near(e.Network.P50, 3*ms) || !near(e.Network.Max, 3*ms) {
			t.Errorf("%d ns ahead: network %+v", ahead, e.Network)
		}
		warnings := strings.Join(a.Warnings, "\n")
		warned := strings.Contains(warnings, "the clocks of node1 and node2 differ") || strings.Contains(warnings, "the clock of node2 is ahead")
		if warned != (ahead != 0) {
			t.Errorf("%d ns ahead: warnings %q", ahead, a.Warnings)
		}
	}
}

// A server slower than its client is impossible: such pairs are counted and
// told, and are no network time of 0.
func TestServerSlowerThanClient(t *testing.T) {
	s := loopback(t, 5)
	s.exchange(1, 100, 5*second, 0, 3*ms, 0, format.ExchangeClient)
	s.exchange(2, 200, 5*second+ms, 0, 3*ms+20_000, 0, 0)
	a := analyzed(t, Options{}, s)
	e := onlyEdge(t, a)
	if e.Matched != 6 || e.Network.Count != 5 || !near(e.Network.P50, ms) {
		t.Errorf("matched %d, network %+v", e.Matched, e.Network)
	}
	if !strings.Contains(strings.Join(a.Warnings, "\n"), "1 of 6 requests seen on both ends took longer") {
		t.Errorf("warnings %q", a.Warnings)
	}
}

// The same pid is two processes, one after the other: rows go to the one that
// lived at their time.
func TestPIDReuse(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "old")
	s.procs = []format.Proc{{TsNs: mono0 + 3*second, Event: format.ProcExit, PID: 200, StartNs: mono0 - 100*second, Comm: "old"}}
	again := s.process(200, "new")
	again.StartNs, again.TsNs = mono0+5*second, mono0+6*second
	s.socket(2, format.RoleServer, 200, second, "10.0.0.1 80", "203.0.113.9 40000")
	s.socket(3, format.RoleServer, 200, 5*second+ms, "10.0.0.1 81", "203.0.113.9 40001")
	s.exchange(2, 200, 2*second, 0, ms, 0, 0)
	s.exchange(3, 200, 5*second+2*ms, 0, ms, 0, 0) // before the snapshot saw it
	s.exchange(3, 200, 7*second, 0, ms, 0, 0)
	a := analyzed(t, Options{}, s)
	if n := serviceNamed(t, a, "old").Requests; n != 1 {
		t.Errorf("old has %d requests, want 1", n)
	}
	if n := serviceNamed(t, a, "new").Requests; n != 2 {
		t.Errorf("new has %d requests, want 2", n)
	}
}

// A process that lived for milliseconds is in no snapshot: its exec event
// names it, or the container of its parent does.
func TestShortLivedProcess(t *testing.T) {
	s := newStory(t, "node1")
	s.process(10, "cron")
	pod := s.process(20, "worker")
	pod.ServiceSource, pod.Instance = "kubernetes", "worker-0"
	s.procs = []format.Proc{
		{TsNs: mono0 + second, Event: format.ProcExec, PID: 300, ParentPID: 10, StartNs: mono0 + second, Comm: "backup", Exe: "/opt/backup"},
		{TsNs: mono0 + second, Event: format.ProcExec, PID: 400, ParentPID: 20, StartNs: mono0 + second, Comm: "hook", Exe: "/opt/hook"},
	}
	for i, pid := range []int32{300, 400, 500} {
		local := []string{"10.0.0.1 40000", "10.0.0.1 40001", "10.0.0.1 40002"}[i]
		s.socket(int64(i+1), format.RoleClient, pid, second, local, "198.51.100.7 5432")
		s.exchange(int64(i+1), pid, second, 0, ms, 0, format.ExchangeClient)
	}
	a := analyzed(t, Options{}, s)
	if got := serviceNamed(t, a, "backup").Source; got != "executable" {
		t.Errorf("backup is named by %s", got)
	}
	if worker := serviceNamed(t, a, "worker"); worker.Source != "kubernetes" || worker.BytesOut != 100 {
		t.Errorf("worker is %+v", worker)
	}
	if unknown := serviceNamed(t, a, "pid 500"); unknown.Source != "pid" || unknown.External {
		t.Errorf("unknown process is %+v", unknown)
	}
}

// Losses lower the coverage, spread over the windows in which they happened,
// and come first in the verdict.
func TestLossyCapture(t *testing.T) {
	s := loopback(t, 10) // 20 rows
	s.losses = []format.Loss{
		{StartNs: mono0 + 2*second, EndNs: mono0 + 4*second, Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 7},
		{StartNs: mono0 + 4*second, EndNs: mono0 + 5*second, Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 3},
		{StartNs: mono0 + 6*second, EndNs: mono0 + 7*second, Collector: "tcp", Table: "sockets", Cause: format.LossRingFull, Count: 1},
	}
	a := analyzed(t, Options{}, s)
	cart := serviceNamed(t, a, "cart")
	if want := 20.0 / 30; cart.Coverage != want || a.Edges[0].Coverage != want {
		t.Errorf("coverage %v and %v, want %v", cart.Coverage, a.Edges[0].Coverage, want)
	}
	var lost []int64
	total := int64(0)
	for _, p := range cart.Series {
		lost = append(lost, p.Lost)
		total += p.Lost
	}
	if total != 10 || lost[2] != 3 || lost[3] != 4 || lost[4] != 3 {
		t.Errorf("lost per window %d", lost)
	}
	if len(a.Losses) != 2 || a.Losses[0].Count != 10 || a.Losses[0].StartNs != unix0+2*second || a.Losses[0].EndNs != unix0+5*second {
		t.Errorf("losses %+v", a.Losses)
	}
	if !strings.HasPrefix(a.Verdict, "10 of 30 exchanges were lost (coverage 66.66%), too many to trust counts; ") || strings.Contains(a.Verdict, "nothing was lost") {
		t.Errorf("verdict %q", a.Verdict)
	}

	// Of a time its own are told: the later half of the rows, and half of a loss.
	a = analyzed(t, Options{Since: "1500ms", Until: "3s"}, s)
	if len(a.Losses) != 1 || a.Losses[0].Count != 4 || a.Losses[0].StartNs != unix0+2*second || a.Losses[0].EndNs != unix0+3*second {
		t.Errorf("losses of a time %+v", a.Losses)
	}
	if got, want := a.Captures[0].Coverage[0], (Coverage{Table: "exchanges", Seen: 10, Lost: 4, Ratio: 10.0 / 14, durationNs: 1500 * ms}); got != want {
		t.Errorf("coverage of a time %+v, want %+v", got, want)
	}
	if !strings.HasPrefix(a.Verdict, "4 of 14 exchanges were lost (coverage 71.42%), too many to trust counts; ") || strings.Contains(a.Verdict, "other row") {
		t.Errorf("verdict on a time %q", a.Verdict)
	}
	if a = analyzed(t, Options{Since: "7s"}, s); len(a.Losses) != 0 || !strings.HasSuffix(a.Verdict, "; nothing was lost.") {
		t.Errorf("after the losses: %+v, %q", a.Losses, a.Verdict)
	}
}

// A damaged segment is left out: its rows are known to be missing, because
// the recorder counted them. When they were is not known: any time may lack them.
func TestDamagedSegment(t *testing.T) {
	s := loopback(t, 10)
	path := s.write()
	s.edit(path, func(data []byte) []byte {
		data[entryAt(t, data, "events/exchanges/000001.parquet")+230] ^= 1
		return data
	})
	a, err := Run(t.Context(), []string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	coverage := a.Captures[0].Coverage
	if coverage[0] != (Coverage{Table: "exchanges", Seen: 0, Lost: 20, Ratio: 0, durationNs: 10 * second}) {
		t.Errorf("coverage %+v", coverage)
	}
	if late, err := Run(t.Context(), []string{path}, Options{Since: "9s"}); err != nil || late.Captures[0].Coverage[0].Lost != 20 {
		t.Errorf("of the end: %+v, %v", late.Captures[0].Coverage, err)
	}
	if e := onlyEdge(t, a); e.Requests != 0 || e.Connections != 1 || e.Kind != "connect-only" {
		t.Errorf("edge is %+v", e)
	}
	if len(a.Captures[0].Problems) != 1 || !strings.HasPrefix(a.Verdict, "20 of 20 exchanges were lost") || !strings.Contains(a.Verdict, "1 damaged part was not read") {
		t.Errorf("problems %q, verdict %q", a.Captures[0].Problems, a.Verdict)
	}
}

// A capture without its end is read, its length is what it holds, and the
// verdict says it.
func TestCutCapture(t *testing.T) {
	s := loopback(t, 30)
	s.final = nil
	a := analyzed(t, Options{}, s)
	if got := serviceNamed(t, a, "cart").Requests; got != 30 {
		t.Errorf("%d requests, want 30", got)
	}
	if got, want := a.Captures[0].DurationNs, second+29*100*ms+3*ms; got != want {
		t.Errorf("duration %d, want %d", got, want)
	}
	if a.Captures[0].StopReason != "" || len(a.Captures[0].Problems) == 0 || !strings.HasPrefix(a.Verdict, "1 of 1 capture has no orderly end; ") {
		t.Errorf("stop reason %q, problems %q, verdict %q", a.Captures[0].StopReason, a.Captures[0].Problems, a.Verdict)
	}
	// What kmon repair makes of it lacks the same; it was "nothing was lost".
	s = loopback(t, 30)
	s.final.StopReason = format.StopRepaired
	a = analyzed(t, Options{}, s)
	if !strings.HasPrefix(a.Verdict, "1 of 1 capture has no orderly end; ") || strings.Contains(a.Verdict, "nothing was lost") || len(a.Warnings) == 0 || !strings.Contains(a.Warnings[0], "was repaired") {
		t.Errorf("verdict %q, warnings %q", a.Verdict, a.Warnings)
	}
}

// Names are hostile: they pass through as they are, for the reports to escape.
func TestHostileNames(t *testing.T) {
	const name = "<script>\x1b[31m|`\n\u202e"
	s := loopback(t, 1)
	s.processes[1].Service = name
	a := analyzed(t, Options{}, s)
	if e := onlyEdge(t, a); e.Server != name {
		t.Errorf("server is %q, want %q", e.Server, name)
	}
}

// Since and until narrow by the start of a request; windows that are not
// wholly within are marked.
func TestSinceUntil(t *testing.T) {
	tests := []struct {
		since, until string
		requests     int64
		windows      int
		partial      []bool
	}{
		{"", "", 20, 10, []bool{false, false, false, false, false, false, false, false, false, false}},
		{"1500ms", "2500ms", 10, 2, []bool{true, true}},
		{"2023-11-14T22:13:22Z", "", 10, 8, []bool{false, false, false, false, false, false, false, false}},
		{"", "-8s", 10, 2, []bool{false, false}},
	}
	for _, test := range tests {
		a := analyzed(t, Options{Since: test.since, Until: test.until}, loopback(t, 20))
		cart := serviceNamed(t, a, "cart")
		if cart.Requests != test.requests || len(cart.Series) != test.windows || a.Edges[0].Matched != test.requests {
			t.Errorf("%q to %q: %d requests, %d matched, %d windows, want %d, %d",
				test.since, test.until, cart.Requests, a.Edges[0].Matched, len(cart.Series), test.requests, test.windows)
			continue
		}
		for i, p := range cart.Series {
			if p.Partial != test.partial[i] {
				t.Errorf("%q to %q: window %d partial %v", test.since, test.until, i, p.Partial)
			}
		}
	}
}

// What no moment means is told, with what would.
func TestBadMoments(t *testing.T) {
	path := loopback(t, 1).write()
	for _, o := range []Options{{Since: "yesterday"}, {Until: "5"}, {Since: "8s", Until: "2s"}, {Since: "20s"}} {
		if _, err := Run(t.Context(), []string{path}, o); err == nil {
			t.Errorf("since %q until %q: no error", o.Since, o.Until)
		}
	}
}

// --service keeps the named services and the edges that touch them.
func TestServiceFilter(t *testing.T) {
	s := loopback(t, 2)
	s.process(300, "redis")
	s.socket(5, format.RoleClient, 200, second, "10.0.0.1 50000", "198.51.100.7 6379")
	s.exchange(5, 200, 2*second, 0, ms, 0, format.ExchangeClient)
	a := analyzed(t, Options{Services: []string{"shop", "nobody"}}, s)
	if len(a.Services) != 1 || a.Services[0].Name != "shop" {
		t.Errorf("services %+v", a.Services)
	}
	if e := onlyEdge(t, a); e.Server != "cart" {
		t.Errorf("edge is %+v", e)
	}
	if want := "of shop, nobody only: 1 service, 1 edge, 2 requests in 10.0 s; no kind of fault could be judged; nothing was lost."; a.Verdict != want {
		t.Errorf("verdict %q, want %q", a.Verdict, want)
	}
	if !strings.Contains(strings.Join(a.Warnings, "\n"), "no service is named nobody; there are cart, shop") {
		t.Errorf("warnings %q", a.Warnings)
	}
}

// Many external clients become one, the busiest stay.
func TestManyExternalClients(t *testing.T) {
	s := newStory(t, "node1")
	s.process(200, "web")
	for i := range 100 {
		remote := "203.0.113." + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)) + " 40000"
		s.socket(int64(i+1), format.RoleServer, 200, second, "10.0.0.1 80", remote)
		for j := range 1 + i/50 {
			s.exchange(int64(i+1), 200, second+int64(j)*ms, 0, ms, 0, 0)
		}
	}
	a := analyzed(t, Options{}, s)
	if len(a.Edges) != maxListed+1 || serviceNamed(t, a, "web").Requests != 150 {
		t.Errorf("%d edges, %d requests", len(a.Edges), serviceNamed(t, a, "web").Requests)
	}
	if rest := serviceNamed(t, a, "other external"); !rest.External {
		t.Errorf("rest is %+v", rest)
	}
}

// The verdict of a whole recording is facts, and says that nothing is missing
// only when nothing is.
func TestVerdict(t *testing.T) {
	a := analyzed(t, Options{}, loopback(t, 60))
	const want = "2 services, 1 edge, 60 requests in 10.0 s; slowest: cart (p99 2.0 ms); no kind of fault could be judged; nothing was lost."
	if a.Verdict != want {
		t.Errorf("verdict %q, want %q", a.Verdict, want)
	}
}
