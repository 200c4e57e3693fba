/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages become exchanges: a request burst and the burst that answers it.
 * Pure bookkeeping on a socket_state; whoever calls holds its lock.
 */
#ifndef KMON_EXCHANGE_H
#define KMON_EXCHANGE_H

#include "socket_state.h"
#include "shed.h"

/* A burst that goes on is emitted in parts of about this length, so that a
 * long transfer or a one-way stream is recorded while it lasts. */
#define PART_NS (1000ULL * 1000 * 1000)
/* A complete exchange is emitted after this much silence. */
#define IDLE_NS (5ULL * 1000 * 1000 * 1000)
/* A socket that interleaved this often is a stream for the rest of its life. */
#define STREAM_AFTER 3

static __always_inline void clear_counts(struct socket_state *s)
{
	s->request_bytes = 0;
	s->answer_bytes = 0;
	s->request_messages = 0;
	s->answer_messages = 0;
}

/* clear_exchange makes room for the next one. */
static __always_inline void clear_exchange(struct socket_state *s)
{
	clear_counts(s);
	s->request_first_ns = 0;
	s->request_last_ns = 0;
	s->answer_first_ns = 0;
	s->answer_last_ns = 0;
	s->exchange_flags &= EXCHANGE_STREAM;
}

/* pack makes a duration fit 32 bits; shift says by how much it was cut. */
static __always_inline u32 pack(u64 duration_ns, u8 *shift)
{
	*shift = !(duration_ns >> 32) ? 0 : !(duration_ns >> 42) ? 10 : 20;
	return duration_ns >> *shift;
}

/* take copies the exchange in progress to out; now_ns bounds the wait for an
 * answer that has not come. */
static __always_inline void take(const struct socket_state *s, u32 flags, u64 now_ns,
				 struct exchange_record *out)
{
	u64 server_ns = 0;

	flags |= s->exchange_flags;
	if (s->role == ROLE_CLIENT)
		flags |= EXCHANGE_CLIENT;
	if (!s->request_first_ns) {
		flags |= EXCHANGE_NO_REQUEST;
	} else if (!s->answer_first_ns) {
		flags |= EXCHANGE_NO_ANSWER;
		if (now_ns > s->request_last_ns)
			server_ns = now_ns - s->request_last_ns;
	} else {
		server_ns = s->answer_first_ns - s->request_last_ns;
	}
	out->kind = RECORD_EXCHANGE;
	out->flags = flags;
	out->tgid = s->tgid;
	out->cookie = s->cookie;
	out->start_ns = s->request_first_ns ? s->request_first_ns : s->answer_first_ns;
	out->tid = s->tid;
	out->upload = pack(s->request_last_ns - s->request_first_ns, &out->upload_shift);
	out->server = pack(server_ns, &out->server_shift);
	out->download = pack(s->answer_last_ns - s->answer_first_ns, &out->download_shift);
	out->request_bytes = s->request_bytes;
	out->answer_bytes = s->answer_bytes;
	out->request_messages = s->request_messages;
	out->answer_messages = s->answer_messages;
	out->pad = 0;
	if (flags & EXCHANGE_ACCOUNTED)
		out->parts = s->parts;
	else
		__builtin_memset(&out->parts, 0, sizeof(out->parts));
}

/* take_part emits what the exchange in progress has so far and lets it go on. */
static __always_inline void take_part(struct socket_state *s, u64 now_ns, struct exchange_record *out)
{
	take(s, EXCHANGE_PARTIAL, now_ns, out);
	clear_counts(s);
	s->exchange_flags |= EXCHANGE_CONTINUED;
}

static __always_inline void mark_interleaved(struct socket_state *s)
{
	s->exchange_flags |= EXCHANGE_INTERLEAVED;
	if (s->interleaved < STREAM_AFTER)
		s->interleaved++;
	if (s->interleaved == STREAM_AFTER)
		s->exchange_flags |= EXCHANGE_STREAM;
}

/* part_is_full says whether the burst that goes on is due, by its age or
 * because a record could not count more. */
static __always_inline bool part_is_full(const struct socket_state *s, bool request, u64 ts_ns)
{
	u32 messages = request ? s->request_messages : s->answer_messages;
	u32 bytes = request ? s->request_bytes : s->answer_bytes;

	return messages && (ts_ns - s->part_ns > PART_NS || messages == 0xffff || bytes >= 1U << 31);
}

/* in_progress says whether anything was seen since the last whole exchange. */
static __always_inline bool in_progress(const struct socket_state *s)
{
	return s->request_first_ns || s->answer_first_ns;
}

/* is_left_out says whether a socket is not of the sample that is recorded. */
static __always_inline bool is_left_out(const struct socket_state *s)
{
	return tcp_sampling && s->sample && s->sample <= tcp_sampling;
}

/* pass_over lets a message of a socket that is left out go by. It returns true
 * when the message begins another exchange than the one it has counted. */
static __always_inline bool pass_over(struct socket_state *s, bool request)
{
	bool next = request && s->passed & PASSED_ANSWER;

	if (next) {
		count_loss(LOSS_EXCHANGE_SHED, 1);
		s->passed = 0;
	} else {
		s->passed |= request ? PASSED_REQUEST : PASSED_ANSWER;
	}
	return next;
}

/* end_passed counts the exchange that goes by, if there is one. */
static __always_inline void end_passed(struct socket_state *s)
{
	if (s->passed && s->wanted)
		count_loss(LOSS_EXCHANGE_SHED, 1);
	s->passed = 0;
}

/* sweep_passed lets a socket that is recorded again begin. That waits for its
 * next exchange, but a burst may last for ever, and an answer may have ended. A
 * second look tells which: what moved since is the middle of a burst. */
static __always_inline void sweep_passed(struct socket_state *s)
{
	u64 at = (u64)s->sent_seq << 32 | s->received_seq;
	bool moved = at != s->part_ns;

	if (is_left_out(s)) {
		s->passed &= ~PASSED_SWEPT;
		return;
	}
	if (s->passed & PASSED_SWEPT && (moved || s->passed & PASSED_ANSWER)) {
		end_passed(s);
		if (moved)
			s->exchange_flags |= EXCHANGE_JOINED;
		return;
	}
	s->passed |= PASSED_SWEPT;
	s->part_ns = at;
}

/*
 * add_message counts one message of bytes in the exchange in progress. It
 * returns true when that ended an exchange (or a part), which is then in out.
 * A socket is left out, or recorded again, from its next exchange or part on.
 *
 * unacked says that some of what this end had sent was unacknowledged when
 * this message was received. A peer that waits for the end of an answer
 * before it asks again acknowledges all of it with its next request, and an
 * answer acknowledges all of the request it answers; so a change of direction
 * with bytes outstanding means that request and answer overlapped.
 */
static __always_inline bool add_message(struct socket_state *s, bool request, u32 bytes,
					u64 ts_ns, bool unacked, struct exchange_record *out)
{
	bool ended = false;

	if (s->passed && !pass_over(s, request))
		return false;
	if (ts_ns < s->last_ns)
		ts_ns = s->last_ns;
	if (request && s->answer_first_ns) {
		if (unacked)
			mark_interleaved(s);
		take(s, 0, ts_ns, out);
		clear_exchange(s);
		ended = true;
	} else if (part_is_full(s, request, ts_ns)) {
		take_part(s, ts_ns, out);
		s->part_ns = ts_ns;
		ended = true;
	}
	if ((ended || !in_progress(s)) && is_left_out(s)) {
		clear_exchange(s);
		pass_over(s, request);
		return ended;
	}
	if (request) {
		if (!s->request_first_ns)
			s->request_first_ns = s->part_ns = ts_ns;
		s->request_last_ns = ts_ns;
		s->request_bytes += bytes;
		s->request_messages++;
	} else {
		if (!s->answer_first_ns) {
			s->answer_first_ns = s->part_ns = ts_ns;
			if (unacked && s->request_first_ns)
				mark_interleaved(s);
		}
		s->answer_last_ns = ts_ns;
		s->answer_bytes += bytes;
		s->answer_messages++;
	}
	s->last_ns = ts_ns;
	return ended;
}

/*
 * sweep emits what has waited long enough: at the end of the recording
 * everything; before, complete exchanges after IDLE_NS and the uncounted
 * parts of others. It returns true when out was filled.
 */
static __always_inline bool sweep(struct socket_state *s, bool last, u64 now_ns, struct exchange_record *out)
{
	bool complete = s->request_first_ns && s->answer_first_ns;

	if (s->passed && last)
		end_passed(s);
	else if (s->passed)
		sweep_passed(s);
	if (!in_progress(s))
		return false;
	if (last) {
		take(s, EXCHANGE_OPEN, now_ns, out);
		clear_exchange(s);
		return true;
	}
	if (now_ns < s->last_ns + IDLE_NS)
		return false;
	if (complete || !s->request_first_ns) {
		take(s, EXCHANGE_IDLE, now_ns, out);
		clear_exchange(s);
		return true;
	}
	if (!s->request_messages)
		return false;
	take_part(s, now_ns, out);
	return true;
}

#endif
