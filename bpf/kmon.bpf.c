//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All collectors in one object: the recorder keeps the programs it planned and
 * loads them as one collection. */
#include "proc.bpf.c"
#include "syscall.bpf.c"
#include "tcp.bpf.c"
#include "queue.bpf.c"
#include "cpu.bpf.c"
#include "netevent.bpf.c"
#include "block.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const struct exchange_record *unused_exchange __attribute__((unused));
const struct socket_record *unused_socket __attribute__((unused));
const struct queue_record *unused_queue __attribute__((unused));
const struct listener_record *unused_listener __attribute__((unused));
const struct interval_record *unused_interval __attribute__((unused));
const struct sample_record *unused_sample __attribute__((unused));
const struct io_record *unused_io __attribute__((unused));
const enum io_operation *unused_io_operation __attribute__((unused));
const enum io_flags *unused_io_flags __attribute__((unused));
const struct io_state *unused_io_state __attribute__((unused));
const struct kernel_stack *unused_kernel_stack __attribute__((unused));
const struct user_stack *unused_user_stack __attribute__((unused));
const struct wait_key *unused_wait_key __attribute__((unused));
const struct wait_sum *unused_wait_sum __attribute__((unused));
const struct wake_key *unused_wake_key __attribute__((unused));
const enum collect_mode *unused_collect_mode __attribute__((unused));
const enum sweep_mode *unused_sweep_mode __attribute__((unused));
const struct net_event_key *unused_net_event_key __attribute__((unused));
const struct net_event_sum *unused_net_event_sum __attribute__((unused));
const enum quiet_limits *unused_quiet_limits __attribute__((unused));
const enum net_event_kind *unused_net_event_kind __attribute__((unused));
const enum wait_class *unused_wait_class __attribute__((unused));
const enum thread_state_kind *unused_thread_state_kind __attribute__((unused));
const struct proc_record *unused_proc __attribute__((unused));
const struct call_key *unused_call_key __attribute__((unused));
const struct call_count *unused_call_count __attribute__((unused));
const enum call_ids *unused_call_ids __attribute__((unused));
const enum record_kind *unused_record_kind __attribute__((unused));
const enum shed_parts *unused_shed_parts __attribute__((unused));
const enum loss_slot *unused_loss_slot __attribute__((unused));
const enum control_flags *unused_control_flags __attribute__((unused));
const enum exchange_flags *unused_exchange_flags __attribute__((unused));
const enum socket_event *unused_socket_event __attribute__((unused));
const enum role *unused_role __attribute__((unused));
const enum role_source *unused_role_source __attribute__((unused));
const enum close_reason *unused_close_reason __attribute__((unused));
const enum proc_event *unused_proc_event __attribute__((unused));
