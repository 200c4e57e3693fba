package format

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"
)

// CutFacts says of what longer capture a capture was cut, in its manifest. Analysis
// counts by SinceNs and UntilNs what the rows at the edges have of the time between.
type CutFacts struct {
	SinceNs int64 `json:"since_ns,omitempty"` // monotonic; 0: from the source's start
	UntilNs int64 `json:"until_ns,omitempty"` // monotonic, what began then is left out; 0: to the source's end
	// The source: when it began and ended, monotonic, and the hash of its file, or of
	// all its parts one after the other ("": it was redacted later).
	StartNs int64  `json:"source_start_ns"`
	EndNs   int64  `json:"source_end_ns"`
	SHA256  string `json:"source_sha256,omitempty"`
}

// sound says whether a manifest's word on a cut can be true of a capture that
// begins at a time.
func (f *CutFacts) sound(startNs int64) bool {
	return f.SinceNs >= 0 && f.UntilNs >= 0 && f.SinceNs <= startNs && (f.UntilNs == 0 || f.UntilNs > startNs)
}

// CutOptions say what to cut out.
type CutOptions struct {
	SinceNs int64 // monotonic; 0: from the start
	UntilNs int64 // monotonic; 0: to the end
	// NoSync leaves forcing data to disk to the kernel.
	NoSync bool
}

// Range gives when a capture begins and ends, monotonic; of one that did not end
// in order the end is the last time that it has.
func (c *Capture) Range() (startNs, endNs int64) {
	if c.parts != nil {
		last := c.parts[len(c.parts)-1]
		return c.startNs(), max(c.startNs(), last.endNs())
	}
	return c.startNs(), max(c.startNs(), c.endNs())
}

// Cut writes what happened in a time to dst, which it never overwrites; a failure
// leaves nothing behind. An event is in it by the rule of analysis: exchanges, IOs
// and moments that began in it, rows of intervals that touch it. What these refer to
// stays: sockets that were open then, processes that had begun by the end of its
// last event, all listeners, disks and the like, and of stacks those that are used. Of a socket that
// a row beyond the time labels a stream, that row stays too. Losses that were spread
// over a longer time are cut to their part. Segments of which all rows stay are
// copied as they are; tables that this kmon does not know are left out and said in
// the report. The source is not changed. It gives up with ctx.
func Cut(ctx context.Context, dst string, c *Capture, o CutOptions) (Report, error) {
	k, err := newCutter(c, o)
	if err != nil {
		return Report{}, err
	}
	m, err := k.manifest()
	if err != nil {
		return Report{}, err
	}
	manifest, err := encodeManifest(m)
	if err != nil {
		return Report{}, err
	}
	if err := k.look(); err != nil {
		return Report{}, err
	}
	if k.w, err = createWriter(dst, manifest, WriterOptions{NoSync: o.NoSync}); err != nil {
		return Report{}, err
	}
	k.w.nowNs = k.sinceNs
	if err := k.copyAll(ctx); err != nil {
		return Report{}, errors.Join(err, k.w.drop())
	}
	k.w.startEncoder()
	err = k.w.close(k.final())
	return Report{File: dst, Size: k.w.Size(), Entries: k.w.archive.count, Rows: k.w.Rows(), Problems: k.problems()}, err
}

// cutter cuts one capture.
type cutter struct {
	from             *Capture
	startNs, endNs   int64 // of the source
	sinceNs, untilNs int64 // of the cut, within the source
	Range                  // the same, without a limit where the source has its own
	reachNs          int64 // ToNs, or the end of the last event that began before it
	options          CutOptions
	w                *Writer
	allowed          map[string]*allowance
	seen             map[string]int64 // table → rows that could be read
	lost             map[string]int64 // for final.json: collector/cause → count
	self             []Self           // all of the source

	early, late openSockets     // open at sinceNs and at untilNs
	labels      map[int64]int64 // stream → start of the row that labels it
	stacks      map[int64]bool  // that events in the time have
	frames      map[int64]bool  // that these have
}

func newCutter(c *Capture, o CutOptions) (*cutter, error) {
	k := &cutter{from: c, options: o, allowed: map[string]*allowance{}, seen: map[string]int64{}, lost: map[string]int64{},
		labels: map[int64]int64{}, stacks: map[int64]bool{}, frames: map[int64]bool{}}
	k.startNs, k.endNs = c.Range()
	if k.startNs == 0 {
		return nil, fmt.Errorf("%s: its clock is lost, so nobody knows which time is meant", c.Path)
	}
	k.sinceNs, k.untilNs = max(o.SinceNs, k.startNs), k.endNs
	if o.UntilNs != 0 {
		k.untilNs = min(o.UntilNs, k.endNs)
	}
	k.Range = Always
	if k.sinceNs > k.startNs {
		k.FromNs = k.sinceNs
	}
	if k.untilNs < k.endNs {
		k.ToNs = k.untilNs
	}
	k.reachNs = k.ToNs
	k.early, k.late = newOpenSockets(k.FromNs), newOpenSockets(k.ToNs)
	if k.sinceNs >= k.untilNs {
		return nil, fmt.Errorf("%s: nothing lies between since and until: the recording runs from %s to %s", c.Path, k.timeText(k.startNs), k.timeText(k.endNs))
	}
	return k, nil
}

// timeText writes a monotonic time as UTC.
func (k *cutter) timeText(ns int64) string {
	clock := k.from.Manifest.Clock
	return time.Unix(0, ns-clock.MonotonicNs+clock.RealtimeNs).UTC().Format("2006-01-02T15:04:05.000Z")
}

// manifest is the source's with the clock of the time's start: another moment on
// the same two clocks.
func (k *cutter) manifest() (Manifest, error) {
	m := k.from.Manifest
	shift := k.sinceNs - k.startNs
	m.Clock.MonotonicNs += shift
	m.Clock.RealtimeNs += shift
	m.CreatedUnixNs += shift
	facts := CutFacts{StartNs: k.startNs, EndNs: k.endNs}
	if before := k.from.Manifest.Cut; before != nil {
		facts.SinceNs, facts.UntilNs = before.SinceNs, before.UntilNs
	}
	if shift > 0 {
		facts.SinceNs = k.sinceNs
	}
	if k.untilNs < k.endNs {
		facts.UntilNs = k.untilNs
	}
	var err error
	facts.SHA256, err = k.from.SHA256()
	m.Cut = &facts
	if m.Recording != nil {
		m.Recording = k.recording()
		if len(m.Recording.Joined) == 0 {
			return m, fmt.Errorf("%s: no part that is here lies between since and until", k.from.Path)
		}
	}
	return m, err
}

// recording is the parts that have something of the time.
func (k *cutter) recording() *RecordingPart {
	r := *k.from.Manifest.Recording
	spans := k.from.held
	if k.from.parts == nil {
		spans = k.from.spans()
	}
	r.Joined = nil
	for _, s := range spans {
		if s.StartNs < k.untilNs && s.EndNs > k.sinceNs {
			s.StartNs, s.EndNs = max(s.StartNs, k.sinceNs), min(s.EndNs, k.untilNs)
			r.Joined = append(r.Joined, s)
		}
	}
	if len(r.Joined) > 0 {
		r.Part = r.Joined[0].First
	}
	if k.sinceNs > k.startNs {
		r.SinceNs = k.sinceNs
	}
	return &r
}

// copyAll copies what is wanted, and adds what is known to be missing.
func (k *cutter) copyAll(ctx context.Context) error {
	for _, s := range k.from.inOrder() {
		at := slices.IndexFunc(k.w.sinks, func(to rowSink) bool { return to.table().name == s.Table })
		if at < 0 || s.Table == "losses" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.read(func(o *openSegment) error { return k.copySegment(k.w.sinks[at], o) })
		if err != nil && !isFileError(err) {
			return err
		}
	}
	return k.copyLosses()
}

func (k *cutter) copySegment(to rowSink, o *openSegment) error {
	name := to.table().name
	if k.allowed[name] == nil {
		k.allowed[name] = new(allowance)
	}
	if err := k.allowed[name].take(o); err != nil {
		return err
	}
	unwanted, err := to.countUnwanted(o, k.wanted)
	switch {
	case err != nil:
		return err
	case unwanted == 0:
		err = to.copySegment(o.entry, int64(o.rows))
	case unwanted < int64(o.rows):
		err = to.copyWanted(o, k.wanted)
	}
	if err != nil {
		return stop{err}
	}
	k.seen[name] += int64(o.rows)
	return nil
}

// copyLosses adds the losses of the time: those that the source knows, and rows
// that it counts and nobody can read, of which it is not known when they were.
func (k *cutter) copyLosses() error {
	var losses []Loss
	add := func(rows ...Loss) {
		for _, l := range rows {
			if l, any := k.Clip(l, k.startNs); any {
				losses = append(losses, l)
				if l.Count > 0 {
					k.lost[l.Collector+"/"+l.Cause.String()] += l.Count
				}
			}
		}
	}
	err := ReadRows(k.from, func(rows []Loss) error {
		k.seen["losses"] += int64(len(rows))
		add(rows...)
		return nil
	})
	if err != nil {
		return err
	}
	add(k.from.Unwritten()...)
	for _, l := range k.from.lossesForRepair(k.seen) {
		l.StartNs, l.EndNs = k.sinceNs, k.untilNs
		losses = append(losses, l)
	}
	return appendNow(k.w, losses...)
}

// final is the summary of the cut; nil: the source has no end, and the cut reaches
// it.
func (k *cutter) final() *Final {
	whole := k.untilNs == k.endNs
	if k.from.Final == nil && whole {
		return nil
	}
	f := Final{StopReason: "cut"}
	if k.from.Final != nil {
		f = *k.from.Final
	}
	if !whole {
		f.StopReason, f.Error, f.ExitCode = "cut", "", nil
	}
	f.EndNs = k.untilNs
	f.EndUnixNs = k.untilNs - k.from.Manifest.Clock.MonotonicNs + k.from.Manifest.Clock.RealtimeNs
	f.Losses = k.lost
	cost := k.cost()
	f.CPUNs, f.MaxRSSBytes = cost.CPUNs, cost.RSSBytes
	return &f
}

// cost is what recording cost in the time.
func (k *cutter) cost() Self {
	before := slices.DeleteFunc(slices.Clone(k.self), func(s Self) bool { return s.TsNs >= k.sinceNs })
	until := slices.DeleteFunc(slices.Clone(k.self), func(s Self) bool { return s.TsNs >= k.untilNs && k.untilNs < k.endNs })
	cost, m := CostOf(until, &k.from.Manifest), CostOf(before, &k.from.Manifest)
	cost.CPUNs -= m.CPUNs
	return cost
}

// problems are those of the source, and what was left out of it.
func (k *cutter) problems() []Problem {
	list := k.from.Problems()
	for _, name := range k.from.Tables() {
		if tableNamed(name) == nil {
			list = append(list, Problem{File: k.from.Path, Offset: -1, Mend: "cut with the kmon that recorded it",
				What: "table " + name + " is left out: this kmon does not know what its times are"})
		}
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(path.Base(a.File), path.Base(b.File)) })
	return list
}
