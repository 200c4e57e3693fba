package flame

import (
	"cmp"
	"context"
	"strconv"

	"kmon/analyze/replay"
	"kmon/format"
)

// Kind is what a tree adds up.
type Kind int

// The kinds.
const (
	OnCPU  Kind = iota // samples of what ran
	OffCPU             // nanoseconds waited
	kinds
)

// String gives the word of a kind.
func (k Kind) String() string { return [...]string{"on-cpu", "off-cpu"}[k] }

// Unit gives the unit of a kind's values.
func (k Kind) Unit() string { return [...]string{"samples", "ns"}[k] }

// Options say which rows count, and how finely time is divided.
type Options struct {
	// FromNs and ToNs bound what counts, Unix: samples taken in [FromNs, ToNs),
	// waits of intervals whose middle lies there.
	FromNs, ToNs int64
	// StartNs and EndNs are where time is expected to begin and end, Unix.
	StartNs, EndNs int64
	// Wanted says whether a service counts; nil: all do.
	Wanted func(service string) bool
	// Several: the captures are several, so a process without a name is told
	// apart by its host.
	Several bool
	// Whole: one bucket for all time, for those who need no moments.
	Whole bool
}

// Builder adds captures up. The zero value is not ready; see New.
type Builder struct {
	options  Options
	tree     *Tree
	cells    [kinds]cells
	rows     [kinds]int64 // that counted
	heatAxis axis
	all      heat
	services []service
	byName   map[string]int32
	sampleNs samplePeriod
	interval int64 // longest
	capture  *capture
}

// service is a root of the tree.
type service struct {
	name string
	node int32
	heat heat
}

// unnamed is the service of processes without any name.
const unnamed = "(no name)"

// unwanted is the index of a service that does not count.
const unwanted = int32(-2)

// capture is the capture being added.
type capture struct {
	*replay.Capture
	symbols *symbols
	owners  []int32         // owner → service; -1: not looked up
	unknown map[int32]int32 // pid → service, of processes nobody knows
	leaves  map[leaf]int32
}

// leaf is what decides a row's path.
type leaf struct {
	service      int32
	state        format.ThreadState // 0: on the CPU
	user, kernel int64
}

// New gives an empty Builder.
func New(o Options) *Builder {
	b := &Builder{options: o, tree: newTree(), byName: map[string]int32{}, heatAxis: heatAxis(o.StartNs, o.EndNs)}
	width := bucketWidths[0]
	a := newAxis(o.StartNs, o.EndNs, width)
	for o.Whole && a.buckets > 1 {
		a, _ = a.widened()
	}
	for k := range b.cells {
		b.cells[k] = cells{axis: a, limit: maxCells}
	}
	return b
}

// Add adds a capture. The error is that of ctx.
func (b *Builder) Add(ctx context.Context, c *replay.Capture) error {
	symbols, err := readSymbols(c, b.tree)
	if err != nil {
		return err
	}
	b.capture = &capture{Capture: c, symbols: symbols, owners: make([]int32, c.Owners.Len()),
		unknown: map[int32]int32{}, leaves: map[leaf]int32{}}
	for i := range b.capture.owners {
		b.capture.owners[i] = -1
	}
	samples := b.rows[OnCPU]
	err = replay.Rows(c, "oncpu", func(rows []format.OnCPU) error {
		b.addOnCPU(rows)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	b.sampleNs.add(samplePeriodOf(c), b.rows[OnCPU]-samples)
	return replay.Rows(c, "offcpu", func(rows []format.OffCPU) error {
		b.addOffCPU(rows)
		return ctx.Err()
	})
}

func (b *Builder) addOnCPU(rows []format.OnCPU) {
	for i := range rows {
		row := &rows[i]
		ns := row.TsNs + b.capture.OffsetNs
		if ns < b.options.FromNs || ns >= b.options.ToNs {
			continue
		}
		s := b.serviceOf(row.PID, row.TsNs)
		if s == unwanted {
			continue
		}
		b.rows[OnCPU]++
		b.cells[OnCPU].add(ns, b.leaf(leaf{service: s, user: row.UserStackID, kernel: row.StackID}), 1)
		b.all.add(b.heatAxis, ns)
		b.services[s].heat.add(b.heatAxis, ns)
	}
}

func (b *Builder) addOffCPU(rows []format.OffCPU) {
	for i := range rows {
		row := &rows[i]
		length := max(row.EndNs-row.StartNs, 0)
		start := row.StartNs + b.capture.OffsetNs
		if middle := start + length/2; middle < b.options.FromNs || middle >= b.options.ToNs {
			continue
		}
		s := b.serviceOf(row.PID, row.EndNs)
		if s == unwanted {
			continue
		}
		b.rows[OffCPU]++
		b.interval = max(b.interval, length)
		b.cells[OffCPU].add(start, b.leaf(leaf{s, row.State, row.UserStackID, row.StackID}), row.TotalNs)
	}
}

// serviceOf gives the service of a process at a monotonic time, or unwanted.
func (b *Builder) serviceOf(pid int32, ns int64) int32 {
	c := b.capture
	owner := c.Owners.At(pid, ns)
	if owner < 0 {
		s, known := c.unknown[pid]
		if !known {
			s = b.service(b.nameless(pid))
			if len(c.unknown) >= maxCached {
				clear(c.unknown)
			}
			c.unknown[pid] = s
		}
		return s
	}
	if c.owners[owner] == -1 {
		c.owners[owner] = b.service(c.Owners.Get(owner).Service)
	}
	return c.owners[owner]
}

// nameless names a process that the capture does not describe, as the
// topology does.
func (b *Builder) nameless(pid int32) string {
	name := "pid " + strconv.Itoa(int(pid))
	if b.options.Several {
		name += " on " + b.capture.Host()
	}
	return name
}

// service gives the index of a service, or unwanted.
func (b *Builder) service(name string) int32 {
	if b.options.Wanted != nil && !b.options.Wanted(name) {
		return unwanted
	}
	if name == "" {
		name = unnamed
	}
	i, known := b.byName[name]
	if !known && len(b.services) >= maxServices {
		name = OtherName
		i, known = b.byName[name]
	}
	if !known {
		i = int32(len(b.services))
		b.byName[name] = i
		node := b.tree.add(Node{NoNode, b.tree.frame(Frame{Name: name, Kind: KindService})})
		b.services = append(b.services, service{name: name, node: node})
	}
	return i
}

// stateNames are the words for what was waited for.
var stateNames = map[format.ThreadState]string{
	format.StateSleep: "sleep", format.StateDisk: "disk", format.StateRunnable: "runnable",
}

// leaf gives the node where a row's path ends.
func (b *Builder) leaf(l leaf) int32 {
	c := b.capture
	node, known := c.leaves[l]
	if known {
		return node
	}
	node = b.services[l.service].node
	if l.state != 0 {
		name := stateNames[l.state]
		if name == "" {
			name = "state " + strconv.Itoa(int(l.state))
		}
		node = b.tree.child(node, b.tree.frame(Frame{Name: name, Kind: KindState}))
	}
	node = c.symbols.walk(node, l.user, KindUser)
	node = c.symbols.walk(node, l.kernel, KindKernel)
	if len(c.leaves) >= maxCached {
		clear(c.leaves)
	}
	c.leaves[l] = node
	return node
}

// samplePeriod is the mean time that samples stand for.
type samplePeriod struct{ ns, samples float64 }

func (p *samplePeriod) add(ns int64, samples int64) {
	if ns == 0 {
		return
	}
	p.ns += float64(ns) * float64(samples)
	p.samples += float64(samples)
}

func (p *samplePeriod) mean() int64 {
	if p.samples == 0 {
		return 0
	}
	return int64(p.ns/p.samples + 0.5)
}

// samplePeriodOf gives the time a sample of a capture stands for, 0: not known.
func samplePeriodOf(c *replay.Capture) int64 {
	for _, k := range c.Manifest.Collectors {
		if hz, err := strconv.ParseFloat(k.Settings["sample_hz"], 64); err == nil && hz >= 0.001 && hz <= 1e6 {
			return int64(1e9/hz + 0.5)
		}
	}
	return 0
}

// order compares by a number, then by a name.
func order(a, b int64, x, y string) int { return cmp.Or(cmp.Compare(a, b), cmp.Compare(x, y)) }
