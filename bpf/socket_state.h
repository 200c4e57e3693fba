/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel keeps for each TCP socket while it lives: who it is, how
 * much of its byte streams was counted, and the exchange in progress.
 */
#ifndef KMON_SOCKET_STATE_H
#define KMON_SOCKET_STATE_H

#include "emit.h"

/*
 * With the 8 bytes the kernel keeps before it all but the end fills two cache
 * lines; a busy server touches the states of all its sockets in turn, so each line
 * more is a miss more for every message. The third is for servers whose threads
 * are recorded, too (accounts.h).
 */
struct socket_state {
	u32 busy; /* see lock */
	/* Positions in the byte streams up to which messages were counted. */
	u32 sent_seq;
	u32 received_seq;
	u32 generation; /* of the control that decided wanted; 0: undecided */
	u64 cookie;
	u64 last_ns; /* latest message: times of a socket never go backwards */
	/* The exchange in progress; 0 times: that burst has not begun. */
	u64 request_first_ns;
	u64 request_last_ns;
	u64 answer_first_ns;
	u64 answer_last_ns;
	u64 part_ns; /* first message of the current burst not yet emitted */
	u32 request_bytes;
	u32 answer_bytes;
	u16 request_messages;
	u16 answer_messages;
	u16 exchange_flags; /* JOINED, CONTINUED, INTERLEAVED of this exchange; STREAM */
	u8 interleaved : 2; /* exchanges of this socket found interleaved, at most STREAM_AFTER */
	u8 passed : 6;      /* enum passed: of an exchange that is left out */
	u8 wanted;
	u32 tgid;
	u32 tid;
	u32 decided_tgid;
	u32 owner_tgid; /* as known at open */
	u64 open_ns;    /* established; 0 for a socket older than the recording */
	u8 announced;   /* its socket row was emitted */
	u8 role : 2;
	u8 role_source : 6;
	u8 listed; /* the last list of sockets that it need not be in */
	u8 closed;  /* the reason, once it has */
	u8 ended;   /* its last socket row was emitted */
	u8 subflow; /* of an MPTCP connection: no exchanges */
	u8 kept;    /* it counts in sockets_kept */
	u8 sample;  /* recorded while this is more than tcp_sampling; 0: undecided */
	/* The thread that took the request in progress; 0: its accounts are not kept. */
	u32 serving_tid;
	struct thread_account begun; /* its accounts then */
	struct thread_account parts; /* what they grew by until the latest message of the answer */
	u32 pad;
};
_Static_assert(__builtin_offsetof(struct socket_state, serving_tid) == 120, "two cache lines with the kernel's 8 bytes");
_Static_assert(sizeof(struct socket_state) == 176, "three cache lines with the kernel's 8 bytes");

enum passed {
	PASSED_REQUEST = 1 << 0,
	PASSED_ANSWER = 1 << 1,
	PASSED_SWEPT = 1 << 2, /* part_ns holds the positions at the last sweep */
};

/* A socket's state lives and dies with the socket. The map has no bound of its
 * own, so states are counted. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* Each state takes some 450 bytes with what the kernel keeps beside it. Set
 * before loading. */
#define SOCKETS_MAX (1 << 20)
const volatile u64 sockets_max = SOCKETS_MAX;
u64 sockets_kept = 0;

/* Sockets whose beginning was told, and those of them whose end was told, or that
 * were freed since. A walk counts what it sees of the rest in sockets_seen: what
 * is not there any more has ended unseen, see record/probe/lostends.go. */
u64 sockets_begun = 0;
u64 sockets_ended = 0;
u64 sockets_seen = 0;

/* The same state by address of the socket, for kernels where sends can only be
 * seen by a kprobe: such programs may not use socket storage. */
#define SOCKETS_BY_ADDRESS_MAX 65536
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct socket_state);
	__uint(max_entries, SOCKETS_BY_ADDRESS_MAX);
} sockets_by_address SEC(".maps");

/* Where a program finds the state; always a constant, so that each program is
 * compiled with one of the two and no branch. */
enum place { IN_STORAGE, BY_ADDRESS };

/*
 * Messages of a socket are not serialized: one thread may send while another
 * receives, and the end comes from anywhere. Whoever changes the exchange in
 * progress holds the state's busy word. It is taken for some 30 ns, more where
 * requests have accounts, by one instruction each way (bpf_spin_lock costs three
 * times that, and kprobes may not use it), and tried a bounded number of times, so
 * nothing can hang: who does not get it leaves. Bytes are not lost then, the next
 * look at the socket's positions finds them.
 */
#define LOCK_TRIES 64

static __always_inline bool lock(struct socket_state *s)
{
	for (int i = 0; i < LOCK_TRIES; i++)
		if (!__sync_val_compare_and_swap(&s->busy, 0, 1))
			return true;
	return false;
}

static __always_inline void unlock(struct socket_state *s)
{
#if defined(__TARGET_ARCH_x86) /* stores are seen in order there */
	asm volatile("" ::: "memory");
	*(volatile u32 *)&s->busy = 0;
#else
	__sync_lock_test_and_set(&s->busy, 0);
#endif
}

static __always_inline struct socket_state *find_by_address(struct sock *sk, bool create)
{
	static const struct socket_state empty;
	u64 key = (u64)sk;

	if (create)
		return find_or_add(&sockets_by_address, &key, &empty);
	return bpf_map_lookup_elem(&sockets_by_address, &key);
}

#endif
