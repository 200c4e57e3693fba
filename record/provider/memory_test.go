package provider

import (
	"fmt"
	"strings"
	"testing"

	"kmon/format"
)

const memoryNode = `
file proc/1/mountinfo
	30 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
dir sys/fs/cgroup 1
dir sys/fs/cgroup/shop 21
file sys/fs/cgroup/shop/memory.current
	5000
file sys/fs/cgroup/shop/memory.max
	8000
file sys/fs/cgroup/shop/memory.swap.current
	70
file sys/fs/cgroup/shop/memory.events
	low 0
	oom 3
	oom_kill 2
	oom_group_kill 1
dir sys/fs/cgroup/free 22
file sys/fs/cgroup/free/memory.current
	600
file sys/fs/cgroup/free/memory.max
	max
proc 1 comm=init pages=40 args: /sbin/init
proc 2 comm=kthreadd flags=2097152 args:
proc 10 comm=cart pages=500 cgroup=0::/shop args: cart
proc 11 comm=helper pages=20 cgroup=0::/shop args: helper
proc 12 comm=loner pages=30 cgroup=0::/free args: loner
`

func showMemory(rows []format.Memory) string {
	var b strings.Builder
	for _, r := range rows {
		if r.PID != 0 {
			fmt.Fprintf(&b, "%d: rss %d swap %d\n", r.PID, r.RSSBytes, r.SwapBytes)
		} else {
			fmt.Fprintf(&b, "%s: %d of %d swap %d killed %d\n", r.Cgroup, r.CurrentBytes, r.LimitBytes, r.SwapBytes, r.OOMKills)
		}
	}
	return b.String()
}

// The kernel thread has no memory, the root cgroup no accounts.
func TestMemoryOfEverything(t *testing.T) {
	p := newProvider(t, parseNode(t, memoryNode).root, "")
	got := showMemory(p.Snapshot(7).Memory)
	want := `1: rss 40960 swap 8192
10: rss 512000 swap 8192
11: rss 20480 swap 8192
12: rss 30720 swap 8192
/free: 600 of 0 swap -1 killed -1
/shop: 5000 of 8000 swap 70 killed 2
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if again := p.Snapshot(8).Memory; showMemory(again) != want || again[0].TsNs != 8 {
		t.Errorf("rows of the next scan:\n%s", showMemory(again))
	}
}

func TestMemoryOfTargets(t *testing.T) {
	for config, want := range map[string]string{
		"targets: {pids: [12]}":        "12: rss 30720 swap 8192\n/free: 600 of 0 swap -1 killed -1\n",
		"targets: {services: [cart]}":  "10: rss 512000 swap 8192\n/shop: 5000 of 8000 swap 70 killed 2\n",
		"targets: {cgroups: [/shop]}":  "10: rss 512000 swap 8192\n11: rss 20480 swap 8192\n/shop: 5000 of 8000 swap 70 killed 2\n",
		"targets: {services: [nginx]}": "",
	} {
		p := newProvider(t, parseNode(t, memoryNode).root, config)
		if got := showMemory(p.Snapshot(7).Memory); got != want {
			t.Errorf("%s: got\n%swant\n%s", config, got, want)
		}
	}
}

func TestMemoryOfV1Cgroup(t *testing.T) {
	p := newProvider(t, parseNode(t, `
file proc/1/mountinfo
	35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
dir sys/fs/cgroup/memory 1
dir sys/fs/cgroup/memory/a 2
file sys/fs/cgroup/memory/a/memory.usage_in_bytes
	4096
file sys/fs/cgroup/memory/a/memory.limit_in_bytes
	9223372036854771712
file sys/fs/cgroup/memory/a/memory.oom_control
	oom_kill_disable 0
	under_oom 0
	oom_kill 1
proc 10 comm=cart pages=500 cgroup=4:memory:/a args: cart
`).root, "")
	want := "10: rss 512000 swap 8192\n/a: 4096 of 0 swap -1 killed 1\n"
	if got := showMemory(p.Snapshot(7).Memory); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Of more processes than have rows, the largest do, sorted by pid.
func TestMemoryIsBounded(t *testing.T) {
	var node strings.Builder
	for i := range maxMemory + 50 {
		fmt.Fprintf(&node, "proc %d comm=x pages=%d args: x\n", 100+i, 1+i)
	}
	p := newProvider(t, parseNode(t, node.String()).root, "")
	rows := p.Snapshot(7).Memory
	if len(rows) != maxMemory || rows[0].PID != 150 || rows[maxMemory-1].PID != 100+maxMemory+49 {
		t.Fatalf("%d rows, from pid %d to %d", len(rows), rows[0].PID, rows[len(rows)-1].PID)
	}
}
