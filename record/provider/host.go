package provider

import (
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"kmon/format"
)

// The files that tell which host it is, relative to the root.
const (
	machineID    = "etc/machine-id"
	hostNameFile = "etc/hostname"
)

// osReleases are the places of os-release(5), the first that is there counts.
var osReleases = []string{"etc/os-release", "usr/lib/os-release"}

// HostPaths lists what a Provider reads of the host beside /proc and /sys, files
// and directories, sorted; Docker's data root may be elsewhere.
func HostPaths() []string {
	paths := []string{machineID, hostNameFile, storageRun, storageList, dockerConfig, path.Join(dockerRoot, "containers"), podLogs, logLinks}
	paths = append(append(paths, osReleases...), containerdTasks...)
	for i, name := range paths {
		paths[i] = "/" + name
	}
	slices.Sort(paths)
	return paths
}

// readHost reads the facts of the host, each "" or 0 when not known.
func readHost(f *files) format.Host {
	return format.Host{
		Name:        hostName(f),
		MachineID:   f.line(machineID),
		BootID:      f.line("proc/sys/kernel/random/boot_id"),
		OS:          osName(f),
		Kernel:      f.line("proc/sys/kernel/osrelease"),
		Arch:        runtime.GOARCH,
		CPUs:        countCPUs(f.line("sys/devices/system/cpu/online")),
		MemoryBytes: memoryBytes(f),
		ClockTicks:  1_000_000_000 / tickNs,
	}
}

// hostUTS is how the kernel names the first UTS namespace (PROC_UTS_INIT_INO of
// include/linux/proc_ns.h).
const hostUTS = 4026531838

// HostName is the name of the host with that root, "": not known.
func HostName(root fs.FS) string { return hostName(&files{root: root}) }

// hostName is the kernel's host name, which in a container with its own UTS
// namespace is the container's: then the host's /etc/hostname is taken.
func hostName(f *files) string {
	first, own := f.namespace("proc/1", "uts"), f.namespace("proc/self", "uts")
	if own == 0 || own == hostUTS || own == first {
		return f.line("proc/sys/kernel/hostname")
	}
	return f.line(hostNameFile)
}

// osName is PRETTY_NAME of os-release(5).
func osName(f *files) string {
	for _, file := range osReleases {
		text, err := f.read(file, maxText)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				return format.Clean(strings.Trim(strings.TrimSpace(name), `"'`))
			}
		}
	}
	return ""
}

// countCPUs counts a list as "0-3,8".
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return 0
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil || b < a {
				return 0
			}
		}
		n += b - a + 1
	}
	return n
}

// memoryBytes is MemTotal of proc_meminfo(5), which is in KiB.
func memoryBytes(f *files) int64 {
	text, err := f.read("proc/meminfo", maxText)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// number reads a file that holds one number; 0 when it cannot.
func (f *files) number(parts ...string) int32 {
	n, _ := strconv.ParseInt(f.line(path.Join(parts...)), 10, 32)
	return int32(n)
}
