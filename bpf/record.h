/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records as they leave the kernel: what record/probe decodes. Layout rules:
 * every record begins with its kind (16 bits); 8-byte fields before smaller ones;
 * explicit padding; sizes asserted here and compared with the generated Go
 * types in layout_test.go. Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef KMON_RECORD_H
#define KMON_RECORD_H

#include "kernel.h"

enum record_kind {
	RECORD_EXCHANGE = 1,
	RECORD_SOCKET = 2,
	RECORD_LISTENER = 3,
	RECORD_PROC = 4,
	RECORD_INTERVAL = 5,
	RECORD_SAMPLE = 6,
	RECORD_QUEUE = 7,
	RECORD_IO = 8,
};

/* The same numbers as format.ExchangeFlags. */
enum exchange_flags { /* 16 bits in a record */
	EXCHANGE_CLIENT = 1 << 0,
	EXCHANGE_PARTIAL = 1 << 1,
	EXCHANGE_CONTINUED = 1 << 2,
	EXCHANGE_NO_REQUEST = 1 << 3,
	EXCHANGE_NO_ANSWER = 1 << 4,
	EXCHANGE_OPEN = 1 << 5,
	EXCHANGE_CLOSED = 1 << 6,
	EXCHANGE_INTERLEAVED = 1 << 7,
	EXCHANGE_STREAM = 1 << 8,
	EXCHANGE_IDLE = 1 << 9,
	EXCHANGE_JOINED = 1 << 10,
	EXCHANGE_RESET = 1 << 11,
	EXCHANGE_SERVER_CLOSED = 1 << 12,
	EXCHANGE_ACCOUNTED = 1 << 13,
	EXCHANGE_HANDED_OVER = 1 << 14,
};

/* What a thread waited for, in units of 1 << ACCOUNT_SHIFT ns: its accounts, which
 * wrap after 275 s, or the difference of two. */
#define ACCOUNT_SHIFT 6
struct thread_account {
	u32 run_queue;
	u32 lock;
	u32 disk;
	u32 network;
	u32 sleep;
	u32 other;
};

/*
 * One exchange, or a part of one: table exchanges. It is kept small because a
 * record is copied twice. A duration is its field shifted left by its shift:
 * nanoseconds up to 4.29 s, beyond with a precision of 1 µs or 1 ms.
 */
struct exchange_record {
	u16 kind;
	u16 flags;
	u32 tgid;
	u64 cookie;
	u64 start_ns;
	u32 tid;
	u32 upload;
	u32 server;
	u32 download;
	u32 request_bytes;
	u32 answer_bytes;
	u16 request_messages;
	u16 answer_messages;
	u8 upload_shift;
	u8 server_shift;
	u8 download_shift;
	u8 pad;
	struct thread_account parts; /* if ACCOUNTED */
};
_Static_assert(sizeof(struct exchange_record) == 80, "exchange_record");

/* The same numbers as format.SocketEvent. */
enum socket_event {
	SOCKET_EXISTING = 1,
	SOCKET_OPEN = 2,
	SOCKET_CLOSE = 3,
	SOCKET_CONNECT_FAILED = 4,
};

/* The same numbers as format.Role and format.RoleSource. */
enum role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };
enum role_source {
	ROLE_SOURCE_UNKNOWN = 0,
	ROLE_SOURCE_CONNECT = 1,
	ROLE_SOURCE_ACCEPT = 2,
	ROLE_SOURCE_LISTENER = 3,
	ROLE_SOURCE_PORT = 4,
};

/* The same numbers as format.CloseReason. */
enum close_reason {
	CLOSE_NONE = 0,
	CLOSE_LOCAL = 1,
	CLOSE_PEER = 2,
	CLOSE_RESET_SENT = 3,
	CLOSE_RESET_RECEIVED = 4,
	CLOSE_TIMEOUT = 5,
	CLOSE_REFUSED = 6,
	CLOSE_OTHER = 7,
};

/* A socket begins or ends: table sockets. Addresses are in network order,
 * ports in host order. IPv4 addresses are in the first word. */
struct socket_record {
	u16 kind;
	u16 unused;
	u32 netns_id;
	u64 ts_ns;
	u64 cookie;
	u64 bytes_sent;
	u64 bytes_received;
	u32 local_addr[4];
	u32 remote_addr[4];
	u32 tgid;
	u32 retransmits;
	u32 srtt; /* smoothed round trip time in 1/8 µs, as the kernel keeps it; 0: never measured */
	u16 local_port;
	u16 remote_port;
	u16 family; /* AF_INET or AF_INET6 */
	u8 event;
	u8 role;
	u8 role_source;
	u8 close_reason;
	u8 pad[2];
};
_Static_assert(sizeof(struct socket_record) == 96, "socket_record");

/* A socket begins to listen: snapshot listeners. */
struct listener_record {
	u16 kind;
	u16 unused;
	u32 netns_id;
	u64 ts_ns;
	u32 addr[4];
	u32 tgid;
	u32 backlog;
	u16 port;
	u16 family;
	u16 protocol;
	u16 pad;
};
_Static_assert(sizeof(struct listener_record) == 48, "listener_record");

/* Connections that wait at a listener, and those it turned away since the last
 * such record: table acceptqueues. */
struct queue_record {
	u16 kind;
	u16 family;
	u32 netns_id;
	u64 ts_ns;
	u32 addr[4];
	u32 tgid;
	u32 depth;
	u32 limit; /* one more than that may wait (sk_acceptq_is_full) */
	u32 overflows;
	u16 port;
	u16 pad[3];
};
_Static_assert(sizeof(struct queue_record) == 56, "queue_record");

/* The same numbers as format.ProcEvent. */
enum proc_event { PROC_FORK = 1, PROC_EXEC = 2, PROC_EXIT = 3 };

#define PROC_EXE_MAX 128
#define PROC_ARGS_MAX 240

/* What a thread did since the last time: table intervals. */
struct interval_record {
	u16 kind;
	u16 unused;
	u32 tgid;
	u64 ts_ns;
	u64 on_cpu_ns;
	u64 run_queue_ns;
	u64 timeslices;
	u64 voluntary;
	u64 involuntary;
	u32 tid;
	u32 pad;
	char comm[16];
};
_Static_assert(sizeof(struct interval_record) == 80, "interval_record");

/* One sample of a CPU: table oncpu. Stacks are keys of the maps
 * kernel_stacks and user_stacks; 0: none, all ones: could not be taken. */
struct sample_record {
	u16 kind;
	u16 unused;
	u32 cpu;
	u64 ts_ns;
	u64 kernel_stack;
	u64 user_stack;
	u32 tgid;
	u32 tid;
};
_Static_assert(sizeof(struct sample_record) == 40, "sample_record");

/* The same numbers as format.Operation. */
enum io_operation { /* 8 bits in a record */
	IO_READ = 1,
	IO_WRITE = 2,
	IO_FLUSH = 3,
	IO_DISCARD = 4,
	IO_OTHER = 5,
};

/* The same numbers as format.IOFlags. */
enum io_flags { /* 8 bits in a record */
	IO_SYNC = 1 << 0,
	IO_META = 1 << 1,
	IO_READAHEAD = 1 << 2,
	IO_PREFLUSH = 1 << 3,
	IO_FUA = 1 << 4,
};

/* One request to a block device: table ios. */
struct io_record {
	u16 kind;
	u8 operation;
	u8 flags;
	u32 bytes; /* completed */
	u64 start_ns;
	u64 issued_ns; /* 0: not yet */
	u64 done_ns;
	u64 sector; /* all ones: none */
	u32 major;
	u32 minor;
	u32 tgid;
	u32 tid;
	u16 status; /* a blk_status_t; 0: none */
	u16 requeues;
	u16 merges;
	u16 pad;
};
_Static_assert(sizeof(struct io_record) == 64, "io_record");

/* A process begins, execs or ends: table procs. Fork and exit stop before
 * exe; start_boottime_ns is the task's own, in CLOCK_BOOTTIME. */
struct proc_record {
	u16 kind;
	u16 unused;
	u32 event;
	u64 ts_ns;
	u64 start_boottime_ns;
	u64 cgroup_id;
	u32 tgid;
	u32 parent_tgid;
	u32 pidns_pid;
	s32 exit_code;
	char comm[16];
	u32 exe_len;  /* bytes used of exe, with the NUL */
	u32 args_len; /* bytes used of args; arguments end with NULs */
	char exe[PROC_EXE_MAX];
	char args[PROC_ARGS_MAX];
};
_Static_assert(sizeof(struct proc_record) == 440, "proc_record");
#define PROC_SHORT_SIZE __builtin_offsetof(struct proc_record, exe)

/* Not a record: how often one process called something on one CPU in the
 * running interval, in the maps calls_even and calls_odd (table syscalls). */
struct call_key {
	u32 tgid;
	u16 id; /* enum call_ids */
	u16 cpu;
};
struct call_count {
	u64 count;
	u64 errors;
	u64 total_ns; /* time inside; 0 where it is not measured */
	u64 max_ns;
};
_Static_assert(sizeof(struct call_key) == 8, "call_key");

enum call_ids {
	CALL_NUMBERS = 512, /* system calls by number lie below; a power of two */
	CALL_COMPAT = 512,  /* any system call of a 32-bit program */
	CALL_NONE = 513,
	CALL_COUNTERS = 1024, /* and on: what --count named */
};

#endif
