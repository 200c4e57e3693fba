package provider

import (
	"cmp"
	"hash/maphash"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

const (
	// maxDisks bounds the block devices listed, partitions with them.
	maxDisks = 4096
	// diskScans: what of a disk can change without its size (scheduler, queue
	// depth) is read again every so many scans.
	diskScans = 8
	// sectorBytes is the unit of size files in /sys/block, whatever the disk's own.
	sectorBytes = 512
	// minorBits places the major number in a device id (MINORBITS of
	// include/linux/kdev_t.h).
	minorBits = 20
)

// disks remembers the block devices.
type disks struct {
	sent  map[int64]format.Disk
	fresh []format.Disk
	sizes uint64 // hash of /proc/partitions at the last scan
}

// scan lists /sys/block when the devices or their sizes changed, and every so
// many scans.
func (d *disks) scan(f *files, mounts *mounts, scans int) {
	text, err := f.read("proc/partitions", maxMountinfo)
	sizes := maphash.Bytes(hashSeed, text)
	if err == nil && sizes == d.sizes && scans%diskScans != 0 {
		return
	}
	d.sizes = sizes
	rows := listDisks(f, mounts)
	sent := make(map[int64]format.Disk, len(rows))
	d.fresh = nil
	for _, row := range rows {
		if old, ok := d.sent[row.DeviceID]; !ok || old != row {
			d.fresh = append(d.fresh, row)
		}
		sent[row.DeviceID] = row
	}
	d.sent = sent
}

// restate has take return all rows.
func (d *disks) restate() { d.fresh = slices.Collect(maps.Values(d.sent)) }

// take returns the rows that are new or have changed.
func (d *disks) take(tsNs int64) []format.Disk {
	rows := d.fresh
	d.fresh = nil
	for i := range rows {
		rows[i].TsNs = tsNs
	}
	slices.SortFunc(rows, func(a, b format.Disk) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return rows
}

// listDisks reads every block device and its partitions.
func listDisks(f *files, mounts *mounts) []format.Disk {
	var rows []format.Disk
	for _, name := range f.names("sys/block") {
		dir := "sys/block/" + name
		disk, ok := readDisk(f, dir, name)
		if !ok || len(rows) >= maxDisks {
			continue
		}
		switch disk.Kind {
		case "loop":
			disk.ParentID = mounts.deviceOf(f.line(dir + "/loop/backing_file"))
		case "mapping", "raid":
			if below := f.names(dir + "/slaves"); len(below) > 0 {
				disk.ParentID = deviceID(f.line(dir + "/slaves/" + below[0] + "/dev"))
			}
		}
		rows = append(rows, disk)
		rows = append(rows, partitions(f, dir, disk)...)
	}
	return rows[:min(len(rows), maxDisks)]
}

// readDisk reads what /sys/block says of one device; false when it is gone.
func readDisk(f *files, dir, name string) (format.Disk, bool) {
	id := deviceID(f.line(dir + "/dev"))
	if id == 0 {
		return format.Disk{}, false
	}
	disk := format.Disk{
		DeviceID: id, Name: format.Clean(name), Kind: "disk",
		Model:      f.line(dir + "/device/model"),
		Rotational: -1,
		SizeBytes:  diskSize(f, dir),
		Scheduler:  scheduler(f.line(dir + "/queue/scheduler")),
		QueueDepth: f.number(dir, "queue/nr_requests"),
	}
	switch f.line(dir + "/queue/rotational") {
	case "0":
		disk.Rotational = 0
	case "1":
		disk.Rotational = 1
	}
	switch {
	case strings.HasPrefix(name, "loop"):
		disk.Kind = "loop"
	case strings.HasPrefix(name, "zram"):
		disk.Kind = "zram"
	case exists(f.root, dir+"/dm"):
		disk.Kind = "mapping"
	case exists(f.root, dir+"/md"):
		disk.Kind = "raid"
	}
	return disk, true
}

// partitions lists the partitions of a disk. They share its queue.
func partitions(f *files, dir string, disk format.Disk) []format.Disk {
	var rows []format.Disk
	for _, name := range f.names(dir) {
		part := path.Join(dir, name)
		if !strings.HasPrefix(name, path.Base(dir)) || !exists(f.root, part+"/partition") {
			continue
		}
		row := disk
		row.DeviceID, row.ParentID = deviceID(f.line(part+"/dev")), disk.DeviceID
		row.Name, row.Kind, row.SizeBytes = format.Clean(name), "partition", diskSize(f, part)
		if row.DeviceID != 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

func diskSize(f *files, dir string) int64 {
	sectors, _ := strconv.ParseInt(f.line(dir+"/size"), 10, 64)
	return sectors * sectorBytes
}

// scheduler is the one in brackets, as in "none [mq-deadline] bfq", or the only
// word.
func scheduler(line string) string {
	if _, rest, ok := strings.Cut(line, "["); ok {
		line, _, _ = strings.Cut(rest, "]")
	}
	return line
}

// deviceID reads "major:minor"; 0 when it is none.
func deviceID(text string) int64 {
	majorText, minorText, _ := strings.Cut(text, ":")
	major, err1 := strconv.ParseUint(majorText, 10, 12)
	minor, err2 := strconv.ParseUint(minorText, 10, minorBits)
	if err1 != nil || err2 != nil {
		return 0
	}
	return int64(major<<minorBits | minor)
}
