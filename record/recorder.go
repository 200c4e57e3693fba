package record

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"time"

	"kmon/format"
	"kmon/record/hostfs"
	"kmon/record/probe"
	"kmon/record/provider"
)

const (
	// pollEvery is how long records may lie in the control ring. The kernel never
	// wakes the recorder: a wake-up costs more than an event, and the recorder
	// comes by often enough. A ring more than 1/busyShare full brings it back
	// sooner.
	pollEvery     = 40 * time.Millisecond
	pollEveryBusy = 4 * time.Millisecond
	busyShare     = 8
	// dataEvery is how long exchanges may lie in the data ring. Each visit costs
	// a recorded program the contents of its caches, so few long ones are better.
	dataEvery = 200 * time.Millisecond
	// drainRecords bounds one visit to a ring: rows are handed on while they are
	// in the cache, and the clock is looked at.
	drainRecords = 256
	// tickEvery is the rhythm of losses, sweeps and self rows.
	tickEvery = time.Second
)

// recorder is one recording. All fields belong to the goroutine that runs
// loop; other goroutines reach it through channels.
type recorder struct {
	options     Options
	began       time.Time
	running     []string // collectors
	path        string
	startNs     int64
	root        hostfs.Root
	lacks       []string // what is not seen for want of privileges
	provider    *provider.Provider
	session     *probe.Session
	writer      *format.Writer
	parts       *parts // nil: the recording is one file
	before      cost   // of the parts before this one
	ring        *ring  // nil: the whole recording is kept
	decoder     probe.Decoder
	stopSources context.CancelFunc

	config   provider.Version // in force
	warned   []string         // at the start
	versions <-chan provider.Version
	sightings
	marks
	clocks  clocks // at the last tick
	command *exec.Cmd
	ended   chan int // exit code of the command

	data       probe.Data // batch on its way to the writer
	interval   interval
	bounds     bounds
	overhead   overhead
	procs      []format.Proc
	toLookAt   []probe.Proc // procs, as the Provider is to be told
	stacks     stackNamer
	listeners  map[format.Listener]int // seen → part they were written to, to write each once
	lastLossNs int64
	losses     map[string]int64 // of this capture
	lost       int64
	unseen     unseen
	targets    provider.Targets
	ofTargets  targetSockets
	stopReason string
	exitCode   int
}

// errStop ends the loop in order; stopReason says why.
var errStop = errors.New("stop")

// loop moves records until something ends the recording.
func (r *recorder) loop(ctx context.Context) error {
	if err := r.runCommand(); err != nil {
		return err
	}
	r.report()
	r.clocks = readClocks()
	every := r.options.tickEvery()
	next := time.Now().Add(every)
	nextData := time.Now()
	for pause := pollEvery; ; {
		time.Sleep(pause)
		busy := r.busy()
		pause = pollEvery
		if busy {
			pause = pollEveryBusy
		}
		r.session.Measure()
		dataDue := busy || time.Now().After(nextData)
		more := false
		if !r.held() {
			var err error
			if more, err = r.drain(dataDue); err != nil {
				return err
			}
		}
		if more || r.parts.busy() && !r.held() {
			pause = 0
		} else if dataDue {
			nextData = time.Now().Add(dataEvery)
		}
		if dataDue {
			r.bounds.look()
		}
		if err := errors.Join(r.takeSightings(), r.takeMarks()); err != nil {
			return err
		}
		if now := time.Now(); now.After(next) {
			next = now.Add(every)
			if err := r.tick(); err != nil {
				return err
			}
		}
		if err := errors.Join(r.endInterval(), r.rotate(), r.turnRing()); err != nil {
			return err
		}
		if r.shouldStop(ctx) {
			return errStop
		}
	}
}

// tickEvery is how long it is from one tick to the next.
func (o Options) tickEvery() time.Duration {
	if o.pace != nil && o.pace.every > 0 {
		return o.pace.every
	}
	return tickEvery
}

// busy says whether a ring fills faster than the recorder comes by.
func (r *recorder) busy() bool {
	for _, ring := range []*probe.Ring{r.session.Data(), r.session.Control()} {
		if ring.BacklogBytes() > ring.SizeBytes()/busyShare {
			return true
		}
	}
	return false
}

// shouldStop looks for the reasons to end and notes the first.
func (r *recorder) shouldStop(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		r.stopReason = "signal"
		return true
	case r.exitCode = <-r.ended:
		r.stopReason = "command"
		r.command = nil
		return true
	default:
	}
	if r.options.Duration > 0 && time.Since(r.began) >= r.options.Duration {
		r.stopReason = "duration"
		return true
	}
	return r.outOfRoom()
}

// drain reads the rings, control first so that a socket's row comes before its
// exchanges, and data only if that is due. It returns whether it stopped for its
// bound and not for want of records.
func (r *recorder) drain(data bool) (more bool, err error) {
	more = r.session.Control().Drain(drainRecords, r.takeControl) == drainRecords
	if data {
		more = r.session.Data().Drain(drainRecords, r.takeData) == drainRecords || more
	}
	return more, r.appendBatches()
}

// drainControl reads the control ring until nothing is left.
func (r *recorder) drainControl() error {
	for more := true; more; {
		more = r.session.Control().Drain(drainRecords, r.takeControl) == drainRecords
		if err := r.appendBatches(); err != nil {
			return err
		}
	}
	return nil
}

// drainAll reads the rings until nothing is left; the hooks must be detached.
// With an error it goes on: the writer counts what it cannot write.
func (r *recorder) drainAll() (first error) {
	for {
		more, err := r.drain(true)
		if first == nil {
			first = err
		}
		if !more {
			return first
		}
	}
}

func (r *recorder) takeData(record []byte) { r.decoder.Data(&r.data, record) }

func (r *recorder) takeControl(record []byte) {
	switch row := r.decoder.Control(record).(type) {
	case format.Socket:
		if r.parts.lists(&row) {
			r.listed = append(r.listed, row)
			break
		}
		r.sockets = append(r.sockets, row)
	case format.Listener:
		r.newListeners = append(r.newListeners, row)
	case format.AcceptQueue:
		r.closedQueues = append(r.closedQueues, row)
	case probe.Proc:
		r.procs = append(r.procs, row.Proc)
		r.toLookAt = append(r.toLookAt, row)
	}
}

// appendBatches hands what was drained to the writer and the Provider.
func (r *recorder) appendBatches() error {
	r.session.NameStacks(r.data.Samples)
	r.noteLate()
	err := errors.Join(
		format.Append(r.writer, r.listed...),
		format.Append(r.writer, r.sockets...),
		format.Append(r.writer, r.storedEvents(r.procs)...),
		r.appendListeners(r.newListeners),
		format.Append(r.writer, r.closedQueues...),
		r.writer.AppendExchanges(r.data.Exchanges),
		format.Append(r.writer, r.data.Intervals...),
		format.Append(r.writer, r.data.Samples...),
		format.Append(r.writer, r.data.IOs...),
	)
	if !r.targets.All || r.options.ConfigPath != "" { // which may change the targets
		r.ofTargets.see(r.sockets)
	}
	r.watching().Exchanges(r.data.Exchanges)
	r.watching().Ended(r.procs)
	r.tellProvider(r.toLookAt)
	r.stacks.tellEvents(r.procs)
	r.listed, r.sockets, r.procs, r.newListeners, r.closedQueues = r.listed[:0], r.sockets[:0], r.procs[:0], r.newListeners[:0], r.closedQueues[:0]
	clear(r.toLookAt) // their arguments
	r.toLookAt = r.toLookAt[:0]
	r.data.Reset()
	return err
}

// maxListenersSeen bounds the memory of listeners already written.
const maxListenersSeen = 65536

// appendListeners writes the listeners that were not written before.
func (r *recorder) appendListeners(rows []format.Listener) error {
	var fresh []format.Listener
	for _, row := range rows {
		key := row
		key.TsNs, key.Backlog = 0, 0
		if r.listeners[key] == r.part() {
			continue
		}
		if len(r.listeners) >= maxListenersSeen {
			clear(r.listeners)
		}
		r.listeners[key] = r.part()
		fresh = append(fresh, row)
	}
	return format.Append(r.writer, fresh...)
}

// appendSnapshot writes what the Provider found new.
func (r *recorder) appendSnapshot(s provider.Snapshot) error {
	r.stacks.tellProcesses(s.Processes)
	r.unseen.lookedThrough(&s)
	r.watching().Processes(s.Processes)
	return errors.Join(
		format.Append(r.writer, r.storedProcesses(s.Processes)...),
		r.appendListeners(s.Listeners),
		format.Append(r.writer, s.Containers...),
		format.Append(r.writer, s.Interfaces...),
		format.Append(r.writer, s.Disks...),
		format.Append(r.writer, s.Mounts...),
		format.Append(r.writer, s.Memory...),
		format.Append(r.writer, s.Limits...),
	)
}

// tick does what is due once a second.
func (r *recorder) tick() error {
	if err := r.markClocks(); err != nil {
		return err
	}
	clock := r.clocks
	if err := r.session.Sweep(false); err != nil {
		return err
	}
	if err := r.appendQueues(); err != nil {
		return err
	}
	if err := r.appendSettledCalls(clock.MonotonicNs); err != nil {
		return err
	}
	if err := r.appendNetEvents(clock.MonotonicNs, false); err != nil {
		return err
	}
	if err := r.appendLosses(clock.MonotonicNs); err != nil {
		return err
	}
	if err := r.watchOverhead(); err != nil { // after the losses of what was left out so far
		return err
	}
	if err := r.nameStacks(clock.MonotonicNs); err != nil {
		return err
	}
	if err := r.tickRing(clock.MonotonicNs); err != nil {
		return err
	}
	if err := format.Append(r.writer, r.self(clock.ClockPair)); err != nil {
		return err
	}
	if err := r.writer.Tick(clock.MonotonicNs); err != nil {
		return err
	}
	r.report()
	return nil
}

// appendQueues writes how many connections wait at the listeners.
func (r *recorder) appendQueues() error {
	rows, err := r.session.AcceptQueues()
	return errors.Join(err, format.Append(r.writer, rows...))
}

// report offers the state to whoever watches.
func (r *recorder) report() {
	if r.options.Status == nil {
		return
	}
	status := Status{Elapsed: time.Since(r.began), Rows: r.rows(), SizeBytes: r.size(), Lost: r.lost, Part: r.partNumber()}
	if r.ring != nil {
		status.Kept = r.kept(provider.Clock().MonotonicNs)
	}
	select {
	case r.options.Status <- status:
	default:
	}
}

func (r *recorder) rows() int64 {
	n := rowsOf(r.writer)
	if p := r.parts; p != nil {
		if p.ending != nil {
			n += rowsOf(p.ending.writer)
		}
		for _, rows := range p.rows {
			n += rows
		}
	}
	return n
}

// rowsOf is how many rows a capture was given.
func rowsOf(w *format.Writer) int64 {
	var n int64
	for _, rows := range w.Rows() {
		n += rows
	}
	return n
}

// appendLosses writes what was lost since the last time.
func (r *recorder) appendLosses(nowNs int64) error {
	lost, err := r.session.Losses()
	if err != nil {
		return err
	}
	if n := r.decoder.Undecodable; n > 0 {
		r.decoder.Undecodable = 0
		lost = append(lost, probe.Lost{Collector: "tcp", Table: "exchanges", Cause: format.LossDecode, Count: n})
	}
	lost = slices.Concat(lost, r.stacks.lost(), r.unseen.lost())
	var errs []error
	for _, l := range lost {
		r.lost += max(l.Count, 0)
		if l.Table == "exchanges" {
			r.watching().Lost(nowNs)
		}
		if l.Count > 0 {
			r.losses[l.Collector+"/"+l.Cause.String()] += l.Count
		}
		row := format.Loss{StartNs: r.lastLossNs, EndNs: nowNs, Collector: l.Collector, Table: l.Table, Cause: l.Cause, Count: l.Count}
		errs = append(errs, format.Append(r.writer, row))
	}
	r.lastLossNs = nowNs
	return errors.Join(append(errs, r.markLosses(nowNs, lost))...)
}
