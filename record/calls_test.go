package record

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// callerMode makes the test binary a process that calls known calls, and
// writes their numbers to the file that is its value.
const callerMode = "KMON_RECORD_TEST_CALLER"

// callerTruth is what that process knows of itself.
type callerTruth struct {
	PID                      int32
	Getppid, BadClose, Polls int64
	PollNs, MaxPollNs        int64
}

// pollTime is how long each poll waits.
const pollTime = 20 * time.Millisecond

// makeCalls calls what the Go runtime does not: getppid, poll, and close of
// what is not open.
func makeCalls() {
	runtime.LockOSThread()
	truth := callerTruth{PID: int32(os.Getpid()), Getppid: 12345, BadClose: 777, Polls: 40}
	for range truth.Getppid {
		unix.Getppid()
	}
	for range truth.BadClose {
		_ = unix.Close(-1)
	}
	for range truth.Polls {
		began := time.Now()
		if _, err := unix.Poll(nil, int(pollTime.Milliseconds())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		took := time.Since(began).Nanoseconds()
		truth.PollNs += took
		truth.MaxPollNs = max(truth.MaxPollNs, took)
	}
	text, err := json.Marshal(truth)
	if err == nil {
		err = os.WriteFile(os.Getenv(callerMode), text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// recordCalls records a command and returns what process pid called, by name.
func recordCalls(t *testing.T, o Options, command ...string) ([]format.Syscall, *format.Capture) {
	t.Helper()
	requireBPF(t)
	o.Output = filepath.Join(t.TempDir(), "calls.kmon")
	o.Command = command
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("the command ended with %d", result.ExitCode)
	}
	checkLosses(t, result, callsCollector)
	capture := opened(t, result.Path)
	rows := all[format.Syscall](t, capture)
	for _, r := range rows {
		if r.PID == int32(os.Getpid()) {
			t.Errorf("the recorder itself is counted: %+v", r)
		}
	}
	return rows, capture
}

// called adds up the rows of one process.
func called(rows []format.Syscall, pid int32) map[string]format.Syscall {
	sums := map[string]format.Syscall{}
	for _, r := range rows {
		if r.PID == pid {
			sum := sums[r.Name]
			sum.Count, sum.Errors, sum.TotalNs, sum.MaxNs = sum.Count+r.Count, sum.Errors+r.Errors, sum.TotalNs+r.TotalNs, max(sum.MaxNs, r.MaxNs)
			sums[r.Name] = sum
		}
	}
	return sums
}

// caller is the command line of the process that makes known calls, and where
// its truth will be.
func caller(t *testing.T) (command []string, truth func() callerTruth) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "truth.json")
	read := func() callerTruth {
		t.Helper()
		var c callerTruth
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// The runtime's signals to threads that run for long would end a poll.
	return []string{"env", callerMode + "=" + file, "GODEBUG=asyncpreemptoff=1", exe}, read
}

func TestCallsAreCountedExactly(t *testing.T) {
	command, truth := caller(t)
	rows, capture := recordCalls(t, Options{Syscalls: []string{"getppid", "close", "ppoll"}, SyscallLatency: true, Interval: time.Second}, command...)
	want := truth()
	got := called(rows, want.PID)
	if got["getppid"].Count != want.Getppid || got["getppid"].Errors != 0 {
		t.Errorf("getppid: got %+v, want %d", got["getppid"], want.Getppid)
	}
	if got["close"].Errors != want.BadClose {
		t.Errorf("close: got %+v, want %d errors", got["close"], want.BadClose)
	}
	poll := got["ppoll"]
	least := pollTime.Nanoseconds()
	if poll.Count != want.Polls || poll.TotalNs < least*want.Polls || poll.TotalNs > want.PollNs ||
		poll.MaxNs < least || poll.MaxNs > want.MaxPollNs {
		t.Errorf("ppoll: got %+v, want %d calls that waited for %v each, in %d ns, the longest %d",
			poll, want.Polls, pollTime, want.PollNs, want.MaxPollNs)
	}
	for name := range got {
		if name != "getppid" && name != "close" && name != "ppoll" {
			t.Errorf("%s was counted, and not asked for", name)
		}
	}
	for _, k := range capture.Manifest.Collectors {
		if k.Name == callsCollector && (k.Settings["calls"] != "close,getppid,ppoll" ||
			k.Settings["interval_ns"] != "1000000000" || k.Settings["latency"] != "yes") {
			t.Errorf("settings %v", k.Settings)
		}
	}
}

// What is counted without asking for times has none, and without asking for
// calls is not counted.
func TestCallsThatAreNotAskedFor(t *testing.T) {
	rows, _ := recordCalls(t, Options{Counts: []string{"getppid"}}, "true")
	for _, r := range rows {
		if r.Name != "getppid" || r.TotalNs != -1 || r.MaxNs != -1 {
			t.Errorf("row %+v", r)
		}
	}
	rows, capture := recordCalls(t, Options{}, "true")
	missing := ""
	for _, k := range capture.Manifest.Collectors {
		if k.Name == callsCollector {
			missing = k.Missing["calls"]
		}
	}
	if len(rows) > 0 || !strings.HasPrefix(missing, "not asked for") {
		t.Errorf("%d rows, and the manifest says %q", len(rows), missing)
	}
}

func TestTracepointsAreCounted(t *testing.T) {
	rows, _ := recordCalls(t, Options{Counts: []string{"sched:sched_process_exec"}}, "sh", "-c", "true; exec env true")
	var count int64
	for _, r := range rows {
		if r.Kind != format.CounterTracepoint || r.Name != "sched:sched_process_exec" || r.Errors != -1 {
			t.Errorf("row %+v", r)
		}
		count += r.Count
	}
	if count < 3 { // sh, env, true
		t.Errorf("%d execs counted, want at least 3", count)
	}
}

func TestCallsEqualStrace(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	file, pidFile := filepath.Join(t.TempDir(), "strace"), filepath.Join(t.TempDir(), "pid")
	rows, _ := recordCalls(t, Options{Syscalls: []string{"all"}}, "strace", "-c", "-o", file,
		"sh", "-c", `echo $$ >"$0"; exec dd if=/dev/zero of=/dev/null bs=1 count=3000 status=none`, pidFile)
	want := readStrace(t, file)
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int32
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	got := called(rows, pid)
	// Calls that strace's own process makes before it becomes sh: not these.
	for _, name := range []string{"read", "write", "openat", "lseek", "munmap", "mmap", "newfstatat", "getrandom"} {
		if n, ok := want[name]; ok && (got[name].Count != n[0] || got[name].Errors != n[1]) {
			t.Errorf("%s: got %d calls, %d errors; strace counts %v", name, got[name].Count, got[name].Errors, n)
		}
	}
	if want["read"][0] < 3000 {
		t.Errorf("strace counts %v", want)
	}
}

// readStrace reads the table of strace -c: name → calls, errors.
func readStrace(t *testing.T, file string) map[string][2]int64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][2]int64{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		n, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			continue
		}
		var errors int64
		if len(fields) == 6 {
			errors, _ = strconv.ParseInt(fields[4], 10, 64)
		}
		calls[fields[len(fields)-1]] = [2]int64{n, errors}
	}
	return calls
}

// program32 calls getpid (20) 1000 times with the numbers of 32-bit programs,
// among which 20 is what writev is among the others, and exits.
var program32 = []byte{
	0xb9, 0xe8, 0x03, 0x00, 0x00, // mov ecx, 1000
	0xb8, 0x14, 0x00, 0x00, 0x00, // again: mov eax, 20
	0xcd, 0x80, // int 0x80
	0x49,       // dec ecx
	0x75, 0xf6, // jnz again
	0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1
	0x31, 0xdb, // xor ebx, ebx
	0xcd, 0x80, // int 0x80
}

// elf32 wraps code in the least ELF file that a 386 kernel runs.
func elf32(code []byte) []byte {
	const base, header = 0x08048000, 52 + 32
	file := make([]byte, header, header+len(code))
	copy(file, "\x7fELF\x01\x01\x01")
	put16 := func(at, v int) { file[at], file[at+1] = byte(v), byte(v>>8) }
	put32 := func(at, v int) { put16(at, v); put16(at+2, v>>16) }
	put16(16, 2) // executable
	put16(18, 3) // 386
	put32(20, 1)
	put32(24, base+header) // entry
	put32(28, 52)          // program headers
	put16(40, 52)
	put16(42, 32)
	put16(44, 1)
	put32(52, 1) // load
	put32(60, base)
	put32(64, base)
	put32(68, header+len(code))
	put32(72, header+len(code))
	put32(76, 5) // read, execute
	put32(80, 0x1000)
	return append(file, code...)
}

func TestCallsOf32BitProgramsAreCountedApart(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is for 386")
	}
	exe := filepath.Join(t.TempDir(), "calls32")
	if err := os.WriteFile(exe, elf32(program32), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(exe).Run(); err != nil {
		t.Skip("this kernel runs no 32-bit programs: ", err)
	}
	rows, _ := recordCalls(t, Options{Syscalls: []string{"all"}}, exe)
	found := false
	for _, r := range rows {
		if r.Name != "32-bit" {
			continue
		}
		found = true
		calls := called(rows, r.PID)
		if n := calls["32-bit"].Count; n < 1000 || n > 1010 {
			t.Errorf("%d calls of pid %d, want 1000", n, r.PID)
		}
		if n := calls["writev"].Count; n != 0 {
			t.Errorf("%d calls of writev were counted that were getpid", n)
		}
	}
	if !found {
		t.Error("no 32-bit calls were counted")
	}
}
