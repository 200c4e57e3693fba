package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// holderMode makes the test binary a process that holds connections.
const holderMode = "KMON_PROBE_TEST_HOLDER"

const (
	heldConnections    = 1000 // for as long as it runs
	passingConnections = 300  // others between them
	passingAtOnce      = 50   // of those are closed and replaced for each line it reads
)

// holdConnections prints the ports of the lasting connections and of the others.
func holdConnections() error {
	held, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	passing, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var pairs [][2]net.Conn // that pass
	all := make([][2]net.Conn, 0, heldConnections)
	for i := range heldConnections {
		pair, err := connect(held)
		if err != nil {
			return err
		}
		all = append(all, pair)
		if i < passingConnections {
			if pair, err = connect(passing); err != nil {
				return err
			}
			pairs = append(pairs, pair)
		}
	}
	fmt.Println(portOf(held), portOf(passing))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for _, pair := range pairs[:passingAtOnce] {
			if err := errors.Join(pair[0].Close(), pair[1].Close()); err != nil {
				return err
			}
		}
		pairs = pairs[passingAtOnce:]
		for range passingAtOnce {
			pair, err := connect(passing)
			if err != nil {
				return err
			}
			pairs = append(pairs, pair)
		}
		fmt.Println("others")
	}
	for _, pair := range all { // which the collector must not have closed
		if err := errors.Join(pair[0].Close(), pair[1].Close()); err != nil {
			return err
		}
	}
	return nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func connect(l net.Listener) (pair [2]net.Conn, err error) {
	if pair[0], err = net.Dial("tcp4", l.Addr().String()); err != nil {
		return pair, err
	}
	if pair[1], err = l.Accept(); err != nil {
		return pair, err
	}
	return pair, pair[0].(*net.TCPConn).SetLinger(0) // its port is free at once
}

func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal("recording needs root; the gate must run as root")
	default:
		t.Skip("recording needs root")
	}
}

// holder is that process.
type holder struct {
	held, passing uint16
	lines         *bufio.Scanner
	leash         io.WriteCloser
}

func startHolder(t *testing.T) *holder {
	t.Helper()
	_, leash, out := startSelf(t, holderMode)
	h := &holder{lines: bufio.NewScanner(out), leash: leash}
	if !h.lines.Scan() {
		t.Fatal("no connections")
	}
	if _, err := fmt.Sscan(h.lines.Text(), &h.held, &h.passing); err != nil {
		t.Fatal(err)
	}
	return h
}

// replace has some of the passing connections closed and others opened.
func (h *holder) replace(t *testing.T) {
	t.Helper()
	if _, err := fmt.Fprintln(h.leash); err != nil {
		t.Fatal(err)
	}
	if !h.lines.Scan() {
		t.Fatal("the connections are gone")
	}
}

// startOn starts a session that records the sockets of some ports, with their
// state in this place and a small control ring.
func startOn(t *testing.T, at place, ports ...uint16) *Session {
	t.Helper()
	facts, err := ReadFacts(true)
	if err != nil {
		t.Fatal(err)
	}
	request := Request{Collectors: []string{"tcp"}} // others start processes all the time
	if at == byAddress {
		facts.Kprobe, request.Force = Available, map[string]string{"send": "kprobe:release_sock"}
	}
	plan, err := NewPlan(facts, request)
	if err != nil {
		t.Fatal(err)
	}
	if plan.place != at {
		t.Skipf("this kernel keeps states in place %d", plan.place)
	}
	// Nothing is sent here, and not every kernel has kprobes.
	plan.hooks = slices.DeleteFunc(plan.hooks, func(h hook) bool { return h.kind == kindKprobe })
	slices.Sort(ports)
	s, err := Load(plan, Options{DataRingBytes: 64 << 10, ControlRingBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Begin(Targets{Ports: ports}); err != nil {
		t.Fatal(err)
	}
	return s
}

// sockets takes the rows of sockets out of the control ring.
func sockets(s *Session, take func(format.Socket)) {
	var d Decoder
	for s.Control().Drain(256, func(record []byte) {
		if row, ok := d.Control(record).(format.Socket); ok {
			take(row)
		}
	}) > 0 {
	}
}

// A list has each socket that is open all the while once, whatever comes and goes
// between its steps, and however small the ring is.
func TestListHasEachSocketOnce(t *testing.T) {
	requireRoot(t)
	for name, at := range map[string]place{"in storage": inStorage, "by address": byAddress} {
		t.Run(name, func(t *testing.T) {
			h := startHolder(t)
			s := startOn(t, at, h.held, h.passing)
			told := 0
			if err := s.ListExisting(func() error { sockets(s, func(format.Socket) { told++ }); return nil }); err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(false); err != nil {
				t.Fatal(err)
			}
			if want := 2 * (heldConnections + passingConnections); told != want {
				t.Errorf("%d sockets are told of at the start, want %d", told, want)
			}
			for range 3 {
				checkList(t, s, h)
			}
			lost, err := s.Losses()
			if err != nil || slices.ContainsFunc(lost, func(l Lost) bool { return l.Table == "sockets" }) {
				t.Errorf("lost %+v, %v", lost, err)
			}
		})
	}
}

func checkList(t *testing.T, s *Session, h *holder) {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListSockets(now.Nano())
	if err != nil {
		t.Fatal(err)
	}
	times, held, steps := map[int64]int{}, 0, 0
	for ; err == nil; steps++ {
		err = list.Next()
		sockets(s, func(row format.Socket) {
			if row.Event != format.SocketExisting || row.TsNs != now.Nano() {
				return // of those that come and go
			}
			if times[row.SocketID]++; times[row.SocketID] == 2 {
				t.Errorf("twice in the list: %+v", row)
			}
			if port := int32(h.held); row.LocalPort == port || row.RemotePort == port {
				held++
			}
		})
		h.replace(t)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if held != 2*heldConnections || steps < 4 {
		t.Errorf("%d sockets in %d steps, want %d, and some more steps", held, steps, 2*heldConnections)
	}
}
