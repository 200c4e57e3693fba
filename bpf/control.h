/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Control maps: what the recorder may change while the programs run. Nothing
 * here ever needs a program to be reloaded.
 */
#ifndef KMON_CONTROL_H
#define KMON_CONTROL_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* Which kinds of targets there are; what any of them selects is recorded. None:
 * everything is. */
enum control_flags {
	CONTROL_BY_PROCESS = 1 << 0, /* processes in target_tgids or target_cgroups */
	CONTROL_BY_PORT = 1 << 1,    /* sockets with a port in target_ports */
};

struct control {
	u32 generation; /* changes with every change of the targets; never 0 */
	u32 flags;
	u32 self_tgid; /* the recorder: never recorded */
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct control);
	__uint(max_entries, 1);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u8);
	__uint(max_entries, 16384);
} target_tgids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u8);
	__uint(max_entries, 4096);
} target_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u16);
	__type(value, u8);
	__uint(max_entries, 1024);
} target_ports SEC(".maps");

/* Which hierarchy names a process's cgroup: the unified one, or that of the
 * v1 memory controller (on hybrid hosts the unified id is the root's for
 * everybody). Set before loading. */
const volatile bool cgroup_v1 = false;

/* The recorder's own pid as the kernel counts it, which in a container is not
 * what getpid says; known before anything is attached (find_self). */
u32 reader_tgid = 0;

static __always_inline struct control *current_control(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline u64 cgroup_id(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);

	if (!cgroup_v1)
		return BPF_CORE_READ(set, dfl_cgrp, kn, id);
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 0;

	u32 index = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct cgroup_subsys_state *css = NULL;

	bpf_probe_read_kernel(&css, sizeof(css), (void *)set +
		bpf_core_field_offset(struct css_set, subsys) + index * sizeof(css));
	return BPF_CORE_READ(css, cgroup, kn, id);
}

/* is_target says whether a process is one of the targets; task NULL is the
 * current one's. */
static __always_inline bool is_target(u32 tgid, struct task_struct *task)
{
	u64 cgroup;

	if (bpf_map_lookup_elem(&target_tgids, &tgid))
		return true;
	cgroup = cgroup_id(task ? task : (struct task_struct *)bpf_get_current_task());
	return bpf_map_lookup_elem(&target_cgroups, &cgroup) != NULL;
}

static __always_inline bool is_target_port(u16 local, u16 remote)
{
	return bpf_map_lookup_elem(&target_ports, &local) ||
	       bpf_map_lookup_elem(&target_ports, &remote);
}

#endif
