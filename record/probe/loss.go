package probe

import (
	"fmt"
	"slices"

	"kmon/bpf"
	"kmon/format"
)

// Lost is a number of events that the kernel could not hand over, or Uncounted.
type Lost struct {
	Collector, Table string
	Cause            format.LossCause
	Count            int64
}

// lossSlots names the kernel's loss counters (enum loss_slot in bpf/emit.h).
var lossSlots = map[bpf.KmonLossSlot]Lost{
	bpf.KmonLossSlotLOSS_EXCHANGE_RING: {"tcp", "exchanges", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_SOCKET_RING:   {"tcp", "sockets", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_LISTENER_RING: {"tcp", "listeners", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_PROC_RING:     {"proc", "procs", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_SOCKET_STATE:  {"tcp", "sockets", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_SOCKET_BUSY:   {"tcp", "exchanges", format.LossMissedHit, 0},
	bpf.KmonLossSlotLOSS_CALL_COUNT:    {syscallCollector, "syscalls", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_INTERVAL_RING: {"cpu", "intervals", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_SAMPLE_RING:   {"cpu", "oncpu", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_THREAD_STATE:  {"cpu", "intervals", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_WAIT_TABLE:    {"cpu", "offcpu", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_WAKE_TABLE:    {"cpu", "wakes", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_QUEUE_RING:    {dropCollector, "acceptqueues", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_QUEUE_STATE:   {dropCollector, "acceptqueues", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_STACK_TABLE:   {"cpu", "stacks", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_NET_EVENT:     {dropCollector, "netevents", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_IO_RING:       {blockCollector, "ios", format.LossRingFull, 0},
	bpf.KmonLossSlotLOSS_IO_STATE:      {blockCollector, "ios", format.LossStateFull, 0},
	bpf.KmonLossSlotLOSS_IO_END:        {blockCollector, "ios", format.LossMissedHit, 0},
	bpf.KmonLossSlotLOSS_MESSAGE:       {"tcp", "exchanges", format.LossStateFull, 0},

	bpf.KmonLossSlotLOSS_EXCHANGE_SHED:   left[PartTCP][0],
	bpf.KmonLossSlotLOSS_WAIT_SHED:       left[PartOffCPU][0],
	bpf.KmonLossSlotLOSS_USER_STACK_SHED: left[PartUserStacks][0],
	bpf.KmonLossSlotLOSS_IO_SHED:         left[PartBlock][0],
}

// Losses returns what was lost since the previous call.
func (s *Session) Losses() ([]Lost, error) {
	var lost []Lost
	m := s.collection.Maps[bpf.KmonMapLosses]
	for slot := bpf.KmonLossSlot(0); slot < bpf.KmonLossSlotLOSS_SLOTS; slot++ {
		what, named := lossSlots[slot]
		if !named {
			continue
		}
		var perCPU []uint64
		if err := m.Lookup(uint32(slot), &perCPU); err != nil {
			return lost, fmt.Errorf("read loss counters: %w", err)
		}
		var sum uint64
		for _, n := range perCPU {
			sum += n
		}
		if sum > s.counted[slot] {
			what.Count = int64(sum - s.counted[slot])
			s.counted[slot] = sum
			lost = append(lost, what)
		}
	}
	lost = slices.Concat(lost, s.missedRuns(), s.lostTargets(), s.ends.lost())
	return s.shedLosses(lost), nil
}

// missedRuns counts runs that the kernel skipped because the same program was
// already running on that CPU. Byte counts heal by themselves (the next look
// at the socket's positions sees them); the message or event does not.
func (s *Session) missedRuns() []Lost {
	var lost []Lost
	for _, h := range s.plan.hooks {
		prog := s.collection.Programs[h.program]
		if prog == nil || !h.attached() || standsIn(h.program) {
			continue
		}
		stats, err := prog.Stats()
		if err != nil {
			continue // before 5.12 the kernel does not count them
		}
		if n := stats.RecursionMisses; n > s.missed[h.program] {
			collector, table := owner(h.program)
			lost = append(lost, Lost{collector, table, format.LossMissedHit, int64(n - s.missed[h.program])})
			s.missed[h.program] = n
		}
	}
	return lost
}

// owner is the collector and table a program feeds.
func owner(program string) (collector, table string) {
	if isCallProgram(program) {
		return syscallCollector, "syscalls"
	}
	if isNetEventProgram(program) {
		return dropCollector, "netevents"
	}
	if isBlockProgram(program) {
		return blockCollector, "ios"
	}
	switch program {
	case bpf.KmonProgProcFork, bpf.KmonProgProcExec, bpf.KmonProgProcExit:
		return "proc", "procs"
	case bpf.KmonProgTcpState, bpf.KmonProgTcpStateByAddress, bpf.KmonProgTcpDestroy, bpf.KmonProgTcpDestroyByAddress:
		return "tcp", "sockets"
	case bpf.KmonProgQueueState:
		return dropCollector, "acceptqueues"
	case bpf.KmonProgCpuSwitch:
		return "cpu", "offcpu"
	case bpf.KmonProgCpuWaking:
		return "cpu", "wakes"
	case bpf.KmonProgCpuFork:
		return "cpu", "intervals"
	case bpf.KmonProgCpuSample:
		return "cpu", "oncpu"
	}
	return "tcp", "exchanges"
}
