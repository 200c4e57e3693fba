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
	LOSS_SOCKET_BUSY = 5,  /* a socket's state could not be locked */
	LOSS_CALL_COUNT = 6,   /* no room for the count of a call */
	LOSS_INTERVAL_RING = 7,
	LOSS_SAMPLE_RING = 8,
	LOSS_THREAD_STATE = 9, /* no memory for a thread's state */
	LOSS_WAIT_TABLE = 10,  /* no room for another kind of wait in this interval */
	LOSS_WAKE_TABLE = 11,  /* no room for another pair of threads in this interval */
	LOSS_STACK_TABLE = 12, /* no room for another stack: the row has none */
	LOSS_NET_EVENT = 13,   /* no room for another kind of event in this second */
	LOSS_QUEUE_RING = 14,
	LOSS_QUEUE_STATE = 15, /* no memory for a listener's state */
	LOSS_IO_RING = 16,
	LOSS_IO_STATE = 17, /* no memory or no room for an IO under way */
	LOSS_IO_END = 18,   /* the end of an IO was not seen */
	LOSS_MESSAGE = 19,  /* a message came on a socket whose state had no room */
	/* Left out to stay within the budget (shed.h): */
	LOSS_EXCHANGE_SHED = 20,
	LOSS_WAIT_SHED = 21,
	LOSS_USER_STACK_SHED = 22,
	LOSS_IO_SHED = 23,
	LOSS_SLOTS = 32,
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

/* count_loss adds in one instruction: an interrupt's program on the same CPU may
 * lose something meanwhile. */
static __always_inline void count_loss(u32 slot, u32 count)
{
	u64 *n = bpf_map_lookup_elem(&losses, &slot);

	if (n)
		__sync_fetch_and_add(n, count);
}

/* find_or_add gives the value of a key, added as first where there was none;
 * NULL: the map has no room. */
static __always_inline void *find_or_add(void *map, const void *key, const void *first)
{
	void *value = bpf_map_lookup_elem(map, key);

	if (value)
		return value;
	bpf_map_update_elem(map, key, first, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

static __always_inline void keep_max(u64 *max, u64 value)
{
	for (int i = 0; i < 4; i++) {
		u64 old = *(volatile u64 *)max;

		if (old >= value || __sync_val_compare_and_swap(max, old, value) == old)
			return;
	}
}

/* crowded says that half of the control ring is full. An iterator's program that
 * returns 1 then has the recorder's read of the walk end, so that it can empty the
 * ring; the next read goes on with the same object. */
static __always_inline bool crowded(void)
{
	return bpf_ringbuf_query(&control_ring, BPF_RB_AVAIL_DATA) >
	       bpf_ringbuf_query(&control_ring, BPF_RB_RING_SIZE) / 2;
}

/* emit copies a record to the control ring, or counts the loss. */
static __always_inline void emit(const void *record, u64 size, u32 loss)
{
	if (bpf_ringbuf_output(&control_ring, (void *)record, size, BPF_RB_NO_WAKEUP))
		count_loss(loss, 1);
}

/*
 * Exchanges leave in batches, one a CPU: a ring buffer is one lock and a few
 * cache lines that all CPUs fight for, which costs an exchange more than all
 * its bookkeeping. What waits in a batch is fetched by the recorder, which
 * runs fetch_batch on every CPU about once a second.
 */
#define BATCH_RECORDS 16 /* a power of two */

struct exchange_batch {
	u32 busy; /* this CPU is at work on it: whoever interrupts must keep off */
	u32 count;
	struct exchange_record records[BATCH_RECORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct exchange_batch);
	__uint(max_entries, 1);
} batches SEC(".maps");

#define compiler_barrier() asm volatile("" ::: "memory")

static __always_inline void emit_records(const struct exchange_record *records, u32 count)
{
	if (bpf_ringbuf_output(&data_ring, (void *)records, count * sizeof(*records), BPF_RB_NO_WAKEUP))
		count_loss(LOSS_EXCHANGE_RING, count);
}

static __always_inline struct exchange_batch *current_batch(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&batches, &zero);
}

static __always_inline void emit_exchange(const struct exchange_record *record)
{
	struct exchange_batch *batch = current_batch();

	if (!batch)
		return;
	if (batch->busy) {
		emit_records(record, 1);
		return;
	}
	batch->busy = 1;
	compiler_barrier();
	batch->records[batch->count & (BATCH_RECORDS - 1)] = *record;
	batch->count++;
	if (batch->count >= BATCH_RECORDS) {
		emit_records(batch->records, BATCH_RECORDS);
		batch->count = 0;
	}
	compiler_barrier();
	batch->busy = 0;
}

/* emit_batch empties this CPU's batch. */
static __always_inline void emit_batch(void)
{
	struct exchange_batch *batch = current_batch();
	u32 count;

	if (!batch || batch->busy)
		return;
	batch->busy = 1;
	compiler_barrier();
	count = batch->count & (BATCH_RECORDS - 1); /* it is less; the verifier of 6.1 wants to see it */
	if (count)
		emit_records(batch->records, count);
	batch->count = 0;
	compiler_barrier();
	batch->busy = 0;
}

#endif
