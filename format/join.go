package format

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// JoinOptions are the choices of Join; the zero value is right.
type JoinOptions struct {
	// SinceNs leaves out what ended before, monotonic; 0: nothing. What later
	// events refer to stays: sockets that were still open, processes, stacks and
	// all other state.
	SinceNs int64
	// Marks are added.
	Marks []Mark
	// StopReason replaces that of the last part; "": it stays.
	StopReason string
	// NoSync leaves forcing data to disk to the kernel.
	NoSync bool
	// From and Into are the directories of the parts and of dst, if they are held
	// open: of the paths only the last names are looked up then. nil: the paths
	// lead there.
	From, Into *os.Root
}

// Join writes the parts of one recording, given in any order, into one capture;
// it never overwrites, and leaves nothing behind when there is no room for it. Sound segments
// are copied as they are, in the order of writing, and numbered anew, so that
// memory for one is all it takes; with SinceNs those that begin before it are
// written anew. The manifest is the first part's, final.json is that of the
// last with the rows and losses of all; there is none when the last part has
// none. What is missing stays known: gaps between parts by the manifest, rows
// that a part counts and nobody can read as Loss rows with cause LossDamage. The
// report has the problems of the parts, and file, size and rows of dst. It gives up
// with ctx.
func Join(ctx context.Context, dst string, paths []string, o JoinOptions) (Report, error) {
	return join(ctx, dst, paths, o, WriterOptions{NoSync: o.NoSync, dir: o.Into})
}

func join(ctx context.Context, dst string, paths []string, o JoinOptions, to WriterOptions) (Report, error) {
	open := Open
	if o.From != nil {
		open = func(path string) (*Capture, error) { return openIn(o.From, path) }
	}
	c, err := openRecording(paths, open)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	j := joiner{options: o, whole: c, parts: c.partsSince(o.SinceNs), allowed: map[string]*allowance{},
		unknown: map[string]int{}, lost: map[string]int64{}, gone: map[int64]bool{}}
	manifest, err := json.MarshalIndent(j.manifest(), "", "  ")
	if err != nil {
		return Report{}, err
	}
	j.w, err = createWriter(dst, append(manifest, '\n'), to)
	if err != nil {
		return Report{}, err
	}
	w := j.w
	w.nowNs = j.parts[0].startNs()
	if err := j.copyAll(ctx); err != nil {
		return Report{}, errors.Join(err, w.archive.f.Close(), w.dir.Remove(w.name+partSuffix), w.dir.Close())
	}
	w.startEncoder()
	err = w.close(j.final())
	r := Report{File: dst, Size: w.Size(), Entries: w.archive.count, Rows: w.Rows(), Problems: c.Problems()}
	maps.Copy(r.Rows, w.copied)
	return r, err
}

// partsSince gives the files that have something from a time on, at least the
// last.
func (c *Capture) partsSince(ns int64) []*Capture {
	parts := c.parts
	if parts == nil {
		parts = []*Capture{c}
	}
	for len(parts) > 1 && parts[0].endNs() < ns {
		parts = parts[1:]
	}
	return parts
}

// joiner writes parts into one capture.
type joiner struct {
	options JoinOptions
	whole   *Capture
	parts   []*Capture
	w       *Writer
	allowed map[string]*allowance // by table
	unknown map[string]int        // table without a sink → segments copied
	lost    map[string]int64      // for final.json: collector/cause → count
	spentNs int64                 // CPU time of the recorder in what is left out

	// Of the part at hand:
	gone map[int64]bool   // sockets that closed before SinceNs
	seen map[string]int64 // table → rows copied or left out
}

// manifest is the first part's, with what was joined.
func (j *joiner) manifest() Manifest {
	first := j.parts[0]
	m := first.Manifest
	r := RecordingPart{ID: m.Recording.ID, Part: m.Recording.Part, SinceNs: m.Recording.SinceNs, Joined: j.whole.spansFrom(m.Recording.Part)}
	since := j.options.SinceNs
	if since > 0 && r.Part > 1 { // also when all that is left began later
		r.SinceNs = max(since, first.startNs())
	}
	if shift := since - first.startNs(); shift > 0 {
		m.Clock.MonotonicNs += shift
		m.Clock.RealtimeNs += shift
		m.CreatedUnixNs += shift
		r.Joined[0].StartNs, r.Joined[0].EndNs = since, max(since, r.Joined[0].EndNs)
		r.SinceNs = since
	}
	m.Recording = &r
	return m
}

// spansFrom gives the spans from a part on, which must be the first of a file.
func (c *Capture) spansFrom(part int) []PartSpan {
	held := c.held
	if c.parts == nil {
		held = c.spans()
	}
	var list []PartSpan
	for _, s := range held {
		if s.Last < part {
			continue
		}
		if s.First < part {
			s.First = part
			for _, p := range c.parts {
				if p.Manifest.Recording.Part == part {
					s.StartNs = p.startNs()
				}
			}
		}
		list = append(list, s)
	}
	return list
}

// copyAll copies the parts, and adds what is known to be missing and the marks.
func (j *joiner) copyAll(ctx context.Context) error {
	for _, p := range j.parts {
		j.seen = map[string]int64{}
		if err := j.look(p); err != nil {
			return err
		}
		for _, s := range p.inOrder() {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.read(func(o *openSegment) error { return j.copySegment(p, o) })
			if err != nil && !isFileError(err) {
				return err
			}
		}
		if err := appendNow(j.w, j.damaged(p)...); err != nil {
			return err
		}
	}
	return appendNow(j.w, j.options.Marks...)
}

// inOrder gives the segments of all tables in the order of writing.
func (c *Capture) inOrder() []Segment {
	var all []Segment
	for _, segments := range c.segments {
		all = append(all, segments...)
	}
	slices.SortFunc(all, func(a, b Segment) int { return cmp.Compare(a.Place, b.Place) })
	return all
}

// appendNow is Append before the encoder runs.
func appendNow[T Row](w *Writer, rows ...T) error {
	for _, s := range w.sinks {
		if s, ok := s.(*sink[T]); ok && len(rows) > 0 {
			return s.encodeNow(rows, true)
		}
	}
	return nil
}

// copySegment copies a segment, or what of it is wanted.
func (j *joiner) copySegment(p *Capture, o *openSegment) error {
	table := o.segment.Table
	if j.allowed[table] == nil {
		j.allowed[table] = new(allowance)
	}
	if err := j.allowed[table].take(o); err != nil {
		return err
	}
	rows := int64(o.rows)
	var err error
	at := slices.IndexFunc(j.w.sinks, func(k rowSink) bool { return k.table().name == table })
	switch {
	case at < 0: // a newer kmon's
		j.unknown[table]++
		j.w.copied[table] += rows
		err = j.w.addEntry(fmt.Sprintf("%s/%06d.parquet", path.Dir(o.segment.Name), j.unknown[table]), o.entry)
	case p.startNs() < j.options.SinceNs:
		return j.copyLater(j.w.sinks[at], o, rows)
	default:
		err = j.w.sinks[at].copySegment(o.entry, rows)
	}
	if err != nil {
		return stop{err}
	}
	j.seen[table] += rows
	return nil
}

// copyLater copies the rows of a segment that did not end before SinceNs.
func (j *joiner) copyLater(k rowSink, o *openSegment, rows int64) error {
	unwanted, err := k.countUnwanted(o, j.wanted)
	switch {
	case err != nil:
		return err
	case unwanted == 0:
		err = k.copySegment(o.entry, rows)
	case unwanted < rows:
		err = k.copyWanted(o, j.wanted)
	}
	if err != nil {
		return stop{err}
	}
	j.seen[o.segment.Table] += rows
	return nil
}

// look finds what of a part that begins before SinceNs is over by then.
func (j *joiner) look(p *Capture) error {
	since := j.options.SinceNs
	if p.startNs() >= since {
		if p.Final != nil {
			add(j.lost, p.Final.Losses)
		}
		return nil
	}
	if p.Final != nil {
		for what, n := range p.Final.Losses {
			if strings.HasSuffix(what, "/"+LossWrite.String()) { // at its end
				j.lost[what] += n
			}
		}
	}
	clear(j.gone)
	spentNs := int64(0)
	defer func() { j.spentNs += spentNs }()
	return errors.Join(ReadRows(p, func(rows []Socket) error {
		for i := range rows {
			if r := &rows[i]; r.TsNs < since && (r.Event == SocketClose || r.Event == SocketConnectFailed) {
				j.gone[r.SocketID] = true
			}
		}
		return nil
	}), ReadRows(p, func(rows []Self) error {
		for i := range rows {
			if r := &rows[i]; r.TsNs < since {
				spentNs = r.CPUNs
			}
		}
		return nil
	}), ReadRows(p, func(rows []Loss) error {
		for i := range rows {
			if r := &rows[i]; r.EndNs >= since && r.Cause != LossWrite {
				j.lost[r.Collector+"/"+r.Cause.String()] += r.Count
			}
		}
		return nil
	}))
}

// wanted says whether a row, given as a pointer, did not end before SinceNs, or
// tells of a state that may have lasted.
func (j *joiner) wanted(row any) bool {
	if r, ok := row.(*Socket); ok {
		return !j.gone[r.SocketID]
	}
	m, ok := momentOf(row)
	return !ok || m.last >= j.options.SinceNs
}

// damaged are the rows that a part counts and that were not found.
func (j *joiner) damaged(p *Capture) []Loss {
	return slices.DeleteFunc(p.lossesForRepair(j.seen), func(l Loss) bool { return l.EndNs < j.options.SinceNs })
}

// final is the summary of what was joined; nil: the recording has no end.
func (j *joiner) final() *Final {
	f := finalOf(j.parts)
	if f == nil {
		return nil
	}
	f.Losses, f.CPUNs = j.lost, f.CPUNs-j.spentNs
	f.StopReason = cmp.Or(j.options.StopReason, f.StopReason)
	return f
}
