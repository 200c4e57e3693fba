package record

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shedLoadMode, set in the environment, makes the test binary a load on
// connections that live as long as it does: it asks while it is told to, and
// counts.
const shedLoadMode = "KMON_TEST_SHED_LOAD"

const shedLoadConnections = 48

// beShedLoad prints its port, then does what its input says: "go" asks on all
// connections, "pause" stops after the answers and prints how many there were.
func beShedLoad() {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go io.Copy(conn, conn)
		}
	}()
	fmt.Println(ln.Addr().(*net.TCPAddr).Port)
	var conns []net.Conn
	var asked atomic.Int64
	var running sync.WaitGroup
	var stop atomic.Bool
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "pause" {
			stop.Store(true)
			running.Wait()
			fmt.Println(asked.Load())
			continue
		}
		for len(conns) < shedLoadConnections {
			conn, err := net.Dial("tcp4", ln.Addr().String())
			if err != nil {
				panic(err)
			}
			conns = append(conns, conn)
		}
		stop.Store(false)
		for _, conn := range conns {
			running.Go(func() { askUntil(conn, &stop, &asked) })
		}
	}
	for _, conn := range conns {
		conn.Close()
	}
}

// askUntil asks and waits for the answer, again and again.
func askUntil(conn net.Conn, stop *atomic.Bool, asked *atomic.Int64) {
	message := make([]byte, 100)
	for !stop.Load() {
		if _, err := conn.Write(message); err != nil {
			panic(err)
		}
		if _, err := io.ReadFull(conn, message); err != nil {
			panic(err)
		}
		asked.Add(1)
		time.Sleep(2 * time.Millisecond)
	}
}

// shedLoad is that process, seen from the test.
type shedLoad struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Reader
	cmd  *exec.Cmd
	port uint16
}

func startShedLoad(t *testing.T) *shedLoad {
	t.Helper()
	l := &shedLoad{t: t, cmd: exec.Command(os.Args[0])}
	l.cmd.Env = append(os.Environ(), shedLoadMode+"=1")
	l.cmd.Stderr = os.Stderr
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.out = bufio.NewReader(out)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.end)
	l.port = uint16(l.number())
	return l
}

func (l *shedLoad) number() (n int64) {
	l.t.Helper()
	line, err := l.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(strings.TrimSpace(line), &n)
	}
	if err != nil {
		l.t.Fatalf("the load says %q: %v", line, err)
	}
	return n
}

func (l *shedLoad) ask() {
	l.t.Helper()
	if _, err := io.WriteString(l.in, "go\n"); err != nil {
		l.t.Fatal(err)
	}
}

// pause returns how often it has asked in all.
func (l *shedLoad) pause() int64 {
	l.t.Helper()
	if _, err := io.WriteString(l.in, "pause\n"); err != nil {
		l.t.Fatal(err)
	}
	return l.number()
}

// end closes its connections; more than once does nothing.
func (l *shedLoad) end() {
	if l.cmd == nil {
		return
	}
	l.in.Close()
	if err := l.cmd.Wait(); err != nil {
		l.t.Errorf("the load: %v", err)
	}
	l.cmd = nil
}
