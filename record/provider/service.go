package provider

import (
	"cmp"
	"regexp"
	"strings"
)

// Sources of a service's name, from the most to the least telling: the words
// of Process.ServiceSource.
const (
	sourceRule       = "rule"
	sourceKubernetes = "kubernetes"
	sourceContainer  = "container"
	sourceSystemd    = "systemd"
	sourceExecutable = "executable"
)

// kernelService names kernel threads.
const kernelService = "kernel"

// name gives a process its service, by the ladder of sources.
func (p *Provider) name(e *process) {
	k := p.containers.byID[e.row.ContainerID]
	service, source, instance := p.place(e, k)
	if r := p.config.rule(p.facts(e, k)); r != nil {
		service, source = r.Service, sourceRule
	}
	e.set(func(row *row) { row.Service, row.ServiceSource, row.Instance = service, source, instance })
}

// place names a process without the configuration's rules.
func (p *Provider) place(e *process, k *container) (service, source, instance string) {
	switch {
	case e.kernel:
		return kernelService, sourceExecutable, ""
	case k != nil:
		if service, source = p.containerService(k); service == "" { // only its id is known
			return e.program, sourceExecutable, k.row.ContainerID[:12]
		}
		return service, source, cmp.Or(k.row.Pod, k.row.Name)
	case e.unit != "":
		return unitService(e.unit), sourceSystemd, e.unit
	}
	return e.program, sourceExecutable, ""
}

// containerService names a container; "" when no file names it.
func (p *Provider) containerService(k *container) (service, source string) {
	if k.row.Pod != "" {
		return p.podService(k), sourceKubernetes
	}
	return cmp.Or(k.compose, k.row.Name), sourceContainer
}

// podService is the workload of a container's pod, and the container too when
// the pod has several.
func (p *Provider) podService(k *container) string {
	service := workload(k.row.Pod, p.host.Name)
	if len(p.containers.names[k.row.PodUID]) > 1 && !k.sandbox && k.row.Name != "" {
		service += "/" + k.row.Name
	}
	return service
}

// Endings of pod names, as the controllers of Kubernetes make them. Random
// parts are made of safeChars, the alphabet of k8s.io/apimachinery's
// rand.SafeEncodeString; a ReplicaSet's hash has up to ten of them.
const safeChars = "[bcdfghjklmnpqrstvwxz2456789]"

var podEndings = []*regexp.Regexp{
	regexp.MustCompile("-[0-9]{8,10}-" + safeChars + "{5}$"),             // CronJob → Job
	regexp.MustCompile("-" + safeChars + "{6,10}-" + safeChars + "{5}$"), // Deployment → ReplicaSet
	regexp.MustCompile("-" + safeChars + "{5}$"),                         // DaemonSet, Job, ReplicaSet
	regexp.MustCompile("-[0-9]{1,4}$"),                                   // StatefulSet
}

// workload strips what a controller appended to a pod's name: "cart" of
// "cart-7d9f8b6c5-x2x4z". A static pod ends in the node's name.
func workload(pod, node string) string {
	if name, ok := strings.CutSuffix(pod, "-"+node); ok && node != "" && name != "" {
		return name
	}
	for _, ending := range podEndings {
		if at := ending.FindStringIndex(pod); at != nil && at[0] > 0 {
			return pod[:at[0]]
		}
	}
	return pod
}

// facts are what rules match.
type facts struct {
	exe, cmdline, comm, cgroup, container, pod, unit string
	ports                                            []uint16
}

func (p *Provider) facts(e *process, k *container) facts {
	if p.config == nil || len(p.config.Rules) == 0 {
		return facts{}
	}
	f := facts{exe: strings.TrimSuffix(e.row.Exe, " (deleted)"), cmdline: e.line, comm: e.row.Comm,
		cgroup: e.row.Cgroup, unit: e.unit, ports: p.listeners.portsOf(e.row.PID)}
	if k != nil {
		f.container, f.pod = k.row.Name, k.row.Pod
	}
	return f
}
