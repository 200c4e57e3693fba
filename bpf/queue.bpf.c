//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector drop, accept queues: how many connections wait at each listener,
 * and how many it turned away.
 *
 * A connection for which the queue has no room is no dropped packet to the
 * kernel, no hook fires; the listener counts it in sk_drops (tcp_listendrop in
 * include/net/tcp.h). So the recorder reads the listeners once a second.
 */
#include "control.h"
#include "emit.h"
#include "socket_ends.h"
#include <bpf/bpf_tracing.h>

struct queue_state {
	u64 cgroup_id; /* of the process that listens */
	u32 tgid;
	u32 drops; /* of sk_drops, those that were told */
};

/* The listeners, with what was told of them. It lives and dies with them. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct queue_state);
} accept_queues SEC(".maps");

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

/* look_at_queue fills r, and says whether it is worth a row. */
static __always_inline bool look_at_queue(struct sock *sk, struct queue_state *q, struct queue_record *r)
{
	struct sock *queue = queue_of(sk);
	u32 drops = BPF_CORE_READ(queue, sk_drops.counter);
	s32 more = drops - __sync_lock_test_and_set(&q->drops, drops);
	u32 unused[4];

	r->kind = RECORD_QUEUE;
	r->depth = BPF_CORE_READ(queue, sk_ack_backlog);
	r->overflows = more > 0 ? more : 0; /* less: the listener's end was faster */
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
