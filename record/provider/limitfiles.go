package provider

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// What the files of cgroups say of limits: cpu.max, io.max, cpu.stat and io.stat
// of v2 (Documentation/admin-guide/cgroup-v2.rst), cpu.cfs_* (sched-bwc.rst) and
// blkio.throttle.* of v1 (cgroup-v1/blkio-controller.rst).

// quota gives the quota of one cgroup itself.
func (s *limitScan) quota(cgroup string) []*level {
	dir := s.cpu.dir(cgroup)
	var quota, period int64
	if s.cpu.name == hierarchyV2 {
		words := strings.Fields(s.files.line(path.Join(dir, "cpu.max")))
		if len(words) < 2 {
			return nil // the root, or the controller is not on
		}
		quota, period = number(words[0]), number(words[1])
	} else {
		quota = number(s.files.line(path.Join(dir, "cpu.cfs_quota_us")))
		if quota > 0 {
			period = number(s.files.line(path.Join(dir, "cpu.cfs_period_us")))
		}
	}
	if quota <= 0 || period <= 0 || quota > maxMicros || period > maxMicros { // "max" and -1 are none
		return nil
	}
	return []*level{s.level(cgroup, 0, bound{quotaNs: quota * 1000, periodNs: period * 1000})}
}

// maxMicros is more than any quota: what is longer is no number of microseconds.
const maxMicros = 1 << 50

// ioLimits gives the limits of one cgroup itself, by device.
func (s *limitScan) ioLimits(cgroup string) []*level {
	dir := s.io.dir(cgroup)
	var limits map[int64]ios
	if s.io.name == hierarchyV2 {
		limits = s.files.ioTable(path.Join(dir, "io.max"), ioMaxWords)
	} else {
		limits = s.files.ioFiles(dir, [4]string{"blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
			"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"})
	}
	var list []*level
	for _, device := range slices.Sorted(maps.Keys(limits)) {
		if limits[device].any() {
			list = append(list, s.level(cgroup, device, bound{perS: limits[device]}))
		}
	}
	return list
}

// read gives the counters of a level.
func (l *limits) read(f *files, key levelKey) counts {
	if key.device == 0 {
		return f.quotaCounts(path.Join(l.cpu.dir(key.path), "cpu.stat"))
	}
	dir := l.io.dir(key.path)
	var done map[int64]ios
	if l.io.name == hierarchyV2 {
		done = f.ioTable(path.Join(dir, "io.stat"), ioStatWords)
	} else {
		done = f.ioDone(dir)
	}
	if done == nil {
		return counts{done: ios{notKnown, notKnown, notKnown, notKnown}}
	}
	return counts{done: done[key.device]} // a device without a line has had no IO
}

// quotaCounts reads cpu.stat, whose names tell v1 (ns) from v2 (µs).
func (f *files) quotaCounts(name string) counts {
	c := counts{periods: notKnown, throttled: notKnown, throttledNs: notKnown}
	text, err := f.read(name, maxText)
	if err != nil {
		return c
	}
	for line := range strings.Lines(string(text)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "nr_periods":
			c.periods = number(value)
		case "nr_throttled":
			c.throttled = number(value)
		case "throttled_time":
			c.throttledNs = number(value)
		case "throttled_usec":
			if c.throttledNs = number(value); c.throttledNs > 0 {
				c.throttledNs *= 1000
			}
		}
	}
	return c
}

// Words of io.max and io.stat, in the order of ios.
var (
	ioMaxWords  = [4]string{"rbps", "wbps", "riops", "wiops"}
	ioStatWords = [4]string{"rbytes", "wbytes", "rios", "wios"}
)

// maxIODevices bounds the devices of a file.
const maxIODevices = 256

// ioTable reads lines of "major:minor word=n word=max …"; nil when it cannot.
func (f *files) ioTable(name string, words [4]string) map[int64]ios {
	text, err := f.read(name, maxText)
	if err != nil {
		return nil
	}
	table := map[int64]ios{}
	for line := range strings.Lines(string(text)) {
		device, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		id := deviceID(device)
		if id == 0 || len(table) >= maxIODevices {
			continue
		}
		var values [4]int64
		for field := range strings.FieldsSeq(rest) {
			word, value, _ := strings.Cut(field, "=")
			if i := slices.Index(words[:], word); i >= 0 {
				values[i] = max(0, number(value)) // "max" is none
			}
		}
		table[id] = ios{values[0], values[1], values[2], values[3]}
	}
	return table
}

// ioFiles reads four files of lines of "major:minor n", in the order of ios.
func (f *files) ioFiles(dir string, names [4]string) map[int64]ios {
	table := map[int64]ios{}
	for i, name := range names {
		text, err := f.read(path.Join(dir, name), maxText)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			device, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if id := deviceID(device); id != 0 && len(table) < maxIODevices {
				values := table[id]
				*values.at(i) = max(0, number(value))
				table[id] = values
			}
		}
	}
	return table
}

// ioDone reads lines of "major:minor Read n" of v1; nil when it cannot.
func (f *files) ioDone(dir string) map[int64]ios {
	table := map[int64]ios{}
	for i, name := range []string{"blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"} {
		text, err := f.read(path.Join(dir, name), maxText)
		if err != nil {
			return nil
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) != 3 || len(table) >= maxIODevices {
				continue
			}
			id, values := deviceID(fields[0]), table[deviceID(fields[0])]
			switch fields[1] {
			case "Read":
				*values.at(2 * i) = max(0, number(fields[2]))
			case "Write":
				*values.at(2*i + 1) = max(0, number(fields[2]))
			default:
				continue
			}
			table[id] = values
		}
	}
	return table
}

// at gives one of the four by its place.
func (i *ios) at(n int) *int64 {
	return [...]*int64{&i.readBytes, &i.writeBytes, &i.reads, &i.writes}[n]
}
