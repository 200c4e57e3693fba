//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Collector block: one record for each request to a block device. It is begun
 * where somebody asks (the only place where the current process is the one that
 * does), completed when the driver gets it, and sent when it is done. The times
 * are kmon's own: those of the kernel are stale at the beginning and, when it
 * takes the time once for many requests, hide the wait in the queue.
 */
#include "emit.h"
#include "control.h"
#include "shed.h"
#include <bpf/bpf_tracing.h>

/* How many bios of a request are looked at. */
#define BIOS_MAX 512

struct io_state {
	struct io_record io;
	u8 wanted;
	u8 told; /* the record was sent; a flush is still to follow */
	u8 with_driver;
	u8 pad;
	u32 length; /* bytes, when the driver got it */
};
_Static_assert(sizeof(struct io_state) == 72, "io_state");

/* IOs under way, by the address of their request; with io_by_bio, until the
 * driver gets it, by that of the first bio. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct io_state);
	__uint(max_entries, 16384);
} ios SEC(".maps");

/* Set before loading: who asks is seen with the bio that a request is made
 * for, not with the request (kernels without block_io_start). */
const volatile bool io_by_bio = false;

/* Set by the recorder at the end, so that all hooks end at once: hooks are
 * detached one after the other, and IOs would lose their ends. */
volatile bool ios_ended = false;

/* IOs asked for before this may have been left out: set by the recorder when it
 * wants them again. */
u64 ios_since_ns = 0;

static __always_inline u32 operation(u32 cmd_flags)
{
	u32 op = cmd_flags & 0xff; /* REQ_OP_BITS */

	if (op == bpf_core_enum_value(enum req_op, REQ_OP_READ))
		return IO_READ;
	if (op == bpf_core_enum_value(enum req_op, REQ_OP_WRITE) ||
	    op == bpf_core_enum_value(enum req_op, REQ_OP_ZONE_APPEND))
		return IO_WRITE;
	if (op == bpf_core_enum_value(enum req_op, REQ_OP_FLUSH))
		return IO_FLUSH;
	if (op == bpf_core_enum_value(enum req_op, REQ_OP_DISCARD) ||
	    op == bpf_core_enum_value(enum req_op, REQ_OP_SECURE_ERASE))
		return IO_DISCARD;
	return IO_OTHER;
}

#define HAS(cmd_flags, bit) ((cmd_flags) & 1U << bpf_core_enum_value(enum req_flag_bits, bit))

static __always_inline u32 io_flags(u32 cmd_flags)
{
	u32 flags = 0;

	if (HAS(cmd_flags, __REQ_SYNC))
		flags |= IO_SYNC;
	if (HAS(cmd_flags, __REQ_META))
		flags |= IO_META;
	if (HAS(cmd_flags, __REQ_RAHEAD))
		flags |= IO_READAHEAD;
	if (HAS(cmd_flags, __REQ_PREFLUSH))
		flags |= IO_PREFLUSH;
	if (HAS(cmd_flags, __REQ_FUA))
		flags |= IO_FUA;
	return flags;
}

static __always_inline void missed_end(const struct io_state *s)
{
	if (s->wanted && !s->told)
		count_loss(LOSS_IO_END, 1);
}

static __always_inline void keep_io(u64 key, const struct io_state *s)
{
	struct io_state *old;
	long err = bpf_map_update_elem(&ios, &key, s, BPF_NOEXIST);

	if (!err)
		return;
	if (err == -EEXIST) {
		old = bpf_map_lookup_elem(&ios, &key);
		if (old)
			missed_end(old);
		err = bpf_map_update_elem(&ios, &key, s, BPF_ANY);
	}
	if (err && s->wanted)
		count_loss(LOSS_IO_STATE, 1);
}

static __always_inline void describe_io(struct io_record *io, u32 cmd_flags, struct gendisk *disk)
{
	io->kind = RECORD_IO;
	io->operation = operation(cmd_flags);
	io->flags = io_flags(cmd_flags);
	if (io->operation == IO_FLUSH) /* the kernel marks its own ones so */
		io->flags &= ~IO_PREFLUSH;
	io->sector = ~0ULL; /* until the device gets it */
	io->major = disk->major;
	io->minor = disk->first_minor;
}

/* asks begins an IO of the current process. That of the recorder is kept too,
 * or it would look like one whose beginning was missed. */
static __always_inline void asks(u64 key, u32 cmd_flags, struct gendisk *disk)
{
	u64 id = bpf_get_current_pid_tgid();
	struct control *c = current_control();
	struct io_state s = {};

	if (ios_ended || !c || (c->flags && !is_target(id >> 32, NULL)))
		return;
	s.wanted = id >> 32 != c->self_tgid;
	if (shed & SHED_BLOCK) {
		if (s.wanted)
			count_loss(LOSS_IO_SHED, 1);
		return;
	}
	describe_io(&s.io, cmd_flags, disk);
	s.io.tgid = id >> 32;
	s.io.tid = id;
	s.io.start_ns = bpf_ktime_get_ns();
	keep_io(key, &s);
}

SEC("tp_btf/block_io_start")
int BPF_PROG(block_start, struct request *rq)
{
	asks((u64)rq, rq->cmd_flags, rq->q->disk);
	return 0;
}

SEC("tp_btf/block_getrq")
int BPF_PROG(block_getrq, struct bio *bio)
{
	asks((u64)bio, bio->bi_opf, bio->bi_bdev->bd_disk);
	return 0;
}

/* first_bio finds the bio of a request under which its IO was begun. Others may
 * have been put before it. */
static __always_inline struct io_state *first_bio(struct request *rq, u64 *key)
{
	struct bio *bio = rq->bio;

	for (int i = 0; i < BIOS_MAX && bio; i++) {
		struct io_state *s;

		*key = (u64)bio;
		s = bpf_map_lookup_elem(&ios, key);
		if (s)
			return s;
		bio = bio->bi_next;
	}
	return NULL;
}

/* take_bio moves an IO from its bio to its request. */
static __always_inline struct io_state *take_bio(struct request *rq)
{
	u64 bio_key, key = (u64)rq;
	struct io_state s, *begun = first_bio(rq, &bio_key);

	if (!begun)
		return NULL;
	s = *begun;
	bpf_map_delete_elem(&ios, &bio_key);
	keep_io(key, &s);
	return bpf_map_lookup_elem(&ios, &key);
}

/* drop_io forgets an IO that will not happen: its request went into another, or
 * was done without the device. */
static __always_inline void drop_io(struct request *rq)
{
	u64 key = (u64)rq;

	if (!bpf_map_delete_elem(&ios, &key) || !io_by_bio)
		return;
	if (first_bio(rq, &key))
		bpf_map_delete_elem(&ios, &key);
}

/*
 * asker is the first of the IOs that a flush is made for. The kernel's flush
 * request is the queue's own and made by nobody, but borrows that one's tag
 * (blk_kick_flush).
 */
static __always_inline struct io_state *asker(struct request *flush)
{
	int tag = flush->internal_tag;
	struct request **all, *first = NULL;
	u64 key;

	if (tag >= 0) {
		all = flush->mq_hctx->sched_tags->static_rqs;
	} else {
		tag = flush->tag;
		all = flush->mq_hctx->tags->static_rqs;
	}
	if (tag < 0 || !all || bpf_probe_read_kernel(&first, sizeof(first), all + tag))
		return NULL;
	key = (u64)first;
	if (io_by_bio && !bpf_map_lookup_elem(&ios, &key))
		bpf_probe_read_kernel(&key, sizeof(key), (void *)first + bpf_core_field_offset(struct request, bio));
	return bpf_map_lookup_elem(&ios, &key);
}

/* begin_late makes the state of a request of which nobody was seen to ask: a
 * flush, or one that is older than the recording. */
static __always_inline struct io_state *begin_late(struct request *rq, u64 now_ns)
{
	struct control *c = current_control();
	struct io_state s = {}, *first = NULL;
	u64 key = (u64)rq;

	describe_io(&s.io, rq->cmd_flags, rq->q->disk);
	if (s.io.operation == IO_FLUSH)
		first = asker(rq);
	if (!c || (c->flags && !first))
		return NULL; /* it is not known to be a target's */
	s.wanted = first ? first->wanted : true;
	s.io.tgid = first ? first->io.tgid : 0;
	s.io.tid = first ? first->io.tid : 0;
	s.io.start_ns = first ? first->io.start_ns : now_ns;
	keep_io(key, &s);
	return bpf_map_lookup_elem(&ios, &key);
}

/* left_out says that a request without a state is one that was left out. It was
 * counted when it was asked for; nobody asks for a flush. */
static __always_inline bool left_out(struct request *rq)
{
	struct control *c = current_control();

	if (!(shed & SHED_BLOCK) && (!rq->start_time_ns || rq->start_time_ns >= ios_since_ns))
		return false;
	if (c && !c->flags && operation(rq->cmd_flags) == IO_FLUSH)
		count_loss(LOSS_IO_SHED, 1);
	return true;
}

/* merges counts the bios of a request beyond the first. */
static __always_inline u32 merges(struct request *rq)
{
	struct bio *bio = rq->bio;
	u32 n = 0;

	while (n < BIOS_MAX && bio) {
		bio = bio->bi_next;
		n++;
	}
	return n ? n - 1 : 0;
}

/* The driver gets a request, perhaps not for the first time. */
SEC("tp_btf/block_rq_issue")
int BPF_PROG(block_issue, struct request *rq)
{
	u64 key = (u64)rq, now_ns = bpf_ktime_get_ns();
	struct io_state *s;

	if (ios_ended)
		return 0;
	s = bpf_map_lookup_elem(&ios, &key);
	if (s && (s->with_driver || s->told)) {
		missed_end(s); /* of the request that was here before */
		bpf_map_delete_elem(&ios, &key);
		s = NULL;
	}
	if (!s && io_by_bio)
		s = take_bio(rq);
	if (!s && !left_out(rq))
		s = begin_late(rq, now_ns);
	if (!s || !s->wanted)
		return 0;
	s->with_driver = 1;
	if (!s->io.issued_ns)
		s->io.issued_ns = now_ns;
	if (s->io.bytes) /* a part is done: this is the rest */
		return 0;
	if (s->io.operation != IO_FLUSH)
		s->io.sector = rq->__sector;
	s->length = rq->__data_len; /* it may have grown while it was back in the queue */
	s->io.merges = merges(rq);
	return 0;
}

SEC("tp_btf/block_rq_requeue")
int BPF_PROG(block_requeue, struct request *rq)
{
	u64 key = (u64)rq;
	struct io_state *s = bpf_map_lookup_elem(&ios, &key);

	if (!s)
		return 0;
	s->with_driver = 0;
	if (s->io.requeues < 0xffff)
		s->io.requeues++;
	return 0;
}

SEC("tp_btf/block_rq_merge")
int BPF_PROG(block_merge, struct request *rq)
{
	if (!ios_ended)
		drop_io(rq);
	return 0;
}

static __always_inline void send_io(struct io_state *s)
{
	s->io.done_ns = bpf_ktime_get_ns();
	if (bpf_ringbuf_output(&data_ring, &s->io, sizeof(s->io), BPF_RB_NO_WAKEUP))
		count_loss(LOSS_IO_RING, 1);
	s->told = 1;
}

static __always_inline void complete(struct request *rq, u8 status, u32 bytes)
{
	u64 key = (u64)rq;
	bool whole = bytes >= rq->__data_len;
	struct io_state *s;

	if (ios_ended)
		return;
	s = bpf_map_lookup_elem(&ios, &key);
	if (!s || !s->io.issued_ns) {
		if (whole && (s || io_by_bio))
			drop_io(rq);
		return;
	}
	if (!s->told) {
		s->io.bytes = s->length - rq->__data_len + (status ? 0 : bytes);
		if (status)
			s->io.status = status;
		if (whole)
			send_io(s);
	}
	if (whole && !(s->io.flags & (IO_PREFLUSH | IO_FUA) && rq->end_io))
		bpf_map_delete_elem(&ios, &key);
}

/* A part of a request, or all that is left of it, is done. One that is followed
 * by a flush is done twice: its state stays so that the flush finds its asker. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request *rq, u8 status, unsigned int bytes)
{
	complete(rq, status, bytes);
	return 0;
}

/* The kernel skips a program that an interrupt finds at work on its CPU, and
 * disks are done in interrupts, while loop devices are not. Then this one runs,
 * which is another; else it finds nothing left to do. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete_skipped, struct request *rq, u8 status, unsigned int bytes)
{
	complete(rq, status, bytes);
	return 0;
}
