package format

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Gap is a time of a recording that a capture lacks, because parts of it are
// missing. What happened then is not known.
type Gap struct {
	// After and Before are the parts around the gap; those between are missing.
	// After 0: the capture has nothing before.
	After, Before int
	StartNs       int64 // monotonic; 0: the recording's start, which is not known
	EndNs         int64 // monotonic
}

// OpenParts opens parts of one recording, given in any order, as one capture:
// the segments of all, the manifest of the first and the summary of the last,
// with rows and losses of all. Parts may be missing, see Gaps. It is an error
// when a file is no part, when two are the same part, and when they are of
// different recordings. Captures that Join made count as the parts they hold.
func OpenParts(paths ...string) (*Capture, error) {
	return openRecording(paths, Open)
}

func openRecording(paths []string, open func(path string) (*Capture, error)) (*Capture, error) {
	captures, err := openEach(paths, open)
	if err != nil {
		return nil, err
	}
	whole, err := oneRecording(captures)
	if err != nil {
		return nil, errors.Join(err, closeEach(captures))
	}
	return whole, nil
}

// OpenAll opens captures. Those that are parts of one recording become one, in
// the place of the first of them that is given.
func OpenAll(paths []string) ([]*Capture, error) {
	captures, err := openEach(paths, Open)
	if err != nil {
		return nil, err
	}
	var all []*Capture
	for left := captures; len(left) > 0; {
		group, rest := left[:1:1], left[1:]
		if r := left[0].Manifest.Recording; r != nil && left[0].Manifest.Cut == nil {
			other := func(c *Capture) bool {
				return c.Manifest.Recording == nil || c.Manifest.Recording.ID != r.ID || c.Manifest.Cut != nil
			}
			group = slices.DeleteFunc(slices.Clone(left), other)
			rest = slices.DeleteFunc(slices.Clone(left), func(c *Capture) bool { return !other(c) })
		}
		whole := group[0]
		if len(group) > 1 {
			if whole, err = oneRecording(group); err != nil {
				return nil, errors.Join(err, closeEach(captures))
			}
		}
		all, left = append(all, whole), rest
	}
	return all, nil
}

func openEach(paths []string, open func(path string) (*Capture, error)) ([]*Capture, error) {
	if len(paths) == 0 {
		return nil, errors.New("no capture given")
	}
	var captures []*Capture
	var errs []error
	for _, path := range paths {
		c, err := open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		captures = append(captures, c)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, closeEach(captures))...)
	}
	return captures, nil
}

func closeEach(captures []*Capture) error {
	var errs []error
	for _, c := range captures {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// oneRecording makes one capture of parts, whose files it takes over.
func oneRecording(parts []*Capture) (*Capture, error) {
	for _, p := range parts {
		r, first := p.Manifest.Recording, parts[0].Manifest.Recording
		switch {
		case p.Manifest.Cut != nil && len(parts) > 1:
			return nil, fmt.Errorf("%s was cut out of a recording and is no part of one any more: cut the parts together instead", p.Path)
		case r == nil:
			return nil, fmt.Errorf("%s is no part of a recording: it is a whole one, or its manifest is lost", p.Path)
		case r.ID != first.ID || p.Manifest.Host.BootID != parts[0].Manifest.Host.BootID:
			return nil, fmt.Errorf("%s and %s are parts of different recordings (%s and %s): give those of one", parts[0].Path, p.Path, first.ID, r.ID)
		}
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *Capture) int { return cmp.Compare(a.Manifest.Recording.Part, b.Manifest.Recording.Part) })
	for i, p := range parts[1:] {
		before, part := parts[i], p.Manifest.Recording.Part
		switch {
		case before.lastPart() >= part:
			return nil, fmt.Errorf("%s and %s both have part %d of recording %s: leave one out", before.Path, p.Path, part, p.Manifest.Recording.ID)
		case before.startNs() > p.startNs():
			return nil, fmt.Errorf("%s begins before %s, of which it is a later part: they are not of one recording", p.Path, before.Path)
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return together(parts), nil
}

// together is the capture over parts that are in order.
func together(parts []*Capture) *Capture {
	c := &Capture{Path: parts[0].Path, Manifest: parts[0].Manifest, Final: finalOf(parts), parts: parts, segments: map[string][]Segment{}}
	c.hash = sync.OnceValues(c.computeHash)
	for i, p := range parts {
		spans := p.spans()
		if i > 0 && p.follows(parts[i-1]) {
			last := &c.held[len(c.held)-1]
			last.Last, last.EndNs = spans[0].Last, spans[0].EndNs
			spans = spans[1:]
		}
		c.held = append(c.held, spans...)
		for table, segments := range p.segments {
			for _, s := range segments {
				s.Place += c.Size
				c.segments[table] = append(c.segments[table], s)
			}
		}
		c.Size += p.Size
	}
	return c
}

// follows says whether nothing lies between the end of a part and this one.
func (c *Capture) follows(before *Capture) bool {
	r := c.Manifest.Recording
	return r.Part == before.lastPart()+1 && before.Final != nil && r.SinceNs == 0
}

// CostOf gives what recording cost in the time of a capture: the last counters
// of its rows of table self, in the order of the file. Each part of a recording
// counts from 0 again. RSSBytes is the largest; times and Events are as in the
// last row, and nothing else is set.
func CostOf(rows []Self, m *Manifest) Self {
	var cost, before, last Self
	for i, s := range rows {
		if i == 0 && (m.Recording != nil && m.Recording.SinceNs > 0 || m.Cut != nil && m.Cut.SinceNs > 0) {
			before = s // what it had cost by then was left out
		}
		if s.CPUNs < last.CPUNs || s.Events < last.Events { // a part begins
			before.CPUNs, before.BPFRunNs = before.CPUNs-last.CPUNs, before.BPFRunNs-last.BPFRunNs
		}
		last = s
		cost.TsNs, cost.RealtimeNs, cost.Events = s.TsNs, s.RealtimeNs, s.Events
		cost.RSSBytes = max(cost.RSSBytes, s.RSSBytes)
	}
	cost.CPUNs, cost.BPFRunNs = last.CPUNs-before.CPUNs, last.BPFRunNs-before.BPFRunNs
	return cost
}

// finalOf is the summary of parts: the last one's, with rows, losses and cost of
// all; nil when the last has none. Of a cut part the rows count that can be
// read, and what it says of its cost.
func finalOf(parts []*Capture) *Final {
	last := parts[len(parts)-1].Final
	if last == nil {
		return nil
	}
	f := *last
	f.Rows, f.Losses, f.CPUNs = map[string]int64{}, map[string]int64{}, 0
	var said []string
	for _, p := range parts {
		if p.Final == nil {
			p.addRows(f.Rows)
			cost := p.cost()
			f.CPUNs, f.MaxRSSBytes = f.CPUNs+cost.CPUNs, max(f.MaxRSSBytes, cost.RSSBytes)
			continue
		}
		add(f.Rows, p.Final.Rows)
		add(f.Losses, p.Final.Losses)
		f.CPUNs, f.MaxRSSBytes = f.CPUNs+p.Final.CPUNs, max(f.MaxRSSBytes, p.Final.MaxRSSBytes)
		if e := p.Final.Error; e != "" && !slices.Contains(said, e) && len(said) < maxSaid {
			said = append(said, e)
		}
	}
	f.Error = strings.Join(said, "; ")
	return &f
}

// maxSaid is how many different errors of parts are told.
const maxSaid = 8

func add(sums, more map[string]int64) {
	for what, n := range more {
		sums[what] += n
	}
}

// cost is CostOf the rows that can be read.
func (c *Capture) cost() Self {
	rows, _ := All[Self](c) // damage is a Problem by now
	return CostOf(rows, &c.Manifest)
}

// addRows adds the rows that the segments of c state.
func (c *Capture) addRows(rows map[string]int64) {
	for table, segments := range c.segments {
		for _, s := range segments {
			if n, err := s.Rows(); err == nil { // damage is a Problem by now
				rows[table] += n
			}
		}
	}
}

// Parts gives the files of a capture that OpenParts or OpenAll put together, by
// time; nil: it is one file.
func (c *Capture) Parts() []*Capture { return slices.Clone(c.parts) }

// Gaps gives the times of the recording that c lacks, by time: parts that are
// missing between those it has or before them, and what a part that was cut
// lacks before the next one. Whether parts are missing after the last is not
// known.
func (c *Capture) Gaps() []Gap {
	r := c.Manifest.Recording
	if r == nil {
		return nil
	}
	held := c.held
	if c.parts == nil {
		held = r.Joined
	}
	var gaps []Gap
	if r.Part > 1 && r.SinceNs == 0 {
		gaps = append(gaps, Gap{Before: r.Part, EndNs: c.startNs()})
	}
	for i := 1; i < len(held); i++ {
		gaps = append(gaps, Gap{After: held[i-1].Last, Before: held[i].First, StartNs: held[i-1].EndNs, EndNs: held[i].StartNs})
	}
	return gaps
}

// PartRange gives the first and last part of its recording that c has, 0 when
// the recording is one file.
func (c *Capture) PartRange() (first, last int) {
	if c.Manifest.Recording == nil {
		return 0, 0
	}
	if n := len(c.parts); n > 0 {
		return c.Manifest.Recording.Part, c.parts[n-1].lastPart()
	}
	return c.Manifest.Recording.Part, c.lastPart()
}

// lastPart is the last part that a file has.
func (c *Capture) lastPart() int {
	r := c.Manifest.Recording
	if n := len(r.Joined); n > 0 {
		return r.Joined[n-1].Last
	}
	return r.Part
}

// startNs is when a file begins, monotonic.
func (c *Capture) startNs() int64 { return c.Manifest.Clock.MonotonicNs }

// endNs is when a file ends, monotonic: if it was cut, the last time it has.
func (c *Capture) endNs() int64 {
	if c.Final != nil {
		return max(c.Final.EndNs, c.startNs())
	}
	return c.lastNs()
}

// spans says which parts a file has, and when.
func (c *Capture) spans() []PartSpan {
	r := c.Manifest.Recording
	if len(r.Joined) > 0 {
		return slices.Clone(r.Joined)
	}
	return []PartSpan{{First: r.Part, Last: r.Part, StartNs: c.startNs(), EndNs: c.endNs()}}
}

// recordingID is what RecordingPart.ID looks like.
var recordingID = regexp.MustCompile(`^[0-9a-f]{16}$`)

// sound says whether a manifest's word on parts can be true.
func (r *RecordingPart) sound() bool {
	if !recordingID.MatchString(r.ID) || r.Part < 1 || r.Part > math.MaxInt32 {
		return false
	}
	before := PartSpan{Last: r.Part - 1}
	for i, s := range r.Joined {
		if i == 0 && s.First != r.Part || s.First <= before.Last || s.Last < s.First || s.Last > math.MaxInt32 ||
			s.StartNs < before.EndNs || s.EndNs < s.StartNs {
			return false
		}
		before = s
	}
	return true
}
