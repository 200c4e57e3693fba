//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Collector proc: fork, exec and exit, so that processes that live for
 * milliseconds have a name. Threads are not processes. */
#include "emit.h"
#include "control.h"
#include <bpf/bpf_tracing.h>

static __always_inline void describe(struct proc_record *r, struct task_struct *task, u32 event)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid inner = {};

	r->kind = RECORD_PROC;
	r->event = event;
	r->ts_ns = bpf_ktime_get_ns();
	r->tgid = BPF_CORE_READ(task, tgid);
	r->parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
	r->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	r->cgroup_id = cgroup_id(task);
	bpf_probe_read_kernel(&inner, sizeof(inner), (void *)pid +
		bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid));
	r->pidns_pid = inner.nr;
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), task->comm);
}

static __always_inline void emit_short(struct task_struct *task, u32 event, s32 exit_code)
{
	struct proc_record *r = bpf_ringbuf_reserve(&control_ring, PROC_SHORT_SIZE, 0);

	if (!r) {
		count_loss(LOSS_PROC_RING, 1);
		return;
	}
	describe(r, task, event);
	r->exit_code = exit_code;
	r->exe_len = 0;
	r->args_len = 0;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(proc_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid)
		emit_short(child, PROC_FORK, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(proc_exit, struct task_struct *task)
{
	if (task->signal->live.counter == 0)
		emit_short(task, PROC_EXIT, task->exit_code);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(proc_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct proc_record *r = bpf_ringbuf_reserve(&control_ring, sizeof(*r), 0);
	unsigned long start, end;
	u64 length;
	long n;

	if (!r) {
		count_loss(LOSS_PROC_RING, 1);
		return 0;
	}
	describe(r, task, PROC_EXEC);
	r->exit_code = 0;
	n = bpf_probe_read_kernel_str(r->exe, sizeof(r->exe), bprm->filename);
	r->exe_len = n > 0 ? n : 0;
	start = task->mm->arg_start;
	end = task->mm->arg_end;
	r->args_len = 0;
	length = end - start;
	if (length > PROC_ARGS_MAX)
		length = PROC_ARGS_MAX;
	if (!bpf_probe_read_user(r->args, length, (void *)start))
		r->args_len = length;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Run by the recorder before anything is attached, so that nothing of it is
 * recorded: its pid as the first pid namespace counts. */
SEC("raw_tp")
int find_self(void *ctx)
{
	reader_tgid = bpf_get_current_pid_tgid() >> 32;
	return 0;
}
