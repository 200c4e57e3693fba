package analyze

import (
	"cmp"
	"maps"
	"slices"

	"kmon/analyze/blockio"
	"kmon/analyze/cpu"
	"kmon/analyze/finding"
	"kmon/analyze/network"
)

const (
	// maxInputThreads, maxInputDisks and maxInputListeners are how many the rules
	// look at: the busiest, those with most IO, and the fullest.
	maxInputThreads   = 256
	maxInputDisks     = 128
	maxInputListeners = 256
)

// partySteps gives what a party did; it is not to be changed.
func (b *inputBuilder) partySteps(party int32) *cpu.PartySteps {
	if int(party) < len(b.gather.cpu.Parties) {
		return &b.gather.cpu.Parties[party]
	}
	return new(cpu.PartySteps)
}

// instanceOf gives the index of a party's instance, -1: it did nothing.
func (b *inputBuilder) instanceOf(party int32) int {
	if party < 0 || int(party) >= len(b.parties) || b.parties[party] < 0 {
		return -1
	}
	return b.list[b.parties[party]].index
}

// addParties adds what threads did and waited for to the instances and nodes.
func (b *inputBuilder) addParties() {
	list := b.run.parties().list
	for party := range b.parties {
		if at := b.instanceOf(int32(party)); at >= 0 {
			b.addSteps(at, list[party].Capture, b.partySteps(int32(party)))
		}
	}
	for i, c := range b.captures {
		if rest := &b.gather.cpu.Captures[i].Rest; !rest.None() {
			b.addSteps(b.list[b.restOf(c.Host())].index, int32(i), rest)
		}
	}
}

func (b *inputBuilder) addSteps(at int, capture int32, steps *cpu.PartySteps) {
	windows := b.in.Instances[at].Windows
	for i := range steps.CPU {
		s := &steps.CPU[i]
		w := &windows[s.Index]
		w.OnCPUNs += s.OnCPUNs
		w.RunQueueNs += s.RunQueueNs
		w.Timeslices += s.Timeslices
		w.Voluntary += s.Voluntary
		w.Involuntary += s.Involuntary
	}
	for _, s := range steps.Calls {
		windows[s.Index].Syscalls += s.Count
	}
	for _, s := range steps.Waits {
		wait := waitsOf(&windows[s.Index].Waits)[s.Class]
		wait.Count += s.Count
		wait.TotalNs += s.TotalNs
	}
	for _, s := range steps.Samples {
		w := &windows[s.Index]
		w.OnCPUSamples += s.N[cpu.Working] + s.N[cpu.Yielding] + s.N[cpu.Locking]
		w.YieldSamples += s.N[cpu.Yielding]
		w.LockSamples += s.N[cpu.Locking]
	}
}

// waitsOf gives the waits by class. Which of its polls waited for answers is not
// asked here.
func waitsOf(w *finding.Waits) [cpu.Classes]*finding.Wait {
	return [cpu.Classes]*finding.Wait{
		cpu.Other: &w.Other, cpu.Lock: &w.Lock, cpu.Disk: &w.Disk, cpu.Network: &w.Network, cpu.Sleep: &w.Sleep,
		cpu.Idle: &w.Idle, cpu.Child: &w.Other, cpu.Pipe: &w.Pipe, cpu.PageFault: &w.PageFault,
		cpu.Preempted: &w.Preempted, cpu.Futex: &w.Futex, cpu.Poll: &w.Poll, cpu.Callee: &w.Poll,
	}
}

// addThreads lists the threads that had half a CPU in some window.
func (b *inputBuilder) addThreads() {
	st := b.gather.cpu
	keys := slices.Collect(maps.Keys(st.Threads))
	keys = slices.DeleteFunc(keys, func(k cpu.ThreadKey) bool {
		return 2*st.Threads[k].PeakNs < b.windows.WidthNs || b.instanceOf(st.Threads[k].Party) < 0
	})
	name := func(x, y cpu.ThreadKey) int {
		return cmp.Or(cmp.Compare(x.Capture, y.Capture), cmp.Compare(x.PID, y.PID), cmp.Compare(x.TID, y.TID))
	}
	slices.SortFunc(keys, func(x, y cpu.ThreadKey) int {
		return cmp.Or(cmp.Compare(st.Threads[y].PeakNs, st.Threads[x].PeakNs), name(x, y))
	})
	if more := len(keys) - maxInputThreads; more > 0 {
		b.remark("%d busy threads are not looked at for findings: there are too many", more)
		keys = keys[:maxInputThreads]
	}
	if st.Forgotten {
		b.remark("threads that never had half a CPU for %s before are not looked at for findings: there are too many", duration(b.windows.WidthNs))
	}
	slices.SortFunc(keys, name)
	for _, k := range keys {
		t := st.Threads[k]
		thread := finding.Thread{Instance: b.instanceOf(t.Party), PID: k.PID, TID: k.TID, Comm: t.Comm, Windows: make([]finding.ThreadWindow, b.windows.Count)}
		for i := range t.CPU {
			s := &t.CPU[i]
			w := &thread.Windows[s.Index]
			w.OnCPUNs += s.OnCPUNs
			w.RunQueueNs += s.RunQueueNs
			w.Timeslices += s.Timeslices
			w.Voluntary += s.Voluntary
			w.Involuntary += s.Involuntary
		}
		b.in.Threads = append(b.in.Threads, thread)
	}
}

// addDisks lists the disks with IO.
func (b *inputBuilder) addDisks() {
	type place struct {
		capture int
		id      int64
	}
	var all []place
	ios := map[place]int64{}
	for i, steps := range b.gather.disks {
		for id, d := range steps.Disks {
			at := place{i, id}
			all = append(all, at)
			for _, w := range d.Windows {
				for _, c := range w.Classes {
					ios[at] += c.IOs
				}
			}
		}
		if steps.Coarse {
			b.remark("%s: latencies of disks are left out of some windows for findings: there are too many disks", b.label(b.captures[i]))
		}
		if steps.Folded {
			b.remark("%s: some IO is nobody's in the findings: too many processes asked for some", b.label(b.captures[i]))
		}
	}
	slices.SortFunc(all, func(x, y place) int {
		return cmp.Or(cmp.Compare(ios[y], ios[x]), cmp.Compare(x.capture, y.capture), cmp.Compare(x.id, y.id))
	})
	if more := len(all) - maxInputDisks; more > 0 {
		b.remark("%d disks with little IO are not looked at for findings: there are too many", more)
		all = all[:maxInputDisks]
	}
	for _, at := range all {
		b.addDisk(at.capture, at.id)
	}
	slices.SortStableFunc(b.in.Disks, func(x, y finding.Disk) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.Name, y.Name))
	})
}

// addDisk adds a disk of a capture; to the same one of another capture of the
// host, if there is any.
func (b *inputBuilder) addDisk(capture int, id int64) {
	tree, steps := b.gather.trees[capture], b.gather.disks[capture].Disks[id]
	node, name := b.nodeOf[capture], tree.Name(id)
	at := slices.IndexFunc(b.in.Disks, func(d finding.Disk) bool { return d.Node == node && d.Name == name })
	if at < 0 {
		d := finding.Disk{Node: node, Name: name, Rotational: finding.NotRecorded, Windows: make([]finding.DiskWindow, b.windows.Count)}
		if known := tree.Device(id); known != nil {
			d.Kind, d.Rotational = known.Kind, max(int(known.Rotational), finding.NotRecorded)
		}
		for _, below := range tree.Below(id) {
			d.Below = append(d.Below, tree.Name(below))
		}
		for i := range d.Windows {
			d.Windows[i].LimitedNs = finding.NotRecorded
		}
		at = len(b.in.Disks)
		b.in.Disks = append(b.in.Disks, d)
	}
	d := &b.in.Disks[at]
	b.addLimited(d, capture, id)
	for i, ns := range steps.BusyNs {
		d.Windows[i].BusyNs = min(d.Windows[i].BusyNs+ns, b.windows.WidthNs)
	}
	above := b.above(capture, id)
	for index, from := range steps.Windows {
		b.addDiskWindow(&d.Windows[index], from)
		for party, u := range from.Users {
			if in := b.instanceOf(party); in >= 0 && !asked(above, index, party) {
				w := &b.in.Instances[in].Windows[index]
				w.DiskReadBytes += u.ReadBytes
				w.DiskWriteBytes += u.WriteBytes
				w.DiskIOs += u.IOs
			}
		}
	}
}

// above gives the mappings and raids whose IO becomes IO of a disk: what a process
// asked for there is not to be counted again.
func (b *inputBuilder) above(capture int, id int64) []*blockio.DiskSteps {
	tree, list := b.gather.trees[capture], []*blockio.DiskSteps{}
	for other, steps := range b.gather.disks[capture].Disks {
		known := tree.Device(other)
		if known != nil && (known.Kind == "mapping" || known.Kind == "raid") && slices.Contains(tree.Below(other), id) {
			list = append(list, steps)
		}
	}
	return list
}

func asked(disks []*blockio.DiskSteps, index, party int32) bool {
	return slices.ContainsFunc(disks, func(d *blockio.DiskSteps) bool {
		w := d.Windows[index]
		return w != nil && w.Users[party] != nil
	})
}

func (b *inputBuilder) addDiskWindow(to *finding.DiskWindow, from *blockio.DiskStep) {
	to.Errors += from.Errors
	for _, class := range blockio.SortedClasses(from.Classes) {
		c, name := from.Classes[class], class.Operation.String()
		at, ok := slices.BinarySearchFunc(to.Classes, class, func(k finding.IOClass, class blockio.Class) int {
			return cmp.Or(cmp.Compare(k.Operation, name), cmp.Compare(k.SizeTo, class.Size))
		})
		if !ok {
			to.Classes = slices.Insert(to.Classes, at, finding.IOClass{Operation: name, SizeTo: class.Size})
		}
		k := &to.Classes[at]
		k.IOs += c.IOs
		k.Bytes += c.Bytes
		k.Queue.Merge(&c.Queue)
		k.Device.Merge(&c.Device)
	}
	for party, u := range from.Users {
		in := b.instanceOf(party)
		at, ok := slices.BinarySearchFunc(to.Users, in, func(user finding.DiskUser, in int) int { return cmp.Compare(user.Instance, in) })
		if !ok {
			to.Users = slices.Insert(to.Users, at, finding.DiskUser{Instance: in})
		}
		user := &to.Users[at]
		user.IOs += u.IOs
		user.Bytes += u.Bytes
		user.TotalNs += u.TotalNs
	}
}

// addListeners lists the listeners whose queue had connections, or turned some
// away.
func (b *inputBuilder) addListeners() {
	type sums struct {
		finding.Listener
		depth, overflows int64
	}
	index := map[network.QueueKey]*sums{}
	for i, steps := range b.gather.network {
		for k, q := range steps.Queues {
			k.Capture = b.nodeOf[i]
			l := index[k.QueueKey]
			if l == nil {
				l = &sums{Listener: finding.Listener{Instance: -1, Node: b.nodeOf[i], Address: network.Address(k.Addr, k.Port), Windows: make([]finding.ListenerWindow, b.windows.Count)}}
				index[k.QueueKey] = l
			}
			if q.PID != 0 {
				l.Instance = max(l.Instance, b.instanceOf(b.party(b.captures[i], q.PID, q.AtNs)))
			}
			l.Limit = max(l.Limit, q.Limit)
			w := &l.Windows[k.Index]
			w.MaxDepth = max(w.MaxDepth, q.MaxDepth)
			w.Overflows += q.Overflows
			l.depth, l.overflows = max(l.depth, int64(q.MaxDepth)), l.overflows+q.Overflows
		}
		if steps.Folded {
			b.remark("%s: some faults of sockets or listeners are not looked at for findings: there are too many", b.label(b.captures[i]))
		}
	}
	keys := slices.SortedFunc(maps.Keys(index), func(x, y network.QueueKey) int {
		p, q := index[x], index[y]
		return cmp.Or(cmp.Compare(q.overflows, p.overflows), cmp.Compare(q.depth, p.depth), cmp.Compare(p.Address, q.Address),
			cmp.Compare(p.Node, q.Node), cmp.Compare(x.NetnsID, y.NetnsID))
	})
	if more := len(keys) - maxInputListeners; more > 0 {
		b.remark("%d listeners with few waiting connections are not looked at for findings: there are too many", more)
		keys = keys[:maxInputListeners]
	}
	for _, k := range keys {
		b.in.Listeners = append(b.in.Listeners, index[k].Listener)
	}
	slices.SortStableFunc(b.in.Listeners, func(x, y finding.Listener) int {
		return cmp.Or(cmp.Compare(x.Address, y.Address), cmp.Compare(x.Node, y.Node))
	})
}
