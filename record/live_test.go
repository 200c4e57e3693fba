package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

// The tests of this file record real traffic with eBPF and hold the rows
// against what the load counted itself (cmd/workload). They need root and a
// kernel that lets eBPF programs load; with CI set they fail without.

func requireBPF(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("recording needs root; the gate must run as root")
	}
	t.Skip("recording needs root")
}

// truth is the part of cmd/workload's truth that these tests compare.
type truth struct {
	Processes []struct {
		Name string `json:"name"`
		PID  int32  `json:"pid"`
	} `json:"processes"`
	Services []truthEnd    `json:"services"`
	Edges    []truthEnd    `json:"edges"`
	Sockets  []truthSocket `json:"sockets"`
}

type truthEnd struct {
	Name          string `json:"name"`
	PID           int32  `json:"pid"`
	Requests      int64  `json:"requests"`
	BytesIn       int64  `json:"bytes_in"`
	BytesOut      int64  `json:"bytes_out"`
	BytesSent     int64  `json:"bytes_sent"`
	BytesReceived int64  `json:"bytes_received"`
}

type truthSocket struct {
	Path          string `json:"path"`
	Role          string `json:"role"`
	LocalPort     int32  `json:"local_port"`
	RemotePort    int32  `json:"remote_port"`
	Requests      int64  `json:"requests"`
	BytesSent     int64  `json:"bytes_sent"`
	BytesReceived int64  `json:"bytes_received"`
}

var workloadBinary string

func TestMain(m *testing.M) {
	if os.Getenv(listenerMode) != "" {
		beListener()
		return
	}
	if os.Getenv(servedMode) != "" {
		beServed()
		return
	}
	if os.Getenv(rttMode) != "" {
		speak()
		return
	}
	if os.Getenv(callerMode) != "" {
		makeCalls()
		return
	}
	if os.Getenv(spinnerMode) != "" {
		spin()
		return
	}
	if os.Getenv(shedLoadMode) != "" {
		beShedLoad()
		return
	}
	if os.Getenv(netLoadMode) != "" {
		makeNetLoad()
		return
	}
	if os.Getenv(recorderMode) != "" {
		beRecorder()
		return
	}
	if os.Getenv(filesMode) != "" {
		openManyFiles()
		return
	}
	dir, err := os.MkdirTemp("", "kmon-record")
	if err != nil {
		panic(err)
	}
	workloadBinary = filepath.Join(dir, "workload")
	if out, err := exec.Command("go", "build", "-o", workloadBinary, "kmon/cmd/workload").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// recording is a capture of one load, with the load's own truth.
type recording struct {
	truth     truth
	result    Result
	exchanges []format.Exchange
	sockets   []format.Socket // openings: one per socket
	closes    map[int64]format.Socket
	byID      map[int64]format.Socket
	capture   *format.Capture
}

// record runs a load under the recorder.
func record(t *testing.T, o Options, args ...string) recording {
	t.Helper()
	requireBPF(t)
	dir := t.TempDir()
	truthPath := filepath.Join(dir, "truth.json")
	o.Output = filepath.Join(dir, "load.kmon")
	o.Command = append([]string{workloadBinary}, append(args, "-truth", truthPath)...)
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("the load ended with %d", result.ExitCode)
	}
	checkLosses(t, result, "tcp", "proc")
	r := readRecording(t, result)
	data, err := os.ReadFile(truthPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r.truth); err != nil {
		t.Fatal(err)
	}
	return r
}

// complained is a test, or doubts in one.
type complained interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkLosses holds that collectors lost nothing and all could be written. What
// other collectors lost of whatever else the machine does is not a test's.
func checkLosses(t complained, result Result, collectors ...string) {
	t.Helper()
	for what, n := range result.Losses {
		owner, cause, _ := strings.Cut(what, "/")
		if what == "proc/"+format.LossStateFull.String() {
			continue // processes that nobody had the time to look at: there may be many others
		}
		if n != 0 && (slices.Contains(collectors, owner) || cause == format.LossWrite.String()) {
			t.Errorf("lost %d: %s", n, what)
		}
	}
}

// opened is a capture, until the test ends.
func opened(t *testing.T, path string) *format.Capture {
	t.Helper()
	capture, err := format.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { capture.Close() })
	return capture
}

// all are the rows of a table.
func all[T format.Row](t *testing.T, c *format.Capture) []T {
	t.Helper()
	rows, err := format.All[T](c)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func readRecording(t *testing.T, result Result) recording {
	t.Helper()
	capture := opened(t, result.Path)
	r := recording{result: result, capture: capture, byID: map[int64]format.Socket{}, closes: map[int64]format.Socket{}}
	r.exchanges = all[format.Exchange](t, capture)
	rows := all[format.Socket](t, capture)
	for _, row := range rows {
		if row.Event == format.SocketClose {
			r.closes[row.SocketID] = row
			continue
		}
		if _, twice := r.byID[row.SocketID]; twice {
			t.Errorf("socket %d begins twice", row.SocketID)
		}
		r.byID[row.SocketID] = row
		r.sockets = append(r.sockets, row)
	}
	for _, problem := range capture.Problems() {
		t.Errorf("capture: %v", problem)
	}
	return r
}

// total is what the exchanges of some sockets add up to.
type total struct{ requests, sent, received, sockets int64 }

// isRequest is the definition of DESIGN: a row that ends an exchange which
// began with a request.
func isRequest(e format.Exchange) bool {
	return e.Flags&(format.ExchangePartial|format.ExchangeNoRequest) == 0
}

// sum adds up the exchanges of the sockets that want selects.
func (r recording) sum(want func(format.Socket) bool) total {
	var t total
	for _, s := range r.sockets {
		if want(s) {
			t.sockets++
		}
	}
	for _, e := range r.exchanges {
		if !want(r.byID[e.SocketID]) {
			continue
		}
		if isRequest(e) {
			t.requests++
		}
		if e.Flags&format.ExchangeClient != 0 {
			t.sent += e.RequestBytes
			t.received += e.AnswerBytes
		} else {
			t.sent += e.AnswerBytes
			t.received += e.RequestBytes
		}
	}
	return t
}

// ofProcess selects the sockets of one process and role.
func (r recording) ofProcess(pid int32, role format.Role) func(format.Socket) bool {
	own := map[int64]bool{}
	for _, e := range r.exchanges {
		if e.PID == pid {
			own[e.SocketID] = true
		}
	}
	return func(s format.Socket) bool { return s.Role == role && (own[s.SocketID] || s.PID == pid) }
}

func TestEchoIsCountedExactly(t *testing.T) {
	for name, args := range map[string][]string{
		"keep-alive":     {"-requests", "2000", "-connections", "8"},
		"large":          {"-requests", "50", "-connections", "2", "-request-size", "300000", "-response-size", "700000"},
		"fresh":          {"-requests", "500", "-connections", "4", "-fresh"},
		"ipv6":           {"-requests", "500", "-ipv6"},
		"ipv4-mapped":    {"-requests", "500", "-mapped"},
		"server sleeps":  {"-requests", "20", "-sleep", "5ms"},
		"client pauses":  {"-requests", "20", "-pause", "5ms"},
		"slow and large": {"-requests", "10", "-sleep", "20ms", "-response-size", "5000000"},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t, Options{}, append([]string{"echo"}, args...)...)
			server, client := r.truth.Services[0], r.truth.Edges[0]
			got := r.sum(r.ofProcess(server.PID, format.RoleServer))
			if got.requests != server.Requests || got.received != server.BytesIn || got.sent != server.BytesOut {
				t.Errorf("server: got %+v, the load counted %+v", got, server)
			}
			got = r.sum(r.ofProcess(client.PID, format.RoleClient))
			if got.requests != client.Requests || got.sent != client.BytesSent || got.received != client.BytesReceived {
				t.Errorf("client: got %+v, the load counted %+v", got, client)
			}
			r.checkTimes(t)
			r.checkCloses(t)
		})
	}
}

// checkTimes holds that no duration is negative and nothing lies outside the
// recording.
func (r recording) checkTimes(t *testing.T) {
	t.Helper()
	start, end := r.capture.Manifest.Clock.MonotonicNs, r.capture.Final.EndNs
	for _, e := range r.exchanges {
		if e.UploadNs < 0 || e.ServerNs < 0 || e.DownloadNs < 0 || e.StartNs < start || e.StartNs > end {
			t.Fatalf("times make no sense: %+v", e)
		}
	}
}

// checkCloses holds that the kernel's own byte counters, read at close, agree
// with the sum of the exchanges of that socket.
func (r recording) checkCloses(t *testing.T) {
	t.Helper()
	for id, row := range r.closes {
		opened, known := r.byID[id]
		if !known || opened.Event == format.SocketExisting {
			continue
		}
		got := r.sum(func(s format.Socket) bool { return s.SocketID == id })
		if got.sent != row.BytesSent || got.received != row.BytesReceived {
			t.Errorf("socket %d: exchanges sum to %+v, the kernel counted %d sent, %d received", id, got, row.BytesSent, row.BytesReceived)
		}
	}
}

func TestEveryPathIsCountedExactly(t *testing.T) {
	for name, args := range map[string][]string{"ipv4": nil, "ipv6": {"-ipv6"}} {
		t.Run(name, func(t *testing.T) {
			r := record(t, Options{}, append([]string{"paths"}, args...)...)
			for _, want := range r.truth.Sockets {
				got := r.sum(func(s format.Socket) bool {
					return s.LocalPort == want.LocalPort && s.RemotePort == want.RemotePort
				})
				if got.sockets != 1 || got.requests != want.Requests || got.sent != want.BytesSent || got.received != want.BytesReceived {
					t.Errorf("%s %s: got %+v, the load counted %+v", want.Path, want.Role, got, want)
				}
			}
		})
	}
}

func TestForkedServersKeepTheirSockets(t *testing.T) {
	for name, args := range map[string][]string{"children accept": nil, "a child per connection": {"-per-connection"}} {
		t.Run(name, func(t *testing.T) {
			r := record(t, Options{}, append([]string{"fork"}, args...)...)
			var want, requests int64
			for _, service := range r.truth.Services {
				want += service.Requests
				byProcess := map[int32]int64{}
				for _, e := range r.exchanges {
					if isRequest(e) && e.Flags&format.ExchangeClient == 0 {
						byProcess[e.PID]++
					}
				}
				requests += byProcess[service.PID]
			}
			if requests != want || want == 0 {
				t.Errorf("the children's rows count %d requests, the children %d", requests, want)
			}
		})
	}
}

func TestStreamsAreNotRequests(t *testing.T) {
	tests := []struct {
		mode string
		// flag is what rows of the server's sockets must show: all of them for
		// one-way traffic, at least one otherwise.
		flag format.ExchangeFlags
	}{
		{"one-way", format.ExchangeNoAnswer},
		{"push", format.ExchangeNoRequest},
		{"pipelined", format.ExchangeStream},
	}
	for _, test := range tests {
		t.Run(test.mode, func(t *testing.T) {
			r := record(t, Options{}, "stream", "-mode", test.mode, "-messages", "300", "-sleep", "1ms")
			server := r.truth.Services[0]
			selected := r.ofProcess(server.PID, format.RoleServer)
			flagged := 0
			for _, e := range r.exchanges {
				if selected(r.byID[e.SocketID]) && e.Flags&test.flag != 0 {
					flagged++
				}
			}
			if flagged == 0 {
				t.Errorf("no row of the server is flagged %v", test.flag)
			}
			got := r.sum(selected)
			if got.received != server.BytesIn || got.sent != server.BytesOut {
				t.Errorf("got %+v, the load counted %+v", got, server)
			}
		})
	}
}

// startLoad runs a load beside the recorder.
func startLoad(t *testing.T, args ...string) (load *exec.Cmd, wait func() truth) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "truth.json")
	cmd := exec.Command(workloadBinary, append(args, "-truth", path)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it still runs
	return cmd, func() truth {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var result truth
		if err := json.Unmarshal(data, &result); err != nil {
			t.Fatal(err)
		}
		return result
	}
}

// whileRecording calls during when the recording has begun, and ends it when
// that returns.
func whileRecording(t *testing.T, o Options, during func()) Result {
	t.Helper()
	requireBPF(t)
	status := make(chan Status, 1)
	o.Status = status
	if o.Output == "" {
		o.Output = filepath.Join(t.TempDir(), "x.kmon")
	}
	type outcome struct {
		result Result
		err    error
	}
	done := make(chan outcome, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		result, err := Run(ctx, o)
		done <- outcome{result, err}
	}()
	end := sync.OnceValue(func() outcome {
		stop()
		return <-done
	})
	defer end() // also when during does not return
	select {
	case <-status:
		during()
	case early := <-done:
		done <- early
	}
	got := end()
	if got.err != nil {
		t.Fatal(got.err)
	}
	return got.result
}

// waitUntil waits for a condition; what names it. A computer that others use most of
// takes its time.
func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within four minutes", what)
		}
	}
}

// gate is the folder by which an echo load is led: its connections say how far
// they are and go on when they are let.
type gate string

func newGate(t *testing.T) gate { return gate(t.TempDir()) }

// wait waits until n connections are so far, and gives the pid that one tells.
func (g gate) wait(t *testing.T, far string, n int) (pid int32) {
	t.Helper()
	waitUntil(t, far, func() bool {
		files, err := filepath.Glob(filepath.Join(string(g), far+"-*"))
		if err != nil || len(files) < n {
			return false
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(text), &pid)
		return err == nil
	})
	return pid
}

// open lets connections ask, or answer.
func (g gate) open(t *testing.T, steps ...string) {
	t.Helper()
	for _, step := range steps {
		if err := os.WriteFile(filepath.Join(string(g), step), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSocketsOlderThanTheRecording(t *testing.T) {
	requireBPF(t)
	gate := newGate(t)
	_, wait := startLoad(t, "echo", "-requests", "20", "-connections", "3", "-gate", string(gate))
	gate.wait(t, "connected", 3)
	var truth truth
	result := whileRecording(t, Options{}, func() {
		gate.open(t, "ask", "answer")
		truth = wait()
	})
	r := readRecording(t, result)
	server, client := truth.Services[0], truth.Edges[0]
	for _, end := range []struct {
		pid      int32
		role     format.Role
		source   format.RoleSource
		requests int64
	}{{server.PID, format.RoleServer, format.RoleSourceListener, server.Requests}, {client.PID, format.RoleClient, format.RoleSourcePort, client.Requests}} {
		selected := r.ofProcess(end.pid, end.role)
		got := r.sum(selected)
		if got.sockets != 3 || got.requests != end.requests {
			t.Errorf("pid %d as %v: got %+v, want 3 sockets, %d requests", end.pid, end.role, got, end.requests)
		}
		for _, s := range r.sockets {
			if selected(s) && (s.Event != format.SocketExisting || s.PID != end.pid || end.role == format.RoleServer && s.RoleSource != end.source) {
				t.Errorf("an existing socket of pid %d reads %+v", end.pid, s)
			}
		}
	}
}

func TestInFlightAtTheEndIsMarked(t *testing.T) {
	requireBPF(t)
	gate := newGate(t)
	_, wait := startLoad(t, "echo", "-requests", "1", "-gate", string(gate))
	gate.wait(t, "connected", 1)
	const inFlight = 200 * time.Millisecond // at least
	result := whileRecording(t, Options{}, func() {
		gate.open(t, "ask")
		gate.wait(t, "asked", 1)
		time.Sleep(inFlight)
	})
	gate.open(t, "answer")
	r := readRecording(t, result)
	r.truth = wait()
	selected := r.ofProcess(r.truth.Services[0].PID, format.RoleServer)
	var rows []format.Exchange
	for _, e := range r.exchanges {
		if selected(r.byID[e.SocketID]) {
			rows = append(rows, e)
		}
	}
	want := format.ExchangeOpen | format.ExchangeNoAnswer
	if len(rows) != 1 || rows[0].Flags&want != want || rows[0].ServerNs < inFlight.Nanoseconds() {
		t.Errorf("got %+v, want one row that is %v and waited for %v or more", rows, want, inFlight)
	}
}

func TestTargetsNarrowTheRecording(t *testing.T) {
	requireBPF(t)
	gates := []gate{newGate(t), newGate(t)}
	load, wait := startLoad(t, "echo", "-requests", "30", "-gate", string(gates[0]))
	_, other := startLoad(t, "echo", "-requests", "30", "-gate", string(gates[1]))
	gates[0].wait(t, "connected", 1)
	gates[1].wait(t, "connected", 1)
	pid, port := clientOf(t, load)
	var first, second truth
	results := map[string]Result{}
	// Several recorders at once, which must not matter.
	results["pid"] = whileRecording(t, Options{PIDs: []int32{pid}}, func() {
		results["port"] = whileRecording(t, Options{Ports: []uint16{port}}, func() {
			results["service"] = whileRecording(t, Options{Services: []string{"echo-client"}}, func() {
				gates[0].open(t, "ask", "answer")
				gates[1].open(t, "ask", "answer")
				first, second = wait(), other()
			})
		})
	})
	for name, result := range results {
		want := map[int32]int64{first.Edges[0].PID: 30, first.Services[0].PID: 0, second.Edges[0].PID: 0, second.Services[0].PID: 0}
		switch name {
		case "port":
			want[first.Services[0].PID] = 30
		case "service":
			want[second.Edges[0].PID] = 30
		}
		// Other tests may run echoes of their own: only these four are asked.
		got := map[int32]int64{}
		for _, e := range readRecording(t, result).exchanges {
			if isRequest(e) {
				got[e.PID]++
			}
		}
		for pid, n := range want {
			if got[pid] != n {
				t.Errorf("%s: %d requests of pid %d, want %d", name, got[pid], pid, n)
			}
		}
	}
}

// clientOf gives the pid of a load's connected client and the port it speaks to.
func clientOf(t *testing.T, load *exec.Cmd) (pid int32, port uint16) {
	t.Helper()
	r := readRecording(t, whileRecording(t, Options{}, func() {}))
	processes := all[format.Process](t, r.capture)
	for _, p := range processes {
		for _, s := range r.sockets {
			if p.ParentPID == int32(load.Process.Pid) && s.PID == p.PID && s.Role == format.RoleClient {
				return p.PID, uint16(s.RemotePort)
			}
		}
	}
	t.Fatal("no connected echo-client was listed")
	return 0, 0
}

func TestConfigIsFollowedWhileRecording(t *testing.T) {
	requireBPF(t)
	dir, gate := t.TempDir(), newGate(t)
	config, output := filepath.Join(dir, "kmon.yaml"), filepath.Join(dir, "x.kmon")
	replace := func(text string) {
		if err := errors.Join(os.WriteFile(config+".new", []byte(text), 0o600), os.Rename(config+".new", config)); err != nil {
			t.Fatal(err)
		}
	}
	replace("targets: {services: [nobody]}\n")
	load, wait := startLoad(t, "echo", "-requests", "100000000", "-gate", string(gate))
	gate.wait(t, "connected", 1)
	var truth truth
	result := whileRecording(t, Options{Output: output, ConfigPath: config}, func() {
		gate.open(t, "ask", "answer")
		pid := gate.wait(t, "asked", 1)
		replace("targets: {services: [greeter]}\nrules: [{service: greeter, match: {exe: echo-server}}]\n")
		waitUntil(t, "rows of the new target", func() bool { return len(exchangesSoFar(output, pid)) >= 10 })
		if err := load.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		truth = wait()
	})
	r := readRecording(t, result)
	versions := all[format.Config](t, r.capture)
	if len(versions) != 2 || versions[1].Error != "" {
		t.Fatalf("versions of the configuration: %+v", versions)
	}
	pid, client := truth.Services[0].PID, truth.Edges[0].PID
	recorded := int64(0)
	for _, e := range r.exchanges {
		if e.PID == client || e.PID == pid && e.StartNs < versions[1].TsNs {
			t.Fatalf("row outside the targets: %+v", e)
		}
		if e.PID == pid {
			recorded++
		}
	}
	if recorded < 10 || recorded >= truth.Services[0].Requests {
		t.Errorf("%d of %d exchanges recorded, want those after the change", recorded, truth.Services[0].Requests)
	}
	processes := all[format.Process](t, r.capture)
	named := false
	for _, p := range processes {
		named = named || p.PID == pid && p.Service == "greeter" && p.ServiceSource == "rule"
	}
	if !named {
		t.Error("the rule did not rename the service")
	}
}

// exchangesSoFar reads what a running recording has written of one process.
func exchangesSoFar(output string, pid int32) (of []format.Exchange) {
	capture, err := format.Open(output + ".part")
	if err != nil {
		return nil // not so far yet
	}
	defer capture.Close()
	rows, err := format.All[format.Exchange](capture)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(rows, func(e format.Exchange) bool { return e.PID != pid })
}

// A version of the configuration that cannot be used is written down and
// marked, and the one before stays in force.
func TestBadConfigIsToldAndNotUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.kmon")
	writer, err := format.Create(path, format.Manifest{}, format.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	versions := make(chan provider.Version, 2)
	good := &provider.Config{}
	versions <- provider.Version{Number: 2, Path: "kmon.yaml", Text: "collectors: [tcp]", Config: good}
	versions <- provider.Version{Number: 3, Path: "kmon.yaml", Text: "nonsense: true", Err: errors.New("no such word")}
	r := &recorder{writer: writer, versions: versions}
	r.newConfig = make(chan *provider.Config, 2)
	if err := errors.Join(r.takeSightings(), writer.Close(format.Final{})); err != nil {
		t.Fatal(err)
	}
	if len(r.newConfig) != 1 || <-r.newConfig != good {
		t.Error("not only the good version is put in force")
	}
	capture := opened(t, path)
	rows, marks := all[format.Config](t, capture), all[format.Mark](t, capture)
	if len(rows) != 2 || rows[0].Error != "" || rows[1].Error != "no such word" || rows[1].Text != "nonsense: true" {
		t.Errorf("versions %+v", rows)
	}
	if len(marks) != 2 || marks[0].Text != "version 2 of kmon.yaml is in force" ||
		marks[1].Text != "version 3 of kmon.yaml is not used: no such word" {
		t.Errorf("marks %+v", marks)
	}
}

func TestCommandStatusIsTheResult(t *testing.T) {
	requireBPF(t)
	for _, test := range []struct {
		script string
		want   int
	}{{"exit 0", 0}, {"exit 7", 7}, {"kill -TERM $$", 143}} {
		o := Options{Output: filepath.Join(t.TempDir(), "x.kmon"), Command: []string{"sh", "-c", test.script}}
		result, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if result.ExitCode != test.want || result.StopReason != "command" {
			t.Errorf("%q: exit code %d, stopped by %s; want %d by command", test.script, result.ExitCode, result.StopReason, test.want)
		}
	}
}

func TestShortLivedProcessesAreNamed(t *testing.T) {
	requireBPF(t)
	brief := filepath.Join(t.TempDir(), "kmon-brief") // others may run true too
	if err := os.Symlink("/bin/true", brief); err != nil {
		t.Fatal(err)
	}
	o := Options{Output: filepath.Join(t.TempDir(), "x.kmon"), Command: []string{"sh", "-c", "for i in 1 2 3 4 5; do " + brief + "; done"}}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := readRecording(t, result)
	procs := all[format.Proc](t, r.capture)
	lives := map[int32]map[format.ProcEvent]format.Proc{}
	for _, p := range procs {
		if lives[p.PID] == nil {
			lives[p.PID] = map[format.ProcEvent]format.Proc{}
		}
		lives[p.PID][p.Event] = p
	}
	complete := 0
	for _, life := range lives {
		exec, exit := life[format.ProcExec], life[format.ProcExit]
		if exec.Exe == brief && exec.Cmdline == brief && exit.Comm == "kmon-brief" && exit.StartNs == exec.StartNs && exit.TsNs > exec.TsNs {
			complete++
		}
	}
	if complete != 5 {
		t.Errorf("%d complete lives of %s, want 5", complete, brief)
	}
}

// A recording that cannot begin leaves no file behind.
func TestNothingIsLeftOfAFailedStart(t *testing.T) {
	requireBPF(t)
	dir := t.TempDir()
	_, err := Run(t.Context(), Options{
		Output: filepath.Join(dir, "x.kmon"), Collectors: []string{"tcp"},
		DataRingBytes: 3, // which no kernel takes
	})
	if err == nil {
		t.Error("a ring of 3 bytes: got no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// A port changes hands: what its last owner left behind must not be taken for
// the next one's. Go's listeners are MPTCP's where the kernel has that.
func TestNextListenerOfAPortIsTheOwner(t *testing.T) {
	requireBPF(t)
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.Addr().(*net.TCPAddr).Port
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "truth.json")
	once := fmt.Sprintf("%s echo -requests 5 -port %d -truth %s", workloadBinary, port, path)
	result, err := Run(t.Context(), Options{Output: filepath.Join(dir, "port.kmon"), Collectors: []string{"tcp"},
		Command: []string{"sh", "-c", once + " && " + once}})
	if err != nil || result.ExitCode != 0 {
		t.Fatal(err, result.ExitCode)
	}
	last := readTruth[truth](t, path).Services[0].PID
	var owners []int32
	for _, row := range readRecording(t, result).sockets {
		if row.Role == format.RoleServer && row.LocalPort == int32(port) {
			owners = append(owners, row.PID)
		}
	}
	if len(owners) != 2 || owners[1] != last || owners[0] == last {
		t.Errorf("sockets of port %d belong to %d, the last listener is %d", port, owners, last)
	}
}

// long leaves a test of many seconds out of short runs, as those of the race
// detector: what it holds is not how goroutines share memory.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}
