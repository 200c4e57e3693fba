package provider

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

const (
	// maxMemory bounds the processes whose memory is told, the largest ones,
	// and their cgroups: a row costs a file of /proc each time.
	maxMemory = 200
	// noLimit: limits of v1 from here on are none (PAGE_COUNTER_MAX, which is
	// the largest int64 rounded down to a page).
	noLimit = 1 << 62
	// notKnown stands in columns whose 0 means something.
	notKnown = -1
)

// memory tells the memory of the largest target processes, and of the cgroups
// they are in.
func (p *Provider) memory(tsNs int64, sorted []*process) []format.Memory {
	t := p.targets()
	var largest []*process
	for _, e := range sorted {
		if !e.kernel && p.isTarget(t, e) {
			largest = append(largest, e)
		}
	}
	slices.SortStableFunc(largest, func(a, b *process) int { return cmp.Compare(b.rssPages, a.rssPages) })
	largest = largest[:min(len(largest), maxMemory)]
	slices.SortFunc(largest, func(a, b *process) int { return cmp.Compare(a.row.PID, b.row.PID) })
	var rows []format.Memory
	groups := map[string]bool{}
	for _, e := range largest {
		groups[e.row.Cgroup] = true
		if row, ok := p.processMemory(e.row.PID); ok {
			rows = append(rows, row)
		}
	}
	for _, cgroup := range slices.Sorted(maps.Keys(groups)) {
		if row, ok := p.cgroupMemory(cgroup); ok {
			rows = append(rows, row)
		}
	}
	for i := range rows {
		rows[i].TsNs = tsNs
	}
	return rows
}

// isTarget says whether a process is selected by itself or by its cgroup.
func (p *Provider) isTarget(t Targets, e *process) bool {
	if t.All {
		return true
	}
	if _, found := slices.BinarySearch(t.PIDs, e.row.PID); found {
		return true
	}
	id := p.cgroups.id(p, e.row.Cgroup)
	_, found := slices.BinarySearch(t.CgroupIDs, uint64(id))
	return id != 0 && found
}

// processMemory reads VmRSS and VmSwap of proc_pid_status(5); false when the
// process is gone or has no memory of its own.
func (p *Provider) processMemory(pid int32) (format.Memory, bool) {
	text, err := p.files.read(directory(pid)+"/status", maxText)
	if err != nil {
		return format.Memory{}, false
	}
	row := format.Memory{PID: pid, SwapBytes: notKnown}
	found := false
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "VmRSS":
			row.RSSBytes, found = kibibytes(value), true
		case "VmSwap":
			row.SwapBytes = kibibytes(value)
		}
	}
	return row, found
}

// kibibytes reads "  1234 kB".
func kibibytes(text string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
	return n << 10
}

// memoryFiles are the names of the files of one cgroup version.
type memoryFiles struct{ current, limit, swap, events string }

var memoryNames = map[string]memoryFiles{
	hierarchyV2: {"memory.current", "memory.max", "memory.swap.current", "memory.events"},
	hierarchyV1: {"memory.usage_in_bytes", "memory.limit_in_bytes", "", "memory.oom_control"},
}

// cgroupMemory reads what is charged to a cgroup, those below it included;
// false where it has no memory controller, as the root of v2.
func (p *Provider) cgroupMemory(cgroup string) (format.Memory, bool) {
	if cgroup == "" {
		return format.Memory{}, false
	}
	dir, names := p.hierarchy.dir(cgroup), memoryNames[p.hierarchy.name]
	row := format.Memory{Cgroup: cgroup, SwapBytes: notKnown, OOMKills: notKnown}
	row.CurrentBytes = p.files.bytes(path.Join(dir, names.current))
	if row.CurrentBytes == notKnown {
		return format.Memory{}, false
	}
	row.LimitBytes = p.files.bytes(path.Join(dir, names.limit))
	if row.LimitBytes >= noLimit {
		row.LimitBytes = 0
	}
	if names.swap != "" {
		row.SwapBytes = p.files.bytes(path.Join(dir, names.swap))
	}
	text, err := p.files.read(path.Join(dir, names.events), maxText)
	if err != nil {
		return row, true
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			row.OOMKills = number(strings.TrimSpace(n))
		}
	}
	return row, true
}

// bytes reads a file that holds a number of bytes, or "max"; notKnown when it
// cannot be read.
func (f *files) bytes(name string) int64 {
	line := f.line(name)
	if line == "max" {
		return noLimit
	}
	return number(line)
}

// number is a count, or notKnown.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return notKnown
	}
	return n
}
