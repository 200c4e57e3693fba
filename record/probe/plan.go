package probe

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"kmon/bpf"
)

type hookKind int

const (
	kindTracepoint hookKind = iota // BTF raw tracepoint
	kindFexit
	kindRawTracepoint // by name, of any tracepoint
	kindKprobe
	kindIterator
	kindRun    // not attached: run by the recorder
	kindSample // a clock on every CPU
)

var kindPrefix = [...]string{"tp_btf", "fexit", "raw_tp", "kprobe", "iter", "run", "perf_event"}

// hook is one program and what it hangs on.
type hook struct {
	program string
	kind    hookKind
	target  string
	// optional: left out where the kernel lacks the target, as with functions
	// that a newer kernel has merged into others.
	optional bool
	// arguments is how many the program takes of a tracepoint, at least; 0: as
	// many as any kernel gives.
	arguments int
}

// attached says whether the program hangs on the kernel's hook by itself.
func (h hook) attached() bool { return h.kind != kindIterator && h.kind != kindRun }

// lists says whether the program goes through the threads of the machine.
func (h hook) lists() bool {
	return h.kind == kindIterator && (h.target == "task" || h.target == "task_file")
}

// place is where a variant's programs keep the state of a socket.
type place int

const (
	inStorage place = iota // socket storage
	byAddress              // a hash map keyed by the socket's address
)

// variant is one way to carry an indicator.
type variant struct {
	name  string
	hooks []hook
	place place
}

// indicator is something to be recorded, with its ladder of variants, the
// best first.
type indicator struct {
	collector string
	name      string
	ladder    []variant
}

// essential collectors are recorded whole or not at all: an indicator that no
// variant carries is an error. Of the others the manifest says what is missing.
var essential = []string{"proc", "tcp"}

// essential says whether a recording without the indicator is none. Sockets can be
// recorded without a list of older ones, which some may not see.
func (i indicator) essential() bool {
	listing := slices.ContainsFunc(i.ladder, func(v variant) bool { return slices.ContainsFunc(v.hooks, hook.lists) })
	return slices.Contains(essential, i.collector) && !listing
}

func tracepoint(program, target string) hook {
	return hook{program: program, kind: kindTracepoint, target: target}
}

func iterator(program, target string) hook {
	return hook{program: program, kind: kindIterator, target: target}
}

// fetchBatch empties the batch of the CPU it is run on.
var fetchBatch = hook{program: bpf.KmonProgFetchBatch, kind: kindRun}

// What keeps the states of threads.
var (
	collectThreads = iterator(bpf.KmonProgCpuCollect, "task")
	forkThread     = tracepoint(bpf.KmonProgCpuFork, "sched_process_fork")
	switchThreads  = tracepoint(bpf.KmonProgCpuSwitch, "sched_switch")
)

// pair is a variant for each place with the same kind of hook.
func pair(kind, target, stored, addressed string, h func(program, target string) hook) []variant {
	name := kind + ":" + target
	return []variant{
		{name: name, hooks: []hook{h(stored, target)}, place: inStorage},
		{name: name, hooks: []hook{h(addressed, target)}, place: byAddress},
	}
}

// indicators is the table of what can be recorded and how (bpf/README.md).
// The first indicator of collector tcp decides the place for all its others.
var indicators = []indicator{
	{"tcp", "send", []variant{
		{name: "tp_btf:sock_send_length", hooks: []hook{tracepoint(bpf.KmonProgTcpSend, "sock_send_length")}},
		{name: "fexit:tcp_sendmsg", hooks: []hook{
			{program: bpf.KmonProgTcpSendFexit, kind: kindFexit, target: "tcp_sendmsg"},
			{program: bpf.KmonProgTcpSendpageFexit, kind: kindFexit, target: "tcp_sendpage", optional: true},
		}},
		{name: "kprobe:release_sock", place: byAddress, hooks: []hook{
			{program: bpf.KmonProgTcpSendKprobe, kind: kindKprobe, target: "release_sock"},
		}},
	}},
	{"tcp", "receive", pair("tp_btf", "tcp_rcv_space_adjust", bpf.KmonProgTcpReceive, bpf.KmonProgTcpReceiveByAddress, tracepoint)},
	{"tcp", "state", pair("tp_btf", "inet_sock_set_state", bpf.KmonProgTcpState, bpf.KmonProgTcpStateByAddress, tracepoint)},
	{"tcp", "free", pair("tp_btf", "tcp_destroy_sock", bpf.KmonProgTcpDestroy, bpf.KmonProgTcpDestroyByAddress, tracepoint)},
	{"tcp", "listeners", []variant{
		{name: "iter:task_file", hooks: []hook{iterator(bpf.KmonProgExistingListeners, "task_file")}, place: inStorage},
		{name: "iter:task_file", hooks: []hook{iterator(bpf.KmonProgExistingListeners, "task_file")}, place: byAddress},
	}},
	{"tcp", "existing", pair("iter", "task_file", bpf.KmonProgExistingSockets, bpf.KmonProgExistingSocketsByAddress, iterator)},
	{"tcp", "sweep", []variant{
		{name: "iter:bpf_sk_storage_map", hooks: []hook{iterator(bpf.KmonProgSweepSockets, "bpf_sk_storage_map"), fetchBatch}, place: inStorage},
		{name: "iter:bpf_map_elem", hooks: []hook{iterator(bpf.KmonProgSweepSocketsByAddress, "bpf_map_elem"), fetchBatch}, place: byAddress},
	}},
	{dropCollector, "accept-queue", queueLadder},
	{syscallCollector, callsIndicator, callLadder},
	{blockCollector, "asker", askerLadder},
	{blockCollector, "ios", ioLadder},
	{"cpu", "intervals", []variant{{name: "iter:task", hooks: []hook{collectThreads, forkThread, switchThreads}}}},
	{"cpu", "offcpu", []variant{{name: "tp_btf:sched_switch", hooks: []hook{collectThreads, forkThread, switchThreads}}}},
	{"cpu", "wakes", []variant{{name: "tp_btf:sched_waking", hooks: []hook{
		collectThreads, forkThread, tracepoint(bpf.KmonProgCpuWaking, "sched_waking")}}}},
	{"cpu", "oncpu", []variant{{name: "perf_event:cpu-clock", hooks: []hook{
		collectThreads, forkThread, {program: bpf.KmonProgCpuSample, kind: kindSample, target: "cpu-clock"}}}}},
	{dropCollector, retransmits, retransmitLadder},
	{dropCollector, resetsSent, resetSentLadder},
	{dropCollector, resetsReceived, resetReceivedLadder},
	{dropCollector, dropIndicator, dropLadder},
	{"proc", "fork", []variant{{name: "tp_btf:sched_process_fork", hooks: []hook{tracepoint(bpf.KmonProgProcFork, "sched_process_fork")}}}},
	{"proc", "exec", []variant{{name: "tp_btf:sched_process_exec", hooks: []hook{tracepoint(bpf.KmonProgProcExec, "sched_process_exec")}}}},
	{"proc", "exit", []variant{{name: "tp_btf:sched_process_exit", hooks: []hook{tracepoint(bpf.KmonProgProcExit, "sched_process_exit")}}}},
}

// hasProgram says whether a program is among those of some hooks.
func hasProgram(hooks []hook, program string) bool {
	return slices.ContainsFunc(hooks, func(h hook) bool { return h.program == program })
}

// inLadders says whether a program is of a variant of some ladders.
func inLadders(program string, ladders ...[]variant) bool {
	return slices.ContainsFunc(slices.Concat(ladders...), func(v variant) bool { return hasProgram(v.hooks, program) })
}

// allHooks lists every hook of every ladder once.
func allHooks() []hook {
	var hooks []hook
	for _, ind := range indicators {
		for _, v := range ind.ladder {
			hooks = append(hooks, v.hooks...)
		}
	}
	return hooks
}

// Collectors returns the names of all collectors, sorted.
func Collectors() []string {
	var names []string
	for _, ind := range indicators {
		if !slices.Contains(names, ind.collector) {
			names = append(names, ind.collector)
		}
	}
	sort.Strings(names)
	return names
}

// Ladders maps each indicator to the names of its variants, the best first.
func Ladders() map[string][]string {
	ladders := map[string][]string{}
	for _, ind := range indicators {
		for _, v := range ind.ladder {
			if !slices.Contains(ladders[ind.name], v.name) {
				ladders[ind.name] = append(ladders[ind.name], v.name)
			}
		}
	}
	return ladders
}

// Request says what is wanted of a plan.
type Request struct {
	Collectors []string
	// Asked says that somebody named the collectors. One of which nothing can
	// be recorded is then an error.
	Asked bool
	// Force names variants ("send": "kprobe:release_sock") to be used instead of
	// the best, for tests of kernels that have better ones.
	Force map[string]string
	// Settings maps collector → setting → value: what the rows of a collector
	// depend on, as it is written to the manifest.
	Settings map[string]map[string]string
	// Calls is what collector syscall counts.
	Calls Calls
	// Without maps indicators that are not wanted to why.
	Without map[string]string
}

// Plan says which programs to load and which variant carries each indicator.
type Plan struct {
	// Variants maps collector → indicator → variant name, as it is written to
	// the manifest.
	Variants map[string]map[string]string
	// Missing maps collector → indicator → why it is not recorded.
	Missing map[string]map[string]string
	// Settings are those of the request, of the collectors that are planned.
	Settings map[string]map[string]string
	// Calls is what collector syscall counts, if it runs.
	Calls Calls
	place place
	hooks []hook
	// reasons are those of the kernel's drops and resets.
	reasons Reasons
	// listenDrops is the kernel's number of that counter.
	listenDrops uint32
}

// Has says whether an indicator is planned.
func (p Plan) Has(collector, indicator string) bool { return p.Variants[collector][indicator] != "" }

// NewPlan picks for each indicator of the wanted collectors the first variant
// of its ladder that the kernel supports. It is a pure function of its
// arguments. An error names the indicator and what each variant lacks.
func NewPlan(facts Facts, request Request) (Plan, error) {
	plan := Plan{Variants: map[string]map[string]string{}, Missing: map[string]map[string]string{}, Settings: map[string]map[string]string{}, reasons: facts.Words, listenDrops: facts.ListenDrops}
	placed := false
	for _, ind := range indicators {
		if !slices.Contains(request.Collectors, ind.collector) || request.leavesOut(ind) {
			continue
		}
		if why, out := request.Without[ind.name]; out {
			note(plan.Missing, ind, why)
			continue
		}
		chosen, err := choose(facts, ind, request.force(ind), placed && ind.collector == "tcp", plan.place)
		if err != nil && (ind.essential() || request.Force[ind.name] != "") {
			return Plan{}, err
		}
		if err != nil {
			note(plan.Missing, ind, err.Error())
			continue
		}
		if ind.collector == "tcp" {
			plan.place, placed = chosen.place, true
		}
		plan.take(facts, ind, chosen)
	}
	plan.takeCounters(request)
	plan.takeRequestWaits(request)
	for name, settings := range request.Settings {
		if len(plan.Variants[name]) > 0 {
			plan.Settings[name] = settings
		}
	}
	return plan, plan.check(request)
}

// take adds the hooks of a variant that this kernel has.
func (p *Plan) take(facts Facts, ind indicator, chosen variant) {
	note(p.Variants, ind, chosen.name)
	for _, h := range chosen.hooks {
		if answer, _ := facts.supports(h); answer == Available && !slices.Contains(p.hooks, h) {
			p.hooks = append(p.hooks, h)
		}
	}
}

// note sets of[collector][indicator].
func note(of map[string]map[string]string, ind indicator, text string) {
	if of[ind.collector] == nil {
		of[ind.collector] = map[string]string{}
	}
	of[ind.collector][ind.name] = text
}

// check refuses a plan in which nothing is left of a collector that was asked
// for by name.
func (p Plan) check(request Request) error {
	for _, name := range request.Collectors {
		if !request.Asked || len(p.Variants[name]) > 0 {
			continue
		}
		for _, indicator := range slices.Sorted(maps.Keys(p.Missing[name])) {
			return fmt.Errorf("nothing of collector %s can be recorded here: %s", name, p.Missing[name][indicator])
		}
	}
	return nil
}

func choose(facts Facts, ind indicator, force string, placed bool, at place) (variant, error) {
	var refused []string
	for _, v := range ind.ladder {
		if force != "" && v.name != force || placed && v.place != at {
			continue
		}
		answer, why := facts.supportsVariant(v)
		switch answer {
		case Available:
			return v, nil
		case CouldNotTell:
			return variant{}, fmt.Errorf("%s %s: could not tell whether %s works here: %s", ind.collector, ind.name, v.name, why)
		}
		refused = append(refused, v.name+": "+why)
	}
	if len(refused) == 0 {
		return variant{}, fmt.Errorf("%s %s: no variant named %q", ind.collector, ind.name, force)
	}
	return variant{}, fmt.Errorf("%s %s: this kernel supports no variant (%s)", ind.collector, ind.name, strings.Join(refused, "; "))
}

func (f Facts) supportsVariant(v variant) (Answer, string) {
	for _, h := range v.hooks {
		answer, why := f.supports(h)
		if answer == NotSupported && h.optional {
			continue
		}
		if answer != Available {
			return answer, why
		}
	}
	return Available, ""
}

// supports says whether one hook works, and if not why.
func (f Facts) supports(h hook) (Answer, string) {
	for _, field := range fieldsOf[h.program] {
		if !f.Fields[field] {
			return NotSupported, "no field " + field
		}
	}
	switch h.kind {
	case kindTracepoint:
		if !f.Tracepoints[h.target] {
			return NotSupported, "no tracepoint " + h.target
		}
		if have := f.Arguments[h.target]; have < h.arguments {
			return NotSupported, fmt.Sprintf("tracepoint %s has %d arguments, not %d", h.target, have, h.arguments)
		}
		return f.Tracing, f.Reasons["tracing"]
	case kindFexit:
		if _, ok := f.Functions[h.target]; !ok {
			return NotSupported, "no function " + h.target
		}
		return f.Fentry, f.Reasons["fentry"]
	case kindKprobe:
		if _, ok := f.Functions[h.target]; !ok {
			return NotSupported, "no function " + h.target
		}
		return f.Kprobe, f.Reasons["kprobe"]
	case kindIterator:
		if h.lists() && f.Listing == NotSupported {
			return f.Listing, f.Reasons["listing"]
		}
		return f.Tracing, f.Reasons["tracing"]
	case kindSample:
		return f.Sampling, f.Reasons["sampling"]
	default:
		return f.Tracing, f.Reasons["tracing"]
	}
}
