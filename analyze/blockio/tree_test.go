package blockio

import (
	"fmt"
	"slices"
	"testing"

	"kmon/format"
)

func device(id, parent int64, name, kind string) format.Disk {
	return format.Disk{DeviceID: id, ParentID: parent, Name: name, Kind: kind}
}

// A mapping on a raid of partitions of two disks; a loop device on the mapping.
func TestTree(t *testing.T) {
	newer := device(1, 0, "sda", "disk")
	newer.TsNs, newer.Scheduler = 5, "bfq"
	tree := NewTree([]format.Disk{
		newer, device(1, 0, "old", "disk"), device(2, 1, "sda1", "partition"),
		device(10, 0, "sdb", "disk"), device(11, 10, "sdb1", "partition"),
		device(20, 2, "md0", "raid"), device(20, 11, "md0", "raid"),
		device(30, 20, "dm-0", "mapping"), device(40, 30, "loop0", "loop"),
		device(50, 51, "a", "partition"), device(51, 50, "b", "partition"), // a circle
		device(60, 60, "self", "loop"),
	}, nil)
	for _, test := range []struct {
		id, whole int64
		below     []int64
	}{
		{1, 1, nil}, {2, 1, []int64{1}}, {11, 10, []int64{10}}, {20, 20, []int64{1, 10}}, {30, 30, []int64{20}},
		{40, 40, []int64{30}}, {60, 60, nil}, {99, 99, nil},
	} {
		if got := tree.Whole(test.id); got != test.whole {
			t.Errorf("%d is a part of %d, want %d", test.id, got, test.whole)
		}
		if got := tree.Below(test.id); !slices.Equal(got, test.below) {
			t.Errorf("below %d lie %v, want %v", test.id, got, test.below)
		}
	}
	if got := tree.Device(1); got.Name != "sda" || got.Scheduler != "bfq" {
		t.Errorf("the last row is not what counts: %+v", got)
	}
	tree.Whole(50) // ends
	for id, want := range map[int64]string{1: "sda", 8<<20 | 17: "8:17", 0: "unknown device", OtherDevices: "other devices"} {
		if got := tree.Name(id); got != want {
			t.Errorf("%d is called %q, want %q", id, got, want)
		}
	}
	if got, want := tree.Disks(), []int64{1, 10, 20, 30, 40}; !slices.Equal(got[:5], want) {
		t.Errorf("disks are %v, want %v and more", got, want)
	}
}

func TestMountsAreTheHostsAndBounded(t *testing.T) {
	const sda, sda1 = 8 << 20, 8<<20 | 1
	mounts := []format.Mount{
		{MntnsID: 9, DeviceID: sda1, Point: "/etc/hosts"}, {MntnsID: 4, DeviceID: sda1, Point: "/var"},
		{MntnsID: 4, DeviceID: sda1, Point: "/"}, {MntnsID: 4, DeviceID: sda1, Point: "/"},
		{MntnsID: 4, DeviceID: 30, Point: "/proc"}, {MntnsID: 9, DeviceID: sda, Point: "/mnt"},
	}
	disks := []format.Disk{device(sda, 0, "sda", "disk"), device(sda1, sda, "sda1", "partition")}
	if got := NewTree(disks, mounts).Mounts(sda); !slices.Equal(got, []string{"/", "/var"}) {
		t.Errorf("mounted at %q", got)
	}
	for i := range 1000 {
		mounts = append(mounts, format.Mount{MntnsID: 4, DeviceID: sda, Point: fmt.Sprintf("/var/lib/pods/%04d", 999-i)})
	}
	got := NewTree(disks, mounts).Mounts(sda)
	if len(got) != maxMounts || got[0] != "/" || got[1] != "/var" || got[maxMounts-1] != "/var/lib/pods/0013" {
		t.Errorf("mounted at %q", got)
	}
}
