package record

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// self is what recording into this capture has cost so far.
func (r *recorder) self(clock format.ClockPair) format.Self {
	cpuNs, _ := usage()
	runTime, _ := r.session.RunTime()
	return format.Self{
		TsNs: clock.MonotonicNs, RealtimeNs: clock.RealtimeNs,
		CPUNs: cpuNs - r.before.cpuNs, RSSBytes: rssBytes(), BPFRunNs: runTime.Nanoseconds() - r.before.bpfRunNs,
		Events:       rowsOf(r.writer),
		BacklogBytes: max(r.session.Data().BacklogBytes(), r.session.Control().BacklogBytes()),
	}
}

// usage is the CPU time of this process and the most memory it had resident.
// getrusage(2) tells the latter, too, but for a process that was started by a
// large one it tells the memory of that.
func usage() (cpuNs, maxRSSBytes int64) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0 // cannot fail with these arguments
	}
	maxRSSBytes = u.Maxrss << 10
	if peak := peakRSSBytes(); peak > 0 {
		maxRSSBytes = peak
	}
	return u.Utime.Nano() + u.Stime.Nano(), maxRSSBytes
}

// peakRSSBytes reads VmHWM of /proc/self/status; 0: not known.
func peakRSSBytes() int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// rssBytes reads the second number of /proc/self/statm; 0: not known.
func rssBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
