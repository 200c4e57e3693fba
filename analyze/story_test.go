package analyze

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kmon/format"
)

const (
	unix0  = 1_700_000_000_000_000_000 // the stories begin here, Unix
	mono0  = 5_000_000_000             // and here on the host's monotonic clock
	ms     = int64(1e6)
	second = int64(1e9)
)

// story is a capture in the making. Times are nanoseconds from its start.
type story struct {
	t         *testing.T
	manifest  format.Manifest
	final     *format.Final // nil: cut
	sockets   []format.Socket
	exchanges []format.Exchange
	processes []format.Process
	procs     []format.Proc
	listeners []format.Listener
	addresses []format.Interface
	losses    []format.Loss
	self      []format.Self
	marks     []format.Mark
	disks     []format.Disk
	mounts    []format.Mount
	ios       []format.IO
	more      []func(*format.Writer)
	events    []format.NetEvent
	queues    []format.AcceptQueue
	stacks    []format.Stack
	frames    []format.Frame
	segments  int // that the exchanges are divided into; 0: one
}

// newStory is 10 s on a host, stopped in order.
func newStory(t *testing.T, host string) *story {
	return &story{
		t: t,
		manifest: format.Manifest{
			KmonVersion: "1.0.0", CreatedUnixNs: unix0,
			Host:       format.Host{Name: host, BootID: "boot-" + host, Kernel: "6.12.0", OS: "Debian", Arch: "amd64", CPUs: 2},
			Clock:      format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
			Collectors: []format.Collector{{Name: "tcp", Variants: map[string]string{"send": "tp_btf", "receive": "tp_btf"}}},
		},
		final: &format.Final{EndNs: mono0 + 10*second, EndUnixNs: unix0 + 10*second, StopReason: "duration"},
	}
}

// process puts a process into the snapshots, started before the recording.
func (s *story) process(pid int32, service string) *format.Process {
	s.processes = append(s.processes, format.Process{
		TsNs: mono0, PID: pid, StartNs: mono0 - 100*second, Comm: service, Exe: "/usr/bin/" + service,
		Service: service, ServiceSource: "executable",
	})
	return &s.processes[len(s.processes)-1]
}

// socket adds a socket that opened at a time. Ends are "addr:port" as
// "10.0.0.1 4000".
func (s *story) socket(id int64, role format.Role, pid int32, at int64, local, remote string) *format.Socket {
	row := format.Socket{
		TsNs: mono0 + at, SocketID: id, Event: format.SocketOpen, Role: role, RoleSource: format.RoleSourceConnect,
		Family: 4, NetnsID: 1, PID: pid,
	}
	if role == format.RoleServer {
		row.RoleSource = format.RoleSourceAccept
	}
	s.address(local, &row.LocalAddr, &row.LocalPort)
	s.address(remote, &row.RemoteAddr, &row.RemotePort)
	s.sockets = append(s.sockets, row)
	return &s.sockets[len(s.sockets)-1]
}

func (s *story) address(text string, addr *string, port *int32) {
	if _, err := fmt.Sscanf(text, "%s %d", addr, port); err != nil {
		s.t.Fatalf("address %q: %v", text, err)
	}
}

// close ends a socket opened before.
func (s *story) close(id int64, at int64, reason format.CloseReason) *format.Socket {
	for _, row := range s.sockets {
		if row.SocketID == id {
			row.TsNs, row.Event, row.CloseReason = mono0+at, format.SocketClose, reason
			s.sockets = append(s.sockets, row)
			return &s.sockets[len(s.sockets)-1]
		}
	}
	s.t.Fatalf("socket %d closes before it opens", id)
	return nil
}

// exchange adds a row of one request and its answer: 100 bytes and 1000.
func (s *story) exchange(id int64, pid int32, at, upload, server, download int64, flags format.ExchangeFlags) *format.Exchange {
	s.exchanges = append(s.exchanges, format.Exchange{
		SocketID: id, StartNs: mono0 + at, UploadNs: upload, ServerNs: server, DownloadNs: download,
		RequestBytes: 100, AnswerBytes: 1000, RequestMessages: 1, AnswerMessages: 1, PID: pid, TID: pid, Flags: flags,
	})
	return &s.exchanges[len(s.exchanges)-1]
}

// write writes the capture and gives its path.
func (s *story) write() string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), s.manifest.Host.Name+".kmon")
	w, err := format.Create(path, s.manifest, format.WriterOptions{NoSync: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.writeTraffic(w)
	add(s.t, w, s.processes)
	add(s.t, w, s.procs)
	add(s.t, w, s.listeners)
	add(s.t, w, s.addresses)
	add(s.t, w, s.disks)
	add(s.t, w, s.mounts)
	add(s.t, w, s.ios)
	add(s.t, w, s.events)
	add(s.t, w, s.queues)
	add(s.t, w, s.stacks)
	add(s.t, w, s.frames)
	add(s.t, w, s.losses)
	add(s.t, w, s.self)
	add(s.t, w, s.marks)
	for _, write := range s.more {
		write(w)
	}
	final := format.Final{}
	if s.final != nil {
		final = *s.final
	}
	if err := w.Close(final); err != nil {
		s.t.Fatal(err)
	}
	if s.final == nil {
		s.edit(path, func(data []byte) []byte { return data[:entryAt(s.t, data, "final.json")] })
	}
	return path
}

// writeTraffic writes the exchanges in their order, divided into s.segments
// segments, and before each the sockets that had opened or closed by its end.
func (s *story) writeTraffic(w *format.Writer) {
	rows, sockets, now := s.exchanges, slices.Clone(s.sockets), int64(mono0)
	slices.SortStableFunc(sockets, func(a, b format.Socket) int { return cmp.Compare(a.TsNs, b.TsNs) })
	for n := s.segments; n > 1; n-- {
		size, until := len(rows)/n, int64(0)
		for _, x := range rows[:size] {
			until = max(until, x.StartNs+x.UploadNs+x.ServerNs+x.DownloadNs)
		}
		ready := 0
		for ready < len(sockets) && sockets[ready].TsNs <= until {
			ready++
		}
		add(s.t, w, sockets[:ready])
		add(s.t, w, rows[:size])
		sockets, rows = sockets[ready:], rows[size:]
		for range 3 { // ages what was not sealed yet, so that it is
			now += 11 * second
			if err := w.Tick(now); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	add(s.t, w, sockets)
	add(s.t, w, rows)
}

// entryAt finds the local header of a ZIP entry, 30 bytes before its name.
func entryAt(t *testing.T, data []byte, name string) int {
	t.Helper()
	for i := 0; ; i++ {
		next := bytes.Index(data[i:], []byte(name))
		if next < 0 {
			t.Fatalf("no entry %s", name)
		}
		i += next
		if i >= 30 && string(data[i-30:i-26]) == "PK\x03\x04" {
			return i - 30
		}
	}
}

// edit rewrites a file.
func (s *story) edit(path string, change func([]byte) []byte) {
	s.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func add[T format.Row](t *testing.T, w *format.Writer, rows []T) {
	t.Helper()
	if len(rows) == 0 {
		return
	}
	if err := format.Append(w, rows...); err != nil {
		t.Fatal(err)
	}
}

// analyzed runs the stories together.
func analyzed(t *testing.T, o Options, stories ...*story) *Analysis {
	t.Helper()
	var paths []string
	for _, s := range stories {
		paths = append(paths, s.write())
	}
	a, err := Run(context.Background(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serviceNamed gives a service of a, failing without it.
func serviceNamed(t *testing.T, a *Analysis, name string) *Service {
	t.Helper()
	var names []string
	for i := range a.Services {
		if a.Services[i].Name == name {
			return &a.Services[i]
		}
		names = append(names, a.Services[i].Name)
	}
	t.Fatalf("no service %q, there are %q", name, names)
	return nil
}

// onlyEdge gives the edge of an analysis that must have one.
func onlyEdge(t *testing.T, a *Analysis) *Edge {
	t.Helper()
	if len(a.Edges) != 1 {
		var names []string
		for _, e := range a.Edges {
			names = append(names, fmt.Sprintf("%s → %s:%d (%s)", e.Client, e.Server, e.ServerPort, e.Ends))
		}
		t.Fatalf("%d edges, want 1: %q", len(a.Edges), names)
	}
	return &a.Edges[0]
}

// near says whether a quantile is what it should be, within its error.
func near(got, want int64) bool {
	off := got - want
	return max(off, -off) <= want/100
}
