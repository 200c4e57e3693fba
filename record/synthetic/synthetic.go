package synthetic

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kmon/format"
)

// Options say where captures go.
type Options struct {
	Dir         string // exists
	Version     string // of kmon, for the manifests
	CommandLine []string
	Progress    func(share float64) // may be nil
}

// Result says what was made.
type Result struct {
	Paths     []string // captures, by node
	TruthPath string
	Truth     Truth
	Rows      int64
	SizeBytes int64
}

const truthName = "truth.json"

// Generate makes the captures of a scenario in a directory: node1.kmon and so on,
// and truth.json. Nothing is overwritten. When it fails it leaves nothing behind.
func Generate(ctx context.Context, s Scenario, o Options) (Result, error) {
	s.Faults = slices.Clone(s.Faults)
	if err := s.fill(); err != nil {
		return Result{}, err
	}
	truthPath := filepath.Join(o.Dir, truthName)
	if _, err := os.Lstat(truthPath); err == nil {
		return Result{}, fmt.Errorf("%s exists and is never overwritten: give another directory or remove it", truthPath)
	}
	w := newWorld(s)
	result := Result{TruthPath: truthPath, Truth: Truth{Schema: "kmon.synthetic/v1", Seed: s.Seed, StartNs: startUnixNs, Load: []string{}, Faults: []Injected{}}}
	result.Truth.Load = append(result.Truth.Load, s.Load...)
	for i := range w.s.Faults {
		in, err := w.put(&w.s.Faults[i])
		if err != nil {
			return Result{}, err
		}
		result.Truth.Faults = append(result.Truth.Faults, in)
	}
	err := w.open(o)
	if err == nil {
		err = w.run(ctx, o.Progress)
	}
	if err == nil {
		err = w.close(&result)
	}
	if err == nil {
		err = writeTruth(truthPath, result.Truth)
	}
	if err != nil {
		return Result{}, errors.Join(err, w.discard())
	}
	return result, nil
}

// newWorld makes the world at the time before it warms up.
func newWorld(s Scenario) *world {
	w := &world{s: s, rng: rand.New(rand.NewPCG(s.Seed, 1)), nowNs: -warmUpNs, endNs: s.Duration.Nanoseconds(), surge: 1, steady: 1}
	w.build()
	for i, n := range w.nodes {
		// Nodes started at different times, and their clocks are a little apart.
		n.capture = &capture{
			node: n, bootNs: (1000 + 137*int64(i)) * 1e9, unixNs: startUnixNs + int64(w.rng.NormFloat64()*200e3), lost: s.Lost,
			luck: rand.New(rand.NewPCG(s.Seed, 1000+uint64(i))), losses: map[lossKey]int64{}, total: map[string]int64{}, waits: map[waitKey]*waitSum{},
		}
	}
	w.events.push(0, w.begin0)
	w.usual()
	return w
}

// begin0 is the recording's start.
func (w *world) begin0() {
	for _, n := range w.nodes {
		n.capture.interval() // what was before is not counted
		n.capture.snapshot()
		w.every(1e9, 1e9, n.capture.second)
		w.every(intervalNs, intervalNs, func() bool {
			n.capture.interval()
			return true
		})
	}
	for _, c := range w.conns {
		c.rows(format.SocketExisting, format.CloseNone, format.CloseNone)
	}
}

// open begins the captures.
func (w *world) open(o Options) error {
	for _, n := range w.nodes {
		c := n.capture
		writer, err := format.Create(filepath.Join(o.Dir, n.name+".kmon"), c.manifest(o), format.WriterOptions{NoSync: true})
		if err != nil {
			return err
		}
		c.writer = writer
	}
	return nil
}

func (c *capture) manifest(o Options) format.Manifest {
	m := format.Manifest{
		KmonVersion: o.Version, CreatedUnixNs: c.unixNs,
		Synthetic: c.node.w.s.describe(),
		Host: format.Host{Name: c.node.name, OS: "none", Kernel: "none (synthetic)", Arch: "none", CPUs: cpusPerNode, MemoryBytes: 8 << 30,
			CgroupHierarchy: "v2", ClockTicks: 100},
		Clock:       format.ClockPair{MonotonicNs: c.bootNs, RealtimeNs: c.unixNs},
		Options:     map[string]string{"duration": c.node.w.s.Duration.String()},
		CommandLine: o.CommandLine,
	}
	for _, k := range []struct{ name, indicators string }{
		{"proc", "fork exec exit limits"}, {"tcp", "send receive state existing listeners request-waits"}, {"cpu", "switch sample threads wakes"},
		{"block", "issue"}, {"drop", "drop retransmit reset-sent reset-received accept-queue"},
	} {
		collector := format.Collector{Name: k.name, Variants: map[string]string{}}
		for _, indicator := range strings.Fields(k.indicators) {
			collector.Variants[indicator] = "synthetic"
		}
		if k.name == "cpu" {
			collector.Settings = map[string]string{"off_cpu_min_ns": fmt.Sprint(offCPUMinNs), "sample_hz": fmt.Sprint(sampleHz), "user_stacks": "true"}
		}
		m.Collectors = append(m.Collectors, collector)
	}
	return m
}

// describe tells what a scenario is, in a line.
func (s *Scenario) describe() string {
	text := fmt.Sprintf("made by kmon gen, not recorded: seed %d, %d nodes, %s", s.Seed, s.Nodes, cmp.Or(strings.Join(s.Load, ", "), "steady"))
	for _, f := range s.Faults {
		text += fmt.Sprintf("; %s ×%g from %v to %v", f.Kind, f.Size, f.From, f.To)
	}
	return text
}

// close ends the captures, as a recorder does.
func (w *world) close(r *Result) error {
	for _, c := range w.conns {
		c.unfinished()
	}
	for _, n := range w.nodes {
		c := n.capture
		c.stillWaiting()
		c.interval()
		c.writeLosses()
		c.self()
		if w.err != nil {
			return w.err
		}
		rows := c.writer.Rows()
		final := format.Final{EndNs: c.now(), EndUnixNs: c.unixNs + w.nowNs, StopReason: "duration", Losses: c.total}
		if err := c.writer.Close(final); err != nil {
			return err
		}
		for _, n := range rows {
			r.Rows += n
		}
		r.SizeBytes += c.writer.Size()
		r.Paths = append(r.Paths, c.writer.Path())
	}
	return nil
}

// stillWaiting counts the waits that go on.
func (c *capture) stillWaiting() {
	for _, p := range c.node.processes {
		for _, t := range p.threads {
			if ns := c.node.w.nowNs - max(t.waitNs, 0); t.waitsOn != 0 && ns >= offCPUMinNs {
				sum := c.wait(t, t.waitsOn)
				sum.count++
				sum.waiting++
				sum.totalNs += ns
				sum.maxNs = max(sum.maxNs, ns)
			}
		}
	}
}

// discard removes what was written.
func (w *world) discard() error {
	var errs []error
	for _, n := range w.nodes {
		writer := n.capture.writer
		if writer == nil {
			continue
		}
		if err := writer.Discard(); errors.Is(err, format.ErrClosed) {
			errs = append(errs, os.Remove(writer.Path()))
		} else {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func writeTruth(path string, t Truth) error {
	dir, name, err := format.OpenDir(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(f)
	encoder.SetIndent("", "  ")
	return errors.Join(encoder.Encode(t), f.Close())
}
