package export

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"kmon/analyze"
)

// traceOf exports a capture.
func traceOf(t *testing.T, path string, o analyze.Options) (*readTrace, []byte) {
	t.Helper()
	var out bytes.Buffer
	p := NewPerfetto(&out)
	if _, err := analyze.ReadTimeline(context.Background(), path, o, p); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil || p.LeftOut != 0 {
		t.Fatalf("close: %v, %d left out", err, p.LeftOut)
	}
	return readPerfetto(t, out.Bytes()), out.Bytes()
}

// captures are real recordings: replicas behind a client, and disks.
var captures = []string{
	"../../cmd/workload/faults/testdata/node.kmon",
	"../../cmd/workload/faults/testdata/disk.kmon",
}

// What stands in a trace is what the analysis counts: requests by service, their
// latencies, IOs by disk, and every sample.
func TestPerfettoHoldsTheCapture(t *testing.T) {
	for _, path := range captures {
		a, err := analyze.Run(context.Background(), []string{path}, analyze.Options{})
		if err != nil {
			t.Fatal(err)
		}
		trace, data := traceOf(t, path, analyze.Options{})
		got, want := map[string]string{}, map[string]string{}
		count, sum := map[string]int64{}, map[string]int64{}
		for _, s := range trace.slices {
			if s.category != "request" {
				continue
			}
			process := trace.tracks[s.track]
			for process.parent != 0 {
				process = trace.tracks[process.parent]
			}
			service, _, _ := strings.Cut(process.process, " (")
			count[service]++
			if s.args["kind"] == "" {
				sum[service] += s.dur
			}
		}
		for _, s := range a.Services {
			if s.Ends == "server" && s.Requests > 0 {
				want[s.Name] = fmt.Sprintf("%d requests, mean %d", s.Requests, s.Latency.Mean)
				got[s.Name] = fmt.Sprintf("%d requests, mean %d", count[s.Name], sum[s.Name]/s.Latency.Count)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(want) == 0 {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
		if rows := a.Captures[0].Rows["oncpu"]; int64(len(trace.samples)) != rows {
			t.Errorf("%s: got %d samples, want %d", path, len(trace.samples), rows)
		}
		checkDisks(t, trace, a)
		checkFlows(t, trace, a)
		checkClock(t, trace, a)
		if _, again := traceOf(t, path, analyze.Options{}); !bytes.Equal(data, again) {
			t.Errorf("%s: a second trace differs", path)
		}
	}
}

// checkDisks holds the IOs of each disk against the analysis.
func checkDisks(t *testing.T, trace *readTrace, a *analyze.Analysis) {
	t.Helper()
	ios := map[string]int64{}
	for _, s := range trace.slices {
		if s.category == "io" {
			ios[trace.tracks[s.track].name]++
		} else if s.name == "queue" && s.depth != 1 {
			t.Errorf("a part of an IO at depth %d", s.depth)
		}
	}
	for _, d := range a.Disks {
		if ios[d.Name] != d.IOs+d.Open {
			t.Errorf("disk %s: got %d IOs, want %d and %d open", d.Name, ios[d.Name], d.IOs, d.Open)
		}
	}
}

// checkFlows: as many arrows as requests that the analysis found at both ends, each
// from a call to a request of the same edge that lies in it.
func checkFlows(t *testing.T, trace *readTrace, a *analyze.Analysis) {
	t.Helper()
	calls, arrows, matched := map[uint64]readSlice{}, int64(0), int64(0)
	for _, s := range trace.slices {
		if s.flow != 0 && !s.flowEnds {
			calls[s.flow] = s
		}
	}
	for _, s := range trace.slices {
		if !s.flowEnds {
			continue
		}
		arrows++
		call, ok := calls[s.flow]
		if middle := s.ts + s.dur/2; !ok || call.category != "call" || s.category != "request" || call.name != s.name || middle < call.ts || middle > call.ts+call.dur {
			t.Errorf("flow %d leads from %+v to %+v", s.flow, call, s)
		}
		delete(calls, s.flow)
	}
	for _, e := range a.Edges {
		matched += e.Matched
	}
	if arrows != matched {
		t.Errorf("got %d arrows, want %d", arrows, matched)
	}
}

// checkClock: the snapshot of the clocks turns times into those of the reports.
func checkClock(t *testing.T, trace *readTrace, a *analyze.Analysis) {
	t.Helper()
	if c := a.Captures[0]; trace.primary != 3 || int64(trace.clocks[1]) != c.StartNs || int64(trace.clocks[1]-trace.clocks[3]) != c.Clock.OffsetNs {
		t.Errorf("clocks %v, trace clock %d; want %d by the wall, %d ahead", trace.clocks, trace.primary, c.StartNs, c.Clock.OffsetNs)
	}
}

// --since, --until and --service leave out what they leave out of a report.
func TestPerfettoNarrowed(t *testing.T) {
	o := analyze.Options{Since: "20s", Until: "40s", Services: []string{"replica"}}
	a, err := analyze.Run(context.Background(), captures[:1], o)
	if err != nil {
		t.Fatal(err)
	}
	trace, _ := traceOf(t, captures[0], o)
	requests, base := int64(0), int64(trace.clocks[3])
	for _, s := range trace.slices {
		if s.category == "request" {
			requests++
		}
		if s.category != "loss" && (s.ts < base+20e9 || s.ts >= base+40e9) {
			t.Errorf("%s at %d s", s.name, (s.ts-base)/1e9)
		}
	}
	for _, s := range a.Services {
		if s.Name == "replica" && s.Requests != requests {
			t.Errorf("got %d requests, want %d", requests, s.Requests)
		}
	}
	for _, s := range trace.samples {
		if s.ts < base+20e9 || s.ts >= base+40e9 {
			t.Errorf("a sample at %d", s.ts)
		}
	}
	for id, track := range trace.tracks {
		if track.process != "" && !strings.HasPrefix(track.process, "replica") && !strings.HasPrefix(track.process, "asker") {
			t.Errorf("track %d is of %s", id, track.process)
		}
	}
}

// told is a trace of what tell tells.
func told(t *testing.T, tell func(p *Perfetto) error) *readTrace {
	t.Helper()
	var out bytes.Buffer
	p := NewPerfetto(&out)
	if err := p.Start(analyze.TimelineClock{MonotonicNs: 1000, UnixNs: 5000}); err != nil {
		t.Fatal(err)
	}
	if err := tell(p); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return readPerfetto(t, out.Bytes())
}

var shopkeeper = analyze.TimelineThread{TID: 8, Name: "worker", TimelineProcess: &analyze.TimelineProcess{Number: 1, PID: 7, Name: "python3", Service: "cart"}}

// A thread's requests stand on it, calls within the request they were made for;
// what overlaps has lanes, and each slice its own length: the trace processor
// would give the ends of slices that cross to each other.
func TestPerfettoNests(t *testing.T) {
	trace := told(t, func(p *Perfetto) error {
		for _, r := range []struct {
			start, length int64
			call          bool
			kind          analyze.TimelineKind
		}{
			{start: 1000, length: 100}, {start: 1010, length: 20, call: true}, {start: 1030, length: 70, call: true}, // two calls, one up to the end
			{start: 1050, length: 100}, // another connection's, meanwhile
			{start: 1060, length: 5},   // and one that lies within the first
			{start: 1100, length: 50}, {start: 1120, length: 60, call: true},
			{start: 1200, length: 0}, {start: 1200, length: 10}, {start: 1205, kind: analyze.TimelineUntimed, length: 900},
			{start: 1190, length: 30}, // late
		} {
			err := p.Request(&analyze.TimelineRequest{Thread: shopkeeper, OnClient: r.call, Kind: r.kind, StartNs: r.start, ServerNs: r.length,
				Client: "a", Server: "b", ServerPort: 80, Flags: "-"})
			if err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	for _, s := range trace.slices {
		track := trace.tracks[s.track]
		got = append(got, fmt.Sprintf("%s %d+%d %s/%d", s.category, s.ts, s.dur, track.name, s.depth))
	}
	want := []string{
		"request 1000+100 worker/0", "call 1010+20 worker/1", "call 1030+70 worker/1",
		"request 1050+100 overlapping requests/0", "request 1060+5 overlapping requests/0",
		"request 1100+50 worker/0", "call 1120+60 overlapping calls/0",
		"request 1190+30 overlapping requests/0",
		"request 1200+0 worker/0", "request 1200+10 worker/0", "request 1205+0 worker/1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPerfettoArguments(t *testing.T) {
	trace := told(t, func(p *Perfetto) error {
		for _, r := range []analyze.TimelineRequest{
			{Thread: shopkeeper, StartNs: 1500, UploadNs: 1, ServerNs: 2, DownloadNs: 3, Client: "web", Server: "cart", ServerPort: 80,
				Peer: "fe80::1", PeerPort: 40001, Socket: 5, RequestBytes: 10, AnswerBytes: 20, Flags: "idle", Flow: 9},
			{Thread: analyze.TimelineThread{TimelineProcess: &analyze.TimelineProcess{Number: 2, Service: analyze.UnknownProcess}},
				StartNs: 1600, Client: "\xffweb", Server: "x" + strings.Repeat("é", 400), Kind: analyze.TimelineStream, RequestMessages: 3, Flags: "-"},
		} {
			if err := p.Request(&r); err != nil {
				return err
			}
		}
		return nil
	})
	s := trace.slices[0]
	want := "map[answer_bytes:20 connection:5 download_ns:3 flags:idle peer:[fe80::1]:40001 request_bytes:10 server_ns:2 upload_ns:1]"
	if got := fmt.Sprint(s.args); got != want || s.name != "web → cart:80" || s.dur != 6 || s.flow != 9 || !s.flowEnds {
		t.Errorf("got %s of %+v, want %s", got, s, want)
	}
	if got := fmt.Sprintf("%+v", trace.tracks[1]); got != "{parent:0 name: process:cart (python3) pid:7 tid:0 counter:false}" {
		t.Errorf("process: got %s", got)
	}
	stream := trace.slices[1]
	if stream.category != "stream" || stream.dur != 0 || stream.args["request_messages"] != "3" || !strings.HasPrefix(stream.name, "\uFFFDweb → xé") || len(stream.name) > maxText+8 {
		t.Errorf("stream: got %+v", stream)
	}
}

// Shares of a CPU, 0 where a thread did not run, and nothing where it is not known.
func TestPerfettoCounters(t *testing.T) {
	trace := told(t, func(p *Perfetto) error {
		for _, c := range []analyze.TimelineCPU{
			{Thread: shopkeeper, StartNs: 1000, EndNs: 2000, OnCPUNs: 500, RunQueueNs: 250},
			{Thread: shopkeeper, StartNs: 2000, EndNs: 3000, OnCPUNs: 1000},
			{Thread: shopkeeper, StartNs: 5000, EndNs: 6000, OnCPUNs: 10},
		} {
			if err := p.CPU(&c); err != nil {
				return err
			}
		}
		return nil
	})
	got := map[string]string{}
	for id, values := range trace.counters {
		track := trace.tracks[id]
		if parent := trace.tracks[track.parent]; !track.counter || parent.name != "worker" || parent.tid != 8 {
			t.Errorf("counter %d is of %+v", id, parent)
		}
		got[track.name] = strings.Join(values, " ")
	}
	want := map[string]string{
		"on CPU, %":    "1000=50 2000=100 3000=0 5000=1 6000=0",
		"run queue, %": "1000=25 2000=0 3000=0 5000=0 6000=0",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Stacks are written once, from the root.
func TestPerfettoSamples(t *testing.T) {
	main, work := analyze.TimelineFrame{Name: "main", Module: "/bin/cart"}, analyze.TimelineFrame{Name: "work", Module: "/bin/cart"}
	call := analyze.TimelineFrame{Name: "futex", Module: "kernel"}
	trace := told(t, func(p *Perfetto) error {
		for i, frames := range [][]analyze.TimelineFrame{{main, work}, {main, work, call}, {main, work}, nil} {
			stack := int32(len(frames))
			if err := p.Sample(&analyze.TimelineSample{Thread: shopkeeper, TsNs: int64(1000 + i), CPU: 3, Stack: stack, Frames: frames}); err != nil {
				return err
			}
		}
		return nil
	})
	got := fmt.Sprint(trace.samples)
	want := "[{1000 3 7 8 [/bin/cart:main /bin/cart:work]} {1001 3 7 8 [/bin/cart:main /bin/cart:work kernel:futex]} " +
		"{1002 3 7 8 [/bin/cart:main /bin/cart:work]} {1003 3 7 8 []}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPerfettoMarksAndLosses(t *testing.T) {
	trace := told(t, func(p *Perfetto) error {
		for _, m := range []analyze.TimelineMark{{TsNs: 1500, Kind: "user", Text: "deploy 42"}, {TsNs: 1600, Kind: "stopped"}} {
			if err := p.Mark(&m); err != nil {
				return err
			}
		}
		for _, l := range []analyze.TimelineLoss{
			{StartNs: 1000, EndNs: 2000, Collector: "tcp", Table: "exchanges", Cause: "ring-full", Count: 12},
			{StartNs: 1500, EndNs: 2500, Cause: "parts that are missing", Count: -1},
		} {
			if err := p.Loss(&l); err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	for _, s := range trace.slices {
		got = append(got, fmt.Sprintf("%s %d+%d %s %s", trace.tracks[s.track].name, s.ts, s.dur, s.name, s.args["count"]))
	}
	want := "lost 1000+1000 lost: exchanges 12|Marks 1500+0 user: deploy 42 |lost 1500+1000 lost: parts that are missing not known|Marks 1600+0 stopped "
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

// A time before the clock's zero, of a damaged capture, is no wild number.
func TestPerfettoDamagedTimes(t *testing.T) {
	trace := told(t, func(p *Perfetto) error {
		return p.Request(&analyze.TimelineRequest{Thread: shopkeeper, StartNs: math.MinInt64 / 2, ServerNs: math.MaxInt64, Flags: "-"})
	})
	if s := trace.slices[0]; s.ts < 0 || s.dur < 0 {
		t.Errorf("got %+v", s)
	}
}
