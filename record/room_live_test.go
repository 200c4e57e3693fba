package record

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// The tests of this file give tables less room than loads need, and hold that
// what was recorded and what was counted as lost are what there was.

// lostRows adds up what tables lost for want of room in the kernel's state.
func lostRows(t *testing.T, c *format.Capture, cause format.LossCause) map[string]int64 {
	t.Helper()
	lost := map[string]int64{}
	for _, l := range all[format.Loss](t, c) {
		if l.Cause == cause {
			lost[l.Table] += l.Count
		}
	}
	return lost
}

// recordStorm records loads that run one after the other in a network namespace
// of their own, and gives their truths.
func recordStorm(t *testing.T, o Options, loads ...string) (*format.Capture, []stormTruth) {
	t.Helper()
	requireBPF(t)
	dir := t.TempDir()
	o.Output = filepath.Join(dir, "storm.kmon")
	o.Command = stormCommand(dir, loads...)
	result, err := Run(t.Context(), o)
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%v; the loads ended with %d", err, result.ExitCode)
	}
	truths := make([]stormTruth, len(loads))
	for i := range truths {
		truths[i] = readStorm(t, dir, i)
	}
	return opened(t, result.Path), truths
}

// stormCommand runs loads one after the other in a network namespace of their
// own; their truths are files of dir.
func stormCommand(dir string, loads ...string) []string {
	script := "ip link set lo up"
	for i, load := range loads {
		script += fmt.Sprintf(" && %s %s -truth %s/%d.json", workloadBinary, load, dir, i)
	}
	return []string{"unshare", "--net", "sh", "-c", script}
}

func readStorm(t *testing.T, dir string, i int) (truth stormTruth) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	return truth
}

// stormTruth is the part of cmd/workload's truth that these tests compare.
type stormTruth struct {
	Processes []struct{ PID int32 }
	Edges     []struct{ Connections, Requests int64 }
	Refused   []struct{ Connects int64 }
	Spawned   int64
}

func (s stormTruth) pids() map[int32]bool {
	pids := map[int32]bool{}
	for _, p := range s.Processes {
		pids[p.PID] = true
	}
	return pids
}

// sockets is how many sockets the load opened: both ends of its connections.
func (s stormTruth) sockets() (n int64) {
	for _, e := range s.Edges {
		n += 2 * e.Connections
	}
	return n
}

// Others on this machine may take room and lose, too: losses are at least what
// the load's own would be.
func TestLossesOfFullTablesAreCounted(t *testing.T) {
	room := map[string]uint32{
		"sockets": 300, "net_events": 50, "waits": 4, "wakes": 4, "kernel_stacks": 8, "user_stacks": 8, "calls_even": 8, "calls_odd": 8,
	}
	o := everything("")
	o.room, o.OffCPUMin = room, -1
	capture, truths := recordStorm(t, o, "idle -connections 1000 -requests 1000", "scan -connects 3000")
	lost := lostRows(t, capture, format.LossStateFull)
	idle, scan := truths[0], truths[1]

	var opened, requests int64
	for _, row := range all[format.Socket](t, capture) {
		if row.Event == format.SocketOpen && row.PID == idle.Processes[0].PID {
			opened++
		}
	}
	for _, e := range all[format.Exchange](t, capture) {
		if e.PID == idle.Processes[0].PID && isRequest(e) {
			requests++
		}
	}
	if opened > int64(room["sockets"]) || opened+lost["sockets"] < idle.sockets() {
		t.Errorf("%d rows of sockets with room for %d, %d lost, of %d", opened, room["sockets"], lost["sockets"], idle.sockets())
	}
	// The row of a socket that is known may have found no room in the ring.
	told := opened + lostRows(t, capture, format.LossRingFull)["sockets"]
	if want := 2 * idle.Edges[0].Requests; requests > told || requests+lost["exchanges"] < want {
		t.Errorf("%d exchanges on %d sockets, %d lost, of %d", requests, told, lost["exchanges"], want)
	}
	var resets int64
	for _, row := range all[format.NetEvent](t, capture) {
		if row.Kind == format.NetResetSent {
			resets += row.Count
		}
	}
	refused := scan.Refused[0].Connects
	if resets >= refused || resets+lost["netevents"] < refused {
		t.Errorf("%d resets recorded, %d events lost, of %d refused", resets, lost["netevents"], refused)
	}
	for _, table := range []string{"offcpu", "wakes", "stacks", "syscalls"} {
		if lost[table] == 0 {
			t.Errorf("%s: nothing was lost with room for %v", table, room)
		}
	}
	intervals := map[int64]int{}
	for _, row := range all[format.OffCPU](t, capture) {
		intervals[row.StartNs]++
	}
	for start, rows := range intervals {
		if rows > int(room["waits"]) {
			t.Errorf("%d rows of waits in the interval at %d, with room for %d", rows, start, room["waits"])
		}
	}
}

// Every row of a socket is in the file, or counted where the ring had no room.
func TestLossesOfAFullRingAreCounted(t *testing.T) {
	o := Options{Collectors: []string{"tcp", "proc"}, room: map[string]uint32{"control_ring": 4096}}
	capture, truths := recordStorm(t, o, "idle -connections 2000 -requests 0", "spawn -processes 300 -at-once 8")
	lost := lostRows(t, capture, format.LossRingFull)
	idle, spawned := truths[0], truths[1].Spawned
	var opened, closed, ended int64
	for _, row := range all[format.Socket](t, capture) {
		switch {
		case row.PID != idle.Processes[0].PID:
		case row.Event == format.SocketOpen:
			opened++
		case row.Event == format.SocketClose:
			closed++
		}
	}
	if lost["sockets"] == 0 || opened+closed+lost["sockets"] < 2*idle.sockets() {
		t.Errorf("%d opened, %d closed, %d rows lost, of %d sockets", opened, closed, lost["sockets"], idle.sockets())
	}
	for _, row := range all[format.Proc](t, capture) {
		if row.Event == format.ProcExec && row.Exe == "/bin/true" {
			ended++
		}
	}
	if ended+lost["procs"] < spawned {
		t.Errorf("%d programs, %d rows of processes lost, of %d", ended, lost["procs"], spawned)
	}
}

// filesMode makes the test binary a process with many open files and children
// that inherit them. Its value is how many files there are to be.
const filesMode = "KMON_RECORD_TEST_FILES"

func openManyFiles() {
	if err := holdFiles(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func holdFiles() error {
	files, err := strconv.Atoi(os.Getenv(filesMode))
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	each := min(int(limit.Max)-100, files)
	for range each {
		if _, err := unix.Dup(0); err != nil { // without close-on-exec
			return err
		}
	}
	for range files / each {
		child := exec.Command("sleep", "600")
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := child.Start(); err != nil {
			return err
		}
		defer func() {
			_ = child.Process.Kill()
			_ = child.Wait() // killed
		}()
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin) // its end is the end
	return err
}

// A machine with more open files than the kernel walks over at once (a million)
// can be recorded.
func TestMillionOpenFiles(t *testing.T) {
	long(t)
	requireBPF(t)
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), filesMode+"=1050000")
	holder.Stderr = os.Stderr
	leash, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = leash.Close() // it may have failed
		if err := holder.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the files could not be opened: %v", err)
	}
	result := whileRecording(t, Options{}, func() {})
	checkLosses(t, result, "tcp", "proc")
}

// Each part of a recording tells of all sockets, also where there are more than
// the control ring holds.
func TestPartsOfManySockets(t *testing.T) {
	requireBPF(t)
	dir := t.TempDir()
	args := stormCommand(dir, "idle -connections 4000 -requests 0 -gate "+dir)
	load := exec.Command(args[0], args[1:]...)
	load.Stderr = os.Stderr
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, "opened"))
	output := filepath.Join(dir, "storm.kmon")
	o := Options{Collectors: []string{"tcp"}, Output: output, Rotate: Rotation{Every: MinRotateEvery}, room: map[string]uint32{"control_ring": 512 << 10}}
	result := whileRecording(t, o, func() {
		waitUntil(t, "two parts are complete", func() bool {
			parts, err := filepath.Glob(filepath.Join(dir, "storm-*.kmon"))
			return err == nil && len(parts) >= 2
		})
	})
	if err := os.WriteFile(filepath.Join(dir, "ask"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load.Wait(); err != nil {
		t.Fatal(err)
	}
	truth := readStorm(t, dir, 0)
	for i, c := range partsOf(t, result)[:2] {
		existing := countRows(t, c, func(s *format.Socket) bool {
			return s.PID == truth.Processes[0].PID && s.Event == format.SocketExisting
		})
		lost := lostRows(t, c, format.LossRingFull)["sockets"]
		if existing > truth.sockets() || existing+lost < truth.sockets() || existing < truth.sockets()/2 {
			t.Errorf("part %d tells of %d sockets and %d are lost, want %d", i+1, existing, lost, truth.sockets())
		}
	}
}
