//go:build unix

package analyze

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"

	"kmon/format"
)

// tenBusyMinutes writes ten minutes of a node with 64 CPUs at 99 Hz, all busy: 3.8
// million samples and 200,000 waits over 50,000 stacks of 40 services. Stacks
// grow from each other and are met by a power law, as those of programs are.
func tenBusyMinutes(b *testing.B, samples int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "busy.kmon")
	w, err := format.Create(path, format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1", CPUs: 64},
		Clock:      format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
		Collectors: []format.Collector{{Name: "cpu", Settings: map[string]string{"sample_hz": "99"}}}}, format.WriterOptions{NoSync: true})
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	check(err)
	const stacks, kernelStacks, frames, services = 50_000, 500, 20_000, 40
	r := rand.New(rand.NewPCG(1, 2))
	for i := range int32(services) {
		check(format.Append(w, format.Process{TsNs: mono0, PID: 100 + i, StartNs: mono0 - second, Service: fmt.Sprintf("service-%d", i), ServiceSource: "systemd"}))
	}
	for i := range int64(frames) {
		check(format.Append(w, format.Frame{TsNs: mono0, FrameID: i + 1, Kind: format.FrameKind(1 + i%2), Offset: i * 16,
			Symbol: fmt.Sprintf("package/path.(*Type%d).Method%d", i%300, i), Module: fmt.Sprintf("/usr/lib/module-%d.so", i%50), Source: format.SymbolTable}))
	}
	paths, owners := make([][]int64, 0, stacks), make([]int32, stacks)
	for i := range int64(stacks) {
		var p []int64
		owners[i] = int32(i) % services
		if i > 100 {
			parent := int(float64(i) * r.Float64() * r.Float64())
			owners[i] = owners[parent]
			p = append(p, paths[parent][:1+r.IntN(len(paths[parent]))]...)
		}
		for range 1 + r.IntN(8) {
			p = append(p, 1+int64(frames*r.Float64()*r.Float64()))
		}
		p = p[:min(len(p), 127)]
		paths = append(paths, p)
		for depth := range p {
			check(format.Append(w, format.Stack{TsNs: mono0, StackID: i + 1, Depth: int32(depth), FrameID: p[len(p)-1-depth]}))
		}
	}
	for i := range int64(kernelStacks) {
		for depth := range 4 + r.Int64N(10) {
			check(format.Append(w, format.Stack{TsNs: mono0, StackID: stacks + 1 + i, Depth: int32(depth), FrameID: 1 + (i*7+depth*depth*31)%frames}))
		}
	}
	kernel := func(user int64) int64 { return stacks + 1 + user%kernelStacks } // a user stack makes one system call
	stack := func() int64 { x := r.Float64(); return 1 + int64(stacks*x*x*x*x) }
	for i := range samples {
		at := mono0 + int64(i)*600*second/int64(samples)
		s := stack()
		row := format.OnCPU{TsNs: at, CPU: int32(i % 64), PID: 100 + owners[s-1], TID: int32(i % 300), UserStackID: s}
		if i%3 == 0 {
			row.StackID = kernel(s)
		}
		check(format.Append(w, row))
		if i%19 == 0 {
			start := mono0 + (at-mono0)/(5*second)*5*second
			check(format.Append(w, format.OffCPU{StartNs: start, EndNs: start + 5*second, PID: row.PID, State: format.ThreadState(1 + s%3),
				StackID: kernel(s), UserStackID: s, Count: 3, TotalNs: 1e6 + r.Int64N(4*second), MaxNs: 1e6}))
		}
		if i%10_000 == 0 {
			check(w.Tick(at))
		}
	}
	check(w.Close(format.Final{EndNs: mono0 + 600*second, EndUnixNs: unix0 + 600*second, StopReason: "duration"}))
	return path
}

// BenchmarkFlames analyzes ten minutes of a busy node on one core. cpu-s is to
// stay below 10; maxrss-MiB is of the whole process, with what wrote the capture.
func BenchmarkFlames(b *testing.B) {
	const samples = 64 * 99 * 600
	a, used := analyzeOnOneCore(b, tenBusyMinutes(b, samples), "oncpu", samples)
	p := a.Profile
	b.Logf("buckets of %d ms, %d nodes, %d frames, %d + %d cells, %d trees", p.BucketNs/ms, len(p.Nodes), len(p.Frames), len(p.OnCPU), len(p.OffCPU), len(a.Flames))
	b.ReportMetric(used/float64(b.N), "cpu-s")
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(u.Maxrss)/1024, "maxrss-MiB")
}
