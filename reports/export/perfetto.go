package export

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"kmon/analyze"
)

// Perfetto writes a Perfetto trace: a stream of protobuf packets, in any order of
// time, which the trace processor sorts, stably. It is an analyze.Timeline.
//
//	requests  slices on the thread that answered, category request; on the
//	          client's end category call, below the request it was made for if
//	          one thread did both. What overlaps on its thread goes to lanes of
//	          the process, as do exchanges without a known thread
//	flows     from a call to its request
//	disks     lanes of slices, category io, with the parts queue and device
//	threads   counters: shares of one CPU that it ran and waited for a CPU
//	samples   perf samples with stacks
//	marks and losses   tracks of their own
//
// What it keeps grows with processes, threads and what happens at once, up to
// MaxTracks; what finds no room is counted in LeftOut.
type Perfetto struct {
	LeftOut int64 // events, for want of room
	Events  int64 // written: slices, instants, counters, samples

	w         *bufio.Writer
	packet    message
	last      uint64 // number of a track
	names     map[string]uint64
	processes map[int]*processTracks
	disks     map[string]*lanes
	losses    lanes
	groups    map[string]uint64
	stacks    stackNumbers
}

// processTracks are the tracks of a process.
type processTracks struct {
	track    uint64
	requests lanes
	calls    lanes
	threads  map[int32]*threadTracks
}

// threadTracks are the tracks of a thread.
type threadTracks struct {
	track     uint64
	slices    nest
	ran       uint64 // counter; 0: not yet there
	waited    uint64
	countedNs int64 // what the counters tell ends here
}

const (
	// MaxTracks bounds the tracks of a trace, of some 300 B each.
	MaxTracks = 1 << 17
	// maxNames bounds the names that are written once; others stand in full.
	maxNames = 1 << 16
)

// The categories, and the names of arguments: their numbers are their places, from
// 1.
var (
	categories = []string{"request", "call", "stream", "one way", "io", "mark", "loss"}
	arguments  = []string{"peer", "upload_ns", "server_ns", "download_ns", "request_bytes", "answer_bytes", "connection", "flags", "kind",
		"service", "process", "pid", "tid", "bytes", "sector", "error", "requeues", "merges", "collector", "table", "cause", "count",
		"request_messages", "answer_messages"}
	categoryNumbers, argumentNumbers = numbersOf(categories), numbersOf(arguments)
)

func numbersOf(words []string) map[string]uint64 {
	numbers := map[string]uint64{}
	for i, w := range words {
		numbers[w] = uint64(i + 1)
	}
	return numbers
}

// NewPerfetto gives a trace that is written to w. It must be closed.
func NewPerfetto(w io.Writer) *Perfetto {
	return &Perfetto{w: bufio.NewWriterSize(w, 1<<16), names: map[string]uint64{}, processes: map[int]*processTracks{},
		disks: map[string]*lanes{}, groups: map[string]uint64{}, stacks: newStackNumbers()}
}

// Close ends the counters and writes what is left.
func (p *Perfetto) Close() error {
	numbers := make([]int, 0, len(p.processes))
	for n := range p.processes {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		threads := p.processes[n].threads
		tids := make([]int32, 0, len(threads))
		for tid := range threads {
			tids = append(tids, tid)
		}
		slices.Sort(tids)
		for _, tid := range tids {
			if err := p.idle(threads[tid]); err != nil {
				return err
			}
		}
	}
	return p.w.Flush()
}

// Start writes what all packets build on: the clocks, the words.
func (p *Perfetto) Start(c analyze.TimelineClock) error {
	return p.write(func(m *message) {
		m.integer(packetTimestamp, uint64(c.MonotonicNs))
		m.integer(packetFirst, 1)
		m.integer(packetPreviousDropped, 1)
		m.inner(packetDefaults, func(m *message) { m.integer(defaultsClock, clockMonotonic) })
		m.inner(packetInterned, func(m *message) {
			for i, word := range categories {
				m.interned(internedCategories, uint64(i+1), word)
			}
			for i, word := range arguments {
				m.interned(internedArguments, uint64(i+1), word)
			}
		})
		m.inner(packetClockSnapshot, func(m *message) {
			for _, clock := range [][2]uint64{{clockMonotonic, uint64(c.MonotonicNs)}, {clockRealtime, uint64(c.UnixNs)}} {
				m.inner(snapshotClock, func(m *message) {
					m.integer(clockID, clock[0])
					m.integer(clockTime, clock[1])
				})
			}
			m.integer(snapshotPrimary, clockMonotonic)
		})
	}, flagsCleared|flagsNeeds)
}

// interned writes a text with its number.
func (m *message) interned(field protowire.Number, number uint64, text string) {
	m.inner(field, func(m *message) {
		m.integer(internedID, number)
		m.text(internedText, text)
	})
}

// write writes a packet.
func (p *Perfetto) write(fill func(m *message), flags uint64) error {
	p.packet = p.packet[:0]
	p.packet.inner(tracePacket, func(m *message) {
		fill(m)
		m.integer(packetSequence, 1)
		m.integer(packetSequenceFlags, flags)
	})
	_, err := p.w.Write(p.packet)
	return err
}

// track writes a new track and gives its number, 0 when there are too many.
func (p *Perfetto) track(parent uint64, name string, fill func(m *message)) (uint64, error) {
	if p.last >= MaxTracks {
		return 0, nil
	}
	p.last++
	number := p.last
	return number, p.write(func(m *message) {
		m.inner(packetTrack, func(m *message) {
			m.integer(trackID, number)
			if parent != 0 {
				m.integer(trackParent, parent)
			}
			if name != "" {
				m.text(trackName, shown(name))
			}
			if fill != nil {
				fill(m)
			}
		})
	}, flagsNeeds)
}

// process gives the tracks of a process.
func (p *Perfetto) process(of *analyze.TimelineProcess) (*processTracks, error) {
	t := p.processes[of.Number]
	if t != nil {
		return t, nil
	}
	name := of.Service
	if of.Name != "" && of.Name != of.Service {
		name += " (" + of.Name + ")"
	}
	t = &processTracks{threads: map[int32]*threadTracks{}}
	p.processes[of.Number] = t
	fill := func(m *message) {
		m.inner(trackProcess, func(m *message) {
			m.integer(processPID, uint64(of.PID))
			m.text(processName, shown(name))
		})
	}
	label := ""
	if of.PID == 0 { // 0 would be the idle process
		fill, label = nil, name
	}
	var err error
	t.track, err = p.track(0, label, fill)
	t.requests.parent, t.requests.name = t.track, "overlapping requests"
	t.calls.parent, t.calls.name = t.track, "overlapping calls"
	return t, err
}

// thread gives the tracks of a thread, nil where it is not known or there are too
// many.
func (p *Perfetto) thread(of *analyze.TimelineThread) (*threadTracks, error) {
	process, err := p.process(of.TimelineProcess)
	if err != nil || process.track == 0 || of.TID <= 0 || of.PID <= 0 {
		return nil, err
	}
	t := process.threads[of.TID]
	if t != nil {
		return t, nil
	}
	t = new(threadTracks)
	t.track, err = p.track(process.track, "", func(m *message) {
		m.inner(trackThread, func(m *message) {
			m.integer(threadPID, uint64(of.PID))
			m.integer(threadTID, uint64(of.TID))
			if of.Name != "" {
				m.text(threadName, shown(of.Name))
			}
		})
	})
	if err != nil || t.track == 0 {
		return nil, err
	}
	process.threads[of.TID] = t
	return t, nil
}

// group gives a track that holds others, or events of no process.
func (p *Perfetto) group(name string) (uint64, error) {
	if g := p.groups[name]; g != 0 {
		return g, nil
	}
	g, err := p.track(0, name, nil)
	p.groups[name] = g
	return g, err
}

// event writes an event.
func (p *Perfetto) event(ns int64, kind uint64, track uint64, fill func(m *message)) error {
	if kind != typeEnd {
		p.Events++
	}
	return p.write(func(m *message) {
		m.integer(packetTimestamp, uint64(max(ns, 0)))
		m.inner(packetTrackEvent, func(m *message) {
			m.integer(eventType, kind)
			m.integer(eventTrack, track)
			if fill != nil {
				fill(m)
			}
		})
	}, flagsNeeds)
}

// slice writes the beginning and the end of a slice.
func (p *Perfetto) slice(startNs, endNs int64, track uint64, fill func(m *message)) error {
	return errors.Join(p.event(startNs, typeBegin, track, fill), p.event(max(endNs, startNs), typeEnd, track, nil))
}

// name writes a name, which stands in the trace once if there is room.
func (p *Perfetto) name(text string) (func(m *message), error) {
	number, known := p.names[text]
	if !known && len(p.names) >= maxNames {
		return func(m *message) { m.text(eventName, shown(text)) }, nil
	}
	var err error
	if !known {
		number = uint64(len(p.names) + 1)
		p.names[text] = number
		err = p.write(func(m *message) {
			m.inner(packetInterned, func(m *message) { m.interned(internedNames, number, shown(text)) })
		}, flagsNeeds)
	}
	return func(m *message) { m.integer(eventNameID, number) }, err
}

func (m *message) category(word string) { m.integer(eventCategory, categoryNumbers[word]) }

// number writes an argument.
func (m *message) number(name string, v int64) {
	m.inner(eventArgument, func(m *message) {
		m.integer(argumentName, argumentNumbers[name])
		m.integer(argumentInteger, uint64(v))
	})
}

// word writes an argument that says something.
func (m *message) word(name, v string) {
	if v == "" || v == "-" {
		return
	}
	m.inner(eventArgument, func(m *message) {
		m.integer(argumentName, argumentNumbers[name])
		m.text(argumentText, shown(v))
	})
}

// maxText is the longest text of a trace, in bytes. One of a capture may have
// a megabyte.
const maxText = 512

// shown bounds a text and makes it valid.
func shown(s string) string {
	if len(s) <= maxText {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
}

// address joins an address and a port; "" when there is none.
func address(addr string, port int32) string {
	if addr == "" {
		return ""
	}
	return net.JoinHostPort(addr, strconv.Itoa(int(port)))
}
