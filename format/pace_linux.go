package format

import "golang.org/x/sys/unix"

// thread is a thread of this process, and how it was scheduled.
type thread struct {
	id  int
	was unix.SchedAttr
}

func currentThread() thread {
	t := thread{id: unix.Gettid()}
	if attr, err := unix.SchedGetAttr(t.id, 0); err == nil {
		t.was = *attr
	}
	return t
}

// last puts the thread behind all others: it never takes a CPU from one that
// runs (SCHED_BATCH), and has the least share of a full CPU (nice 19), see
// sched(7). SCHED_IDLE would leave it so little that on a full machine the Go
// runtime, which must stop each thread to collect garbage, kept the thread that
// reads the rings waiting for seconds.
func (t thread) last() error {
	if t.was.Policy != unix.SCHED_NORMAL {
		return unix.EINVAL // whoever started kmon chose something else
	}
	attr := t.was
	attr.Policy, attr.Nice = unix.SCHED_BATCH, 19
	return unix.SchedSetAttr(t.id, &attr, 0)
}

// normal undoes last. Without CAP_SYS_NICE, RLIMIT_NICE may forbid it.
func (t thread) normal() error { return unix.SchedSetAttr(t.id, &t.was, 0) }
