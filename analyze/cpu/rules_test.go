package cpu

import (
	"strings"
	"testing"

	"kmon/format"
)

// stacksOf knows kernel stack 1 and user stack 2, leaf first.
func stacksOf(kernel, user string) *Stacks {
	s := NewStacks()
	frame := int64(0)
	var frames []format.Frame
	var stacks []format.Stack
	for id, text := range map[int64]string{1: kernel, 2: user} {
		for depth, name := range strings.Fields(text) {
			frame++
			kind := format.FrameKernel
			if id == 2 {
				kind = format.FrameUser
			}
			frames = append(frames, format.Frame{FrameID: frame, Kind: kind, Symbol: name})
			stacks = append(stacks, format.Stack{StackID: id, Depth: int32(depth), FrameID: frame})
		}
	}
	s.AddFrames(frames)
	s.AddStacks(stacks)
	return s
}

const syscall = " do_syscall_64 entry_SYSCALL_64_after_hwframe"

// The stacks marked 6.18 were read from threads made to wait on that kernel,
// those of 6.12 and 6.1 are as hung-task reports and bpftrace print them,
// without schedule and what is above it.
func TestKernelStacks(t *testing.T) {
	for _, c := range []struct {
		name  string
		stack string
		want  Class
	}{
		{"6.18 mutex", "futex_do_wait __futex_wait futex_wait do_futex __x64_sys_futex" + syscall, Futex},
		{"6.12 mutex", "futex_wait_queue __futex_wait futex_wait do_futex __x64_sys_futex" + syscall, Futex},
		{"6.1 mutex", "futex_wait_queue futex_wait do_futex __x64_sys_futex" + syscall, Futex},
		{"arm64 mutex", "futex_wait_queue futex_wait do_futex __arm64_sys_futex invoke_syscall el0_svc_common.constprop.0 do_el0_svc el0_svc", Futex},
		{"pi mutex", "rt_mutex_slowlock_block.constprop.0 futex_lock_pi do_futex __x64_sys_futex" + syscall, Lock},
		{"6.1 kernel mutex", "schedule_preempt_disabled __mutex_lock.constprop.0 __mutex_lock_slowpath mutex_lock __netlink_dump_start rtnetlink_rcv_msg" + syscall, Lock},
		{"6.18 flock", "locks_lock_inode_wait __do_sys_flock" + syscall, Lock},
		{"6.18 fcntl", "fcntl_setlk do_fcntl __x64_sys_fcntl" + syscall, Lock},
		{"6.18 semop", "__do_semtimedop do_semtimedop" + syscall, Lock},
		{"inode lock below ext4", "rwsem_down_write_slowpath down_write ext4_buffered_write_iter ext4_file_write_iter vfs_write ksys_write" + syscall, Lock},
		{"mmap lock in a fault", "rwsem_down_read_slowpath down_read lock_mm_and_find_vma do_user_addr_fault exc_page_fault asm_exc_page_fault", Lock},
		{"socket lock", "__lock_sock lock_sock_nested tcp_sendmsg sock_sendmsg __sys_sendto" + syscall, Lock},
		{"6.12 fsync pages", "io_schedule folio_wait_bit_common folio_wait_writeback __filemap_fdatawait_range file_write_and_wait_range ext4_sync_file do_fsync" + syscall, Disk},
		{"6.1 fsync journal", "jbd2_log_wait_commit jbd2_complete_transaction ext4_fc_commit ext4_sync_file do_fsync __x64_sys_fsync" + syscall, Disk},
		{"direct read", "blk_io_schedule __iomap_dio_rw iomap_dio_rw ext4_file_read_iter vfs_read ksys_read" + syscall, Disk},
		{"no tag", "io_schedule blk_mq_get_tag __blk_mq_alloc_requests blk_mq_submit_bio submit_bio_noacct_nocheck" + syscall, Disk},
		{"dirty pages", "io_schedule_timeout balance_dirty_pages balance_dirty_pages_ratelimited_flags generic_perform_write" + syscall, Disk},
		{"journal thread at work", "io_schedule bit_wait_io __wait_on_bit out_of_line_wait_on_bit jbd2_journal_commit_transaction kjournald2 kthread ret_from_fork ret_from_fork_asm", Disk},
		{"journal thread at rest", "kjournald2 kthread ret_from_fork ret_from_fork_asm", Idle},
		{"libaio", "read_events do_io_getevents __x64_sys_io_getevents" + syscall, Disk},
		{"mapped file", "io_schedule folio_wait_bit_common filemap_fault __do_fault do_fault __handle_mm_fault handle_mm_fault do_user_addr_fault exc_page_fault asm_exc_page_fault", PageFault},
		{"swap", "io_schedule __folio_lock_or_retry do_swap_page __handle_mm_fault handle_mm_fault do_user_addr_fault", PageFault},
		{"fault in a write", "io_schedule folio_wait_bit_common filemap_fault handle_mm_fault fault_in_readable generic_perform_write ext4_file_write_iter" + syscall, PageFault},
		{"memory.high", "schedule_timeout_killable mem_cgroup_handle_over_high exit_to_user_mode_prepare" + syscall, PageFault},
		{"6.18 TCP recv", "wait_woken sk_wait_data tcp_recvmsg_locked tcp_recvmsg sock_recvmsg __sys_recvfrom __x64_sys_recvfrom" + syscall, Network},
		{"6.18 TCP send", "wait_woken sk_stream_wait_memory tcp_sendmsg_locked tcp_sendmsg __sys_sendto __x64_sys_sendto" + syscall, Network},
		{"6.18 unix recv", "unix_stream_read_generic unix_stream_recvmsg sock_recvmsg __sys_recvfrom" + syscall, Network},
		{"6.18 unix datagram", "__skb_wait_for_more_packets __unix_dgram_recvmsg sock_recvmsg __sys_recvfrom" + syscall, Network},
		{"6.18 unix send", "sock_alloc_send_pskb unix_stream_sendmsg __sys_sendto" + syscall, Network},
		{"6.18 UDP", "__skb_wait_for_more_packets __skb_recv_udp udp_recvmsg sock_recvmsg __sys_recvfrom" + syscall, Network},
		{"6.18 netlink", "__skb_wait_for_more_packets __skb_recv_datagram skb_recv_datagram netlink_recvmsg sock_recvmsg" + syscall, Network},
		{"NFS read", "io_schedule folio_wait_bit_common filemap_update_page filemap_get_pages filemap_read nfs_file_read vfs_read" + syscall, Network},
		{"6.18 accept", "inet_csk_accept inet_accept do_accept __sys_accept4 __x64_sys_accept4" + syscall, Idle},
		{"6.18 unix accept", "__skb_wait_for_more_packets __skb_recv_datagram skb_recv_datagram unix_accept do_accept __sys_accept4" + syscall, Idle},
		{"6.18 nanosleep", "hrtimer_nanosleep common_nsleep_timens __x64_sys_clock_nanosleep" + syscall, Sleep},
		{"6.1 nanosleep", "do_nanosleep hrtimer_nanosleep common_nsleep __x64_sys_clock_nanosleep" + syscall, Sleep},
		{"6.18 wait4", "do_wait kernel_wait4" + syscall, Child},
		{"6.18 waitid", "do_wait kernel_waitid __do_sys_waitid" + syscall, Child},
		{"6.18 vfork", "kernel_clone __do_sys_clone do_syscall_64", Child},
		{"6.18 pipe read", "anon_pipe_read vfs_read ksys_read" + syscall, Pipe},
		{"6.1 pipe read", "pipe_read vfs_read ksys_read __x64_sys_read" + syscall, Pipe},
		{"6.18 pipe write", "anon_pipe_write vfs_write ksys_write" + syscall, Pipe},
		{"6.18 fifo open", "wait_for_partner fifo_open do_dentry_open vfs_open path_openat" + syscall, Pipe},
		{"6.18 message queue", "do_msgrcv" + syscall, Pipe},
		{"6.18 epoll", "do_epoll_wait __x64_sys_epoll_wait" + syscall, Poll},
		{"6.18 epoll pwait", "do_epoll_wait do_compat_epoll_pwait.part.0 __x64_sys_epoll_pwait" + syscall, Poll},
		{"6.1 epoll", "schedule_hrtimeout_range_clock ep_poll do_epoll_wait __x64_sys_epoll_wait" + syscall, Poll},
		{"6.18 poll", "poll_schedule_timeout.constprop.0 do_sys_poll __x64_sys_poll" + syscall, Poll},
		{"6.18 select", "poll_schedule_timeout.constprop.0 do_select core_sys_select do_pselect.constprop.0 __x64_sys_pselect6" + syscall, Poll},
		{"6.18 sigwait", "do_sigtimedwait.isra.0 __x64_sys_rt_sigtimedwait" + syscall, Idle},
		{"6.18 pause", "__do_sys_pause" + syscall, Idle},
		{"6.18 eventfd", "do_wait_intr_irq eventfd_read vfs_read ksys_read" + syscall, Idle},
		{"6.18 timerfd", "do_wait_intr_irq timerfd_read_iter vfs_read ksys_read" + syscall, Idle},
		{"6.18 tty", "wait_woken n_tty_read tty_read vfs_read ksys_read" + syscall, Idle},
		{"6.18 kworker", "worker_thread kthread ret_from_fork ret_from_fork_asm", Idle},
		{"kworker at work", "wait_for_completion __flush_work process_one_work worker_thread kthread ret_from_fork", Other},
		{"kworker writes back", "io_schedule blk_mq_get_tag blk_mq_submit_bio ext4_io_submit wb_workfn process_one_work worker_thread kthread", Disk},
		{"6.18 RCU thread", "rcu_gp_fqs_loop rcu_gp_kthread kthread ret_from_fork ret_from_fork_asm", Idle},
		{"RCU grace period", "wait_for_completion_state __wait_rcu_gp synchronize_rcu namespace_unlock" + syscall, Other},
		{"nothing", "", Other},
	} {
		if got := stacksOf(c.stack, "").Class(format.StateSleep, 1, 0); got != c.want {
			t.Errorf("%s is %v, want %v", c.name, got, c.want)
		}
	}
}

// What a futex and an event loop wait for is known from the program.
func TestUserStacks(t *testing.T) {
	const futex, epoll = "futex_do_wait __futex_wait futex_wait", "do_epoll_wait"
	for _, c := range []struct {
		name, kernel, user string
		want               Class
	}{
		{"Go thread without work", futex, "runtime.futex.abi0 runtime.futexsleep runtime.notesleep runtime.mPark runtime.stopm runtime.findRunnable runtime.schedule runtime.park_m runtime.mcall", Idle},
		{"Go runtime lock", futex, "runtime.futex.abi0 runtime.futexsleep runtime.lock2 runtime.lockWithRank runtime.(*mheap).alloc.func1", Lock},
		{"Go monitor", "hrtimer_nanosleep", "runtime.usleep.abi0 runtime.sysmon runtime.mstart1", Idle},
		{"Go lock spins", "hrtimer_nanosleep", "runtime.usleep.abi0 runtime.lock2", Sleep},
		{"glibc mutex", futex, "__lll_lock_wait pthread_mutex_lock@@GLIBC_2.2.5 work start_thread", Lock},
		{"condition", futex, "pthread_cond_wait@@GLIBC_2.3.2 work start_thread", Futex},
		{"Rust mutex", futex, "std::sys::pal::unix::futex::futex_wait std::sys::sync::mutex::futex::Mutex::lock_contended app::work", Lock},
		{"tokio worker", futex, "tokio::runtime::scheduler::multi_thread::worker::Context::park_internal", Idle},
		{"Java pool", futex, "Unsafe_Park java.util.concurrent.locks.LockSupport.park java.util.concurrent.ThreadPoolExecutor.getTask", Idle},
		{"Python", futex, "do_futex_wait.constprop.0 take_gil PyEval_RestoreThread", Lock},
		{"PostgreSQL row lock", epoll, "epoll_wait WaitEventSetWaitBlock WaitEventSetWait WaitLatch ProcSleep WaitOnLock LockAcquireExtended", Lock},
		{"PostgreSQL client", epoll, "epoll_wait WaitEventSetWait secure_read pq_recvbuf ReadCommand PostgresMain", Idle},
		{"unknown program", futex, "main", Futex},
		{"no user stack", epoll, "", Poll},
		{"a kernel frame is no user frame", futex, "io_schedule", Futex},
	} {
		if got := stacksOf(c.kernel, c.user).Class(format.StateSleep, 1, 2); got != c.want {
			t.Errorf("%s is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRunnableIsPreempted(t *testing.T) {
	s := stacksOf("futex_do_wait", "")
	if got := s.Class(format.StateRunnable, 1, 0); got != Preempted {
		t.Errorf("a runnable thread is %v", got)
	}
	for _, id := range []int64{0, -1, 99} {
		if got := s.Class(format.StateDisk, id, id); got != Other {
			t.Errorf("stack %d is %v", id, got)
		}
	}
}

// No rule hides another: each name is in one rule.
func TestRulesAreUnambiguous(t *testing.T) {
	for _, rules := range [][]rule{kernelRules, userRules} {
		seen := map[string]string{}
		for _, r := range rules {
			for _, name := range strings.Fields(r.names) {
				if other := seen[name]; other != "" {
					t.Errorf("%s is in %q and in %q", name, other, r.why)
				}
				seen[name] = r.why
			}
			if r.why == "" || r.class == Preempted {
				t.Errorf("rule %+v says nothing", r)
			}
		}
	}
}
