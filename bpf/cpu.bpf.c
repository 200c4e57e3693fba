//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector cpu: what threads did on the CPUs and waited for. The kernel keeps
 * most accounts itself; a switch costs only the note when a thread went to
 * sleep. How long it slept and how long it then stood in the run queue is known
 * when it comes back, from the run queue's clock, which needs no reading of a
 * timer.
 */
#include "accounts.h"
#include "stack.h"
#include "shed.h"
#include <bpf/bpf_tracing.h>

/* Waits of one interval that are alike. Rows of two intervals stand side by
 * side for a moment: epoch tells them apart. */
struct wait_key {
	u64 kernel_stack;
	u64 user_stack;
	u32 tgid;
	u16 state; /* enum thread_state_kind */
	u16 epoch;
};

struct wait_sum {
	u64 count;
	u64 total_ns;
	u64 max_ns;
	u64 waiting; /* of count, not yet over */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wait_key);
	__type(value, struct wait_sum);
	__uint(max_entries, 32768);
} waits SEC(".maps");

struct wake_key {
	u64 waker;
	u64 woken;
	u64 epoch;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wake_key);
	__type(value, u64);
	__uint(max_entries, 65536);
} wakes SEC(".maps");

/* What the iterator does with each thread. */
enum collect_mode {
	COLLECT_BASELINE = 0, /* what happened so far does not count */
	COLLECT_INTERVAL = 1, /* tell what happened since the last time */
	COLLECT_LAST = 2,     /* that, and the waits that are not over */
};

/* Set by the recorder. */
u32 collecting = 0;
u32 epoch = 0;
const volatile u64 off_cpu_min_ns = 0;
bool take_user_stacks = false;

/* clock is the time of the run queue of a task's CPU: that of the latest switch
 * or tick there. */
static __always_inline u64 clock(struct task_struct *task)
{
	return task->se.cfs_rq->rq->clock;
}

static __always_inline void add_wait(struct wait_key *key, u64 ns, u64 waiting)
{
	static const struct wait_sum empty;
	struct wait_sum *sum = find_or_add(&waits, key, &empty);

	if (!sum) {
		count_loss(LOSS_WAIT_TABLE, 1);
		return;
	}
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->total_ns, ns);
	if (waiting)
		__sync_fetch_and_add(&sum->waiting, waiting);
	keep_max(&sum->max_ns, ns);
}

/* coarse_delay is what a task has waited in run queues in all its life, without
 * the wait that goes on, in units of 1024 ns; it wraps after 73 minutes. */
static __always_inline u32 coarse_delay(struct task_struct *task)
{
	return task->sched_info.run_delay >> 10;
}

/* waited adds what a task that does not run has waited for until now: sleep
 * until it was woken, then the run queues. last_queued is when it came into the
 * last of these: one that is moved to another CPU has waited before. */
static __always_inline void waited(struct task_struct *task, struct thread_state *s, u64 now, bool over)
{
	u64 queued = task->sched_info.last_queued;
	u64 sleep = 0, queue = 0, off;
	struct wait_key key = {};

	if (queued && now > queued)
		queue = now - queued;
	/* An older sleep was too short to be asked about when it ended. */
	if (s->slept_ns && s->slept_ns >= task->sched_info.last_arrival && now > s->slept_ns) {
		off = now - s->slept_ns;
		queue += (u64)(coarse_delay(task) - s->slept_delay) << 10;
		if (queue > off)
			queue = off;
		sleep = off - queue;
	}
	if (sleep < off_cpu_min_ns)
		sleep = 0;
	if (queue < off_cpu_min_ns)
		queue = 0;
	if (!sleep && !queue)
		return;
	if (shed & SHED_OFF_CPU) {
		count_loss(LOSS_WAIT_SHED, (sleep > 0) + (queue > 0));
		return;
	}
	if (shed & SHED_USER_STACKS && s->user_stack == STACK_NOT_TAKEN)
		count_loss(LOSS_USER_STACK_SHED, 1);
	key.kernel_stack = take_task_stack(task, DESK_SWITCH);
	key.user_stack = s->user_stack;
	key.tgid = task->tgid;
	key.epoch = epoch;
	if (sleep) {
		key.state = s->slept_state;
		add_wait(&key, sleep, !over && !queued);
	}
	if (queue) {
		key.state = STATE_RUNNABLE;
		add_wait(&key, queue, !over);
	}
}

static __always_inline void add_wakes(u64 waker, u64 woken, u64 count)
{
	struct wake_key key = {.waker = waker, .woken = woken, .epoch = epoch};
	u64 none = 0, *n = find_or_add(&wakes, &key, &none);

	if (!n) {
		count_loss(LOSS_WAKE_TABLE, count);
		return;
	}
	__sync_fetch_and_add(n, count);
}

/* tell_wakes counts the latest waker of a thread, as far as it was not yet. */
static __always_inline void tell_wakes(struct thread_state *s, u64 woken)
{
	u32 count = s->wakes;

	if (count != s->wakes_told)
		add_wakes(s->waker, woken, (u32)(count - s->wakes_told));
	s->wakes_told = count;
}

static __always_inline u64 since(u64 *told, u64 now)
{
	u64 before = __sync_lock_test_and_set(told, now);

	return now - before;
}

/* account fills what a thread did since the last time and notes that it was
 * told. Two that tell of one thread at once share what there is to tell. */
static __always_inline bool account(struct task_struct *task, struct thread_state *s, struct interval_record *r)
{
	r->kind = RECORD_INTERVAL;
	r->unused = 0;
	r->pad = 0;
	r->tgid = task->tgid;
	r->tid = task->pid;
	r->ts_ns = bpf_ktime_get_ns();
	r->on_cpu_ns = since(&s->on_cpu_ns, task->se.sum_exec_runtime);
	r->run_queue_ns = since(&s->run_queue_ns, task->sched_info.run_delay);
	r->timeslices = since(&s->timeslices, task->sched_info.pcount);
	r->voluntary = since(&s->voluntary, task->nvcsw);
	r->involuntary = since(&s->involuntary, task->nivcsw);
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), task->comm);
	return r->on_cpu_ns | r->run_queue_ns | r->timeslices | r->voluntary | r->involuntary;
}

/* ends tells what a thread did that will never run again. */
static __always_inline void ends(struct task_struct *task, struct thread_state *s)
{
	struct interval_record r;

	tell_wakes(s, thread_id(task));
	if (account(task, s, &r) && bpf_ringbuf_output(&data_ring, &r, sizeof(r), BPF_RB_NO_WAKEUP))
		count_loss(LOSS_INTERVAL_RING, 1);
}

static __always_inline u8 kind_of_sleep(u32 state)
{
	return (state & TASK_UNINTERRUPTIBLE) && !(state & TASK_NOLOAD) ? STATE_DISK : STATE_SLEEP;
}

static __always_inline u64 user_stack(void *ctx, struct task_struct *task, u32 desk)
{
	return shed & SHED_USER_STACKS ? STACK_NOT_TAKEN : take_user_stack(ctx, task, desk);
}

static __always_inline void leaves(void *ctx, struct task_struct *prev, bool preempt, u32 state)
{
	struct thread_state *s = thread(prev);

	if (!s || !thread_wanted(s, prev))
		return;
	if (take_user_stacks)
		s->user_stack = user_stack(ctx, prev, DESK_SWITCH);
	if (preempt || !state)
		return;
	if (account_requests) {
		end_wait(prev, s); /* the one before */
		begin_wait(prev, s, kind_of_sleep(state) == STATE_DISK);
	}
	s->slept_ns = clock(prev);
	s->slept_delay = coarse_delay(prev);
	s->slept_state = kind_of_sleep(state);
	if (state & TASK_DEAD)
		ends(prev, s);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(cpu_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int state)
{
	struct thread_state *s;
	u64 now;

	if ((state && !preempt) || take_user_stacks)
		leaves(ctx, prev, preempt, state);
	/* It ran less than the shortest wait ago: no need to know more. */
	now = clock(prev);
	if (now - next->sched_info.last_arrival < off_cpu_min_ns || !next->pid)
		return 0;
	s = thread(next);
	if (s && thread_wanted(s, next))
		waited(next, s, now, true);
	return 0;
}

/* Wake-ups of one thread come one at a time, under its lock, but for those of a
 * thread that has not left its CPU by somebody on it (try_to_wake_up). */
SEC("tp_btf/sched_waking")
int BPF_PROG(cpu_waking, struct task_struct *task)
{
	struct thread_state *s = thread(task);
	u64 waker;

	if (!s || !thread_wanted(s, task))
		return 0;
	waker = bpf_get_current_pid_tgid();
	if (s->waker != waker) {
		if (__sync_val_compare_and_swap(&s->busy, 0, 1)) {
			add_wakes(waker, thread_id(task), 1);
			return 0;
		}
		tell_wakes(s, thread_id(task));
		s->waker = waker;
		__sync_lock_test_and_set(&s->busy, 0);
	}
	__sync_fetch_and_add(&s->wakes, 1);
	return 0;
}

/* A thread gets its state before it first runs. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(cpu_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->tgid == reader_tgid)
		return 0;
	if (!bpf_task_storage_get(&threads, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE))
		count_loss(LOSS_THREAD_STATE, 1);
	return 0;
}

static __always_inline void begin_thread(struct task_struct *task)
{
	struct thread_state *s = thread(task);
	struct interval_record unused;

	if (s)
		return; /* it was made after the hooks were attached: all of it counts */
	s = bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (s)
		account(task, s, &unused);
	else
		count_loss(LOSS_THREAD_STATE, 1);
}

static __always_inline void tell_latest_waker(struct task_struct *task, struct thread_state *s)
{
	if (__sync_val_compare_and_swap(&s->busy, 0, 1))
		return; /* it changes: next time */
	tell_wakes(s, thread_id(task));
	__sync_lock_test_and_set(&s->busy, 0);
}

SEC("iter/task")
int cpu_collect(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct interval_record r;
	struct thread_state *s;

	reader_tgid = bpf_get_current_pid_tgid() >> 32;
	if (!task || task->tgid == reader_tgid)
		return 0;
	if (collecting == COLLECT_BASELINE) {
		begin_thread(task);
		return 0;
	}
	s = thread(task);
	if (!s || !thread_wanted(s, task))
		return 0;
	tell_latest_waker(task, s);
	if (account(task, s, &r))
		bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	if (collecting == COLLECT_LAST && (task->__state || task->sched_info.last_queued))
		waited(task, s, clock((struct task_struct *)bpf_get_current_task_btf()), false);
	return 0;
}

SEC("perf_event")
int cpu_sample(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct sample_record r = {.kind = RECORD_SAMPLE};
	struct thread_state *s;
	struct stack_desk *d;
	long size;

	if (!task->pid)
		return 0;
	s = thread(task);
	if (!s || !thread_wanted(s, task))
		return 0;
	d = stack_desk(DESK_SAMPLE);
	if (!d)
		return 0;
	r.ts_ns = bpf_ktime_get_ns();
	r.cpu = bpf_get_smp_processor_id();
	r.tgid = task->tgid;
	r.tid = task->pid;
	size = bpf_get_stack(ctx, d->kernel.addrs, sizeof(d->kernel.addrs), 0);
	if (size > 0) /* else it ran in user mode */
		r.kernel_stack = keep_kernel_stack(&d->kernel, size);
	r.user_stack = user_stack(ctx, task, DESK_SAMPLE);
	if (shed & SHED_USER_STACKS)
		count_loss(LOSS_USER_STACK_SHED, 1);
	if (bpf_ringbuf_output(&data_ring, &r, sizeof(r), BPF_RB_NO_WAKEUP))
		count_loss(LOSS_SAMPLE_RING, 1);
	return 0;
}
