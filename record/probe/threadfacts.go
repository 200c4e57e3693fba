package probe

import (
	"errors"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"kmon/bpf"
)

// fieldsOf names the fields, and enumerators, that programs read and that not
// every kernel or configuration of one has.
var fieldsOf = map[string][]string{
	bpf.KmonProgCpuSwitch:  {accountRuntime, accountBefore, accountDelay, accountSlices, accountSwitches, queueClock, queueArrival, queueQueued},
	bpf.KmonProgCpuCollect: {accountRuntime, accountDelay, accountSlices, accountSwitches, queueClock, queueArrival, queueQueued},

	bpf.KmonProgBlockIssue: {ioDisk, ioOperation, ioFlag},
	bpf.KmonProgBlockStart: {ioDisk, ioOperation, ioFlag},
	bpf.KmonProgBlockGetrq: {ioDisk, ioOperation, ioFlag},

	bpf.KmonProgFindCpuMemory: {listenDrops, lookupPerCPU, "bpf_array.pptrs", "net.mib.net_statistics"},
}

const (
	accountRuntime  = "task_struct.se.sum_exec_runtime"
	accountBefore   = "task_struct.se.prev_sum_exec_runtime"
	accountDelay    = "task_struct.sched_info.run_delay" // CONFIG_SCHED_INFO
	accountSlices   = "task_struct.sched_info.pcount"
	accountSwitches = "task_struct.nvcsw"
	queueClock      = "task_struct.se.cfs_rq.rq.clock" // CONFIG_FAIR_GROUP_SCHED
	queueArrival    = "task_struct.sched_info.last_arrival"
	queueQueued     = "task_struct.sched_info.last_queued"
	ioDisk          = "request.q.disk.first_minor" // since 5.15, and later than the present arguments of the hooks
	ioOperation     = "req_op.REQ_OP_ZONE_APPEND"  // since 6.0; before, the enum had another name
	ioFlag          = "req_flag_bits.__REQ_SYNC"
)

// allFields are the fields of fieldsOf and what tells a kernel's age.
func allFields() []string {
	all := []string{taskStorage}
	for _, fields := range fieldsOf {
		all = append(all, fields...)
	}
	return all
}

// fieldsIn looks for all of them.
func fieldsIn(spec *btf.Spec) map[string]bool {
	there := map[string]bool{}
	for _, path := range allFields() {
		name, members, _ := strings.Cut(path, ".")
		var s *btf.Struct
		if spec.TypeByName(name, &s) == nil && hasMember(s, strings.Split(members, ".")) {
			there[path] = true
		}
		var e *btf.Enum
		if spec.TypeByName(name, &e) == nil && slices.ContainsFunc(e.Values, func(v btf.EnumValue) bool { return v.Name == members }) {
			there[path] = true
		}
	}
	return there
}

// hasMember follows a path of members through structs, unions without a name
// and pointers.
func hasMember(t btf.Type, path []string) bool {
	if len(path) == 0 {
		return true
	}
	for {
		pointer, ok := btf.UnderlyingType(t).(*btf.Pointer)
		if !ok {
			break
		}
		t = pointer.Target
	}
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == path[0] && hasMember(m.Type, path[1:]) || m.Name == "" && hasMember(m.Type, path) {
			return true
		}
	}
	return false
}

// openClock opens a software clock on one CPU that samples hz times a second.
func openClock(cpu, hz int) (int, error) {
	return unix.PerfEventOpen(&unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK,
		Sample: uint64(hz), Bits: unix.PerfBitFreq,
	}, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
}

// trySampling opens a clock for one moment, on the first CPU, which is always
// online where it can't be taken away.
func trySampling() error {
	fd, err := openClock(0, 1)
	if errors.Is(err, unix.ENODEV) { // offline: no answer of the kind that is asked for
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
