package record

import (
	"errors"

	"kmon/format"
	"kmon/record/provider"
)

// finish takes everything out of the kernel, closes the capture and says how it
// went. cause is why the loop ended: errStop, or what went wrong.
func (r *recorder) finish(cause error) (Result, error) {
	if errors.Is(cause, errStop) {
		cause = nil
	}
	err := errors.Join(cause, r.session.Detach(), r.markBound())
	end := provider.Clock()
	r.stopCommand()
	err = errors.Join(err, r.lastMarks())
	r.stopSources()
	<-r.providerDone
	err = errors.Join(err, r.empty(end))
	cpuNs, maxRSS := usage()
	final := format.Final{
		EndNs: end.MonotonicNs, EndUnixNs: end.RealtimeNs, StopReason: r.stopReason,
		Losses: r.losses, CPUNs: cpuNs, MaxRSSBytes: maxRSS,
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
	for table, n := range r.writer.Unwritten() {
		r.losses[table+"/"+format.LossWrite.String()] += n
	}
	if format.DiskFailed(closed) {
		final.StopReason, err = "disk", &diskError{r.writer.Path(), err}
	} else if err != nil {
		final.StopReason = "error"
	}
	return Result{
		Path: r.writer.Path(), Rows: r.written(), SizeBytes: r.writer.Size(), Losses: r.losses,
		CPUNs: cpuNs, MaxRSSBytes: maxRSS, BPFRunNs: runTime.Nanoseconds(), DurationNs: end.MonotonicNs - r.startNs,
		StopReason: final.StopReason, ExitCode: r.exitCode, Unresolved: unresolved(r.targets),
		Warnings: append(r.provider.Warnings(), r.bounds.sentences()...),
	}, err
}

// empty brings the exchanges still in the kernel, the last records of the
// rings, and a last look at /proc into the capture.
func (r *recorder) empty(end format.ClockPair) error {
	var errs []error
	for {
		select {
		case s := <-r.found:
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
		r.turn(end.MonotonicNs, true),
		r.appendSnapshot(r.provider.Snapshot(end.MonotonicNs)),
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
