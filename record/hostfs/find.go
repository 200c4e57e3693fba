package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

const (
	// hostPIDs and hostCgroups are how the kernel names the first namespace of
	// these kinds (PROC_PID_INIT_INO, PROC_CGROUP_INIT_INO of
	// include/linux/proc_ns.h).
	hostPIDs    = "pid:[4026531836]"
	hostCgroups = "cgroup:[4026531835]"
	// firstRoot is the root of the machine's first process, as those may see it
	// who may trace that process (ptrace(2), PTRACE_MODE_READ).
	firstRoot = "/proc/1/root"
	// usualRoot is where containers have the host's root mounted, as
	// kubectl debug node does.
	usualRoot = "/host"
	// kernelThread is PF_KTHREAD of include/linux/sched.h.
	kernelThread = 0x00200000
)

// Root is the root directory of the host, as far as it is within reach.
type Root struct {
	// Dir is where it is.
	Dir string
	// Proc is a proc file system that shows the host's processes; "": none is
	// within reach, so that processes have no names but those of events.
	Proc string
	// Files says that the files below Dir are the host's.
	Files bool
	// OwnPIDs says that this process is not in the machine's first pid namespace.
	// The kernel then lists nobody else's threads and files to it.
	OwnPIDs bool
	// FS shows what is the host's. It can read links.
	FS fs.FS
}

// Find returns the host's root: the one at dir, or what can be found if dir is
// "". The error is for a dir that is not the root of a host.
func Find(dir string) (Root, error) { return finder{own: "/"}.find(dir) }

// OwnPIDs says whether this process is outside of the machine's first pid
// namespace, as far as the kernel tells.
func OwnPIDs() bool { return finder{own: "/"}.hasOwnPIDs() }

// finder looks for the host's root.
type finder struct {
	own string // the root directory of this process
}

func (f finder) find(dir string) (Root, error) {
	ownPIDs := f.hasOwnPIDs()
	if dir != "" {
		return f.named(dir, ownPIDs)
	}
	r := Root{Dir: f.own, OwnPIDs: ownPIDs}
	if f.showsHost("proc", ownPIDs) {
		r.Proc = f.path("proc")
		r.Files = f.sharesMounts()
	}
	if !r.Files {
		for _, other := range []string{firstRoot, usualRoot} {
			if at := f.path(other); f.isRoot(other, ownPIDs) {
				r = Root{Dir: at, Proc: path.Join(at, "proc"), Files: true, OwnPIDs: ownPIDs}
				break
			}
		}
	}
	return f.opened(r)
}

// named checks the directory that a user gave.
func (f finder) named(dir string, ownPIDs bool) (Root, error) {
	name := strings.TrimPrefix(path.Clean(dir), "/")
	if name == "" {
		name = "."
	}
	if !f.showsHost(path.Join(name, "proc"), ownPIDs) {
		return Root{}, fmt.Errorf("%s is not the root of this host: its proc does not show the host's processes; mount the host's / there with all that is mounted below it (docker -v /:%s:ro,rslave, Kubernetes hostPath /)", dir, dir)
	}
	return f.opened(Root{Dir: f.path(name), Proc: path.Join(f.path(name), "proc"), Files: true, OwnPIDs: ownPIDs})
}

func (f finder) path(name string) string { return path.Join(f.own, name) }

func (f finder) link(name string) string {
	target, err := os.Readlink(f.path(name))
	if err != nil {
		return ""
	}
	return target
}

func (f finder) hasOwnPIDs() bool {
	link := f.link("proc/self/ns/pid")
	return link != "" && link != hostPIDs
}

// showsHost says whether a proc file system is that of the first pid namespace.
// A process of that namespace finds itself there and in no other's; for others
// there must be kthreadd, which always is process 2.
func (f finder) showsHost(proc string, ownPIDs bool) bool {
	if !ownPIDs {
		return f.link(path.Join(proc, "self")) == strconv.Itoa(os.Getpid())
	}
	text, err := os.ReadFile(f.path(path.Join(proc, "2/stat")))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const flags = 9 - 3 // its place after the command, proc_pid_stat(5)
	if len(fields) <= flags {
		return false
	}
	bits, err := strconv.ParseUint(fields[flags], 10, 64)
	return err == nil && bits&kernelThread != 0
}

// sharesMounts says whether this process sees the files that the machine's
// first process sees. Who may not see that one's namespace compares mounts: each
// has a number that no other mount has, and who may see none believes it.
func (f finder) sharesMounts() bool {
	first, own := f.link("proc/1/ns/mnt"), f.link("proc/self/ns/mnt")
	if first != "" && own != "" {
		return first == own
	}
	mounts := func(pid string) string {
		text, err := os.ReadFile(f.path("proc/" + pid + "/mountinfo"))
		if err != nil {
			return ""
		}
		number, _, _ := strings.Cut(string(text), " ")
		return number
	}
	one, other := mounts("1"), mounts("self")
	return one == "" || other == "" || one == other
}

// isRoot says whether a directory is the host's root, with the host's proc.
func (f finder) isRoot(name string, ownPIDs bool) bool {
	if name == firstRoot && ownPIDs {
		return false // the first process of another machine, in effect
	}
	return f.showsHost(path.Join(name, "proc"), ownPIDs)
}

// opened gives a Root its FS.
func (f finder) opened(r Root) (Root, error) {
	if r.Files && r.Dir == "/" {
		r.FS = os.DirFS(r.Dir)
		return r, nil
	}
	below, err := openBelow(r.Dir)
	if err != nil {
		return Root{}, fmt.Errorf("the host's root: %w", err)
	}
	r.FS = shown{below, r.Proc != "", r.Files, f.link("proc/self/ns/cgroup") == hostCgroups}
	return r, nil
}

// Here says whether the host's files are found under the paths that they have
// on the host.
func (r Root) Here() bool { return r.Dir == "/" && r.Files }

// Warnings are what of a recording will lack names, in sentences; nil: nothing,
// as far as its root goes.
func (r Root) Warnings() []string {
	var all []string
	if r.OwnPIDs {
		all = append(all, "kmon runs in a pid namespace of its own: threads and connections older than the recording are not listed there; "+
			"run it in the host's (docker --pid=host, Kubernetes hostPID: true)")
	}
	switch {
	case r.Proc == "":
		all = append(all, "the host's /proc is not within reach, so processes older than the recording have no names, nor do services; "+
			"run in the host's pid namespace, or mount the host's / and name it with --host-root")
	case !r.Files:
		all = append(all, "the host's files are not within reach, so the host, its pods and containers have no names; "+
			"give kmon CAP_SYS_PTRACE, or mount the host's / and name it with --host-root")
	}
	return all
}

// errHidden is that of what is not the host's.
var errHidden = errors.New("not the host's")
