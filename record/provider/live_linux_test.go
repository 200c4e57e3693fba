package provider

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	l, err := net.Listen("tcp4", os.Getenv(childMode))
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
}

// startChild starts a child that listens on an address, in new namespaces if
// flags say so, and returns its port and how to end it.
func startChild(t *testing.T, addr string, flags uintptr) (pid int32, port int32, end func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "--role", "provider-child")
	cmd.Env = append(os.Environ(), childMode+"="+addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); flags != 0 && errors.Is(err, syscall.EPERM) {
		t.Skip("new namespaces need root: ", err)
	} else if err != nil {
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
	pid, port, end := startChild(t, "127.0.0.1:0", 0)
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

// TestLiveNamespace: a listener in another network namespace is found there,
// and that namespace's interface, without entering it.
func TestLiveNamespace(t *testing.T) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	pid, port, _ := startChild(t, ":0", syscall.CLONE_NEWNET|syscall.CLONE_NEWPID)
	s := p.Snapshot(1)
	self, row := findProcess(s, int32(os.Getpid())), findProcess(s, pid)
	if self == nil || row == nil || row.NetnsID == self.NetnsID || row.PidnsID == self.PidnsID || row.NetnsID == 0 {
		t.Fatalf("namespaces: %+v, the child %+v", self, row)
	}
	want := format.Listener{TsNs: 1, NetnsID: row.NetnsID, Addr: "0.0.0.0", Port: port, Protocol: 6, PID: pid}
	if !slices.Contains(s.Listeners, want) {
		t.Errorf("%+v is missing in %+v", want, s.Listeners)
	}
	if !slices.ContainsFunc(s.Interfaces, func(i format.Interface) bool { return i.NetnsID == row.NetnsID && i.Name == "lo" && i.Addr == "" }) {
		t.Errorf("lo, without an address for it is down, is missing in %+v", s.Interfaces)
	}
}

// TestLiveCgroup makes a cgroup with a child in it and selects it by its path
// and by the service in it.
func TestLiveCgroup(t *testing.T) {
	p, err := New(Options{Root: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	pid, _, end := startChild(t, "127.0.0.1:0", 0)
	name := fmt.Sprintf("/kmon-test-%d", pid)
	dir := "/" + p.hierarchy.dir(name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no cgroup can be made: ", err)
	}
	t.Cleanup(func() { end(); os.Remove(dir) })
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(int(pid))), 0o600); err != nil {
		t.Skip("no process can be moved: ", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	config, err := ParseConfig("c.yaml", []byte("rules: [{service: caged, match: {cgroup: '"+name+"'}}]"))
	if err != nil {
		t.Fatal(err)
	}
	p.SetConfig(config)
	for _, s := range []Selectors{{Cgroups: []string{name}}, {Cgroups: []string{dir}}, {Services: []string{"caged"}}} {
		p.selectors = s
		p.Snapshot(1)
		if got := p.Targets(); len(got.CgroupIDs) != 1 || got.CgroupIDs[0] != st.Ino || len(got.Unresolved) != 0 {
			t.Errorf("%+v: got %+v, want the inode %d", s, got, st.Ino)
		}
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

// cpuNs is the CPU time this process has used, user and system.
func cpuNs(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkSnapshot scans this machine again and again; the figure that counts
// is the CPU time per process.
func BenchmarkSnapshot(b *testing.B) {
	b.Run("first", func(b *testing.B) {
		processes, began := 0, cpuNs(b)
		for b.Loop() {
			p, err := New(Options{Root: os.DirFS("/")})
			if err != nil {
				b.Fatal(err)
			}
			processes += p.Snapshot(1).Live
		}
		b.ReportMetric(float64(cpuNs(b)-began)/float64(processes), "cpu-ns/process")
	})
	b.Run("later", func(b *testing.B) {
		p, err := New(Options{Root: os.DirFS("/")})
		if err != nil {
			b.Fatal(err)
		}
		p.Snapshot(1)
		processes, began := 0, cpuNs(b)
		for b.Loop() {
			processes += p.Snapshot(1).Live
		}
		b.ReportMetric(float64(cpuNs(b)-began)/float64(processes), "cpu-ns/process")
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
			tell(p, gone)
			p.Exit(gone.PID, gone.StartNs)
		}
	})
	b.Run("exec gone", func(b *testing.B) {
		gone.Event = format.ProcExec
		for b.Loop() {
			tell(p, gone)
			p.Exit(gone.PID, gone.StartNs)
		}
	})
	b.Run("exec alive", func(b *testing.B) {
		for b.Loop() {
			tell(p, format.Proc{Event: format.ProcExec, PID: self.PID, ParentPID: self.ParentPID, StartNs: self.StartNs, Comm: self.Comm})
		}
	})
}
