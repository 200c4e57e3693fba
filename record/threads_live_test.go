package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// truthThread is a thread of the load "known", as it counted itself.
type truthThread struct {
	Name       string `json:"name"`
	TID        int32  `json:"tid"`
	Times      int64  `json:"times"`
	AskedNs    int64  `json:"asked_ns"`
	TookNs     int64  `json:"took_ns"`
	RunQueueNs int64  `json:"run_queue_ns"`
}

// knownRecording is a recording of the load "known", and what /proc said of its
// threads while they still were there.
type knownRecording struct {
	result  Result
	capture *format.Capture
	pid     int32
	threads map[string]truthThread
	proc    map[int32]format.Interval // by tid
	// stolenNs is what the host took of all CPUs meanwhile.
	stolenNs int64
}

// recordKnown records the whole load, in intervals of a second. The load is
// still there when the recording ends, and does nothing any more. It is started
// by command, or as it is.
func recordKnown(t *testing.T, d *doubts, o Options, command ...string) knownRecording {
	t.Helper()
	requireBPF(t)
	path := filepath.Join(t.TempDir(), "truth.json")
	if len(command) == 0 {
		command = []string{workloadBinary, "known"}
	}
	load := exec.Command(command[0], append(command[1:], "-hold", "5m", "-truth", path)...)
	load.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1") // its signals would end waits
	load.Stderr = os.Stderr
	r := knownRecording{threads: map[string]truthThread{}, stolenNs: -stolenNs(t)}
	o.Interval = time.Second
	result := whileRecording(t, o, func() {
		if err := load.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = load.Process.Kill()
			_ = load.Wait() // killed, which is no failure
		})
		r.pid = int32(load.Process.Pid)
		r.readTruth(t, path)
		waitUntil(t, "threads that stand still", func() bool {
			before := r.readProc(t)
			time.Sleep(50 * time.Millisecond)
			asleep := r.asleep(t) // else it may be one that gets no CPU
			r.proc = r.readProc(t)
			return asleep && maps.Equal(before, r.proc)
		})
	})
	r.stolenNs += stolenNs(t)
	if after := r.readProc(t); !maps.Equal(after, r.proc) {
		t.Errorf("the threads went on: %+v, then %+v", r.proc, after)
	}
	checkLosses(d, result, "cpu")
	r.result, r.capture = result, opened(t, result.Path)
	return r
}

// readTruth waits until the load has written what it did.
func (r knownRecording) readTruth(t *testing.T, path string) {
	t.Helper()
	var truth struct{ Threads []truthThread }
	waitUntil(t, "truth of the load", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && json.Unmarshal(data, &truth) == nil
	})
	for _, thread := range truth.Threads {
		r.threads[thread.Name] = thread
	}
}

// readProc reads what /proc tells of all threads of the load that it knows.
func (r knownRecording) readProc(t *testing.T) map[int32]format.Interval {
	t.Helper()
	accounts := map[int32]format.Interval{}
	for _, thread := range r.threads {
		accounts[thread.TID] = readAccounts(t, r.pid, thread.TID)
	}
	return accounts
}

// asleep tells whether all threads of the load sleep.
func (r knownRecording) asleep(t *testing.T) bool {
	t.Helper()
	for _, thread := range r.threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", r.pid, thread.TID))
		if err != nil {
			t.Fatal(err)
		}
		if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "S") {
			return false
		}
	}
	return true
}

// readAccounts reads what /proc tells of one thread.
func readAccounts(t *testing.T, pid, tid int32) format.Interval {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/task/%d/", pid, tid)
	var row format.Interval
	data, err := os.ReadFile(dir + "schedstat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(data), &row.OnCPUNs, &row.RunQueueNs, &row.Timeslices); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(dir + "status"); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		switch name {
		case "voluntary_ctxt_switches":
			row.Voluntary = n
		case "nonvoluntary_ctxt_switches":
			row.Involuntary = n
		}
	}
	return row
}

// near fails unless got is within 2% of want.
func near(t complained, what string, got, want int64) {
	t.Helper()
	if math.Abs(float64(got-want)) > 0.02*float64(want) {
		t.Errorf("%s: got %d, want %d within 2%%", what, got, want)
	}
}

// sumByThread adds rows up by tid.
func sumByThread(rows []format.Interval) map[int32]format.Interval {
	sums := map[int32]format.Interval{}
	for _, row := range rows {
		sum := sums[row.TID]
		sum.OnCPUNs += row.OnCPUNs
		sum.RunQueueNs += row.RunQueueNs
		sum.Timeslices += row.Timeslices
		sum.Voluntary += row.Voluntary
		sum.Involuntary += row.Involuntary
		sums[row.TID] = sum
	}
	return sums
}

func TestThreadsEqualProc(t *testing.T) { untilNoDoubt(t, checkThreads) }

func checkThreads(t *testing.T, d *doubts) {
	r := recordKnown(t, d, Options{Collectors: []string{"cpu"}})
	intervals := map[int32]int{}
	sums := sumByThread(all[format.Interval](t, r.capture))
	for _, row := range all[format.Interval](t, r.capture) {
		if row.OnCPUNs < 0 || row.RunQueueNs < 0 || row.Voluntary < 0 || row.Involuntary < 0 || row.EndNs <= row.StartNs {
			t.Errorf("makes no sense: %+v", row)
		}
		if row.PID == int32(os.Getpid()) {
			t.Errorf("the recorder recorded itself: %+v", row)
		}
		if row.PID == r.pid {
			intervals[row.TID]++
		}
	}
	for name, thread := range r.threads {
		if got, want := sums[thread.TID], r.proc[thread.TID]; got != want || want.OnCPUNs == 0 {
			d.Errorf("%s: got %+v, /proc says %+v", name, got, want)
		}
	}
	spinner := r.threads["spinner"]
	near(d, "spinner's time on a CPU", sums[spinner.TID].OnCPUNs, spinner.TookNs)
	seconds := int((r.capture.Final.EndNs - r.capture.Manifest.Clock.MonotonicNs) / 1e9)
	if intervals[spinner.TID] < 1 || intervals[spinner.TID] > seconds+1 {
		t.Errorf("the spinner has %d rows, want one for each second of its life, of %d", intervals[spinner.TID], seconds)
	}
}

func TestWaitsAreKnown(t *testing.T) { untilNoDoubt(t, checkWaits) }

// doubts are differences that stand only if they come again: now and then a kernel
// passes over all programs for a moment, see probe/lostends.go.
type doubts []string

// untilNoDoubt checks up to five times.
func untilNoDoubt(t *testing.T, check func(*testing.T, *doubts)) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		var d doubts
		if check(t, &d); len(d) == 0 {
			return
		}
		if attempt == 5 || t.Failed() {
			t.Fatal(strings.Join(d, "\n"))
		}
		t.Logf("attempt %d: %s", attempt, strings.Join(d, "\n"))
	}
}

// Errorf notes one.
func (d *doubts) Errorf(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

// Helper does nothing.
func (d *doubts) Helper() {}

func checkWaits(t *testing.T, d *doubts) {
	r := recordKnown(t, d, Options{Collectors: []string{"cpu"}, UserStacks: true, OffCPUMin: -1})
	names := stackNames(t, r.capture)
	for _, test := range []struct {
		thread       string
		user, kernel string // functions on the stacks
	}{
		{"sleeper", "sleepKnown", "hrtimer_nanosleep"},
		{"waiter", "waitKnown", "futex_wait"},
	} {
		want := r.threads[test.thread]
		if want.Times == 0 {
			t.Fatalf("the %s did not wait", test.thread)
		}
		var asleep format.OffCPU
		var off int64 // asleep, or runnable and not running
		for _, row := range all[format.OffCPU](t, r.capture) {
			if row.PID != r.pid || !strings.Contains(names[row.UserStackID], test.user) || row.MaxNs > row.TotalNs {
				continue
			}
			off += row.TotalNs
			if row.State == format.StateSleep && strings.Contains(names[row.StackID], test.kernel) {
				asleep.Count += row.Count
				asleep.TotalNs += row.TotalNs
				asleep.MaxNs = max(asleep.MaxNs, row.MaxNs)
			}
		}
		if asleep.Count != want.Times {
			d.Errorf("%s: got %d waits, want %d", test.thread, asleep.Count, want.Times)
		}
		near(d, test.thread+" off the CPU", off, want.TookNs)
		if test.thread == "sleeper" {
			near(d, "asleep", asleep.TotalNs, want.TookNs-want.RunQueueNs)
		}
		least := want.AskedNs / want.Times * 9 / 10
		if test.thread == "waiter" { // late, it waits for less than the waker sleeps
			least = asleep.TotalNs / want.Times
		}
		if asleep.MaxNs < least || asleep.TotalNs > off {
			d.Errorf("%s: %+v of %d ns off the CPU", test.thread, asleep, off)
		}
	}
	var wakes int64
	for _, row := range all[format.Wake](t, r.capture) {
		if row.WakerTID == r.threads["waker"].TID && row.TID == r.threads["waiter"].TID {
			wakes += row.Count
		}
	}
	// Go's scheduler lets the waiter wait too, and any thread may end that.
	waiter := r.threads["waiter"]
	own := r.proc[waiter.TID].Voluntary - waiter.Times
	if want := r.threads["waker"].Times; wakes < want || wakes > want+own {
		d.Errorf("the waker woke the waiter %d times, want %d and at most %d more", wakes, want, own)
	}
}

// A disk that is slow because it is told to be: the reader waits for it in the
// state of disk waits, for as long as its own clock says.
func TestSlowFileIsADiskWait(t *testing.T) { untilNoDoubt(t, checkSlowFile) }

func checkSlowFile(t *testing.T, d *doubts) {
	requireBPF(t)
	dir := t.TempDir()
	group := throttleReads(t, dir, 8<<20)
	r := recordKnown(t, d, Options{Collectors: []string{"cpu"}, UserStacks: true, OffCPUMin: -1},
		"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, workloadBinary, "known", "-dir", dir)
	names := stackNames(t, r.capture)
	want := r.threads["reader"]
	var off, disk int64
	for _, row := range all[format.OffCPU](t, r.capture) {
		if row.PID != r.pid || !strings.Contains(names[row.UserStackID], "readKnown") {
			continue
		}
		off += row.TotalNs
		if row.State == format.StateDisk {
			disk += row.TotalNs
		}
	}
	near(d, "off the CPU", off, want.TookNs)
	near(d, "waiting for the disk", disk, want.TookNs-want.RunQueueNs)
	if asked := int64(900 * time.Millisecond); want.TookNs < asked { // 8 MiB at 8 MiB/s, and a burst
		d.Errorf("the reader waited %d ns only: the disk was not slow", want.TookNs)
	}
}

// throttleReads makes a control group whose processes read from the disk of dir
// at that rate, and returns its folder.
func throttleReads(t *testing.T, dir string, bytesPerSecond int) string {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		t.Fatal(err)
	}
	disk := fmt.Sprintf("%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))
	if whole, err := os.ReadFile("/sys/dev/block/" + disk + "/partition/../../dev"); err == nil {
		disk = strings.TrimSpace(string(whole))
	}
	group, file, limit := "/sys/fs/cgroup/blkio", "blkio.throttle.read_bps_device", fmt.Sprintf("%s %d", disk, bytesPerSecond)
	if _, err := os.Stat(group); err != nil { // version 2
		group, file, limit = "/sys/fs/cgroup", "io.max", fmt.Sprintf("%s rbps=%d", disk, bytesPerSecond)
		if err := os.WriteFile(group+"/cgroup.subtree_control", []byte("+io"), 0); err != nil {
			t.Fatal(err)
		}
	}
	group, err := os.MkdirTemp(group, "kmon-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the load has ended
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(group, file), []byte(limit), 0); err != nil {
		t.Fatalf("slow the disk %s of %s: %v", disk, dir, err)
	}
	return group
}

func TestSamplesShowWhoSpins(t *testing.T) { untilNoDoubt(t, checkSamples) }

func checkSamples(t *testing.T, d *doubts) {
	const hz = 199
	r := recordKnown(t, d, Options{Collectors: []string{"cpu"}, SampleHz: hz})
	names := stackNames(t, r.capture)
	samples, named := int64(0), int64(0)
	for _, row := range all[format.OnCPU](t, r.capture) {
		if row.TID != r.threads["spinner"].TID {
			continue
		}
		samples++
		if row.PID != r.pid {
			t.Fatalf("row %+v is not of process %d", row, r.pid)
		}
		if strings.Contains(names[row.UserStackID], "spinKnown") {
			named++
		}
	}
	want, stolen := r.threads["spinner"].TookNs*hz/1e9, r.stolenNs*hz/1e9
	// Samples are luck on a busy machine, and a clock that comes late leaves out
	// what it missed; that the rate is right is enough. The clock goes on while the
	// host has the CPU, and the thread's own does not.
	if samples < want*6/10 || samples > want*13/10+1+stolen {
		d.Errorf("got %d samples of the spinner, want about %d; the host took as many as %d", samples, want, stolen)
	}
	if named < samples*9/10 {
		d.Errorf("%d of %d samples name spinKnown", named, samples)
	}
}

// stackNames gives the functions of each stack, leaf first.
func stackNames(t *testing.T, c *format.Capture) map[int64]string {
	t.Helper()
	symbols := map[int64]string{}
	for _, f := range all[format.Frame](t, c) {
		symbols[f.FrameID] = f.Symbol
	}
	names := map[int64]string{}
	for _, s := range all[format.Stack](t, c) {
		names[s.StackID] += symbols[s.FrameID] + ";"
	}
	return names
}

// pidsScript starts what stays and three that do not, and writes who they were.
// It ends once the one that stays has been stopped for longer than the shortest
// wait that is told.
const pidsScript = `
sleep 40 & stays=$!
echo $stays >"$0"
for i in 1 2 3; do /bin/true & echo $! >>"$0"; wait $!; done
kill -STOP $stays
until grep -q '^State:.T' /proc/$stays/status; do sleep 0.01; done
sleep 0.1`

// A wait that has not ended is told at the end, and a process that lives less
// than an interval has its row.
func TestWaitingAndShortLived(t *testing.T) {
	requireBPF(t)
	pids := filepath.Join(t.TempDir(), "pids")
	o := Options{Output: filepath.Join(t.TempDir(), "x.kmon"), Collectors: []string{"cpu"}}
	o.Command = []string{"sh", "-c", pidsScript, pids}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stays, short := readPIDs(t, pids)
	capture := opened(t, result.Path)
	lives := map[int32]format.Interval{}
	for _, row := range all[format.Interval](t, capture) {
		life := lives[row.PID]
		life.Comm = row.Comm // the last: before it is that of the shell
		life.OnCPUNs += row.OnCPUNs
		life.Timeslices += row.Timeslices
		lives[row.PID] = life
	}
	for _, pid := range short {
		if life := lives[pid]; life.Comm != "true" || life.OnCPUNs <= 0 || life.Timeslices <= 0 {
			t.Errorf("of the short life of %d: %+v", pid, life)
		}
	}
	for _, row := range all[format.OffCPU](t, capture) {
		if row.PID == stays && row.Waiting == 1 {
			return
		}
	}
	t.Errorf("the wait of %d, which was left stopped, is not told", stays)
}

// readPIDs reads what pidsScript wrote, and ends the process that it left.
func readPIDs(t *testing.T, path string) (stays int32, short []int32) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &stays); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(int(stays), syscall.SIGKILL) })
	short = make([]int32, 3)
	if _, err := fmt.Sscan(string(text), new(int32), &short[0], &short[1], &short[2]); err != nil {
		t.Fatal(err)
	}
	return stays, short
}
