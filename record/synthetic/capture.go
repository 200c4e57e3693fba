package synthetic

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"kmon/format"
)

// capture writes what a recorder on a node would have seen. Times that it is
// given are the world's; what was before the recording's start is left out.
type capture struct {
	node      *node
	writer    *format.Writer
	bootNs    int64 // monotonic time of the recording's start
	unixNs    int64 // and its Unix time
	lost      float64
	luck      *rand.Rand // what is lost; the world is the same with and without
	losses    map[lossKey]int64
	total     map[string]int64
	waits     map[waitKey]*waitSum
	traps     []*trap
	events    int64
	flushedNs int64
}

type lossKey struct {
	collector, table string
	cause            format.LossCause
}

// waitKey is what waits are added up by in an interval.
type waitKey struct {
	pid  int32
	code int
}

type waitSum struct{ count, totalNs, maxNs, waiting int64 }

// startUnixNs is when every synthetic recording begins: 2026-01-01 00:00:00 UTC.
const startUnixNs = 1_767_225_600 * int64(1e9)

// collectors are those of a recording, each with its tables that may lack rows.
var lossOf = map[string]lossKey{
	"exchanges": {"tcp", "exchanges", format.LossRingFull},
	"ios":       {"block", "ios", format.LossRingFull},
	"oncpu":     {"cpu", "oncpu", format.LossRingFull},
	"offcpu":    {"cpu", "offcpu", format.LossStateFull},
	"intervals": {"cpu", "intervals", format.LossRingFull},
	"netevents": {"drop", "netevents", format.LossRingFull},
}

// recording says whether what happens now is recorded.
func (c *capture) recording() bool { return c.writer != nil && c.node.w.nowNs >= 0 }

// at is a time of the world as the node's monotonic one.
func (c *capture) at(ns int64) int64 { return c.bootNs + ns }

func (c *capture) now() int64 { return c.at(c.node.w.nowNs) }

// keep decides whether an event of a table is in the recording.
func (c *capture) keep(table string) bool {
	if c.lost == 0 || c.luck.Float64() >= c.lost {
		return true
	}
	c.losses[lossOf[table]]++
	return false
}

// append adds rows to a capture.
func add[T format.Row](c *capture, rows ...T) {
	c.events += int64(len(rows))
	if err := format.Append(c.writer, rows...); err != nil {
		c.node.w.fail(err)
	}
}

func (c *capture) exchange(row format.Exchange) {
	if !c.recording() || row.StartNs < 0 || !c.keep("exchanges") {
		return
	}
	row.StartNs = c.at(row.StartNs)
	c.events++
	if err := c.writer.AppendExchanges([]format.Exchange{row}); err != nil {
		c.node.w.fail(err)
	}
}

func (c *capture) socket(row format.Socket) {
	if c.recording() {
		row.TsNs = c.now()
		add(c, row)
	}
}

func (c *capture) netEvent(row format.NetEvent) {
	if c.recording() && c.keep("netevents") {
		row.TsNs, row.LastNs = c.now(), c.now()
		add(c, row)
	}
}

// dropped notes packets that the node dropped.
func (c *capture) dropped(count int64) {
	c.netEvent(format.NetEvent{Kind: format.NetDrop, Reason: "SOCKET_BACKLOG", NetnsID: netnsID, Family: 4, Protocol: 6,
		LocalAddr: c.node.addr, StackID: codeDrop, Count: count})
}

func (c *capture) io(r *access, givenNs int64) {
	if !c.recording() || r.startNs < 0 || !c.keep("ios") {
		return
	}
	w := c.node.w
	add(c, format.IO{
		StartNs: c.at(r.startNs), QueueNs: givenNs - r.startNs, DeviceNs: w.nowNs - givenNs, DeviceID: diskID,
		Sector: 8 * (c.events * 7919 % (diskSectors / 8)), Bytes: r.bytes, Op: r.op, Flags: format.IOSync, PID: r.thread.process.pid, TID: r.thread.tid,
	})
}

func (c *capture) acceptQueue(i *instance, depth, limit int32, overflows int64) {
	if c.recording() {
		add(c, format.AcceptQueue{TsNs: c.now(), NetnsID: netnsID, Addr: "0.0.0.0", Port: i.service.port, PID: i.process.pid,
			Depth: depth, Limit: limit, Overflows: overflows})
	}
}

// waited notes a wait that ends now.
func (c *capture) waited(t *thread, code int, sinceNs int64) {
	ns := c.node.w.nowNs - sinceNs
	if !c.recording() || sinceNs < 0 || ns < offCPUMinNs {
		return
	}
	sum := c.wait(t, code)
	sum.count++
	sum.totalNs += ns
	sum.maxNs = max(sum.maxNs, ns)
}

func (c *capture) wait(t *thread, code int) *waitSum {
	key := waitKey{t.process.pid, code}
	if c.waits[key] == nil {
		c.waits[key] = &waitSum{}
	}
	return c.waits[key]
}

// samplePeriodNs is the time between two samples of a CPU.
const samplePeriodNs = int64(1e9) / sampleHz

// sample notes the samples of a CPU that ran a burst from a time until now.
func (c *capture) sample(on *cpu, b *burst, startNs int64) {
	if !c.recording() {
		return
	}
	for tick := (max(startNs, 0) + samplePeriodNs - 1) / samplePeriodNs; tick*samplePeriodNs < c.node.w.nowNs; tick++ {
		if !c.keep("oncpu") {
			continue
		}
		code := b.codes[int(tick)%len(b.codes)]
		add(c, format.OnCPU{TsNs: c.at(tick * samplePeriodNs), CPU: int32(on.index), PID: b.thread.process.pid, TID: b.thread.tid,
			StackID: stackOf(code), UserStackID: userStackOf(code)})
	}
}

// interval writes the accounts of the interval that ends now.
func (c *capture) interval() {
	n, fromNs := c.node, c.flushedNs
	for i := range n.cpus {
		n.count(&n.cpus[i])
	}
	c.flushedNs = n.w.nowNs
	for _, p := range n.processes {
		for _, t := range p.threads {
			a := t.account
			t.account = account{}
			if a.slices+a.onCPUNs+a.runQueueNs == 0 || !c.recording() || c.flushedNs == fromNs || !c.keep("intervals") {
				continue
			}
			add(c, format.Interval{StartNs: c.at(fromNs), EndNs: c.now(), PID: p.pid, TID: t.tid, Comm: t.comm, OnCPUNs: a.onCPUNs,
				RunQueueNs: a.runQueueNs, Timeslices: a.slices, Voluntary: a.voluntary, Involuntary: a.involuntary})
		}
	}
	c.offCPU(fromNs)
	c.wakes(fromNs)
}

// offCPU writes the waits of an interval.
func (c *capture) offCPU(fromNs int64) {
	order := func(a, b waitKey) int { return cmp.Or(cmp.Compare(a.pid, b.pid), cmp.Compare(a.code, b.code)) }
	for _, key := range slices.SortedFunc(maps.Keys(c.waits), order) {
		sum := c.waits[key]
		if !c.keep("offcpu") {
			continue
		}
		add(c, format.OffCPU{StartNs: c.at(fromNs), EndNs: c.now(), PID: key.pid, State: stateOf(key.code), StackID: stackOf(key.code),
			UserStackID: userStackOf(key.code), Count: sum.count, TotalNs: sum.totalNs, MaxNs: sum.maxNs, Waiting: sum.waiting})
	}
	clear(c.waits)
}

// wakes writes how often the threads of a livelock woke each other.
func (c *capture) wakes(fromNs int64) {
	for _, t := range c.traps {
		if t.opened || t.voluntary == 0 || c.node.w.nowNs == fromNs {
			continue
		}
		for k, waker := range t.threads {
			woken := t.threads[(k+1)%len(t.threads)]
			add(c, format.Wake{StartNs: c.at(fromNs), EndNs: c.now(), WakerPID: waker.process.pid, WakerTID: waker.tid,
				PID: woken.process.pid, TID: woken.tid, Count: t.voluntary * (c.node.w.nowNs - fromNs) / 1e9})
		}
	}
}

// second writes what a recorder writes once a second.
func (c *capture) second() bool {
	c.writeLosses()
	c.limits()
	c.self()
	if err := c.writer.Tick(c.now()); err != nil {
		c.node.w.fail(err)
	}
	return true
}

// limits writes what came of the limits of the last second.
func (c *capture) limits() {
	for _, p := range c.node.processes {
		row := format.Limit{StartNs: c.now() - 1e9, EndNs: c.now(), Cgroup: p.cgroup(), SetBy: p.cgroup()}
		if q := p.quota; q != nil {
			cpu := row
			cpu.QuotaNs, cpu.PeriodNs, cpu.Periods, cpu.ThrottledPeriods, cpu.ThrottledNs = q.perPeriodNs, quotaPeriodNs, q.periods, q.throttled, q.throttledNs
			q.periods, q.throttled, q.throttledNs = 0, 0, 0
			add(c, cpu)
		}
		if p.readEveryNs > 0 {
			row.DeviceID, row.ReadsPerS, row.Reads, row.ReadBytes = diskID, max(1, 1e9/p.readEveryNs), p.reads, p.readBytes
			add(c, row)
		}
		p.reads, p.readBytes = 0, 0
	}
}

func (c *capture) self() {
	w := c.node.w
	add(c, format.Self{TsNs: c.now(), RealtimeNs: c.unixNs + w.nowNs, Events: c.events})
}

// writeLosses writes what was lost in the last second.
func (c *capture) writeLosses() {
	order := func(a, b lossKey) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.cause, b.cause)) }
	for _, key := range slices.SortedFunc(maps.Keys(c.losses), order) {
		c.total[key.collector+"/"+key.cause.String()] += c.losses[key]
		add(c, format.Loss{StartNs: c.at(max(c.node.w.nowNs-1e9, 0)), EndNs: c.now(), Collector: key.collector, Table: key.table,
			Cause: key.cause, Count: c.losses[key]})
	}
	clear(c.losses)
}
