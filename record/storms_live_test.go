package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// A storm is a load as large as a machine takes, and what of it is to be found in
// a capture: each row that is missing is counted as lost.
type storm struct {
	name string
	load string
	// older: the load makes its sockets before the recording.
	older bool
	check func(t *testing.T, c *format.Capture, truth stormTruth) []count
}

// count is what a load says of itself, and what was recorded of it.
type count struct {
	table       string
	own, inFile int64
}

var storms = []storm{
	{"a million sockets", "idle -connections 500000 -requests 2000 -limit 10m", false, checkIdle},
	{"a million older sockets", "idle -connections 500000 -requests 2000 -limit 10m", true, checkIdle},
	{"a hundred thousand processes", "spawn -processes 100000 -at-once 8 -limit 10m", false, checkSpawn},
	{"a scan of ports", "scan -connects 131070", false, checkScan},
	{"a connection a request", "echo -fresh -connections 8 -requests 100000", false, checkFresh},
}

// maxStormBytes bounds the memory of the recorder whatever comes.
const maxStormBytes = 128 << 20

// Storms are for make storms: they take minutes and gigabytes of memory.
func TestStorms(t *testing.T) {
	if os.Getenv("KMON_STORMS") == "" {
		t.Skip("make storms runs it")
	}
	for _, s := range storms {
		t.Run(strings.ReplaceAll(s.name, " ", "-"), s.run)
	}
}

func (s storm) run(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "storm.kmon")
	load := s.load
	if s.older {
		load += " -gate " + dir
	}
	args := stormCommand(dir, load)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	start := func() {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if s.older {
		start()
		waitFor(t, filepath.Join(dir, "opened"))
	}
	_, end := startRecorder(t, path)
	if s.older {
		time.Sleep(15 * time.Second) // several looks at the sockets
		if err := os.WriteFile(filepath.Join(dir, "ask"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		start()
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	result := end()
	stop := time.Since(stopped)
	t.Logf("%s: %.1f s, CPU %.1f%% of a core, BPF %.1f%%, at most %d MiB resident, stopped in %v, %d MiB of file, losses %v",
		s.name, float64(result.DurationNs)/1e9, 100*float64(result.CPUNs)/float64(result.DurationNs), 100*float64(result.BPFRunNs)/float64(result.DurationNs),
		result.MaxRSSBytes>>20, stop.Round(time.Millisecond), result.SizeBytes>>20, result.Losses)
	if result.MaxRSSBytes > maxStormBytes {
		t.Errorf("the recorder took %d MiB, want at most %d", result.MaxRSSBytes>>20, maxStormBytes>>20)
	}
	capture := opened(t, path)
	lost := map[string]int64{}
	for _, l := range all[format.Loss](t, capture) {
		lost[l.Table] += l.Count
	}
	for _, c := range s.check(t, capture, readStorm(t, dir, 0)) {
		t.Logf("%s: %d of the load, %d recorded, %d lost", c.table, c.own, c.inFile, lost[c.table])
		if c.inFile > c.own || c.inFile+lost[c.table] < c.own {
			t.Errorf("%s: %d recorded and %d lost, want %d", c.table, c.inFile, lost[c.table], c.own)
		}
	}
}

// waitFor waits for a file, longer than waitUntil does.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within five minutes", path)
		}
	}
}

// countRows counts the rows of a table that are wanted.
func countRows[T format.Row](t *testing.T, c *format.Capture, want func(*T) bool) (n int64) {
	t.Helper()
	rows := all[T](t, c)
	for i := range rows {
		if want(&rows[i]) {
			n++
		}
	}
	return n
}

// checkIdle: each socket has a row when it opens or is found, and one when it
// ends; each exchange is seen at both ends.
func checkIdle(t *testing.T, c *format.Capture, truth stormTruth) []count {
	pids := truth.pids()
	var requests int64
	for _, e := range truth.Edges {
		requests += e.Requests
	}
	return []count{
		{"sockets", 2 * truth.sockets(), countRows(t, c, func(s *format.Socket) bool { return pids[s.PID] })},
		{"exchanges", 2 * requests, countRows(t, c, func(e *format.Exchange) bool { return pids[e.PID] && isRequest(*e) })},
	}
}

// checkSpawn: each process has a row when it is forked, when it runs its program
// and when it ends. One that Go forks to try out the kernel runs no program.
func checkSpawn(t *testing.T, c *format.Capture, truth stormTruth) []count {
	type process struct {
		pid     int32
		startNs int64
	}
	pids, events := truth.pids(), map[process]int64{}
	rows := all[format.Proc](t, c)
	for _, p := range rows {
		if pids[p.ParentPID] && (p.Event == format.ProcFork || p.Exe == "/bin/true" || p.Comm == "true") {
			events[process{p.PID, p.StartNs}]++
		}
	}
	for _, p := range rows {
		if p.Event == format.ProcExit && p.Comm != "true" {
			delete(events, process{p.PID, p.StartNs})
		}
	}
	var n int64
	for _, of := range events {
		n += of
	}
	return []count{{"procs", 3 * truth.Spawned, n}}
}

// checkScan: each connect that was refused was answered by a reset, which the
// socket that asked received; an open port has two sockets.
func checkScan(t *testing.T, c *format.Capture, truth stormTruth) []count {
	pids := truth.pids()
	var resets int64
	for _, e := range all[format.NetEvent](t, c) {
		if e.Kind == format.NetResetSent && strings.HasPrefix(e.LocalAddr, "127.1.0.") {
			resets += e.Count
		}
	}
	failed := countRows(t, c, func(s *format.Socket) bool { return pids[s.PID] && s.Event == format.SocketConnectFailed })
	return []count{{"netevents", truth.Refused[0].Connects, resets}, {"sockets", truth.Refused[0].Connects, failed}}
}

// checkFresh: each connection has two sockets with a row at each end of their
// lives, and an exchange.
func checkFresh(t *testing.T, c *format.Capture, truth stormTruth) []count {
	pids := truth.pids()
	e := truth.Edges[0]
	return []count{
		{"sockets", 4 * e.Connections, countRows(t, c, func(s *format.Socket) bool {
			return pids[s.PID] && slices.Contains([]format.SocketEvent{format.SocketOpen, format.SocketClose}, s.Event)
		})},
		{"exchanges", 2 * e.Requests, countRows(t, c, func(e *format.Exchange) bool { return pids[e.PID] && isRequest(*e) })},
	}
}
