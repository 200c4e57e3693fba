package provider

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// childMode makes the test binary a child that listens and waits.
const childMode = "KMON_PROVIDER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

func child() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
}

// startChild starts a listening child and returns its port and how to end it.
func startChild(t *testing.T) (pid int32, port int32, end func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "--role", "provider-child")
	cmd.Env = append(os.Environ(), childMode+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			in.Close()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	line, err := bufio.NewReader(out).ReadString('\n')
	n, err2 := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || err2 != nil {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return int32(cmd.Process.Pid), int32(n), end
}

// TestLive finds a child, its listener and its end in this machine's /proc.
func TestLive(t *testing.T) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	first := p.Snapshot(1)
	self := findProcess(first, int32(os.Getpid()))
	if self == nil || self.NetnsID == 0 || self.ParentPID != int32(os.Getppid()) || self.UID != int32(os.Geteuid()) {
		t.Fatalf("this process: %+v", self)
	}
	pid, port, end := startChild(t)
	s := p.Snapshot(2)
	row := findProcess(s, pid)
	if row == nil || row.ParentPID != int32(os.Getpid()) || !strings.HasSuffix(row.Cmdline, "--role provider-child") || row.NetnsID != self.NetnsID {
		t.Errorf("the child: %+v", row)
	} else if age := Clock().MonotonicNs - row.StartNs; age < 0 || age > int64(time.Minute) {
		t.Errorf("the child started %v ago", time.Duration(age))
	}
	listens := func(l format.Listener) bool {
		return l.Port == port && l.PID == pid && l.Addr == "127.0.0.1" && l.NetnsID == self.NetnsID
	}
	if !slices.ContainsFunc(s.Listeners, listens) {
		t.Errorf("the child's listener on port %d is missing: %+v", port, s.Listeners)
	}
	end()
	if s = p.Snapshot(3); p.processes[pid] != nil {
		t.Error("the child ended, but is remembered")
	}
	if !slices.ContainsFunc(first.Interfaces, func(i format.Interface) bool {
		return i.Name == "lo" && i.Addr == "127.0.0.1/8" && i.NetnsID == self.NetnsID
	}) {
		t.Errorf("lo is missing: %+v", first.Interfaces)
	}
}

func findProcess(s Snapshot, pid int32) *format.Process {
	for i, r := range s.Processes {
		if r.PID == pid {
			return &s.Processes[i]
		}
	}
	return nil
}

// TestLiveInterfaces compares the addresses read from files with those the
// kernel tells over netlink.
func TestLiveInterfaces(t *testing.T) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	rows := p.Snapshot(1).Interfaces
	own := p.files.namespace("proc/self", "net")
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if !slices.ContainsFunc(rows, func(r format.Interface) bool {
				return r.NetnsID == own && r.Name == i.Name && r.Addr == a.String() && r.MTU == int32(i.MTU) && r.Index == int32(i.Index)
			}) {
				t.Errorf("%s %s mtu %d is missing in %+v", i.Name, a, i.MTU, rows)
			}
		}
	}
}

func TestLiveHost(t *testing.T) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	h := p.Host()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	if want := unix.ByteSliceToString(u.Release[:]); h.Kernel != want {
		t.Errorf("kernel %q, want %q", h.Kernel, want)
	}
	if want := unix.ByteSliceToString(u.Nodename[:]); h.Name != want {
		t.Errorf("name %q, want %q", h.Name, want)
	}
	if h.CPUs < 1 || h.MemoryBytes < 1<<20 || h.BootID == "" || h.Arch != runtime.GOARCH || h.CgroupHierarchy == "" || h.ClockTicks != 100 {
		t.Errorf("got %+v", h)
	}
	var si unix.Sysinfo_t
	if err := unix.Sysinfo(&si); err != nil {
		t.Fatal(err)
	}
	if total := int64(si.Totalram) * int64(si.Unit); h.MemoryBytes != total {
		t.Errorf("memory %d, want %d", h.MemoryBytes, total)
	}
}

// TestClock: the pair is one moment on both clocks.
func TestClock(t *testing.T) {
	before, pair, after := time.Now().UnixNano(), Clock(), time.Now().UnixNano()
	if pair.RealtimeNs < before || pair.RealtimeNs > after {
		t.Errorf("realtime %d is not within %d and %d", pair.RealtimeNs, before, after)
	}
	again := Clock()
	drift := (again.RealtimeNs - again.MonotonicNs) - (pair.RealtimeNs - pair.MonotonicNs)
	if drift > int64(time.Millisecond) || drift < -int64(time.Millisecond) {
		t.Errorf("two pairs differ by %v", time.Duration(drift))
	}
}

// BenchmarkSnapshot scans this machine again and again; the figure that counts
// is that per process.
func BenchmarkSnapshot(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		processes := 0
		for b.Loop() {
			p, err := New(Options{Root: os.DirFS("/")})
			if err != nil {
				b.Fatal(err)
			}
			processes += p.Snapshot(1).Live
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(processes), "ns/process")
	})
	b.Run("later", func(b *testing.B) {
		p, err := New(Options{Root: os.DirFS("/")})
		if err != nil {
			b.Fatal(err)
		}
		p.Snapshot(1)
		processes := 0
		for b.Loop() {
			processes += p.Snapshot(1).Live
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(processes), "ns/process")
	})
}

// BenchmarkExec takes fork and exec events of a process that lives and of one
// that is gone.
func BenchmarkExec(b *testing.B) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		b.Fatal(err)
	}
	p.Snapshot(1)
	self := p.processes[int32(os.Getpid())].row
	gone := format.Proc{Event: format.ProcFork, PID: 1 << 22, ParentPID: self.PID, StartNs: self.StartNs + 1_000_000_000, Comm: "x"}
	b.Run("fork", func(b *testing.B) {
		for b.Loop() {
			p.Exec(gone)
			p.Exit(gone.PID, gone.StartNs)
		}
	})
	b.Run("exec gone", func(b *testing.B) {
		gone.Event = format.ProcExec
		for b.Loop() {
			p.Exec(gone)
			p.Exit(gone.PID, gone.StartNs)
		}
	})
	b.Run("exec alive", func(b *testing.B) {
		for b.Loop() {
			p.Exec(format.Proc{Event: format.ProcExec, PID: self.PID, ParentPID: self.ParentPID, StartNs: self.StartNs, Comm: self.Comm})
		}
	})
}
