package record

import (
	"errors"
	"slices"
	"time"

	"kmon/format"
	"kmon/record/provider"
)

// finish takes everything out of the kernel, closes the capture and says how it
// went. cause is why the loop ended: errStop, or what went wrong.
func (r *recorder) finish(cause error) (Result, error) {
	if errors.Is(cause, errStop) {
		cause = nil
	}
	err := errors.Join(cause, r.markClocks(), r.session.Detach(), r.markBound())
	end := provider.Clock()
	r.stopCommand()
	err = errors.Join(err, r.lastMarks())
	r.stopSources()
	err = errors.Join(err, r.endLastPart(), r.beginLastDump(end.MonotonicNs), r.waitForProvider(end.MonotonicNs, providerWait), r.empty(end))
	cpuNs, maxRSS := usage()
	final := format.Final{
		EndNs: end.MonotonicNs, EndUnixNs: end.RealtimeNs, StopReason: r.stopReason,
		Losses: r.losses, CPUNs: cpuNs - r.before.cpuNs, MaxRSSBytes: maxRSS,
	}
	if err != nil {
		final.StopReason, final.Error = "error", distinct(err).Error()
	}
	if len(r.options.Command) > 0 {
		final.ExitCode = &r.exitCode
	}
	runTime, _ := r.session.RunTime()
	closed := r.writer.Close(final)
	err = distinct(errors.Join(closed, err, r.session.Close()))
	cpuNs, maxRSS = usage()
	if format.DiskFailed(closed) || r.parts.diskFailed() {
		final.StopReason, err = "disk", &diskError{r.writer.Path(), err}
	} else if err != nil {
		final.StopReason = "error"
	}
	result := Result{
		Path: r.writer.Path(), Rows: writtenRows(r.writer), SizeBytes: r.size(), Losses: sum(r.losses, unwritten(r.writer)),
		CPUNs: cpuNs, MaxRSSBytes: maxRSS, BPFRunNs: runTime.Nanoseconds(), DurationNs: end.MonotonicNs - r.startNs,
		StopReason: final.StopReason, ExitCode: r.exitCode, Unresolved: unresolved(r.targets),
		Warnings: append(r.warnings(), slices.Concat(r.bounds.sentences(), r.overhead.sentences())...), Shed: r.overhead.taken(),
	}
	r.parts.tell(&result)
	return result, errors.Join(err, r.endRing(&result, err), r.parts.close())
}

// providerWait is how long the end of a recording waits for a look at /proc. A
// process can make reading its command line wait for ever, by memory backed by
// a file system of its own; it must not keep the capture open.
const providerWait = 5 * time.Second

// waitForProvider waits until nobody uses the Provider, or gives it up.
func (r *recorder) waitForProvider(nowNs int64, wait time.Duration) error {
	select {
	case <-r.providerDone:
		return nil
	case <-time.After(wait):
		r.providerStuck = true
		return r.mark(nowNs, "warning", "processes of the end may be missing: a look at /proc has not ended after "+wait.String())
	}
}

// warnings are the Provider's, if it can be asked.
func (r *recorder) warnings() []string {
	if r.providerStuck {
		return []string{"a look at /proc did not end: processes may be missing"}
	}
	return slices.Concat(r.root.Warnings(), r.lacks, r.provider.Warnings())
}

// lastSnapshot is a last look at /proc.
func (r *recorder) lastSnapshot(nowNs int64) error {
	if r.providerStuck {
		return nil
	}
	var err error
	if r.parts != nil && !r.parts.restating.IsZero() {
		err = r.appendSnapshot(r.provider.Restate(r.parts.current.startNs))
	}
	return errors.Join(err, r.appendSnapshot(r.provider.Snapshot(nowNs)))
}

// empty brings the exchanges still in the kernel, the last records of the
// rings, and a last look at /proc into the capture.
func (r *recorder) empty(end format.ClockPair) error {
	var errs []error
	for {
		select {
		case s := <-r.found:
			r.noteRestated(s)
			errs = append(errs, r.appendSnapshot(s.snapshot))
			continue
		default:
		}
		break
	}
	errs = append(errs,
		r.drainAll(),
		r.session.Sweep(true),
		r.drainAll(),
		r.turnInterval(end.MonotonicNs, true),
		r.lastSnapshot(end.MonotonicNs),
		r.appendNetEvents(end.MonotonicNs, true),
		r.appendQueues(),
		r.appendOpenIOs(),
		r.appendCalls(),
		r.nameLastStacks(end.MonotonicNs),
		r.appendLosses(end.MonotonicNs),
		format.Append(r.writer, r.self(end)),
	)
	return errors.Join(errs...)
}
