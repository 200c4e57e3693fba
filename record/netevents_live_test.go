package record

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kmon/format"
)

// netFaults are the events of one network namespace, in which nobody but the
// load was.
type netFaults struct {
	truth   netTruth
	rows    []format.NetEvent
	stacks  map[int64]string
	sockets map[int64]format.Socket
}

// netLoad is the command line of a load of netload_test.go in a namespace of its
// own, and the file of its truth. The process stays the same to its end.
func netLoad(t *testing.T, name string) (command []string, truth string) {
	t.Helper()
	requireBPF(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	truth = filepath.Join(t.TempDir(), "truth.json")
	return []string{"env", netLoadMode + "=" + name + ":" + truth, "unshare", "--net", exe}, truth
}

// recordNetLoad records a load.
func recordNetLoad(t *testing.T, name string, o Options) netFaults {
	t.Helper()
	var file string
	o.Command, file = netLoad(t, name)
	o.Collectors = []string{"drop", "tcp"}
	r := runNetEvents(t, o)
	checkLosses(t, r.result, "tcp", "drop", "proc")
	return readNetLoad(t, r, file)
}

// runNetEvents records a command that must succeed.
func runNetEvents(t *testing.T, o Options) recording {
	t.Helper()
	o.Output = filepath.Join(t.TempDir(), "net.kmon")
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("the load ended with %d", result.ExitCode)
	}
	return readRecording(t, result)
}

// readNetLoad gives the events of the load with that truth.
func readNetLoad(t *testing.T, r recording, file string) netFaults {
	t.Helper()
	f := netFaults{sockets: r.byID, stacks: stackNames(t, r.capture)}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &f.truth); err != nil {
		t.Fatal(err)
	}
	for _, row := range all[format.NetEvent](t, r.capture) {
		if row.NetnsID == f.truth.NetnsID {
			f.rows = append(f.rows, row)
		}
	}
	return f
}

// count adds up rows of a kind, and of a reason unless that is "".
func (f netFaults) count(kind format.NetEventKind, reason string) (n int64) {
	for _, row := range f.rows {
		if row.Kind == kind && (reason == "" || row.Reason == reason) {
			n += row.Count
		}
	}
	return n
}

func (f netFaults) check(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d; truth %+v", what, got, want, f.truth)
	}
}

func TestRefusedConnectsAreCountedExactly(t *testing.T) {
	f := recordNetLoad(t, "refused", Options{})
	f.check(t, "connects refused", f.truth.Refused, f.truth.Times)
	f.check(t, "resets sent, by the kernel's counter", f.truth.OutRsts, f.truth.Times)
	f.check(t, "resets sent", f.count(format.NetResetSent, ""), f.truth.Times)
	f.check(t, "resets received", f.count(format.NetResetReceived, ""), f.truth.Times)
	f.check(t, "packets to no socket", f.count(format.NetDrop, "NO_SOCKET"), f.truth.Times)
	f.check(t, "drops", f.count(format.NetDrop, ""), f.truth.Times)
	byAddress := map[string]int64{}
	for _, row := range f.rows {
		local, remote := row.LocalPort, row.RemotePort // which is of all clients, 0
		if row.Kind == format.NetResetReceived {
			local, remote = remote, 0
			if s := f.sockets[row.SocketID]; s.RemotePort != f.truth.Port {
				t.Errorf("a reset was received on socket %d, which is %+v", row.SocketID, s)
			}
		}
		if local != f.truth.Port || remote != 0 || row.LocalAddr != row.RemoteAddr || row.Protocol != 6 || row.LastNs < row.TsNs {
			t.Errorf("makes no sense: %+v", row)
		}
		if row.Kind == format.NetDrop {
			byAddress[row.LocalAddr] += row.Count
			if stack := f.stacks[row.StackID]; !strings.Contains(stack, "_rcv") {
				t.Errorf("dropped at %q", stack)
			}
		}
	}
	if n := int64(len(f.rows)) - f.truth.Times; n > 12 { // in three seconds at most, of two kinds and two versions
		t.Errorf("%d rows of packets that are alike", n)
	}
	f.check(t, "of IPv4", byAddress["127.0.0.1"], f.truth.Times/2)
	f.check(t, "of IPv6", byAddress["::1"], f.truth.Times/2)
}

func TestPlainConnectionsDropNothing(t *testing.T) {
	var f netFaults
	for range 5 {
		f = recordNetLoad(t, "plain", Options{})
		if f.truth.RetransSegs+f.truth.OutRsts == 0 {
			break // else threads got no CPU for so long that segments were sent again
		}
		f.check(t, "segments sent again", f.count(format.NetRetransmit, ""), f.truth.RetransSegs)
		f.check(t, "resets sent", f.count(format.NetResetSent, ""), f.truth.OutRsts)
	}
	f.check(t, "connections", f.truth.Times, 1000)
	f.check(t, "faults of the load itself", f.truth.RetransSegs+f.truth.OutRsts, 0)
	for _, row := range f.rows {
		t.Errorf("%+v at %s", row, f.stacks[row.StackID])
	}
}

func TestAbortedConnectionsAreCountedExactly(t *testing.T) {
	f := recordNetLoad(t, "aborted", Options{})
	f.check(t, "resets sent, by the kernel's counter", f.truth.OutRsts, f.truth.Times)
	f.check(t, "resets sent", f.count(format.NetResetSent, ""), f.truth.Times)
	f.check(t, "resets received", f.count(format.NetResetReceived, ""), f.truth.Times)
	for _, row := range f.rows {
		s, known := f.sockets[row.SocketID]
		sent := row.Kind == format.NetResetSent
		if !known || sent != (s.RemotePort == f.truth.Port) || s.LocalPort != row.LocalPort || s.RemotePort != row.RemotePort {
			t.Fatalf("%+v on socket %+v", row, s)
		}
	}
}

func TestRetransmitsEqualTheKernelsCounter(t *testing.T) {
	f := recordNetLoad(t, "lossy", Options{})
	if f.truth.RetransSegs == 0 || f.truth.Filtered == 0 {
		t.Fatalf("nothing was lost: %+v", f.truth)
	}
	f.check(t, "retransmits that could not be sent", f.truth.RetransFail, 0)
	f.check(t, "segments sent again", f.count(format.NetRetransmit, ""), f.truth.RetransSegs)
	f.check(t, "packets dropped by the filter", f.count(format.NetDrop, "NETFILTER_DROP"), f.truth.Filtered)
	var bySockets, answers int64
	for _, row := range f.rows {
		switch {
		case row.Kind == format.NetRetransmit && f.sockets[row.SocketID].RemotePort == f.truth.Port:
			bySockets += row.Count
		case row.Kind == format.NetRetransmit:
			answers += row.Count
		}
	}
	if bySockets == 0 || answers == 0 {
		t.Errorf("%d segments of the client and %d answers to a connect were sent again, want both", bySockets, answers)
	}
}

func TestPortsNarrowNetEvents(t *testing.T) {
	f := recordNetLoad(t, "refused", Options{Ports: []uint16{refusedPort}})
	f.check(t, "resets sent", f.count(format.NetResetSent, ""), f.truth.Times)
	f.check(t, "resets received", f.count(format.NetResetReceived, ""), f.truth.Times)
	f.check(t, "drops", f.count(format.NetDrop, ""), f.truth.Times)
	f = recordNetLoad(t, "refused", Options{Ports: []uint16{refusedPort + 1}})
	f.check(t, "events of other ports", int64(len(f.rows)), 0)
}

// What happened on sockets of a process is recorded with it, and nothing else.
func TestProcessesNarrowNetEvents(t *testing.T) {
	wanted, wantedTruth := netLoad(t, "aborted")
	other, otherTruth := netLoad(t, "aborted")
	nobodys, nobodysTruth := netLoad(t, "refused")
	// It waits in its namespace: the number of one that is gone is given to the next.
	exe := wanted[len(wanted)-1]
	load := exec.Command(wanted[0], append(wanted[1:len(wanted)-1], "sh", "-c", `kill -STOP $$; exec "$0"`, exe)...)
	load.Stderr = os.Stderr
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the load waits", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", load.Process.Pid))
		return err == nil && strings.Contains(string(text), ") T ")
	})
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()
	t.Cleanup(func() { _ = load.Process.Kill() }) // it has ended, unless the test failed
	script := fmt.Sprintf("%s && %s && kill -CONT %[3]d && while kill -0 %[3]d; do sleep 0.05; done 2>&-; true",
		strings.Join(other, " "), strings.Join(nobodys, " "), load.Process.Pid)
	r := runNetEvents(t, Options{
		PIDs: []int32{int32(load.Process.Pid)}, Collectors: []string{"drop", "tcp"}, Command: []string{"sh", "-c", script},
	})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f := readNetLoad(t, r, wantedTruth)
	f.check(t, "resets sent", f.count(format.NetResetSent, ""), f.truth.Times)
	f.check(t, "resets received", f.count(format.NetResetReceived, ""), f.truth.Times)
	for _, file := range []string{otherTruth, nobodysTruth} {
		f := readNetLoad(t, r, file)
		f.check(t, "events of others", int64(len(f.rows)), 0)
	}
}

// A scan has more faults in a second than the kernel's table holds, if it is
// fast: each is a row's or a loss.
func TestNetEventsBeyondTheTableAreLosses(t *testing.T) {
	command, file := netLoad(t, "scan")
	r := runNetEvents(t, Options{Collectors: []string{"drop"}, Command: command})
	f := readNetLoad(t, r, file)
	f.check(t, "resets sent, by the kernel's counter", f.truth.OutRsts, f.truth.Times)
	lost := r.result.Losses["drop/"+format.LossStateFull.String()]
	var rows int64
	for _, row := range f.rows {
		rows += row.Count
	}
	f.check(t, "in rows and losses", rows+lost, 3*f.truth.Times)
	t.Logf("%d events in %d rows, %d lost", rows, len(f.rows), lost)
}
