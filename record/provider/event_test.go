package provider

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"kmon/format"
)

const eventNode = `
file proc/1/mountinfo
	30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
dir sys/fs/cgroup/system.slice/cron.service 77
dir sys/fs/cgroup/system.slice/other.service 78
proc 1 comm=systemd exe=/usr/lib/systemd/systemd cgroup=0::/init.scope args: /sbin/init
proc 50 comm=cron exe=/usr/sbin/cron uid=7 net=5 cgroup=0::/system.slice/cron.service args: /usr/sbin/cron -f
proc 60 comm=other exe=/usr/bin/other cgroup=0::/system.slice/other.service args: other
`

// tick is 100 ticks after boot, in the nanoseconds of events.
func tick(n int64) int64 { return n * tickNs }

// TestExecGone: a process that lived for milliseconds is named from its events.
func TestExecGone(t *testing.T) {
	p := newProvider(t, parseNode(t, eventNode).root, "rules: [{service: backup, match: {exe: backup.sh}}]")
	p.Snapshot(1)

	forked, ok := tell(p, format.Proc{TsNs: 2, Event: format.ProcFork, PID: 500, ParentPID: 50, StartNs: tick(2000) + 1234, Comm: "cron"})
	if want := (row{TsNs: 2, PID: 500, ParentPID: 50, StartNs: tick(2000), Comm: "cron", Exe: "/usr/sbin/cron", Cmdline: "/usr/sbin/cron -f",
		Cgroup: "/system.slice/cron.service", PidnsID: 5, NetnsID: 5, MntnsID: 5, UID: 7,
		Service: "cron", ServiceSource: "systemd", Instance: "cron.service"}); !ok || forked != want {
		t.Errorf("fork: got %+v, %v\nwant %+v", forked, ok, want)
	}
	executed, ok := tell(p, format.Proc{TsNs: 3, Event: format.ProcExec, PID: 500, ParentPID: 50, StartNs: tick(2000), Comm: "backup.sh",
		Exe: "/opt/backup.sh", Cmdline: "/bin/sh /opt/backup.sh\n--all", CgroupID: 78})
	want := forked
	want.TsNs, want.Comm, want.Exe, want.Cmdline = 3, "backup.sh", "/opt/backup.sh", "/bin/sh /opt/backup.sh --all"
	want.Cgroup, want.Service, want.ServiceSource, want.Instance = "/system.slice/other.service", "backup", "rule", "other.service"
	if !ok || executed != want {
		t.Errorf("exec: got %+v, %v\nwant %+v", executed, ok, want)
	}
	if again, ok := tell(p, format.Proc{TsNs: 4, Event: format.ProcExec, PID: 500, ParentPID: 50, StartNs: tick(2000), Comm: "backup.sh",
		Exe: "/opt/backup.sh", Cmdline: "/bin/sh /opt/backup.sh\n--all", CgroupID: 78}); ok {
		t.Errorf("the same event again gives %+v", again)
	}
	p.Exit(500, tick(1999)-1)
	p.Exit(500, tick(5000))
	if p.processes[500] == nil {
		t.Error("the exit of another process with this pid made it forget 500")
	}
	p.Exit(500, tick(2000)+99)
	if p.processes[500] != nil {
		t.Error("500 ended, but is remembered")
	}
}

// TestExecUnknownParent: nothing is known of the process but its event.
func TestExecUnknownParent(t *testing.T) {
	p := newProvider(t, parseNode(t, eventNode).root, "")
	got, ok := tell(p, format.Proc{TsNs: 3, Event: format.ProcExec, PID: 900, ParentPID: 899, StartNs: tick(3000), Comm: "python3",
		Exe: "/usr/bin/python3", Cmdline: "python3 job.py", CgroupID: 999})
	want := row{TsNs: 3, PID: 900, ParentPID: 899, StartNs: tick(3000), Comm: "python3", Exe: "/usr/bin/python3", Cmdline: "python3 job.py",
		UID: -1, Service: "job.py", ServiceSource: "executable"}
	if !ok || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, ok, want)
	}
	if s := p.Snapshot(4); p.processes[900] != nil || s.Live != 3 {
		t.Errorf("a process that /proc does not have is remembered after a snapshot: %+v", s)
	}
}

// TestExecAlive: /proc is read while the process lives, and a scan agrees.
func TestExecAlive(t *testing.T) {
	n := parseNode(t, eventNode)
	p := newProvider(t, n.root, "")
	p.Snapshot(1)
	n.setProcess(70, map[string]string{"comm": "web", "parent": "1", "flags": "0", "start": "4000", "uid": "33", "net": "9",
		"exe": "/srv/web", "cgroup": "0::/system.slice/web.service"}, "/srv/web\x00-p\x0080")
	event := format.Proc{TsNs: 2, Event: format.ProcExec, PID: 70, ParentPID: 1, StartNs: tick(4000), Comm: "web", Exe: "./web", Cmdline: "./web -p 80"}
	got, ok := tell(p, event)
	if want := (row{TsNs: 2, PID: 70, ParentPID: 1, StartNs: tick(4000), Comm: "web", Exe: "/srv/web", Cmdline: "/srv/web -p 80",
		Cgroup: "/system.slice/web.service", PidnsID: 9, NetnsID: 9, MntnsID: 9, UID: 33,
		Service: "web", ServiceSource: "systemd", Instance: "web.service"}); !ok || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, ok, want)
	}
	if s := p.Snapshot(3); len(s.Processes) != 0 {
		t.Errorf("the scan differs from the event: %+v", s.Processes)
	}
	// The event of an earlier process with this pid comes late.
	event.StartNs, event.Comm, event.Exe, event.Cmdline = tick(3500), "early", "/bin/early", "early"
	late, ok := tell(p, event)
	if !ok || late.Service != "early" || late.StartNs != tick(3500) || late.UID != 0 {
		t.Errorf("late event: got %+v, %v", late, ok)
	}
	if p.processes[70].row.Service != "web" {
		t.Error("a late event replaced the process that has the pid now")
	}
	// The pid has been given to a later process, whose event is not read yet.
	event.StartNs, event.Comm = tick(3900), "between"
	if got, _ := tell(p, event); got.StartNs != tick(3900) || got.Cmdline != "early" {
		t.Errorf("/proc of another process was taken: %+v", got)
	}
}

// TestScanSeesExec: a process that executed another program between two scans
// is read again, though its start time is the same, and so is a reused pid.
func TestScanSeesExec(t *testing.T) {
	n := parseNode(t, eventNode)
	p := newProvider(t, n.root, "")
	p.Snapshot(1)
	p.Snapshot(2)
	v := map[string]string{"comm": "other", "parent": "1", "flags": "0", "start": "1000", "uid": "0", "net": "1",
		"exe": "/usr/bin/python3", "cgroup": "0::/"}
	n.setProcess(60, v, "python3\x00a.py")
	stat := n.root["proc/60/stat"]
	stat.Data = []byte("60 (other) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1000 0 0 0 4711 0 0 0 0 0\n")
	s := p.Snapshot(3)
	if len(s.Processes) != 1 || s.Processes[0].Service != "a.py" {
		t.Errorf("after exec: %+v", s.Processes)
	}
	v["start"], v["exe"], v["comm"] = "9000", "/bin/later", "later"
	n.setProcess(60, v, "later")
	s = p.Snapshot(4)
	if len(s.Processes) != 1 || s.Processes[0].Service != "later" || s.Processes[0].StartNs != tick(9000) {
		t.Errorf("after the pid was used again: %+v", s.Processes)
	}
	n.remove("proc/60")
	if s = p.Snapshot(5); len(s.Processes) != 0 || s.Live != 2 {
		t.Errorf("after its end: %+v", s)
	}
}

// TestVanishing: a process ends between the listing of /proc and the reading
// of each of its files.
func TestVanishing(t *testing.T) {
	for _, file := range []string{"stat", "cgroup", "cmdline", "status"} {
		n := parseNode(t, eventNode)
		root := faulty{MapFS: n.root, onOpen: func(name string) {
			if name == "proc/50/"+file {
				n.remove("proc/50")
			}
		}}
		s := newProvider(t, root, "").Snapshot(1)
		for _, r := range s.Processes {
			// At status all that names it has been read.
			if r.PID == 50 && (file != "status" || r.Service != "cron" || r.UID != -1) {
				t.Errorf("ended before %s was read: %+v", file, r)
			}
		}
		if len(s.Processes) < 2 {
			t.Errorf("ended before %s was read: the others are missing: %+v", file, s.Processes)
		}
	}
}

// TestUnreadable: what /proc refuses is left empty and counted.
func TestUnreadable(t *testing.T) {
	n := parseNode(t, eventNode)
	errs := map[string]error{}
	for _, name := range []string{"exe", "ns/net", "ns/pid", "ns/mnt", "status", "fd"} {
		errs["proc/50/"+name] = fs.ErrPermission
	}
	p := newProvider(t, faulty{MapFS: n.root, errs: errs}, "")
	s := p.Snapshot(1)
	want := row{TsNs: 1, PID: 50, ParentPID: 1, StartNs: tick(1000), Comm: "cron", Cmdline: "/usr/sbin/cron -f",
		Cgroup: "/system.slice/cron.service", UID: -1, Service: "cron", ServiceSource: "systemd", Instance: "cron.service"}
	if s.Unreadable != 1 || len(s.Processes) != 3 || s.Processes[1] != want {
		t.Errorf("got %d unreadable, %+v\nwant %+v", s.Unreadable, s.Processes, want)
	}
	if _, err := New(Options{Root: fstest.MapFS{"etc/hostname": {}}}); err == nil || !strings.Contains(err.Error(), "proc") {
		t.Errorf("New of a root without proc: %v", err)
	}
}

// TestMaxProcesses: memory is bounded, and what is left out is counted.
func TestMaxProcesses(t *testing.T) {
	p := newProvider(t, parseNode(t, eventNode).root, "")
	for i := range MaxProcesses {
		p.processes[int32(100_000+i)] = &process{row: row{PID: int32(100_000 + i)}}
	}
	got, ok := tell(p, format.Proc{Event: format.ProcFork, PID: 70, ParentPID: 99, StartNs: tick(5000), Comm: "x"})
	if !ok || got.Service != "x" || len(p.processes) != MaxProcesses {
		t.Errorf("one too many: got %+v, %v, %d remembered", got, ok, len(p.processes))
	}
	if s := p.Snapshot(1); s.Skipped != 4 || s.Live != 0 {
		t.Errorf("a full table: %d skipped, want 4 (three of /proc, one of an event); %d live", s.Skipped, s.Live)
	}
	if s := p.Snapshot(2); s.Skipped != 0 || s.Live != 3 {
		t.Errorf("after the others ended: %d skipped, %d live", s.Skipped, s.Live)
	}
}

// TestConcurrency: events, scans, configurations and targets meet; the race
// detector judges.
func TestConcurrency(t *testing.T) {
	p := newProvider(t, parseNode(t, eventNode).root, "")
	config, err := ParseConfig("c.yaml", []byte("rules: [{service: a, match: {exe: cron}}]"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, do := range []func(i int32){
		func(i int32) { p.Snapshot(int64(i)) },
		func(i int32) {
			tell(p, format.Proc{Event: format.ProcFork, PID: 1000 + i, ParentPID: 50, StartNs: tick(5000)})
		},
		func(i int32) { p.Exit(1000+i, tick(5000)) },
		func(int32) { p.SetConfig(config); p.Targets(); p.Warnings() },
	} {
		all.Go(func() {
			for i := range int32(50) {
				do(i)
			}
		})
	}
	all.Wait()
	for i := range int32(50) {
		p.Exit(1000+i, tick(5000))
	}
	if s := p.Snapshot(1); s.Live != 3 || p.processes[50].row.Service != "a" {
		t.Errorf("in the end %d live, %+v", s.Live, p.processes[50].row)
	}
}

// A rule sees the command line as it is; rows and names never do.
func TestSecretsStayOut(t *testing.T) {
	n := node{root: fstest.MapFS{"proc/self/x": {}}}
	put := func(pid int, args string) {
		n.setProcess(pid, map[string]string{"parent": "1", "start": "1000", "comm": "node", "uid": "0", "net": "1", "cgroup": "0::/", "flags": "0", "pages": "0", "exe": "/usr/bin/node"}, args)
	}
	put(70, "node\x00--token\x00hunter2\x00/srv/cart.js")
	put(71, "node\x00/srv/shop.js\x00--password=hunter2\x00"+strings.Repeat("x", maxCmdline))
	p := newProvider(t, n.root, "rules: [{service: vip, match: {cmdline: 'password=hunter2'}}]")
	rows := p.Snapshot(1).Processes
	if len(rows) != 2 || rows[0].Cmdline != "node --token *** /srv/cart.js" || rows[0].Service != "cart.js" || rows[1].Service != "vip" ||
		!strings.HasPrefix(rows[1].Cmdline, "node /srv/shop.js --password=*** xxx") || !strings.HasSuffix(rows[1].Cmdline, "xxx…") {
		t.Errorf("snapshot %+v", rows)
	}
	event := format.Proc{Event: format.ProcExec, PID: 900, ParentPID: 1, StartNs: tick(5000), Comm: "node", Exe: "/usr/bin/node", Cmdline: "node /srv/a.js --password=***"}
	row, _ := p.Exec(event, []string{"node", "/srv/a.js", "--password=hunter2"})
	if row.Cmdline != event.Cmdline || row.Service != "vip" {
		t.Errorf("a process that is gone: %+v", row)
	}
}
