//go:build unix

package analyze

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"kmon/analyze/topology"
	"kmon/format"
)

// busyThreads writes ten minutes of a node with 2,000 threads of 200
// processes, every one of them busy in each of 120 intervals.
func busyThreads(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "threads.kmon")
	w, err := format.Create(path, format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1", CPUs: 64, MemoryBytes: 64 << 30},
		Clock:      format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
		Collectors: []format.Collector{{Name: "cpu"}, {Name: "syscall"}}}, format.WriterOptions{NoSync: true})
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	check(err)
	r := rand.New(rand.NewPCG(1, 2))
	const processes, threads, stacks = 200, 2000, 5000
	for i := range int32(processes) {
		check(format.Append(w, format.Process{TsNs: mono0, PID: 100 + i, StartNs: mono0 - second, Service: fmt.Sprintf("service-%d", i/4), ServiceSource: "systemd"}))
	}
	names := []string{"do_syscall_64", "futex_do_wait", "do_epoll_wait", "io_schedule", "tcp_recvmsg", "vfs_read", "ext4_file_read_iter", "schedule_timeout"}
	for i := range int64(10_000) {
		check(format.Append(w, format.Frame{TsNs: mono0, FrameID: i + 1, Kind: format.FrameKernel, Symbol: fmt.Sprintf("%s.%d", names[i%8], i), Source: format.SymbolKallsyms}))
	}
	for i := range int64(stacks) {
		for depth := range int32(20) {
			check(format.Append(w, format.Stack{TsNs: mono0, StackID: i + 1, Depth: depth, FrameID: 1 + r.Int64N(10_000)}))
		}
	}
	for at := range int64(120) {
		start, end := mono0+at*5*second, mono0+(at+1)*5*second
		for tid := range int32(threads) {
			pid := 100 + tid%processes
			check(format.Append(w, format.Interval{StartNs: start, EndNs: end, PID: pid, TID: 1000 + tid, Comm: "worker",
				OnCPUNs: r.Int64N(second), RunQueueNs: r.Int64N(second / 10), Timeslices: r.Int64N(5000), Voluntary: r.Int64N(5000), Involuntary: r.Int64N(100)}))
			check(format.Append(w, format.OffCPU{StartNs: start, EndNs: end, PID: pid, State: format.StateSleep, StackID: 1 + r.Int64N(stacks), Count: 10, TotalNs: r.Int64N(5 * second), MaxNs: second}))
			for i := range int32(4) {
				other := (tid + i) % threads // of four wakers three are the same all the time
				if i == 3 {
					other = r.Int32N(threads)
				}
				check(format.Append(w, format.Wake{StartNs: start, EndNs: end, WakerPID: 100 + other%processes, WakerTID: 1000 + other, PID: pid, TID: 1000 + tid, Count: r.Int64N(1000)}))
			}
		}
		for pid := range int32(processes) {
			check(format.Append(w, format.Memory{TsNs: end, PID: 100 + pid, RSSBytes: r.Int64N(1 << 30)}))
			for _, call := range []string{"read", "write", "futex", "epoll_wait", "sendto", "recvfrom"} {
				check(format.Append(w, format.Syscall{StartNs: start, EndNs: end, PID: 100 + pid, Kind: format.CounterSyscall, Name: call, Count: r.Int64N(1000), TotalNs: -1, MaxNs: -1}))
			}
		}
		check(w.Tick(end))
	}
	check(w.Close(format.Final{EndNs: mono0 + 600*second, StopReason: "duration"}))
	return path
}

// BenchmarkCPU is the whole topic over ten minutes of a busy node: it is to
// add less than a second.
func BenchmarkCPU(b *testing.B) {
	path := busyThreads(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, err := open(context.Background(), []string{path}, Options{Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer closeAll(r.captures)
	r.graph = topology.New(r.captures, r.start, r.end)
	if err := r.count(context.Background()); err != nil {
		b.Fatal(err)
	}
	a := r.assemble()
	b.ResetTimer()
	before := cpuSeconds(b)
	for range b.N {
		r.remarks = nil
		if err := r.addCPU(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuSeconds(b)-before)/float64(b.N), "cpu-s/op")
	if len(a.Threads) != maxThreadsListed || len(r.remarks) > 1 {
		b.Fatalf("%d threads, %q", len(a.Threads), r.remarks)
	}
}
