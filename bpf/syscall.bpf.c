//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector syscall: how often each process called what. Nothing leaves the
 * kernel by event: counts lie in a hash map, and an entry is written on one CPU
 * by one program, which the kernel does not run inside itself: no count needs an
 * atomic operation. There are two such maps; the recorder turns to the other one
 * at the end of an interval (calls_side) and empties the first when no program
 * can be at work on it any more.
 *
 * One hook, on the way back to user mode, gives number and result. Attaching
 * to sys_exit makes every system call of the machine take the slow path, asked
 * for or not: that is most of the cost.
 */
#include "emit.h"
#include "control.h"
#include "call_id.h"
#include <bpf/bpf_tracing.h>

#define MAX_ERRNO 4095

/* Set before loading: the system calls that are counted, by number. */
const volatile u8 counted_calls[CALL_NUMBERS] = {};

/* Which of the maps is written to: 0 or 1. */
volatile u32 calls_side = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct call_key);
	__type(value, struct call_count);
	__uint(max_entries, 32768);
} calls_even SEC(".maps"), calls_odd SEC(".maps");

/* When a thread entered the call it is in; 0: in none that is counted. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} call_entered SEC(".maps");

/* Set by the recorder when it attaches the hooks again: what was noted before
 * may be of a call whose end was not seen. */
u64 calls_since_ns = 0;

static __always_inline void count_call(u32 tgid, u32 id, bool failed, u64 ns)
{
	struct call_key key = { .tgid = tgid, .id = id, .cpu = bpf_get_smp_processor_id() };
	struct call_count none = {};
	struct call_count *n = calls_side & 1 ? find_or_add(&calls_odd, &key, &none)
					      : find_or_add(&calls_even, &key, &none);

	if (!n) {
		count_loss(LOSS_CALL_COUNT, 1);
		return;
	}
	n->count++;
	n->errors += failed;
	n->total_ns += ns;
	if (ns > n->max_ns)
		n->max_ns = ns;
}

/* recorded says whether the current process's calls are wanted. */
static __always_inline bool recorded(u32 tgid)
{
	struct control *c = current_control();

	if (!c || tgid == c->self_tgid)
		return false;
	return !c->flags || is_target(tgid, NULL);
}

static __always_inline bool is_counted(u32 id)
{
	return id == CALL_COMPAT || (id < CALL_NUMBERS && counted_calls[id & (CALL_NUMBERS - 1)]);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 id = call_id(regs, task);
	u32 tgid = task->tgid;

	if (is_counted(id) && recorded(tgid))
		count_call(tgid, id, result < 0 && result >= -MAX_ERRNO, 0);
	return 0;
}

/* With latency: the thread notes when it enters. */
SEC("tp_btf/sys_enter")
int BPF_PROG(call_enter_timed, struct pt_regs *regs, long number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 *entered;

	if (!is_counted(call_id(regs, task)) || !recorded(task->tgid))
		return 0;
	entered = bpf_task_storage_get(&call_entered, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (entered)
		*entered = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit_timed, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 id = call_id(regs, task);
	u32 tgid = task->tgid;
	u64 *entered, ns = 0;

	if (!is_counted(id) || !recorded(tgid))
		return 0;
	entered = bpf_task_storage_get(&call_entered, task, NULL, 0);
	if (entered && *entered) {
		if (*entered > calls_since_ns)
			ns = bpf_ktime_get_ns() - *entered;
		*entered = 0;
	}
	count_call(tgid, id, result < 0 && result >= -MAX_ERRNO, ns);
	return 0;
}

/* --count: the recorder attaches each of these to what was named. */
static __always_inline int count_hit(u32 index)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (recorded(tgid))
		count_call(tgid, CALL_COUNTERS + index, false, 0);
	return 0;
}

#define COUNTER(index)                                                         \
	SEC("raw_tp")                                                          \
	int count_tracepoint_##index(void *ctx) { return count_hit(index); }   \
	SEC("kprobe")                                                          \
	int count_function_##index(void *ctx) { return count_hit(index); }

COUNTER(0)
COUNTER(1)
COUNTER(2)
COUNTER(3)
COUNTER(4)
COUNTER(5)
COUNTER(6)
COUNTER(7)
