package analyze

import (
	"context"
	"strconv"

	"kmon/analyze/replay"
	"kmon/analyze/topology"
)

// A Timeline is told, event by event, what happened in a capture. What the
// pointers lead to is valid during the call, but for TimelineProcess, which stays.
// Times are the recorded kernel's CLOCK_MONOTONIC, in ns. An error ends the run.
type Timeline interface {
	// Start comes first.
	Start(TimelineClock) error
	// CPU tells what threads used, those of one thread by time.
	CPU(*TimelineCPU) error
	// Request tells of exchanges in the order of their start, as far as
	// timelineRows of them can be put in order at once.
	Request(*TimelineRequest) error
	// IO is in order as requests are.
	IO(*TimelineIO) error
	Sample(*TimelineSample) error
	Mark(*TimelineMark) error
	Loss(*TimelineLoss) error
}

// TimelineClock is one moment by two clocks, the start of the recording.
type TimelineClock struct {
	MonotonicNs int64
	UnixNs      int64
}

// TimelineProcess is a process, the same pointer in all its events.
type TimelineProcess struct {
	Number   int    // from 1; tells processes that had one id after the other apart
	PID      int32  // 0: not known
	Name     string // of its task; "": not known
	Service  string
	Instance string // pod, container or unit; "": the process itself
}

// TimelineThread is a thread of a process.
type TimelineThread struct {
	*TimelineProcess
	TID  int32  // 0: not known
	Name string // "": not known
}

// TimelineCPU is what a thread used of an interval. There is none of an interval
// in which it did not run.
type TimelineCPU struct {
	Thread     TimelineThread
	StartNs    int64
	EndNs      int64
	OnCPUNs    int64
	RunQueueNs int64 // runnable, waiting for a CPU
}

// TimelineKind is what an exchange is.
type TimelineKind string

// The kinds of exchanges. The first three are the requests that Service.Requests
// and Edge.Requests count.
const (
	TimelineAnswered   TimelineKind = ""           // its times are sound
	TimelineUnanswered TimelineKind = "unanswered" // ServerNs is how long it waited, in vain or until the recording ended
	TimelineUntimed    TimelineKind = "untimed"    // joined midway or interleaved: its times are not sound
	TimelineOneWay     TimelineKind = "one way"    // a burst without the other
	TimelineStream     TimelineKind = "stream"     // messages of a connection that does not pair them
)

// TimelineRequest is an exchange on one end of its connection.
type TimelineRequest struct {
	Thread          TimelineThread
	OnClient        bool // of the client's end
	Kind            TimelineKind
	StartNs         int64
	UploadNs        int64
	ServerNs        int64
	DownloadNs      int64
	Client          string // service
	Server          string // service
	ServerPort      int32
	Peer            string // address of the other end; "": not known
	PeerPort        int32
	Socket          int64
	RequestBytes    int64
	AnswerBytes     int64
	RequestMessages int32
	AnswerMessages  int32
	Flags           string // words joined by |, "-": none; without client, which OnClient tells
	// Flow is the same for both ends of a request, 0 where only one was recorded
	// or the other was not found. On the client's end the other may be missing
	// all the same.
	Flow uint64
}

// LatencyNs is the length of an exchange.
func (r *TimelineRequest) LatencyNs() int64 { return r.UploadNs + r.ServerNs + r.DownloadNs }

// TimelineIO is a request to a disk.
type TimelineIO struct {
	Thread    TimelineThread // who asked
	Disk      string
	Operation string // read, write, flush, …
	Flags     string // words joined by |, "-": none
	StartNs   int64
	QueueNs   int64
	DeviceNs  int64
	Sector    int64 // -1: none
	Bytes     int64
	Error     int32 // errno; 0: none
	Requeues  int32
	Merges    int32
}

// TimelineFrame is a place in code.
type TimelineFrame struct {
	Name   string
	Module string // path of the file, or kernel, bpf or a module's name; "": not known
}

// TimelineSample is a thread that was met on a CPU.
type TimelineSample struct {
	Thread TimelineThread
	TsNs   int64
	CPU    int32
	Stack  int32           // the same number, the same Frames
	Frames []TimelineFrame // from the root; none: no stack was recorded
}

// TimelineMark is a moment worth a line.
type TimelineMark struct {
	TsNs int64
	Kind string
	Text string
}

// TimelineLoss is rows that are known to be missing.
type TimelineLoss struct {
	StartNs   int64 // of the recording, where it is not known
	EndNs     int64
	Collector string // "": all, of a part that is missing
	Table     string
	Cause     string
	Count     int64 // -1: not counted
}

// timelineRows is how many exchanges or IOs are put in order at once: some 40 MB.
// Rows are written when an exchange has ended, so those of long ones come late.
const timelineRows = 1 << 17

// ReadTimeline tells t what happened in a capture, and returns the damage found
// while reading. Of the options Since, Until, Services and Progress count. Requests
// are those that began in the range, on either end of which is a service that
// is wanted.
func ReadTimeline(ctx context.Context, path string, o Options, t Timeline) (problems []string, err error) {
	r, err := open(ctx, []string{path}, o)
	if err != nil {
		return nil, err
	}
	defer closeAll(r.captures)
	r.topology = new(topology.Topology) // names of connections are those of exchangeNamer
	l := &timeline{run: r, capture: r.captures[0], to: t, processes: map[int32]*TimelineProcess{}, strangers: map[int32]*TimelineProcess{}}
	for _, step := range []func(context.Context) error{l.start, l.cpu, l.requests, l.ios, l.samples} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return l.capture.Problems(), nil
}

// timeline is a timeline under way.
type timeline struct {
	*run
	capture   *replay.Capture
	to        Timeline
	processes map[int32]*TimelineProcess // by the number of their life
	strangers map[int32]*TimelineProcess // by id: those of which the capture tells nothing else
	names     map[int32]string           // thread → its last name
}

// maxStrangers bounds processes and threads that only rows of events tell of.
const maxStrangers = 1 << 16

// start tells the clock, marks and losses.
func (l *timeline) start(context.Context) error {
	c := l.capture
	if err := l.to.Start(TimelineClock{MonotonicNs: c.StartNs, UnixNs: c.StartNs + c.OffsetNs}); err != nil {
		return err
	}
	for _, m := range c.Marks {
		if !l.within(m.TsNs) {
			continue
		}
		if err := l.to.Mark(&TimelineMark{TsNs: m.TsNs, Kind: m.Kind, Text: m.Text}); err != nil {
			return err
		}
	}
	for _, g := range c.Gaps {
		if err := l.loss(TimelineLoss{StartNs: g.StartNs, EndNs: g.EndNs, Cause: "parts that are missing", Count: -1}); err != nil {
			return err
		}
	}
	for _, loss := range c.Losses {
		err := l.loss(TimelineLoss{StartNs: loss.StartNs, EndNs: loss.EndNs, Collector: loss.Collector, Table: loss.Table,
			Cause: loss.Cause.String(), Count: loss.Count})
		if err != nil {
			return err
		}
	}
	return nil
}

// loss tells of a loss that touches the range.
func (l *timeline) loss(loss TimelineLoss) error {
	loss.StartNs = max(loss.StartNs, l.capture.StartNs)
	loss.EndNs = max(loss.EndNs, loss.StartNs)
	if loss.EndNs+l.capture.OffsetNs < l.frame.FromNs || loss.StartNs+l.capture.OffsetNs >= l.frame.ToNs {
		return nil
	}
	return l.to.Loss(&loss)
}

// within says whether a monotonic time is in the range asked for.
func (l *timeline) within(ns int64) bool {
	ns += l.capture.OffsetNs
	return ns >= l.frame.FromNs && ns < l.frame.ToNs
}

// thread names a thread; owner is who its process was at the time, -1 for nobody.
func (l *timeline) thread(pid, tid, owner int32) TimelineThread {
	return TimelineThread{TimelineProcess: l.process(pid, owner), TID: tid, Name: l.names[tid]}
}

// process gives what is known of a process; owner is -1 for nothing.
func (l *timeline) process(pid, owner int32) *TimelineProcess {
	if owner < 0 {
		return l.stranger(pid)
	}
	life := l.capture.Owners.Life(owner)
	p := l.processes[life]
	if p == nil {
		o := l.capture.Owners.Get(owner)
		p = &TimelineProcess{Number: l.number(), PID: pid, Name: o.Comm, Service: o.Service, Instance: o.Instance}
		l.processes[life] = p
	}
	return p
}

// stranger is a process that no row describes; of too many the rest are one.
func (l *timeline) stranger(pid int32) *TimelineProcess {
	if l.strangers[pid] == nil && len(l.strangers) >= maxStrangers {
		pid = 0
	}
	p := l.strangers[pid]
	if p == nil {
		p = &TimelineProcess{Number: l.number(), PID: pid, Service: UnknownProcess}
		if pid != 0 {
			p.Service = "pid " + strconv.Itoa(int(pid))
		}
		l.strangers[pid] = p
	}
	return p
}

func (l *timeline) number() int { return len(l.processes) + len(l.strangers) + 1 }
