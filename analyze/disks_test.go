package analyze

import (
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/stat"
	"kmon/format"
)

// Device ids of the stories.
const (
	sda  = 8 << 20
	sda1 = 8<<20 | 1
	loop = 7 << 20
)

// disk puts a device into the snapshots.
func (s *story) disk(id, parent int64, name, kind string, size int64) *format.Disk {
	s.disks = append(s.disks, format.Disk{TsNs: mono0, DeviceID: id, ParentID: parent, Name: name, Kind: kind, Rotational: -1, SizeBytes: size})
	return &s.disks[len(s.disks)-1]
}

// io adds a request to a device.
func (s *story) io(device int64, pid int32, at, queue, inDevice int64, op format.Operation, bytes int64) *format.IO {
	s.ios = append(s.ios, format.IO{
		StartNs: mono0 + at, QueueNs: queue, DeviceNs: inDevice, DeviceID: device, Op: op, Bytes: bytes, PID: pid, TID: pid,
	})
	return &s.ios[len(s.ios)-1]
}

// withBlock says that the collector ran.
func (s *story) withBlock() {
	s.manifest.Collectors = append(s.manifest.Collectors, format.Collector{Name: "block", Variants: map[string]string{"issue": "tp_btf"}})
}

// database is a disk with a partition, a loop device on a file of it, and a
// database that reads and writes: 10 reads of 4 KiB, 1 ms in the queue and
// 2 ms in the device, one a window; a write of 5000 bytes, and a flush.
func database(t *testing.T) *story {
	s := newStory(t, "node1")
	s.withBlock()
	s.process(100, "db")
	s.process(50, "kernel").Comm = "kworker/u8:2"
	s.process(51, "kernel").Comm = "jbd2/sda1-8"
	d := s.disk(sda, 0, "sda", "disk", 1<<40)
	d.Rotational, d.Model, d.Scheduler = 1, "ST1000", "mq-deadline"
	s.disk(sda1, sda, "sda1", "partition", 1<<39)
	s.disk(loop, sda1, "loop0", "loop", 1<<30)
	s.disk(loop+1, 0, "loop1", "loop", 0)
	s.mounts = []format.Mount{
		{TsNs: mono0, MntnsID: 1, DeviceID: sda1, Point: "/", Type: "ext4", Source: "/dev/sda1"},
		{TsNs: mono0, MntnsID: 2, DeviceID: sda1, Point: "/etc/hosts", Type: "ext4", Source: "/dev/sda1"},
		{TsNs: mono0, MntnsID: 1, DeviceID: loop, Point: "/mnt", Type: "ext4", Source: "/dev/loop0"},
		{TsNs: mono0, MntnsID: 1, DeviceID: 25, Point: "/proc", Type: "proc", Source: "proc"},
	}
	for i := range int64(10) {
		s.io(sda, 100, i*second+second/2, ms, 2*ms, format.OperationRead, 4096)
	}
	s.io(sda, 100, 2*second, 0, 5*ms, format.OperationWrite, 5000).Merges = 2
	s.io(sda, 51, 2*second+ms, 0, 8*ms, format.OperationFlush, 0)
	return s
}

func diskNamed(t *testing.T, a *Analysis, name string) *Disk {
	t.Helper()
	for i := range a.Disks {
		if a.Disks[i].Name == name {
			return &a.Disks[i]
		}
	}
	t.Fatalf("no disk %q among %+v", name, a.Disks)
	return nil
}

func TestDisk(t *testing.T) {
	a := analyzed(t, Options{}, database(t))
	d := diskNamed(t, a, "sda")
	if d.Kind != "disk" || d.Model != "ST1000" || d.Scheduler != "mq-deadline" || d.SizeBytes != 1<<40 || d.Rotational == nil || !*d.Rotational {
		t.Errorf("sda is %+v", d)
	}
	if !slices.Equal(d.Mounts, []string{"/"}) || len(d.Below) != 0 || d.Capture != "node1.kmon" || d.Coverage != 1 {
		t.Errorf("sda is mounted at %q, on %q, of %s, coverage %g", d.Mounts, d.Below, d.Capture, d.Coverage)
	}
	if d.IOs != 12 || d.ReadBytes != 40960 || d.WriteBytes != 5000 || d.RatePerS != 1.2 || d.ReadBytesPerS != 4096 || d.WriteBytesPerS != 500 {
		t.Errorf("%d IOs, %d read, %d written, %g/s %g/s %g/s", d.IOs, d.ReadBytes, d.WriteBytes, d.RatePerS, d.ReadBytesPerS, d.WriteBytesPerS)
	}
	if d.Merges != 2 || d.Errors != 0 || d.Requeues != 0 {
		t.Errorf("%d merges, %d errors, %d requeues", d.Merges, d.Errors, d.Requeues)
	}
	// 10 × 3 ms + 5 ms + 8 ms under way, in 10 s.
	if got := d.MeanInFlight; got < 0.00429 || got > 0.00431 {
		t.Errorf("%g IOs in flight, want 0.0043", got)
	}
	if d.Latency.Count != 12 || !near(d.Latency.P50, 3*ms) || d.Latency.Max != 8*ms || d.Device.Count != 12 || !near(d.Device.P50, 2*ms) {
		t.Errorf("latency %+v, device %+v", d.Latency, d.Device)
	}
	if d.Queue.Count != 10 || d.Queue.Max != ms {
		t.Errorf("the queue is not known of two: %+v", d.Queue)
	}
}

// An IO that had not ended is only counted: how long it takes is not known.
func TestOpenIOIsOnlyCounted(t *testing.T) {
	s := database(t)
	s.io(sda, 100, 9*second, 0, second, format.OperationWrite, 0).Flags = format.IOOpen
	want, got := diskNamed(t, analyzed(t, Options{}, database(t)), "sda"), diskNamed(t, analyzed(t, Options{}, s), "sda")
	if got.Open != 1 || want.Open != 0 {
		t.Errorf("%d open IOs, and %d without any", got.Open, want.Open)
	}
	got.Open = 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Each operation has its classes of sizes: 4096 bytes are in that of 4096,
// 5000 in that of 8192.
func TestDiskOperations(t *testing.T) {
	type line struct {
		operation  string
		to         int64
		ios, bytes int64
		max        int64
	}
	var got []line
	for _, o := range diskNamed(t, analyzed(t, Options{}, database(t)), "sda").Operations {
		got = append(got, line{o.Operation, o.SizeTo, o.IOs, o.Bytes, o.Latency.Max})
		if o.Latency.Count != o.IOs || o.Device.Count != o.IOs {
			t.Errorf("%s: %d IOs, latencies of %d and %d", o.Operation, o.IOs, o.Latency.Count, o.Device.Count)
		}
	}
	want := []line{{"read", 4096, 10, 40960, 3 * ms}, {"write", 8192, 1, 5000, 5 * ms}, {"flush", 0, 1, 0, 8 * ms}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Threads of the kernel are told apart, and what was written through the page
// cache is the flusher's.
func TestDiskUsers(t *testing.T) {
	s := database(t)
	s.io(sda, 50, 3*second, ms, ms, format.OperationWrite, 1<<20)
	s.io(sda, 50, 3*second, ms, ms, format.OperationWrite, 4096).Flags = format.IOSync
	s.io(sda, 0, 4*second, ms, ms, format.OperationRead, 4096)
	type line struct {
		service, comm      string
		ios, read, written int64
	}
	var got []line
	a := analyzed(t, Options{}, s)
	for _, u := range diskNamed(t, a, "sda").Users {
		got = append(got, line{u.Service, u.Comm, u.IOs, u.ReadBytes, u.WriteBytes})
	}
	want := []line{
		{"db", "", 11, 40960, 5000}, {"kernel", "flusher", 1, 0, 1 << 20}, {"kernel", "jbd2/sda1-8", 1, 0, 0},
		{"kernel", "kworker", 1, 0, 4096}, {UnknownProcess, "", 1, 4096, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Services that do nothing but IO are listed.
	if db := serviceNamed(t, a, "db"); db.Requests != 0 || db.Ends != "" {
		t.Errorf("db is %+v", db)
	}
}

// The loop device's IO is done by the disk that its file is on, and counted
// there too; an idle loop device is not listed.
func TestDiskBelow(t *testing.T) {
	s := database(t)
	s.io(loop, 100, 5*second, ms, 4*ms, format.OperationRead, 4096)
	s.io(sda1, 50, 5*second, ms, 3*ms, format.OperationRead, 4096) // named by its partition
	a := analyzed(t, Options{}, s)
	if len(a.Disks) != 2 || a.Disks[0].Name != "loop0" {
		t.Fatalf("disks are %+v", a.Disks)
	}
	l, d := diskNamed(t, a, "loop0"), diskNamed(t, a, "sda")
	if !slices.Equal(l.Below, []string{"sda"}) || !slices.Equal(l.Mounts, []string{"/mnt"}) || l.IOs != 1 || l.Rotational != nil {
		t.Errorf("loop0 is %+v", l)
	}
	if d.IOs != 13 {
		t.Errorf("sda has %d IOs, want 13", d.IOs)
	}
	bottom, top, below := int64(0), int64(0), map[string]bool{}
	for _, d := range a.Disks {
		for _, name := range d.Below {
			below[name] = true
		}
	}
	for _, d := range a.Disks {
		if len(d.Below) == 0 {
			bottom += d.IOs
		}
		if !below[d.Name] {
			top += d.IOs
		}
	}
	if bottom != 13 || top != 1 {
		t.Errorf("%d IOs at the bottom, %d at the top, want 13 and 1", bottom, top)
	}
}

func TestDiskSeries(t *testing.T) {
	d := diskNamed(t, analyzed(t, Options{}, database(t)), "sda")
	sum := int64(0)
	for i, p := range d.Series {
		want := DiskPoint{StartNs: unix0 + int64(i)*second, IOs: 1, ReadBytes: 4096, Count: 1, P50: 3 * ms, P99: 3 * ms, Max: 3 * ms}
		if i == 2 {
			want.IOs, want.WriteBytes, want.Count, want.P50, want.P99, want.Max = 3, 5000, 3, p.P50, p.P99, 8*ms
			if !near(p.P50, 5*ms) || !near(p.P99, 8*ms) {
				t.Errorf("window 2: p50 %d, p99 %d", p.P50, p.P99)
			}
		}
		latencies := []int64{3 * ms}
		if i == 2 {
			latencies = append(latencies, 5*ms, 8*ms)
		}
		for _, ns := range latencies {
			want.Classes = append(want.Classes, ClassCount{stat.ClassOf(ns), 1})
		}
		if !reflect.DeepEqual(p, want) {
			t.Errorf("window %d: %+v, want %+v", i, p, want)
		}
		sum += p.IOs
	}
	if sum != d.IOs || len(d.Series) != 10 {
		t.Errorf("%d windows hold %d IOs of %d", len(d.Series), sum, d.IOs)
	}
}

func TestDiskFilters(t *testing.T) {
	a := analyzed(t, Options{Since: "2s", Until: "4s"}, database(t))
	if d := diskNamed(t, a, "sda"); d.IOs != 4 || d.ReadBytes != 8192 || d.RatePerS != 2 || len(d.Series) != 2 {
		t.Errorf("two seconds of sda: %d IOs, %d read, %g/s, %d windows", d.IOs, d.ReadBytes, d.RatePerS, len(d.Series))
	}
	a = analyzed(t, Options{Services: []string{"kernel"}}, database(t))
	if d := diskNamed(t, a, "sda"); d.IOs != 1 || len(d.Users) != 1 || d.Users[0].Service != "kernel" {
		t.Errorf("the kernel's part of sda is %+v", d)
	}
	if len(a.Services) != 1 || a.Services[0].Name != "kernel" {
		t.Errorf("services are %+v", a.Services)
	}
}

// What the collector did not record is not there; what it recorded none of is
// 0, and what it lost stands beside the numbers.
func TestDiskCoverage(t *testing.T) {
	if a := analyzed(t, Options{}, loopback(t, 1)); a.Disks != nil {
		t.Errorf("disks that nobody recorded: %+v", a.Disks)
	}
	idle := loopback(t, 1)
	idle.withBlock()
	idle.disk(sda, 0, "sda", "disk", 1<<40)
	d := diskNamed(t, analyzed(t, Options{}, idle), "sda")
	if d.IOs != 0 || d.Latency.Count != 0 || len(d.Operations) != 0 || d.Series == nil || len(d.Series) != 0 {
		t.Errorf("an idle disk is %+v", d)
	}
	lossy := database(t)
	lossy.losses = []format.Loss{{StartNs: mono0, EndNs: mono0 + second, Collector: "block", Table: "ios", Cause: format.LossRingFull, Count: 4}}
	if d := diskNamed(t, analyzed(t, Options{}, lossy), "sda"); d.Coverage != 0.75 {
		t.Errorf("12 of 16 IOs were seen, coverage is %g", d.Coverage)
	}
}

// Two hosts may each have a disk of the same name.
func TestDisksOfTwoCaptures(t *testing.T) {
	other := newStory(t, "node2")
	other.withBlock()
	other.disk(sda, 0, "sda", "disk", 1<<40)
	other.io(sda, 7, second, ms, ms, format.OperationRead, 512)
	a := analyzed(t, Options{}, database(t), other)
	var got []any
	for _, d := range a.Disks {
		if d.IOs > 0 {
			got = append(got, d.Capture, d.Name, d.IOs)
		}
	}
	if want := []any{"node1.kmon", "sda", int64(12), "node2.kmon", "sda", int64(1)}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
