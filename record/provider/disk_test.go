package provider

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"kmon/format"
)

// diskNode is a host with an NVMe disk in two partitions, a mapping on one of
// them, a raid, a loop device on a file, and a zram device that is not set up.
const diskNode = `
file proc/1/mountinfo
	20 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw
	21 20 0:21 / /proc rw - proc proc rw
	22 20 253:0 / /srv/my\040data rw - xfs /dev/mapper/data rw
	23 20 0:50 / /mnt rw - tmpfs tmpfs rw
	24 23 0:51 / /mnt/share rw - nfs4 nas:/share rw
	broken line
link proc/1/ns/mnt mnt:[4026531841]
file proc/partitions
	major minor  #blocks  name
file sys/block/nvme0n1/dev
	259:0
file sys/block/nvme0n1/size
	2000
file sys/block/nvme0n1/device/model
	ACME 9000
file sys/block/nvme0n1/queue/rotational
	0
file sys/block/nvme0n1/queue/scheduler
	[none] mq-deadline
file sys/block/nvme0n1/queue/nr_requests
	1023
file sys/block/nvme0n1/nvme0n1p1/dev
	259:1
file sys/block/nvme0n1/nvme0n1p1/partition
	1
file sys/block/nvme0n1/nvme0n1p1/size
	500
file sys/block/nvme0n1/nvme0n1p2/dev
	259:2
file sys/block/nvme0n1/nvme0n1p2/partition
	2
file sys/block/nvme0n1/nvme0n1p2/size
	1500
file sys/block/dm-0/dev
	253:0
file sys/block/dm-0/dm/name
	data
file sys/block/dm-0/size
	400
file sys/block/dm-0/slaves/nvme0n1p1/dev
	259:1
file sys/block/md0/dev
	9:0
file sys/block/md0/md/level
	raid1
file sys/block/md0/slaves/sda/dev
	8:0
file sys/block/md0/slaves/sdb/dev
	8:16
file sys/block/loop3/dev
	7:3
file sys/block/loop3/size
	64
file sys/block/loop3/loop/backing_file
	/srv/my data/image
file sys/block/zram0/dev
	252:0
file sys/block/gone/size
	1
`

func showDisks(rows []format.Disk) string {
	id := func(id int64) string { return fmt.Sprintf("%d:%d", id>>minorBits, id&(1<<minorBits-1)) }
	var b strings.Builder
	for _, d := range rows {
		fmt.Fprintf(&b, "%s %s %s on %s, %d bytes, model %q, rotational %d, scheduler %q, depth %d\n",
			id(d.DeviceID), d.Kind, d.Name, id(d.ParentID), d.SizeBytes, d.Model, d.Rotational, d.Scheduler, d.QueueDepth)
	}
	return b.String()
}

func TestDisks(t *testing.T) {
	n := parseNode(t, diskNode)
	p := newProvider(t, n.root, "")
	got := showDisks(p.Snapshot(7).Disks)
	want := `7:3 loop loop3 on 253:0, 32768 bytes, model "", rotational -1, scheduler "", depth 0
9:0 raid md0 on 8:0, 0 bytes, model "", rotational -1, scheduler "", depth 0
252:0 zram zram0 on 0:0, 0 bytes, model "", rotational -1, scheduler "", depth 0
253:0 mapping dm-0 on 259:1, 204800 bytes, model "", rotational -1, scheduler "", depth 0
259:0 disk nvme0n1 on 0:0, 1024000 bytes, model "ACME 9000", rotational 0, scheduler "none", depth 1023
259:1 partition nvme0n1p1 on 259:0, 256000 bytes, model "ACME 9000", rotational 0, scheduler "none", depth 1023
259:2 partition nvme0n1p2 on 259:0, 768000 bytes, model "ACME 9000", rotational 0, scheduler "none", depth 1023
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDisksAreToldAgainWhenTheyChange(t *testing.T) {
	n := parseNode(t, diskNode)
	p := newProvider(t, n.root, "")
	p.Snapshot(7)
	if again := p.Snapshot(8).Disks; len(again) > 0 {
		t.Errorf("nothing changed, but there are rows: %+v", again)
	}
	n.root["sys/block/loop3/size"] = &fstest.MapFile{Data: []byte("128\n")}
	n.root["proc/partitions"] = &fstest.MapFile{Data: []byte("   7  3  64 loop3\n")}
	got := p.Snapshot(9).Disks
	if len(got) != 1 || got[0].Name != "loop3" || got[0].SizeBytes != 65536 || got[0].TsNs != 9 {
		t.Errorf("after loop3 grew to 65536 bytes: %+v", got)
	}
	n.root["sys/block/nvme0n1/queue/nr_requests"] = &fstest.MapFile{Data: []byte("64\n")}
	var later []format.Disk
	for range diskScans {
		later = append(later, p.Snapshot(10).Disks...)
	}
	if len(later) != 3 || later[0].QueueDepth != 64 {
		t.Errorf("after the queue of nvme0n1 shrank: %+v, want it and its partitions", later)
	}
}

func TestMounts(t *testing.T) {
	n := parseNode(t, diskNode)
	p := newProvider(t, n.root, "")
	var got []string
	for _, m := range p.Snapshot(7).Mounts {
		got = append(got, fmt.Sprintf("%d %d:%d %s %s %s", m.MntnsID, m.DeviceID>>minorBits, m.DeviceID&(1<<minorBits-1), m.Point, m.Type, m.Source))
	}
	want := []string{
		"4026531841 259:2 / ext4 /dev/nvme0n1p2",
		"4026531841 253:0 /srv/my data xfs /dev/mapper/data",
		"4026531841 0:50 /mnt tmpfs tmpfs",
		"4026531841 0:51 /mnt/share nfs4 nas:/share",
		"4026531841 0:21 /proc proc proc",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	mountinfo := n.root["proc/1/mountinfo"]
	mountinfo.Data = append(mountinfo.Data, "25 20 8:1 / /usb rw - vfat /dev/sda1 rw\n"...)
	if rows := p.Snapshot(8).Mounts; len(rows) != 1 || rows[0].Point != "/usb" || rows[0].TsNs != 8 {
		t.Errorf("after /usb was mounted: %+v", rows)
	}
}

// A file lies on the mount with the longest path above it, and on the later
// one of two at the same place.
func TestDeviceOfFile(t *testing.T) {
	m := mounts{rows: parseMounts(`1 0 8:1 / / rw - ext4 a rw
2 1 8:2 / /var rw - ext4 b rw
3 1 0:9 / /run rw - tmpfs tmpfs rw
4 1 8:3 / /var rw - ext4 c rw
`, 1)}
	for file, want := range map[string]int64{
		"/image": 8<<minorBits | 1, "/variable": 8<<minorBits | 1, "/var/image": 8<<minorBits | 3, "/run/image": 0, "": 0,
	} {
		if got := m.deviceOf(file); got != want {
			t.Errorf("device of %q: got %x, want %x", file, got, want)
		}
	}
}
