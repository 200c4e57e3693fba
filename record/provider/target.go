package provider

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"kmon/record/spelling"
)

// maxCgroups bounds the cgroups below the ones selected, for the kernel's
// filter map has room for so many.
const maxCgroups = 1024

// Targets are selectors resolved to what the kernel's filter maps hold. All
// slices are sorted and without repetition.
type Targets struct {
	// All: nothing is selected, everything is to be recorded. Without it,
	// empty slices mean that nothing is.
	All        bool
	PIDs       []int32
	CgroupIDs  []uint64 // inodes in the hierarchy Host.CgroupHierarchy, descendants listed too
	Ports      []uint16
	Unresolved []Unresolved
}

// Unresolved is a selector that stands for nothing now; it may later.
type Unresolved struct {
	Selector string // as "service cart"
	Reason   string
}

// Targets resolves the selectors of Options and of the configuration in force
// against the processes known: call it after each Snapshot, and after SetConfig.
func (p *Provider) Targets() Targets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.targets()
}

func (p *Provider) targets() Targets {
	selectors := []Selectors{p.selectors}
	if p.config != nil {
		selectors = append(selectors, p.config.Targets)
	}
	t := Targets{All: true}
	for _, s := range selectors {
		t.All = t.All && s.Empty()
		p.resolve(&t, s)
	}
	slices.Sort(t.PIDs)
	slices.Sort(t.CgroupIDs)
	slices.Sort(t.Ports)
	slices.SortFunc(t.Unresolved, func(a, b Unresolved) int { return cmp.Compare(a.Selector, b.Selector) })
	t.PIDs, t.CgroupIDs = slices.Compact(t.PIDs), slices.Compact(t.CgroupIDs)
	t.Ports, t.Unresolved = slices.Compact(t.Ports), slices.Compact(t.Unresolved)
	return t
}

// resolve adds what one set of selectors stands for.
func (p *Provider) resolve(t *Targets, s Selectors) {
	fail := func(kind string, value any, reason string) {
		t.Unresolved = append(t.Unresolved, Unresolved{fmt.Sprint(kind, " ", value), reason})
	}
	t.Ports = append(t.Ports, s.Ports...)
	for _, pid := range s.PIDs {
		t.PIDs = append(t.PIDs, pid) // kept: the process may be younger than the last scan
		if p.processes[pid] == nil {
			fail("pid", pid, "no such process")
		}
	}
	for _, name := range s.Services {
		if !p.resolveService(t, name) {
			fail("service", name, p.noService(name))
		}
	}
	for _, cgroup := range s.Cgroups {
		ids, reason := p.resolveCgroup(cgroup)
		t.CgroupIDs = append(t.CgroupIDs, ids...)
		if reason != "" {
			fail("cgroup", cgroup, reason)
		}
	}
}

// resolveService adds the processes of a service, and those cgroups all of
// whose processes belong to it, so that the kernel knows new ones at once.
func (p *Provider) resolveService(t *Targets, name string) bool {
	whole := map[string]bool{} // cgroup → only processes of the service seen
	found := false
	for _, e := range p.processes {
		mine := e.row.Service == name
		before, seen := whole[e.row.Cgroup]
		whole[e.row.Cgroup] = mine && (before || !seen)
		if mine {
			found = true
			t.PIDs = append(t.PIDs, e.row.PID)
		}
	}
	for cgroup, ok := range whole {
		if ok && cgroup != "" && cgroup != "/" {
			if id := p.cgroups.id(p, cgroup); id != 0 {
				t.CgroupIDs = append(t.CgroupIDs, uint64(id))
			}
		}
	}
	return found
}

// noService says what there is instead: the nearest name.
func (p *Provider) noService(name string) string {
	var names []string
	for _, e := range p.processes {
		names = append(names, e.row.Service)
	}
	if len(names) == 0 {
		return "no process is known yet"
	}
	slices.Sort(names)
	return fmt.Sprintf("no process belongs to it; the nearest name is %q", spelling.Nearest(name, slices.Compact(names)))
}

// resolveCgroup returns the ids of a cgroup and its descendants, and why they
// are not all.
func (p *Provider) resolveCgroup(cgroup string) (ids []uint64, reason string) {
	relative := strings.TrimPrefix(path.Clean("/"+cgroup), "/"+p.hierarchy.mount)
	dir := p.hierarchy.dir(relative)
	if info, err := fs.Stat(p.files.root, dir); err != nil || !info.IsDir() {
		return nil, fmt.Sprintf("no directory /%s; give the path as in /proc/PID/cgroup, hierarchy %s", dir, p.hierarchy.name)
	}
	err := fs.WalkDir(p.files.root, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil { // removed meanwhile
			return nil
		}
		if !d.IsDir() {
			return nil
		}
		if len(ids) == maxCgroups {
			reason = fmt.Sprintf("has more than %d cgroups below it, only those are recorded; select a lower one", maxCgroups)
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil {
			if id := inode(info); id != 0 {
				ids = append(ids, uint64(id))
			}
		}
		return nil
	})
	if err != nil {
		return ids, err.Error()
	}
	if len(ids) == 0 {
		reason = "its directory has no inode number here"
	}
	return ids, reason
}
