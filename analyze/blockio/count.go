package blockio

import (
	"math"
	"math/bits"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

const (
	operations = int(format.OperationOther) + 1
	classes    = 64
)

// Counts is what rows of a device, of a user or of a window add up to.
type Counts struct {
	IOs        int64
	ReadBytes  int64
	WriteBytes int64
}

func (c *Counts) add(o *Counts) {
	c.IOs += o.IOs
	c.ReadBytes += o.ReadBytes
	c.WriteBytes += o.WriteBytes
}

func (c *Counts) count(op format.Operation, bytes int64) {
	c.IOs++
	switch op {
	case format.OperationRead:
		c.ReadBytes += bytes
	case format.OperationWrite:
		c.WriteBytes += bytes
	}
}

// User is who asked for IO.
type User struct {
	Service string // "": not known
	Comm    string // of a kernel thread, what it is; else ""
}

// Key names a device of a capture.
type Key struct {
	Capture int
	Device  int64
}

// Class is an operation and a size: the IOs of at most Size bytes, and more
// than half of it. Size is a power of two, 0 for IOs without data.
type Class struct {
	Operation format.Operation
	Size      int64
}

// Disk is the IO of one device.
type Disk struct {
	Counts
	Errors   int64
	Requeues int64
	Merges   int64
	Open     int64       // had not ended when the recording did; in no other number
	Latency  stat.Sketch // queue + device
	Queue    stat.Sketch // of the IOs whose time in the queue is known
	Device   stat.Sketch
	Classes  map[Class]*ClassStats
	Users    map[User]*UserStats
	Windows  map[int32]*Window // only those with IOs
}

// ClassStats is the IOs of one class.
type ClassStats struct {
	IOs     int64
	Bytes   int64
	Latency stat.Sketch
	Device  stat.Sketch
}

// UserStats is the IOs of one user.
type UserStats struct {
	Counts
	Latency stat.Sketch
}

// Merge adds o to s and leaves o as it is.
func (s *UserStats) Merge(o *UserStats) {
	s.add(&o.Counts)
	s.Latency.Merge(&o.Latency)
}

// Window is the IOs that were asked for within one window.
type Window struct {
	Counts
	Latency stat.Sketch // empty in a Partial that is Coarse
}

func newDisk() *Disk {
	return &Disk{Classes: map[Class]*ClassStats{}, Users: map[User]*UserStats{}, Windows: map[int32]*Window{}}
}

// merge adds o to d and leaves o as it is.
func (d *Disk) merge(o *Disk) {
	d.add(&o.Counts)
	d.Errors += o.Errors
	d.Requeues += o.Requeues
	d.Merges += o.Merges
	d.Open += o.Open
	d.Latency.Merge(&o.Latency)
	d.Queue.Merge(&o.Queue)
	d.Device.Merge(&o.Device)
	for class, stats := range o.Classes {
		to := made(d.Classes, class)
		to.IOs += stats.IOs
		to.Bytes += stats.Bytes
		to.Latency.Merge(&stats.Latency)
		to.Device.Merge(&stats.Device)
	}
	for user, stats := range o.Users {
		made(d.Users, user).Merge(stats)
	}
	for index, window := range o.Windows {
		to := made(d.Windows, index)
		to.add(&window.Counts)
		to.Latency.Merge(&window.Latency)
	}
}

// made gives the value of a key, making it when it is missing.
func made[K comparable, V any](m map[K]*V, key K) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}

// maxWindowWords bounds the distributions of all windows of a Partial, in 8
// bytes: 48 MB.
const maxWindowWords = 6 << 20

// PartKey is a part of the IO of a disk: that of a user, or of a class.
type PartKey struct {
	Key
	User  User
	Class Class // of no operation: the part is of a user
}

// Partial is the result of some rows. The zero value is that of none.
type Partial struct {
	Disks map[Key]*Disk
	// Parts are by window: IOs, bytes read (of a class: all), bytes written (of a class:
	// ns in the device), ns of latency; the largest is the longest latency. nil: there
	// are none.
	Parts *replay.Sums[PartKey]
	// Coarse says that the windows have no distributions: they needed more
	// memory than there is for them. Those of some rows need no more than
	// those of all, so the order of rows and of merges does not matter.
	Coarse bool
}

// Disk gives the disk of a key, never nil.
func (p *Partial) Disk(key Key) *Disk {
	if p.Disks == nil {
		p.Disks = map[Key]*Disk{}
	}
	d := p.Disks[key]
	if d == nil {
		d = newDisk()
		p.Disks[key] = d
	}
	return d
}

// parts gives Parts, which has such windows if there is none yet.
func (p *Partial) parts(w replay.Windows) *replay.Sums[PartKey] {
	if p.Parts == nil {
		p.Parts = replay.NewSums[PartKey](w)
	}
	return p.Parts
}

// Merge adds o to p and leaves o as it is.
func (p *Partial) Merge(o *Partial) {
	p.Coarse = p.Coarse || o.Coarse
	if o.Parts != nil {
		p.parts(o.Parts.Windows).Merge(o.Parts)
	}
	for key, disk := range o.Disks {
		p.Disk(key).merge(disk)
	}
	words := 0
	for _, d := range p.Disks {
		for _, w := range d.Windows {
			words += w.Latency.Size()
		}
	}
	if p.Coarse || words > maxWindowWords {
		p.coarsen()
	}
}

// coarsen gives the distributions of windows up.
func (p *Partial) coarsen() {
	p.Coarse = true
	for _, d := range p.Disks {
		for _, w := range d.Windows {
			w.Latency = stat.Sketch{}
		}
	}
}

// sizeClass gives the class of a size: the bits of the next power of two.
func sizeClass(bytes int64) int {
	if bytes <= 0 {
		return 0
	}
	return min(bits.Len64(uint64(bytes-1))+1, classes-1)
}

// classSize gives the largest size of a class.
func classSize(class int) int64 {
	if class == 0 {
		return 0
	}
	return int64(1) << min(class-1, 62)
}

// sum adds durations of a row, as large as they may be.
func sum(a, b int64) int64 {
	a, b = max(a, 0), max(b, 0)
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
