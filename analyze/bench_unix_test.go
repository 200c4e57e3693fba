//go:build unix

package analyze

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"kmon/format"
)

// benchCapture writes rows exchanges of a busy node: services on loopback,
// both ends recorded, keep-alive connections, 10 µs between rows.
func benchCapture(b *testing.B, rows, connections int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.kmon")
	m := format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1"}, Clock: format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0}}
	w, err := format.Create(path, m, format.WriterOptions{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	const services = 10
	for i := range services {
		p := format.Process{TsNs: mono0, PID: int32(100 + i), Service: string(rune('a'+i)) + "-service", ServiceSource: "systemd", Instance: "unit"}
		if err := format.Append(w, p); err != nil {
			b.Fatal(err)
		}
	}
	for i := range connections {
		client := format.Socket{TsNs: mono0, SocketID: int64(2 * i), Event: format.SocketOpen, Role: format.RoleClient,
			RoleSource: format.RoleSourceConnect, Family: 4, NetnsID: 1, LocalAddr: "127.0.0.1", LocalPort: int32(30000 + i%30000),
			RemoteAddr: "127.0.0.1", RemotePort: int32(8000 + i%services), PID: int32(100 + (i+1)%services)}
		server := client
		server.SocketID++
		server.Role, server.RoleSource, server.PID = format.RoleServer, format.RoleSourceAccept, int32(100+i%services)
		server.LocalPort, server.RemotePort = client.RemotePort, client.LocalPort
		if err := format.Append(w, client, server); err != nil {
			b.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	now := int64(mono0)
	batch := make([]format.Exchange, 0, 1000)
	for i := 0; i < rows; i += 2 {
		now += int64(r.ExpFloat64() * 20_000)
		latency := int64(20_000 + r.ExpFloat64()*200_000)
		connection := r.IntN(connections)
		server := format.Exchange{SocketID: int64(2*connection + 1), StartNs: now, ServerNs: latency,
			RequestBytes: int64(40 + r.IntN(100)), AnswerBytes: int64(500 + r.IntN(100)),
			RequestMessages: 1, AnswerMessages: 1, PID: int32(100 + connection%services), TID: int32(100 + connection%services)}
		if r.IntN(10) == 0 {
			server.UploadNs, server.DownloadNs = int64(r.IntN(20_000)), int64(r.IntN(50_000))
		}
		client := server
		client.SocketID, client.Flags = int64(2*connection), format.ExchangeClient
		client.StartNs -= 15_000
		client.ServerNs += 30_000 + int64(r.IntN(10_000))
		client.PID = int32(100 + (connection+1)%services)
		batch = append(batch, client, server)
		if len(batch) == cap(batch) {
			if err := format.Append(w, batch...); err != nil {
				b.Fatal(err)
			}
			if err := w.Tick(now); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	if err := format.Append(w, batch...); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(format.Final{EndNs: now, StopReason: "duration"}); err != nil {
		b.Fatal(err)
	}
	return path
}

// cpuSeconds is the processor time the process has used: on a shared machine
// it is the measure that means something.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkRun analyzes a capture of several million exchanges with one worker
// on one core. rows/cpu-s, all of Run included, is the figure to compare with that
// of another version, in turn.
func BenchmarkRun(b *testing.B) {
	const rows = 4_000_000
	_, used := analyzeOnOneCore(b, benchCapture(b, rows, 200), "exchanges", rows)
	all := float64(rows) * float64(b.N)
	b.ReportMetric(all/used, "rows/cpu-s")
	b.ReportMetric(all/b.Elapsed().Seconds(), "rows/s")
}

// analyzeOnOneCore is the loop of a benchmark of Run: with one worker, on one
// core, over a capture with so many rows in a table. It gives the last analysis
// and the CPU seconds of all.
func analyzeOnOneCore(b *testing.B, path, table string, rows int64) (a *Analysis, cpuS float64) {
	b.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	b.ResetTimer()
	before := cpuSeconds(b)
	for range b.N {
		var err error
		if a, err = Run(context.Background(), []string{path}, Options{Workers: 1}); err != nil {
			b.Fatal(err)
		}
		if got := a.Captures[0].Rows[table]; got != rows {
			b.Fatalf("%d rows, want %d", got, rows)
		}
	}
	b.ReportMetric(0, "ns/op")
	return a, cpuSeconds(b) - before
}
