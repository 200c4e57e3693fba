package provider

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"kmon/format"
	"kmon/record/secret"
)

type row = format.Process

// process is one process: its row and what naming needs beside it.
type process struct {
	row     row
	sent    bool   // the row as it is has been returned
	ticks   int64  // start time as /proc tells it
	image   uint64 // of procStat, 0: not read from /proc yet
	fresh   bool   // to be read once more: a process changes most when young
	kernel  bool   // a kernel thread
	program string // name of its executable or script
	// line is the command line as it is, for rules; row has it without secrets.
	line  string
	unit  string // systemd unit
	place place  // in the hierarchies that limit it
	// rssPages is its resident memory at the last scan.
	rssPages int64
	scans    int  // that saw it, up to now
	scanned  bool // its files were searched for listening sockets
	sockets  []uint64
}

// set changes the row; a row that differs is returned again.
func (e *process) set(change func(*row)) {
	next := e.row
	change(&next)
	if next != e.row {
		e.row, e.sent = next, false
	}
}

// take returns the row when it is new or has changed since the last time.
func (e *process) take(tsNs int64) (row, bool) {
	if e.sent {
		return row{}, false
	}
	e.row.TsNs, e.sent = tsNs, true
	return e.row, true
}

// unreadable says whether /proc refused something of a process.
func (e *process) unreadable() bool {
	return !e.kernel && (e.row.Exe == "" || e.row.NetnsID == 0)
}

// startedAt says whether a start time is the process's. One tick is let pass,
// for an event's clock may be read with another boot offset than /proc's.
func (e *process) startedAt(ticks int64) bool {
	d := e.ticks - ticks
	return d >= -1 && d <= 1
}

// same compares the start time with that of an event; 0 is the same as any.
func (p *Provider) same(e *process, startNs int64) bool {
	return startNs == 0 || e.startedAt(p.ticks(startNs))
}

// ticks turns an event's start time into that of /proc, and startNs turns it
// back: the rows hold whole ticks, so that events and scans agree.
func (p *Provider) ticks(startNs int64) int64 { return (startNs + p.bootOffset) / tickNs }

func (p *Provider) startNs(ticks int64) int64 { return ticks*tickNs - p.bootOffset }

func directory(pid int32) string { return "proc/" + strconv.Itoa(int(pid)) }

// stat reads the stat file of a process. errGone means that there is no such
// process; after another error there may be.
func (p *Provider) stat(pid int32) (procStat, error) {
	text, err := p.files.read(directory(pid)+"/stat", maxText)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return procStat{}, errGone
	}
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text)
}

var errGone = errors.New("no such process")

// read fills a process from /proc; false, and e unchanged, when it vanished
// meanwhile. Files that may not be read leave their columns empty.
func (p *Provider) read(e *process, pid int32, stat procStat) bool {
	dir := directory(pid)
	cgroup, err := p.files.read(dir+"/cgroup", maxText)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return false
	}
	paths := p.hierarchy.parseCgroup(string(cgroup))
	place := p.limits.placeOf(p.hierarchy, paths[0], string(cgroup))
	cmdline, err := p.files.read(dir+"/cmdline", maxCmdline+1)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return false
	}
	args, line := commandLine(cmdline)
	r := e.row
	r.StartNs = p.startNs(stat.startTicks)
	r.PID, r.ParentPID, r.Comm = pid, stat.parent, stat.comm
	stored := secret.Cut(args)
	r.Cmdline = cutLine(line, args, stored)
	e.kernel = stat.flags&kernelThread != 0
	if !e.kernel {
		r.Exe = format.Clean(p.files.link(dir + "/exe"))
		r.PidnsID = p.files.namespace(dir, "pid")
		r.NetnsID = p.files.namespace(dir, "net")
		r.MntnsID = p.files.namespace(dir, "mnt")
	}
	r.UID = p.uid(dir)
	if e.image != stat.image {
		e.scanned, e.sockets, e.fresh = false, nil, true
	}
	e.ticks, e.image = stat.startTicks, stat.image
	e.line, e.place = line, place
	e.program = executableName(r.Exe, r.Comm, stored)
	p.locate(e, &r, paths)
	e.set(func(row *row) { *row = r })
	return true
}

// cutLine is the line of arguments whose secrets were cut: line itself, and no
// memory of its own, where there were none.
func cutLine(line string, args, stored []string) string {
	if slices.Equal(args, stored) {
		return line
	}
	cut := strings.TrimRight(strings.Join(stored, " "), " ")
	if strings.HasSuffix(line, tooLong) && !strings.HasSuffix(strings.Join(args, " "), tooLong) {
		cut += tooLong
	}
	return cut
}

// locate stores where a process runs: its cgroup, container and unit. The
// first of the paths is the one in the provider's hierarchy; on a hybrid host
// another may be the one that names the container or the unit.
func (p *Provider) locate(e *process, r *row, paths []string) {
	r.Cgroup, r.ContainerID, e.unit = paths[0], "", ""
	p.cgroups.id(p, paths[0])
	for _, path := range paths {
		if k := p.containers.find(containerRefs(path)); k != nil && r.ContainerID == "" {
			r.ContainerID, k.used = k.row.ContainerID, true
		}
		if e.unit == "" {
			e.unit = unit(path)
		}
	}
}

// uid returns the effective user id, -1 when it is not known.
func (p *Provider) uid(dir string) int32 {
	text, err := p.files.read(path.Join(dir, "status"), maxText)
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			if ids := strings.Fields(rest); len(ids) >= 2 {
				if id, err := strconv.ParseUint(ids[1], 10, 32); err == nil {
					return int32(id)
				}
			}
		}
	}
	return -1
}
