package record

import (
	"bufio"
	"encoding/json"
	"errors"
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
	BeganNs          int64 // before the namespace was: its number may have been another's
	Port             int32
	Depth            int32 // while clients waited
	Overflows, Drops int64 // of a listener with earlier clients: since then
}

const (
	listenBacklog = 1
	listenClients = 10
	// askAgain is more than the second after which a SYN is sent again.
	askAgain = 1300 * time.Millisecond
)

// beListener is the process of listenerMode.
func beListener() {
	runtime.LockOSThread() // namespaces are a thread's
	truth, err := listen(os.Getenv(listenerKind))
	if err == nil {
		err = writeTruth(os.Getenv(listenerMode), truth)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeTruth(path string, truth any) error {
	text, err := json.Marshal(truth)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func readTruth[T any](t *testing.T, path string) (truth T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &truth)
	}
	if err != nil {
		t.Fatal(err)
	}
	return truth
}

// listen makes the namespace and the listener, and connects clients that
// nobody accepts until they have asked more than once. Of kind "earlier" some
// have come before, and the others do once a line can be read.
func listen(kind string) (truth listenerTruth, err error) {
	truth.BeganNs = clockNs(unix.CLOCK_MONOTONIC)
	if truth.NetnsID, err = newNamespace(); err != nil {
		return truth, err
	}
	truth.PID = int32(os.Getpid())
	server, port, err := listener(kind)
	if err != nil {
		return truth, err
	}
	truth.Port = port
	if strings.HasPrefix(kind, "earlier") {
		if err := connect(port, askAgain); err != nil {
			return truth, err
		}
		if truth.Overflows, truth.Drops, err = listenCounters(); err != nil {
			return truth, err
		}
		fmt.Println("ready")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return truth, err
		}
	}
	if err := connect(port, 2*askAgain); err != nil {
		return truth, err
	}
	if truth.Depth, err = waiting(port); err != nil {
		return truth, err
	}
	overflows, drops, err := listenCounters()
	truth.Overflows, truth.Drops = overflows-truth.Overflows, drops-truth.Drops
	return truth, errors.Join(err, unix.Close(server))
}

// newNamespace gives this thread a network namespace of its own.
func newNamespace() (inode int64, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("make a network namespace: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("ip link: %w: %s", err, out)
	}
	var stat unix.Stat_t
	err = unix.Stat("/proc/thread-self/ns/net", &stat)
	return int64(stat.Ino), err
}

// connect connects clients, and lets those go that are not connected by then:
// they would go on asking.
func connect(port int32, wait time.Duration) error {
	clients := make([]int, listenClients)
	for i := range clients {
		var err error
		if clients[i], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		err = unix.Connect(clients[i], &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}})
		if err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect: %w", err)
		}
	}
	time.Sleep(wait)
	for _, fd := range clients {
		_ = unix.Close(fd) // also what is not connected
	}
	return nil
}

// listener opens the listening socket.
func listener(kind string) (fd int, port int32, err error) {
	protocol := 0
	if strings.HasSuffix(kind, "mptcp") {
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

// recordListener records a listener of some kind, which is the target if its
// kind is "earlier target", and gives the rows of its namespace.
func recordListener(t *testing.T, kind string, o Options) (listenerTruth, []format.AcceptQueue) {
	t.Helper()
	requireBPF(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "truth.json")
	environment := []string{listenerMode + "=" + file, listenerKind + "=" + kind}
	o.Output, o.Collectors = filepath.Join(t.TempDir(), "queue.kmon"), []string{"drop"}
	o.Command = append(append([]string{"env"}, environment...), exe)
	if strings.HasPrefix(kind, "earlier") {
		pid := startEarlier(t, &o)
		if kind == "earlier target" {
			o.PIDs = []int32{pid}
		}
	}
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("the command ended with %d", result.ExitCode)
	}
	checkLosses(t, result, "tcp", "drop", "proc")
	truth := readTruth[listenerTruth](t, file)
	capture := opened(t, result.Path)
	var rows []format.AcceptQueue
	for _, row := range all[format.AcceptQueue](t, capture) {
		if row.NetnsID == truth.NetnsID && row.TsNs >= truth.BeganNs {
			rows = append(rows, row)
		}
	}
	return truth, rows
}

// startEarlier starts the listener, waits until it has had clients, and makes
// the command one that lets it go on and lasts as long as it does.
func startEarlier(t *testing.T, o *Options) (pid int32) {
	t.Helper()
	listener := exec.Command(o.Command[0], o.Command[1:]...)
	out, err := listener.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.OpenFile(gate, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	listener.Stdin = in
	listener.Stderr = os.Stderr
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = listener.Process.Kill() // if the recording has failed
		_ = listener.Wait()         // what went wrong is seen by what it did not write
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	o.Command = []string{"sh", "-c", fmt.Sprintf("echo > %s; while [ -e /proc/%d/exe ]; do sleep 0.1; done", gate, listener.Process.Pid)}
	return int32(listener.Process.Pid)
}

// A full queue has the depth that /proc tells, and turned away what nstat
// counts in that namespace.
func TestAcceptQueueEqualsTheKernelsCounters(t *testing.T) {
	long(t)
	without := map[string]string{"accept-queue": "iter:bpf_sk_storage_map/sk_drops"}
	for _, test := range []struct {
		name, kind string
		options    Options
	}{
		{"tcp", "tcp", Options{}}, {"mptcp", "mptcp", Options{}},
		{"earlier tcp", "earlier tcp", Options{}}, {"earlier mptcp", "earlier mptcp", Options{}},
		{"target", "earlier target", Options{}},
		{"without the namespace's counter", "tcp", Options{Variants: without}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // they wait, each in a namespace of its own
			untilNoDoubt(t, func(t *testing.T, d *doubts) { checkQueue(t, d, test.kind, test.options) })
		})
	}
}

func checkQueue(t *testing.T, d *doubts, kind string, o Options) {
	truth, rows := recordListener(t, kind, o)
	var overflows int64
	var deepest int32
	for _, row := range rows {
		if row.Addr != "127.0.0.1" || row.Port != truth.Port || row.PID != truth.PID || row.Limit != listenBacklog {
			t.Errorf("row %+v of listener %+v", row, truth)
		}
		overflows += row.Overflows
		deepest = max(deepest, row.Depth)
	}
	if truth.Depth < 1 || deepest != truth.Depth {
		t.Errorf("at most %d waited, /proc says %d", deepest, truth.Depth)
	}
	if len(rows) < 2 { // one a second, unless the recorder got no CPU for so long
		d.Errorf("%d rows of clients that waited for %v", len(rows), 2*askAgain)
	}
	if truth.Overflows < listenClients || truth.Overflows != truth.Drops || overflows != truth.Drops {
		t.Errorf("%d were turned away, nstat counts %d overflows, %d drops", overflows, truth.Overflows, truth.Drops)
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

func TestAcceptQueuesOfOthersAreNotRecorded(t *testing.T) {
	if _, rows := recordListener(t, "tcp", Options{Ports: []uint16{1}}); len(rows) > 0 {
		t.Errorf("rows of a listener at another port: %+v", rows)
	}
}
