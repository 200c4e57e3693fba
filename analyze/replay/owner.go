package replay

import (
	"cmp"
	"math"
	"path"
	"slices"
	"sort"

	"kmon/format"
)

const (
	// startSlackNs is how far two records of one process may differ in its
	// start time: /proc counts it in clock ticks of 10 ms, exec events in
	// nanoseconds.
	startSlackNs = 20e6
	// exitSlackNs is how long after its exit a process may still own rows:
	// a row is written some time after its last message.
	exitSlackNs = 1e9
)

// Owner is who a process was from one moment to the next: a process changes
// its program, and a pid its process.
type Owner struct {
	Service  string
	Source   string // rule, kubernetes, container, systemd, executable
	Instance string // pod, container or unit; "": the process is the instance
	Comm     string // name of the program's task; "": not known
	Cgroup   string // "": not known
	PID      int32
	FromNs   int64 // since when, monotonic
	exitNs   int64 // math.MaxInt64: not seen exiting
}

// Owners finds the owner of a pid at a moment.
type Owners struct {
	list  []Owner           // sorted by pid, then FromNs
	first map[int32]int32   // pid → its first index in list
	names map[string]string // one copy of each name
}

// NewOwners builds the owners from snapshot rows and process events, in any
// order. What a snapshot says holds from the process's start, or from the
// exec that preceded the snapshot; a program that no snapshot saw is named by
// its executable, within its parent's container or unit when it has one.
func NewOwners(snapshots []format.Process, events []format.Proc) *Owners {
	o := &Owners{first: map[int32]int32{}, names: map[string]string{}}
	lives := groupLives(snapshots, events)
	found := make(map[int32][]Owner, len(lives))
	for i := range lives {
		l := &lives[i]
		found[l.pid] = append(found[l.pid], o.resolve(l, found)...)
	}
	for _, owners := range found {
		o.list = append(o.list, owners...)
	}
	slices.SortStableFunc(o.list, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.FromNs, b.FromNs))
	})
	for i := len(o.list) - 1; i >= 0; i-- {
		o.first[o.list[i].PID] = int32(i)
	}
	return o
}

// At gives the owner of pid at a monotonic time as an index for Get, -1 when
// none is known.
func (o *Owners) At(pid int32, ns int64) int32 {
	i, ok := o.first[pid]
	if !ok {
		return -1
	}
	best := o.until(i, pid, ns+startSlackNs)
	if best >= 0 && o.list[best].exitNs < ns-exitSlackNs {
		return -1
	}
	return best
}

// During gives the owner of pid at the end of an interval, or the last that
// it had in it, as At does.
func (o *Owners) During(pid int32, startNs, endNs int64) int32 {
	i, ok := o.first[pid]
	if !ok {
		return -1
	}
	for best := o.until(i, pid, endNs+startSlackNs); best >= i; best-- {
		if o.list[best].exitNs >= startNs-exitSlackNs {
			return best
		}
	}
	return -1
}

// until gives the last owner of pid, whose first is first, from a time or
// before, -1: none. A pid may have any number of owners.
func (o *Owners) until(first, pid int32, ns int64) int32 {
	n := sort.Search(len(o.list)-int(first), func(k int) bool {
		owner := &o.list[int(first)+k]
		return owner.PID != pid || owner.FromNs > ns
	})
	if n == 0 {
		return -1
	}
	return first + int32(n) - 1
}

// Get returns an owner that At or During found.
func (o *Owners) Get(i int32) *Owner { return &o.list[i] }

// Life gives the first owner of the process that owner i is of: the same number for
// all programs that one process ran.
func (o *Owners) Life(i int32) int32 {
	for i > 0 && o.list[i-1].PID == o.list[i].PID && o.list[i-1].exitNs == o.list[i].exitNs {
		i--
	}
	return i
}

// Len returns the number of owners; indexes are below it.
func (o *Owners) Len() int { return len(o.list) }

// life is everything recorded of one process.
type life struct {
	pid       int32
	startNs   int64
	snapshots []*format.Process
	events    []*format.Proc
}

// groupLives sorts the records by process, parents mostly before children.
func groupLives(snapshots []format.Process, events []format.Proc) []life {
	type record struct {
		pid      int32
		startNs  int64
		snapshot *format.Process
		event    *format.Proc
	}
	records := make([]record, 0, len(snapshots)+len(events))
	for i := range snapshots {
		s := &snapshots[i]
		records = append(records, record{s.PID, s.StartNs, s, nil})
	}
	for i := range events {
		e := &events[i]
		records = append(records, record{e.PID, e.StartNs, nil, e})
	}
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.pid, b.pid), cmp.Compare(a.startNs, b.startNs))
	})
	var lives []life
	for _, r := range records {
		n := len(lives)
		if n == 0 || lives[n-1].pid != r.pid || r.startNs-lives[n-1].startNs > startSlackNs {
			lives = append(lives, life{pid: r.pid, startNs: r.startNs})
			n++
		}
		l := &lives[n-1]
		if r.snapshot != nil {
			l.snapshots = append(l.snapshots, r.snapshot)
		} else {
			l.events = append(l.events, r.event)
		}
	}
	for i := range lives {
		l := &lives[i]
		slices.SortStableFunc(l.snapshots, func(a, b *format.Process) int { return cmp.Compare(a.TsNs, b.TsNs) })
		l.snapshots = slices.CompactFunc(l.snapshots, restated)
		slices.SortStableFunc(l.events, func(a, b *format.Proc) int { return cmp.Compare(a.TsNs, b.TsNs) })
		l.beginBySight()
	}
	slices.SortStableFunc(lives, func(a, b life) int {
		return cmp.Or(cmp.Compare(a.startNs, b.startNs), cmp.Compare(a.pid, b.pid))
	})
	return lives
}

// beginBySight has a life begin no later than it was seen. The start time tells
// another moment if the machine was suspended while it was recorded: it is of a
// clock that goes on then.
func (l *life) beginBySight() {
	if len(l.events) > 0 {
		l.startNs = min(l.startNs, l.events[0].TsNs)
	}
	if len(l.snapshots) > 0 {
		l.startNs = min(l.startNs, l.snapshots[0].TsNs)
	}
}

// restated says whether b only tells again what a told, as rows do that begin a
// part of a recording. A row of the recorder's own accord tells something new;
// this one may even be out of date.
func restated(a, b *format.Process) bool {
	c := *b
	c.TsNs = a.TsNs
	return *a == c
}

// program is a stretch of a life with one program: from the start or an exec
// to the next exec.
type program struct {
	fromNs, toNs int64
	exec         *format.Proc // nil: the program it started with
}

func (l *life) programs() []program {
	list := []program{{fromNs: l.startNs, toNs: math.MaxInt64}}
	for _, e := range l.events {
		if e.Event == format.ProcExec {
			list[len(list)-1].toNs = e.TsNs
			list = append(list, program{fromNs: e.TsNs, toNs: math.MaxInt64, exec: e})
		}
	}
	return list
}

// resolve names each program of a life.
func (o *Owners) resolve(l *life, found map[int32][]Owner) []Owner {
	exit := int64(math.MaxInt64)
	for _, e := range l.events {
		if e.Event == format.ProcExit {
			exit = e.TsNs
		}
	}
	var owners []Owner
	snapshots := l.snapshots
	for _, p := range l.programs() {
		from, seen := p.fromNs, false
		for len(snapshots) > 0 && snapshots[0].TsNs < p.toNs {
			owners = append(owners, o.fromSnapshot(snapshots[0], from))
			snapshots, seen = snapshots[1:], true
			if len(snapshots) > 0 {
				from = snapshots[0].TsNs
			}
		}
		if seen {
			continue
		}
		if owner, ok := o.fromEvent(l, p, owners, found); ok {
			owners = append(owners, owner)
		}
	}
	for i := range owners {
		owners[i].exitNs = exit
	}
	return owners
}

func (o *Owners) fromSnapshot(s *format.Process, fromNs int64) Owner {
	owner := Owner{
		Service: s.Service, Source: s.ServiceSource, Instance: s.Instance, Comm: s.Comm, Cgroup: s.Cgroup,
		PID: s.PID, FromNs: fromNs,
	}
	if owner.Service == "" {
		owner.Service, owner.Source = executable(s.Exe, s.Comm), "executable"
	}
	return o.intern(owner)
}

// fromEvent names a program that no snapshot saw. It reports false when the
// records say nothing, not even who the parent was.
func (o *Owners) fromEvent(l *life, p program, earlier []Owner, found map[int32][]Owner) (Owner, bool) {
	around, ok := surrounding(l, p, earlier, found)
	owner := Owner{PID: l.pid, FromNs: p.fromNs, Comm: l.comm(p)}
	if p.exec == nil || inherited(around.Source) {
		if !ok {
			return o.fromComm(l, owner)
		}
		owner.Service, owner.Source, owner.Instance = around.Service, around.Source, around.Instance
		return o.intern(owner), true
	}
	owner.Service, owner.Source = executable(p.exec.Exe, p.exec.Comm), "executable"
	return o.intern(owner), owner.Service != ""
}

// comm gives the task's name while it ran a program that no snapshot saw. A
// fork does not tell it: its row has the parent's.
func (l *life) comm(p program) string {
	if p.exec != nil {
		return p.exec.Comm
	}
	for _, e := range l.events {
		if e.Event == format.ProcExit && p.toNs == math.MaxInt64 {
			return e.Comm
		}
	}
	return ""
}

// fromComm names a process by the name its events carry.
func (o *Owners) fromComm(l *life, owner Owner) (Owner, bool) {
	for _, e := range l.events {
		if e.Comm != "" && e.Event != format.ProcExec {
			owner.Service, owner.Source = e.Comm, "executable"
			return o.intern(owner), true
		}
	}
	return owner, false
}

// surrounding gives who the process was before the program, or its parent.
func surrounding(l *life, p program, earlier []Owner, found map[int32][]Owner) (Owner, bool) {
	if len(earlier) > 0 {
		return earlier[len(earlier)-1], true
	}
	for _, e := range l.events {
		owners := found[e.ParentPID]
		for i := len(owners) - 1; i >= 0; i-- {
			if owners[i].FromNs <= p.fromNs+startSlackNs {
				return owners[i], true
			}
		}
	}
	return Owner{}, false
}

// inherited says whether a service name covers all processes within a
// container or unit, so that a child that no snapshot saw has it too.
func inherited(source string) bool {
	return source == "kubernetes" || source == "container" || source == "systemd"
}

// executable gives the name of a program: its file's, else what the kernel
// calls it.
func executable(exe, comm string) string {
	if exe == "" {
		return comm
	}
	return path.Base(exe)
}

func (o *Owners) intern(owner Owner) Owner {
	owner.Service = o.name(owner.Service)
	owner.Source = o.name(owner.Source)
	owner.Instance = o.name(owner.Instance)
	owner.Comm = o.name(owner.Comm)
	owner.Cgroup = o.name(owner.Cgroup)
	return owner
}

func (o *Owners) name(s string) string {
	if kept, ok := o.names[s]; ok {
		return kept
	}
	kept := string([]byte(s)) // the row's string may hold a whole page alive
	o.names[kept] = kept
	return kept
}
