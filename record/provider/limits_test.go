package provider

import (
	"fmt"
	"strings"
	"testing"

	"kmon/format"
)

func showLimits(rows []format.Limit) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%d-%d %s", r.StartNs, r.EndNs, r.Cgroup)
		if r.PID != 0 {
			fmt.Fprintf(&b, " pid %d", r.PID)
		}
		switch {
		case r.SetBy == "":
			fmt.Fprintf(&b, " device %d lifted\n", r.DeviceID)
		case r.DeviceID == 0:
			fmt.Fprintf(&b, " by %s: %d of %d, throttled in %d of %d for %d\n", r.SetBy, r.QuotaNs, r.PeriodNs, r.ThrottledPeriods, r.Periods, r.ThrottledNs)
		default:
			fmt.Fprintf(&b, " by %s: %d:%d [%d %d %d %d] did %d %d %d %d\n", r.SetBy, r.DeviceID>>minorBits, r.DeviceID&(1<<minorBits-1),
				r.ReadBytesPerS, r.WriteBytesPerS, r.ReadsPerS, r.WritesPerS, r.ReadBytes, r.WriteBytes, r.Reads, r.Writes)
		}
	}
	return b.String()
}

func (n node) put(name, text string) { n.root[name].Data = []byte(text) }

func wantLimits(t *testing.T, what string, rows []format.Limit, want string) {
	t.Helper()
	if got := showLimits(rows); got != want {
		t.Errorf("%s: got\n%swant\n%s", what, got, want)
	}
}

const limitNodeV2 = `
file proc/1/mountinfo
	30 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
dir sys/fs/cgroup 1
dir sys/fs/cgroup/shop 21
file sys/fs/cgroup/shop/cpu.max
	150000 100000
file sys/fs/cgroup/shop/cpu.stat
	usage_usec 900
	nr_periods 10
	nr_throttled 3
	throttled_usec 500
file sys/fs/cgroup/shop/io.max
	8:0 rbps=max wbps=1000 riops=max wiops=max
file sys/fs/cgroup/shop/io.stat
	8:0 rbytes=7 wbytes=100 rios=1 wios=2 dbytes=0 dios=0
dir sys/fs/cgroup/shop/cart 22
file sys/fs/cgroup/shop/cart/cpu.max
	50000 100000
file sys/fs/cgroup/shop/cart/cpu.stat
	nr_periods 10
	nr_throttled 0
	throttled_usec 0
file sys/fs/cgroup/shop/cart/io.max
file sys/fs/cgroup/shop/cart/io.stat
dir sys/fs/cgroup/shop/pay 24
file sys/fs/cgroup/shop/pay/cpu.max
	max 100000
dir sys/fs/cgroup/free 23
file sys/fs/cgroup/free/cpu.max
	max 100000
file sys/fs/cgroup/free/io.max
	8:0 rbps=max wbps=max riops=max wiops=max
proc 1 comm=init pages=40 args: /sbin/init
proc 2 comm=kthreadd flags=2097152 args:
proc 10 comm=cart cgroup=0::/shop/cart args: cart
proc 11 comm=pay cgroup=0::/shop/pay args: pay
proc 12 comm=loner cgroup=0::/free args: loner
`

// A cgroup without a limit has no row, one without a limit of its own that of
// the cgroup above it; the tightest counts until another one throttles.
func TestLimitsV2(t *testing.T) {
	n := parseNode(t, limitNodeV2)
	p := newProvider(t, n.root, "")
	if source, missing := p.LimitSources(); source != "cgroup v2" || missing != "" {
		t.Errorf("sources %q, missing %q", source, missing)
	}
	wantLimits(t, "first", p.Snapshot(5).Limits, `5-5 /shop/cart by /shop/cart: 50000000 of 100000000, throttled in 0 of 0 for 0
5-5 /shop/cart by /shop: 8:0 [0 1000 0 0] did 0 0 0 0
5-5 /shop/pay by /shop: 150000000 of 100000000, throttled in 0 of 0 for 0
5-5 /shop/pay by /shop: 8:0 [0 1000 0 0] did 0 0 0 0
`)
	wantLimits(t, "nothing happened", p.Limits(6), "")
	n.put("sys/fs/cgroup/shop/cart/cpu.stat", "nr_periods 20\nnr_throttled 9\nthrottled_usec 4000\n")
	wantLimits(t, "its own quota throttles", p.Limits(7), "6-7 /shop/cart by /shop/cart: 50000000 of 100000000, throttled in 9 of 10 for 4000000\n")
	n.put("sys/fs/cgroup/shop/cpu.stat", "nr_periods 20\nnr_throttled 4\nthrottled_usec 700\n")
	n.put("sys/fs/cgroup/shop/io.stat", "8:0 rbytes=7 wbytes=1100 rios=1 wios=12 dbytes=0 dios=0\n")
	wantLimits(t, "that above throttles, and IO", p.Limits(8), `7-8 /shop/cart by /shop: 150000000 of 100000000, throttled in 1 of 10 for 200000
7-8 /shop/cart by /shop: 8:0 [0 1000 0 0] did 0 1000 0 10
7-8 /shop/pay by /shop: 150000000 of 100000000, throttled in 1 of 10 for 200000
7-8 /shop/pay by /shop: 8:0 [0 1000 0 0] did 0 1000 0 10
`)
	wantLimits(t, "back to the tightest", p.Limits(9), "8-9 /shop/cart by /shop/cart: 50000000 of 100000000, throttled in 0 of 0 for 0\n")
	p.Restate(9)
	wantLimits(t, "all again", p.Limits(10), `9-10 /shop/cart by /shop/cart: 50000000 of 100000000, throttled in 0 of 0 for 0
9-10 /shop/cart by /shop: 8:0 [0 1000 0 0] did 0 0 0 0
9-10 /shop/pay by /shop: 150000000 of 100000000, throttled in 0 of 0 for 0
9-10 /shop/pay by /shop: 8:0 [0 1000 0 0] did 0 0 0 0
`)
}

// Changes are seen at the next look at /proc. A process that ended lifts nothing.
func TestLimitsChange(t *testing.T) {
	n := parseNode(t, limitNodeV2)
	p := newProvider(t, n.root, "")
	p.Snapshot(5)
	n.put("sys/fs/cgroup/shop/io.max", "")
	n.put("sys/fs/cgroup/shop/cart/cpu.max", "70000 100000\n")
	n.put("sys/fs/cgroup/free/cpu.max", "10000 100000\n")
	n.remove("sys/fs/cgroup/free/cpu.stat")
	n.remove("proc/11")
	wantLimits(t, "changes", p.Snapshot(6).Limits, `6-6 /free by /free: 10000000 of 100000000, throttled in 0 of 0 for 0
5-6 /shop/cart by /shop/cart: 70000000 of 100000000, throttled in 0 of 0 for 0
5-6 /shop/cart device 8388608 lifted
`)
	wantLimits(t, "told once", p.Snapshot(7).Limits, "")
	p.Restate(7)
	wantLimits(t, "counters that are not there", p.Limits(8), `7-8 /free by /free: 10000000 of 100000000, throttled in -1 of -1 for -1
7-8 /shop/cart by /shop/cart: 70000000 of 100000000, throttled in 0 of 0 for 0
`)
	n.remove("sys/fs/cgroup/shop/cart/cpu.stat")
	n.root["sys/fs/cgroup/shop/cart/cpu.stat"] = n.root["sys/fs/cgroup/shop/cpu.stat"]
	p.Limits(9)
	n.put("sys/fs/cgroup/shop/cart/cpu.stat", "nr_periods 2\nnr_throttled 1\nthrottled_usec 6\n")
	wantLimits(t, "a cgroup made anew", p.Limits(10), "9-10 /shop/cart by /shop/cart: 70000000 of 100000000, throttled in 1 of 2 for 6000\n")
}

const limitNodeV1 = `
file proc/1/mountinfo
	32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
	35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
	38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
	41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
dir sys/fs/cgroup/memory 1
dir sys/fs/cgroup/memory/a 2
dir sys/fs/cgroup/cpu,cpuacct 3
dir sys/fs/cgroup/blkio 5
file sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us
	-1
file sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us
	20000
file sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us
	100000
file sys/fs/cgroup/cpu,cpuacct/x/cpu.stat
	nr_periods 1
	nr_throttled 1
	throttled_time 5
file sys/fs/cgroup/blkio/y/blkio.throttle.read_bps_device
	8:0 4000
	8:16 0
file sys/fs/cgroup/blkio/y/blkio.throttle.write_iops_device
	8:0 30
file sys/fs/cgroup/blkio/y/blkio.throttle.io_service_bytes
	8:0 Read 100
	8:0 Write 200
	8:0 Total 300
	Total 300
file sys/fs/cgroup/blkio/y/blkio.throttle.io_serviced
	8:0 Read 1
	8:0 Write 2
	8:0 Total 3
proc 10 comm=cart cgroup=4:memory:/a;3:cpu,cpuacct:/x;7:blkio:/y/z;0::/ args: cart
proc 11 comm=helper cgroup=4:memory:/a;3:cpu,cpuacct:/x/sub;7:blkio:/y;0::/ args: helper
proc 12 comm=other cgroup=4:memory:/a;3:cpu,cpuacct:/;7:blkio:/;0::/ args: other
proc 13 comm=lone cgroup=4:memory:/b;3:cpu,cpuacct:/x;7:blkio:/;0::/ args: lone
`

// Processes of one memory cgroup may be in several of the other controllers. A
// limit of IO holds only its own cgroup there.
func TestLimitsV1(t *testing.T) {
	n := parseNode(t, limitNodeV1)
	p := newProvider(t, n.root, "")
	if source, missing := p.LimitSources(); source != "cgroup v1" || missing != "" {
		t.Errorf("sources %q, missing %q", source, missing)
	}
	wantLimits(t, "first", p.Snapshot(5).Limits, `5-5 /a pid 10 by /x: 20000000 of 100000000, throttled in 0 of 0 for 0
5-5 /a pid 11 by /x: 20000000 of 100000000, throttled in 0 of 0 for 0
5-5 /a pid 11 by /y: 8:0 [4000 0 0 30] did 0 0 0 0
5-5 /b by /x: 20000000 of 100000000, throttled in 0 of 0 for 0
`)
	n.put("sys/fs/cgroup/blkio/y/blkio.throttle.io_service_bytes", "8:0 Read 150\n8:0 Write 200\n")
	n.put("sys/fs/cgroup/blkio/y/blkio.throttle.io_serviced", "8:0 Read 4\n8:0 Write 2\n")
	n.put("sys/fs/cgroup/cpu,cpuacct/x/cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 25\n")
	wantLimits(t, "second", p.Limits(6), `5-6 /a pid 10 by /x: 20000000 of 100000000, throttled in 1 of 2 for 20
5-6 /a pid 11 by /x: 20000000 of 100000000, throttled in 1 of 2 for 20
5-6 /a pid 11 by /y: 8:0 [4000 0 0 30] did 50 0 3 0
5-6 /b by /x: 20000000 of 100000000, throttled in 1 of 2 for 20
`)
}

// A hybrid host whose CPU controller is with v2.
func TestLimitsOfBothVersions(t *testing.T) {
	n := parseNode(t, `
file proc/1/mountinfo
	35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
	41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
	42 31 0:39 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
dir sys/fs/cgroup/memory 1
dir sys/fs/cgroup/unified 2
dir sys/fs/cgroup/blkio 3
file sys/fs/cgroup/unified/u/cpu.max
	5000 10000
proc 10 comm=cart cgroup=4:memory:/a;7:blkio:/;0::/u args: cart
`)
	p := newProvider(t, n.root, "")
	if source, _ := p.LimitSources(); source != "cgroup v1 and v2" {
		t.Errorf("sources %q", source)
	}
	wantLimits(t, "first", p.Snapshot(5).Limits, "5-5 /a by /u: 5000000 of 10000000, throttled in 0 of 0 for 0\n")
}

func TestLimitsOfTargets(t *testing.T) {
	n := parseNode(t, limitNodeV2)
	p := newProvider(t, n.root, "targets: {pids: [12]}")
	wantLimits(t, "a process without limits", p.Snapshot(5).Limits, "")
	p = newProvider(t, n.root, "targets: {cgroups: [/shop/cart]}")
	if rows := p.Snapshot(5).Limits; len(rows) != 2 || rows[0].Cgroup != "/shop/cart" {
		t.Errorf("rows of one target:\n%s", showLimits(rows))
	}
}

func TestLimitsOutOfSight(t *testing.T) {
	p := newProvider(t, parseNode(t, "proc 10 comm=cart cgroup=0::/shop args: cart\n").root, "")
	if source, missing := p.LimitSources(); source != "" || missing != "no cgroup hierarchy at /sys/fs/cgroup" {
		t.Errorf("sources %q, missing %q", source, missing)
	}
}

func TestLimitsAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("file proc/1/mountinfo\n\t30 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\ndir sys/fs/cgroup 1\n")
	for i := range maxLimited + 3 {
		fmt.Fprintf(&text, "dir sys/fs/cgroup/c%d %d\nfile sys/fs/cgroup/c%d/cpu.max\n\t1000 100000\nproc %d comm=x cgroup=0::/c%d args: x\n", i, i+2, i, i+10, i)
	}
	s := newProvider(t, parseNode(t, text.String()).root, "").Snapshot(5)
	if len(s.Limits) != maxLimited || s.SkippedLimits != 3 {
		t.Errorf("%d rows, %d skipped", len(s.Limits), s.SkippedLimits)
	}
}
