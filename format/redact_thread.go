package format

import (
	"regexp"
	"slices"
	"strings"
)

// thread keeps what says that a thread is the kernel's, or works for a language's
// runtime: findings go by that. What else such a name has gets a pseudonym: what
// follows the slash of a kernel's thread may be a disk or a work queue, and any
// program may call its threads as runtimes do.
func (m *mask) thread(text string) string {
	for _, r := range runtimeThreads {
		rest, ok := strings.CutPrefix(text, r.begin)
		switch {
		case !ok:
		case r.rest.MatchString(rest):
			return text
		default:
			return r.begin + "/" + m.name("part", rest)
		}
	}
	head, tail, _ := strings.Cut(text, "/")
	if !slices.Contains(kernelThreads, head) {
		return m.service(text)
	}
	if tail == "" || threadNumber.MatchString(tail) {
		return text
	}
	return head + "/" + m.name("part", tail)
}

var threadNumber = regexp.MustCompile(`^[uR]?[0-9]+(:[0-9]+)?[HR]?$`)

// kernelThreads are threads of the kernel, without what follows a slash.
var kernelThreads = strings.Fields(`kworker ksoftirqd kswapd0 kswapd1 kcompactd0 kcompactd1 migration cpuhp rcu_preempt
	rcu_sched rcu_bh rcuop rcuos rcuog rcub rcuc kthreadd jbd2 xfsaild khugepaged ksmd kdevtmpfs khungtaskd oom_reaper
	watchdogd idle_inject swapper irq napi kblockd writeback dmcrypt_write loop0 loop1 loop2 md kauditd kthrotld nvmet-wq`)

// runtimeThread is threads that poll, or that a language's runtime works with.
type runtimeThread struct {
	begin string         // of their names: what findings go by
	rest  *regexp.Regexp // what follows in the names that the runtime itself gives
}

// runtimeThreads are called so by the sources of DPDK, VPP, SPDK, HotSpot, OpenJ9,
// V8 and .NET. The kernel keeps 15 bytes of a name, so words may be cut.
var runtimeThreads = []runtimeThread{
	called("lcore-", "(worker|slave)-?"),
	called("dpdk", "-(worker|intr|mp-msg|telemet-v2|vhost-evt|ctrl)"),
	called("rte_", "mp_handle|mp_async"),
	called("vpp_", "main|wk_|stats"),
	called("reactor_", ""),
	called("spdk", "_tgt"),
	called("busy_poll", ""),
	called("C1 Compiler", "Thre|Thread"),
	called("C2 Compiler", "Thre|Thread"),
	called("GC Thread", ""),
	called("G1 ", "Main Marker|Main Concurrent|Conc|Refine|Service|Young RemSet|Young RemSet Sampling"),
	called("VM Thread", ""),
	called("ZWorker", "Young|Old"),
	called("ZDriver", "Minor|Major"),
	called("Shenandoah", " GC T| GC Thread| GC Threads| Conc| Cont| Control| Control Thread"),
	called("Concurrent Mark", "-Sweep GC Thread"),
	called("V8 Default", "Worke|Worker"),
	called("V8Worker", ""),
	called(".NET Server GC", ""),
	called(".NET BGC", ""),
	called(".NET Tiered", " Com| Compilation Worker"),
	called("JIT", "Worker| Compilation| Compilation Thread| Diagnostic| Sampler|-SamplerThre|-SamplerThread"),
}

// called makes a runtimeThread of a beginning and the words that may follow it. A
// number of up to three digits may come last: there is one thread for each CPU.
func called(begin, words string) runtimeThread {
	return runtimeThread{begin, regexp.MustCompile(`^(` + words + `)?([ #_-]?[0-9]{1,3})?$`)}
}
