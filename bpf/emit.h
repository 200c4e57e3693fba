/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only way out of the kernel: two ring buffers, and a count of every
 * record that found no room. Data may lose under overload; control (identity
 * of sockets and processes) has a ring of its own so that bursts of data
 * never crowd it out. The reader is never woken, it comes by: a wake-up costs
 * more than all the rest of an event.
 */
#ifndef KMON_EMIT_H
#define KMON_EMIT_H

#include "record.h"
#include <bpf/bpf_helpers.h>

/* Indexes of the loss counters; record/probe names them. Stored numbers:
 * never renumber, only append. */
enum loss_slot {
	LOSS_EXCHANGE_RING = 0,
	LOSS_SOCKET_RING = 1,
	LOSS_PROC_RING = 2,
	LOSS_LISTENER_RING = 3,
	LOSS_SOCKET_STATE = 4, /* no memory or no room for a socket's state */
	LOSS_SLOTS = 8,
};

/* Sizes are set by the recorder before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} data_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} control_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, LOSS_SLOTS);
} losses SEC(".maps");

static __always_inline void count_loss(u32 slot)
{
	u64 *n = bpf_map_lookup_elem(&losses, &slot);

	if (n)
		*n += 1;
}

/* emit copies size bytes of record to ring, or counts the loss. */
static __always_inline void emit(void *ring, const void *record, u64 size, u32 loss)
{
	if (bpf_ringbuf_output(ring, (void *)record, size, BPF_RB_NO_WAKEUP))
		count_loss(loss);
}

#endif
