package record

import (
	"cmp"
	"strconv"
	"time"
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
