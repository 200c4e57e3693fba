package provider

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

const (
	// maxMounts bounds the mounts listed; those of disks come first.
	maxMounts = 4096
	// maxMountinfo bounds what is read of them: some 150 bytes each.
	maxMountinfo = 1 << 20
)

var hashSeed = maphash.MakeSeed()

// mounts remembers the mounts of the first process's namespace, which is the
// host's also where the recorder runs in a container; of the recorder's own,
// where the first process's may not be read.
type mounts struct {
	hash  uint64         // of mountinfo at the last scan
	rows  []format.Mount // in the order in which they cover each other
	sent  map[format.Mount]bool
	fresh []format.Mount
}

// scan reads the mounts if their list has changed.
func (m *mounts) scan(f *files) {
	for _, pid := range []string{"1", "self"} {
		text, err := f.read("proc/"+pid+"/mountinfo", maxMountinfo)
		if err != nil || len(text) == 0 {
			continue
		}
		if hash := maphash.Bytes(hashSeed, text); hash != m.hash {
			m.hash = hash
			m.replace(parseMounts(string(text), f.namespace("proc/"+pid, "mnt")))
		}
		return
	}
}

// replace notes which rows are new.
func (m *mounts) replace(rows []format.Mount) {
	m.rows = rows
	sent := make(map[format.Mount]bool, len(rows))
	for _, row := range listed(rows) {
		if !m.sent[row] {
			m.fresh = append(m.fresh, row)
		}
		sent[row] = true
	}
	m.sent = sent
}

// listed sorts mounts, those with a device of their own first, and cuts what is
// too much.
func listed(rows []format.Mount) []format.Mount {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b format.Mount) int {
		if withoutDisk(a) != withoutDisk(b) {
			return cmp.Compare(b.DeviceID>>minorBits, a.DeviceID>>minorBits)
		}
		return cmp.Compare(a.Point, b.Point)
	})
	return rows[:min(len(rows), maxMounts)]
}

// restate has take return all of them.
func (m *mounts) restate() { m.fresh = listed(m.rows) }

// take returns the mounts that are new.
func (m *mounts) take(tsNs int64) []format.Mount {
	rows := m.fresh
	m.fresh = nil
	for i := range rows {
		rows[i].TsNs = tsNs
	}
	return rows
}

// parseMounts reads the text of a mountinfo file, proc_pid_mountinfo(5).
func parseMounts(text string, namespace int64) []format.Mount {
	var rows []format.Mount
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) < 2 {
			continue
		}
		rows = append(rows, format.Mount{
			MntnsID: namespace, DeviceID: deviceID(fields[2]), Point: unescape(fields[4]),
			Type: strings.Clone(format.Clean(kind[0])), Source: unescape(kind[1]),
		})
	}
	return rows
}

func withoutDisk(m format.Mount) bool { return m.DeviceID>>minorBits == 0 }

// unescape turns the octal escapes of mountinfo (space, tab, newline,
// backslash) back, and what no row may hold to spaces.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return format.Clean(b.String())
}

// deviceOf is the device of the file system a path lies on; 0 when it has none
// or the path is not known.
func (m *mounts) deviceOf(file string) int64 {
	best, device := -1, int64(0)
	for _, row := range m.rows {
		point := strings.TrimSuffix(row.Point, "/")
		if !strings.HasPrefix(file, point+"/") || len(point) < best {
			continue
		}
		best, device = len(point), row.DeviceID // of two at one point the later one covers the earlier
	}
	if device>>minorBits == 0 {
		return 0
	}
	return device
}
