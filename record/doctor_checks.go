package record

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kmon/record/probe"
)

// CheckState is how it stands with one thing that recording needs or that
// people ask about.
type CheckState string

// The states of checks.
const (
	CheckOK      CheckState = "ok"
	CheckNote    CheckState = "note"    // something is left out that a recording by default does not need
	CheckMissing CheckState = "missing" // something that it needs
	CheckUnknown CheckState = "unknown" // it could not be looked at
)

// Check is one thing that was looked at.
type Check struct {
	Name  string     `json:"name"`
	State CheckState `json:"state"`
	Found string     `json:"found"` // what it is, and what that means
	Mends []string   `json:"mends"` // what to change
}

// checks looks at everything but the hooks.
func (s subject) checks() []Check {
	var all []Check
	for _, of := range []struct {
		name string
		look func(subject) Check
	}{
		{"kernel", subject.checkKernel},
		{"kernel types (BTF)", subject.checkTypes},
		{"privileges", subject.checkPrivileges},
		{"lockdown", subject.checkLockdown},
		{"unprivileged_bpf_disabled", subject.checkUnprivileged},
		{"perf_event_paranoid", subject.checkSampling},
		{"kernel symbols", subject.checkSymbols},
		{"tracefs", subject.checkTracefs},
		{"kprobes", subject.checkKprobes},
		{"cgroups", subject.checkCgroups},
		{"pid namespace", subject.checkPIDNamespace},
		{"host root", subject.checkHostRoot},
		{"memlock", subject.checkMemlock},
		{"room", subject.checkRoom},
		{"iostats", subject.checkIOStats},
	} {
		check := of.look(s)
		check.Name = of.name
		check.Mends = append([]string{}, check.Mends...) // never nil
		all = append(all, check)
	}
	return all
}

// read gives the text of a file, trimmed; "": it cannot be read.
func (s subject) read(name string) string {
	text, err := fs.ReadFile(s.root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (s subject) has(name string) bool {
	_, err := fs.Stat(s.root, name)
	return err == nil
}

func (s subject) checkKernel() Check {
	if errors.Is(s.refusal(), probe.ErrTooOld) {
		return Check{State: CheckMissing, Found: s.host.Kernel + ", too old", Mends: []string{"boot Linux 5.11 or later"}}
	}
	return Check{State: CheckOK, Found: s.host.Kernel}
}

func (s subject) checkTypes() Check {
	const usual = "sys/kernel/btf/vmlinux"
	switch {
	case s.has(usual):
		return Check{State: CheckOK, Found: "/" + usual}
	case s.factsErr == nil:
		return Check{State: CheckOK, Found: "not at /" + usual + ", but in a file of the kernel's image"}
	}
	return Check{State: CheckMissing, Found: "no /" + usual, Mends: []string{"boot a kernel with CONFIG_DEBUG_INFO_BTF=y"}}
}

// checkLockdown reads "none [integrity] confidentiality".
func (s subject) checkLockdown() Check {
	_, after, found := strings.Cut(s.read("sys/kernel/security/lockdown"), "[")
	mode, _, _ := strings.Cut(after, "]")
	switch {
	case mode == "confidentiality":
		return Check{State: CheckMissing, Found: mode + ": programs may not read the kernel's memory", Mends: []string{"boot with lockdown=integrity, or with a kernel that is not locked down"}}
	case found:
		return Check{State: CheckOK, Found: mode}
	case s.allowed():
		return Check{State: CheckOK, Found: "the kernel does not tell, but lets programs read its memory"}
	}
	return Check{State: CheckUnknown, Found: "the kernel does not tell (no /sys/kernel/security/lockdown)"}
}

func (s subject) checkUnprivileged() Check {
	value := s.read("proc/sys/kernel/unprivileged_bpf_disabled")
	if value == "" {
		return Check{State: CheckUnknown, Found: "cannot be read; of no matter: programs that trace the kernel always need privileges"}
	}
	return Check{State: CheckOK, Found: value + "; of no matter: programs that trace the kernel always need privileges"}
}

func (s subject) checkSampling() Check {
	value := s.read("proc/sys/kernel/perf_event_paranoid")
	switch {
	case value == "":
		return Check{State: CheckMissing, Found: "there is none: the kernel cannot sample CPUs", Mends: []string{"boot a kernel with CONFIG_PERF_EVENTS=y"}}
	case s.facts.Sampling == probe.Available:
		return Check{State: CheckOK, Found: value + "; CPUs can be sampled"}
	case slices.Contains(s.facts.Denied, "sampling"):
		return Check{State: CheckUnknown, Found: value + "; of no matter with CAP_PERFMON"}
	case s.factsErr != nil:
		return Check{State: CheckUnknown, Found: value}
	}
	return Check{State: CheckMissing, Found: value + "; CPUs cannot be sampled: " + s.facts.Reasons["sampling"], Mends: []string{"sysctl kernel.perf_event_paranoid=2, or let the container's seccomp profile allow perf_event_open"}}
}

// checkSymbols looks whether addresses of the kernel's functions are shown.
func (s subject) checkSymbols() Check {
	value := "kptr_restrict " + s.read("proc/sys/kernel/kptr_restrict")
	shown, err := showsAddresses(s.root)
	switch {
	case err != nil:
		return Check{State: CheckMissing, Found: "no /proc/kallsyms: stacks have no names of the kernel's functions", Mends: []string{"boot a kernel with CONFIG_KALLSYMS=y"}}
	case shown:
		return Check{State: CheckOK, Found: value + "; the kernel's functions can be named"}
	case !s.allowed():
		return Check{State: CheckUnknown, Found: value + "; addresses are hidden from this process"}
	case value == "kptr_restrict 2":
		return Check{State: CheckMissing, Found: value + ": stacks have no names of the kernel's functions", Mends: []string{"sysctl kernel.kptr_restrict=1"}}
	}
	return Check{State: CheckMissing, Found: value + ": stacks have no names of the kernel's functions", Mends: []string{symbolsCapability.mend()}}
}

// showsAddresses says whether the first lines of kallsyms have an address, and not
// zeros in place of each.
func showsAddresses(root fs.FS) (bool, error) {
	file, err := root.Open("proc/kallsyms")
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 4096)
	n, err := file.Read(head)
	if n == 0 {
		return false, err
	}
	for text := range strings.Lines(string(head[:n])) {
		address, _, _ := strings.Cut(text, " ")
		if strings.Trim(address, "0\n") != "" {
			return true, nil
		}
	}
	return false, nil
}

// mounted says where file systems of a type are mounted, proc_pid_mountinfo(5).
func (s subject) mounted(kind string) []string {
	var dirs []string
	for line := range strings.Lines(s.read("proc/self/mountinfo")) {
		left, right, _ := strings.Cut(line, " - ")
		fields := strings.Fields(left)
		if what := strings.Fields(right); len(what) > 0 && what[0] == kind && len(fields) > 4 {
			dirs = append(dirs, fields[4])
		}
	}
	return dirs
}

// mountedOnHost says whether a file system of a type is mounted where names are
// looked up.
func (s subject) mountedOnHost(kind string) bool {
	for _, pid := range []string{"1", "self"} {
		text, err := fs.ReadFile(s.hostRoot.FS, "proc/"+pid+"/mountinfo")
		if err == nil && len(text) > 0 {
			return strings.Contains(string(text), " - "+kind+" ")
		}
	}
	return false
}

func (s subject) checkTracefs() Check {
	const use = "names given to --count"
	dirs := s.mounted("tracefs")
	if len(dirs) == 0 {
		return Check{State: CheckNote, Found: "not mounted: " + use + " cannot be checked, and kprobes may not work", Mends: []string{"mount -t tracefs nodev /sys/kernel/tracing"}}
	}
	if !s.has(path.Join(dirs[0], "events")[1:]) {
		return Check{State: CheckUnknown, Found: dirs[0] + ", which this process may not read"}
	}
	return Check{State: CheckOK, Found: dirs[0]}
}

func (s subject) checkKprobes() Check {
	if s.has("sys/bus/event_source/devices/kprobe") {
		return Check{State: CheckOK, Found: "the kernel has them"}
	}
	return Check{State: CheckNote, Found: "the kernel has none: --count takes system calls and tracepoints, but no functions", Mends: []string{"boot a kernel with CONFIG_KPROBE_EVENTS=y, to count its functions"}}
}

func (s subject) checkCgroups() Check {
	switch {
	case s.host.CgroupHierarchy == "v2" && s.mountedOnHost("cgroup2"):
		return Check{State: CheckOK, Found: "v2"}
	case s.host.CgroupHierarchy != "v2" && s.host.CgroupHierarchy != "" && s.mountedOnHost("cgroup"):
		return Check{State: CheckOK, Found: "v1, by hierarchy " + s.host.CgroupHierarchy}
	}
	return Check{State: CheckNote, Found: "no hierarchy is mounted here: cgroups cannot be selected, nor containers told apart", Mends: []string{"mount -t cgroup2 none /sys/fs/cgroup, or the host's /sys/fs/cgroup into the container"}}
}

func (s subject) checkPIDNamespace() Check {
	if s.hostRoot.OwnPIDs {
		return Check{State: CheckMissing, Found: "not the host's: nothing is known of threads and connections that are older than the recording", Mends: []string{"run in the host's pid namespace (docker --pid=host, Kubernetes hostPID: true)"}}
	}
	return Check{State: CheckOK, Found: "the host's"}
}

// checkHostRoot tells where names come from.
func (s subject) checkHostRoot() Check {
	const mend = "mount the host's / and name it with --host-root (docker -v /:/host:ro,rslave)"
	switch {
	case s.hostRoot.Proc == "":
		return Check{State: CheckMissing, Found: "the host's /proc is not within reach: processes have no names but those that they begin with, services none", Mends: []string{"run in the host's pid namespace (docker --pid=host, Kubernetes hostPID: true), or " + mend}}
	case !s.hostRoot.Files:
		return Check{State: CheckMissing, Found: "the host's files are not within reach: the host, its pods and containers have no names", Mends: []string{"give kmon CAP_SYS_PTRACE, or " + mend}}
	}
	return Check{State: CheckOK, Found: s.hostRoot.Dir}
}

// checkMemlock reads a line of proc_pid_limits(5): name, soft, hard, unit.
func (s subject) checkMemlock() Check {
	for line := range strings.Lines(s.read("proc/self/limits")) {
		rest, ok := strings.CutPrefix(line, "Max locked memory")
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			return Check{State: CheckOK, Found: fields[0] + " bytes; of no matter since Linux 5.11"}
		}
	}
	return Check{State: CheckUnknown, Found: "cannot be read; of no matter since Linux 5.11"}
}

// captureRoom is what the directory has in which a capture would be written.
type captureRoom struct {
	freeBytes int64
	err       error // nothing can be written there
}

func roomIn(dir string) captureRoom {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return captureRoom{err: err}
	}
	return captureRoom{freeBytes: int64(st.Bavail) * st.Bsize, err: unix.Access(dir, unix.W_OK)}
}

// littleRoom holds a minute of 100,000 requests a second, and some.
const littleRoom = 100 << 20

func (s subject) checkRoom() Check {
	free := strconv.FormatInt(s.room.freeBytes>>20, 10) + " MiB free in the working directory"
	switch {
	case s.room.err != nil:
		return Check{State: CheckMissing, Found: fmt.Sprintf("nothing can be written in the working directory: %v", s.room.err), Mends: []string{"record into a directory that can be written, with -o"}}
	case s.room.freeBytes < littleRoom:
		return Check{State: CheckNote, Found: free + "; a busy node fills 72 MiB a minute", Mends: []string{"make room, or record into another directory, with -o"}}
	}
	return Check{State: CheckOK, Found: free}
}

func (s subject) checkIOStats() Check {
	var off []string
	disks, err := fs.Glob(s.root, "sys/block/*/queue/iostats")
	if err != nil {
		return Check{State: CheckUnknown, Found: err.Error()}
	}
	for _, file := range disks {
		if s.read(file) == "0" {
			off = append(off, path.Base(path.Dir(path.Dir(file))))
		}
	}
	if len(off) == 0 {
		return Check{State: CheckOK, Found: "on"}
	}
	return Check{State: CheckOK, Found: "off for " + strings.Join(off, ", ") + "; of no matter: collector block does not need them"}
}
