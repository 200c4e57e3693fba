package analyze

import (
	"cmp"
	"context"
	"slices"

	"kmon/analyze/blockio"
	"kmon/analyze/replay"
	"kmon/format"
)

// maxDiskUsers is how many users of a disk are listed; the rest are one.
const maxDiskUsers = 64

// maxPartSeries is how many users of disks, and how many kinds of operations, are told
// window by window, those with most IOs: 60 KB each.
const maxPartSeries = 64

// kernelService is what the recorder calls the kernel's own threads.
const kernelService = "kernel"

// addDisks adds Analysis.Disks, and the services that did IO, from tables ios,
// disks and mounts. The disks stay nil when no capture recorded IO.
func (r *run) addDisks(ctx context.Context, a *Analysis) error {
	total := &blockio.Partial{}
	trees := make([]*blockio.Tree, len(r.captures))
	for i, c := range r.captures {
		var err error
		if trees[i], err = diskTree(c); err != nil {
			return err
		}
		steps := blockio.NewSteps(c.OffsetNs, r.gather.windows, trees[i])
		acc := blockio.New(i, c.OffsetNs, r.windows(), trees[i], r.diskUser(c, steps))
		err = replay.Rows(c, "ios", func(rows []format.IO) error {
			acc.Add(rows)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		total.Merge(acc.Partial())
		steps.Finish()
		r.gather.disks, r.gather.trees = append(r.gather.disks, steps), trees
	}
	keys := []blockio.Key{} // of a.Disks
	cover, have, lost := r.coverage(), r.recorded("ios", "block"), r.lostPerWindow("ios")
	r.remarks = append(r.remarks, r.partlyRecorded(have, "block")...)
	if total.Coarse {
		r.remarks = append(r.remarks, "latencies of disks by window are left out: there are too many disks")
	}
	for i, c := range r.captures {
		if !have[int32(i)] {
			continue
		}
		if a.Disks == nil {
			a.Disks = []Disk{}
		}
		ids := diskIDs(total, trees[i], i)
		sums := make([]*blockio.Disk, len(ids))
		for j, id := range ids {
			sums[j] = total.Disk(blockio.Key{Capture: i, Device: id})
		}
		detailed := mostOf(len(ids), maxClassed, func(j int) int64 { return sums[j].IOs })
		for j, id := range ids {
			d := r.disk(sums[j], trees[i], id)
			keys = append(keys, blockio.Key{Capture: i, Device: id})
			d.Series = r.diskSeries(sums[j], i, lost, detailed[j])
			d.Capture, d.Coverage = r.label(c), ofTable(cover[i], "ios")
			a.Disks = append(a.Disks, d)
		}
	}
	r.listUsers(a, total)
	if a.Disks != nil {
		r.usersByWindow(a, total, keys)
		r.operationsByWindow(a, total, keys)
	}
	return nil
}

func diskTree(c *replay.Capture) (*blockio.Tree, error) {
	var disks []format.Disk
	var mounts []format.Mount
	err := replay.Rows(c, "disks", func(rows []format.Disk) error {
		disks = append(disks, rows...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = replay.Rows(c, "mounts", func(rows []format.Mount) error {
		mounts = append(mounts, rows...)
		return nil
	})
	return blockio.NewTree(disks, mounts), err
}

// diskUser names who asked for the IO of a capture and leaves out what the
// filter does. The steps count all.
func (r *run) diskUser(c *replay.Capture, steps *blockio.Steps) func(*format.IO) (blockio.User, bool) {
	return func(io *format.IO) (blockio.User, bool) {
		i := r.party(c, io.PID, io.StartNs)
		steps.Add(i, io)
		user := blockio.User{Service: r.who.list[i].Service}
		if user.Service == kernelService {
			user.Comm = blockio.KernelThread(c.Owners.Get(c.Owners.At(io.PID, io.StartNs)).Comm, io)
		}
		return user, r.wanted(user.Service)
	}
}

// diskIDs lists the disks of a capture by name: those with IO, and those that
// could have had some. Loop and memory devices that nobody used are left out.
func diskIDs(total *blockio.Partial, tree *blockio.Tree, capture int) []int64 {
	ids := slices.DeleteFunc(tree.Disks(), func(id int64) bool {
		d := tree.Device(id)
		used := total.Disks[blockio.Key{Capture: capture, Device: id}] != nil
		return !used && (d.SizeBytes == 0 || d.Kind == "loop" || d.Kind == "zram")
	})
	for key := range total.Disks {
		if key.Capture == capture && !slices.Contains(ids, key.Device) {
			ids = append(ids, key.Device)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int {
		return cmp.Or(cmp.Compare(tree.Name(a), tree.Name(b)), cmp.Compare(a, b))
	})
	return ids
}

// disk makes a Disk of its sums.
func (r *run) disk(s *blockio.Disk, tree *blockio.Tree, id int64) Disk {
	d := Disk{
		Name: tree.Name(id), Mounts: append([]string{}, tree.Mounts(id)...), Below: []string{},
		IOs: s.IOs, RatePerS: r.rate(s.IOs),
		ReadBytes: s.ReadBytes, WriteBytes: s.WriteBytes,
		ReadBytesPerS: r.rate(s.ReadBytes), WriteBytesPerS: r.rate(s.WriteBytes),
		Errors: s.Errors, Requeues: s.Requeues, Merges: s.Merges, Open: s.Open,
		Latency: distribution(&s.Latency), Queue: distribution(&s.Queue), Device: distribution(&s.Device),
		Operations: diskOperations(s), Users: diskUsers(s),
	}
	d.MeanInFlight = r.rate(1) / 1e9 * float64(d.Latency.Mean) * float64(d.Latency.Count)
	for _, below := range tree.Below(id) {
		d.Below = append(d.Below, tree.Name(below))
	}
	if known := tree.Device(id); known != nil {
		d.Kind, d.Model, d.Scheduler = known.Kind, known.Model, known.Scheduler
		d.SizeBytes = max(known.SizeBytes, 0)
		if known.Rotational >= 0 {
			rotational := known.Rotational == 1
			d.Rotational = &rotational
		}
	}
	return d
}

func diskOperations(s *blockio.Disk) []DiskOperation {
	list := make([]DiskOperation, 0, len(s.Classes))
	for _, class := range blockio.SortedClasses(s.Classes) {
		c := s.Classes[class]
		list = append(list, DiskOperation{
			Operation: class.Operation.String(), SizeTo: class.Size, IOs: c.IOs, Bytes: c.Bytes,
			Latency: distribution(&c.Latency), Device: distribution(&c.Device),
		})
	}
	return list
}

// diskUsers lists the users of a disk, most IOs first; those beyond
// maxDiskUsers are one.
func diskUsers(s *blockio.Disk) []DiskUser {
	list := []DiskUser{}
	for _, users := range listedUsers(s) {
		u, name := new(blockio.UserStats), users[0]
		for _, user := range users {
			u.Merge(s.Users[user])
		}
		if len(users) > 1 {
			name = otherUsers
		}
		list = append(list, DiskUser{
			Service: name.Service, Comm: name.Comm, IOs: u.IOs, ReadBytes: u.ReadBytes, WriteBytes: u.WriteBytes,
			Latency: distribution(&u.Latency),
		})
	}
	return list
}

// listedUsers are the users of a disk as they are listed, the last with all others.
func listedUsers(s *blockio.Disk) [][]blockio.User {
	users := busiestUsers(s.Users)
	list := make([][]blockio.User, min(len(users), maxDiskUsers))
	for i := range list {
		list[i] = users[i : i+1]
	}
	if len(users) > maxDiskUsers {
		list[maxDiskUsers-1] = users[maxDiskUsers-1:]
	}
	return list
}

// usersByWindow tells of the busiest users of all disks what they did window by window;
// keys are of the disks.
func (r *run) usersByWindow(a *Analysis, total *blockio.Partial, keys []blockio.Key) {
	users := make([][][]blockio.User, len(keys))
	for i, key := range keys {
		users[i] = listedUsers(total.Disk(key))
	}
	ios := func(disk, i int) int64 { return a.Disks[disk].Users[i].IOs }
	eachOfMost(users, maxPartSeries, ios, func(disk, i int) {
		parts := []blockio.PartKey{}
		for _, user := range users[disk][i] {
			parts = append(parts, blockio.PartKey{Key: keys[disk], User: user})
		}
		a.Disks[disk].Users[i].Series = r.diskPartSeries(total, keys[disk], parts...)
	})
}

// operationsByWindow is usersByWindow of what was asked for.
func (r *run) operationsByWindow(a *Analysis, total *blockio.Partial, keys []blockio.Key) {
	classes := make([][]blockio.Class, len(keys))
	for i, key := range keys {
		classes[i] = blockio.SortedClasses(total.Disk(key).Classes)
	}
	ios := func(disk, i int) int64 { return a.Disks[disk].Operations[i].IOs }
	eachOfMost(classes, maxPartSeries, ios, func(disk, i int) {
		part := blockio.PartKey{Key: keys[disk], Class: classes[disk][i]}
		a.Disks[disk].Operations[i].Series = r.diskPartSeries(total, keys[disk], part)
	})
}

func (r *run) diskPartSeries(total *blockio.Partial, key blockio.Key, parts ...blockio.PartKey) SumSeries {
	return partSeries(r, total.Parts, map[int32]bool{int32(key.Capture): true}, 4, largest{1, -1}, parts...)
}

// diskSeries gives a point for each window that was recorded; none for a disk
// that did nothing.
func (r *run) diskSeries(s *blockio.Disk, capture int, lost []int64, detailed bool) []DiskPoint {
	if s.IOs == 0 {
		return []DiskPoint{}
	}
	windows := r.seriesWindows(map[int32]bool{int32(capture): true})
	points := make([]DiskPoint, len(windows))
	for i := range points {
		p := &points[i]
		p.StartNs, p.Partial = windows[i].startNs, windows[i].partial
		p.Lost = lost[i]
		if w := s.Windows[int32(i)]; w != nil {
			p.IOs, p.ReadBytes, p.WriteBytes = w.IOs, w.ReadBytes, w.WriteBytes
			p.Count, p.Max = w.Latency.Count(), w.Latency.Max()
			p.P50, p.P99 = w.Latency.Quantile(0.50), w.Latency.Quantile(0.99)
			if detailed {
				p.Classes = classesOf(&w.Latency)
			}
		}
	}
	return withoutDark(points, windows, func(p *DiskPoint) bool { return p.IOs == 0 && p.Lost == 0 })
}

// listUsers lists the services that did IO, those with most first.
func (r *run) listUsers(a *Analysis, total *blockio.Partial) {
	all := map[blockio.User]*blockio.UserStats{}
	for _, d := range total.Disks {
		for user, stats := range d.Users {
			user.Comm = ""
			if all[user] == nil {
				all[user] = new(blockio.UserStats)
			}
			all[user].Merge(stats)
		}
	}
	for _, user := range busiestUsers(all) {
		r.listService(a, user.Service)
	}
}

// otherUsers stands for many.
var otherUsers = blockio.User{Service: "other services"}

// busiestUsers sorts users by IOs, most first.
func busiestUsers(users map[blockio.User]*blockio.UserStats) []blockio.User {
	list := make([]blockio.User, 0, len(users))
	for user := range users {
		list = append(list, user)
	}
	slices.SortFunc(list, func(a, b blockio.User) int {
		return cmp.Or(cmp.Compare(users[b].IOs, users[a].IOs),
			cmp.Compare(a.Service, b.Service), cmp.Compare(a.Comm, b.Comm))
	})
	return list
}
