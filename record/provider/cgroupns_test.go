package provider

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// podNode is a node as a container in a cgroup namespace of its own sees it: a
// neighbour in its pod, another pod, a unit, and itself.
const podNode = `
file proc/1/mountinfo
	30 1 0:26 /../../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw
dir sys/fs/cgroup 1
dir sys/fs/cgroup/system.slice 2
file sys/fs/cgroup/system.slice/cgroup.procs
dir sys/fs/cgroup/system.slice/web.service 3
file sys/fs/cgroup/system.slice/web.service/cgroup.procs
	20
dir sys/fs/cgroup/kubepods.slice 4
file sys/fs/cgroup/kubepods.slice/cgroup.procs
dir sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice 5
file sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cgroup.procs
dir sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-<a1>.scope 6
file sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-<a1>.scope/cgroup.procs
	7
	77
dir sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-<b1>.scope 7
file sys/fs/cgroup/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-<b1>.scope/cgroup.procs
	21
dir sys/fs/cgroup/kubepods.slice/kubepods-pod99999999_2222_3333_4444_555555555555.slice 8
file sys/fs/cgroup/kubepods.slice/kubepods-pod99999999_2222_3333_4444_555555555555.slice/cgroup.procs
dir sys/fs/cgroup/kubepods.slice/kubepods-pod99999999_2222_3333_4444_555555555555.slice/cri-containerd-<c1>.scope 9
file sys/fs/cgroup/kubepods.slice/kubepods-pod99999999_2222_3333_4444_555555555555.slice/cri-containerd-<c1>.scope/cgroup.procs
	22
link proc/self 7
proc 1 comm=init exe=/sbin/init cgroup=0::/../../.. args: init
proc 7 comm=kmon exe=/kmon cgroup=0::/ args: kmon
proc 20 comm=web exe=/usr/bin/web cgroup=0::/../../../system.slice/web.service args: web
proc 21 comm=side exe=/usr/bin/side cgroup=0::/../cri-containerd-<b1>.scope args: side
proc 22 comm=cart exe=/usr/bin/cart cgroup=0::/../../kubepods-pod99999999_2222_3333_4444_555555555555.slice/cri-containerd-<c1>.scope args: cart
`

// From within a cgroup namespace, processes have the cgroups that they have on
// the host.
func TestCgroupNamespace(t *testing.T) {
	n := parseNode(t, podNode)
	p, err := New(Options{Root: n.root, OwnPID: 7})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, row := range p.Snapshot(1).Processes {
		fmt.Fprintf(&got, "%d %d %s\n", row.PID, p.cgroups.ids[row.Cgroup], row.Cgroup)
	}
	const pods = "/kubepods.slice/kubepods-pod"
	want := longIDs(`1 1 /
7 6 ` + pods + `11111111_2222_3333_4444_555555555555.slice/cri-containerd-<a1>.scope
20 3 /system.slice/web.service
21 7 ` + pods + `11111111_2222_3333_4444_555555555555.slice/cri-containerd-<b1>.scope
22 9 ` + pods + `99999999_2222_3333_4444_555555555555.slice/cri-containerd-<c1>.scope
`)
	if got.String() != want || len(p.Warnings()) != 0 {
		t.Errorf("got:\n%swant:\n%s%q", got.String(), want, p.Warnings())
	}
	p.selectors = Selectors{Cgroups: []string{"/kubepods.slice"}}
	if ids := fmt.Sprint(p.Targets().CgroupIDs); ids != "[4 5 6 7 8 9]" {
		t.Errorf("cgroups below /kubepods.slice: %s", ids)
	}
}

// Where its own place is not found, what lies beside it keeps its container and
// unit, and no cgroup is taken for another.
func TestCgroupNamespaceUnknown(t *testing.T) {
	n := parseNode(t, podNode)
	p, err := New(Options{Root: n.root, OwnPID: 8})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, row := range p.Snapshot(1).Processes {
		fmt.Fprintf(&got, "%d %d %.2s %s %s\n", row.PID, p.cgroups.ids[row.Cgroup], row.ContainerID, row.Service, cmp.Or(row.Cgroup, "-"))
	}
	want := longIDs(`1 1  init /
7 0  kmon -
20 3  web /system.slice/web.service
21 0 b1 side -
22 0 c1 cart -
`)
	if got.String() != want {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
	if warnings := p.Warnings(); len(warnings) != 1 || !strings.Contains(warnings[0], "--cgroupns=host") {
		t.Errorf("warns %q", warnings)
	}
}
