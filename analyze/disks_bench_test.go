package analyze

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"kmon/format"
)

// BenchmarkDisks analyzes a million IOs of two disks by ten services.
func BenchmarkDisks(b *testing.B) {
	const rows = 1 << 20
	path := filepath.Join(b.TempDir(), "ios.kmon")
	m := format.Manifest{KmonVersion: "1.0.0", Host: format.Host{Name: "node1"}, Clock: format.ClockPair{MonotonicNs: mono0, RealtimeNs: unix0},
		Collectors: []format.Collector{{Name: "block", Variants: map[string]string{"issue": "tp_btf"}}}}
	w, err := format.Create(path, m, format.WriterOptions{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	for i := range int32(10) {
		if err := format.Append(w, format.Process{TsNs: mono0, PID: 100 + i, Service: string(rune('a' + i)), ServiceSource: "systemd"}); err != nil {
			b.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	now := int64(mono0)
	batch := make([]format.IO, 1024)
	for range rows / len(batch) {
		for i := range batch {
			now += r.Int64N(100_000)
			batch[i] = format.IO{StartNs: now - r.Int64N(1_000_000), QueueNs: r.Int64N(50_000), DeviceNs: 80_000 + r.Int64N(400_000),
				DeviceID: 8<<20 + 16*r.Int64N(2), Sector: r.Int64N(1 << 30), Bytes: 4096 << r.IntN(6), Op: format.Operation(1 + r.IntN(2)),
				PID: 100 + r.Int32N(10), TID: 100 + r.Int32N(10)}
		}
		if err := format.Append(w, batch...); err != nil {
			b.Fatal(err)
		}
		if err := w.Tick(now); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(format.Final{EndNs: now, StopReason: "duration"}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a, err := Run(context.Background(), []string{path}, Options{})
		if err != nil || len(a.Disks) != 2 || a.Disks[0].IOs+a.Disks[1].IOs != rows {
			b.Fatalf("%v: %+v", err, a)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
