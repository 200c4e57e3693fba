package blockio

import (
	"kmon/analyze/replay"
	"kmon/analyze/stat"
	"kmon/format"
)

// maxCounterBytes bounds the dense counters of an Accumulator; maxCounted
// keeps them from overflowing.
const (
	maxCounterBytes = 16 << 20
	maxCounted      = 1 << 31
)

// Accumulator adds rows of one capture up. It belongs to one goroutine.
type Accumulator struct {
	capture  int
	offsetNs int64
	windows  replay.Windows
	tree     *Tree
	user     func(*format.IO) (User, bool)
	partial  Partial
	pool     stat.Pool
	disks    map[int64]*counter
	counted  int64 // rows since the last flush
	words    int   // of all windows' distributions
}

// New gives an empty Accumulator for a capture whose monotonic times become
// Unix times by adding offsetNs. user names who asked for an IO and says
// whether the row counts at all.
func New(capture int, offsetNs int64, w replay.Windows, t *Tree, user func(*format.IO) (User, bool)) *Accumulator {
	return &Accumulator{capture: capture, offsetNs: offsetNs, windows: w, tree: t, user: user, disks: map[int64]*counter{}}
}

// counter counts the rows of one device since the last flush.
type counter struct {
	key     Key
	disk    *Disk
	latency stat.Builder
	queue   stat.Builder
	device  stat.Builder
	classes perClass[classCounter]
	users   map[User]*userCounter
	index   int32   // of window
	window  *Window // that within is of; nil: none
	within  stat.Builder
}

type classCounter struct {
	ios, bytes      int64
	latency, device stat.Builder
	within          replay.Sum // of the window, as Partial.Parts
}

type userCounter struct {
	Counts
	latency stat.Builder
	within  replay.Sum
}

// Add counts rows. It keeps nothing of them.
func (a *Accumulator) Add(rows []format.IO) {
	for i := range rows {
		row := &rows[i]
		at := row.StartNs + a.offsetNs
		if !a.windows.Holds(at) {
			continue
		}
		if user, ok := a.user(row); ok {
			a.count(a.counter(row.DeviceID), row, user, a.windows.Of(at))
			a.counted++
		}
	}
	if a.pool.Bytes() > maxCounterBytes || a.counted > maxCounted {
		a.flush()
	}
}

// counter gives the counter of the disk that a device is or lies on.
func (a *Accumulator) counter(device int64) *counter {
	id, c := diskOf(a.tree, a.disks, device)
	if c != nil {
		return c
	}
	key := Key{a.capture, id}
	c = &counter{key: key, disk: a.partial.Disk(key), users: map[User]*userCounter{}}
	a.disks[id] = c
	return c
}

// diskOf gives the disk that a device is or lies on, and what there is of it already:
// beyond maxUsed disks, OtherDevices.
func diskOf[T any](t *Tree, disks map[int64]*T, device int64) (id int64, known *T) {
	id = t.Whole(device)
	if known = disks[id]; known == nil && len(disks) >= maxUsed {
		id = OtherDevices
		known = disks[id]
	}
	return id, known
}

// count counts a row at a device.
func (a *Accumulator) count(c *counter, row *format.IO, user User, window int32) {
	d := c.disk
	if row.Flags&format.IOOpen != 0 {
		d.Open++
		return
	}
	bytes, latency := max(row.Bytes, 0), sum(row.QueueNs, row.DeviceNs)
	d.count(row.Op, bytes)
	if row.Error != 0 {
		d.Errors++
	}
	d.Requeues += int64(max(row.Requeues, 0))
	d.Merges += int64(max(row.Merges, 0))
	if c.window == nil || window != c.index {
		a.flushWindow(c)
		c.window, c.index = made(d.Windows, window), window
	}
	c.latency.Add(latency, &a.pool)
	c.device.Add(row.DeviceNs, &a.pool)
	if row.QueueNs > 0 { // 0: not known
		c.queue.Add(row.QueueNs, &a.pool)
	}
	class := c.classes.at(row.Op, bytes)
	class.ios++
	class.bytes += bytes
	class.latency.Add(latency, &a.pool)
	class.device.Add(row.DeviceNs, &a.pool)
	class.within.Add(replay.Sum{Values: [4]int64{1, bytes, max(row.DeviceNs, 0), latency}, Max: [2]int64{latency}})
	u := made(c.users, user)
	u.count(row.Op, bytes)
	u.latency.Add(latency, &a.pool)
	var counts Counts
	counts.count(row.Op, bytes)
	u.within.Add(replay.Sum{Values: [4]int64{1, counts.ReadBytes, counts.WriteBytes, latency}, Max: [2]int64{latency}})
	c.window.count(row.Op, bytes)
	c.within.Add(latency, &a.pool)
}

// perClass holds a counter for each class that had IOs.
type perClass[T any] [operations][classes]*T

func (p *perClass[T]) at(op format.Operation, bytes int64) *T {
	if op <= 0 || int(op) >= operations {
		op = format.OperationOther
	}
	at := &p[op][sizeClass(bytes)]
	if *at == nil {
		*at = new(T)
	}
	return *at
}

// Partial gives what was added up so far, and empties the Accumulator.
func (a *Accumulator) Partial() *Partial {
	a.flush()
	p := a.partial
	a.partial, a.disks, a.words = Partial{}, map[int64]*counter{}, 0
	return &p
}

// flush moves all counters to the partial.
func (a *Accumulator) flush() {
	for _, c := range a.disks {
		a.flushWindow(c)
		c.flush(&a.pool)
	}
	a.counted = 0
}

func (c *counter) flush(pool *stat.Pool) {
	c.latency.Flush(&c.disk.Latency, pool)
	c.queue.Flush(&c.disk.Queue, pool)
	c.device.Flush(&c.disk.Device, pool)
	for op := range c.classes {
		for size, from := range c.classes[op] {
			if from == nil {
				continue
			}
			to := made(c.disk.Classes, Class{format.Operation(op), classSize(size)})
			to.IOs += from.ios
			to.Bytes += from.bytes
			from.latency.Flush(&to.Latency, pool)
			from.device.Flush(&to.Device, pool)
			c.classes[op][size] = nil
		}
	}
	for user, from := range c.users {
		to := made(c.disk.Users, user)
		to.add(&from.Counts)
		from.latency.Flush(&to.Latency, pool)
	}
	clear(c.users)
}

// flushParts moves what users and classes did in the window at hand to the partial.
func (a *Accumulator) flushParts(c *counter) {
	parts, at := a.partial.parts(a.windows), a.windows.BaseNs+int64(c.index)*a.windows.WidthNs
	move := func(k PartKey, from *replay.Sum) {
		if from.Values[0] > 0 {
			k.Key = c.key
			parts.Add(k, at, *from)
			*from = replay.Sum{}
		}
	}
	for op := range c.classes {
		for size, class := range c.classes[op] {
			if class != nil {
				move(PartKey{Class: Class{format.Operation(op), classSize(size)}}, &class.within)
			}
		}
	}
	for user, u := range c.users {
		move(PartKey{User: user}, &u.within)
	}
}

// flushWindow moves what the window at hand has to the partial.
func (a *Accumulator) flushWindow(c *counter) {
	if c.window == nil {
		return
	}
	a.flushParts(c)
	to := &c.window.Latency
	a.words -= to.Size()
	c.within.Flush(to, &a.pool)
	a.words += to.Size()
	c.window = nil
	if a.partial.Coarse {
		*to = stat.Sketch{}
	} else if a.words > maxWindowWords {
		a.partial.coarsen()
	}
}
