package record

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// The tests of this file hold that a node is none the worse for a recorder: for
// a second one, one that is killed, and one after the other.

// Two recorders at once both count everything, and a mark reaches the one it was
// sent to. Each is a process like any other to the other, and none to itself.
func TestTwoRecordersAtOnce(t *testing.T) {
	requireBPF(t)
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "first.kmon"), filepath.Join(dir, "second.kmon")}
	first, endFirst := startRecorder(t, "all:"+paths[0])
	second, endSecond := startRecorder(t, "all:"+paths[1])
	pids := []int{first.Process.Pid, second.Process.Pid}

	_, wait := startLoad(t, "echo", "-connections", "4", "-requests", "4000")
	load := wait()
	for i, pid := range pids {
		marked, err := Mark(t.Context(), "for "+strconv.Itoa(i), pid)
		if err != nil || len(marked) != 1 || marked[0].Err != nil || marked[0].Path != paths[i] {
			t.Errorf("mark for recorder %d: %+v, %v", i, marked, err)
		}
	}
	endFirst()
	endSecond()
	for i, path := range paths {
		checkOneOfTwo(t, path, load, pids[i], pids[1-i], "for "+strconv.Itoa(i))
	}
}

func checkOneOfTwo(t *testing.T, path string, load truth, own, other int, mark string) {
	t.Helper()
	capture := opened(t, path)
	name := filepath.Base(path)
	checkLosses(t, Result{Losses: capture.Final.Losses}, "tcp", "proc")
	requests := map[int32]int64{}
	for _, e := range all[format.Exchange](t, capture) {
		if isRequest(e) {
			requests[e.PID]++
		}
		if int(e.PID) == own {
			t.Errorf("%s: an exchange of the recorder itself: %+v", name, e)
		}
	}
	for _, end := range slices.Concat(load.Services, load.Edges) {
		if requests[end.PID] != end.Requests {
			t.Errorf("%s: %d requests of process %d, want %d", name, requests[end.PID], end.PID, end.Requests)
		}
	}
	threads := map[int]bool{}
	for _, row := range all[format.Interval](t, capture) {
		threads[int(row.PID)] = true
	}
	if threads[own] || !threads[other] {
		t.Errorf("%s: it saw itself at work: %v, the other recorder: %v; want no and yes", name, threads[own], threads[other])
	}
	var marks []string
	for _, m := range all[format.Mark](t, capture) {
		if m.Kind == "user" {
			marks = append(marks, m.Text)
		}
	}
	if !slices.Equal(marks, []string{mark}) {
		t.Errorf("%s: marks are %q, want %q", name, marks, mark)
	}
}

// A recorder that is killed in full work leaves nothing in the kernel, and a file
// that can be read.
func TestKilledRecorderLeavesNothing(t *testing.T) {
	requireBPF(t)
	path := filepath.Join(t.TempDir(), "killed.kmon")
	load, _ := startLoad(t, "echo", "-connections", "8", "-requests", "100000000", "-limit", "2m")
	defer func() { _ = load.Wait() }() // it was killed
	defer load.Process.Kill()          //nolint:errcheck // as above
	recorder, _ := startRecorder(t, "all:"+path)
	part := path + ".part"
	waitUntil(t, "exchanges are in the file", func() bool {
		capture, err := format.Open(part)
		if err != nil {
			return false
		}
		defer capture.Close() //nolint:errcheck // only read
		return len(capture.Segments("exchanges")) > 0
	})
	objects := objectsOf(t, recorder.Process.Pid)
	if err := recorder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = recorder.Wait() // killed
	objects.waitUntilGone(t)
	if rows := all[format.Exchange](t, opened(t, part)); len(rows) == 0 {
		t.Error("no exchange in what is left of the file")
	}
}

// Starting and stopping again and again leaves nothing behind: KMON_STARTS says
// how often (make soak-starts: 500).
func TestStartsLeaveNothing(t *testing.T) {
	long(t)
	requireBPF(t)
	starts, _ := strconv.Atoi(os.Getenv("KMON_STARTS"))
	starts = cmp.Or(starts, 6)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	dir := t.TempDir()
	startAndStop(t, dir)      // the first opens what stays open, as the poller
	heapBefore := heapBytes() // and files of tests before are closed
	filesBefore, goroutinesBefore, mountsBefore := openFiles(t), runtime.NumGoroutine(), kernelMounts(t)
	began := time.Now()
	var made heldObjects
	for range starts {
		made.add(startAndStop(t, dir))
	}
	took := time.Since(began)
	made.waitUntilGone(t)
	waitUntil(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutinesBefore })
	heap := heapBytes() - heapBefore
	if heap > 8<<20 {
		t.Errorf("%d bytes more of memory are in use than before", heap)
	}
	if files := openFiles(t); !slices.Equal(files, filesBefore) {
		t.Errorf("open files before %q\nafter %q", filesBefore, files)
	}
	if mounts := kernelMounts(t); !slices.Equal(mounts, mountsBefore) {
		t.Errorf("mounts before %q\nafter %q", mountsBefore, mounts)
	}
	for _, d := range []string{dir, temporary} {
		if left, err := os.ReadDir(d); err != nil || len(left) > 0 {
			t.Errorf("files are left in %s: %v, %v", d, left, err)
		}
	}
	t.Logf("%d starts and stops in %v, %d programs, %d maps and %d links came and went, %d KiB more memory in use",
		starts, took.Round(time.Second), len(made.programs), len(made.maps), len(made.links), heap>>10)
}

// heapBytes is the memory in use.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// startAndStop records for a moment and removes the capture. It returns what the
// recording had in the kernel.
func startAndStop(t *testing.T, dir string) (objects heldObjects) {
	t.Helper()
	path := filepath.Join(dir, "x.kmon")
	whileRecording(t, everything(path), func() {
		objects = objectsOf(t, os.Getpid())
		if left := objects.left(); left.count() != objects.count() {
			t.Errorf("of %+v only %+v are there", objects, left)
		}
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return objects
}

// kernelMounts lists the mounts of file systems that tracing uses.
func kernelMounts(t *testing.T) (mounts []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		for _, kind := range []string{" - bpf ", " - tracefs ", " - debugfs "} {
			if strings.Contains(line, kind) {
				mounts = append(mounts, line)
			}
		}
	}
	return mounts
}

// Ending under full load is little work: less than a second of CPU, however long
// others make it wait.
func TestStopUnderFullLoad(t *testing.T) {
	requireBPF(t)
	load, _ := startLoad(t, "echo", "-connections", "16", "-requests", "100000000", "-limit", "2m")
	defer func() { _ = load.Wait() }() // it was killed
	defer load.Process.Kill()          //nolint:errcheck // as above
	o := everything(filepath.Join(t.TempDir(), "x.kmon"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	status := make(chan Status, 1)
	o.Status = status
	var began time.Time
	var before int64
	go func() {
		for s := range status {
			if s.Rows > 200_000 || s.Elapsed > time.Minute {
				began = time.Now()
				before, _ = usage()
				stop()
				return
			}
		}
	}()
	result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	cpu := time.Duration(result.CPUNs - before)
	t.Logf("the end of %v with %d rows took %v, and %v of CPU", time.Duration(result.DurationNs), rowsIn(result), time.Since(began), cpu)
	if cpu > time.Second {
		t.Errorf("ending took %v of CPU, want less than a second", cpu)
	}
}

func rowsIn(result Result) (n int64) {
	for rows := range maps.Values(result.Rows) {
		n += rows
	}
	return n
}
