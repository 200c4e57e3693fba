package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary a child of a load when a load started it.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// play runs a load and gives its truth.
func play(t *testing.T, args ...string) Truth {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, strings.NewReader(""), &out, append(args, "--limit", "3m")); err != nil {
		t.Fatalf("workload %s: %v", strings.Join(args, " "), err)
	}
	var truth Truth
	if err := json.Unmarshal(out.Bytes(), &truth); err != nil {
		t.Fatalf("workload %s wrote %q: %v", strings.Join(args, " "), out.String(), err)
	}
	return truth
}

// addUp checks that what the clients sent is what the servers received.
func addUp(t *testing.T, truth Truth) {
	t.Helper()
	type sum struct{ connections, requests, unanswered, errors, toServer, toClient, messages, answers int64 }
	asked, served := map[string]sum{}, map[string]sum{}
	for _, e := range truth.Edges {
		s := asked[e.Server]
		asked[e.Server] = sum{s.connections + e.Connections, s.requests + e.Requests, s.unanswered + e.Unanswered, s.errors + e.Errors,
			s.toServer + e.BytesSent, s.toClient + e.BytesReceived, s.messages + e.MessagesSent, s.answers + e.MessagesReceived}
	}
	for _, e := range truth.Services {
		s := served[e.Name]
		served[e.Name] = sum{s.connections + e.Connections, s.requests + e.Requests, s.unanswered + e.Unanswered, s.errors + e.Errors,
			s.toServer + e.BytesIn, s.toClient + e.BytesOut, s.messages + e.MessagesIn, s.answers + e.MessagesOut}
	}
	if len(served) == 0 {
		t.Error("no service in the truth")
	}
	for name, got := range served {
		if want := asked[name]; got != want {
			t.Errorf("%s served %+v, its clients asked %+v", name, got, want)
		}
	}
}

func TestShop(t *testing.T) {
	truth := play(t, "shop", "--duration", "3s", "--rate", "30", "--concurrency", "4") // a computer may stop for most of that
	addUp(t, truth)
	requests := map[string]int64{}
	for _, s := range truth.Services {
		requests[s.Name] = s.Requests
		if s.Requests == 0 || s.Errors+s.Unanswered != 0 || s.Latency.Count != s.Requests {
			t.Errorf("service %s: %+v", s.Name, s)
		}
	}
	if got, want := requests["db"], requests["cart"]+requests["catalog"]; got != want {
		t.Errorf("db served %d requests, but cart and catalog together %d", got, want)
	}
	if got, want := requests["frontend"], requests["cart"]+requests["catalog"]; got != want {
		t.Errorf("frontend served %d requests, but cart and catalog together %d", got, want)
	}
	pids := map[int]string{}
	for _, p := range truth.Processes {
		pids[p.PID] = strings.TrimSuffix(p.Name, ".exe")
	}
	for _, s := range truth.Services {
		if pids[s.PID] != s.Name {
			t.Errorf("service %s ran in a process named %q", s.Name, pids[s.PID])
		}
	}
	if len(pids) != 6 {
		t.Errorf("%d processes, want 6: %v", len(pids), truth.Processes)
	}
}

// A seed fixes which requests are sent, one after the other.
func TestShopSeed(t *testing.T) {
	list := func(seed uint64) string {
		ctx, cancel := context.WithCancel(t.Context())
		asks := make(chan string)
		go pace(ctx, 0, seeded(seed, "loadgen"), asks)
		var paths []string
		for range 50 {
			paths = append(paths, <-asks)
		}
		cancel()
		return strings.Join(paths, " ")
	}
	first := list(1)
	if again := list(1); again != first {
		t.Errorf("the same seed gave %s, then %s", first, again)
	}
	if list(2) == first {
		t.Error("another seed gave the same requests")
	}
}

func TestEcho(t *testing.T) {
	tests := []struct {
		flags            string
		requests         int64
		toServer, toPeer int64 // bytes of a request and of an answer
		connections      int64
	}{
		{"--requests 300 --connections 3 --request-size 10 --response-size 20", 300, 10, 20, 3},
		{"--requests 50 --fresh --connections 4", 50, 100, 100, 50},
		{"--requests 5 --request-size 300000 --response-size 200000", 5, 300000, 200000, 1},
		{"--requests 20 --ipv6", 20, 100, 100, 1},
		{"--requests 20 --mapped", 20, 100, 100, 1},
	}
	for _, test := range tests {
		t.Run(test.flags, func(t *testing.T) {
			if strings.Contains(test.flags, "mapped") && runtime.GOOS != "linux" {
				t.Skip("IPv4-mapped sockets need Linux")
			}
			truth := play(t, append([]string{"echo"}, strings.Fields(test.flags)...)...)
			addUp(t, truth)
			got := truth.Services[0]
			if got.Requests != test.requests || got.BytesIn != test.requests*test.toServer ||
				got.BytesOut != test.requests*test.toPeer || got.Connections != test.connections {
				t.Errorf("got %+v, want %+v", got, test)
			}
		})
	}
}

func TestEchoSleepIsInTheLatency(t *testing.T) {
	began := time.Now()
	truth := play(t, "echo", "--requests", "20", "--sleep", "5ms")
	sleep, took := int64(5*time.Millisecond), time.Since(began).Nanoseconds()
	for name, got := range map[string]Latency{"server": truth.Services[0].Latency, "client": truth.Edges[0].Latency} {
		if got.Count != 20 || got.P50 < sleep || 20*got.Mean > took || got.Max < got.P99 || got.P99 < got.P50 {
			t.Errorf("%s: latency %+v, want quantiles from %d on and no more than %d in all", name, got, sleep, took)
		}
	}
}

func TestStream(t *testing.T) {
	tests := []struct {
		mode             string
		requests         int64
		toServer, toPeer int64 // messages
	}{
		{"one-way", 0, 200, 0},
		{"push", 0, 0, 200},
		{"pipelined", 200, 200, 200},
		{"h2", 200, 200, 200},
	}
	for _, test := range tests {
		t.Run(test.mode, func(t *testing.T) {
			truth := play(t, "stream", "--mode", test.mode, "--connections", "2", "--messages", "100", "--size", "50")
			addUp(t, truth)
			got := truth.Services[0]
			if got.Requests != test.requests || got.MessagesIn != test.toServer || got.MessagesOut != test.toPeer || got.Connections != 2 {
				t.Errorf("got %+v, want %+v on 2 connections", got, test)
			}
			if test.mode != "h2" && (got.BytesIn != 50*test.toServer || got.BytesOut != 50*test.toPeer) {
				t.Errorf("got %d bytes in and %d out, want 50 a message of %+v", got.BytesIn, got.BytesOut, test)
			}
		})
	}
}

func TestFork(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("inherited descriptors need Unix")
	}
	for flags, children := range map[string]int{"--children=3": 3, "--per-connection": 4} {
		t.Run(flags, func(t *testing.T) {
			truth := play(t, "fork", flags, "--connections", "4", "--requests", "100")
			addUp(t, truth)
			pids := map[int]bool{}
			var requests int64
			for _, s := range truth.Services {
				pids[s.PID] = true
				requests += s.Requests
			}
			if len(pids) != children || requests != 100 {
				t.Errorf("%d children answered %d requests, want %d and 100", len(pids), requests, children)
			}
		})
	}
}

func TestTruthFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "truth.json")
	var out bytes.Buffer
	if err := run(t.Context(), strings.NewReader(""), &out, []string{"echo", "--requests", "1", "--truth", file}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || out.Len() > 0 || !bytes.Contains(text, []byte(`"load": "echo"`)) {
		t.Errorf("file %q, error %v, standard output %q", text, err, out.String())
	}
}

func TestBadUse(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "which load?",
		"shpo":                     "which load?",
		"echo --requests x":        "invalid value",
		"echo more":                `unexpected argument "more"`,
		"echo --connections 0":     "--connections is 0, but must be at least 1",
		"echo --ipv6 --mapped":     "--mapped goes neither with --ipv6",
		"echo --mapped --port 80":  "nor with --port",
		"stream --mode sideways":   `--mode "sideways" is none of`,
		"child nobody 1s {}":       "a child needs ROLE LIMIT CONFIG",
		"shop --concurrency 0":     "--concurrency is 0",
		"stream --depth 0":         "--depth is 0",
		"child echo-server soon x": "invalid duration",
	} {
		err := run(t.Context(), strings.NewReader(""), &bytes.Buffer{}, strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("workload %s: got %v, want an error with %q", args, err, want)
		}
	}
}

// A child ends when its leash ends, as it does when the parent dies.
func TestChildEndsWithItsLeash(t *testing.T) {
	cmd := exec.Command(os.Args[0], childVerb, "echo-server", "4m", `{"request_size":1,"response_size":1}`)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("ended at once: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	leash.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v, want in order", err)
		}
	case <-time.After(time.Minute): // without its leash it lasts four
		cmd.Process.Kill()
		t.Error("still there a minute after its leash ended")
	}
}

// A child that hangs ends at its limit.
func TestChildEndsAtItsLimit(t *testing.T) {
	cmd := exec.Command(os.Args[0], childVerb, "echo-server", "50ms", `{"request_size":1,"response_size":1}`)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer leash.Close()
	text, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "outlived its limit") {
		t.Errorf("got error %v and %q, want one about the limit", err, text)
	}
}

func TestRefused(t *testing.T) {
	truth := play(t, "refused", "--connects", "3")
	if len(truth.Refused) != 2 || truth.Refused[0].Connects != 3 || truth.Refused[1].Connects != 3 {
		t.Errorf("got %+v, want 3 refused over IPv4 and over IPv6", truth.Refused)
	}
}
