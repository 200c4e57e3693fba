package probe

import (
	"slices"

	"github.com/cilium/ebpf"

	"kmon/bpf"
)

// waitingCalls are what a thread that sleeps in a system call waits for: in those
// that are not named, something else. In calls about memory only the lock of the
// memory makes a thread wait.
var waitingCalls = map[bpf.KmonWaitClass][]string{
	bpf.KmonWaitClassWAIT_LOCK: {
		"futex", "futex_waitv", "futex_wait", "flock",
		"mmap", "munmap", "mremap", "mprotect", "madvise", "brk",
	},
	bpf.KmonWaitClassWAIT_NETWORK: {
		"read", "readv", "recvfrom", "recvmsg", "recvmmsg",
		"write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice",
		"accept", "accept4", "connect",
		"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter",
	},
	bpf.KmonWaitClassWAIT_SLEEP: {"nanosleep", "clock_nanosleep"},
}

// accountsRequests says whether the waits of threads are kept for the requests that
// they serve: threads and sockets are recorded, and the states of sockets may be
// used by the same programs as those of threads.
func (p Plan) accountsRequests() bool {
	return p.place == inStorage && p.Has("tcp", "receive") && hasProgram(p.hooks, bpf.KmonProgCpuSwitch)
}

// RequestWaits is the indicator of collector tcp that tells what the thread which
// served a request waited for. It takes collector cpu as well.
const RequestWaits = "request-waits"

// takeRequestWaits says whether requests have their waits, and if not why.
func (p *Plan) takeRequestWaits(request Request) {
	waits := indicator{collector: "tcp", name: RequestWaits}
	switch {
	case !slices.Contains(request.Collectors, "tcp"):
	case !slices.Contains(request.Collectors, "cpu"):
		note(p.Missing, waits, "not asked for (-e tcp,cpu)")
	case p.accountsRequests():
		note(p.Variants, waits, kindPrefix[switchThreads.kind]+":"+switchThreads.target)
	case p.place != inStorage:
		note(p.Missing, waits, "what threads waited for is out of reach of "+p.Variants["tcp"]["send"]+": of requests only their callees are known")
	default:
		note(p.Missing, waits, "collector cpu does not see threads wait here: of requests only their callees are known")
	}
}

// setAccounts tells the programs whether to keep them, and how.
func (p Plan) setAccounts(spec *ebpf.CollectionSpec) error {
	if err := setVariable(spec.Variables, bpf.KmonVarAccountRequests, p.accountsRequests()); err != nil {
		return err
	}
	return setVariable(spec.Variables, bpf.KmonVarCallWaits, callWaits())
}

// callWaits is the kind of wait by number of a system call.
func callWaits() (waits [bpf.KmonCallIdsCALL_NUMBERS]uint8) {
	for i := range waits {
		waits[i] = uint8(bpf.KmonWaitClassWAIT_OTHER)
	}
	for class, names := range waitingCalls {
		for _, name := range names {
			if number := slices.Index(callNames[:], name); number >= 0 {
				waits[number] = uint8(class)
			}
		}
	}
	return waits
}
