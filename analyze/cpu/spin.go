package cpu

import "kmon/format"

// Busy is what a thread does on a CPU that may be no work.
type Busy uint8

// What samples are told apart by.
const (
	Working  Busy = iota // whatever it is
	Yielding             // sched_yield(2)
	Locking              // futex(2), or the spinning part of a lock of the kernel
)

// busyNames are the kernel's functions, without what compilers append. Sources:
// the kernels' code; mutexes and semaphores spin in functions of their own while
// the holder runs.
var busyNames = map[string]Busy{
	"sys_sched_yield": Yielding, "do_sched_yield": Yielding, "yield": Yielding, "yield_task_fair": Yielding,
	"sys_futex": Locking, "do_futex": Locking, "futex_wait": Locking, "futex_wake": Locking,
	"__futex_wait": Locking, "futex_wait_setup": Locking, "futex_lock_pi": Locking, "futex_unlock_pi": Locking,
	"native_queued_spin_lock_slowpath": Locking, "queued_spin_lock_slowpath": Locking, "__pv_queued_spin_lock_slowpath": Locking,
	"queued_read_lock_slowpath": Locking, "queued_write_lock_slowpath": Locking, "rt_spin_lock": Locking,
	"osq_lock": Locking, "mutex_spin_on_owner": Locking, "mutex_optimistic_spin": Locking,
	"rwsem_spin_on_owner": Locking, "rwsem_optimistic_spin": Locking,
}

// addBusyFrame notes a frame of the kernel that tells.
func (s *Stacks) addBusyFrame(f *format.Frame) {
	if f.Kind != format.FrameKernel || f.Symbol == "" {
		return
	}
	if b := busyNames[plain(f.Symbol)]; b != Working {
		s.busyFrames[f.FrameID] = b
	}
}

// addBusyRow notes a stack that has such a frame; a call of yield(2) counts
// before the lock that the scheduler takes for it.
func (s *Stacks) addBusyRow(row *format.Stack) {
	b := s.busyFrames[row.FrameID]
	if b != Working && (s.busy[row.StackID] == Working || b == Yielding) {
		s.busy[row.StackID] = b
	}
}

// Busy gives what a sample with a kernel stack was at.
func (s *Stacks) Busy(kernel int64) Busy { return s.busy[kernel] }
