package record

import (
	"cmp"
	"errors"
	"strconv"
	"time"

	"kmon/format"
	"kmon/record/provider"
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

// cpu is the recorder's part of collector cpu: the interval that runs.
type cpu struct {
	startNs int64
	next    time.Time
}

// beginThreads begins the first interval.
func (r *recorder) beginThreads() {
	r.cpu.startNs, r.cpu.next = r.startNs, time.Now().Add(r.options.interval())
	r.decoder.IntervalStartNs, r.decoder.IntervalBeforeNs = r.startNs, r.startNs
}

// followThreads ends the interval if it is over.
func (r *recorder) followThreads() error {
	now := time.Now()
	if now.Before(r.cpu.next) {
		return nil
	}
	r.cpu.next = r.cpu.next.Add(r.options.interval())
	if r.cpu.next.Before(now) { // it was late by more than an interval
		r.cpu.next = now.Add(r.options.interval())
	}
	endNs := provider.Clock().MonotonicNs
	return r.collectThreads(endNs, false)
}

func (r *recorder) collectThreads(endNs int64, last bool) error {
	t, err := r.session.CollectThreads(r.cpu.startNs, endNs, last)
	r.decoder.IntervalBeforeNs, r.decoder.IntervalStartNs = r.cpu.startNs, endNs
	r.cpu.startNs = endNs
	return errors.Join(err,
		format.Append(r.writer, t.Intervals...),
		format.Append(r.writer, t.Wakes...),
		format.Append(r.writer, t.OffCPU...))
}
