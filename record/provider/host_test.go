package provider

import (
	"errors"
	"io/fs"
	"testing"

	"kmon/format"
)

const hostNode = `
file proc/sys/kernel/hostname
	pod-7
file proc/sys/kernel/osrelease
	6.1.0-52-cloud
file proc/sys/kernel/random/boot_id
	5e0c7d4e-0000
file proc/meminfo
	MemTotal:       2048 kB
	MemFree:           1 kB
file sys/devices/system/cpu/online
	0-3
file etc/hostname
	node7
file etc/machine-id
	0123abcd
file usr/lib/os-release
	NAME="Debian"
	PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
link proc/self/ns/uts uts:[2]
link proc/1/ns/uts uts:[2]
dir sys/fs/cgroup 1
proc 1 comm=systemd exe=/sbin/init args: /sbin/init
proc 2 parent=0 comm=kthreadd flags=2129984 args:
`

func TestHost(t *testing.T) {
	n := parseNode(t, hostNode)
	p := newProvider(t, n.root, "")
	got := p.Host()
	want := format.Host{Name: "pod-7", MachineID: "0123abcd", BootID: "5e0c7d4e-0000", OS: "Debian GNU/Linux 12 (bookworm)",
		Kernel: "6.1.0-52-cloud", Arch: got.Arch, CPUs: 4, MemoryBytes: 2 << 20, CgroupHierarchy: "v2", ClockTicks: 100}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// In another UTS namespace than the first process, the kernel tells the
	// container's name.
	n.root["proc/1/ns/uts"] = symlink("uts:[1]")
	if got := newProvider(t, n.root, "").Host().Name; got != "node7" {
		t.Errorf("in a container: name %q, want node7", got)
	}
	// Who may not see the first process's knows the first namespace's number.
	for uts, want := range map[string]string{"uts:[2]": "node7", "uts:[4026531838]": "pod-7"} {
		delete(n.root, "proc/1/ns/uts")
		n.root["proc/self/ns/uts"] = symlink(uts)
		if got := HostName(n.root); got != want {
			t.Errorf("in %s, the first process's unknown: name %q, want %s", uts, got, want)
		}
	}
	// Nothing is known of a host whose files are missing, and nothing invented.
	if got := newProvider(t, parseNode(t, "proc 1 comm=x args: x").root, "").Host(); got.Name != "" || got.CPUs != 0 || got.MemoryBytes != 0 || got.OS != "" {
		t.Errorf("without files: %+v", got)
	}
}

// TestProcUnavailable: what is known stays when /proc cannot be read for want
// of files or memory.
func TestProcUnavailable(t *testing.T) {
	n := parseNode(t, hostNode)
	errs := map[string]error{}
	p := newProvider(t, faulty{MapFS: n.root, errs: errs}, "")
	if s := p.Snapshot(1); s.Live != 2 {
		t.Fatalf("first: %+v", s)
	}
	none := errors.New("too many open files")
	errs["proc/1/stat"] = none
	if s := p.Snapshot(2); s.Live != 2 || len(s.Processes) != 0 {
		t.Errorf("without a process's stat: %+v", s)
	}
	errs["proc"] = none
	if s := p.Snapshot(3); s.Live != 2 || len(s.Processes) != 0 {
		t.Errorf("without the list: %+v", s)
	}
	delete(errs, "proc")
	errs["proc/1/stat"] = fs.ErrNotExist
	if s := p.Snapshot(4); s.Live != 1 {
		t.Errorf("after its end: %+v", s)
	}
}
