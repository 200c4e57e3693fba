package blockio

import (
	"cmp"
	"fmt"
	"slices"

	"kmon/format"
)

const (
	// maxDevices is how many devices of a capture are known, and maxUsed how
	// many of them that do IO are told apart.
	maxDevices = 4096
	maxUsed    = 1024
	// maxMounts is how many mount points of a device are listed.
	maxMounts = 16
	// maxLayers bounds the way from a device down to a disk.
	maxLayers = 16
	// OtherDevices is the id that stands for the devices beyond maxUsed.
	OtherDevices = -1
)

// minorBits of a device id are its minor number.
const minorBits = 20

// Device is one block device as the snapshots had it last.
type Device struct {
	format.Disk
	Parents []int64 // what lies below, as listed: disks or partitions, sorted
}

// Tree is the block devices of one capture.
type Tree struct {
	devices map[int64]*Device
	mounts  []format.Mount
}

// NewTree gives the tree of snapshot rows, in any order. A device's last row
// counts, but for its parents: rows of one device with several parents (a
// raid) mean all of them.
func NewTree(disks []format.Disk, mounts []format.Mount) *Tree {
	t := &Tree{devices: map[int64]*Device{}, mounts: mounts}
	for i := range disks {
		t.add(&disks[i])
	}
	for _, d := range t.devices {
		slices.Sort(d.Parents)
	}
	return t
}

func (t *Tree) add(row *format.Disk) {
	d := t.devices[row.DeviceID]
	if d == nil {
		if len(t.devices) >= maxDevices {
			return
		}
		d = &Device{Disk: *row}
		t.devices[row.DeviceID] = d
	}
	if row.TsNs >= d.TsNs {
		d.Disk = *row
	}
	if p := row.ParentID; p != 0 && p != row.DeviceID && len(d.Parents) < maxDevices && !slices.Contains(d.Parents, p) {
		d.Parents = append(d.Parents, p)
	}
}

// Whole gives the disk that a device is a partition of; itself when it is
// none, or not known.
func (t *Tree) Whole(id int64) int64 {
	for range maxLayers {
		d := t.devices[id]
		if d == nil || d.Kind != "partition" || len(d.Parents) == 0 {
			break
		}
		id = d.Parents[0]
	}
	return id
}

// Disks lists the ids of all devices that are no partitions, in order.
func (t *Tree) Disks() []int64 {
	var ids []int64
	for id := range t.devices {
		if t.Whole(id) == id {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Device gives what the snapshots say of a device; nil when they don't list it.
func (t *Tree) Device(id int64) *Device { return t.devices[id] }

// Name gives the name of a device, or its numbers when the snapshots don't
// list it.
func (t *Tree) Name(id int64) string {
	switch d := t.devices[id]; {
	case d != nil && d.Name != "":
		return d.Name
	case id == OtherDevices:
		return "other devices"
	case id == 0:
		return "unknown device"
	}
	return fmt.Sprintf("%d:%d", id>>minorBits, id&(1<<minorBits-1))
}

// Below gives the disks right below a device, which do its IO: none of a disk,
// one of a loop device, several of a raid. Sorted, never the device itself.
func (t *Tree) Below(id int64) []int64 {
	d := t.devices[id]
	if d == nil {
		return nil
	}
	var ids []int64
	for _, p := range d.Parents {
		if w := t.Whole(p); w != id && !slices.Contains(ids, w) {
			ids = append(ids, w)
		}
	}
	slices.Sort(ids)
	return ids
}

// Mounts gives where a device and its partitions are mounted: as the first
// mount namespace sees it that has any of it (ids grow, so the host's comes
// before its containers'), at most maxMounts points, the shortest. Sorted.
func (t *Tree) Mounts(id int64) []string {
	var points []string
	first := int64(-1)
	for i := range t.mounts {
		m := &t.mounts[i]
		if m.DeviceID>>minorBits == 0 || t.Whole(m.DeviceID) != id || first >= 0 && m.MntnsID > first {
			continue
		}
		if m.MntnsID != first {
			first, points = m.MntnsID, points[:0]
		}
		if !slices.Contains(points, m.Point) {
			points = append(points, m.Point)
		}
		if len(points) > 4*maxMounts {
			points = shortest(points)
		}
	}
	points = shortest(points)
	slices.Sort(points)
	return points
}

// shortest keeps maxMounts points.
func shortest(points []string) []string {
	slices.SortFunc(points, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return points[:min(len(points), maxMounts)]
}
