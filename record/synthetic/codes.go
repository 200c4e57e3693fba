package synthetic

import "kmon/format"

// code is a place where threads are seen, waiting or on a CPU: a stack, leaf
// first. Names of the kernel end in _[k]; what stands after a # is the program's.
type code struct {
	kernel []string
	user   []string
}

// The codes; a code's number is its stack_id, that of its user stack numbered
// after all of them.
const (
	codeNone = iota
	codeRunnable
	codeIdle
	codeReceive
	codeRead
	codeWrite
	codeSleep
	codeLock
	codeWork
	codeSend
	codeYield
	codeFutex
	codeSpin
	codeBatch
	codeCollect
	codeSoftirq
	codeDrop
	codes
)

// codeTable has the functions as Linux 6.12 calls them.
var codeTable = [codes]code{
	codeRunnable: {kernel: []string{"schedule", "exit_to_user_mode_loop"}},
	codeIdle:     {[]string{"schedule", "schedule_hrtimeout_range_clock", "ep_poll", "do_epoll_wait", "__x64_sys_epoll_wait", "do_syscall_64"}, []string{"epoll_wait", "serve", "main"}},
	codeReceive:  {[]string{"schedule", "schedule_timeout", "wait_woken", "sk_wait_data", "tcp_recvmsg_locked", "tcp_recvmsg", "inet_recvmsg", "sock_recvmsg", "__sys_recvfrom", "do_syscall_64"}, []string{"recv", "call", "handle", "serve", "main"}},
	codeRead:     {[]string{"schedule", "io_schedule", "folio_wait_bit_common", "filemap_update_page", "filemap_get_pages", "filemap_read", "ext4_file_read_iter", "vfs_read", "ksys_pread64", "do_syscall_64"}, []string{"pread64", "load", "handle", "serve", "main"}},
	codeWrite:    {[]string{"schedule", "io_schedule", "blk_io_schedule", "__iomap_dio_rw", "iomap_dio_rw", "ext4_file_write_iter", "vfs_write", "ksys_pwrite64", "do_syscall_64"}, []string{"pwrite64", "store", "handle", "serve", "main"}},
	codeSleep:    {[]string{"schedule", "do_nanosleep", "hrtimer_nanosleep", "common_nsleep", "__x64_sys_clock_nanosleep", "do_syscall_64"}, []string{"clock_nanosleep", "handle", "serve", "main"}},
	codeLock:     {[]string{"schedule", "futex_do_wait", "__futex_wait", "futex_wait", "do_futex", "__x64_sys_futex", "do_syscall_64"}, []string{"__lll_lock_wait", "pthread_mutex_lock", "handle", "serve", "main"}},
	codeWork:     {user: []string{"work", "handle", "serve", "main"}},
	codeSend:     {[]string{"tcp_sendmsg_locked", "tcp_sendmsg", "inet_sendmsg", "sock_sendmsg", "__sys_sendto", "do_syscall_64"}, []string{"send", "handle", "serve", "main"}},
	codeYield:    {[]string{"do_sched_yield", "__x64_sys_sched_yield", "do_syscall_64"}, []string{"sched_yield", "try_both", "handle", "serve", "main"}},
	codeFutex:    {[]string{"futex_wake", "do_futex", "__x64_sys_futex", "do_syscall_64"}, []string{"pthread_mutex_unlock", "try_both", "handle", "serve", "main"}},
	codeSpin:     {user: []string{"spin", "handle", "serve", "main"}},
	codeBatch:    {user: []string{"multiply", "batch", "main"}},
	codeCollect:  {user: []string{"mark_objects", "collect", "gc_thread"}},
	codeSoftirq:  {kernel: []string{"net_rx_action", "handle_softirqs", "run_ksoftirqd", "smpboot_thread_fn", "kthread", "ret_from_fork"}},
	codeDrop:     {kernel: []string{"tcp_add_backlog", "tcp_v4_rcv", "ip_protocol_deliver_rcu", "ip_local_deliver_finish", "net_rx_action", "handle_softirqs"}},
}

// What samples of a burst show, in turn.
var (
	workCodes     = []int{codeWork, codeWork, codeWork, codeWork, codeWork, codeWork, codeSend}
	livelockCodes = []int{codeYield, codeYield, codeFutex, codeWork}
	spinCodes     = []int{codeSpin}
	batchCodes    = []int{codeBatch}
	gcCodes       = []int{codeCollect}
	softirqCodes  = []int{codeSoftirq}
)

// stackOf is the id of a code's kernel stack, 0 without one.
func stackOf(code int) int64 {
	if len(codeTable[code].kernel) == 0 {
		return 0
	}
	return int64(code)
}

// userStackOf is that of its user stack.
func userStackOf(code int) int64 {
	if len(codeTable[code].user) == 0 {
		return 0
	}
	return int64(codes + code)
}

// stateOf is the state of a thread that waits in a code.
func stateOf(code int) format.ThreadState {
	switch code {
	case codeRunnable:
		return format.StateRunnable
	case codeRead, codeWrite:
		return format.StateDisk
	}
	return format.StateSleep
}

// stackRows gives all stacks and frames.
func stackRows(tsNs int64) (stacks []format.Stack, frames []format.Frame) {
	ids := map[format.Frame]int64{}
	add := func(stack int64, depth int, f format.Frame) {
		if ids[f] == 0 {
			ids[f] = int64(len(ids) + 1)
			row := f
			row.TsNs, row.FrameID = tsNs, ids[f]
			frames = append(frames, row)
		}
		stacks = append(stacks, format.Stack{TsNs: tsNs, StackID: stack, Depth: int32(depth), FrameID: ids[f]})
	}
	for id, c := range codeTable {
		for depth, name := range c.kernel {
			add(stackOf(id), depth, format.Frame{Kind: format.FrameKernel, Symbol: name, Module: "kernel", Offset: 16, Source: format.SymbolKallsyms})
		}
		for depth, name := range c.user {
			add(userStackOf(id), depth, format.Frame{Kind: format.FrameUser, Symbol: name, Module: "/usr/bin/synthetic", Offset: offset(name), Source: format.SymbolTable})
		}
	}
	return stacks, frames
}

// offset gives each function a place of its own.
func offset(name string) int64 {
	sum := int64(0)
	for _, r := range name {
		sum = (sum*31 + int64(r)) % 100_003
	}
	return 0x1000 + 16*sum
}
