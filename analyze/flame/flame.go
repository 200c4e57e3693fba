package flame

import (
	"cmp"
	"context"
	"math"
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
	// Party names the service of a process at a monotonic time of its capture,
	// and numbers the parties that it tells apart from 0 on.
	Party func(c *replay.Capture, pid int32, ns int64) (number int32, service string)
	// Sampled, if set, is shown the samples within the bounds as Add reads them,
	// whether they count or not, with their party and Unix time.
	Sampled func(c *replay.Capture, party int32, ns int64, row *format.OnCPU)
}

// Builder adds captures up. The zero value is not ready; see New.
type Builder struct {
	options  Options
	tree     *Tree
	self     [kinds][]int64 // by node: what ended in it
	rows     [kinds]int64   // that counted
	heatAxis axis
	all      heat
	services []service
	byName   map[string]int32
	parties  []int32 // party → service
	sampleNs samplePeriod
	interval int64 // longest
	left     [kinds]int64
	capture  *capture
	adding   bool // see Options.Sampled
}

// service is a root of the tree.
type service struct {
	name string
	node int32
	heat heat
}

// unnamed is the service of processes without any name.
const unnamed = "(no name)"

// Services that have no index: unwanted does not count, notYet was not looked
// up.
const (
	unwanted = int32(-2)
	notYet   = int32(-1)
)

// capture is the capture being added.
type capture struct {
	*replay.Capture
	symbols *symbols
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
	b.begin()
	return b
}

// row is what counts of a row of oncpu or offcpu.
type row struct {
	kind          Kind
	ns            int64 // sample taken, or interval began; Unix
	intervalNs    int64
	service, node int32
	value         int64
	sample        *format.OnCPU  // the row itself,
	wait          *format.OffCPU // of its kind
}

// Rows calls fn for each row of a capture that counts, with its service and
// the names on its path, root first; sample or wait is nil. All are valid
// during the call. It adds nothing up. The error is that of ctx or fn.
func (b *Builder) Rows(ctx context.Context, c *replay.Capture,
	fn func(service string, path []string, sample *format.OnCPU, wait *format.OffCPU) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	last, names := NoNode, []string{}
	err := b.read(ctx, c, func(r row) {
		if r.node != last {
			last, names = r.node, names[:0]
			for _, f := range b.tree.Path(r.node) {
				names = append(names, b.tree.Frames[f].Name)
			}
		}
		if err := fn(b.services[r.service].name, names, r.sample, r.wait); err != nil {
			stop(err)
		}
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Samples calls fn for each sample of a capture that counts, with the node of a
// tree that its path ends in; what a root stands for is the service. It adds
// nothing up. The error is that of ctx or fn.
func (b *Builder) Samples(ctx context.Context, c *replay.Capture, fn func(t *Tree, node int32, row *format.OnCPU) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := b.read(ctx, c, func(r row) {
		if r.sample == nil || ctx.Err() != nil {
			return
		}
		if err := fn(b.tree, r.node, r.sample); err != nil {
			stop(err)
		}
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Add adds a capture. The error is that of ctx.
func (b *Builder) Add(ctx context.Context, c *replay.Capture) error {
	samples := b.rows[OnCPU]
	b.adding = b.options.Sampled != nil
	defer func() { b.adding = false }()
	err := b.read(ctx, c, func(r row) {
		for int(r.node) >= len(b.self[r.kind]) {
			b.self[r.kind] = append(b.self[r.kind], 0)
		}
		b.self[r.kind][r.node] += r.value
		b.rows[r.kind]++
		b.interval = max(b.interval, r.intervalNs)
		if r.kind == OnCPU {
			b.all.add(b.heatAxis, r.ns)
			b.services[r.service].heat.add(b.heatAxis, r.ns)
		}
	})
	b.sampleNs.add(samplePeriodOf(c), b.rows[OnCPU]-samples)
	return err
}

// begin starts to read the captures, again: the values of all rows together
// stay below 1<<63, so that no sum overflows.
func (b *Builder) begin() { b.left = [kinds]int64{math.MaxInt64, math.MaxInt64} }

// take bounds a value by what is left.
func (b *Builder) take(k Kind, v int64) int64 {
	v = min(max(v, 0), b.left[k])
	b.left[k] -= v
	return v
}

// read calls fn for each row of a capture that counts.
func (b *Builder) read(ctx context.Context, c *replay.Capture, fn func(row)) error {
	symbols, err := readSymbols(c, b.tree)
	if err != nil {
		return err
	}
	b.capture = &capture{Capture: c, symbols: symbols, leaves: map[leaf]int32{}}
	defer func() { b.capture = nil }()
	err = replay.Rows(c, "oncpu", func(rows []format.OnCPU) error {
		for i := range rows {
			r := &rows[i]
			ns := r.TsNs + c.OffsetNs
			if ns < b.options.FromNs || ns >= b.options.ToNs {
				continue
			}
			party, s := b.partyOf(r.PID, r.TsNs)
			if b.adding {
				b.options.Sampled(c, party, ns, r)
			}
			if s != unwanted {
				fn(row{kind: OnCPU, ns: ns, service: s, node: b.leaf(leaf{s, 0, r.UserStackID, r.StackID}), value: b.take(OnCPU, 1), sample: r})
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return replay.Rows(c, "offcpu", func(rows []format.OffCPU) error {
		for i := range rows {
			r := &rows[i]
			length := max(r.EndNs-r.StartNs, 0)
			start := r.StartNs + c.OffsetNs
			if middle := start + length/2; middle < b.options.FromNs || middle >= b.options.ToNs {
				continue
			}
			if _, s := b.partyOf(r.PID, r.EndNs); s != unwanted {
				fn(row{kind: OffCPU, ns: start, intervalNs: length, service: s, wait: r,
					node: b.leaf(leaf{s, r.State, r.UserStackID, r.StackID}), value: b.take(OffCPU, r.TotalNs)})
			}
		}
		return ctx.Err()
	})
}

// partyOf gives the party of a process at a monotonic time, and its service, or
// unwanted.
func (b *Builder) partyOf(pid int32, ns int64) (party, service int32) {
	party, name := b.options.Party(b.capture.Capture, pid, ns)
	for int(party) >= len(b.parties) {
		b.parties = append(b.parties, notYet)
	}
	if b.parties[party] == notYet {
		b.parties[party] = b.service(name)
	}
	return party, b.parties[party]
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

// leaf gives the node where a row's path ends.
func (b *Builder) leaf(l leaf) int32 {
	c := b.capture
	node, known := c.leaves[l]
	if known {
		return node
	}
	node = b.services[l.service].node
	if l.state != 0 {
		name := l.state.String()
		if l.state > format.StateRunnable { // of a later kmon
			name = "state " + name
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
