package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"kmon/bpf"
	"kmon/format"
	"kmon/record/spelling"
)

// Calls says what collector syscall counts, per process and interval. The zero
// value counts nothing.
type Calls struct {
	// Numbers are system calls, sorted (ParseCalls).
	Numbers []int
	// Latency has the time inside measured too, which doubles the cost.
	Latency bool
	// Counters are tracepoints and functions, at most MaxCounters.
	Counters []Counter
}

// Empty says whether nothing is to be counted.
func (c Calls) Empty() bool { return len(c.Numbers)+len(c.Counters) == 0 }

// AllCalls is the word for every system call.
const AllCalls = "all"

// DefaultCalls are the system calls that tell a livelock from work: those that
// move bytes, wait, or give the CPU away. Those that an architecture does not
// have are left out there.
var DefaultCalls = []string{
	"read", "pread64", "readv", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg",
	"write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice",
	"futex", "futex_wait", "futex_waitv", "futex_wake",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "io_uring_enter",
	"sched_yield", "nanosleep", "clock_nanosleep",
	"connect", "accept", "accept4",
}

// CallNames returns the names of all system calls of this architecture, sorted.
func CallNames() []string {
	var names []string
	for _, name := range callNames {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ParseCalls turns names of system calls, or AllCalls, into their numbers. nil
// stands for DefaultCalls. An error names the nearest calls.
func ParseCalls(names []string) ([]int, error) {
	if names == nil {
		names = slices.DeleteFunc(slices.Clone(DefaultCalls), func(name string) bool { return callNumber(name) < 0 })
	}
	var numbers []int
	for _, name := range names {
		if name == AllCalls {
			for number := range int(bpf.KmonCallIdsCALL_NUMBERS) {
				numbers = append(numbers, number)
			}
			continue
		}
		number := callNumber(name)
		if number < 0 {
			return nil, fmt.Errorf("there is no system call %q on this architecture%s", name, didYouMean(spelling.Near(name, CallNames(), nearNames)))
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// callNumber is the number of a system call; -1: there is none of that name.
func callNumber(name string) int {
	if name == "" {
		return -1
	}
	return slices.Index(callNames[:], name)
}

// callName is the name of what was counted under an id of the kernel's map.
func (c Calls) callName(id uint16) (format.CounterKind, string) {
	switch {
	case id == uint16(bpf.KmonCallIdsCALL_COMPAT):
		return format.CounterSyscall, "32-bit"
	case id >= uint16(bpf.KmonCallIdsCALL_COUNTERS):
		if i := int(id) - int(bpf.KmonCallIdsCALL_COUNTERS); i < len(c.Counters) {
			return c.Counters[i].Kind, c.Counters[i].Name
		}
	case int(id) < len(callNames) && callNames[id] != "":
		return format.CounterSyscall, callNames[id]
	}
	return format.CounterSyscall, fmt.Sprintf("number_%d", id) // a call younger than this program
}

// The variants of indicator calls: one hook gives number and result, a second
// the time of entry.
var callLadder = []variant{
	{name: "tp_btf:sys_exit", hooks: []hook{tracepoint(bpf.KmonProgCallExit, "sys_exit")}},
	{name: timedCalls, hooks: []hook{
		tracepoint(bpf.KmonProgCallEnterTimed, "sys_enter"), tracepoint(bpf.KmonProgCallExitTimed, "sys_exit"),
	}},
}

const (
	syscallCollector = "syscall"
	callsIndicator   = "calls"
	timedCalls       = "tp_btf:sys_enter+sys_exit"
)

// notAsked is why a recording by default counts no system calls.
const notAsked = "not asked for (-e syscall, --syscalls or --count): counting makes every system call of the machine some 50 ns slower"

// leavesOut says that the request does not want an indicator of a collector it
// wants: with counters alone, system calls stay as fast as they are.
func (r Request) leavesOut(ind indicator) bool {
	return ind.collector == syscallCollector && len(r.Calls.Numbers) == 0
}

// force is the variant that the request insists on; "": the best.
func (r Request) force(ind indicator) string {
	if name := r.Force[ind.name]; name != "" || ind.collector != syscallCollector || !r.Calls.Latency {
		return name
	}
	return timedCalls
}

// takeCounters plans what hangs on tracepoints and functions that the request
// names, and says so when calls are not counted.
func (p *Plan) takeCounters(request Request) {
	calls := indicator{collector: syscallCollector, name: callsIndicator}
	if !slices.Contains(request.Collectors, syscallCollector) {
		note(p.Missing, calls, notAsked)
		return
	}
	p.Calls = request.Calls
	for i, counter := range request.Calls.Counters {
		h := counter.hook(i)
		p.hooks = append(p.hooks, h)
		note(p.Variants, indicator{collector: syscallCollector, name: counter.Name}, kindPrefix[h.kind]+":"+h.target)
	}
}

// setCalls tells the programs which calls are counted, and leaves out the maps
// of counts where there are none.
func (p Plan) setCalls(spec *ebpf.CollectionSpec) error {
	if p.Calls.Empty() {
		delete(spec.Maps, bpf.KmonMapCallsEven)
		delete(spec.Maps, bpf.KmonMapCallsOdd)
	}
	if !p.Calls.Latency {
		delete(spec.Maps, bpf.KmonMapCallEntered)
	}
	var counted [bpf.KmonCallIdsCALL_NUMBERS]uint8
	for _, number := range p.Calls.Numbers {
		counted[number] = 1
	}
	return setVariable(spec.Variables, bpf.KmonVarCountedCalls, counted)
}

// isCallProgram says whether a program feeds table syscalls.
func isCallProgram(program string) bool {
	return slices.Contains(countTracepoint, program) || slices.Contains(countFunction, program) || inLadders(program, callLadder)
}

// didYouMean is the end of a sentence about a name that is not known.
func didYouMean(near []string) string {
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// Settings are what the rows of table syscalls depend on, for the manifest.
func (c Calls) Settings() map[string]string {
	var names []string
	for _, number := range c.Numbers {
		_, name := c.callName(uint16(number))
		names = append(names, name)
	}
	slices.Sort(names)
	list := strings.Join(names, ",")
	if len(names) == int(bpf.KmonCallIdsCALL_NUMBERS) {
		list = AllCalls
	}
	s := map[string]string{"calls": list, "latency": "no"}
	if c.Latency {
		s["latency"] = "yes"
	}
	return s
}
