//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector drop: segments sent again, resets, and packets that the kernel
 * dropped, with its reason and stack. Only TCP. Nothing leaves the kernel by
 * event: events alike within a second are one element of a hash map, which the
 * recorder takes out once the second is over (table netevents).
 *
 * Packets are dropped in great number when a socket is closed in order, so the
 * reason is looked at before anything else. What is left is rare, and read with
 * bpf_probe_read_kernel: such programs load whatever a kernel's verifier knows
 * of a hook's arguments, which may be NULL where it holds that they can't be.
 */
#include "stack.h"
#include "control.h"
#include "socket_ends.h"
#include <bpf/bpf_tracing.h>

/* The same numbers as format.NetEventKind. */
enum net_event_kind {
	NET_RETRANSMIT = 1,
	NET_RESET_SENT = 2,
	NET_RESET_RECEIVED = 3,
	NET_DROP = 4,
};

/* Events that are alike. Addresses are in network order, ports in host order;
 * IPv4 addresses are in the first word. */
struct net_event_key {
	u64 socket_id;    /* 0: no socket, or one without a cookie */
	u64 kernel_stack; /* of a drop; 0: none */
	u32 local_addr[4];
	u32 remote_addr[4];
	u32 netns_id;
	u32 second; /* of CLOCK_MONOTONIC */
	u32 reason; /* enum skb_drop_reason of a drop, enum sk_rst_reason of a reset sent */
	u16 local_port;
	u16 remote_port;
	u16 family; /* AF_INET or AF_INET6 */
	u16 kind;   /* enum net_event_kind */
	u32 pad;
};
_Static_assert(sizeof(struct net_event_key) == 72, "net_event_key");

struct net_event_sum {
	u64 first_ns;
	u64 last_ns;
	u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net_event_key);
	__type(value, struct net_event_sum);
	__uint(max_entries, 32768);
} net_events SEC(".maps");

/* Set before loading. Reasons that are no loss, by number; the number of a
 * reason that says nothing, which is no loss at a quiet place: where sockets
 * that end let go of packets. */
enum quiet_limits {
	DROP_REASONS = 256, /* a power of two */
	QUIET_PLACES = 16,
};
struct quiet_place {
	u64 start; /* address of code */
	u64 end;
};
const volatile u8 quiet_reasons[DROP_REASONS] = {};
const volatile struct quiet_place quiet_places[QUIET_PLACES] = {};
const volatile u32 reason_not_specified = 0;
/* Where tcp_send_reset does not tell of resets that answer packets for no
 * socket: the reason for which such packets are dropped. */
const volatile u32 reason_no_socket = 0;

/* Targets are ports, and nothing else: set by the recorder. */
bool net_events_by_port = false;

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IP_OFFSET_MASK 0x1fff
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10
#define DST_PTRMASK (~7UL)

/* Headers as they are in a packet. */
struct ip4_header {
	u8 version_length;
	u8 tos;
	__be16 total;
	__be16 id;
	__be16 offset;
	u8 ttl;
	u8 protocol;
	__sum16 check;
	__be32 source;
	__be32 destination;
};
struct ip6_header {
	u32 version_flow;
	__be16 length;
	u8 next;
	u8 hops;
	__be32 source[4];
	__be32 destination[4];
};
struct tcp_header {
	__be16 source;
	__be16 destination;
	u32 sequence;
	u32 acknowledged;
	u8 offset;
	u8 flags;
};

struct packet {
	u32 source[4];
	u32 destination[4];
	u16 source_port;
	u16 destination_port;
	u16 family; /* 0: not of TCP */
	u8 flags;   /* of the TCP header */
};

/* argument is a pointer that a hook was given, which may be NULL. */
static __always_inline void *argument(void *ctx, u32 index)
{
	void *p = NULL;

	bpf_probe_read_kernel(&p, sizeof(p), (u64 *)ctx + index);
	return p;
}

/* read_ip4 gives the length of the header, 0 if no TCP header is behind it. */
static __always_inline u32 read_ip4(const void *at, struct packet *p)
{
	struct ip4_header ip = {};

	bpf_probe_read_kernel(&ip, sizeof(ip), at);
	if (ip.protocol != IPPROTO_TCP || ip.offset & bpf_htons(IP_OFFSET_MASK))
		return 0;
	p->source[0] = ip.source;
	p->destination[0] = ip.destination;
	p->family = AF_INET;
	return (ip.version_length & 0xf) * 4;
}

static __always_inline u32 read_ip6(const void *at, struct packet *p)
{
	struct ip6_header ip = {};

	bpf_probe_read_kernel(&ip, sizeof(ip), at);
	if (ip.next != IPPROTO_TCP)
		return 0;
	__builtin_memcpy(p->source, ip.source, sizeof(p->source));
	__builtin_memcpy(p->destination, ip.destination, sizeof(p->destination));
	p->family = AF_INET6;
	return sizeof(ip);
}

/* read_packet leaves family 0 unless the packet has a TCP header. */
static __always_inline void read_packet(struct sk_buff *skb, struct packet *p)
{
	u16 protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	u16 offset = BPF_CORE_READ(skb, network_header);
	const void *at = BPF_CORE_READ(skb, head) + offset;
	struct tcp_header tcp = {};
	u32 length = 0;

	if (!offset)
		return;
	if (protocol == ETH_P_IP)
		length = read_ip4(at, p);
	else if (protocol == ETH_P_IPV6)
		length = read_ip6(at, p);
	if (!length)
		return;
	bpf_probe_read_kernel(&tcp, sizeof(tcp), at + length);
	p->source_port = bpf_ntohs(tcp.source);
	p->destination_port = bpf_ntohs(tcp.destination);
	p->flags = tcp.flags;
}

/* from_packet takes the ends from a packet. */
static __always_inline void from_packet(struct net_event_key *key, const struct packet *p, bool received)
{
	const u32 *local = received ? p->destination : p->source;
	const u32 *remote = received ? p->source : p->destination;

	for (int i = 0; i < 4; i++) {
		key->local_addr[i] = local[i];
		key->remote_addr[i] = remote[i];
	}
	key->local_port = received ? p->destination_port : p->source_port;
	key->remote_port = received ? p->source_port : p->destination_port;
	key->family = p->family;
}

/* from_socket takes the ends from a socket or a request for one. */
static __always_inline void from_socket(struct net_event_key *key, struct sock *sk)
{
	key->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	key->local_port = local_port(sk);
	key->remote_port = remote_port(sk);
	read_addresses(sk, key->family, key->local_addr, key->remote_addr);
}

/* belongs notes whose event it is; sk may be NULL. */
static __always_inline void belongs(struct net_event_key *key, struct sock *sk)
{
	key->netns_id = netns_id(sk);
	if (remote_port(sk)) /* else it listens, or is the kernel's own */
		key->socket_id = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

/* namespace_of is that of the device a packet came from or goes to. */
static __always_inline u32 namespace_of(struct sk_buff *skb)
{
	u32 id = BPF_CORE_READ(skb, dev, nd_net.net, ns.inum);
	struct dst_entry *dst;

	if (id)
		return id;
	dst = (void *)(BPF_CORE_READ(skb, _skb_refdst) & DST_PTRMASK);
	return BPF_CORE_READ(dst, dev, nd_net.net, ns.inum);
}

static __always_inline bool is_wanted(const struct net_event_key *key)
{
	return !net_events_by_port || is_target_port(key->local_port, key->remote_port);
}

/* forget_port makes packets that ask for a connection alike: each comes from
 * another port, which says nothing. The connection is not there yet. */
static __always_inline void forget_port(struct net_event_key *key, u8 flags)
{
	if ((flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN && !key->socket_id)
		key->remote_port = 0;
}

/* count_event adds to the events of this second. */
static __always_inline void count_event(struct net_event_key *key, u32 count)
{
	u64 now = bpf_ktime_get_ns();
	struct net_event_sum none = {.first_ns = now, .last_ns = now}, *sum;

	key->second = now / 1000000000;
	sum = find_or_add(&net_events, key, &none);
	if (!sum) {
		count_loss(LOSS_NET_EVENT, count);
		return;
	}
	__sync_fetch_and_add(&sum->count, count);
	keep_max(&sum->last_ns, now);
}

/* on_socket counts an event of a socket that has both ends. */
static __always_inline void on_socket(u16 kind, struct sock *sk, u32 reason, u32 count)
{
	struct net_event_key key = {.kind = kind, .reason = reason};

	from_socket(&key, sk);
	belongs(&key, sk);
	if (is_wanted(&key))
		count_event(&key, count);
}

/* A segment counts as often as the packets it was cut to, as in RetransSegs. */
static __always_inline void sent_again(struct sock *sk, struct sk_buff *skb)
{
	u16 packets = BPF_CORE_READ((struct tcp_skb_cb *)((void *)skb + bpf_core_field_offset(struct sk_buff, cb)), tcp_gso_segs);

	on_socket(NET_RETRANSMIT, sk, 0, packets ? packets : 1);
}

/* It tells of failures since 6.16, of success only before. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(net_retransmit_result, struct sock *sk, struct sk_buff *skb, int error)
{
	if (!error)
		sent_again(sk, skb);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(net_retransmit, struct sock *sk, struct sk_buff *skb)
{
	sent_again(sk, skb);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(net_retransmit_synack, struct sock *listener, struct request_sock *request)
{
	on_socket(NET_RETRANSMIT, (struct sock *)request, 0, 1);
	return 0;
}

/* A reset answers a packet, or a socket sends one by itself: then there is no
 * packet. There need not be a socket either. */
static __always_inline void reset_sent(void *ctx, u32 reason)
{
	struct sock *sk = argument(ctx, 0);
	struct sk_buff *skb = argument(ctx, 1);
	struct net_event_key key = {.kind = NET_RESET_SENT, .reason = reason};
	struct packet p = {};

	if (skb)
		read_packet(skb, &p);
	if (p.family)
		from_packet(&key, &p, true);
	else
		from_socket(&key, sk);
	belongs(&key, sk);
	if (!key.netns_id)
		key.netns_id = namespace_of(skb);
	if (!is_wanted(&key))
		return;
	forget_port(&key, p.flags);
	count_event(&key, 1);
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(net_reset_sent_reason, struct sock *sk, struct sk_buff *skb, u32 reason)
{
	reset_sent(ctx, reason);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(net_reset_sent, struct sock *sk, struct sk_buff *skb)
{
	reset_sent(ctx, 0);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(net_reset_received, struct sock *sk)
{
	on_socket(NET_RESET_RECEIVED, sk, 0, 1);
	return 0;
}

static __always_inline bool is_quiet(u32 reason, u64 location)
{
	if (reason < DROP_REASONS && quiet_reasons[reason & (DROP_REASONS - 1)])
		return true;
	if (reason != reason_not_specified)
		return false;
	for (int i = 0; i < QUIET_PLACES; i++)
		if (location >= quiet_places[i].start && location < quiet_places[i].end)
			return true;
	return false;
}

static __always_inline u64 take_stack(void *ctx)
{
	struct stack_desk *d = stack_desk(DESK_DROP);

	if (!d)
		return STACK_NOT_TAKEN;
	return keep_kernel_stack(&d->kernel, bpf_get_stack(ctx, d->kernel.addrs, sizeof(d->kernel.addrs), 0));
}

static __always_inline bool is_inet(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

/* A packet that was never given its headers is known by its socket, if that is
 * one of TCP that has both ends. */
static __always_inline bool is_connection(struct sock *sk)
{
	u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	return is_inet(sk) && remote_port(sk) && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

/* Before 6.10 nothing else tells that a packet for no socket is answered by a
 * reset. A reset never is. */
static __always_inline void answered(const struct net_event_key *drop, u8 flags)
{
	struct net_event_key key = *drop;

	if (flags & TCP_FLAG_RST)
		return;
	key.kind = NET_RESET_SENT;
	key.reason = 0;
	key.kernel_stack = 0;
	count_event(&key, 1);
}

static __always_inline int dropped(void *ctx, struct sk_buff *skb, u32 reason, struct sock *receiver)
{
	struct sock *sk = receiver && is_inet(receiver) ? receiver : BPF_CORE_READ(skb, sk);
	bool received = receiver || BPF_CORE_READ(skb, skb_iif);
	struct net_event_key key = {.kind = NET_DROP, .reason = reason};
	struct packet p = {};

	read_packet(skb, &p);
	if (p.family)
		from_packet(&key, &p, received);
	else if (is_connection(sk))
		from_socket(&key, sk);
	else
		return 0;
	if (!is_wanted(&key))
		return 0;
	if (is_inet(sk))
		belongs(&key, sk);
	if (!key.netns_id)
		key.netns_id = namespace_of(skb);
	if (received)
		forget_port(&key, p.flags);
	if (reason_no_socket && reason == reason_no_socket && received)
		answered(&key, p.flags);
	key.kernel_stack = take_stack(ctx);
	count_event(&key, 1);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(net_drop_receiver, struct sk_buff *skb, void *location, u32 reason, struct sock *receiver)
{
	if (is_quiet(reason, (u64)location))
		return 0;
	return dropped(ctx, skb, reason, argument(ctx, 3));
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(net_drop, struct sk_buff *skb, void *location, u32 reason)
{
	if (is_quiet(reason, (u64)location))
		return 0;
	return dropped(ctx, skb, reason, NULL);
}
