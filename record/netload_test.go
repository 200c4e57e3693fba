package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// netLoadMode makes the test binary a process that makes known network faults
// in the network namespace it is started in, an empty one. Its value is the
// load's name and, after a colon, the file to which it writes its truth.
const netLoadMode = "KMON_RECORD_TEST_NETLOAD"

// netTruth is what the load counted itself and what its namespace's counters,
// of which nobody else is a user, say.
type netTruth struct {
	NetnsID  int64
	Times    int64 // connections that had the fault
	Refused  int64 // connects that were answered by a reset
	Port     int32 // of the server
	Filtered int64 // packets that the packet filter dropped
	// Differences of the kernel's own counters, as nstat(8) names them.
	OutRsts, RetransSegs, RetransFail int64
}

var netLoads = map[string]func(*netTruth) error{
	"refused": refusedConnects, "plain": plainConnections, "aborted": abortedConnections, "lossy": lossyTransfer,
	"scan": scannedPorts,
}

// makeNetLoad runs the load that the environment names.
func makeNetLoad() {
	name, file, _ := strings.Cut(os.Getenv(netLoadMode), ":")
	if err := runNetLoad(netLoads[name], file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runNetLoad(load func(*netTruth) error, file string) error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		return err
	}
	truth := netTruth{NetnsID: int64(st.Ino)}
	if err := load(&truth); err != nil {
		return err
	}
	// The namespace is new: its counters began at 0.
	truth.OutRsts = netCounter("snmp", "Tcp", "OutRsts")
	truth.RetransSegs = netCounter("snmp", "Tcp", "RetransSegs")
	truth.RetransFail = netCounter("netstat", "TcpExt", "TCPRetransFail")
	text, err := json.Marshal(truth)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// netCounter reads a counter of this network namespace; -1: there is none.
func netCounter(file, group, name string) int64 {
	data, err := os.ReadFile("/proc/self/net/" + file)
	if err != nil {
		return -1
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, have := range names {
			if have == name && i < len(fields) {
				n, _ := strconv.ParseInt(fields[i], 10, 64)
				return n
			}
		}
	}
	return -1
}

// refusedPort is where nobody listens in an empty namespace.
const refusedPort = 7070

// refusedConnects connects to ports where nobody listens, by both versions of
// the protocol.
func refusedConnects(t *netTruth) error {
	t.Port = refusedPort
	for i := range 100 {
		host := [...]string{"127.0.0.1", "::1"}[i%2]
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(t.Port))))
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			t.Refused++
		case err == nil:
			conn.Close()
			return errors.New("somebody listens in an empty namespace")
		default:
			return err
		}
		t.Times++
	}
	return nil
}

// scannedPorts connects once to each of 20,000 ports where nobody listens.
func scannedPorts(t *netTruth) error {
	for port := range 20000 {
		_, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(1000+port)))
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("port %d: %w", 1000+port, err)
		}
		t.Times++
	}
	return nil
}

// serve accepts connections on the loopback and hands each to a goroutine.
func serve(t *netTruth, handle func(*net.TCPConn)) (net.Listener, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.Port = int32(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn.(*net.TCPConn))
		}
	}()
	return listener, nil
}

// plainConnections has 1000 connections with a request and an answer, closed in
// turn by the client, by the server, and by both at once.
func plainConnections(t *netTruth) error {
	listener, err := serve(t, func(conn *net.TCPConn) {
		defer conn.Close()
		kind := make([]byte, 1)
		if _, err := io.ReadFull(conn, kind); err != nil {
			return
		}
		_, _ = conn.Write(make([]byte, 1000)) // the client reads it or fails
		if kind[0] == 0 {
			_, _ = io.Copy(io.Discard, conn) // until the client closes
		}
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	for i := range 1000 {
		if err := plainConnection(listener.Addr().String(), byte(i%3)); err != nil {
			return err
		}
		t.Times++
	}
	return nil
}

func plainConnection(addr string, kind byte) error {
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{kind}); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		return err
	}
	if kind == 1 {
		_, err = io.Copy(io.Discard, conn) // until the server closes
	}
	return err
}

// abortedConnections has 200 connections that the client breaks off.
func abortedConnections(t *netTruth) error {
	ended := make(chan error)
	listener, err := serve(t, func(conn *net.TCPConn) {
		defer conn.Close()
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	for range 200 {
		conn, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			return err
		}
		if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil {
			return err
		}
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			return fmt.Errorf("the server ended with %v, not by a reset", err)
		}
		t.Times++
	}
	return nil
}

// lossyTransfer sends 8 MB over a loopback whose packet filter drops one in
// thirteen packets of data, and the first answer to a connect.
func lossyTransfer(t *netTruth) error {
	received := make(chan int64)
	listener, err := serve(t, func(conn *net.TCPConn) {
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn) // the count tells
		received <- n
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	rules := fmt.Sprintf(`table inet lossy { chain input { type filter hook input priority 0; policy accept;
		tcp dport %[1]d meta length > 1000 numgen inc mod 13 == 5 counter drop
		tcp sport %[1]d tcp flags & (syn | ack) == syn | ack numgen inc mod 4 == 0 counter drop
		}
	}
`, t.Port)
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules)
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		return err
	}
	const bytes = 8 << 20
	if _, err := conn.Write(make([]byte, bytes)); err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	if n := <-received; n != bytes {
		return fmt.Errorf("the server received %d bytes of %d", n, bytes)
	}
	t.Times = 1
	return filtered(t)
}

// filtered reads the packet filter's counters.
func filtered(t *netTruth) error {
	out, err := exec.Command("nft", "list", "ruleset").Output()
	if err != nil {
		return fmt.Errorf("nft list ruleset: %w", err)
	}
	fields := strings.Fields(string(out))
	for i, field := range fields {
		if field == "packets" && i+1 < len(fields) {
			n, err := strconv.ParseInt(fields[i+1], 10, 64)
			if err != nil {
				return err
			}
			t.Filtered += n
		}
	}
	return nil
}
