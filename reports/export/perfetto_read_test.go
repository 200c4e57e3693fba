package export

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A reader of traces, as far as Perfetto's trace processor does it: packets in the
// order of their time, those of one time as they stand in the file; an end ends the
// slice of its track that began last; interned things are known from the packet
// on that brings them. Field numbers are those of the official protos, written
// again here so that a wrong one does not read itself.

// field is a field of a message.
type field struct {
	number protowire.Number
	value  uint64
	bytes  []byte
}

// fields takes a message apart.
func fields(t *testing.T, b []byte) []field {
	t.Helper()
	var list []field
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("a tag: %v", protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("field %d has wire type %d", number, kind)
		}
		if n < 0 {
			t.Fatalf("field %d: %v", number, protowire.ParseError(n))
		}
		b = b[n:]
		list = append(list, f)
	}
	return list
}

func number(list []field, n protowire.Number) uint64 {
	for _, f := range list {
		if f.number == n {
			return f.value
		}
	}
	return 0
}

func text(list []field, n protowire.Number) string {
	for _, f := range list {
		if f.number == n {
			return string(f.bytes)
		}
	}
	return ""
}

func has(list []field, n protowire.Number) bool {
	return slices.ContainsFunc(list, func(f field) bool { return f.number == n })
}

// readSlice is a row of the trace processor's table slice.
type readSlice struct {
	track          uint64
	ts, dur        int64
	name, category string
	depth          int
	args           map[string]string
	flow           uint64
	flowEnds       bool
}

type readTrack struct {
	parent        uint64
	name, process string
	pid, tid      int64
	counter       bool
}

type readSample struct {
	ts, cpu, pid, tid int64
	frames            []string // from the root, "module:function"
}

type readTrace struct {
	tracks   map[uint64]readTrack
	slices   []readSlice
	counters map[uint64][]string // "ts=value"
	samples  []readSample
	clocks   map[uint64]uint64
	primary  uint64
	open     map[uint64][]int // track → slices that have not ended
}

// interning is what a sequence knows.
type interning map[protowire.Number]map[uint64][]field

func (in interning) add(t *testing.T, data []byte) {
	for _, f := range fields(t, data) {
		entry := fields(t, f.bytes)
		iid := number(entry, 1)
		if in[f.number] == nil {
			in[f.number] = map[uint64][]field{}
		}
		if iid == 0 || in[f.number][iid] != nil {
			t.Errorf("interned field %d has the number %d twice, or 0", f.number, iid)
		}
		in[f.number][iid] = entry
	}
}

func (in interning) text(t *testing.T, n protowire.Number, iid uint64) string {
	t.Helper()
	entry := in[n][iid]
	if entry == nil {
		t.Errorf("interned field %d has no number %d", n, iid)
	}
	return text(entry, 2)
}

// readPerfetto reads a trace as the trace processor would.
func readPerfetto(t *testing.T, data []byte) *readTrace {
	t.Helper()
	r := &readTrace{tracks: map[uint64]readTrack{}, counters: map[uint64][]string{}, clocks: map[uint64]uint64{}, open: map[uint64][]int{}}
	in := interning{}
	type timed struct {
		ts    int64
		apply func()
	}
	var later []timed
	for i, packet := range fields(t, data) {
		if packet.number != 1 {
			t.Fatalf("field %d in a trace", packet.number)
		}
		p := fields(t, packet.bytes)
		if number(p, 10) != 1 || i == 0 && (number(p, 13) != 3 || number(p, 87) != 1 || number(fields(t, []byte(text(p, 59))), 58) != 3) || i > 0 && number(p, 13) != 2 {
			t.Fatalf("packet %d: sequence %d, flags %d", i, number(p, 10), number(p, 13))
		}
		ts := int64(number(p, 8))
		if has(p, 12) {
			in.add(t, []byte(text(p, 12)))
		}
		switch {
		case has(p, 6):
			for _, f := range fields(t, []byte(text(p, 6))) {
				if f.number == 2 {
					r.primary = f.value
					continue
				}
				clock := fields(t, f.bytes)
				r.clocks[number(clock, 1)] = number(clock, 2)
			}
		case has(p, 60):
			r.addTrack(t, fields(t, []byte(text(p, 60))))
		case has(p, 11):
			apply := r.event(t, in, ts, fields(t, []byte(text(p, 11))))
			later = append(later, timed{ts, apply})
		case has(p, 66):
			r.samples = append(r.samples, sampleOf(t, in, ts, fields(t, []byte(text(p, 66)))))
		}
	}
	slices.SortStableFunc(later, func(a, b timed) int { return int(a.ts - b.ts) })
	for _, l := range later {
		l.apply()
	}
	for i, s := range r.slices {
		if s.dur < 0 {
			t.Errorf("slice %d, %s, does not end", i, s.name)
		}
	}
	return r
}

func (r *readTrace) addTrack(t *testing.T, d []field) {
	process, thread := fields(t, []byte(text(d, 3))), fields(t, []byte(text(d, 4)))
	track := readTrack{parent: number(d, 5), name: text(d, 2), process: text(process, 6), counter: has(d, 8),
		pid: int64(number(process, 1) + number(thread, 1)), tid: int64(number(thread, 2))}
	if len(thread) > 0 {
		track.name = text(thread, 5)
	}
	if id := number(d, 1); id == 0 || r.tracks[id] != (readTrack{}) || track.parent != 0 && r.tracks[track.parent] == (readTrack{}) {
		t.Errorf("track %d is there already, or its parent %d is not", id, track.parent)
	} else {
		r.tracks[id] = track
	}
}

// event gives what an event does when its time has come.
func (r *readTrace) event(t *testing.T, in interning, ts int64, e []field) func() {
	track := number(e, 11)
	if _, known := r.tracks[track]; !known {
		t.Errorf("an event on a track %d that is not known", track)
	}
	s := readSlice{track: track, ts: ts, dur: -1, args: map[string]string{}, flow: number(e, 47) + number(e, 48), flowEnds: has(e, 48)}
	if has(e, 10) {
		s.name = in.text(t, 2, number(e, 10))
	} else {
		s.name = text(e, 23)
	}
	if has(e, 3) {
		s.category = in.text(t, 1, number(e, 3))
	}
	for _, f := range e {
		if f.number != 4 {
			continue
		}
		a := fields(t, f.bytes)
		value := text(a, 6)
		if has(a, 4) {
			value = fmt.Sprint(int64(number(a, 4)))
		}
		s.args[in.text(t, 3, number(a, 1))] = value
	}
	switch number(e, 9) {
	case 1, 3:
		return func() { r.begin(s, number(e, 9) == 3) }
	case 2:
		return func() { r.end(t, track, ts) }
	case 4:
		return func() {
			r.counters[track] = append(r.counters[track], fmt.Sprintf("%d=%.4g", ts, math.Float64frombits(number(e, 44))))
		}
	}
	t.Errorf("an event of type %d", number(e, 9))
	return func() {}
}

func (r *readTrace) begin(s readSlice, instant bool) {
	s.depth = len(r.open[s.track])
	if instant {
		s.dur = 0
	} else {
		r.open[s.track] = append(r.open[s.track], len(r.slices))
	}
	r.slices = append(r.slices, s)
}

func (r *readTrace) end(t *testing.T, track uint64, ts int64) {
	open := r.open[track]
	if len(open) == 0 {
		t.Errorf("an end at %d on track %d, where nothing began", ts, track)
		return
	}
	s := &r.slices[open[len(open)-1]]
	s.dur = ts - s.ts
	r.open[track] = open[:len(open)-1]
}

func sampleOf(t *testing.T, in interning, ts int64, p []field) readSample {
	s := readSample{ts: ts, cpu: int64(number(p, 1)), pid: int64(number(p, 2)), tid: int64(number(p, 3))}
	if !has(p, 4) {
		return s
	}
	for _, f := range in[7][number(p, 4)] {
		if f.number != 2 {
			continue
		}
		frame := in[6][f.value]
		mapping := in[19][number(frame, 3)]
		if frame == nil || mapping == nil || !has(frame, 4) {
			t.Errorf("frame %d or its mapping %d is not known", f.value, number(frame, 3))
		}
		s.frames = append(s.frames, in.text(t, 17, number(mapping, 7))+":"+in.text(t, 5, number(frame, 2)))
	}
	return s
}
