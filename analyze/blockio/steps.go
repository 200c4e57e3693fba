package blockio

import (
	"cmp"
	"maps"
	"slices"

	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

const (
	// maxStepWords bounds the distributions of all Steps of a capture, in 8 bytes:
	// 16 MB. Beyond it the windows that come have none.
	maxStepWords = 2 << 20
	// maxUserSteps bounds the parts of users, 56 bytes each; what more there is
	// is nobody's (party -1).
	maxUserSteps = 1 << 18
)

// Nobody is the party of IO whose user is not told.
const Nobody = int32(-1)

// DiskStep is the IOs of one disk that began in one window.
type DiskStep struct {
	Errors  int64
	Classes map[Class]*ClassStep
	Users   map[int32]*UserStep // by party, or Nobody
}

// ClassStep is the IOs of one class in a window.
type ClassStep struct {
	IOs, Bytes    int64
	Queue, Device stat.Sketch // Queue only of IOs whose time in it is known
}

// UserStep is what one party asked for in a window. TotalNs is of latencies.
type UserStep struct {
	Counts
	Bytes, TotalNs int64
}

// DiskSteps is one disk.
type DiskSteps struct {
	Windows map[int32]*DiskStep
	// BusyNs is by window how long the device had at least one IO; nil: never.
	BusyNs []int64

	busy    busy
	index   int32
	open    *DiskStep // that classes are of; nil: none
	classes perClass[stepCounter]
}

type stepCounter struct {
	ios, bytes    int64
	queue, device stat.Builder
}

// Steps adds the IOs of one capture up by disk, window, class and party, for the
// findings.
type Steps struct {
	Rows  []int64              // by window
	Disks map[int64]*DiskSteps // by device; OtherDevices: those beyond maxUsed
	// Coarse says that some windows have no distributions, Folded that some IO is
	// nobody's.
	Coarse, Folded bool

	windows      replay.Windows
	offsetNs     int64
	tree         *Tree
	pool         stat.Pool
	words, users int
}

// NewSteps is the steps of no rows of a capture.
func NewSteps(offsetNs int64, w replay.Windows, t *Tree) *Steps {
	return &Steps{Rows: make([]int64, w.Count), Disks: map[int64]*DiskSteps{}, windows: w, offsetNs: offsetNs, tree: t}
}

// Add counts a row within the windows, asked for by a party.
func (st *Steps) Add(party int32, row *format.IO) {
	at := row.StartNs + st.offsetNs
	index := st.windows.Of(at)
	st.Rows[index]++
	d := st.disk(row.DeviceID)
	issued := sum(at, row.QueueNs)
	if done := sum(issued, row.DeviceNs); done > issued {
		d.busy.add(issued, done, &st.windows)
	}
	if row.Flags&format.IOOpen != 0 {
		return
	}
	if d.open == nil || d.index != index {
		st.flush(d)
		d.index, d.open = index, d.window(index)
	}
	if row.Error != 0 {
		d.open.Errors++
	}
	bytes := max(row.Bytes, 0)
	d.classes.at(row.Op, bytes).count(row, bytes, &st.pool)
	u := st.user(d.open, party)
	u.count(row.Op, bytes)
	u.Bytes = sum(u.Bytes, bytes)
	u.TotalNs = sum(u.TotalNs, sum(row.QueueNs, row.DeviceNs))
}

func (c *stepCounter) count(row *format.IO, bytes int64, pool *stat.Pool) {
	c.ios++
	c.bytes = sum(c.bytes, bytes)
	c.device.Add(row.DeviceNs, pool)
	if row.QueueNs > 0 { // 0: not known
		c.queue.Add(row.QueueNs, pool)
	}
}

// disk gives the steps of the disk that a device is or lies on.
func (st *Steps) disk(device int64) *DiskSteps {
	id, d := diskOf(st.tree, st.Disks, device)
	if d != nil {
		return d
	}
	d = &DiskSteps{Windows: map[int32]*DiskStep{}}
	st.Disks[id] = d
	return d
}

func (d *DiskSteps) window(index int32) *DiskStep {
	w := d.Windows[index]
	if w == nil {
		w = &DiskStep{Classes: map[Class]*ClassStep{}, Users: map[int32]*UserStep{}}
		d.Windows[index] = w
	}
	return w
}

func (st *Steps) user(w *DiskStep, party int32) *UserStep {
	u := w.Users[party]
	if u == nil && st.users >= maxUserSteps {
		st.Folded, party = true, Nobody
		u = w.Users[party]
	}
	if u == nil {
		u = new(UserStep)
		w.Users[party] = u
		st.users++
	}
	return u
}

// flush moves the counters to the window they are of.
func (st *Steps) flush(d *DiskSteps) {
	if d.open == nil {
		return
	}
	for op := range d.classes {
		for size, from := range d.classes[op] {
			if from == nil {
				continue
			}
			to := made(d.open.Classes, Class{format.Operation(op), classSize(size)})
			to.IOs += from.ios
			to.Bytes = sum(to.Bytes, from.bytes)
			st.words -= to.Queue.Size() + to.Device.Size()
			from.queue.Flush(&to.Queue, &st.pool)
			from.device.Flush(&to.Device, &st.pool)
			st.words += to.Queue.Size() + to.Device.Size()
			if st.words > maxStepWords {
				st.Coarse = true
				st.words -= to.Queue.Size() + to.Device.Size()
				to.Queue, to.Device = stat.Sketch{}, stat.Sketch{}
			}
			d.classes[op][size] = nil
		}
	}
	d.open = nil
}

// Finish ends the adding up.
func (st *Steps) Finish() {
	for _, d := range st.Disks {
		st.flush(d)
		d.BusyNs = d.busy.result(&st.windows)
		d.busy = busy{}
	}
}

// SortedClasses gives classes by operation, then size.
func SortedClasses[T any](of map[Class]T) []Class {
	return slices.SortedFunc(maps.Keys(of), func(a, b Class) int {
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Size, b.Size))
	})
}
