package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSequence(t *testing.T) {
	for _, test := range []struct {
		recorders string
		number    int
		want      string
	}{
		{"a b", 0, "off a b off"},
		{"a b", 1, "off b a off"},
		{"a b c d", 0, "off a b off c d off"},
		{"a b c d", 5, "off b c off d a off"},
		{"a", 7, "off a off"},
		{"a b c", 2, "off c a off b off"},
	} {
		if got := strings.Join(sequence(strings.Fields(test.recorders), test.number), " "); got != test.want {
			t.Errorf("round %d of %s: got %s, want %s", test.number, test.recorders, got, test.want)
		}
	}
}

// rounds reads rounds as "off 100, kmon 90, off 80"; ! discards one.
func rounds(texts ...string) []round {
	var all []round
	for _, text := range texts {
		r := round{discarded: strings.HasPrefix(text, "!")}
		for run := range strings.SplitSeq(strings.TrimPrefix(text, "!"), ", ") {
			name, rate, _ := strings.Cut(run, " ")
			var value float64
			if err := json.Unmarshal([]byte(rate), &value); err != nil {
				panic(err)
			}
			r.runs = append(r.runs, result{Recorder: name, Rate: value, CPUNs: 2, Requests: 10})
		}
		all = append(all, r)
	}
	return all
}

func rate(r result) float64 { return r.Rate }

func TestRatios(t *testing.T) {
	measured := rounds(
		"off 100, kmon 90, tcpdump 60, off 80",
		"!off 1, tcpdump 1000, kmon 1000, off 1",
		"off 50, tcpdump 25, kmon 50, off 50, kmon 30, off 10",
	)
	for recorder, want := range map[string][]float64{
		"kmon":    {1, 1, 1}, // 90 of 90, 50 of 50, 30 of 30: the discarded round is not among them
		"tcpdump": {60. / 90, 0.5},
	} {
		if got := ratios(measured, recorder, rate); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", recorder, got, want)
		}
	}
	// off runs that count: 100 80 50 50 10
	want := []float64{80 / 75., 50 / 65., 50 / 30.}
	got := noise(measured, rate)
	if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
		t.Errorf("noise: got %v, want %v", got, want)
	}
}

func TestSpread(t *testing.T) {
	if _, ok := spreadOf(nil); ok {
		t.Error("there is no spread of nothing")
	}
	if got, _ := spreadOf([]float64{3, 1, 2}); got != (spread{2, 1, 3}) {
		t.Errorf("got %v", got)
	}
	if got, _ := spreadOf([]float64{4, 1, 2, 3}); got != (spread{2.5, 1, 4}) {
		t.Errorf("got %v", got)
	}
}

func TestParse(t *testing.T) {
	rate, _, err := parseRedis("\"test\",\"rps\",\"avg_latency_ms\"\n\"GET\",\"134228.19\",\"0.197\"\n")
	if rate != 134228.19 || err != nil {
		t.Errorf("redis-benchmark: got %v, %v", rate, err)
	}
	rate, requests, err := parseWrk("  119842 requests in 2.10s, 143.91MB read\nRequests/sec:  57068.76\nTransfer/sec: 1MB\n")
	if rate != 57068.76 || requests != 119842 || err != nil {
		t.Errorf("wrk: got %v, %v, %v", rate, requests, err)
	}
	lost, err := parseTcpdump("10 packets captured\n20 packets received by filter\n7 packets dropped by kernel")
	if lost != 7 || err != nil {
		t.Errorf("tcpdump: got %d, %v", lost, err)
	}
	m, err := parseMachine("cpu  10 1 5 100 4 3 2 0 0 0\ncpu0 …\n")
	want := machine{programs: 160 * time.Millisecond, idle: 1040 * time.Millisecond, total: 1250 * time.Millisecond}
	if m != want || err != nil {
		t.Errorf("/proc/stat: got %+v, %v, want %+v", m, err, want)
	}
	for name, broken := range map[string]func() error{
		"redis-benchmark": func() error { _, _, err := parseRedis("Could not connect"); return err },
		"wrk":             func() error { _, _, err := parseWrk("unable to connect"); return err },
		"tcpdump":         func() error { _, err := parseTcpdump("tcpdump: no permission"); return err },
		"/proc/stat":      func() error { _, err := parseMachine("cpu 1 2"); return err },
	} {
		if broken() == nil {
			t.Errorf("%s: nonsense was read without an error", name)
		}
	}
}

func TestFillCountsTheServersPortOnly(t *testing.T) {
	var a analysis
	text := `{"captures":[{"rows":{"exchanges":41}}],"losses":[{"count":2},{"count":3}],
		"edges":[{"server_port":7,"requests":10},{"server_port":8,"requests":5},{"server_port":7,"requests":1}]}`
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	var r result
	a.fill(7, &r)
	if *r.Seen != 11 || *r.Rows != 41 || r.Lost != 5 {
		t.Errorf("got %d requests, %d rows, %d lost, want 11, 41, 5", *r.Seen, *r.Rows, r.Lost)
	}
}

func TestReport(t *testing.T) {
	measured := rounds("off 100, kmon 90, off 80", "!off 1, kmon 1, off 1")
	seen := int64(8)
	measured[0].runs[1].Seen, measured[0].runs[1].Served = &seen, 10
	measured[0].runs[1].FileBytes = 105
	measured[0].runs[1].PeakBytes = 30 << 20
	var out bytes.Buffer
	report(&out, "redis", options{rounds: 2, recorders: []string{"kmon", "tcpdump"}}, measured)
	for _, want := range []string{
		"### redis: 1 rounds, 1 thrown away for foreign CPU, 90 [80–100] requests/s off",
		"Only 1 of the 2 rounds asked for count",
		"| kmon | 1.000 | 1.000 | 0.0 | 30.0 | 10.50 | 0 | -2 | 0 |",
		"| tcpdump | – |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// One short round of the real thing, without kmon.
func TestMeasureTcpdump(t *testing.T) {
	for _, program := range []string{"redis-server", "redis-benchmark", "tcpdump"} {
		if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
			skipUnlessCI(t, "needs root, redis and tcpdump")
		}
	}
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "runs.jsonl")
	err := run(t.Context(), &out, strings.Fields("-rounds 1 -attempts 1 -patience 0s -foreign 1 -loads redis -recorders tcpdump -requests 5000 -jsonl "+file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for line := range strings.Lines(string(text)) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		order = append(order, r.Recorder)
		if r.Rate <= 0 || r.Requests != 5000 || r.Served != 5001 {
			t.Errorf("%s: %d requests at %.0f/s, %d served, want 5000 and one for the settings", r.Recorder, r.Requests, r.Rate, r.Served)
		}
		if r.Recorder == "tcpdump" && (r.FileBytes < 5000*100 || r.PeakBytes == 0) {
			t.Errorf("tcpdump: %+v", r)
		}
	}
	if got := strings.Join(order, " "); got != "off tcpdump off" {
		t.Errorf("runs were %s", got)
	}
	if !strings.Contains(out.String(), "### redis: 1 rounds") {
		t.Errorf("no table in %q", out.String())
	}
}

// skipUnlessCI skips, but fails where CI=true says that all can run.
func skipUnlessCI(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestEndedTime(t *testing.T) {
	before := endedTime(os.Getpid())
	if out, err := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if after := endedTime(os.Getpid()); after-before < tickNs {
		t.Errorf("a child that counted to 200000 took %v", after-before)
	}
}

func TestParseGenerators(t *testing.T) {
	for _, test := range []struct {
		name   string
		parse  func(string) (float64, int64, error)
		output string
		rate   float64
		count  int64
	}{
		{"pgbench", parsePgbench, "number of transactions actually processed: 97000\nlatency average = 0.165 ms\ntps = 48360.5 (without initial connection time)\n", 48360.5, 97000},
		{"pipe", parsePipe, "# Executed 10000 pipe operations between two processes\n\n     Total time: 0.031 [sec]\n\n       3.163100 usecs/op\n         316145 ops/sec\n", 316145, 10000},
	} {
		rate, count, err := test.parse(test.output)
		if err != nil || rate != test.rate || count != test.count {
			t.Errorf("%s: got %v, %d, %v; want %v, %d", test.name, rate, count, err, test.rate, test.count)
		}
		if _, _, err := test.parse("no such thing"); err == nil {
			t.Errorf("%s: no error for an output without a summary", test.name)
		}
	}
}

func TestRecordersOfPipes(t *testing.T) {
	all := []string{"kmon", "kmon-tcp", "tcpdump", "perf-sched"}
	if got := recordersOf("redis", all); !slices.Equal(got, all) {
		t.Errorf("redis: %v", got)
	}
	if got := recordersOf("pipe", all); !slices.Equal(got, []string{"kmon", "perf-sched"}) {
		t.Errorf("pipe: %v", got)
	}
}
