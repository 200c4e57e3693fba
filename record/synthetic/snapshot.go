package synthetic

import "kmon/format"

// snapshot writes what a recorder finds at the start.
func (c *capture) snapshot() {
	n := c.node
	stacks, frames := stackRows(c.now())
	add(c, frames...)
	add(c, stacks...)
	add(c, format.Interface{TsNs: c.now(), NetnsID: netnsID, Index: 2, Name: "eth0", Addr: n.addr + "/16", MTU: 1500, SpeedMbps: 10_000})
	add(c, format.Disk{TsNs: c.now(), DeviceID: diskID, Name: "nvme0n1", Kind: "disk", Model: "synthetic", SizeBytes: diskSectors * 512,
		Scheduler: "none", QueueDepth: diskDepth})
	add(c, format.Mount{TsNs: c.now(), MntnsID: 1, DeviceID: diskID, Point: "/", Type: "ext4", Source: "/dev/nvme0n1"})
	for _, p := range n.processes {
		c.process(p)
	}
	for _, s := range n.w.services {
		for _, i := range s.instances {
			if i.node == n {
				c.listener(i)
			}
		}
	}
}

// process writes what a look at /proc finds.
func (c *capture) process(p *process) {
	if !c.recording() {
		return
	}
	row := format.Process{
		TsNs: c.now(), PID: p.pid, StartNs: c.at(p.startNs), ParentPID: 1, Comm: p.comm, Exe: p.exe, PidnsID: 1, NetnsID: netnsID, MntnsID: 1,
		Service: p.service, ServiceSource: "kubernetes", Instance: p.instance,
	}
	if p.service != "" {
		row.Cmdline, row.Cgroup = p.exe, p.cgroup()
	} else {
		row.ParentPID, row.Service, row.ServiceSource = 2, "kernel", "executable"
	}
	add(c, row)
}

func (c *capture) listener(i *instance) {
	add(c, format.Listener{TsNs: c.now(), NetnsID: netnsID, Addr: "0.0.0.0", Port: i.service.port, Protocol: 6, PID: i.process.pid, Backlog: 128})
}

// proc writes that a process begins or ends.
func (c *capture) proc(p *process, event format.ProcEvent) {
	if !c.recording() {
		return
	}
	row := format.Proc{TsNs: c.now(), Event: event, PID: p.pid, ParentPID: 1, StartNs: c.at(p.startNs), Comm: p.comm, PidnsPID: p.pid}
	if event == format.ProcExec {
		row.Exe, row.Cmdline = p.exe, p.exe
	}
	add(c, row)
}
