package hostfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	kthreadd = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0"
	shell    = "2 (s) h) S 1 2 2 0 -1 4194560 0 0"
	other    = "[4026532201]"
	first    = "[4026531836]"
)

// A machine as a process sees it that is in a container or not, one thing a line:
//
//	link PATH TARGET
//	file PATH TEXT…
//
// PID stands for this process's number.
func machine(t *testing.T, lines ...string) finder {
	t.Helper()
	dir := t.TempDir()
	for _, line := range lines {
		fields := strings.SplitN(strings.ReplaceAll(line, "PID", strconv.Itoa(os.Getpid())), " ", 3)
		name := filepath.Join(dir, fields[1])
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if fields[0] == "link" {
			err = errors.Join(err, os.Symlink(fields[2], name))
		} else {
			err = errors.Join(err, os.WriteFile(name, []byte(fields[2]), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return finder{own: dir}
}

// proc is a proc file system in which this process sees the second process as
// stat tells it, and has namespaces.
func proc(at, stat, pidns string, more ...string) []string {
	return append([]string{
		"file " + at + "/2/stat " + stat,
		"link " + at + "/self PID",
		"link " + at + "/PID/ns/pid pid:" + pidns,
	}, more...)
}

func TestFind(t *testing.T) {
	mounts := func(first, own string) []string {
		return []string{"link proc/1/ns/mnt mnt:" + first, "link proc/PID/ns/mnt mnt:" + own}
	}
	mountinfo := func(first, own string) []string {
		return []string{"file proc/1/mountinfo " + first + " 1 8:1 / / rw", "file proc/PID/mountinfo " + own + " 1 8:1 / / rw"}
	}
	join := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, c := range []struct {
		name    string
		machine []string
		named   string
		dir     string // below the machine's
		proc    string
		files   bool
		warn    string
		err     string
	}{
		{name: "host", machine: join(proc("proc", kthreadd, first), mounts("[1]", "[1]")), dir: "/", proc: "/proc", files: true},
		{name: "host, user", machine: join(proc("proc", kthreadd, first), mountinfo("22", "22")), dir: "/", proc: "/proc", files: true},
		{name: "host that hides processes", machine: []string{"link proc/self PID", "link proc/PID/ns/pid pid:" + first}, dir: "/", proc: "/proc", files: true},
		{name: "service with mounts of its own", machine: join(proc("proc", kthreadd, first), mounts("[1]", "[2]"), proc("proc/1/root/proc", kthreadd, first)),
			dir: "/proc/1/root", proc: "/proc/1/root/proc", files: true},
		{name: "hostPID, first process not to be traced", machine: join(proc("proc", kthreadd, first), mountinfo("22", "522"), proc("host/proc", kthreadd, first)),
			dir: "/host", proc: "/host/proc", files: true},
		{name: "hostPID, nothing mounted", machine: join(proc("proc", kthreadd, first), mountinfo("22", "522")), dir: "/", proc: "/proc", warn: "CAP_SYS_PTRACE"},
		{name: "own pids, host mounted", machine: join(proc("proc", shell, other), mounts("[2]", "[2]"), proc("host/proc", kthreadd, other)),
			dir: "/host", proc: "/host/proc", files: true, warn: "pid namespace of its own"},
		{name: "own pids", machine: join(proc("proc", shell, other), mounts("[2]", "[2]"), proc("proc/1/root/proc", shell, other)), dir: "/", warn: "no names"},
		{name: "own pids, another container's at /host", machine: join(proc("proc", shell, other), proc("host/proc", shell, other)), dir: "/", warn: "no names"},
		{name: "named", machine: join(proc("proc", kthreadd, first), proc("rootfs/proc", kthreadd, first)), named: "/rootfs/", dir: "/rootfs", proc: "/rootfs/proc", files: true},
		{name: "named, not a host's", machine: join(proc("proc", kthreadd, first), []string{"file rootfs/proc/2/stat " + kthreadd}), named: "/rootfs", err: "/rootfs is not the root of this host"},
		{name: "named, nothing there", machine: proc("proc", kthreadd, first), named: "/rootfs", err: "mount the host's /"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := machine(t, c.machine...)
			got, err := f.find(c.named)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantProc := ""
			if c.proc != "" {
				wantProc = f.path(c.proc)
			}
			if got.Dir != f.path(c.dir) || got.Proc != wantProc || got.Files != c.files {
				t.Errorf("got %q, %q, files %v", got.Dir, got.Proc, got.Files)
			}
			if said := strings.Join(got.Warnings(), "\n"); (said != "") != (c.warn != "") || !strings.Contains(said, c.warn) {
				t.Errorf("warns %q, want %q", said, c.warn)
			}
		})
	}
}

// What is not the host's is not shown: neither processes of another pid namespace,
// nor files of the container.
func TestHidden(t *testing.T) {
	all := append(proc("proc", shell, other),
		"file proc/1/comm sh", "file proc/meminfo MemTotal: 1 kB", "file proc/sys/kernel/osrelease 6.1", "link proc/mounts self/mounts",
		"file proc/PID/mountinfo 1 1 0:1 / / rw", "file proc/PID/cgroup 0::/", "link proc/PID/ns/uts uts:[2]", "file etc/os-release container",
		"file sys/block/vda/size 1", "file sys/class/net/eth0/mtu 1500", "file sys/fs/cgroup/cgroup.procs 1")
	root, err := machine(t, all...).find("")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"proc/meminfo": true, "proc/sys/kernel/osrelease": true, "sys/block/vda/size": true, "proc/self/cgroup": true,
		"proc/1/comm": false, "proc/2/stat": false, "proc/mounts": false, "proc/self/mountinfo": false, "proc/self/ns/pid": false, "etc/os-release": false,
		"sys/class/net/eth0/mtu": false, "sys/fs/cgroup/cgroup.procs": false, "sys/fs/cgroup": false, "proc/./1/comm": false,
	} {
		if _, err := fs.ReadFile(root.FS, name); (err == nil) != want {
			t.Errorf("%s: %v, shown is to be %v", name, err, want)
		}
		if _, err := fs.Stat(root.FS, name); (err == nil) != want {
			t.Errorf("stat %s: %v, shown is to be %v", name, err, want)
		}
	}
	if target, err := fs.ReadLink(root.FS, "proc/self/ns/uts"); target != "uts:[2]" || err != nil {
		t.Errorf("its own UTS namespace: %q, %v", target, err)
	}
	if target, err := fs.ReadLink(root.FS, "proc/self/ns/pid"); err == nil {
		t.Errorf("its own pid namespace: %q", target)
	}
	entries, err := fs.ReadDir(root.FS, "proc")
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "meminfo self sys" || err != nil {
		t.Errorf("proc holds %q, %v", got, err)
	}
}

// Links that lead out of the host's root lead to the same place within it.
func TestLinksStayBelow(t *testing.T) {
	f := machine(t, append(proc("proc", shell, other), append(proc("host/proc", kthreadd, other),
		"file data/docker/config mine", "file host/data/docker/config the-host's", "link host/var/lib/docker /data/docker",
		"link host/var/up ../../../data/docker", "file host/proc/7/comm x", "link host/proc/7/root /",
		"link host/sys/fs/cgroup/loop loop")...)...)
	root, err := f.find("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"var/lib/docker/config", "var/up/config", "proc/7/root/data/docker/config"} {
		if text, err := fs.ReadFile(root.FS, name); string(text) != "the-host's" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, name := range []string{"../data/docker/config", "/data/docker/config", "var/lib/docker/none", "sys/fs/cgroup/loop"} {
		if _, err := fs.ReadFile(root.FS, name); err == nil {
			t.Errorf("%s can be read", name)
		}
	}
	if target, err := fs.ReadLink(root.FS, "var/lib/docker"); target != "/data/docker" || err != nil {
		t.Errorf("link: %q, %v", target, err)
	}
	// Entries of a directory know their files, as cgroups their inodes.
	found := 0
	err = fs.WalkDir(root.FS, "data", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Sys() != nil {
			found++
		}
		return err
	})
	if found != 3 || err != nil {
		t.Errorf("%d entries, %v", found, err)
	}
}

func TestFS(t *testing.T) {
	root, err := machine(t, append(proc("proc", shell, other), "file proc/meminfo x", "file sys/block/vda/size 1")...).find("")
	if err != nil {
		t.Fatal(err)
	}
	sys, err := fs.Sub(root.FS, "sys")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(sys, "block/vda/size"); err != nil {
		t.Error(err)
	}
}

// On this machine, whatever it is, nothing is taken for the host's that is not.
func TestFindHere(t *testing.T) {
	root, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(root.FS, "proc"); err != nil {
		t.Error(err)
	}
	if pids, err := os.Readlink("/proc/self/ns/pid"); err == nil && pids == hostPIDs && root.Proc == "" {
		t.Errorf("the host's processes are not found: %+v", root)
	}
}
