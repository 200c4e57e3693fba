package record

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmon/format"
)

// signalTo sends a signal to processes.
func signalTo(t *testing.T, signal syscall.Signal, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatalf("%v to %d: %v", signal, pid, err)
		}
	}
}

// requestsOf counts the requests of each process at either end.
func requestsOf(exchanges []format.Exchange) map[int32]int64 {
	requests := map[int32]int64{}
	for _, e := range exchanges {
		if isRequest(e) {
			requests[e.PID]++
		}
	}
	return requests
}

// A recorder that is stopped for a while, longer than the rings last, counts
// what it lost and goes on. KMON_STOPPED says for how long.
func TestStoppedRecorder(t *testing.T) {
	long(t)
	requireBPF(t)
	stopped, _ := time.ParseDuration(os.Getenv("KMON_STOPPED"))
	stopped = cmp.Or(stopped, stoppedNs+time.Second)
	path := filepath.Join(t.TempDir(), "stopped.kmon")
	recorder, end := startRecorder(t, path)
	pid := recorder.Process.Pid

	signalTo(t, syscall.SIGSTOP, pid)
	began := time.Now()
	_, wait := startLoad(t, "echo", "-connections", "8", "-requests", "150000")
	during := wait()
	time.Sleep(stopped - time.Since(began))
	signalTo(t, syscall.SIGCONT, pid)
	if marked, err := Mark(t.Context(), "it goes on", pid); err != nil || len(marked) != 1 || marked[0].Err != nil {
		t.Errorf("a mark after the stop: %+v, %v", marked, err)
	}
	time.Sleep(time.Second) // in which it empties the rings
	_, wait = startLoad(t, "echo", "-connections", "2", "-requests", "1000")
	after := wait()
	end()

	capture := opened(t, path)
	exchanges := all[format.Exchange](t, capture)
	requests, lost := requestsOf(exchanges), lostRows(t, capture, format.LossRingFull)["exchanges"]
	var got, want int64
	for _, side := range append(during.Services, during.Edges...) {
		got, want = got+requests[side.PID], want+side.Requests
	}
	// Others on this machine lose, too.
	if got == 0 || got > want || lost == 0 || got+lost < want {
		t.Errorf("while it was stopped: %d requests and %d lost, of %d", got, lost, want)
	}
	for _, side := range append(after.Services, after.Edges...) {
		if requests[side.PID] != side.Requests {
			t.Errorf("afterwards: %d requests of process %d, want %d", requests[side.PID], side.PID, side.Requests)
		}
	}
	var kinds []string
	for _, m := range all[format.Mark](t, capture) {
		kinds = append(kinds, m.Kind)
	}
	if text := fmt.Sprint(kinds); !strings.Contains(text, "stopped") || !strings.Contains(text, "loss") {
		t.Errorf("marks are %v, want stopped and loss among them", kinds)
	}
}

// childrenOf lists the processes that a process has started.
func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // each thread has its own
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, child)
		}
	}
	return pids
}

// Processes that are stopped in the midst of a request answer late, and nothing
// else.
func TestStoppedProcesses(t *testing.T) {
	long(t)
	untilNoDoubt(t, checkStoppedProcesses)
}

func checkStoppedProcesses(t *testing.T, d *doubts) {
	const stopped = 2 * time.Second
	var load truth
	path := filepath.Join(t.TempDir(), "x.kmon")
	whileRecording(t, Options{Output: path, Collectors: []string{"tcp", "proc"}}, func() {
		cmd, wait := startLoad(t, "echo", "-requests", "300", "-pause", "1ms", "-sleep", "5ms")
		waitUntil(t, "server and client run", func() bool { return len(childrenOf(t, cmd.Process.Pid)) == 2 })
		time.Sleep(200 * time.Millisecond)
		pids := childrenOf(t, cmd.Process.Pid)
		signalTo(t, syscall.SIGSTOP, pids...)
		time.Sleep(stopped)
		signalTo(t, syscall.SIGCONT, pids...)
		load = wait()
	})
	exchanges := all[format.Exchange](t, opened(t, path))
	requests, late := requestsOf(exchanges), map[int32]int{}
	for _, e := range exchanges {
		if e.UploadNs+e.ServerNs+e.DownloadNs >= stopped.Nanoseconds()*9/10 {
			late[e.PID]++
		}
	}
	for _, side := range append(load.Services, load.Edges...) {
		if requests[side.PID] != side.Requests {
			t.Errorf("process %d: %d requests, want %d", side.PID, requests[side.PID], side.Requests)
		}
		if late[side.PID] > 1 { // or the computer stood still, too
			d.Errorf("process %d: %d late requests, want at most one", side.PID, late[side.PID])
		}
	}
}
