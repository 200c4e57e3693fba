/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stacks, each kept once, under a hash of its frames. The kernel's own stack
 * maps can't hold the stack of a task that does not run, allocate all their
 * memory at once, and lose a stack whose bucket is taken.
 */
#ifndef KMON_STACK_H
#define KMON_STACK_H

#include "emit.h"

#define KERNEL_FRAMES 64
#define USER_FRAMES 96
#define STACKS_MAX 16384
#define STACK_NONE 0ULL
#define STACK_NOT_TAKEN (~0ULL)

struct kernel_stack {
	u64 depth;
	u64 addrs[KERNEL_FRAMES]; /* leaf first */
};

struct user_stack {
	u64 depth;
	struct bpf_stack_build_id frames[USER_FRAMES]; /* leaf first */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct kernel_stack);
	__uint(max_entries, STACKS_MAX);
} kernel_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct user_stack);
	__uint(max_entries, STACKS_MAX);
} user_stacks SEC(".maps");

/* Where a stack is put together: a sample may interrupt a switch or a drop, a
 * switch comes after a drop or before it. */
enum desk { DESK_SWITCH = 0, DESK_SAMPLE = 1, DESK_DROP = 2, DESKS = 3 };

struct stack_desk {
	struct kernel_stack kernel;
	struct user_stack user;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct stack_desk);
	__uint(max_entries, DESKS);
} stack_desks SEC(".maps");

static __always_inline struct stack_desk *stack_desk(u32 desk)
{
	return bpf_map_lookup_elem(&stack_desks, &desk);
}

static __always_inline u64 mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

/* key_of keeps a hash off the two numbers that mean something. */
static __always_inline u64 key_of(u64 hash)
{
	return hash == STACK_NONE || hash == STACK_NOT_TAKEN ? 1 : hash;
}

/* keep_stack gives the key under which a stack is in a map. */
static __always_inline u64 keep_stack(void *map, u64 hash, const void *stack)
{
	u64 key = key_of(hash);

	if (bpf_map_lookup_elem(map, &key) || !bpf_map_update_elem(map, &key, stack, BPF_ANY))
		return key;
	count_loss(LOSS_STACK_TABLE, 1);
	return STACK_NOT_TAKEN;
}

/* keep_kernel_stack gives the key of the stack on the desk, size bytes long. */
static __always_inline u64 keep_kernel_stack(struct kernel_stack *stack, long size)
{
	u64 hash = 0;

	if (size <= 0)
		return size ? STACK_NOT_TAKEN : STACK_NONE;
	stack->depth = size / sizeof(u64);
	for (int i = 0; i < KERNEL_FRAMES; i++) {
		if (i >= stack->depth)
			break;
		hash = mix(hash, stack->addrs[i]);
	}
	return keep_stack(&kernel_stacks, hash, stack);
}

static __always_inline u64 keep_user_stack(struct user_stack *stack, long size)
{
	u64 hash = 0;

	if (size <= 0)
		return STACK_NOT_TAKEN;
	stack->depth = size / sizeof(stack->frames[0]);
	for (int i = 0; i < USER_FRAMES; i++) {
		if (i >= stack->depth)
			break;
		hash = mix(hash, stack->frames[i].offset);
		if (stack->frames[i].status == BPF_STACK_BUILD_ID_VALID)
			hash = mix(hash, *(u32 *)stack->frames[i].build_id);
	}
	return keep_stack(&user_stacks, hash, stack);
}

/* take_user_stack is of the current task. */
static __always_inline u64 take_user_stack(void *ctx, struct task_struct *task, u32 desk)
{
	struct stack_desk *d;

	if (task->flags & PF_KTHREAD)
		return STACK_NONE;
	d = stack_desk(desk);
	if (!d)
		return STACK_NOT_TAKEN;
	return keep_user_stack(&d->user, bpf_get_stack(ctx, d->user.frames, sizeof(d->user.frames),
						       BPF_F_USER_STACK | BPF_F_USER_BUILD_ID));
}

/* take_task_stack is the kernel stack of a task that does not run. */
static __always_inline u64 take_task_stack(struct task_struct *task, u32 desk)
{
	struct stack_desk *d = stack_desk(desk);

	if (!d)
		return STACK_NOT_TAKEN;
	return keep_kernel_stack(&d->kernel, bpf_get_task_stack(task, d->kernel.addrs, sizeof(d->kernel.addrs), 0));
}

#endif
