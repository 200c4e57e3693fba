package main

import (
	"archive/zip"
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"kmon/format"
)

var rewrite = flag.Bool("samples", false, "write the sample captures anew, then use -update too")

// The sample captures are kept in testdata/captures, so that sessions do not
// change with every byte that the writer writes differently. What they hold:
var kept = map[string]sample{
	"shop.kmon":    {exchanges: 60},                                           // web asks cart 60 times in 6 s, cart answers after 2 ms
	"lossy.kmon":   {exchanges: 60, lost: 60},                                 // the recording lost half of the exchanges
	"cpu.kmon":     {exchanges: 20, stacks: true},                             // and it has stacks of both
	"idle.kmon":    {},                                                        // nothing happened
	"hostile.kmon": {exchanges: 3, service: "cart\x1b[2J\u202e<script>\n| |"}, // names that try to steer a terminal
	"killed.kmon":  {exchanges: 20, abandon: true},                            // what a killed recorder leaves
	// Parts of one recording, 6 s each.
	"long-000001.kmon": {exchanges: 60, part: 1},
	"long-000002.kmon": {exchanges: 60, part: 2},
	"long-000003.kmon": {exchanges: 60, part: 3},
}

// writeSamples gives a fresh directory with the kept captures, except that
// killed.kmon is running.kmon.part in it, and with
//
//	cut.kmon      shop.kmon as far as into its listeners
//	flipped.kmon  shop.kmon with one bit of its exchanges changed
//	newer.kmon    of a format version to come
//	other.zip     a ZIP archive, not a capture
//	notes.kmon    text, not a capture
//	empty.kmon    no byte at all
//	dir.kmon      a directory
func writeSamples(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name := range kept {
		write(t, at(name), keptCapture(t, name))
	}
	check(t, os.Rename(at("killed.kmon"), at("running.kmon.part")))

	shop := keptCapture(t, "shop.kmon")
	write(t, at("cut.kmon"), shop[:within(t, shop, "snapshots/listeners/000001.parquet")])
	flipped := bytes.Clone(shop)
	flipped[within(t, shop, "events/exchanges/000001.parquet")] ^= 1
	write(t, at("flipped.kmon"), flipped)

	manifest := fmt.Sprintf(`{"format":"kmon.capture","version":%d,"kmon_version":"9.8"}`, format.Version+1)
	write(t, at("newer.kmon"), zipOf(t, "manifest.json", manifest))
	write(t, at("other.zip"), zipOf(t, "hello.txt", "hello"))
	write(t, at("notes.kmon"), []byte("Remember to record the shop.\n"))
	write(t, at("empty.kmon"), nil)
	check(t, os.Mkdir(at("dir.kmon"), 0o755))
	return dir
}

// keptCapture reads a sample, or writes it anew when asked to.
func keptCapture(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join("testdata", "captures", name)
	if *rewrite {
		fresh := filepath.Join(t.TempDir(), name)
		writeCapture(t, fresh, kept[name])
		if kept[name].abandon {
			fresh += partEnding
		}
		write(t, path, read(t, fresh))
	}
	return read(t, path)
}

// within is an offset in the data of an entry of a capture.
func within(t *testing.T, capture []byte, entry string) int {
	t.Helper()
	at := bytes.Index(capture, []byte(entry))
	if at < 0 {
		t.Fatalf("no entry %s in the capture", entry)
	}
	return at + len(entry) + 100
}

// sample is what differs between the captures that kmon itself writes.
type sample struct {
	exchanges int
	lost      int64
	service   string // default cart
	host      string // default node-a
	abandon   bool   // the recorder is killed
	stacks    bool   // collector cpu recorded too
	part      int    // of a recording that ends with the third; 0: it is all of it
}

// startNs is when the sample begins, monotonic.
func (s sample) startNs() int64 { return sampleNs + int64(max(s.part-1, 0))*6*second }

const (
	second    = int64(1e9)
	sampleNs  = 1000 * second              // monotonic start
	sampleUTC = 1_760_000_000 * int64(1e9) // 2025-10-09 08:53:20 UTC
)

func writeCapture(t *testing.T, path string, s sample) {
	t.Helper()
	if s.service == "" {
		s.service = "cart"
	}
	if s.host == "" {
		s.host = "node-a"
	}
	var cpu []format.Collector
	if s.stacks {
		cpu = []format.Collector{{Name: "cpu", Variants: map[string]string{"on-cpu": "perf_event:cpu-clock"}, Settings: map[string]string{"sample_hz": "100"}}}
	}
	start := s.startNs()
	utc := sampleUTC + start - sampleNs
	var recording *format.RecordingPart
	if s.part > 0 {
		recording = &format.RecordingPart{ID: "5eed5eed5eed5eed", Part: s.part}
	}
	w, err := format.Create(path, format.Manifest{
		KmonVersion:   "0.1.0",
		CreatedUnixNs: utc,
		Recording:     recording,
		Host: format.Host{Name: s.host, OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.12.9", Arch: "amd64",
			CPUs: 4, MemoryBytes: 8 << 30, CgroupHierarchy: "v2", ClockTicks: 100},
		Clock: format.ClockPair{MonotonicNs: start, RealtimeNs: utc},
		Collectors: append([]format.Collector{{Name: "tcp",
			Variants: map[string]string{"send": "tp_btf:sock_send_length", "receive": "tp_btf:sock_recv_length"},
			Missing:  map[string]string{"retransmits": "the kernel has no such counter"}}}, cpu...),
		Options:     map[string]string{"duration": "6s"},
		CommandLine: []string{"kmon", "record", "-d", "6s", "-o", filepath.Base(path)},
	}, format.WriterOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	check(t, appendNode(w, s))
	if s.stacks {
		check(t, appendStacks(w))
	}
	rows := int64(0)
	for i := range s.exchanges {
		at := start + int64(i)*second/10 + 50e6
		check(t, format.Append(w,
			exchange(1, at, 2_200_000, 100, format.ExchangeClient),
			exchange(2, at+100_000, 2_000_000, 200, 0)))
		rows += 2
		check(t, w.Tick(at))
	}
	end := start + 6*second
	check(t, format.Append(w, format.Self{TsNs: end, RealtimeNs: utc + 6*second, CPUNs: 30e6, RSSBytes: 20 << 20, Events: rows}))
	losses := map[string]int64{}
	if s.lost > 0 {
		check(t, format.Append(w, format.Loss{StartNs: start + second, EndNs: start + 2*second,
			Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 2 * s.lost}))
		losses["tcp/ring-full"] = 2 * s.lost
	}
	check(t, w.Tick(end))
	if s.abandon {
		check(t, w.Tick(end+20*second)) // seals what is open: the quiet tables too
		check(t, w.Abandon())
		return
	}
	reason := "duration"
	if s.part == 1 || s.part == 2 {
		reason = "rotate"
	}
	check(t, w.Close(format.Final{EndNs: end, EndUnixNs: utc + 6*second, StopReason: reason,
		Losses: losses, CPUNs: 30e6, MaxRSSBytes: 20 << 20}))
}

// appendNode writes the two processes, their listener and, when they talk, the
// two ends of their connection.
func appendNode(w *format.Writer, s sample) error {
	process := func(pid int32, service string) format.Process {
		return format.Process{TsNs: s.startNs(), PID: pid, StartNs: sampleNs - second, ParentPID: 1, Comm: service, Exe: "/usr/bin/" + service,
			Cmdline: service, Service: service, ServiceSource: "executable", NetnsID: 1}
	}
	err := format.Append(w, process(100, "web"), process(200, s.service))
	if err == nil {
		err = format.Append(w, format.Listener{TsNs: s.startNs(), NetnsID: 1, Addr: "127.0.0.1", Port: 8080, Protocol: 6, PID: 200, Backlog: 128})
	}
	if err != nil || s.exchanges == 0 {
		return err
	}
	socket := func(id int64, role format.Role, source format.RoleSource, local, remote, pid int32) format.Socket {
		if s.part > 1 {
			return format.Socket{TsNs: s.startNs(), SocketID: id, Event: format.SocketExisting, Role: role, RoleSource: source, Family: 4, NetnsID: 1,
				LocalAddr: "127.0.0.1", LocalPort: local, RemoteAddr: "127.0.0.1", RemotePort: remote, PID: pid}
		}
		return format.Socket{TsNs: sampleNs + 1e6, SocketID: id, Event: format.SocketOpen, Role: role, RoleSource: source, Family: 4, NetnsID: 1,
			LocalAddr: "127.0.0.1", LocalPort: local, RemoteAddr: "127.0.0.1", RemotePort: remote, PID: pid}
	}
	return format.Append(w,
		socket(1, format.RoleClient, format.RoleSourceConnect, 40000, 8080, 100),
		socket(2, format.RoleServer, format.RoleSourceAccept, 8080, 40000, 200))
}

// appendStacks writes 30 samples of cart, 10 of web, and what cart waited for.
func appendStacks(w *format.Writer) error {
	err := format.Append(w,
		format.Frame{TsNs: sampleNs, FrameID: 1, Kind: format.FrameUser, Symbol: "main", Module: "/usr/bin/cart", Source: format.SymbolTable},
		format.Frame{TsNs: sampleNs, FrameID: 2, Kind: format.FrameUser, Symbol: "price(int)", Module: "/usr/bin/cart", Offset: 64, Source: format.SymbolTable},
		format.Frame{TsNs: sampleNs, FrameID: 3, Kind: format.FrameUser, Module: "/usr/lib/libx.so.1", Offset: 0x1230},
		format.Frame{TsNs: sampleNs, FrameID: 4, Kind: format.FrameKernel, Symbol: "tcp_sendmsg", Module: "kernel", Source: format.SymbolKallsyms},
		format.Frame{TsNs: sampleNs, FrameID: 5, Kind: format.FrameKernel, Symbol: "futex_wait", Module: "kernel", Source: format.SymbolKallsyms})
	if err != nil {
		return err
	}
	for id, frames := range [][]int64{{2, 1}, {3, 1}, {4}, {5}} {
		for depth, frame := range frames {
			if err := format.Append(w, format.Stack{TsNs: sampleNs, StackID: int64(id + 1), Depth: int32(depth), FrameID: frame}); err != nil {
				return err
			}
		}
	}
	for i := range int64(40) {
		row := format.OnCPU{TsNs: sampleNs + i*10e6 + i/20*second, CPU: int32(i % 4), PID: 200, TID: 200, UserStackID: 1}
		switch {
		case i%4 == 3:
			row.PID, row.TID, row.UserStackID, row.StackID = 100, 101, -1, 3
		case i%4 == 2:
			row.UserStackID, row.StackID = 2, 3
		}
		if err := format.Append(w, row); err != nil {
			return err
		}
	}
	return format.Append(w,
		format.OffCPU{StartNs: sampleNs, EndNs: sampleNs + 5*second, PID: 200, State: format.StateSleep, StackID: 4, UserStackID: 1, Count: 9, TotalNs: 4 * second, MaxNs: second},
		format.OffCPU{StartNs: sampleNs, EndNs: sampleNs + 5*second, PID: 200, State: format.StateRunnable, StackID: -1, Count: 1, TotalNs: 2e6, MaxNs: 2e6})
}

func exchange(socket, start, server int64, pid int32, flags format.ExchangeFlags) format.Exchange {
	return format.Exchange{SocketID: socket, StartNs: start, ServerNs: server, RequestBytes: 120, AnswerBytes: 640,
		RequestMessages: 1, AnswerMessages: 1, PID: pid, TID: pid, Flags: flags}
}

func zipOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	size := uint64(len(content))
	f, err := z.CreateRaw(&zip.FileHeader{Name: name, CRC32: crc32.ChecksumIEEE([]byte(content)),
		CompressedSize64: size, UncompressedSize64: size})
	check(t, err)
	_, err = f.Write([]byte(content))
	check(t, err)
	check(t, z.Close())
	return b.Bytes()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	check(t, os.WriteFile(path, data, 0o644))
}
