/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel keeps for each recorded thread while it lives. Threads of the
 * recorder have no state, so nothing of theirs is recorded.
 */
#ifndef KMON_THREAD_STATE_H
#define KMON_THREAD_STATE_H

#include "emit.h"
#include "control.h"

/* The same numbers as format.ThreadState. */
enum thread_state_kind { STATE_SLEEP = 1, STATE_DISK = 2, STATE_RUNNABLE = 3 };

/* What a thread waits for, as far as it costs nothing to tell. */
enum wait_class {
	WAIT_LOCK = 0,    /* a futex, or a lock of the kernel on memory */
	WAIT_DISK = 1,    /* uninterruptible: disk or filesystem */
	WAIT_NETWORK = 2, /* a socket, a pipe, or any of many (epoll) */
	WAIT_SLEEP = 3,   /* a time */
	WAIT_OTHER = 4,
	WAIT_CLASSES = 5,
};

struct thread_state {
	/* What every switch and wake-up touches: one cache line with the kernel's
	 * own 16 bytes. */
	u64 slept_ns;   /* clock of the run queue when it last went to sleep */
	u64 waker;      /* who woke it last, tgid << 32 | tid */
	u64 user_stack; /* key of its user stack at slept_ns; 0: not taken */
	u32 wakes;      /* by that waker; goes on counting */
	u32 wakes_told; /* of them, told */
	u32 generation; /* of the targets that decided wanted; 0: undecided */
	u8 wanted;
	u8 slept_state; /* STATE_SLEEP or STATE_DISK */
	u8 pad[2];
	u32 busy; /* somebody changes waker or tells its count */
	u32 slept_delay; /* its waits in run queues at slept_ns, coarse_delay */
	/* What accounts.h keeps: another line. */
	u64 begun_exec_ns;  /* its time on CPUs at slept_ns */
	u64 begun_delay_ns; /* its waits in run queues at slept_ns */
	u32 waits_for;      /* enum wait_class + 1 since slept_ns; 0: that is in waited_ns already */
	u32 pad2;
	u64 waited_ns[WAIT_CLASSES]; /* in all its life */
	/* The kernel's accounts of the thread as far as they were told. */
	u64 on_cpu_ns;
	u64 run_queue_ns;
	u64 timeslices;
	u64 voluntary;
	u64 involuntary;
};

/* A thread's state lives and dies with the thread. It is made when the thread
 * is, or when the recording begins: never by the scheduler, which must not ask
 * for memory. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

/* Set by the recorder. The generation changes with the targets; it is never 0
 * once they are set. */
u32 thread_targets = 0;
bool all_threads = false;

static __always_inline struct thread_state *thread(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, NULL, 0);
}

static __always_inline bool thread_wanted(struct thread_state *s, struct task_struct *task)
{
	if (s->generation != thread_targets) {
		s->generation = thread_targets;
		s->wanted = all_threads || is_target(task->tgid, task);
	}
	return s->wanted;
}

static __always_inline u64 thread_id(struct task_struct *task)
{
	return (u64)task->tgid << 32 | (u32)task->pid;
}

#endif
