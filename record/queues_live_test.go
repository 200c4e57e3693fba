package record

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// listenerMode makes the test binary a process with a listener in a network
// namespace of its own, and writes what the kernel counted there to the file
// that is its value. listenerKind says which one.
const (
	listenerMode = "KMON_RECORD_TEST_LISTENER"
	listenerKind = "KMON_RECORD_TEST_LISTENER_KIND"
)

// listenerTruth is what nstat and /proc/net/tcp say of that namespace.
type listenerTruth struct {
	PID              int32
	NetnsID          int64
	Port             int32
	Depth            int32 // while clients waited
	Overflows, Drops int64
}

const (
	listenBacklog = 1
	listenClients = 10
)

// beListener is the process of listenerMode.
func beListener() {
	runtime.LockOSThread() // namespaces are a thread's
	truth, err := listen(os.Getenv(listenerKind))
	if err == nil {
		var text []byte
		if text, err = json.Marshal(truth); err == nil {
			err = os.WriteFile(os.Getenv(listenerMode), text, 0o600)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// listen makes the namespace and the listener, connects clients that nobody
// accepts, and waits until they have asked more than once.
func listen(kind string) (truth listenerTruth, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return truth, fmt.Errorf("make a network namespace: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return truth, fmt.Errorf("ip link: %w: %s", err, out)
	}
	var stat unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &stat); err != nil {
		return truth, err
	}
	truth.PID, truth.NetnsID = int32(os.Getpid()), int64(stat.Ino)
	server, port, err := listener(kind)
	if err != nil {
		return truth, err
	}
	truth.Port = port
	clients := make([]int, listenClients)
	for i := range clients {
		if clients[i], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
			return truth, err
		}
		err = unix.Connect(clients[i], &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}})
		if err != nil && err != unix.EINPROGRESS {
			return truth, fmt.Errorf("connect: %w", err)
		}
	}
	time.Sleep(2500 * time.Millisecond) // a SYN is sent again after one second
	if truth.Depth, err = waiting(port); err != nil {
		return truth, err
	}
	for _, fd := range clients {
		_ = unix.Close(fd)
	}
	if truth.Overflows, truth.Drops, err = listenCounters(); err != nil {
		return truth, err
	}
	return truth, unix.Close(server)
}

// listener opens the listening socket.
func listener(kind string) (fd int, port int32, err error) {
	protocol := 0
	if kind == "mptcp" {
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocol)
	if err != nil {
		return 0, 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, fmt.Errorf("bind: %w", err)
	}
	if kind == "deferred" {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 10); err != nil {
			return 0, 0, fmt.Errorf("TCP_DEFER_ACCEPT: %w", err)
		}
	}
	backlog := listenBacklog
	if kind == "deferred" {
		backlog = 10 * listenClients // these wait for data before they wait to be accepted
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return 0, 0, fmt.Errorf("listen: %w", err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, int32(address.(*unix.SockaddrInet4).Port), nil
}

// waiting reads the depth of a listener's queue from /proc.
func waiting(port int32) (int32, error) {
	data, err := os.ReadFile("/proc/thread-self/net/tcp")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var at, local, remote, state, sent, queued uint32
		_, err := fmt.Sscanf(line, " %d: %8X:%4X %8X:", &at, &local, &remote, &state)
		if err != nil || remote != uint32(port) {
			continue
		}
		fields := strings.Fields(line)
		if fields[3] != "0A" {
			continue
		}
		_, err = fmt.Sscanf(fields[4], "%X:%X", &sent, &queued)
		return int32(queued), err
	}
	return 0, fmt.Errorf("no listener at port %d", port)
}

// listenCounters asks nstat.
func listenCounters() (overflows, drops int64, err error) {
	out, err := exec.Command("nstat", "-asz", "TcpExtListenOverflows", "TcpExtListenDrops").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("nstat: %w", err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "TcpExtListenOverflows":
			_, err = fmt.Sscan(fields[1], &overflows)
			found++
		case "TcpExtListenDrops":
			_, err = fmt.Sscan(fields[1], &drops)
			found++
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if found != 2 {
		return 0, 0, fmt.Errorf("nstat says %q", out)
	}
	return overflows, drops, nil
}

// recordListener records a listener of some kind from before it is there.
func recordListener(t *testing.T, kind string, o Options) (listenerTruth, []format.AcceptQueue) {
	t.Helper()
	requireBPF(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "truth.json")
	o.Output = filepath.Join(t.TempDir(), "queue.kmon")
	o.Command = []string{"env", listenerMode + "=" + file, listenerKind + "=" + kind, exe}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 || len(result.Losses) != 0 {
		t.Fatalf("the command ended with %d, losses %v", result.ExitCode, result.Losses)
	}
	var truth listenerTruth
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &truth)
	}
	if err != nil {
		t.Fatal(err)
	}
	capture, err := format.Open(result.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { capture.Close() })
	var rows []format.AcceptQueue
	for _, row := range all[format.AcceptQueue](t, capture) {
		if row.NetnsID == truth.NetnsID {
			rows = append(rows, row)
		}
	}
	return truth, rows
}

// A full queue has the depth that /proc tells, and turned away what nstat
// counts in that namespace.
func TestAcceptQueueEqualsTheKernelsCounters(t *testing.T) {
	for _, kind := range []string{"tcp", "mptcp"} {
		t.Run(kind, func(t *testing.T) {
			truth, rows := recordListener(t, kind, Options{})
			var overflows int64
			var deepest int32
			for _, row := range rows {
				if row.Addr != "127.0.0.1" || row.Port != truth.Port || row.PID != truth.PID || row.Limit != listenBacklog {
					t.Errorf("row %+v of listener %+v", row, truth)
				}
				overflows += row.Overflows
				deepest = max(deepest, row.Depth)
			}
			if truth.Depth < 1 || deepest != truth.Depth || len(rows) < 2 {
				t.Errorf("at most %d waited in %d rows, /proc says %d", deepest, len(rows), truth.Depth)
			}
			if truth.Overflows < listenClients || truth.Overflows != truth.Drops || overflows != truth.Drops {
				t.Errorf("%d were turned away, nstat counts %d overflows, %d drops", overflows, truth.Overflows, truth.Drops)
			}
		})
	}
}

// A listener that waits for data before it has a connection counts that in the
// socket's drops, and turns nobody away.
func TestDeferredConnectionsAreNotTurnedAway(t *testing.T) {
	truth, rows := recordListener(t, "deferred", Options{})
	if truth.Drops != 0 {
		t.Fatalf("nstat counts %d drops", truth.Drops)
	}
	for _, row := range rows {
		if row.Overflows != 0 {
			t.Errorf("row %+v", row)
		}
	}
}
