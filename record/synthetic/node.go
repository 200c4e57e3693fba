package synthetic

import (
	"fmt"
)

const (
	nodePrefix  = "node"
	cpusPerNode = 4
	// sliceNs is how long a thread may run while others wait.
	sliceNs   = 4 * ms
	netnsID   = 4026531840
	firstPort = 8080
	firstOwn  = 32768 // local ports of clients
	lastOwn   = 60999
)

// node is a machine.
type node struct {
	w         *world
	index     int
	name      string
	addr      string
	cpus      []cpu
	ready     []*burst
	disk      *disk
	processes []*process
	flusher   *thread
	slow      float64 // factor of the time of requests
	loss      float64 // share of the messages from and to it
	nextPID   int32
	nextPort  int32
	sockets   int64
	capture   *capture
}

func newNode(w *world, index int) *node {
	n := &node{
		w: w, index: index, name: fmt.Sprint(nodePrefix, index+1), addr: fmt.Sprintf("10.0.%d.%d", index/250, index%250+1),
		slow: 1, nextPID: 1000, nextPort: firstOwn,
	}
	for i := range cpusPerNode {
		n.cpus = append(n.cpus, cpu{index: i})
	}
	n.disk = newDisk(n)
	flusher := n.process("", "kworker/u8:1", "")
	n.flusher = flusher.thread("kworker/u8:1")
	return n
}

// port gives the next local port.
func (n *node) port() int32 {
	p := n.nextPort
	if n.nextPort++; n.nextPort > lastOwn {
		n.nextPort = firstOwn
	}
	return p
}

// process is a process; exe "" is one of the kernel's threads.
type process struct {
	node      *node
	pid       int32
	startNs   int64
	comm, exe string
	service   string
	instance  string
	threads   []*thread
	quota     *quota
	paused    bool
	parked    []*burst
	// Of reads, by its cgroup's limit: the least time between two, 0 without one;
	// when the next may be; and what was read in the current second.
	readEveryNs, readNextNs int64
	reads, readBytes        int64
	collectors              []*thread // of garbage
}

// process makes one that runs from now on.
func (n *node) process(service, comm, instance string) *process {
	n.nextPID += 7
	p := &process{node: n, pid: n.nextPID, startNs: n.w.nowNs - 1e9, comm: comm, service: service, instance: instance}
	if service != "" {
		p.exe = "/usr/bin/" + comm
	}
	if n.w.nowNs >= 0 {
		p.startNs = n.w.nowNs
	}
	n.processes = append(n.processes, p)
	return p
}

// thread adds a thread; the first has the number of the process.
func (p *process) thread(comm string) *thread {
	t := &thread{process: p, tid: p.pid, comm: comm, conns: map[*instance]*conn{}}
	if len(p.threads) > 0 {
		p.node.nextPID++
		t.tid = p.node.nextPID
	}
	p.threads = append(p.threads, t)
	return t
}

// thread is one thread, and its account of the current interval.
type thread struct {
	process *process
	tid     int32
	comm    string
	conns   map[*instance]*conn // its own to each instance it asks

	account account
	spent   waits // in all its life
	waitNs  int64 // when it began to wait
	waitsOn int   // code; 0: it does not
}

// block makes a thread wait in some code.
func (t *thread) block(code int) { t.waitNs, t.waitsOn = t.process.node.w.nowNs, code }

// wake ends the wait.
func (t *thread) wake() {
	if t.waitsOn == 0 {
		return
	}
	t.process.node.capture.waited(t, t.waitsOn, t.waitNs)
	*t.spent.on(t.waitsOn) += t.process.node.w.nowNs - t.waitNs
	t.waitsOn = 0
}

// waits is what a thread waited for, as format.Exchange divides it.
type waits struct{ runQueueNs, lockNs, diskNs, networkNs, sleepNs int64 }

// on is where the waits in a code count.
func (w *waits) on(code int) *int64 {
	switch code {
	case codeRunnable:
		return &w.runQueueNs
	case codeLock:
		return &w.lockNs
	case codeRead, codeWrite:
		return &w.diskNs
	case codeSleep:
		return &w.sleepNs
	}
	return &w.networkNs
}

// since is what was waited for after before.
func (w waits) since(before waits) waits {
	return waits{
		w.runQueueNs - before.runQueueNs, w.lockNs - before.lockNs, w.diskNs - before.diskNs,
		w.networkNs - before.networkNs, w.sleepNs - before.sleepNs,
	}
}

// account is what a thread did on CPUs in the current interval.
type account struct{ onCPUNs, runQueueNs, slices, voluntary, involuntary int64 }

func (p *process) cgroup() string {
	if p.service == "" {
		return ""
	}
	return "/kubepods/" + p.instance
}
