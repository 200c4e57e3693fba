package replay

import (
	"errors"
	"iter"
	"math"

	"kmon/format"
)

const (
	// socketsPerPart is about how many socket rows are read for a part: it
	// bounds the memory, about 150 B each, whatever the capture's size.
	socketsPerPart = 100_000
	// segmentsPerPart is how many exchange segments a part of one capture has
	// at most, and jointSegmentsPerPart one of several: requests between
	// captures wait for their other end until the part ends, 20 B each.
	segmentsPerPart      = 64
	jointSegmentsPerPart = 16
)

// Parts divides captures into parts that are analyzed one after the other, so
// that only sockets of one part, and those still open, are in memory.
//
// A writer seals sockets before exchanges, so a socket is described in the
// file before the segments that refer to it. A part reads some segments of
// sockets, from all captures up to about the same time, and then has the
// exchange segments that come before the last of them. A socket stays for as
// long as it is open and for one more reading after its end was read.
type Parts struct {
	captures []*Capture
	jobs     []job
	// Read says that the part began by reading sockets, Spent that all its
	// exchanges are in it or in parts before, Last that it is the last.
	Read, Spent, Last bool
	sockets           int // rows per reading
	segments          int // exchange segments per part
}

// NewParts gives the parts of captures that were just opened.
func NewParts(captures []*Capture) *Parts {
	p := &Parts{captures: captures, Spent: true, sockets: socketsPerPart, segments: segmentsPerPart}
	if len(captures) > 1 {
		p.segments = jointSegmentsPerPart
	}
	return p
}

// Limit sets about how many socket rows are read for a part and how many
// exchange segments it has at most. It does not change what a run finds.
func (p *Parts) Limit(sockets, segments int) { p.sockets, p.segments = sockets, segments }

// Next goes to the next part; false when the part before was the last.
func (p *Parts) Next() bool {
	if p.Last {
		return false
	}
	p.Read = p.Spent
	if p.Read {
		p.stage()
	}
	p.jobs = p.jobs[:0]
	p.takeJobs()
	p.Spent, p.Last = true, true
	for _, c := range p.captures {
		p.Spent = p.Spent && c.taken == c.described()
		p.Last = p.Last && c.ended && c.taken == len(c.segments)
	}
	return true
}

// stage reads sockets, always of the capture that is furthest behind.
func (p *Parts) stage() {
	for rows := 0; rows < p.sockets; {
		var behind *Capture
		for _, c := range p.captures {
			if !c.ended && (behind == nil || c.reachedNs+c.OffsetNs < behind.reachedNs+behind.OffsetNs) {
				behind = c
			}
		}
		if behind == nil {
			break
		}
		rows += behind.readSockets()
	}
	for _, c := range p.captures {
		c.Sockets.finish()
	}
}

// Taken is how many segments of exchanges are in parts so far.
func (c *Capture) Taken() int { return c.taken }

// takeJobs takes the next exchange segments, turn by turn.
func (p *Parts) takeJobs() {
	for more := true; more; {
		more = false
		for at, c := range p.captures {
			if c.taken < c.described() && len(p.jobs) < p.segments {
				p.jobs = append(p.jobs, job{c, at, c.taken, c.segments[c.taken]})
				c.taken++
				more = true
			}
		}
	}
}

// staging reads the sockets of a capture segment by segment.
type staging struct {
	next      func() ([]format.Socket, bool)
	stop      func()
	sockets   []format.Segment
	read      int   // segments of sockets read
	rows      int64 // rows read
	through   int64 // rows of the segments up to the one at hand
	ended     bool  // all were read
	reachedNs int64 // latest time read, monotonic
	taken     int   // segments of exchanges handed out
}

var errStopped = errors.New("stopped")

func newStaging(c *Capture) staging {
	s := staging{reachedNs: math.MinInt64 / 2, sockets: c.file.Segments("sockets")}
	s.next, s.stop = iter.Pull(func(yield func([]format.Socket) bool) {
		_ = format.ReadRows(c.file, func(rows []format.Socket) error { // fails with errStopped only
			if !yield(rows) {
				return errStopped
			}
			return nil
		})
	})
	return s
}

// readSockets reads the next segment of sockets and gives its number of rows.
// Rows come without their segment: the segments' row counts tell. Where one is
// damaged and its rows are left out, later rows are read in its place.
func (c *Capture) readSockets() int {
	if c.read < len(c.sockets) {
		rows, err := c.sockets[c.read].Rows()
		if err == nil {
			c.through += rows
		}
		c.read++
	} else {
		c.through = math.MaxInt64
	}
	before := c.rows
	for c.rows < c.through {
		rows, ok := c.next()
		if !ok {
			c.ended = true
			break
		}
		for i := range rows {
			c.reachedNs = max(c.reachedNs, rows[i].TsNs)
		}
		count(c, "sockets", rows)
		c.Sockets.add(rows)
		if c.OnSockets != nil {
			c.OnSockets(rows)
		}
		c.rows += int64(len(rows))
	}
	return int(c.rows - before)
}

// described gives the number of exchange segments whose sockets were read:
// those before the last segment of sockets read, so that sockets a little
// late in the file are known too. A file in another order than the writer's
// has none until all sockets were read.
func (c *Capture) described() int {
	if c.ended {
		return len(c.segments)
	}
	if c.read == 0 || len(c.segments) > 0 && c.segments[0].Place < c.sockets[0].Place {
		return 0
	}
	n := c.taken
	for n < len(c.segments) && c.segments[n].Place < c.sockets[c.read-1].Place {
		n++
	}
	return n
}
