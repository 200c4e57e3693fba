//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector tcp: the exchanges of every TCP socket, and when sockets begin and
 * end.
 *
 * Bytes are counted from the socket's own positions (write_seq, copied_seq),
 * not from what a hook says was sent or received: a hook is only the moment to
 * look. So every path that moves bytes is counted once (splice, sendfile,
 * io_uring, a send whose own event comes late), and MSG_PEEK, EAGAIN, EOF
 * and errors, which move none, are not counted at all.
 */
#include "control.h"
#include "accounts.h"
#include "exchange.h"
#include "socket_ends.h"
#include "stack.h"
#include <bpf/bpf_tracing.h>

struct listener_key {
	u32 netns_id;
	u16 port;
	u16 pad;
};
struct listener_value {
	u32 tgid;
	u32 count; /* sockets listening there (SO_REUSEPORT, MPTCP pairs) */
};

/* Who listens where: gives a server's socket its role and first owner. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct listener_key);
	__type(value, struct listener_value);
	__uint(max_entries, 16384);
} listeners SEC(".maps");

/* What a moment on a socket looks like: read once, before the lock. */
struct view {
	u32 sent_seq;
	u32 received_seq;
	bool unacked; /* something sent was not yet acknowledged */
	bool unread;  /* something received was not yet taken by the process */
	u8 tcp_state;
};

static __always_inline void fill_view(struct view *v, u32 write_seq, u32 snd_una, u32 copied_seq, u32 rcv_nxt,
				      u8 shutdown, unsigned long flags, u8 tcp_state)
{
	/* A FIN takes one position of the stream and is no byte. */
	u32 sent = write_seq - ((shutdown & SEND_SHUTDOWN) ? 1 : 0);
	u32 end = rcv_nxt - ((flags & 1UL << SOCK_DONE) ? 1 : 0);
	s32 unread = end - copied_seq;

	v->sent_seq = sent;
	v->received_seq = unread < 0 ? end : copied_seq;
	v->unread = unread > 0;
	v->unacked = (s32)(sent - snd_una) > 0;
	v->tcp_state = tcp_state;
}

/* look reads a socket through BTF pointers; look_probed through probe reads,
 * for programs that have a bare address. */
static __always_inline void look(struct sock *sk, struct tcp_sock *tp, struct view *v)
{
	fill_view(v, tp->write_seq, tp->snd_una, tp->copied_seq, tp->rcv_nxt,
		  sk->sk_shutdown, sk->__sk_common.skc_flags, sk->__sk_common.skc_state);
}

static __always_inline void look_probed(struct sock *sk, struct view *v)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	fill_view(v, BPF_CORE_READ(tp, write_seq), BPF_CORE_READ(tp, snd_una),
		  BPF_CORE_READ(tp, copied_seq), BPF_CORE_READ(tp, rcv_nxt),
		  BPF_CORE_READ(sk, sk_shutdown), BPF_CORE_READ(sk, __sk_common.skc_flags),
		  BPF_CORE_READ(sk, __sk_common.skc_state));
}

/* keep_in_storage makes a socket's state if there is room for another. */
static __always_inline struct socket_state *keep_in_storage(struct sock *sk)
{
	struct socket_state *s;

	if (sockets_kept >= sockets_max)
		return NULL;
	s = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) /* another CPU may have been first */
		s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (s && !s->kept) {
		s->kept = 1;
		__sync_fetch_and_add(&sockets_kept, 1);
	}
	return s;
}

static __always_inline struct socket_state *find(struct sock *sk, enum place place, bool create)
{
	struct socket_state *s;

	if (place == BY_ADDRESS)
		return find_by_address(sk, create);
	s = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	return s || !create ? s : keep_in_storage(sk);
}

/* find_or_lose makes the state, or counts what is lost without it. */
static __always_inline struct socket_state *find_or_lose(struct sock *sk, enum place place, u32 loss)
{
	struct socket_state *s = find(sk, place, true);

	if (!s)
		count_loss(loss, 1);
	return s;
}

/* describe_socket fills a record with what a socket is; r is zero. */
static __always_inline void describe_socket(struct sock *sk, const struct socket_state *s, u8 event, u64 ts_ns,
					    struct socket_record *r)
{
	r->kind = RECORD_SOCKET;
	r->event = event;
	r->ts_ns = ts_ns;
	r->cookie = s->cookie;
	r->role = s->role;
	r->role_source = s->role_source;
	r->tgid = s->owner_tgid;
	r->netns_id = netns_id(sk);
	r->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r->local_port = local_port(sk);
	r->remote_port = remote_port(sk);
	read_addresses(sk, r->family, r->local_addr, r->remote_addr);
}

static __always_inline void emit_socket(struct sock *sk, const struct socket_state *s, u8 event, u64 ts_ns,
					u8 close_reason)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct socket_record r = {};

	describe_socket(sk, s, event, ts_ns, &r);
	r.close_reason = close_reason;
	if (event == SOCKET_CLOSE || event == SOCKET_CONNECT_FAILED) {
		/* bytes_sent counts what was sent again, too. */
		r.bytes_sent = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans);
		r.bytes_received = BPF_CORE_READ(tp, bytes_received);
		if (r.bytes_received && BPF_CORE_READ(sk, __sk_common.skc_flags) & 1UL << SOCK_DONE)
			r.bytes_received--; /* the peer's FIN counts as one */
		r.retransmits = BPF_CORE_READ(tp, total_retrans);
		r.srtt = BPF_CORE_READ(tp, srtt_us);
	}
	emit(&r, sizeof(r), LOSS_SOCKET_RING);
}

/* Which list of sockets (SWEEP_LIST) is the latest; 0: there was none. Set by the
 * recorder. */
u8 list_number = 0;

/* announce emits the row that says what this socket is, once. */
static __always_inline void announce(struct sock *sk, struct socket_state *s)
{
	if (s->announced)
		return;
	s->listed = list_number;
	s->announced = 1;
	__sync_fetch_and_add(&sockets_begun, 1);
	if (s->open_ns)
		emit_socket(sk, s, SOCKET_OPEN, s->open_ns, CLOSE_NONE);
	else
		emit_socket(sk, s, SOCKET_EXISTING, bpf_ktime_get_ns(), CLOSE_NONE);
}

/* judge says whether this socket is wanted. tgid is the process at work on it,
 * or 0 where the current process is just whoever was interrupted; task is that
 * process's, or NULL where it is the current one. */
static __always_inline bool judge(struct sock *sk, struct socket_state *s, u32 tgid, struct task_struct *task)
{
	struct control *c = current_control();

	if (!c)
		return false;
	if (tgid && tgid == c->self_tgid)
		return false;
	if (s->generation == c->generation &&
	    (s->wanted || !(c->flags & CONTROL_BY_PROCESS) || !tgid || tgid == s->decided_tgid))
		return s->wanted;
	if (!c->flags ||
	    ((c->flags & CONTROL_BY_PORT) && is_target_port(local_port(sk), remote_port(sk)))) {
		s->wanted = 1;
	} else if (c->flags & CONTROL_BY_PROCESS) {
		if (!tgid)
			return false; /* undecided until its process touches it */
		s->wanted = is_target(tgid, task);
		s->decided_tgid = tgid; /* another process on this socket is asked again */
	} else {
		s->wanted = 0;
	}
	s->generation = c->generation;
	return s->wanted;
}

/* decide says whether this socket is recorded, and announces it if so. */
static __always_inline bool decide(struct sock *sk, struct socket_state *s, u32 tgid, struct task_struct *task)
{
	if (!judge(sk, s, tgid, task))
		return false;
	announce(sk, s);
	return true;
}

/* A subflow's bytes are sent and received through the MPTCP socket above it,
 * which no hook here sees. */
static __always_inline bool is_subflow(struct tcp_sock *tp)
{
	return bpf_core_field_exists(tp->is_mptcp) && BPF_CORE_READ(tp, is_mptcp);
}

/* learn_role is for a socket nobody saw being connected or accepted. */
static __always_inline void learn_role(struct sock *sk, struct socket_state *s)
{
	struct listener_key key = { .netns_id = netns_id(sk), .port = local_port(sk) };
	struct listener_value *listener = bpf_map_lookup_elem(&listeners, &key);

	if (listener) {
		s->role = ROLE_SERVER;
		s->role_source = ROLE_SOURCE_LISTENER;
		if (!s->owner_tgid)
			s->owner_tgid = listener->tgid;
		return;
	}
	/* A guess: a port that somebody listens on is the server's (both ends may
	 * be on this host), else the lower one. */
	key.port = remote_port(sk);
	if (bpf_map_lookup_elem(&listeners, &key))
		s->role = ROLE_CLIENT;
	else
		s->role = local_port(sk) < key.port ? ROLE_SERVER : ROLE_CLIENT;
	s->role_source = ROLE_SOURCE_PORT;
}

/* adopt makes the state of a socket that is older than the recording. */
static __always_inline void adopt(struct sock *sk, struct socket_state *s, const struct view *v, u64 cookie,
				  u32 tgid)
{
	s->owner_tgid = tgid;
	learn_role(sk, s);
	s->sent_seq = v->sent_seq;
	s->received_seq = v->received_seq;
	s->exchange_flags = EXCHANGE_JOINED;
	s->subflow = is_subflow((struct tcp_sock *)sk);
	s->cookie = cookie;
}

/* count adds what moved in one direction since the last look; the caller holds the
 * lock. It returns true when this ended an exchange, which is then in out. pid_tgid
 * is 0 where the current process is just whoever was interrupted. */
static __always_inline bool count(struct socket_state *s, bool sent, u32 seq, u64 ts_ns, bool unacked,
				  u64 pid_tgid, enum place place, struct exchange_record *out)
{
	bool request = sent == (s->role == ROLE_CLIENT);
	s32 bytes = seq - (sent ? s->sent_seq : s->received_seq);
	bool ended;

	if (bytes <= 0)
		return false;
	if (sent)
		s->sent_seq = seq;
	else
		s->received_seq = seq;
	ended = add_message(s, request, bytes, ts_ns, unacked, out);
	if (pid_tgid) {
		s->tgid = pid_tgid >> 32;
		s->tid = pid_tgid;
	}
	if (account_requests && place == IN_STORAGE && pid_tgid && s->role == ROLE_SERVER)
		note_account(s, request, ts_ns, pid_tgid);
	return ended;
}

/*
 * sent_at is when the bytes of a send left this socket. Hooks fire when the
 * send returns, after loopback has delivered it and the peer may have
 * answered; the socket itself knows when its last segment departed
 * (tcp_wstamp_ns, tcp_output.c: same clock as bpf_ktime_get_ns). That is used
 * when all that was written has left since the last message, else now. A paced
 * socket (fq, BBR) keeps the time its next segment may leave: at most now.
 * tp is NULL in programs that have a bare address and must probe.
 */
static __always_inline u64 sent_at(const struct socket_state *s, struct sock *sk, struct tcp_sock *tp)
{
	struct tcp_sock *bare = (struct tcp_sock *)sk;
	u64 departed_ns = tp ? tp->tcp_wstamp_ns : BPF_CORE_READ(bare, tcp_wstamp_ns);
	bool gone = tp ? tp->snd_nxt == tp->write_seq : BPF_CORE_READ(bare, snd_nxt) == BPF_CORE_READ(bare, write_seq);
	u32 pacing = tp ? sk->sk_pacing_status : BPF_CORE_READ(sk, sk_pacing_status);
	bool known = gone && departed_ns > s->last_ns;
	u64 now_ns;

	if (known && pacing == SK_PACING_NONE)
		return departed_ns;
	now_ns = bpf_ktime_get_ns();
	return known && departed_ns < now_ns ? departed_ns : now_ns;
}

/* count_moved counts what was sent, and received if that is asked for, since the last
 * look, and emits the exchanges that this ended. tp as for sent_at. It takes the lock
 * once: the verifier walks through all its tries for every way to it. */
static __always_inline void count_moved(struct sock *sk, struct tcp_sock *tp, struct socket_state *s,
					const struct view *v, bool received, u64 pid_tgid, enum place place)
{
	bool sent = v->sent_seq != s->sent_seq && !s->closed; /* closed has counted the last one */
	bool sent_ended = false, received_ended = false;
	struct exchange_record sent_out, received_out;
	u64 sent_ns = 0, received_ns = 0;

	received = received && v->received_seq != s->received_seq;
	if (!sent && !received)
		return;
	if (sent)
		sent_ns = sent_at(s, sk, tp);
	if (received)
		received_ns = bpf_ktime_get_ns();
	if (!lock(s)) {
		count_loss(LOSS_SOCKET_BUSY, 1);
		return;
	}
	/* A send whose own hook has not fired yet comes before what answers it. */
	if (sent)
		sent_ended = count(s, true, v->sent_seq, sent_ns, false, pid_tgid, place, &sent_out);
	if (received)
		received_ended = count(s, false, v->received_seq, received_ns, v->unacked, pid_tgid, place, &received_out);
	unlock(s);
	if (sent_ended)
		emit_exchange(&sent_out);
	if (received_ended)
		emit_exchange(&received_out);
}

/* end_hash is the same for an IPv4 address and for the IPv6 one it is mapped to. */
static __always_inline u32 end_hash(const u32 *addr, u16 port)
{
	bool mapped = !addr[0] && !addr[1] && addr[2] == bpf_htonl(0xffff);
	u64 hash = mix(port, mapped ? addr[3] : addr[0]);

	if (!mapped && (addr[1] | addr[2] | addr[3]))
		hash = mix(mix(mix(hash, addr[1]), addr[2]), addr[3]);
	return hash >> 32;
}

/* sample_of gives one socket in 2^n more than n. Both ends of a connection get
 * the same, if one does not see an address that was translated. */
static __always_inline u8 sample_of(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	u32 local[4] = {}, remote[4] = {}, hash;
	u8 n = 1;

	read_addresses(sk, family, local, remote);
	hash = end_hash(local, local_port(sk)) ^ end_hash(remote, remote_port(sk));
	for (int i = 0; i < TCP_SAMPLING_MAX && !(hash & 1U << i); i++)
		n++;
	return n;
}

/* pass counts what moved on a socket that is left out, without a clock. */
static __always_inline void pass(struct socket_state *s, bool sent, u32 seq)
{
	bool request = sent == (s->role == ROLE_CLIENT);

	if ((s32)(seq - (sent ? s->sent_seq : s->received_seq)) <= 0)
		return;
	if (sent)
		s->sent_seq = seq;
	else
		s->received_seq = seq;
	if (pass_over(s, request))
		pass_over(s, request);
}

static __always_inline void pass_messages(struct socket_state *s, const struct view *v, bool received)
{
	if (!lock(s)) {
		count_loss(LOSS_SOCKET_BUSY, 1);
		return;
	}
	if (s->passed) {
		if (!s->closed)
			pass(s, true, v->sent_seq);
		if (received)
			pass(s, false, v->received_seq);
	}
	unlock(s);
}

/* forget passes over what moved on a socket that is not recorded, and ends the
 * exchange that was in progress when it left the targets. */
static __always_inline void forget(struct socket_state *s, const struct view *v)
{
	struct exchange_record out;
	bool ended = false;

	if (!lock(s))
		return;
	s->sent_seq = v->sent_seq;
	s->received_seq = v->received_seq;
	end_passed(s);
	if (in_progress(s)) {
		take(s, EXCHANGE_OPEN, s->last_ns, &out);
		clear_exchange(s);
		ended = true;
	}
	unlock(s);
	if (ended)
		emit_exchange(&out);
}

/* handle_message is every hook's way in: bytes may have moved on this socket. tp
 * as for sent_at. */
static __always_inline void handle_message(struct sock *sk, struct tcp_sock *tp, struct socket_state *s,
					   struct view *v, bool received, enum place place)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();

	if (s->subflow)
		return;
	if (v->tcp_state == TCP_SYN_SENT)
		return; /* a send that came too early; the streams have not begun */
	if (!decide(sk, s, pid_tgid >> 32, NULL)) {
		forget(s, v);
		return;
	}
	if (tcp_sampling && !s->sample)
		s->sample = sample_of(sk);
	if (s->passed && is_left_out(s)) {
		pass_messages(s, v, received);
		return;
	}
	count_moved(sk, tp, s, v, received, pid_tgid, place);
}

/*
 * step_back makes v the moment before the message that a hook announces, for a
 * socket first seen by that hook: the message is already in the positions. A
 * socket that has sent nothing (it was still waiting to be accepted when the
 * recording began) received all it has for this request; of any other, one
 * byte stands for the message so that it is not lost with its bytes.
 */
static __always_inline void step_back(struct tcp_sock *tp, struct view *v, bool received)
{
	if (!received)
		v->sent_seq--;
	else if (tp->bytes_sent)
		v->received_seq--;
	else
		v->received_seq = tp->rcv_nxt - (u32)tp->bytes_received;
}

/* Set by the recorder once it has read existing_sockets: until then sockets older
 * than the recording are left to that, which knows their owners and roles. */
bool listed = false;

static __always_inline int handle_tcp(struct sock *sk, enum place place, bool received)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct socket_state *s;
	struct view v;

	if (!tp)
		return 0;
	look(sk, tp, &v);
	s = find(sk, place, false);
	if (!s) {
		if (!listed || v.tcp_state == TCP_SYN_SENT || v.tcp_state == TCP_CLOSE)
			return 0;
		/* An exchange is about one message received at either end. */
		s = received ? find_or_lose(sk, place, LOSS_MESSAGE) : find(sk, place, true);
		if (!s)
			return 0;
	}
	if (!s->cookie) {
		struct view before = v;

		step_back(tp, &before, received);
		adopt(sk, s, &before, bpf_get_socket_cookie(sk), 0);
	}
	handle_message(sk, tp, s, &v, received, place);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tcp_send, struct sock *sk)
{
	return handle_tcp(sk, IN_STORAGE, false);
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(tcp_send_fexit, struct sock *sk)
{
	return handle_tcp(sk, IN_STORAGE, false);
}

/* sendfile and splice on kernels before 6.5. */
SEC("fexit/tcp_sendpage")
int BPF_PROG(tcp_sendpage_fexit, struct sock *sk)
{
	return handle_tcp(sk, IN_STORAGE, false);
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_receive, struct sock *sk)
{
	return handle_tcp(sk, IN_STORAGE, true);
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_receive_by_address, struct sock *sk)
{
	return handle_tcp(sk, BY_ADDRESS, true);
}

/*
 * Sends where neither a tracepoint nor fexit shows them: every path that sends
 * ends by letting go of the socket. That is also called for much else, but
 * unlike the return of tcp_sendmsg it cannot be missed because too many
 * threads are blocked in a send.
 */
SEC("kprobe/release_sock")
int tcp_send_kprobe(struct pt_regs *ctx)
{
	struct sock *sk = (struct sock *)FIRST_ARGUMENT(ctx);
	struct socket_state *s;
	struct view v;

	s = find_by_address(sk, false);
	if (!s)
		return 0; /* the first receive, or the end of the socket, makes it */
	look_probed(sk, &v);
	if (v.sent_seq != s->sent_seq)
		handle_message(sk, NULL, s, &v, false, BY_ADDRESS);
	return 0;
}

static __always_inline void emit_listener(struct sock *sk, u32 tgid)
{
	struct listener_record r = {};
	u32 unused[4];

	r.kind = RECORD_LISTENER;
	r.ts_ns = bpf_ktime_get_ns();
	r.netns_id = netns_id(sk);
	r.tgid = tgid;
	r.port = local_port(sk);
	r.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	r.protocol = BPF_CORE_READ(sk, sk_protocol);
	r.backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	read_addresses(sk, r.family, r.addr, unused);
	emit(&r, sizeof(r), LOSS_LISTENER_RING);
}

static __always_inline void listener_begins(struct sock *sk, u32 tgid)
{
	struct listener_key key = { .netns_id = netns_id(sk), .port = local_port(sk) };
	struct listener_value *known = bpf_map_lookup_elem(&listeners, &key);
	struct listener_value first = { .tgid = tgid, .count = 1 };

	if (known)
		__sync_fetch_and_add(&known->count, 1);
	else if (bpf_map_update_elem(&listeners, &key, &first, BPF_ANY))
		count_loss(LOSS_SOCKET_STATE, 1);
	emit_listener(sk, tgid);
}

static __always_inline void listener_ends(struct sock *sk)
{
	struct listener_key key = { .netns_id = netns_id(sk), .port = local_port(sk) };
	struct listener_value *known = bpf_map_lookup_elem(&listeners, &key);

	if (known && __sync_fetch_and_add(&known->count, -1) <= 1)
		bpf_map_delete_elem(&listeners, &key);
}

/* A connect begins: the only moment with the client's process at hand. */
static __always_inline void connect_begins(struct sock *sk, enum place place)
{
	struct socket_state *s;
	u8 kept;

	s = find_or_lose(sk, place, LOSS_SOCKET_STATE);
	if (!s)
		return;
	kept = s->kept;
	__builtin_memset(s, 0, sizeof(*s)); /* it may have failed to connect before */
	s->kept = kept;
	s->role = ROLE_CLIENT;
	s->role_source = ROLE_SOURCE_CONNECT;
	s->owner_tgid = bpf_get_current_pid_tgid() >> 32;
	s->cookie = bpf_get_socket_cookie(sk);
	s->open_ns = bpf_ktime_get_ns();
	judge(sk, s, s->owner_tgid, NULL); /* announced when it has its addresses */
}

static __always_inline void established(struct sock *sk, struct tcp_sock *tp, enum place place, int oldstate)
{
	struct listener_key key = { .netns_id = netns_id(sk), .port = local_port(sk) };
	struct listener_value *listener;
	struct socket_state *s;
	struct view v;

	/* That of a client was lost when it began to connect. */
	s = oldstate == TCP_SYN_SENT ? find(sk, place, true) : find_or_lose(sk, place, LOSS_SOCKET_STATE);
	if (!s)
		return;
	look(sk, tp, &v);
	s->sent_seq = v.sent_seq;
	s->received_seq = v.received_seq;
	s->open_ns = bpf_ktime_get_ns();
	s->cookie = bpf_get_socket_cookie(sk);
	s->subflow = is_subflow(tp);
	if (oldstate == TCP_SYN_RECV) {
		s->role = ROLE_SERVER;
		s->role_source = ROLE_SOURCE_ACCEPT;
		listener = bpf_map_lookup_elem(&listeners, &key);
		if (listener)
			s->owner_tgid = listener->tgid;
	} else if (!s->role) {
		s->role = ROLE_CLIENT;
		s->role_source = ROLE_SOURCE_CONNECT;
	}
	decide(sk, s, 0, NULL);
}

/* close_reason reads how a socket ended from the state it left and its error
 * (tcp_reset, tcp_write_err and __tcp_close in net/ipv4). */
static __always_inline u8 close_reason(struct sock *sk, int oldstate)
{
	int error = sk->sk_err;

	if (error == ETIMEDOUT)
		return CLOSE_TIMEOUT;
	if (error == ECONNREFUSED)
		return CLOSE_REFUSED;
	if (error == ECONNRESET || error == EPIPE)
		return CLOSE_RESET_RECEIVED;
	if (error)
		return CLOSE_OTHER;
	switch (oldstate) {
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_TIME_WAIT:
	case TCP_CLOSING:
		return CLOSE_LOCAL;
	case TCP_LAST_ACK:
		return CLOSE_PEER;
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return CLOSE_RESET_SENT; /* no FIN of ours: aborted */
	}
	return CLOSE_OTHER;
}

static __always_inline u32 close_flags(const struct socket_state *s, u8 reason)
{
	u32 flags = EXCHANGE_CLOSED;

	if (reason != CLOSE_LOCAL && reason != CLOSE_PEER)
		flags |= EXCHANGE_RESET;
	if (reason == (s->role == ROLE_SERVER ? CLOSE_LOCAL : CLOSE_PEER))
		flags |= EXCHANGE_SERVER_CLOSED;
	return flags;
}

/* end_exchange emits the exchange in progress of a socket that has closed. */
static __always_inline void end_exchange(struct socket_state *s, u64 now_ns)
{
	struct exchange_record out;
	bool ended = false;

	if (!lock(s)) {
		count_loss(LOSS_SOCKET_BUSY, 1);
		return;
	}
	end_passed(s);
	if (in_progress(s)) {
		take(s, close_flags(s, s->closed), now_ns, &out);
		clear_exchange(s);
		ended = true;
	}
	unlock(s);
	if (ended && s->wanted)
		emit_exchange(&out);
}

/* end_announced notes that nothing more is told of a socket. */
static __always_inline void end_announced(struct socket_state *s)
{
	if (s->announced && !s->ended) /* counted first: a walk must not miss it uncounted */
		__sync_fetch_and_add(&sockets_ended, 1);
	s->ended = 1;
}

/* closed emits the end of the socket, once it is known to be wanted, and of its
 * exchange, unless the process may still read something that belongs to it. */
static __always_inline void closed(struct sock *sk, struct tcp_sock *tp, struct socket_state *s, u8 reason)
{
	u64 now_ns = bpf_ktime_get_ns();
	struct view v;

	if (!s->open_ns && !s->cookie)
		return;
	if (!s->closed) {
		decide(sk, s, 0, NULL);
		look(sk, tp, &v);
		/* The hook of the last send may not have fired yet. */
		if (s->wanted && !s->subflow && v.sent_seq != s->sent_seq)
			count_moved(sk, tp, s, &v, false, 0, BY_ADDRESS);
		s->closed = reason;
		if (!v.unread)
			end_exchange(s, now_ns);
	}
	if (s->wanted && !s->ended) {
		end_announced(s);
		emit_socket(sk, s, SOCKET_CLOSE, now_ns, s->closed);
	}
}

static __always_inline void connect_failed(struct sock *sk, struct socket_state *s)
{
	u8 reason = close_reason(sk, TCP_SYN_SENT);

	s->closed = reason;
	s->announced = s->ended = 1; /* this row is the only one of the socket */
	if (decide(sk, s, 0, NULL))
		emit_socket(sk, s, SOCKET_CONNECT_FAILED, bpf_ktime_get_ns(), reason);
}

static __always_inline int handle_state(struct sock *sk, enum place place, int oldstate, int newstate)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct socket_state *s;

	if (newstate == TCP_LISTEN && (tp || sk->sk_protocol == IPPROTO_MPTCP)) {
		if (oldstate != TCP_LISTEN) /* MPTCP enters that state twice (mptcp_listen) */
			listener_begins(sk, bpf_get_current_pid_tgid() >> 32);
		return 0;
	}
	if (oldstate == TCP_LISTEN && newstate == TCP_CLOSE) {
		listener_ends(sk);
		return 0;
	}
	if (!tp)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		connect_begins(sk, place);
	} else if (newstate == TCP_ESTABLISHED) {
		established(sk, tp, place, oldstate);
	} else if (newstate == TCP_CLOSE) {
		s = find(sk, place, false);
		if (!s)
			return 0;
		if (oldstate == TCP_SYN_SENT)
			connect_failed(sk, s);
		else
			closed(sk, tp, s, close_reason(sk, oldstate));
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int oldstate, int newstate)
{
	return handle_state(sk, IN_STORAGE, oldstate, newstate);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_by_address, struct sock *sk, int oldstate, int newstate)
{
	return handle_state(sk, BY_ADDRESS, oldstate, newstate);
}

/* The socket is freed: the end of what was read after the close, and the last
 * chance for a socket whose close was missed. */
static __always_inline void handle_destroy(struct sock *sk, enum place place)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct socket_state *s;

	s = find(sk, place, false);
	if (!s || !tp)
		return;
	closed(sk, tp, s, CLOSE_OTHER);
	end_exchange(s, bpf_ktime_get_ns());
	end_announced(s); /* it may have left the targets */
	if (s->kept) {
		s->kept = 0;
		__sync_fetch_and_add(&sockets_kept, -1);
	}
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy, struct sock *sk)
{
	handle_destroy(sk, IN_STORAGE);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_by_address, struct sock *sk)
{
	u64 key = (u64)sk;

	handle_destroy(sk, BY_ADDRESS);
	bpf_map_delete_elem(&sockets_by_address, &key);
	return 0;
}

/*
 * Sockets older than the recording, with their owners: one walk over every
 * open file fills the listeners, a second one the other sockets, whose roles
 * need the listeners.
 */
static __always_inline struct sock *socket_of(struct file *file)
{
	struct socket *socket;

	if (!file)
		return NULL;
	socket = bpf_sock_from_file(file);
	return socket ? socket->sk : NULL;
}

SEC("iter/task_file")
int existing_listeners(struct bpf_iter__task_file *ctx)
{
	struct sock *sk = socket_of(ctx->file);
	struct task_struct *task = ctx->task;
	u16 family;

	reader_tgid = bpf_get_current_pid_tgid() >> 32;
	if (!sk || !task)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	if (crowded())
		return 1;
	listener_begins(sk, task->tgid);
	return 0;
}

static __always_inline int existing_socket(struct bpf_iter__task_file *ctx, enum place place)
{
	struct sock *sk = socket_of(ctx->file);
	struct tcp_sock *tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	struct task_struct *task = ctx->task;
	struct socket_state *s;
	struct view v;
	u8 state;

	if (!tp || !task)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_LISTEN || state == TCP_CLOSE || state == TCP_SYN_SENT || state == TCP_SYN_RECV)
		return 0;
	if (crowded())
		return 1;
	s = find_or_lose(sk, place, LOSS_SOCKET_STATE);
	if (!s || s->cookie)
		return 0; /* seen opening, or already adopted through another descriptor */
	look(sk, tp, &v);
	adopt(sk, s, &v, bpf_get_socket_cookie(sk), task->tgid);
	decide(sk, s, task->tgid, task);
	return 0;
}

SEC("iter/task_file")
int existing_sockets(struct bpf_iter__task_file *ctx)
{
	return existing_socket(ctx, IN_STORAGE);
}

SEC("iter/task_file")
int existing_sockets_by_address(struct bpf_iter__task_file *ctx)
{
	return existing_socket(ctx, BY_ADDRESS);
}

enum sweep_mode {
	SWEEP_WAITING = 0, /* emit what has waited long enough */
	SWEEP_LAST = 1,	   /* emit everything, which empties every state */
	SWEEP_LIST = 2,	   /* list the sockets that were announced before and have not ended */
};

/* Set by the recorder before it reads a sweep. */
u32 sweeping = SWEEP_WAITING;

/* A list is of this time: sockets that were established later announce
 * themselves. */
u64 list_ns = 0;

/*
 * list_socket emits what a socket is, once a list. Where a read of the walk ends,
 * the next one has to find its way back: a map of socket storage has as few buckets
 * as there are CPUs, and the kernel counts through the bucket from its start. Reads
 * of a few sockets each would cost the square of their number.
 */
static __always_inline int list_socket(struct sock *sk, struct socket_state *s)
{
	struct socket_record r = {};

	if (s->listed == list_number || !s->announced || s->open_ns >= list_ns || (s->ended && !in_progress(s)))
		return 0;
	if (crowded())
		return 1;
	describe_socket(sk, s, SOCKET_EXISTING, list_ns, &r);
	if (bpf_ringbuf_output(&control_ring, &r, sizeof(r), BPF_RB_NO_WAKEUP))
		return 1;
	s->listed = list_number;
	return 0;
}

static __always_inline void sweep_state(struct socket_state *s)
{
	struct exchange_record out;
	u64 now_ns = bpf_ktime_get_ns();
	bool filled;

	if (!lock(s))
		return;
	filled = sweep(s, sweeping == SWEEP_LAST, now_ns, &out);
	unlock(s);
	if (filled)
		emit_exchange(&out);
}

SEC("iter/bpf_sk_storage_map")
int sweep_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	const struct socket_state *seen = ctx->value;
	struct sock *sk = ctx->sk;
	struct socket_state *s;

	if (!sk || !seen)
		return 0;
	if (seen->announced && !seen->ended)
		sockets_seen++; /* there is one walk at a time */
	if (!seen->wanted)
		return 0;
	/* Most sockets of a host are idle: no more than a look at them. */
	if (sweeping == SWEEP_LIST ? seen->listed == list_number : !in_progress(seen))
		return 0;
	s = find(sk, IN_STORAGE, false);
	if (!s)
		return 0;
	if (sweeping == SWEEP_LIST)
		return list_socket(sk, s);
	sweep_state(s);
	return 0;
}

SEC("iter/bpf_map_elem")
int sweep_sockets_by_address(struct bpf_iter__bpf_map_elem *ctx)
{
	struct socket_state *s;
	u64 *address = ctx->key;
	u64 key;

	if (!address)
		return 0;
	key = *address;
	s = bpf_map_lookup_elem(&sockets_by_address, &key);
	if (!s || !s->wanted)
		return 0;
	if (sweeping == SWEEP_LIST)
		return list_socket((struct sock *)key, s);
	sweep_state(s);
	return 0;
}

/* Run by the recorder on every CPU. */
SEC("raw_tp")
int fetch_batch(void *ctx)
{
	emit_batch();
	return 0;
}
