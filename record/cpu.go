package record

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"kmon/format"
	"kmon/record/provider"
	"kmon/record/symbol"
)

func (o Options) interval() time.Duration { return cmp.Or(o.Interval, DefaultInterval) }

// offCPUMinNs is 0 when every wait is wanted.
func (o Options) offCPUMinNs() int64 {
	return max(cmp.Or(o.OffCPUMin, DefaultOffCPUMin), 0).Nanoseconds()
}

// sampleHz is 0 when there are to be no samples.
func (o Options) sampleHz() int { return max(cmp.Or(o.SampleHz, DefaultSampleHz), 0) }

// cpuSettings are the settings of collector cpu.
func (o Options) cpuSettings() map[string]string {
	return map[string]string{
		"interval_ns":    strconv.FormatInt(o.interval().Nanoseconds(), 10),
		"off_cpu_min_ns": strconv.FormatInt(o.offCPUMinNs(), 10),
		"sample_hz":      strconv.Itoa(o.sampleHz()),
		"user_stacks":    strconv.FormatBool(o.UserStacks),
	}
}

// without names the indicators that the options leave out.
func (o Options) without() map[string]string {
	if o.sampleHz() > 0 {
		return nil
	}
	return map[string]string{"oncpu": "no samples were asked for"}
}

// cpu is the recorder's part of collector cpu: the interval that runs, and the
// names of stacks, which are looked up beside the loop because that reads files.
type cpu struct {
	symbols *symbol.Resolver
	startNs int64 // of the interval
	next    time.Time
	named   chan named // nil: nobody looks up names
}

// named is what the Resolver found out.
type named struct {
	stacks []format.Stack
	frames []format.Frame
}

// beginThreads begins the first interval.
func (r *recorder) beginThreads() {
	r.cpu.symbols = symbol.New(symbol.Options{})
	r.cpu.startNs, r.cpu.next = r.startNs, time.Now().Add(r.options.interval())
	r.decoder.IntervalStartNs = r.startNs
}

// followThreads ends the interval if it is over, and takes the names that were
// found.
func (r *recorder) followThreads() error {
	select {
	case found := <-r.cpu.named:
		r.cpu.named = nil
		if err := r.appendStacks(found); err != nil {
			return err
		}
	default:
	}
	now := time.Now()
	if now.Before(r.cpu.next) {
		return nil
	}
	r.cpu.next = r.cpu.next.Add(r.options.interval())
	if r.cpu.next.Before(now) { // it was late by more than an interval
		r.cpu.next = now.Add(r.options.interval())
	}
	endNs := provider.Clock().MonotonicNs
	if err := r.collectThreads(endNs, false); err != nil {
		return err
	}
	r.nameStacks(endNs)
	return nil
}

func (r *recorder) collectThreads(endNs int64, last bool) error {
	t, err := r.session.CollectThreads(r.cpu.startNs, endNs, last)
	r.cpu.startNs, r.decoder.IntervalStartNs = endNs, endNs
	return errors.Join(err,
		format.Append(r.writer, t.Intervals...),
		format.Append(r.writer, t.Wakes...),
		format.Append(r.writer, t.OffCPU...))
}

// nameStacks looks up the names of new stacks, unless somebody still does.
func (r *recorder) nameStacks(nowNs int64) {
	if r.cpu.named != nil {
		return
	}
	names := make(chan named, 1)
	r.cpu.named = names
	symbols := r.cpu.symbols
	go func() {
		stacks, frames := symbols.Rows(nowNs)
		names <- named{stacks, frames}
	}()
}

// lastThreads ends the last interval, with the names of all its stacks.
func (r *recorder) lastThreads(endNs int64) error {
	err := r.collectThreads(endNs, true)
	if r.cpu.named != nil {
		err = errors.Join(err, r.appendStacks(<-r.cpu.named))
		r.cpu.named = nil
	}
	stacks, frames := r.cpu.symbols.Rows(endNs)
	return errors.Join(err, r.appendStacks(named{stacks, frames}))
}

func (r *recorder) appendStacks(n named) error {
	return errors.Join(format.Append(r.writer, n.stacks...), format.Append(r.writer, n.frames...))
}
