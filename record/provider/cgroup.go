package provider

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"kmon/format"
)

// hierarchy is the cgroup hierarchy whose inodes are cgroup ids: v2, or the v1
// hierarchy of the memory controller where there is one. On such a hybrid host
// the processes are all in the root of the v2 hierarchy, and container
// runtimes make a memory cgroup for each container, cgroups(7).
type hierarchy struct {
	name  string // hierarchyV2, or the controller of v1
	mount string // its mount point, relative to the root
	top   string // the cgroup mounted there; "/" unless a part of the hierarchy is
	// own is where the reader's cgroup namespace begins, from which the paths of
	// /proc are told; "/": at the top, "": not known.
	own string
}

// The words of Host.CgroupHierarchy.
const (
	hierarchyV1 = "memory"
	hierarchyV2 = "v2"
)

// findHierarchy finds that of a controller of v1, else v2. It reads the mounts of
// the first process, else the reader's own; else it looks at the usual places.
func findHierarchy(f *files, controller string, ownPID int) hierarchy {
	for _, pid := range []string{"1", "self"} {
		text, err := f.read("proc/"+pid+"/mountinfo", 1<<20)
		if err != nil {
			continue
		}
		seen := func(dir string) bool { return exists(f.root, dir) }
		if h, ok := hierarchyOf(string(text), controller, seen); ok {
			return h.placed(f, ownPID)
		}
		// A hierarchy that is out of sight still gives the paths.
		if h, ok := hierarchyOf(string(text), controller, func(string) bool { return true }); ok {
			return h.placed(f, ownPID)
		}
	}
	if dir := "sys/fs/cgroup/" + controller; exists(f.root, dir+"/cgroup.procs") {
		return hierarchy{name: controller, mount: dir, top: "/", own: "/"}
	}
	return hierarchy{name: hierarchyV2, mount: "sys/fs/cgroup", top: "/", own: "/"}
}

// hierarchyOf chooses from the text of a mountinfo file, proc_pid_mountinfo(5),
// among those whose mount point can be seen.
func hierarchyOf(mountinfo, controller string, seen func(dir string) bool) (hierarchy, bool) {
	best := hierarchy{}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		h := hierarchy{top: fields[3], mount: strings.TrimPrefix(fields[4], "/")}
		switch {
		case kind[0] == "cgroup2":
			h.name = hierarchyV2
		case kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller):
			h.name = controller
		default:
			continue
		}
		if best.name != controller && (best.name == "" || h.name == controller) && fs.ValidPath(h.mount) && seen(h.mount) {
			best = h
		}
	}
	return best, best.name != ""
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}

// dir returns the directory of a cgroup path, relative to the root.
func (h hierarchy) dir(cgroup string) string {
	if h.top != "/" && !above(h.top) {
		if rest, ok := strings.CutPrefix(cgroup, h.top); ok && (rest == "" || rest[0] == '/') {
			cgroup = rest
		}
	}
	return path.Join(h.mount, path.Clean("/"+cgroup))
}

// id returns the cgroup id the kernel filter compares: the inode of the
// cgroup's directory. 0 when the directory is not there.
func (h hierarchy) id(root fs.FS, cgroup string) int64 {
	info, err := fs.Stat(root, h.dir(cgroup))
	if err != nil || !info.IsDir() {
		return 0
	}
	return inode(info)
}

// parseCgroup reads the text of /proc/PID/cgroup, lines of
// "id:controllers:path". It returns the path in h first and then the paths of
// the other hierarchies, without repeating any.
func (h hierarchy) parseCgroup(text string) []string {
	paths := []string{""}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		p := strings.Clone(format.Clean(parts[2])) // a part would keep the whole text in memory
		if h.name == hierarchyV2 && parts[0] == "0" || h.name != hierarchyV2 && slices.Contains(strings.Split(parts[1], ","), h.name) {
			if paths[0] = h.absolute(p); paths[0] == "" && above(p) {
				paths = append(paths, p) // its last parts still name container and unit
			}
		} else if p != "/" && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// containerRef is a container as a cgroup path names it.
type containerRef struct {
	id      string
	runtime string // "" when the path does not tell
	podUID  string
}

// scopes are the prefixes runtimes give the names of their systemd scopes.
var scopes = []struct{ prefix, runtime string }{
	{"docker-", "docker"},
	{"cri-containerd-", "containerd"},
	{"nerdctl-", "containerd"},
	{"crio-", "cri-o"},
	{"libpod-", "podman"},
}

// containerRefs finds the containers a cgroup path lies in, the innermost
// first: a node that is itself a container (kind, docker-in-docker) has
// several, and only the outer one may be known here.
func containerRefs(cgroup string) []containerRef {
	var refs []containerRef
	pod, parent := "", ""
	for part := range strings.SplitSeq(cgroup, "/") {
		if uid := podUID(part); uid != "" {
			pod = uid
		} else if ref, ok := scopeRef(part); ok {
			if ref.runtime == "" && parent == "docker" {
				ref.runtime = "docker"
			}
			if ref.podUID == "" {
				ref.podUID = pod
			}
			pod = ""
			refs = append(refs, ref)
		}
		parent = part
	}
	slices.Reverse(refs)
	return refs
}

// scopeRef reads one component of a cgroup path: "docker-<id>.scope" with the
// systemd driver, "<id>" with cgroupfs, "<slice>:cri-containerd:<id>" when
// containerd is given one for the other.
func scopeRef(part string) (containerRef, bool) {
	name := strings.TrimSuffix(part, ".scope")
	if slice, rest, ok := strings.Cut(name, ":cri-containerd:"); ok {
		return containerRef{rest, "containerd", podUID(slice)}, isContainerID(rest)
	}
	for _, s := range scopes {
		if id, ok := strings.CutPrefix(name, s.prefix); ok && isContainerID(id) {
			return containerRef{id: id, runtime: s.runtime}, true
		}
	}
	return containerRef{id: name}, isContainerID(name)
}

// isContainerID: all the runtimes named here use 64 hexadecimal digits.
func isContainerID(s string) bool {
	return len(s) == 64 && isHex(s)
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// podUID reads a pod's uid from a component of a cgroup path:
// "kubepods-burstable-pod<uid>.slice" with "_" for "-", or "pod<uid>". A
// static pod's uid has 32 digits and no dashes.
func podUID(part string) string {
	name := strings.TrimSuffix(part, ".slice")
	i := strings.LastIndex(name, "pod")
	if i < 0 || i > 0 && name[i-1] != '-' {
		return ""
	}
	uid := strings.ReplaceAll(name[i+len("pod"):], "_", "-")
	if bare := strings.ReplaceAll(uid, "-", ""); len(bare) != 32 || !isHex(bare) {
		return ""
	}
	return uid
}

// unit finds the systemd service unit a cgroup path lies in; "" when there is
// none. Sessions, scopes and a user's manager itself are not services.
func unit(cgroup string) string {
	parts := strings.Split(cgroup, "/")
	for _, part := range slices.Backward(parts) {
		name, ok := strings.CutSuffix(part, ".service")
		if ok && name != "" && !strings.HasPrefix(name, "user@") {
			return part
		}
	}
	return ""
}

// unitService is the service a unit stands for: "nginx" for "nginx.service",
// "postgresql" for the instance "postgresql@15-main.service".
func unitService(unit string) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(unit, ".service"), "@")
	return strings.ReplaceAll(name, `\x2d`, "-")
}
