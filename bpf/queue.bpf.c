//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector drop, accept queues: how many connections wait at each listener,
 * and how many it turned away.
 *
 * A connection for which the queue has no room is no dropped packet to the
 * kernel, no hook fires: the listener counts it in sk_drops, and the network
 * namespace in ListenDrops (tcp_listendrop in include/net/tcp.h). So the
 * recorder reads the listeners once a second. The listener alone counts more
 * than that: what comes for a connection that is not complete and is passed
 * over, as the second SYN, or the ACK where TCP_DEFER_ACCEPT waits for data. The
 * namespace alone does not know whose it was. The smaller growth of the two is
 * right, unless another listener of the namespace turned connections away in
 * the same second.
 */
#include "control.h"
#include "emit.h"
#include "socket_ends.h"
#include <bpf/bpf_tracing.h>

struct queue_state {
	u64 cgroup_id; /* of the process that listens */
	u64 netns_drops; /* ListenDrops and sk_drops, at the last look */
	u32 drops;
	u32 tgid;
};

/* The listeners, with what was told of them. It lives and dies with them. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct queue_state);
} accept_queues SEC(".maps");

/* Which counter of struct linux_mib is ListenDrops; 0: it is not known. Set
 * before loading, as is the number of CPUs. */
const volatile u32 listen_drops = 0;
const volatile u32 cpus = 0;

/* How far a CPU's own memory lies from where per-CPU pointers point to. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, 1); /* set to the number of CPUs */
} cpu_memory SEC(".maps");

static long find_cpu(u32 cpu, u64 *pointer)
{
	u64 *distance = bpf_map_lookup_elem(&cpu_memory, &cpu);
	u32 zero = 0;
	void *own = bpf_map_lookup_percpu_elem(&losses, &zero, cpu);

	if (!distance || !own)
		return 0;
	*(volatile u64 *)distance = (u64)own; /* from where it is read as a number */
	*(volatile u64 *)distance -= *pointer;
	return 0;
}

/* Run by the recorder once. The kernel's own table of the distances has no
 * address to be had on many kernels; but of a per-CPU map both is known, the
 * pointer and what it means on each CPU. */
SEC("iter/bpf_map_elem")
int find_cpu_memory(struct bpf_iter__bpf_map_elem *ctx)
{
	struct bpf_array *array = (struct bpf_array *)ctx->map;
	u32 *key = ctx->key;
	u64 pointer;

	if (!key || *key)
		return 0;
	pointer = (u64)BPF_CORE_READ(array, pptrs[0]);
	bpf_loop(cpus, find_cpu, &pointer, 0);
	return 0;
}

struct counter {
	u64 pointer;
	u64 sum;
};

static long add_cpu(u32 cpu, struct counter *c)
{
	u64 *distance = bpf_map_lookup_elem(&cpu_memory, &cpu);
	unsigned long n = 0;

	if (distance)
		bpf_probe_read_kernel(&n, sizeof(n), (void *)(c->pointer + *distance));
	c->sum += n;
	return 0;
}

/* netns_drops is ListenDrops of the namespace of sk. */
static __always_inline u64 netns_drops(struct sock *sk)
{
	struct counter c = {};

	c.pointer = (u64)BPF_CORE_READ(sk, __sk_common.skc_net.net, mib.net_statistics) +
		    listen_drops * sizeof(unsigned long);
	bpf_loop(cpus, add_cpu, &c, 0);
	return c.sum;
}

/* has_queue says whether this is a listener of its own: one that uses MPTCP has
 * a TCP socket below it, which nobody but it accepts from. */
static __always_inline bool has_queue(struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return tp ? !is_subflow(tp) : sk->sk_protocol == IPPROTO_MPTCP;
}

/* queue_of is the socket at which connections to sk wait. */
static __always_inline struct sock *queue_of(struct sock *sk)
{
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_MPTCP || !bpf_core_field_exists(struct mptcp_sock, first))
		return sk;
	return BPF_CORE_READ((struct mptcp_sock *)sk, first);
}

static __always_inline void queue_begins(struct sock *sk, struct task_struct *task, bool again)
{
	struct queue_state *q = bpf_sk_storage_get(&accept_queues, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!q) {
		count_loss(LOSS_QUEUE_STATE, 1);
		return;
	}
	if (q->tgid && !again)
		return; /* seen through another descriptor */
	q->tgid = BPF_CORE_READ(task, tgid);
	q->cgroup_id = cgroup_id(task);
	if (listen_drops)
		q->netns_drops = netns_drops(sk);
	q->drops = BPF_CORE_READ(queue_of(sk), sk_drops.counter);
}

static __always_inline bool queue_wanted(struct queue_state *q, u16 port)
{
	struct control *c = current_control();

	if (!c || q->tgid == c->self_tgid)
		return false;
	if (!c->flags)
		return true;
	if ((c->flags & CONTROL_BY_PORT) && bpf_map_lookup_elem(&target_ports, &port))
		return true;
	return (c->flags & CONTROL_BY_PROCESS) &&
	       (bpf_map_lookup_elem(&target_tgids, &q->tgid) || bpf_map_lookup_elem(&target_cgroups, &q->cgroup_id));
}

/*
 * turned_away is how many connections were since the last look; less than 0 if
 * the end of the listener was faster to look. The kernel counts first at the
 * listener, then in the namespace, so what the namespace counted from before
 * the last look at the listener until after this one holds it all.
 */
static __always_inline s32 turned_away(struct sock *sk, struct sock *queue, struct queue_state *q)
{
	u64 before = q->netns_drops;
	s32 away;

	if (listen_drops)
		q->netns_drops = netns_drops(sk);
	away = (u32)BPF_CORE_READ(queue, sk_drops.counter);
	away -= __sync_lock_test_and_set(&q->drops, away);
	if (listen_drops && away > 0) {
		u64 all = netns_drops(sk) - before;

		if (all < away)
			away = all;
	}
	return away;
}

/* look_at_queue fills r, and says whether it is worth a row. */
static __always_inline bool look_at_queue(struct sock *sk, struct queue_state *q, struct queue_record *r)
{
	struct sock *queue = queue_of(sk);
	s32 more = turned_away(sk, queue, q);
	u32 unused[4];

	r->kind = RECORD_QUEUE;
	r->depth = BPF_CORE_READ(queue, sk_ack_backlog);
	r->overflows = more > 0 ? more : 0;
	r->port = local_port(sk);
	if ((!r->depth && !r->overflows) || !queue_wanted(q, r->port))
		return false;
	r->ts_ns = bpf_ktime_get_ns();
	r->limit = BPF_CORE_READ(queue, sk_max_ack_backlog);
	r->tgid = q->tgid;
	r->netns_id = netns_id(sk);
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	read_addresses(sk, r->family, r->addr, unused);
	return true;
}

/* A listener begins, or ends: with what it turned away since the last look. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(queue_state, struct sock *sk, int oldstate, int newstate)
{
	struct queue_record r = {};
	struct queue_state *q;

	if (newstate != TCP_LISTEN && oldstate != TCP_LISTEN)
		return 0;
	if (!has_queue(sk))
		return 0;
	if (newstate == TCP_LISTEN) {
		queue_begins(sk, (struct task_struct *)bpf_get_current_task_btf(), true);
	} else if (newstate == TCP_CLOSE) {
		q = bpf_sk_storage_get(&accept_queues, sk, NULL, 0);
		if (q && look_at_queue(sk, q, &r))
			emit(&r, sizeof(r), LOSS_QUEUE_RING);
	}
	return 0;
}

/* Listeners older than the recording. */
SEC("iter/task_file")
int existing_queues(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = socket_of(ctx->file);
	struct task_struct *task = ctx->task;

	if (sk && task && has_queue(sk) && sk->__sk_common.skc_state == TCP_LISTEN)
		queue_begins(sk, task, false);
	return 0;
}

/* Read by the recorder once a second. */
SEC("iter/bpf_sk_storage_map")
int read_queues(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct queue_record r = {};
	struct sock *sk = ctx->sk;
	struct queue_state *q;

	if (!sk || !ctx->value || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	q = bpf_sk_storage_get(&accept_queues, sk, NULL, 0);
	if (q && look_at_queue(sk, q, &r))
		bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
