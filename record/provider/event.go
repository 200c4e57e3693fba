package provider

import (
	"strings"

	"kmon/format"
	"kmon/record/secret"
)

// Exec takes a fork or exec event of the kernel and returns the process's row
// when it is new or has changed. A fork costs no system call when the parent
// is known: the child is what the parent is. An exec reads /proc while the
// process still lives; when it is too late, the event's own facts and those
// inherited make the row. Exit events go to Exit; given here, they are too.
//
// args are the arguments of an exec as they were, for rules of the configuration
// and for the program's name; proc.Cmdline is without their secrets.
func (p *Provider) Exec(proc format.Proc, args []string) (format.Process, bool) {
	if proc.Event == format.ProcExit {
		p.Exit(proc.PID, proc.StartNs)
		return format.Process{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.processes[proc.PID]
	if e != nil && !p.same(e, proc.StartNs) {
		if e.ticks > p.ticks(proc.StartNs) { // a late event of an earlier process with this pid
			late := p.fromEvent(nil, proc, args)
			p.name(late)
			return late.take(proc.TsNs)
		}
		e = nil
	}
	switch {
	case e != nil && proc.Event == format.ProcFork:
		// seen by a scan before its event was read: /proc knows more
	case proc.Event == format.ProcFork && p.processes[proc.ParentPID] != nil:
		e = p.fork(p.processes[proc.ParentPID], proc)
	default:
		e = p.exec(e, proc, args)
	}
	p.remember(e)
	p.name(e)
	return e.take(proc.TsNs)
}

// remember keeps a process if there is room; false when there is none.
func (p *Provider) remember(e *process) bool {
	if p.processes[e.row.PID] == nil && len(p.processes) >= MaxProcesses {
		p.skipped++
		return false
	}
	p.processes[e.row.PID] = e
	return true
}

// fork makes a child in its parent's image.
func (p *Provider) fork(parent *process, proc format.Proc) *process {
	e := *parent
	e.sent, e.fresh, e.scans, e.scanned = false, true, 0, false
	e.ticks = p.ticks(proc.StartNs)
	e.row.PID, e.row.ParentPID, e.row.StartNs = proc.PID, proc.ParentPID, p.startNs(e.ticks)
	if proc.Comm != "" { // the name of the thread that forked
		e.row.Comm = format.Clean(proc.Comm)
	}
	return &e
}

// exec reads a process that has begun another program; e is the process as it
// was, nil when it was not known.
func (p *Provider) exec(e *process, proc format.Proc, args []string) *process {
	stat, err := p.stat(proc.PID)
	if err != nil || stat.state == 'Z' || stat.state == 'X' {
		return p.fromEvent(e, proc, args)
	}
	next := &process{ticks: p.ticks(proc.StartNs)}
	if e != nil {
		*next = *e
	}
	itself := next.startedAt(stat.startTicks) || e == nil && proc.StartNs == 0
	if !itself || !p.read(next, proc.PID, stat) {
		return p.fromEvent(e, proc, args)
	}
	next.fresh = true
	return next
}

// fromEvent makes a process that has ended from its event, and from what it
// was or its parent is.
func (p *Provider) fromEvent(e *process, proc format.Proc, args []string) *process {
	next := &process{row: row{UID: -1}, ticks: p.ticks(proc.StartNs)}
	if e != nil {
		*next = *e
	} else if parent := p.processes[proc.ParentPID]; parent != nil {
		next = p.fork(parent, proc)
	}
	r := next.row
	r.PID, r.ParentPID, r.Comm, r.StartNs = proc.PID, proc.ParentPID, format.Clean(proc.Comm), p.startNs(next.ticks)
	if proc.Event == format.ProcExec {
		r.Exe, r.Cmdline = format.Clean(proc.Exe), format.Clean(proc.Cmdline)
		next.line = format.Clean(strings.Join(args, " "))
		next.kernel, next.sockets = false, nil
	}
	if p := p.cgroups.paths[proc.CgroupID]; p != "" && p != r.Cgroup {
		r.Cgroup = p
	}
	p.locateEvent(next, &r)
	if proc.Event == format.ProcExec || next.program == "" {
		if args == nil {
			args = strings.Split(r.Cmdline, " ")
		}
		next.program = executableName(r.Exe, r.Comm, secret.Cut(args))
	}
	next.set(func(row *row) { *row = r })
	return next
}

// locateEvent finds container and unit again when the cgroup is another one
// than the one inherited.
func (p *Provider) locateEvent(e *process, r *row) {
	if r.Cgroup != e.row.Cgroup {
		p.locate(e, r, []string{r.Cgroup})
	}
}
