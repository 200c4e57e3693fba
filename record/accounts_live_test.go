package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kmon/format"
	"kmon/record/probe"
)

// The tests of this file hold the parts of requests against what the serving
// thread measured itself: its clock of CPU time, its waits in the run queue as
// /proc tells them, and the time that each step took.

const (
	servedMode     = "KMON_TEST_SERVED"
	servedFileMode = "KMON_TEST_SERVED_FILE"
	stepNs         = 5e6
	servedRequests = 40
)

// Steps that a request may ask for, one letter each.
const (
	stepBurn  = 'b'
	stepLock  = 'l'
	stepDisk  = 'd'
	stepSleep = 's'
	stepAsk   = 'a'
	stepHand  = 'h' // another thread answers
	allSteps  = "blsad"

	wholeRequest = "whole"
)

// measured is what a thread did in one step.
type measured struct{ OnCPUNs, RunQueueNs, WaitedNs int64 }

// beServed is the process under test: it answers on one connection, and its own
// thread callee on another one.
func beServed() {
	runtime.LockOSThread()
	answer(os.Stdout, func(fd int, callee int) error {
		var steps [16]byte
		for {
			n, err := unix.Read(fd, steps[:])
			if n == 0 || err != nil {
				return err
			}
			report, began := map[string]measured{}, ownTimes()
			for _, step := range steps[:n] {
				if step == stepHand {
					continue
				}
				before := ownTimes()
				if err := takeStep(step, callee); err != nil {
					return err
				}
				report[string(rune(step))] = before.until(ownTimes())
			}
			report[wholeRequest] = began.until(ownTimes())
			text, err := json.Marshal(report)
			if err != nil {
				return err
			}
			if steps[0] == stepHand {
				err = inOtherThread(func() error { _, err := unix.Write(fd, text); return err })
			} else {
				_, err = unix.Write(fd, text)
			}
			if err != nil {
				return err
			}
		}
	})
}

// answer listens, tells its port, and serves the first connection with a
// connection to a callee of its own at hand.
func answer(out *os.File, serve func(fd, callee int) error) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "served:", err)
			os.Exit(1)
		}
	}
	listener, port, err := listenLoopback()
	fail(err)
	inner, innerPort, err := listenLoopback()
	fail(err)
	go func() {
		runtime.LockOSThread()
		fd, _, err := unix.Accept(inner)
		fail(err)
		var request [1]byte
		for {
			if n, err := unix.Read(fd, request[:]); n <= 0 {
				fail(err)
				return
			}
			time.Sleep(stepNs)
			_, err := unix.Write(fd, request[:])
			fail(err)
		}
	}()
	callee, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fail(err)
	fail(unix.Connect(callee, &unix.SockaddrInet4{Port: innerPort, Addr: [4]byte{127, 0, 0, 1}}))
	fmt.Fprintln(out, port)
	fd, _, err := unix.Accept(listener)
	fail(err)
	fail(serve(fd, callee))
}

func listenLoopback() (fd, port int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return 0, 0, err
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 1))
	if err != nil {
		return 0, 0, err
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, at.(*unix.SockaddrInet4).Port, nil
}

func inOtherThread(do func() error) error {
	done := make(chan error)
	go func() { // this thread is locked: another one it is
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- do()
	}()
	return <-done
}

func takeStep(step byte, callee int) error {
	switch step {
	case stepBurn:
		for until := threadClock() + stepNs; threadClock() < until; {
		}
	case stepLock:
		word, timeout := uint32(0), unix.NsecToTimespec(stepNs)
		const futexWaitPrivate = 128
		// It ends with ETIMEDOUT: nobody wakes it.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), futexWaitPrivate, 0, uintptr(unsafe.Pointer(&timeout)), 0, 0)
	case stepDisk:
		f, err := os.OpenFile(os.Getenv(servedFileMode), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(make([]byte, 1<<20), 0)
		return errors.Join(err, unix.Fdatasync(int(f.Fd())), f.Close())
	case stepSleep:
		rest := unix.NsecToTimespec(stepNs)
		for errors.Is(unix.Nanosleep(&rest, &rest), unix.EINTR) {
		}
	case stepAsk:
		var b [1]byte
		_, err := unix.Write(callee, b[:])
		if err == nil {
			_, err = unix.Read(callee, b[:])
		}
		return err
	}
	return nil
}

// times are the clocks of the thread.
type times struct{ wallNs, onCPUNs, runQueueNs int64 }

func ownTimes() times {
	var t times
	data, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		panic(err)
	}
	t.runQueueNs, _ = strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	t.onCPUNs = threadClock()
	t.wallNs = clockNs(unix.CLOCK_MONOTONIC)
	return t
}

func (t times) until(o times) measured {
	m := measured{OnCPUNs: o.onCPUNs - t.onCPUNs, RunQueueNs: o.runQueueNs - t.runQueueNs}
	m.WaitedNs = o.wallNs - t.wallNs - m.OnCPUNs - m.RunQueueNs
	return m
}

// stolenNs is the CPU time that the host of this virtual machine has taken from all
// its CPUs since it booted: the eighth number of cpu in proc_stat(5), in USER_HZ.
func stolenNs(t *testing.T) int64 {
	t.Helper()
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := strconv.ParseInt(strings.Fields(string(stat))[8], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ticks * int64(10*time.Millisecond)
}

func threadClock() int64 { return clockNs(unix.CLOCK_THREAD_CPUTIME_ID) }

func clockNs(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// servedRows is the load under the recorder: its rows at the server's end, and what
// the server said of each request.
func servedRows(t *testing.T, o Options, steps string) (rows []format.Exchange, said []map[string]measured) {
	t.Helper()
	load := exec.Command(os.Args[0])
	load.Env = append(os.Environ(), servedMode+"=1", servedFileMode+"="+filepath.Join(t.TempDir(), "file"),
		"GODEBUG=asyncpreemptoff=1", "GOGC=off") // its signals would end waits
	load.Stderr = os.Stderr
	out, err := load.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = load.Process.Kill()
		_ = load.Wait() // killed, which is no failure
	})
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatal(err)
	}
	result := whileRecording(t, o, func() {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answer := make([]byte, 4096)
		for range servedRequests {
			if _, err := conn.Write([]byte(steps)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			one := map[string]measured{}
			if err := json.Unmarshal(answer[:n], &one); err != nil {
				t.Fatal(err)
			}
			said = append(said, one)
		}
		// Its end is recorded, too: that of the last answer may come after the client has it.
		_ = conn.Close()
		_, _ = io.Copy(io.Discard, out)
	})
	capture := opened(t, result.Path)
	sockets, err := format.All[format.Socket](capture)
	if err != nil {
		t.Fatal(err)
	}
	all, err := format.All[format.Exchange](capture)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all {
		ours := func(s format.Socket) bool { return s.SocketID == row.SocketID && s.LocalPort == int32(port) }
		if row.Flags&format.ExchangeClient == 0 && slices.ContainsFunc(sockets, ours) {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b format.Exchange) int { return int(a.StartNs - b.StartNs) })
	if len(rows) != servedRequests {
		t.Fatalf("%d rows of %d requests", len(rows), servedRequests)
	}
	for _, k := range capture.Manifest.Collectors {
		told := k.Variants[probe.RequestWaits] != ""
		if k.Name == "tcp" && (told != (waitsKnown(rows) > 0) || told != (k.Missing[probe.RequestWaits] == "")) {
			t.Errorf("of %d requests the waits were looked at; the manifest has %v, and lacks %v", waitsKnown(rows), k.Variants, k.Missing)
		}
	}
	return rows, said
}

// waitsKnown counts the requests of which kmon knows what their thread waited for,
// or that it was not one thread.
func waitsKnown(rows []format.Exchange) (n int) {
	for _, row := range rows {
		if row.Flags&(format.ExchangeAccounted|format.ExchangeHandedOver) != 0 {
			n++
		}
	}
	return n
}

// What a thread waited for while it served a request stands in the request's row,
// by what it was for.
func TestPartsOfRequests(t *testing.T) { untilNoDoubt(t, checkParts) }

func checkParts(t *testing.T, d *doubts) {
	stolen := -stolenNs(t)
	rows, said := servedRows(t, Options{Collectors: []string{"proc", "tcp", "cpu"}}, allSteps)
	stolen = (stolen + stolenNs(t)) / servedRequests
	// On average: a step of one request may be interrupted for long.
	var got, want struct{ onCPU, runQueue, lock, disk, network, sleep, other int64 }
	for i, row := range rows {
		if row.Flags&format.ExchangeAccounted == 0 || row.Flags&format.ExchangeHandedOver != 0 {
			t.Fatalf("request %d has flags %v", i, row.Flags)
		}
		parts := row.RunQueueNs + row.LockNs + row.DiskNs + row.NetworkNs + row.SleepNs + row.OtherWaitNs
		got.onCPU += row.UploadNs + row.ServerNs + row.DownloadNs - parts
		got.runQueue += row.RunQueueNs
		got.lock += row.LockNs
		got.disk += row.DiskNs
		got.network += row.NetworkNs
		got.sleep += row.SleepNs
		got.other += row.OtherWaitNs
		want.onCPU += said[i][wholeRequest].OnCPUNs
		want.runQueue += said[i][wholeRequest].RunQueueNs
		want.lock += said[i][string(rune(stepLock))].WaitedNs
		want.disk += said[i][string(rune(stepDisk))].WaitedNs
		want.network += said[i][string(rune(stepAsk))].WaitedNs
		want.sleep += said[i][string(rune(stepSleep))].WaitedNs
	}
	for _, part := range []struct {
		name      string
		got, want int64
	}{
		{"on CPU", got.onCPU, want.onCPU}, {"run queue", got.runQueue, want.runQueue}, {"lock", got.lock, want.lock},
		{"disk", got.disk, want.disk}, {"network", got.network, want.network}, {"sleep", got.sleep, want.sleep}, {"other", got.other, 0},
	} {
		got, want := part.got/servedRequests, part.want/servedRequests
		t.Logf("%s: %d ns a request, the thread says %d", part.name, got, want)
		// However much the host takes, who is to wait for so long does.
		if asked := int64(stepNs * 9 / 10); got < asked && slices.Contains([]string{"lock", "network", "sleep"}, part.name) {
			d.Errorf("%s: %d ns a request, the thread was to wait for %d", part.name, got, int64(stepNs))
		}
		// Of how it reads and writes the thread says nothing. What the host takes is
		// on-CPU time to the kernel's switches, and none to the thread's clock.
		if off := got - want; off < -300_000-want/20-stolen || off > 600_000+want/20+stolen {
			d.Errorf("%s: %d ns a request, the thread says %d; the host took %d", part.name, got, want, stolen)
		}
	}
}

// A request that another thread answers has no parts, and says so.
func TestHandedOverRequestsHaveNoParts(t *testing.T) {
	rows, _ := servedRows(t, Options{Collectors: []string{"proc", "tcp", "cpu"}}, string([]byte{stepHand, stepSleep}))
	for i, row := range rows {
		if row.Flags&(format.ExchangeAccounted|format.ExchangeHandedOver) != format.ExchangeHandedOver || row.SleepNs != 0 {
			t.Fatalf("request %d has flags %v, slept %d ns", i, row.Flags, row.SleepNs)
		}
	}
}

// Without collector cpu nothing is known of threads, and nothing is said.
func TestNoPartsWithoutThreads(t *testing.T) {
	rows, _ := servedRows(t, Options{Collectors: []string{"proc", "tcp"}}, string(rune(stepSleep)))
	for i, row := range rows {
		if row.Flags&(format.ExchangeAccounted|format.ExchangeHandedOver) != 0 || row.SleepNs != 0 {
			t.Fatalf("request %d has flags %v, slept %d ns", i, row.Flags, row.SleepNs)
		}
	}
}
