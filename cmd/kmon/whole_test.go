package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"kmon/format"
)

// TestWhole analyzes a capture that has rows in every table: each report says
// of all of them what testdata/whole keeps. With -samples the capture is
// written anew.
func TestWhole(t *testing.T) {
	kept := filepath.Join("testdata", "whole", "whole.kmon")
	if *rewrite {
		check(t, os.RemoveAll(kept))
		writeWhole(t, kept)
	}
	checkTables(t, kept)
	capture := read(t, kept)
	golden, err := filepath.Abs(filepath.Join("testdata", "whole"))
	check(t, err)
	t.Chdir(t.TempDir())
	write(t, "whole.kmon", capture)
	play(t, "kmon analyze whole.kmon -o report.txt -o report.md -o report.json")
	for _, ending := range []string{"txt", "md", "json"} {
		got, path := read(t, "report."+ending), filepath.Join(golden, "report."+ending)
		if *update {
			write(t, path, got)
		}
		if !bytes.Equal(got, read(t, path)) {
			t.Errorf("the report differs from %s: see go test -update and git diff", path)
		}
	}
}

// checkTables wants rows in every table that the format describes.
func checkTables(t *testing.T, path string) {
	t.Helper()
	c, err := format.Open(path)
	check(t, err)
	defer c.Close()
	document := string(read(t, filepath.Join("..", "..", "format", "FORMAT.md")))
	for _, m := range regexp.MustCompile(`(?m)^### (?:events|snapshots)/(\w+)$`).FindAllStringSubmatch(document, -1) {
		if !slices.Contains(c.Tables(), m[1]) {
			t.Errorf("%s has no table %s: give it rows in writeWhole", path, m[1])
		}
	}
}

// Of the whole capture: what happens in each of its six seconds.
const (
	wholeVDA  = 253 << 20
	wholeVDA1 = 253<<20 | 1
	wholeDM   = 252 << 20
)

// writeWhole writes a capture of six seconds: web asks cart ten times a second,
// cart reads its disk through a mapping, and something of everything happens.
func writeWhole(t *testing.T, path string) {
	t.Helper()
	collector := func(name, indicator string, settings map[string]string) format.Collector {
		return format.Collector{Name: name, Variants: map[string]string{indicator: "tp_btf"}, Settings: settings}
	}
	w, err := format.Create(path, format.Manifest{
		KmonVersion: "0.3.0", CreatedUnixNs: sampleUTC,
		Host: format.Host{Name: "node-a", OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.12.9", Arch: "amd64",
			CPUs: 4, MemoryBytes: 8 << 30, CgroupHierarchy: "v2", ClockTicks: 100},
		Clock: format.ClockPair{MonotonicNs: sampleNs, RealtimeNs: sampleUTC},
		Collectors: []format.Collector{
			collector("tcp", "send", nil), collector("proc", "exec", nil), collector("block", "issue", nil),
			{Name: "drop", Variants: map[string]string{
				"drop": "tp_btf", "retransmit": "tp_btf", "reset-sent": "tp_btf", "reset-received": "tp_btf", "accept-queue": "iter",
			}},
			collector("cpu", "switch", map[string]string{"off_cpu_min_ns": "1000000", "sample_hz": "99"}), collector("syscall", "calls", nil),
		},
	}, format.WriterOptions{NoSync: true})
	check(t, err)
	check(t, appendNode(w, sample{service: "cart", exchanges: 60}))
	check(t, appendState(w))
	for i := range int64(6) {
		check(t, appendSecond(w, i))
		check(t, w.Tick(sampleNs+(i+1)*second))
	}
	end := sampleNs + 6*second
	check(t, format.Append(w, format.Socket{TsNs: end - 1e6, SocketID: 1, Event: format.SocketClose, Role: format.RoleClient, RoleSource: format.RoleSourceConnect,
		Family: 4, NetnsID: 1, LocalAddr: "127.0.0.1", LocalPort: 40000, RemoteAddr: "127.0.0.1", RemotePort: 8080, PID: 100,
		CloseReason: format.CloseLocal, BytesSent: 7200, BytesReceived: 38400, Retransmits: 14, SRTTNs: 70e3}))
	check(t, format.Append(w, format.Self{TsNs: end, RealtimeNs: sampleUTC + 6*second, CPUNs: 240e6, RSSBytes: 31 << 20, BPFRunNs: 55e6, Events: 500}))
	check(t, w.Close(format.Final{EndNs: end, EndUnixNs: sampleUTC + 6*second, StopReason: "duration", CPUNs: 240e6, MaxRSSBytes: 31 << 20,
		Losses: map[string]int64{"block/ring-full": 3}}))
}

// appendState writes what was there all the time.
func appendState(w *format.Writer) error {
	frame := func(id int64, kind format.FrameKind, symbol, module string) format.Frame {
		return format.Frame{TsNs: sampleNs, FrameID: id, Kind: kind, Symbol: symbol, Module: module, Source: format.SymbolTable}
	}
	var stack []format.Stack
	for id, frames := range map[int64][]int64{1: {1, 2}, 2: {3, 2}, 3: {5}, 4: {6, 7}} {
		for depth, frame := range frames {
			stack = append(stack, format.Stack{TsNs: sampleNs, StackID: id, Depth: int32(depth), FrameID: frame})
		}
	}
	slices.SortFunc(stack, func(a, b format.Stack) int { return int(a.StackID-b.StackID)*8 + int(a.Depth-b.Depth) })
	for _, err := range []error{
		format.Append(w, format.Process{TsNs: sampleNs, PID: 50, StartNs: sampleNs - second, Comm: "kworker/u8:2", Service: "kernel", ServiceSource: "executable"}),
		format.Append(w, format.Container{TsNs: sampleNs, ContainerID: "0123456789ab", Runtime: "containerd", Name: "cart", Service: "cart"}),
		format.Append(w, format.Interface{TsNs: sampleNs, NetnsID: 1, Index: 1, Name: "lo", Addr: "127.0.0.1/8", MTU: 65536}),
		format.Append(w, format.Config{TsNs: sampleNs, Version: 1, Path: "kmon.yaml", Text: "rules: []"}),
		format.Append(w, format.Disk{TsNs: sampleNs, DeviceID: wholeVDA, Name: "vda", Kind: "disk", Model: "KM-1", SizeBytes: 100 << 30, Scheduler: "none"},
			format.Disk{TsNs: sampleNs, DeviceID: wholeVDA1, ParentID: wholeVDA, Name: "vda1", Kind: "partition", SizeBytes: 99 << 30},
			format.Disk{TsNs: sampleNs, DeviceID: wholeDM, ParentID: wholeVDA1, Name: "dm-0", Kind: "mapping", SizeBytes: 90 << 30}),
		format.Append(w, format.Mount{TsNs: sampleNs, MntnsID: 1, DeviceID: wholeVDA1, Point: "/boot", Type: "ext4"},
			format.Mount{TsNs: sampleNs, MntnsID: 1, DeviceID: wholeDM, Point: "/", Type: "ext4"}),
		format.Append(w, stack...),
		format.Append(w, frame(1, format.FrameUser, "cart.Total", "/usr/bin/cart"), frame(2, format.FrameUser, "main.main", "/usr/bin/cart"),
			frame(3, format.FrameUser, "cart.Load", "/usr/bin/cart"), frame(5, format.FrameKernel, "io_schedule", "kernel"),
			frame(6, format.FrameKernel, "tcp_v4_rcv", "kernel"), frame(7, format.FrameKernel, "ip_rcv", "kernel")),
		format.Append(w, format.Proc{TsNs: sampleNs + second, Event: format.ProcExec, PID: 300, ParentPID: 1, StartNs: sampleNs + second, Comm: "curl", Exe: "/usr/bin/curl"},
			format.Proc{TsNs: sampleNs + 2*second, Event: format.ProcExit, PID: 300, ParentPID: 1, StartNs: sampleNs + second, Comm: "curl"}),
		format.Append(w, format.Loss{StartNs: sampleNs + second, EndNs: sampleNs + 2*second, Collector: "block", Table: "ios", Cause: format.LossRingFull, Count: 3}),
		format.Append(w, format.Mark{TsNs: sampleNs + 3*second, Kind: "user", Text: "deploy 42"}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// appendSecond writes what happens in each second.
func appendSecond(w *format.Writer, i int64) error {
	at := sampleNs + i*second
	io := func(device, start int64, pid int32, op format.Operation, bytes int64) format.IO {
		return format.IO{StartNs: start, QueueNs: 20e3, DeviceNs: 180e3 + i*20e3, DeviceID: device, Sector: 8 * i, Bytes: bytes, Op: op, PID: pid, TID: pid}
	}
	var exchanges []format.Exchange
	for n := range int64(10) {
		exchanges = append(exchanges, exchange(1, at+n*second/10+50e6, 2_200_000, 100, format.ExchangeClient), exchange(2, at+n*second/10+50_100_000, 2_000_000, 200, 0))
	}
	for _, err := range []error{
		format.Append(w, exchanges...),
		format.Append(w, io(wholeDM, at+50e6, 200, format.OperationRead, 4096), io(wholeVDA, at+50e6, 200, format.OperationRead, 4096),
			io(wholeVDA, at+60e6, 50, format.OperationWrite, 1<<20)),
		format.Append(w, format.NetEvent{TsNs: at, LastNs: at, Kind: format.NetRetransmit, SocketID: 1, NetnsID: 1, Family: 4, Protocol: 6,
			LocalAddr: "127.0.0.1", LocalPort: 40000, RemoteAddr: "127.0.0.1", RemotePort: 8080, PID: 100, Count: 2},
			format.NetEvent{TsNs: at, LastNs: at + second/2, Kind: format.NetDrop, Reason: "NO_SOCKET", NetnsID: 1, Family: 4, Protocol: 6,
				LocalAddr: "127.0.0.1", LocalPort: 9, RemoteAddr: "127.0.0.1", RemotePort: 41000, StackID: 4, Count: 1 + i}),
		format.Append(w, format.AcceptQueue{TsNs: at, NetnsID: 1, Addr: "127.0.0.1", Port: 8080, PID: 200, Depth: int32(i), Limit: 128}),
		format.Append(w, format.Interval{StartNs: at, EndNs: at + second, PID: 200, TID: 200, Comm: "cart", OnCPUNs: 300e6, RunQueueNs: 5e6, Timeslices: 40, Voluntary: 35, Involuntary: 5},
			format.Interval{StartNs: at, EndNs: at + second, PID: 100, TID: 100, Comm: "web", OnCPUNs: 50e6, RunQueueNs: 1e6, Timeslices: 20, Voluntary: 20}),
		format.Append(w, format.Wake{StartNs: at, EndNs: at + second, WakerPID: 100, WakerTID: 100, PID: 200, TID: 200, Count: 10},
			format.Wake{StartNs: at, EndNs: at + second, WakerPID: 200, WakerTID: 200, PID: 100, TID: 100, Count: 9}),
		format.Append(w, format.OffCPU{StartNs: at, EndNs: at + second, PID: 200, State: format.StateDisk, StackID: 3, UserStackID: 2, Count: 4, TotalNs: 40e6, MaxNs: 12e6}),
		format.Append(w, format.OnCPU{TsNs: at + 100e6, PID: 200, TID: 200, UserStackID: 1}, format.OnCPU{TsNs: at + 200e6, CPU: 1, PID: 200, TID: 200, UserStackID: 2}),
		format.Append(w, format.Syscall{StartNs: at, EndNs: at + second, PID: 200, Kind: format.CounterSyscall, Name: "read", Count: 30, Errors: 1, TotalNs: 9e6, MaxNs: 2e6}),
		format.Append(w, format.Memory{TsNs: at, PID: 200, RSSBytes: 40<<20 + i<<20}),
		format.Append(w, format.Limit{StartNs: at, EndNs: at + second, Cgroup: "/shop", SetBy: "/shop", QuotaNs: 4e8, PeriodNs: 1e8,
			Periods: 10, ThrottledPeriods: 1, ThrottledNs: 2e6, ReadBytes: -1, WriteBytes: -1, Reads: -1, Writes: -1}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
