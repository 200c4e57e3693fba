package reports

import (
	"cmp"
	"slices"
	"strings"

	"kmon/analyze"
)

type disk = analyze.Disk

const (
	hintDiskLatency = "from asking for the IO to its end: queue and device"
	hintDiskQueue   = "before the device had it; of IOs whose time in the queue is known"
	hintDiskDevice  = "in the device"
	hintBelow       = "the disks that do this one's IO and count it too: never add the two up"
	hintSizeTo      = "at most so large, and more than half of it"
)

// normalDisks copies disks so that no slice in them is nil; nil stays nil,
// which means not recorded.
func normalDisks(disks []disk) []disk {
	if disks == nil {
		return nil
	}
	n := copied(disks)
	for i := range n {
		d := &n[i]
		d.Mounts, d.Below = present(d.Mounts), present(d.Below)
		d.Operations, d.Users, d.Series = present(d.Operations), present(d.Users), present(d.Series)
	}
	return n
}

// fileColumn names the capture of a row, where there are several.
func fileColumn[T any](a *analyze.Analysis, of func(*T) string) spec[T] {
	return spec[T]{column{Head: "File", Kind: kindName, Rank: 10, Optional: true}, func(t *T) cell {
		if len(a.Captures) < 2 {
			return word("")
		}
		return named(of(t))
	}}
}

// busiestDisks gives the disks, most IOs first.
func busiestDisks(a *analyze.Analysis) []disk {
	disks := copied(a.Disks)
	slices.SortStableFunc(disks, func(a, b disk) int { return cmp.Compare(b.IOs, a.IOs) })
	return disks
}

// disksTable lists what each disk was asked for and how long it took.
func disksTable(a *analyze.Analysis) table {
	t := build("disks", "Disks", busiestDisks(a), []spec[disk]{
		{column{Head: "Disk", Kind: kindName}, func(d *disk) cell { return named(d.Name) }},
		{column{Head: "Kind", Kind: kindName, Hint: "disk, loop, mapping, raid, zram", Rank: 7}, func(d *disk) cell { return named(d.Kind) }},
		{column{Head: "Mounts", Kind: kindName, Rank: 6}, func(d *disk) cell { return named(strings.Join(d.Mounts, " ")) }},
		{column{Head: "Done by", Kind: kindName, Hint: hintBelow, Rank: 1, Optional: true}, func(d *disk) cell { return named(strings.Join(d.Below, " ")) }},
		number("IOs", "that ended during the recording", 0, func(d *disk) cell { return counted(d.IOs) }),
		number("Rate", "IOs a second", 8, func(d *disk) cell { return cell{Text: rateText(d.RatePerS)} }),
		number("Read", "bytes a second", 2, func(d *disk) cell { return cell{Text: throughputText(d.ReadBytesPerS)} }),
		number("Written", "bytes a second", 2, func(d *disk) cell { return cell{Text: throughputText(d.WriteBytesPerS)} }),
		number("In flight", "IOs under way, on average", 9, func(d *disk) cell { return cell{Text: meanText(d.MeanInFlight)} }),
		latency("p50", hintDiskLatency, 0, func(d *disk) (analyze.Distribution, int64) { return d.Latency, d.Latency.P50 }),
		latency("p99", hintDiskLatency, 0, func(d *disk) (analyze.Distribution, int64) { return d.Latency, d.Latency.P99 }),
		latency("max", hintDiskLatency, 4, func(d *disk) (analyze.Distribution, int64) { return d.Latency, d.Latency.Max }),
		latency("Queue p99", hintDiskQueue, 3, func(d *disk) (analyze.Distribution, int64) { return d.Queue, d.Queue.P99 }),
		latency("Device p99", hintDiskDevice, 3, func(d *disk) (analyze.Distribution, int64) { return d.Device, d.Device.P99 }),
		odd("Errors", "IOs that failed", 1, func(d *disk) cell { return alarmed(d.Errors, toneBad) }),
		odd("Not ended", "IOs that had not ended when the recording did", 2, func(d *disk) cell { return alarmed(d.Open, toneWarn) }),
		odd("Requeues", "times the device sent an IO back", 5, func(d *disk) cell { return alarmed(d.Requeues, toneWarn) }),
		fileColumn(a, func(d *disk) string { return d.Capture }),
		number("Coverage", hintCoverage, 3, func(d *disk) cell { return covered(d.Coverage, d.IOs > 0 || d.Coverage < 1) }),
	})
	t.Note = joinNotes(stackedNote(a), lossNote(a, "ios"))
	return t
}

// stackedNote warns of disks whose IO is done, and counted, by others.
func stackedNote(a *analyze.Analysis) string {
	if !slices.ContainsFunc(a.Disks, func(d disk) bool { return len(d.Below) > 0 && d.IOs > 0 }) {
		return ""
	}
	return "What is “done by” another disk counts there too: don't add the two up."
}

// diskOperation is one operation of a disk.
type diskOperation struct {
	analyze.DiskOperation
	disk string
}

func diskOperations(a *analyze.Analysis) []diskOperation {
	all := []diskOperation{}
	for _, d := range busiestDisks(a) {
		for _, o := range d.Operations {
			all = append(all, diskOperation{o, d.Name})
		}
	}
	return all
}

// diskOperationsTable splits the IO of each disk by what was asked and how
// much of it.
func diskOperationsTable(a *analyze.Analysis) table {
	t := build("disk-operations", "Disk operations by size", diskOperations(a), []spec[diskOperation]{
		{column{Head: "Disk", Kind: kindName}, func(o *diskOperation) cell { return named(o.disk) }},
		{column{Head: "Operation", Kind: kindName}, func(o *diskOperation) cell { return named(o.Operation) }},
		number("Up to", hintSizeTo, 0, func(o *diskOperation) cell { return cell{Text: orAbsent(o.SizeTo, BytesText)} }),
		number("IOs", "", 0, func(o *diskOperation) cell { return counted(o.IOs) }),
		number("Bytes", "", 2, func(o *diskOperation) cell { return cell{Text: orAbsent(o.Bytes, BytesText)} }),
		latency("p50", hintDiskLatency, 0, func(o *diskOperation) (analyze.Distribution, int64) { return o.Latency, o.Latency.P50 }),
		latency("p95", hintDiskLatency, 3, func(o *diskOperation) (analyze.Distribution, int64) { return o.Latency, o.Latency.P95 }),
		latency("p99", hintDiskLatency, 0, func(o *diskOperation) (analyze.Distribution, int64) { return o.Latency, o.Latency.P99 }),
		latency("max", hintDiskLatency, 3, func(o *diskOperation) (analyze.Distribution, int64) { return o.Latency, o.Latency.Max }),
		latency("Device p50", hintDiskDevice, 1, func(o *diskOperation) (analyze.Distribution, int64) { return o.Device, o.Device.P50 }),
		latency("Device p99", hintDiskDevice, 1, func(o *diskOperation) (analyze.Distribution, int64) { return o.Device, o.Device.P99 }),
	})
	t.Note = lossNote(a, "ios")
	return t
}

// diskUser is one user of a disk.
type diskUser struct {
	analyze.DiskUser
	disk string
}

func diskUsers(a *analyze.Analysis) []diskUser {
	all := []diskUser{}
	for _, d := range busiestDisks(a) {
		for _, u := range d.Users {
			all = append(all, diskUser{u, d.Name})
		}
	}
	return all
}

// diskUsersTable lists who asked for the IO.
func diskUsersTable(a *analyze.Analysis) table {
	return build("disk-users", "Who used the disks", diskUsers(a), []spec[diskUser]{
		{column{Head: "Disk", Kind: kindName}, func(u *diskUser) cell { return named(u.disk) }},
		{column{Head: "Service", Kind: kindName}, func(u *diskUser) cell { return named(u.Service) }},
		{column{Head: "Thread", Kind: kindName, Hint: "of the kernel; flusher: what processes wrote earlier, through the page cache", Rank: 3, Optional: true}, func(u *diskUser) cell { return named(u.Comm) }},
		number("IOs", "", 0, func(u *diskUser) cell { return counted(u.IOs) }),
		number("Read", "", 0, func(u *diskUser) cell { return cell{Text: orAbsent(u.ReadBytes, BytesText)} }),
		number("Written", "", 0, func(u *diskUser) cell { return cell{Text: orAbsent(u.WriteBytes, BytesText)} }),
		latency("p50", hintDiskLatency, 4, func(u *diskUser) (analyze.Distribution, int64) { return u.Latency, u.Latency.P50 }),
		latency("p99", hintDiskLatency, 0, func(u *diskUser) (analyze.Distribution, int64) { return u.Latency, u.Latency.P99 }),
		latency("max", hintDiskLatency, 5, func(u *diskUser) (analyze.Distribution, int64) { return u.Latency, u.Latency.Max }),
	})
}
