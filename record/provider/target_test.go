//go:build linux

package provider

import (
	"reflect"
	"strings"
	"testing"

	"kmon/format"
)

const targetNode = `
file proc/1/mountinfo
	30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
dir sys/fs/cgroup/system.slice 10
dir sys/fs/cgroup/system.slice/web.service 11
dir sys/fs/cgroup/system.slice/web.service/inner 12
dir sys/fs/cgroup/system.slice/mixed.service 13
file net1/tcp
	  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
	   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0
proc 1 comm=systemd exe=/usr/lib/systemd/systemd cgroup=0::/ args: /sbin/init
proc 20 comm=web exe=/srv/web cgroup=0::/system.slice/web.service fds=501 args: web
proc 21 comm=web exe=/srv/web cgroup=0::/system.slice/web.service args: web
proc 30 comm=tool exe=/srv/tool cgroup=0::/system.slice/mixed.service args: tool
proc 31 comm=helper exe=/srv/helper cgroup=0::/system.slice/mixed.service args: helper
proc 40 comm=top exe=/srv/top cgroup=0::/ args: top
`

func TestTargets(t *testing.T) {
	const rules = "rules: [{service: tool, match: {exe: tool}}]\n"
	for _, test := range []struct {
		name      string
		selectors Selectors
		config    string
		want      Targets
	}{
		{"nothing selected", Selectors{}, "", Targets{All: true}},
		{"a process", Selectors{PIDs: []int32{20}}, "", Targets{PIDs: []int32{20}}},
		{"a process to come", Selectors{PIDs: []int32{99}}, "", Targets{PIDs: []int32{99}, Unresolved: []Unresolved{{"pid 99", "no such process"}}}},
		{"ports of both", Selectors{Ports: []uint16{443, 80}}, "targets: {ports: [80, 22]}", Targets{Ports: []uint16{22, 80, 443}}},
		{"a service with its cgroup", Selectors{Services: []string{"web"}}, "", Targets{PIDs: []int32{20, 21}, CgroupIDs: []uint64{11}}},
		{"a service that shares its cgroup", Selectors{Services: []string{"tool"}}, rules, Targets{PIDs: []int32{30}}},
		{"a service in the root cgroup", Selectors{Services: []string{"top"}}, "", Targets{PIDs: []int32{40}}},
		{"a misspelt service", Selectors{Services: []string{"wep"}}, "",
			Targets{Unresolved: []Unresolved{{"service wep", `no process belongs to it; the nearest name is "web"`}}}},
		{"a cgroup and those below", Selectors{Cgroups: []string{"/system.slice/web.service"}}, "", Targets{CgroupIDs: []uint64{11, 12}}},
		{"a cgroup by its directory", Selectors{Cgroups: []string{"/sys/fs/cgroup/system.slice/mixed.service/"}}, "", Targets{CgroupIDs: []uint64{13}}},
		{"a cgroup that is not there", Selectors{Cgroups: []string{"../../etc"}}, "",
			Targets{Unresolved: []Unresolved{{"cgroup ../../etc", "no directory /sys/fs/cgroup/etc; give the path as in /proc/PID/cgroup, hierarchy v2"}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, parseNode(t, targetNode).root, test.config)
			p.selectors = test.selectors
			p.Snapshot(1)
			if got := p.Targets(); !reflect.DeepEqual(normal(got), normal(test.want)) {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// normal makes empty slices nil.
func normal(t Targets) Targets {
	t.PIDs, t.CgroupIDs = append([]int32(nil), t.PIDs...), append([]uint64(nil), t.CgroupIDs...)
	t.Ports, t.Unresolved = append([]uint16(nil), t.Ports...), append([]Unresolved(nil), t.Unresolved...)
	return t
}

// TestHybridTargets: on a hybrid host the inodes are those of the v1 memory
// hierarchy.
func TestHybridTargets(t *testing.T) {
	n := readNode(t, "testdata/hybrid-cgroups.node")
	p := newProvider(t, n.root, "targets: {services: [cache]}")
	p.Snapshot(1)
	got := p.Targets()
	if want := (Targets{PIDs: []int32{700}, CgroupIDs: []uint64{11387}}); !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A process whose event carries that id is in the container, though it
	// ended before /proc could be read.
	row, ok := tell(p, format.Proc{TsNs: 2, Event: format.ProcExec, PID: 900, ParentPID: 899, StartNs: tick(5000), Comm: "redis-cli",
		Exe: "/usr/bin/redis-cli", Cmdline: "redis-cli ping", CgroupID: 11387})
	if !ok || row.Service != "cache" || row.ServiceSource != "container" || row.ContainerID != strings.Repeat("a1", 32) {
		t.Errorf("got %+v, %v", row, ok)
	}
}

// TestSetConfig: other rules name services anew, and only rows that changed
// are returned.
func TestSetConfig(t *testing.T) {
	p := newProvider(t, parseNode(t, targetNode).root, "")
	p.Snapshot(1)
	c, err := ParseConfig("c.yaml", []byte("targets: {services: [front]}\nrules: [{service: front, match: {port: 80}}]"))
	if err != nil {
		t.Fatal(err)
	}
	p.SetConfig(c)
	if got := p.Targets(); got.All || len(got.PIDs) != 1 || got.PIDs[0] != 20 || len(got.CgroupIDs) != 0 {
		t.Errorf("targets: %+v", got)
	}
	s := p.Snapshot(2)
	if len(s.Processes) != 1 || s.Processes[0].PID != 20 || s.Processes[0].Service != "front" || s.Processes[0].ServiceSource != "rule" || s.Processes[0].TsNs != 2 {
		t.Errorf("got %+v", s.Processes)
	}
	p.SetConfig(nil)
	if s = p.Snapshot(3); len(s.Processes) != 1 || s.Processes[0].Service != "web" {
		t.Errorf("after the rules were taken away: %+v", s.Processes)
	}
	if got := p.Targets(); !got.All {
		t.Errorf("targets: %+v", got)
	}
}

// TestWarnings: a provider that sees no cgroups says so.
func TestWarnings(t *testing.T) {
	if got := newProvider(t, parseNode(t, hostNode).root, "").Warnings(); len(got) != 0 {
		t.Errorf("a host: %q", got)
	}
	n := parseNode(t, hostNode)
	n.remove("sys/fs/cgroup")
	got := newProvider(t, n.root, "").Warnings()
	if len(got) != 1 || !strings.Contains(got[0], "/sys/fs/cgroup") {
		t.Errorf("a container: %q", got)
	}
}
