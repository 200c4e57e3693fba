package provider

import (
	"encoding/json"
	"path"
	"strings"

	"kmon/format"
)

// Where the runtimes and the kubelet keep their state, relative to the root.
var (
	// containerd's task directories: one per namespace and container, the OCI
	// configuration inside carries the CRI annotations. k3s (and RKE2) and
	// MicroK8s have them elsewhere.
	containerdTasks = []string{
		"run/containerd/io.containerd.runtime.v2.task/k8s.io",
		"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
		"var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io",
		"run/containerd/io.containerd.runtime.v2.task/default", // nerdctl
	}
	// containers/storage of CRI-O and podman: the OCI configuration is in
	// userdata, podman's names are in the list.
	storageRun  = "run/containers/storage/overlay-containers"
	storageList = "var/lib/containers/storage/overlay-containers/containers.json"
	// dockerd keeps a directory for each container below its data root, which
	// its configuration may move.
	dockerConfig = "etc/docker/daemon.json"
	dockerRoot   = "var/lib/docker"
	// podLogs holds <namespace>_<pod>_<uid>/<container>/, logLinks
	// <pod>_<namespace>_<container>-<id>.log; the kubelet makes both.
	podLogs  = "var/log/pods"
	logLinks = "var/log/containers"
)

const (
	// maxContainers bounds the containers remembered.
	maxContainers = 4096
	// retryScans: a container that no file names is looked for again in the
	// scans after the first, this many times. Runtimes write their state
	// before the first process starts, log links come a moment later.
	retryScans = 3
	// maxName bounds a name or an image from a state file, in bytes; real ones
	// have at most 255.
	maxName = 1024
	// idleScans: a container without processes is forgotten after so many
	// scans.
	idleScans = 8
)

// container is what is known of one container.
type container struct {
	row     format.Container // Service is set by the naming
	compose string           // the orchestrator's own service name, of Docker's labels
	sandbox bool             // a pod's pause container
	used    bool             // a process was placed in it
	known   bool             // a file named it
	tries   int
	idle    int // scans since a process was in it
	sent    bool
}

// pod is what the kubelet's log directories tell of a pod.
type pod struct {
	namespace, name string
	containers      []string
}

// containers finds and remembers containers by their id.
type containers struct {
	files     *files
	dockerDir string
	byID      map[string]*container
	pods      map[string]pod // by uid, of the log directories
	// names maps pod uid → names of its containers that had processes since
	// the last scan began, without the sandbox. An init container is gone when
	// the others start, so it makes no difference for long.
	names map[string]map[string]bool
}

func newContainers(f *files) *containers {
	c := &containers{files: f, byID: map[string]*container{}, names: map[string]map[string]bool{}}
	var daemon struct {
		DataRoot string `json:"data-root"`
	}
	root := dockerRoot
	if c.json(dockerConfig, &daemon) && path.IsAbs(daemon.DataRoot) {
		root = strings.TrimPrefix(path.Clean(daemon.DataRoot), "/")
	}
	c.dockerDir = path.Join(root, "containers")
	return c
}

// label makes text of a state file fit for a row.
func label(s string) string { return format.Clean(s[:min(len(s), maxName)]) }

// find returns the container a process is in, by the cgroup path's references:
// the innermost one that a file names, else the innermost one; nil without
// references.
func (c *containers) find(refs []containerRef) *container {
	var first *container
	for _, ref := range refs {
		found := c.byID[ref.id]
		if found == nil {
			if len(c.byID) >= maxContainers {
				continue
			}
			found = c.load(ref)
			c.byID[ref.id] = found
		}
		c.touch(found)
		if found.known {
			return found
		}
		if first == nil {
			first = found
		}
	}
	return first
}

// touch is called when a container is seen to have a process.
func (c *containers) touch(k *container) {
	k.idle = 0
	uid := k.row.PodUID
	if uid == "" || k.sandbox || k.row.Name == "" {
		return
	}
	if c.names[uid] == nil {
		c.names[uid] = map[string]bool{}
	}
	c.names[uid][k.row.Name] = true
}

// scan is called at the beginning of each snapshot: it forgets containers
// without processes and looks again for those no file has named yet.
func (c *containers) scan() {
	c.pods = nil
	clear(c.names)
	for id, k := range c.byID {
		k.idle++
		if k.idle > idleScans {
			delete(c.byID, id)
			continue
		}
		if !k.known && k.tries < retryScans {
			tries := k.tries
			loaded := c.load(containerRef{id, k.row.Runtime, k.row.PodUID})
			loaded.idle, loaded.tries = k.idle, tries+1
			loaded.used, loaded.sent = k.used, k.sent && !loaded.known
			c.byID[id] = loaded
		}
	}
}

// load asks each runtime's files for a container.
func (c *containers) load(ref containerRef) *container {
	k := &container{row: format.Container{ContainerID: ref.id, Runtime: ref.runtime, PodUID: ref.podUID}}
	k.known = c.loadContainerd(k) || c.loadStorage(k) || c.loadDocker(k) || c.loadLogLink(k)
	if k.row.Pod == "" {
		c.loadPodLogs(k)
	}
	if k.row.Source == "" {
		k.row.Source = "cgroup"
	}
	return k
}

// loadPodLogs finds the container's pod by the uid in its cgroup path.
func (c *containers) loadPodLogs(k *container) {
	if p, ok := c.pod(k.row.PodUID); ok {
		k.row.Pod, k.row.PodNamespace = p.name, p.namespace
		if k.row.Name == "" && len(p.containers) == 1 {
			k.row.Name = p.containers[0]
		}
		if k.row.Source == "" {
			k.row.Source = "/" + podLogs
		}
		k.known = true
	}
}

// ociConfig is the part of an OCI runtime configuration that names things.
type ociConfig struct {
	Annotations map[string]string `json:"annotations"`
}

func (c *containers) annotations(file string) (map[string]string, bool) {
	var config ociConfig
	ok := c.json(file, &config)
	return config.Annotations, ok
}

// json reads a JSON file; false when it is missing or not of that form.
func (c *containers) json(file string, value any) bool {
	text, err := c.files.read(file, maxState)
	return err == nil && json.Unmarshal(text, value) == nil
}

// loadContainerd reads the annotations of containerd's CRI plugin
// (io.kubernetes.cri.*) or nerdctl's.
func (c *containers) loadContainerd(k *container) bool {
	for _, dir := range containerdTasks {
		file := path.Join(dir, k.row.ContainerID, "config.json")
		a, ok := c.annotations(file)
		if !ok {
			continue
		}
		const cri = "io.kubernetes.cri."
		k.row.Runtime, k.row.Source = "containerd", "/"+file
		k.row.Name = label(a[cri+"container-name"])
		if k.row.Name == "" {
			k.row.Name = label(a["nerdctl/name"])
		}
		k.row.Image = label(a[cri+"image-name"])
		k.sandbox = a[cri+"container-type"] == "sandbox"
		if a[cri+"sandbox-name"] == "" && a[cri+"sandbox-id"] != "" && isContainerID(a[cri+"sandbox-id"]) {
			// containerd before 1.5 names the pod in the sandbox only
			if s, ok := c.annotations(path.Join(dir, a[cri+"sandbox-id"], "config.json")); ok {
				a = s
			}
		}
		k.inPod(a[cri+"sandbox-namespace"], a[cri+"sandbox-name"], a[cri+"sandbox-uid"])
		return k.row.Name != "" || k.row.Pod != ""
	}
	return false
}

// inPod stores the pod; an unknown uid leaves that of the cgroup path.
func (k *container) inPod(namespace, name, uid string) {
	k.row.PodNamespace, k.row.Pod = label(namespace), label(name)
	if uid != "" {
		k.row.PodUID = label(uid)
	}
}

// loadStorage reads CRI-O's annotations, or podman's name of the container.
func (c *containers) loadStorage(k *container) bool {
	file := path.Join(storageRun, k.row.ContainerID, "userdata/config.json")
	a, ok := c.annotations(file)
	kind := a["io.kubernetes.cri-o.ContainerType"]
	switch {
	case a["io.container.manager"] == "cri-o" || kind != "":
		k.row.Runtime, k.row.Source = "cri-o", "/"+file
		k.row.Name = label(a["io.kubernetes.container.name"])
		k.row.Image = label(a["io.kubernetes.cri-o.ImageName"])
		k.sandbox = kind == "sandbox"
		k.inPod(a["io.kubernetes.pod.namespace"], a["io.kubernetes.pod.name"], a["io.kubernetes.pod.uid"])
		return k.row.Pod != ""
	case ok:
		k.row.Runtime = "podman"
	}
	return k.row.Runtime == "podman" && c.loadPodman(k)
}

// loadPodman reads the list of containers/storage, whose metadata is JSON in
// a string.
func (c *containers) loadPodman(k *container) bool {
	var list []struct {
		ID       string   `json:"id"`
		Names    []string `json:"names"`
		Metadata string   `json:"metadata"`
	}
	if !c.json(storageList, &list) {
		return false
	}
	for _, entry := range list {
		if entry.ID != k.row.ContainerID || len(entry.Names) == 0 {
			continue
		}
		var meta struct {
			Image string `json:"image-name"`
		}
		if err := json.Unmarshal([]byte(entry.Metadata), &meta); err == nil {
			k.row.Image = label(meta.Image)
		}
		k.row.Name, k.row.Source = label(entry.Names[0]), "/"+storageList
		return true
	}
	return false
}

// loadDocker reads dockerd's state of a container. Of its labels only those
// that name compose and swarm services and, with cri-dockerd, pods are used.
func (c *containers) loadDocker(k *container) bool {
	file := path.Join(c.dockerDir, k.row.ContainerID, "config.v2.json")
	var state struct {
		Name   string
		Config struct {
			Image  string
			Labels map[string]string
		}
	}
	if !c.json(file, &state) || state.Name == "" {
		return false
	}
	labels := state.Config.Labels
	k.row.Runtime, k.row.Source = "docker", "/"+file
	k.row.Name = label(strings.TrimPrefix(state.Name, "/"))
	k.row.Image = label(state.Config.Image)
	k.compose = label(labels["com.docker.compose.service"])
	if k.compose == "" {
		k.compose = label(labels["com.docker.swarm.service.name"])
	}
	if labels["io.kubernetes.pod.name"] != "" {
		k.row.Name = label(labels["io.kubernetes.container.name"])
		k.sandbox = labels["io.kubernetes.docker.type"] == "podsandbox"
		k.inPod(labels["io.kubernetes.pod.namespace"], labels["io.kubernetes.pod.name"], labels["io.kubernetes.pod.uid"])
	}
	return true
}

// loadLogLink finds the container's id in the kubelet's log links.
func (c *containers) loadLogLink(k *container) bool {
	suffix := "-" + k.row.ContainerID + ".log"
	for _, name := range c.files.names(logLinks) {
		head, ok := strings.CutSuffix(name, suffix)
		parts := strings.SplitN(head, "_", 3)
		if !ok || len(parts) != 3 {
			continue
		}
		k.row.Name, k.row.Source = label(parts[2]), "/"+path.Join(logLinks, label(name))
		k.inPod(parts[1], parts[0], "")
		return true
	}
	return false
}

// pod finds a pod by its uid in the kubelet's log directories, which are
// listed once a scan.
func (c *containers) pod(uid string) (pod, bool) {
	if uid == "" {
		return pod{}, false
	}
	if c.pods == nil {
		c.pods = map[string]pod{}
		for _, name := range c.files.names(podLogs) {
			parts := strings.Split(name, "_")
			if len(parts) != 3 {
				continue
			}
			c.pods[parts[2]] = pod{namespace: label(parts[0]), name: label(parts[1])}
		}
	}
	p, ok := c.pods[uid]
	if ok && p.containers == nil {
		for _, name := range c.files.names(path.Join(podLogs, p.namespace+"_"+p.name+"_"+uid)) {
			p.containers = append(p.containers, label(name))
		}
		c.pods[uid] = p
	}
	return p, ok
}
