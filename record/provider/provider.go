package provider

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kmon/format"
)

const (
	// MaxProcesses bounds the processes remembered, some 1 KiB each (5 KiB
	// with the longest command lines). Those beyond are counted in
	// Snapshot.Skipped.
	MaxProcesses = 32768
	// tickNs is one clock tick of /proc: USER_HZ is 100 on every architecture
	// Go runs on.
	tickNs = 10_000_000
	// rereadScans: what can change without a new program (cgroup, user,
	// namespaces) is read again every so many scans.
	rereadScans = 8
)

// Options are what a Provider is made from.
type Options struct {
	// Root is the host's root directory: os.DirFS("/"), or what package hostfs
	// finds. It must be able to read symbolic links (fs.ReadLinkFS). What it
	// does not show is not known: no process is named by a /proc of others.
	Root fs.FS
	// OwnPID is the number of this process in its pid namespace, by which its
	// cgroup is found in a cgroup namespace; 0: not to be looked for.
	OwnPID int
	// Config may be nil: no rules, no targets.
	Config *Config
	// Selectors of the command line, added to those of the configuration.
	Selectors Selectors
	// BootOffsetNs is the time the machine was suspended since boot: /proc
	// counts start times with it, events without. 0: measured.
	BootOffsetNs int64
}

// Provider knows the processes, listeners, containers, interfaces and disks of
// one host. Its methods may be called concurrently; Snapshot holds the others up
// for the tens of milliseconds a scan takes.
type Provider struct {
	mu         sync.Mutex
	files      *files
	host       format.Host
	config     *Config
	selectors  Selectors
	bootOffset int64
	hierarchy  hierarchy
	cgroups    cgroups
	processes  map[int32]*process
	containers *containers
	listeners  *listeners
	interfaces *interfaces
	mounts     mounts
	disks      disks
	limits     limits
	scans      int
	skipped    int // since the last snapshot
}

// New prepares a provider; it reads the host's facts but no process yet. The
// error says that Root is not usable.
func New(o Options) (*Provider, error) {
	if _, ok := o.Root.(fs.ReadLinkFS); !ok {
		return nil, errors.New("provider: Options.Root cannot read symbolic links, use os.DirFS")
	}
	if _, err := fs.Stat(o.Root, "proc"); err != nil {
		return nil, fmt.Errorf("provider: the root has no proc directory, mount the host's there: %w", err)
	}
	if err := o.Selectors.check(); err != nil {
		return nil, fmt.Errorf("provider: selectors: %w", err.err)
	}
	f := &files{root: o.Root}
	p := &Provider{
		files: f, config: o.Config, selectors: o.Selectors, bootOffset: o.BootOffsetNs,
		hierarchy: findHierarchy(f, hierarchyV1, o.OwnPID), limits: newLimits(f, o.OwnPID), processes: map[int32]*process{},
		containers: newContainers(f), listeners: newListeners(), interfaces: newInterfaces(),
	}
	if p.bootOffset == 0 {
		p.bootOffset = SuspendedNs()
	}
	p.host = readHost(f)
	p.host.CgroupHierarchy = p.hierarchy.name
	p.cgroups.reset()
	return p, nil
}

// Host returns the facts of the host. Its cgroup hierarchy is the one whose
// inodes are the cgroup ids of Targets and of the events.
func (p *Provider) Host() format.Host { return p.host }

// BootOffsetNs is CLOCK_BOOTTIME − CLOCK_MONOTONIC as this provider uses it;
// start times of events must be made with the same.
func (p *Provider) BootOffsetNs() int64 { return p.bootOffset }

// Warnings are what cannot be selected or named, in sentences; nil when there is
// nothing.
func (p *Provider) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var warnings []string
	if p.hierarchy.id(p.files.root, "/") == 0 {
		warnings = append(warnings, fmt.Sprintf("no cgroup hierarchy at /%s, so cgroups cannot be selected", p.hierarchy.mount))
	}
	if p.hierarchy.astray() {
		warnings = append(warnings, "kmon's own cgroup was not found in the host's, so cgroups near it have no names; give kmon the host's cgroup namespace (docker --cgroupns=host)")
	}
	return warnings
}

// Snapshot holds rows that are new or have changed since the last one, sorted.
// A row that vanished is not told: events tell when processes and sockets end.
type Snapshot struct {
	Processes  []format.Process   // by PID
	Listeners  []format.Listener  // by namespace, address, port
	Containers []format.Container // by id
	Interfaces []format.Interface // by namespace, name, address
	Disks      []format.Disk      // by device
	Mounts     []format.Mount     // those of disks first, by mount point
	// Memory holds a row for each of the largest target processes, by PID,
	// then one for each of their cgroups, by path; whether changed or not.
	Memory []format.Memory
	// Limits tells how far limits were used since the last look, by cgroup.
	// SkippedLimits of them were not looked at because there were too many.
	Limits        []format.Limit
	SkippedLimits int
	// Live counts the processes there were, Skipped those not remembered
	// because there were more than MaxProcesses, Unreadable those of whom
	// /proc refused the program or the namespaces.
	Live, Skipped, Unreadable int
}

// Snapshot scans the host. tsNs is the monotonic time the rows get.
func (p *Provider) Snapshot(tsNs int64) Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scans++
	p.containers.scan()
	p.cgroups.reset()
	p.scanProcesses()
	sorted := p.sorted()
	spaces := namespaces(sorted)
	p.listeners.scan(p.files, spaces, p.scans)
	p.interfaces.scan(p.files, spaces, p.scans)
	p.mounts.scan(p.files)
	p.disks.scan(p.files, &p.mounts, p.scans)
	s := p.take(tsNs, sorted)
	s.Live, s.Skipped = len(sorted), p.skipped
	p.skipped = 0
	for _, e := range sorted {
		if e.unreadable() {
			s.Unreadable++
		}
	}
	s.Memory = p.memory(tsNs, sorted)
	p.scanLimits(sorted)
	s.Limits, s.SkippedLimits = p.limits.look(p.files, tsNs), p.limits.skipped
	return s
}

// Restate returns all rows that are known, for a file that has none of them. It
// does not look at the host: memory is left out, and the next look tells limits.
func (p *Provider) Restate(tsNs int64) Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.processes {
		e.sent = false
	}
	for _, k := range p.containers.byID {
		k.sent = false
	}
	for _, l := range p.listeners.byKey {
		l.sent = false
	}
	for _, i := range p.interfaces.rows {
		i.sent = false
	}
	p.disks.restate()
	p.mounts.restate()
	p.limits.restate()
	return p.take(tsNs, p.sorted())
}

// take returns the rows that are new or have changed.
func (p *Provider) take(tsNs int64, sorted []*process) Snapshot {
	var s Snapshot
	for _, e := range sorted {
		p.name(e)
		if row, changed := e.take(tsNs); changed {
			s.Processes = append(s.Processes, row)
		}
	}
	s.Containers = p.takeContainers(tsNs)
	s.Listeners = p.listeners.take(tsNs)
	s.Interfaces = p.interfaces.take(tsNs)
	s.Disks, s.Mounts = p.disks.take(tsNs), p.mounts.take(tsNs)
	return s
}

// SetConfig puts another configuration in force: the services of all processes
// are named anew, and the next snapshot has the rows that changed. nil is the
// empty configuration.
func (p *Provider) SetConfig(c *Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config = c
	for _, e := range p.processes {
		p.name(e)
	}
}

// Exit forgets a process that ended. startNs of 0 means whichever has the pid;
// another process that has got the pid meanwhile is kept.
func (p *Provider) Exit(pid int32, startNs int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.processes[pid]; e != nil && p.same(e, startNs) {
		delete(p.processes, pid)
	}
}

// sorted returns the processes by pid.
func (p *Provider) sorted() []*process {
	return slices.SortedFunc(maps.Values(p.processes), func(a, b *process) int { return cmp.Compare(a.row.PID, b.row.PID) })
}

// takeContainers returns the containers whose row is new.
func (p *Provider) takeContainers(tsNs int64) []format.Container {
	var rows []format.Container
	for _, id := range slices.Sorted(maps.Keys(p.containers.byID)) {
		k := p.containers.byID[id]
		if !k.used {
			continue
		}
		service, _ := p.containerService(k)
		if k.sent && k.row.Service == service {
			continue
		}
		k.row.Service, k.row.TsNs, k.sent = service, tsNs, true
		rows = append(rows, k.row)
	}
	return rows
}

// scanProcesses brings the processes up to date with /proc.
func (p *Provider) scanProcesses() {
	names := p.files.names("proc")
	if names == nil { // out of files or memory: what is known stays
		return
	}
	seen := make(map[int32]bool, len(p.processes))
	for _, name := range names {
		pid, err := strconv.ParseInt(name, 10, 32)
		if err != nil || pid <= 0 || strings.HasPrefix(name, "+") {
			continue
		}
		if p.scanProcess(int32(pid)) {
			seen[int32(pid)] = true
		}
	}
	for pid := range p.processes {
		if !seen[pid] {
			delete(p.processes, pid)
		}
	}
}

// scanProcess reads one process, as little of it as will do; false when it is
// gone or not remembered.
func (p *Provider) scanProcess(pid int32) bool {
	e := p.processes[pid]
	stat, err := p.stat(pid)
	if err != nil {
		return e != nil && !errors.Is(err, errGone)
	}
	if e != nil && !e.startedAt(stat.startTicks) {
		e = nil // the pid belongs to another process now
	}
	dead := stat.state == 'Z' || stat.state == 'X'
	if e != nil {
		return p.refresh(e, stat, dead)
	}
	e = &process{rssPages: stat.rssPages}
	if dead || !p.read(e, pid, stat) {
		return false
	}
	return p.remember(e)
}

// refresh brings a process that was known up to date; false when it is gone.
func (p *Provider) refresh(e *process, stat procStat, dead bool) bool {
	e.scans++
	e.rssPages = stat.rssPages
	turn := int(e.row.PID)%rereadScans == p.scans%rereadScans
	switch {
	case stat.flags&kernelThread != 0: // only comm changes, it tells what a worker is at
		return true
	case !dead && (turn || e.fresh || e.image != stat.image || e.row.Comm != stat.comm):
		e.fresh = false
		return p.read(e, e.row.PID, stat)
	}
	e.set(func(r *row) { r.Comm, r.ParentPID = stat.comm, stat.parent })
	p.cgroups.id(p, e.row.Cgroup)
	if k := p.containers.byID[e.row.ContainerID]; k != nil {
		p.containers.touch(k)
	}
	return true
}

// cgroups remembers cgroup ids between two snapshots: a path gets another
// inode when its cgroup is made anew.
type cgroups struct {
	ids   map[string]int64
	paths map[int64]string
}

func (c *cgroups) reset() { c.ids, c.paths = map[string]int64{}, map[int64]string{} }

// id returns the id of a path; 0 when it has no directory.
func (c *cgroups) id(p *Provider, path string) int64 {
	id, ok := c.ids[path]
	if !ok && path != "" && len(c.ids) < MaxProcesses {
		id = p.hierarchy.id(p.files.root, path)
		c.ids[path] = id
		if id != 0 {
			c.paths[id] = path
		}
	}
	return id
}
