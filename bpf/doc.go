// Package bpf holds kmon's eBPF programs, compiled, and the Go types of their
// records and maps.
//
// The C is in this directory (README.md has the table of hooks); bpf2go
// compiles it to one object per architecture, which is committed so that
// building kmon needs nothing but Go. `make generate` rebuilds it with a pinned
// clang. Loading, choosing and attaching programs is package record/probe.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -go-package bpf -type exchange_record -type socket_record -type listener_record -type queue_record -type proc_record -type interval_record -type sample_record -type io_record -type io_state -type io_operation -type io_flags -type kernel_stack -type user_stack -type wait_key -type wait_sum -type wake_key -type net_event_key -type net_event_sum -type net_event_kind -type quiet_limits -type collect_mode -type sweep_mode -type thread_state_kind -type wait_class -type thread_account -type record_kind -type loss_slot -type shed_parts -type control_flags -type exchange_flags -type socket_event -type role -type role_source -type close_reason -type proc_event -type call_key -type call_count -type call_ids -target amd64,arm64 Kmon kmon.bpf.c -- -O2 -mcpu=v3 -Wall -Werror
