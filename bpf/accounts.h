/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the time of a request went: what the thread that serves it waited for
 * between the first message of the request and the last of the answer. The kernel
 * keeps the waits in run queues, kmon the others by what they were for; what is
 * left of the request the thread was on a CPU.
 *
 * A switch only notes that a wait began. How long it was is reckoned when somebody
 * asks or the next one begins, from what the scheduler notes by itself when a
 * thread gets a CPU: nothing is done when it comes back.
 */
#ifndef KMON_ACCOUNTS_H
#define KMON_ACCOUNTS_H

#include "socket_state.h"
#include "thread_state.h"
#include "call_id.h"

/* Set before loading. Whether threads and sockets are both recorded, and by number
 * of a system call what a thread waits for in it (enum wait_class). */
const volatile bool account_requests = false;
const volatile u8 call_waits[CALL_NUMBERS] = {};

/* call_of is the system call that a thread which leaves its CPU is in. */
static __always_inline u32 call_of(struct task_struct *task)
{
	if (task->flags & PF_KTHREAD || !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return CALL_NONE;
	return call_id((struct pt_regs *)bpf_task_pt_regs(task), task);
}

/* wait_class tells what a wait is for. In uninterruptible ones that are not for an
 * IO, calls about memory wait for its lock, as page faults do. */
static __always_inline u32 wait_class(struct task_struct *task, bool uninterruptible)
{
	u32 call = call_of(task);
	u32 class = call < CALL_NUMBERS ? call_waits[call & (CALL_NUMBERS - 1)] : WAIT_OTHER;

	if (!uninterruptible)
		return class;
	if ((class == WAIT_LOCK || call == CALL_NONE) && !BPF_CORE_READ_BITFIELD(task, in_iowait))
		return WAIT_LOCK;
	return WAIT_DISK;
}

/* end_wait adds the last wait of a thread that runs, or leaves its CPU, to its
 * accounts, if it is not there yet. Since it began the thread waited in run queues,
 * and if it was preempted since, it had run before it last got a CPU. */
static __always_inline void end_wait(struct task_struct *task, struct thread_state *s)
{
	u64 away, delay, ran;
	u32 class;

	if (!s->waits_for)
		return;
	/* A program that reads accounts may be preempted here. */
	class = __sync_lock_test_and_set(&s->waits_for, 0) - 1;
	if (class >= WAIT_CLASSES)
		return;
	away = task->sched_info.last_arrival - s->slept_ns;
	delay = task->sched_info.run_delay - s->begun_delay_ns;
	ran = task->se.prev_sum_exec_runtime;
	ran = ran > s->begun_exec_ns ? ran - s->begun_exec_ns : 0;
	if ((s64)(away - delay - ran) > 0)
		s->waited_ns[class] += away - delay - ran;
}

/* begin_wait notes that a thread waits from now on. */
static __always_inline void begin_wait(struct task_struct *task, struct thread_state *s, bool uninterruptible)
{
	s->begun_exec_ns = task->se.sum_exec_runtime;
	s->begun_delay_ns = task->sched_info.run_delay;
	s->waits_for = wait_class(task, uninterruptible) + 1;
}

/* read_account fills what the current thread waited for in all its life; false: it
 * is not recorded. */
static __always_inline bool read_account(struct thread_account *a)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *s = thread(task);

	if (!s || !thread_wanted(s, task))
		return false;
	end_wait(task, s);
	a->run_queue = task->sched_info.run_delay >> ACCOUNT_SHIFT;
	a->lock = s->waited_ns[WAIT_LOCK] >> ACCOUNT_SHIFT;
	a->disk = s->waited_ns[WAIT_DISK] >> ACCOUNT_SHIFT;
	a->network = s->waited_ns[WAIT_NETWORK] >> ACCOUNT_SHIFT;
	a->sleep = s->waited_ns[WAIT_SLEEP] >> ACCOUNT_SHIFT;
	a->other = s->waited_ns[WAIT_OTHER] >> ACCOUNT_SHIFT;
	return true;
}

/* before_tail cuts off what was waited for a CPU after an answer had left, at ts_ns: whom it
 * woke may have taken the CPU before the hook fired. */
static __always_inline u32 before_tail(u32 run_queue, u64 ts_ns)
{
	u64 tail = (bpf_ktime_get_ns() - ts_ns) >> ACCOUNT_SHIFT;

	return tail < run_queue ? run_queue - tail : 0;
}

/*
 * note_account notes at a message of a server's socket, whose lock is held, what the
 * current thread tid has waited for since the request began. A request that several
 * threads had to do with is none of theirs.
 */
static __always_inline void note_account(struct socket_state *s, bool request, u64 ts_ns, u32 tid)
{
	bool first = request && s->request_messages == 1 && !(s->exchange_flags & EXCHANGE_CONTINUED);
	struct thread_account *begun = &s->begun, *parts = &s->parts;

	if (first) {
		s->serving_tid = read_account(begun) ? tid : 0;
		return;
	}
	if (!s->request_first_ns || !s->serving_tid || s->exchange_flags & EXCHANGE_HANDED_OVER)
		return;
	if (s->serving_tid != tid || !read_account(parts)) {
		s->exchange_flags |= EXCHANGE_HANDED_OVER;
		s->exchange_flags &= ~EXCHANGE_ACCOUNTED;
		return;
	}
	if (request)
		return;
	parts->run_queue -= begun->run_queue;
	if (parts->run_queue)
		parts->run_queue = before_tail(parts->run_queue, ts_ns);
	parts->lock -= begun->lock;
	parts->disk -= begun->disk;
	parts->network -= begun->network;
	parts->sleep -= begun->sleep;
	parts->other -= begun->other;
	s->exchange_flags |= EXCHANGE_ACCOUNTED;
}

#endif
