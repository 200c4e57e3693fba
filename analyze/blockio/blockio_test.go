package blockio

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

const second = int64(1e9)

var (
	windows = replay.Windows{FromNs: 0, ToNs: 20 * second, WidthNs: second, Count: 20}
	flat    = NewTree(nil, nil)
)

// byPID names users after their process; pid 3 is not wanted.
func byPID(io *format.IO) (User, bool) {
	return User{Service: string(rune('a' + io.PID))}, io.PID != 3
}

// randomIOs gives rows of four disks over a little more than the windows, in
// about the order of their end.
func randomIOs(seed uint64, n int) []format.IO {
	r := rand.New(rand.NewPCG(seed, 7))
	rows := make([]format.IO, n)
	for i := range rows {
		rows[i] = format.IO{
			StartNs:  int64(i)*21*second/int64(n) + r.Int64N(second/10),
			QueueNs:  r.Int64N(2) * r.Int64N(1e6),
			DeviceNs: int64(math.Exp(r.Float64() * 20)), DeviceID: 8<<20 + r.Int64N(4),
			Bytes: 512 << r.IntN(12) * r.Int64N(3), Op: format.Operation(1 + r.IntN(6)),
			PID: r.Int32N(5), Error: r.Int32N(2) * r.Int32N(2), Requeues: r.Int32N(2), Merges: r.Int32N(3),
		}
	}
	return rows
}

func count(rows []format.IO) *Partial {
	a := New(0, 0, windows, flat, byPID)
	for part := range slices.Chunk(rows, 100) {
		a.Add(part)
	}
	return a.Partial()
}

// Everything adds up to what a plain count of the rows gives.
func TestCountsAreThoseOfTheRows(t *testing.T) {
	rows := randomIOs(1, 5000)
	got := count(rows)
	for id := range int64(4) {
		id += 8 << 20
		var want Disk
		var latency, queue []int64
		users, within := map[string]int64{}, map[int32]int64{}
		for _, io := range rows {
			if io.DeviceID != id || io.StartNs >= 20*second || io.PID == 3 {
				continue
			}
			want.IOs++
			if io.Op == format.OperationRead {
				want.ReadBytes += io.Bytes
			} else if io.Op == format.OperationWrite {
				want.WriteBytes += io.Bytes
			}
			want.Requeues += int64(io.Requeues)
			want.Merges += int64(io.Merges)
			want.Errors += int64(io.Error)
			latency = append(latency, io.QueueNs+io.DeviceNs)
			if io.QueueNs > 0 {
				queue = append(queue, io.QueueNs)
			}
			users[string(rune('a'+io.PID))]++
			within[int32(io.StartNs/second)]++
		}
		d := got.Disk(Key{0, id})
		if d.Counts != want.Counts || d.Errors != want.Errors || d.Requeues != want.Requeues || d.Merges != want.Merges {
			t.Errorf("device %d: %+v %d %d %d, want %+v %d %d %d", id, d.Counts, d.Errors, d.Requeues, d.Merges,
				want.Counts, want.Errors, want.Requeues, want.Merges)
		}
		checkSketch(t, "latency", &d.Latency, latency)
		checkSketch(t, "queue", &d.Queue, queue)
		bytes := int64(0)
		for class, c := range d.Classes {
			bytes += c.Bytes
			if c.Latency.Count() != c.IOs || c.Bytes > c.IOs*class.Size || c.Bytes*2 <= c.IOs*class.Size && class.Size > 0 {
				t.Errorf("class %+v has %d IOs of %d bytes", class, c.IOs, c.Bytes)
			}
		}
		for user, u := range d.Users {
			if u.IOs != users[user.Service] || u.Latency.Count() != u.IOs {
				t.Errorf("user %s: %d IOs, want %d", user.Service, u.IOs, users[user.Service])
			}
		}
		for index, w := range d.Windows {
			if w.IOs != within[index] || w.Latency.Count() != w.IOs {
				t.Errorf("window %d: %d IOs, want %d", index, w.IOs, within[index])
			}
		}
		if len(d.Users) != len(users) || len(d.Windows) != len(within) || bytes == 0 {
			t.Errorf("device %d: %d users, %d windows, %d bytes", id, len(d.Users), len(d.Windows), bytes)
		}
	}
}

func checkSketch(t *testing.T, name string, s *stat.Sketch, values []int64) {
	t.Helper()
	slices.Sort(values)
	n := len(values)
	exact := values[int(math.Ceil(0.99*float64(n)))-1]
	got := s.Quantile(0.99)
	if s.Count() != int64(n) || s.Max() != values[n-1] || math.Abs(float64(got-exact)) > stat.RelativeError*float64(exact) {
		t.Errorf("%s: %d values, p99 %d, max %d, want %d, %d, %d", name, s.Count(), got, s.Max(), n, exact, values[n-1])
	}
}

// Any order and any partition of the rows adds up to the same.
func TestMergeInAnyOrder(t *testing.T) {
	for seed := range uint64(5) {
		rows := randomIOs(seed, 3000)
		want := count(rows)
		r := rand.New(rand.NewPCG(seed, 8))
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var parts []*Partial
		for len(rows) > 0 {
			n := min(1+r.IntN(900), len(rows))
			parts = append(parts, count(rows[:n]))
			rows = rows[n:]
		}
		got := &Partial{}
		for _, i := range r.Perm(len(parts)) {
			got.Merge(parts[i])
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: another order gives another result", seed)
		}
	}
}

// Counters that are flushed early lose nothing.
func TestFlushBetween(t *testing.T) {
	rows := randomIOs(3, 2000)
	a := New(0, 0, windows, flat, byPID)
	for part := range slices.Chunk(rows, 100) {
		a.Add(part)
		a.flush()
	}
	if got := a.Partial(); !reflect.DeepEqual(got, count(rows)) {
		t.Error("flushing after each batch gives another result")
	}
	if a.pool.Bytes() != 0 {
		t.Errorf("%d bytes of counters are left", a.pool.Bytes())
	}
}

// Partials that need too much memory for their windows keep the counts.
func TestCoarse(t *testing.T) {
	rows := randomIOs(4, 2000)
	fine, a := count(rows), New(0, 0, windows, flat, byPID)
	a.Add(rows[:500])
	a.flush()
	a.partial.coarsen()
	a.Add(rows[500:])
	got := &Partial{}
	got.Merge(count(nil))
	got.Merge(a.Partial())
	if !got.Coarse || fine.Coarse {
		t.Fatalf("coarse %v and %v, want true and false", got.Coarse, fine.Coarse)
	}
	for key, d := range fine.Disks {
		for index, w := range d.Windows {
			g := got.Disk(key).Windows[index]
			if g.Counts != w.Counts || g.Latency.Count() != 0 {
				t.Errorf("device %d, window %d: %+v with %d latencies, want %+v", key.Device, index, g.Counts, g.Latency.Count(), w.Counts)
			}
		}
	}
}

// Values no kernel writes count as something, and don't overflow.
func TestHostileRows(t *testing.T) {
	a := New(0, math.MaxInt64/2, replay.Windows{FromNs: math.MinInt64, ToNs: math.MaxInt64, WidthNs: 1, Count: 3}, flat,
		func(*format.IO) (User, bool) { return User{}, true })
	a.Add([]format.IO{
		{StartNs: math.MaxInt64, QueueNs: math.MaxInt64, DeviceNs: math.MaxInt64, Bytes: math.MaxInt64, Op: 1, Requeues: -1, Merges: math.MinInt32},
		{StartNs: math.MinInt64, QueueNs: -5, DeviceNs: -7, Bytes: -1, Op: -3},
		{Op: math.MaxInt32, Bytes: math.MaxInt64, DeviceID: math.MinInt64},
	})
	d := a.Partial().Disk(Key{})
	if d.IOs != 2 || d.Latency.Max() != math.MaxInt64 || d.Latency.Min() != 0 || d.Requeues != 0 || d.Merges != 0 {
		t.Errorf("got %+v, max %d", d.Counts, d.Latency.Max())
	}
	for class := range d.Classes {
		if class.Size < 0 || class.Operation.String() == "" {
			t.Errorf("class %+v", class)
		}
	}
}

func TestDevicesAreBounded(t *testing.T) {
	a := New(0, 0, windows, flat, byPID)
	rows := make([]format.IO, maxUsed+500)
	for i := range rows {
		rows[i].DeviceID = int64(i)
	}
	a.Add(rows)
	p := a.Partial()
	if got := p.Disk(Key{0, OtherDevices}).IOs; len(p.Disks) != maxUsed+1 || got != 500 {
		t.Errorf("%d devices, %d IOs of others", len(p.Disks), got)
	}
}

func TestSizeClasses(t *testing.T) {
	for bytes, want := range map[int64]int64{0: 0, -1: 0, 1: 1, 2: 2, 3: 4, 512: 512, 513: 1024, 4096: 4096, 4097: 8192, 1 << 20: 1 << 20, 1 << 62: 1 << 62, math.MaxInt64: 1 << 62} {
		if got := classSize(sizeClass(bytes)); got != want {
			t.Errorf("%d bytes are in class %d, want %d", bytes, got, want)
		}
	}
}

func TestKernelThread(t *testing.T) {
	for _, test := range []struct {
		comm string
		io   format.IO
		want string
	}{
		{"kworker/u8:2", format.IO{Op: format.OperationWrite}, "flusher"},
		{"kworker/u8:2", format.IO{Op: format.OperationWrite, Flags: format.IOSync}, "kworker"},
		{"kworker/0:1H", format.IO{Op: format.OperationRead}, "kworker"},
		{"jbd2/sda1-8", format.IO{Op: format.OperationWrite}, "jbd2/sda1-8"},
		{"", format.IO{}, ""},
	} {
		if got := KernelThread(test.comm, &test.io); got != test.want {
			t.Errorf("%q: %q, want %q", test.comm, got, test.want)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	rows := randomIOs(9, 1<<16)
	a := New(0, 0, windows, flat, byPID)
	for i := 0; i < b.N; i += 1024 {
		at := i & (1<<16 - 1)
		a.Add(rows[at : at+1024])
	}
	a.Partial()
}
