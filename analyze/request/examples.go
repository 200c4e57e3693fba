package request

import (
	"cmp"
	"math/bits"
	"slices"

	"kmon/analyze/replay"
	"kmon/format"
)

const (
	// maxSlowest is how many of its slowest requests a cell keeps.
	maxSlowest = 10
	// maxDrawn is how many requests it draws from each power of two of latency.
	maxDrawn = 16
	// maxExamples bounds the examples of all cells, some 120 bytes each.
	maxExamples = 1 << 16
	// spread turns start times into numbers that are drawn from: the golden ratio
	// in 64 bits (Knuth, multiplicative hashing).
	spread = 0x9e3779b97f4a7c15
)

// Example is a request that is kept as it was recorded. Its times are monotonic.
type Example struct {
	StartNs, UploadNs, ServerNs, DownloadNs int64
	RequestBytes, AnswerBytes               int64
	SocketID                                int64
	RequestMessages, AnswerMessages         int32
	PID, TID                                int32
	Capture                                 int32
	Cell                                    int32
	// Local and Remote are indexes for Sockets.Addr of the capture; -1: it does
	// not describe the socket.
	Local, Remote         int32
	LocalPort, RemotePort uint16
	Flags                 format.ExchangeFlags
}

// LatencyNs is the sum of the request's parts.
func (e *Example) LatencyNs() int64 { return e.UploadNs + e.ServerNs + e.DownloadNs }

// pick is the number that decides whether the request is drawn: it depends on
// its start alone, so that any order of rows draws the same.
func (e *Example) pick() uint64 { return uint64(e.StartNs) * spread }

// octave is the power of two that the latency is below.
func (e *Example) octave() int { return bits.Len64(uint64(e.LatencyNs())) }

// Examples are some requests of a cell: the slowest, and of each power of two of
// latency those that were drawn, so that there are some near any quantile.
type Examples struct {
	Slowest []Example // slowest first
	Drawn   []Example // by octave, then in the order they were drawn
}

// size is the number of examples.
func (e *Examples) size() int { return len(e.Slowest) + len(e.Drawn) }

// bySlowness orders examples, the slowest first.
func bySlowness(a, b *Example) int {
	return cmp.Or(cmp.Compare(b.LatencyNs(), a.LatencyNs()), byPlace(a, b))
}

// byDraw orders examples of one octave, those drawn first first.
func byDraw(a, b *Example) int {
	return cmp.Or(cmp.Compare(a.octave(), b.octave()), cmp.Compare(b.pick(), a.pick()), byPlace(a, b))
}

// byPlace orders examples by where they were recorded.
func byPlace(a, b *Example) int {
	return cmp.Or(cmp.Compare(a.StartNs, b.StartNs), cmp.Compare(a.Capture, b.Capture), cmp.Compare(a.SocketID, b.SocketID),
		cmp.Compare(a.Flags, b.Flags), cmp.Compare(a.LatencyNs(), b.LatencyNs()), cmp.Compare(a.TID, b.TID),
		cmp.Compare(a.RequestBytes, b.RequestBytes), cmp.Compare(a.AnswerBytes, b.AnswerBytes))
}

// offerSlow takes x if it is among the most slowest.
func (e *Examples) offerSlow(x *Example, most int) {
	at, _ := slices.BinarySearchFunc(e.Slowest, x, func(a Example, b *Example) int { return bySlowness(&a, b) })
	if at >= most {
		return
	}
	e.Slowest = slices.Insert(e.Slowest, at, *x)
	e.Slowest = e.Slowest[:min(len(e.Slowest), most)]
}

// offerDrawn takes x if it is among the most that are drawn of its octave.
func (e *Examples) offerDrawn(x *Example, most int) {
	first, past := e.run(x.octave())
	at, _ := slices.BinarySearchFunc(e.Drawn[first:past], x, func(a Example, b *Example) int { return byDraw(&a, b) })
	if at >= most {
		return
	}
	e.Drawn = slices.Insert(e.Drawn, first+at, *x)
	if past+1-first > most {
		e.Drawn = slices.Delete(e.Drawn, first+most, past+1)
	}
}

// run gives where the examples of an octave are in Drawn.
func (e *Examples) run(octave int) (first, past int) {
	first, _ = slices.BinarySearchFunc(e.Drawn, octave, func(x Example, o int) int { return cmp.Compare(x.octave(), o) })
	for past = first; past < len(e.Drawn) && e.Drawn[past].octave() == octave; past++ {
	}
	return first, past
}

// merge adds the examples of o.
func (e *Examples) merge(o *Examples) {
	for i := range o.Slowest {
		e.offerSlow(&o.Slowest[i], maxSlowest)
	}
	for i := range o.Drawn {
		e.offerDrawn(&o.Drawn[i], maxDrawn)
	}
}

// halve leaves as many as a level of scarcity allows.
func (e *Examples) halve(scarcity int) {
	e.Slowest = e.Slowest[:min(len(e.Slowest), slowestAt(scarcity))]
	kept, octave, n := e.Drawn[:0], -1, 0
	for _, x := range e.Drawn {
		if x.octave() != octave {
			octave, n = x.octave(), 0
		}
		if n++; n <= drawnAt(scarcity) {
			kept = append(kept, x)
		}
	}
	if e.Drawn = kept; len(kept) == 0 {
		e.Drawn = nil
	}
}

// slowestAt and drawnAt are how many a cell keeps at a level of scarcity.
func slowestAt(scarcity int) int { return max(maxSlowest>>scarcity, 1) }
func drawnAt(scarcity int) int   { return maxDrawn >> scarcity }

// maxScarcity is the level at which nothing is drawn and one slowest is left.
const maxScarcity = 5

// limitExamples makes room. As with windows: some of the rows need no more room
// than all of them, so the scarcity at the end is the same whatever the parts.
func (p *Partial) limitExamples() {
	most := cmp.Or(p.Frame.MaxExamples, maxExamples)
	for p.examples > most && p.scarcity < maxScarcity {
		p.scarcity++
		p.halveExamples()
	}
}

// halveExamples leaves what the scarcity allows, and counts anew.
func (p *Partial) halveExamples() {
	p.examples = 0
	for _, s := range p.Cells {
		if s != nil {
			s.Examples.halve(p.scarcity)
			p.examples += s.Examples.size()
		}
	}
}

// drawing says which requests of a cell are worth a look: most rows only pass
// these bounds. The zero value lets all through.
type drawing struct {
	slow   int64      // latency of the fastest of the slowest
	floors [65]uint64 // by octave: the pick of the last that is drawn
}

// wants says whether a request may be an example.
func (d *drawing) wants(start, latency int64) bool {
	return latency >= d.slow || uint64(start)*spread >= d.floors[bits.Len64(uint64(latency))]
}

// keep takes row i of a batch as an example, if it is one, and raises the bounds.
func (a *Accumulator) keep(b *replay.Batch, s *socket, i int) {
	c := b.Columns
	x := Example{
		StartNs: c.StartNs[i], UploadNs: c.UploadNs[i], ServerNs: c.ServerNs[i], DownloadNs: c.DownloadNs[i],
		RequestBytes: c.RequestBytes[i], AnswerBytes: c.AnswerBytes[i], SocketID: c.SocketIDs[c.Socket[i]],
		RequestMessages: c.RequestMessages[i], AnswerMessages: c.AnswerMessages[i],
		PID: c.PID[i], TID: c.TID[i], Flags: c.Flags[i],
		Capture: int32(b.Capture.Index), Cell: s.counter.cell, Local: -1, Remote: -1,
	}
	if s.index >= 0 {
		from := &b.Capture.Sockets.List[s.index]
		x.Local, x.Remote, x.LocalPort, x.RemotePort = from.Local, from.Remote, from.LocalPort, from.RemotePort
	}
	if x.LatencyNs() < 0 {
		return // of a damaged row
	}
	d, e := &s.counter.drawing, &a.partial.Stats(s.counter.cell).Examples
	slowest, drawn := slowestAt(a.partial.scarcity), drawnAt(a.partial.scarcity)
	before := e.size()
	e.offerSlow(&x, slowest)
	if len(e.Slowest) == slowest {
		d.slow = e.Slowest[slowest-1].LatencyNs()
	}
	if octave := x.octave(); drawn > 0 {
		e.offerDrawn(&x, drawn)
		if first, past := e.run(octave); past-first == drawn {
			d.floors[octave] = e.Drawn[past-1].pick()
		}
	} else {
		d.floors[octave] = ^uint64(0)
	}
	a.partial.examples += e.size() - before
}
