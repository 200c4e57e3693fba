package record

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"kmon/format"
	"kmon/record/probe"
	"kmon/record/provider"
)

const (
	// backlogPacking is how many times smaller records of the rings are as rows
	// in a file, at least.
	backlogPacking = 4
	// settleRounds bounds how long records of before the turn are looked for:
	// those that are left are in the next part.
	settleRounds = 256
	// prepareAhead is how long before its time the next part is opened: on a busy
	// disk that can take long.
	prepareAhead = 500 * time.Millisecond
	// restateWait is how long a part lasts, at least, for want of the processes
	// and sockets that are to be in it: the Provider may be stuck, and sockets be a
	// million.
	restateWait = 5 * time.Second
	// listTime is how long sockets are listed before other work is looked at, and
	// lastListTime when the recording ends.
	listTime     = 20 * time.Millisecond
	lastListTime = 300 * time.Millisecond
	// A part that is full after fullAtOnce held nothing but what begins each
	// part: there is no load that writes a MiB so fast. So many in a row end the
	// recording.
	fullAtOnce    = 200 * time.Millisecond
	maxFullAtOnce = 3
)

// endingPart is a part after its time: rows of it are still to come, then it is
// closed in the background.
type endingPart struct {
	file       partFile
	writer     *format.Writer // of the loop, until closed is set
	final      format.Final
	calls      bool // the last counts of calls are still in the kernel
	names      <-chan namedStacks
	namings    int // that have not answered
	giveUp     time.Time
	closed     chan error // nil: not begun
	firstError error
}

// cost is what recording took of the CPUs.
type cost struct{ cpuNs, bpfRunNs int64 }

// createFirst opens the capture, or the first part of it.
func (r *recorder) createFirst(path string, m format.Manifest) error {
	o := r.options.divided()
	if !o.Rotate.on() {
		w, err := format.Create(path, m, format.WriterOptions{MaxBytes: r.options.MaxSizeBytes})
		r.path, r.writer = path, w
		return err
	}
	p, err := r.newParts(path, o, m)
	if err != nil {
		return err
	}
	p.keepNs = o.Ring.Nanoseconds()
	p.prepare(m.Clock.MonotonicNs)
	w, file, err := p.begin(<-p.preparing.done, m.Clock)
	if err != nil {
		return errors.Join(err, p.dir.Close())
	}
	p.current, p.began, p.next = file, r.began, r.began.Add(p.rotation.Every)
	r.parts, r.path, r.writer = p, p.path(file.number), w
	return nil
}

// newParts finds the place for the parts: that of a ring is open already.
func (r *recorder) newParts(path string, o Options, m format.Manifest) (*parts, error) {
	if r.ring == nil {
		return newParts(path, o, m)
	}
	dir, err := r.ring.dir.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return partsIn(dir, filepath.Base(path), path, o, m)
}

// rotate ends the part that is written and begins another, if that is due. The
// next one is opened in the background a while before.
func (r *recorder) rotate() error {
	p := r.parts
	if p == nil {
		return nil
	}
	if err := errors.Join(r.moveEnding(false), r.widen(), r.listSockets(listTime)); err != nil {
		return err
	}
	switch {
	case p.ending != nil: // at most one is being closed
		return nil
	case p.preparing == nil:
		if r.turnIn(prepareAhead, 2) {
			r.prepare()
		}
		return nil
	case !r.turnIn(0, 1):
		return nil
	}
	select {
	case made := <-p.preparing.done:
		return r.turn(made)
	default:
		return nil
	}
}

// turnIn says whether the part ends within a time, or has no more room than so
// many times what its end takes.
func (r *recorder) turnIn(ahead time.Duration, ends int64) bool {
	p := r.parts
	switch now := time.Now(); {
	case p.wanted, r.partFull(ends):
		return true
	case p.rotation.Every == 0 || now.Add(ahead).Before(p.next):
		return false
	default:
		return p.restating.IsZero() && p.sockets == nil || now.Sub(p.began) >= restateWait
	}
}

// partFull says whether a part would be larger than it may be, once what is on
// its way and what ends it, so many times, are in it.
func (r *recorder) partFull(ends int64) bool {
	p := r.parts
	limit := p.partBytes
	if p.preparing != nil && p.totalBytes > 0 {
		limit = p.current.bytes // what is left is the next one's
	}
	return limit > 0 && r.writer.Size()+r.onTheWay()+ends*endBytes(p.partBytes) > limit
}

// prepare has the next part opened.
func (r *recorder) prepare() {
	p := r.parts
	if p.totalBytes > 0 { // the next one gets its share
		p.current.bytes = min(p.current.bytes, r.writer.Size()+r.onTheWay()+3*endBytes(p.partBytes))
		r.writer.SetMaxBytes(p.current.bytes)
	}
	p.prepare(provider.Clock().MonotonicNs)
}

// onTheWay is how large the rows will be that are not in the file yet.
func (r *recorder) onTheWay() int64 {
	return r.writer.Pending() + (r.session.Data().BacklogBytes()+r.session.Control().BacklogBytes())/backlogPacking
}

// held says whether records stay in the rings because the part is full and the
// next cannot begin yet.
func (r *recorder) held() bool {
	p := r.parts
	return p != nil && (p.ending != nil || p.preparing != nil) && r.partFull(1)
}

// widen removes the oldest parts while the current one needs their room.
func (r *recorder) widen() error {
	p := r.parts
	for p.preparing == nil && p.current.bytes < p.partBytes && len(p.complete) > 0 &&
		nearlyLarge(p.current.bytes, r.writer.Size(), r.onTheWay()) {
		said, removed, err := p.remove(p.takeOldest(p.tooMuch()))
		if err != nil {
			return err
		}
		if p.said = append(p.said, said); removed {
			p.removed++
		}
		p.current.bytes = min(p.current.bytes+max(0, p.totalBytes-p.taken()), p.partBytes)
		r.writer.SetMaxBytes(p.current.bytes)
	}
	return r.markRemoved(provider.Clock().MonotonicNs)
}

// markRemoved writes which parts are not there any more.
func (r *recorder) markRemoved(nowNs int64) error {
	var errs []error
	if r.ring != nil { // to whom it is nothing new
		r.parts.said = nil
	}
	for _, text := range r.parts.said {
		errs = append(errs, r.mark(nowNs, "rotate", text))
	}
	r.parts.said = nil
	return errors.Join(errs...)
}

// turn ends the part that is written and begins the next. What is under way then
// (an exchange, an IO, a wait) is in the next, whole. No other part may be being
// closed.
func (r *recorder) turn(made prepared) error {
	p := r.parts
	if made.err == nil {
		if err := errors.Join(r.stopListing(), r.settleRings()); err != nil {
			p.preparing = nil
			return errors.Join(err, made.part.Discard())
		}
	}
	full := r.partFull(1)
	clock := provider.Clock()
	// At once: what the rings are told from now on is in the next part by itself.
	list, unlisted := r.session.ListSockets(clock.MonotonicNs)
	next, file, err := p.begin(made, clock)
	if err != nil {
		p.failed(err)
		return errors.Join(err, list.Close())
	}
	if err := errors.Join(unlisted, r.endAccounts(clock)); err != nil {
		return errors.Join(err, list.Close(), next.Discard())
	}
	p.sockets = list
	if p.filled++; !full || time.Since(p.began) >= fullAtOnce {
		p.filled = 0
	}
	r.handOver(next, file, clock)
	if p.filled >= maxFullAtOnce {
		return fmt.Errorf("parts of %s are too small here: what is known of the processes and connections of this node fills them", mib(p.partBytes))
	}
	return r.restate(clock)
}

// settleRings takes what the kernel has told so far: sockets before and after the
// exchanges, so that those which began meanwhile are in this part, with theirs.
func (r *recorder) settleRings() error {
	return errors.Join(
		r.settle(r.session.Control(), r.takeControl),
		r.session.Sweep(false),
		r.settle(r.session.Data(), r.takeData),
		r.settle(r.session.Control(), r.takeControl))
}

func (r *recorder) settle(ring *probe.Ring, take func([]byte)) error {
	for range settleRounds {
		more := ring.Drain(drainRecords, take) == drainRecords
		if err := r.appendBatches(); err != nil || !more {
			return err
		}
	}
	return nil
}

// noteLate keeps the sockets that end shortly before a turn, and adds those to the
// batch whose exchanges come after it.
func (r *recorder) noteLate() {
	p := r.parts
	if p == nil {
		return
	}
	if p.preparing != nil {
		p.late.see(r.sockets)
	}
	r.sockets = append(r.sockets, p.late.missing(r.data.Exchanges)...)
}

// endAccounts writes what is added up over time until clock.
func (r *recorder) endAccounts(clock format.ClockPair) error {
	now := clock.MonotonicNs
	r.interval.next = time.Now().Add(r.options.interval())
	return errors.Join(
		r.appendQueues(),
		r.appendNetEvents(now, false),
		r.turnInterval(now, false),
		r.appendLosses(now),
		format.Append(r.writer, r.self(clock)))
}

// handOver lets the part that is written come to its end, and writes to next from
// now on.
func (r *recorder) handOver(next *format.Writer, file partFile, clock format.ClockPair) {
	p := r.parts
	cpuNs, maxRSS := usage()
	runTime, _ := r.session.RunTime()
	e := &endingPart{
		file: p.current, writer: r.writer, giveUp: time.Now().Add(namesWait),
		calls: slices.Contains(r.running, callsCollector),
		final: format.Final{
			EndNs: clock.MonotonicNs, EndUnixNs: clock.RealtimeNs, StopReason: "rotate",
			Losses: r.losses, CPUNs: cpuNs - r.before.cpuNs, MaxRSSBytes: maxRSS,
		},
	}
	e.file.endNs = clock.MonotonicNs
	e.names, e.namings = r.stacks.turn(clock.MonotonicNs)
	r.session.ForgetStacks()
	p.late.turn()
	p.ending, p.current, p.began, p.wanted = e, file, time.Now(), false
	for p.rotation.Every > 0 && !p.next.After(p.began) {
		p.next = p.next.Add(p.rotation.Every)
	}
	r.writer, r.path, r.losses = next, p.path(file.number), map[string]int64{}
	r.before = cost{cpuNs, runTime.Nanoseconds()}
	r.options.Writing.set(r.writer.Path())
}

// restate writes into a part that begins what is known of the node: without it
// its events could not be read.
func (r *recorder) restate(clock format.ClockPair) error {
	now := clock.MonotonicNs
	r.restateProvider(now)
	errs := []error{format.Append(r.writer, r.self(clock)), r.markRemoved(now)}
	if r.config.Number > 0 {
		errs = append(errs, format.Append(r.writer, r.storedConfig(r.config, now)))
	}
	for _, warning := range r.warned {
		errs = append(errs, r.mark(now, "warning", warning))
	}
	return errors.Join(errs...)
}

// listSockets writes sockets that the part is to begin with, for about so long.
func (r *recorder) listSockets(patience time.Duration) error {
	p := r.parts
	for end := time.Now().Add(patience); p.sockets != nil && !r.held() && time.Now().Before(end); {
		err := p.sockets.Next()
		if errors.Is(err, io.EOF) {
			p.sockets, err = nil, nil
		}
		if err := errors.Join(err, r.settle(r.session.Control(), r.takeControl)); err != nil {
			return err
		}
	}
	return nil
}

// lists says whether a row is of the list that the part begins with.
func (p *parts) lists(row *format.Socket) bool {
	return p != nil && row.Event == format.SocketExisting && row.TsNs == p.current.startNs
}

// stopListing gives up the list of sockets if it is not complete, and marks it.
func (r *recorder) stopListing() error {
	list := r.parts.sockets
	if list == nil {
		return nil
	}
	r.parts.sockets = nil
	return errors.Join(list.Close(), r.mark(provider.Clock().MonotonicNs, "warning",
		"connections that are older than this part may be missing: it ended before they all were listed"))
}

// restateProvider asks for all rows of the Provider. A request that it has not
// come to is for a part that is over.
func (r *recorder) restateProvider(nowNs int64) {
	select {
	case <-r.restated:
	default:
	}
	r.restated <- nowNs
	r.parts.restating = time.Now()
}

// moveEnding brings the part before to its end, a step at a time; with last the
// programs have ended, and it waits until it is complete.
func (r *recorder) moveEnding(last bool) error {
	e := r.parts.ending
	if e == nil {
		return nil
	}
	if last || e.calls && provider.Clock().MonotonicNs-e.file.endNs >= callsSettle.Nanoseconds() {
		e.note(r.appendCalls())
	}
	e.takeNames(last)
	if e.closed == nil && (e.firstError != nil || !e.calls && e.namings == 0) {
		e.closed = make(chan error, 1)
		go func() { e.closed <- e.writer.Close(e.final) }()
	}
	if e.closed == nil {
		return nil
	}
	if last {
		return r.complete(<-e.closed)
	}
	select {
	case err := <-e.closed:
		return r.complete(err)
	default:
		return nil
	}
}

func (e *endingPart) note(err error) {
	if e.firstError == nil {
		e.firstError = err
	}
}

// takeNames writes the names that have come; with last it waits for them.
func (e *endingPart) takeNames(last bool) {
	for e.closed == nil && e.namings > 0 {
		patience := time.Duration(0)
		if last {
			patience = time.Until(e.giveUp)
		}
		select {
		case named := <-e.names:
			e.namings--
			e.note(appendStacks(e.writer, named))
		case <-time.After(patience):
			if time.Now().Before(e.giveUp) {
				return
			}
			e.namings = 0
			e.note(format.Append(e.writer, format.Mark{TsNs: e.file.endNs, Kind: "warning", Text: stacksWithoutNames}))
		}
	}
}

// complete notes what has become of the part before.
func (r *recorder) complete(closed error) error {
	p := r.parts
	e := p.ending
	p.ending = nil
	err := distinct(errors.Join(closed, e.firstError))
	for table, n := range writtenRows(e.writer) {
		p.rows[table] += n
	}
	add(p.losses, e.final.Losses)
	add(p.losses, unwritten(e.writer))
	e.file.bytes = e.writer.Size()
	if err != nil {
		p.bytes += e.file.bytes // what it has stays
		p.failed(err)
		return fmt.Errorf("part %d: %w", e.file.number, err)
	}
	p.keep(e.file)
	return nil
}

// endLastPart completes the part before, once the programs have ended.
func (r *recorder) endLastPart() error {
	if r.parts == nil {
		return nil
	}
	return errors.Join(r.moveEnding(true), r.parts.discard(), r.listSockets(lastListTime), r.stopListing())
}

// size is what all files have that are there.
func (r *recorder) size() int64 {
	n := r.writer.Size()
	if p := r.parts; p != nil {
		n += p.bytes
		if p.ending != nil {
			n += p.ending.writer.Size()
		}
	}
	return n
}

// part is the number of the part that is written; of the only file it is 1.
func (r *recorder) part() int { return max(1, r.partNumber()) }

// partNumber is the number of the part that is written; 0: there are no parts.
func (r *recorder) partNumber() int {
	if r.parts == nil {
		return 0
	}
	return r.parts.current.number
}

// mayTurn says whether a part may begin: none is being closed, and the one that is
// written has what it is to begin with.
func (r *recorder) mayTurn() bool {
	p := r.parts
	return p.ending == nil && (p.restating.IsZero() && p.sockets == nil || time.Since(p.began) >= restateWait)
}

// startNs is when the oldest part began.
func (p *parts) startNs() int64 {
	switch {
	case len(p.complete) > 0:
		return p.complete[0].startNs
	case p.ending != nil:
		return p.ending.file.startNs
	}
	return p.current.startNs
}
