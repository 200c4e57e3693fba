package cpu

import (
	"strings"

	"kmon/format"
)

// Class is what a thread waited for.
type Class uint8

// The classes. Futex and Poll are what the stacks alone cannot tell.
const (
	Other     Class = iota // no rule knows the stack, or there is none
	Lock                   // a lock that others hold, in the kernel or in the program
	Disk                   // a disk, or a file system's own work on it
	Network                // data from, or room for data to, one peer: TCP, UDP, unix sockets, network file systems
	Sleep                  // a time to pass
	Idle                   // work: an accepting server, a pool's thread, a kernel thread
	Child                  // a process it started
	Pipe                   // data in, or room in, a pipe, fifo or message queue
	PageFault              // memory: a page to be read in, or to be freed
	Preempted              // nothing: a CPU
	Futex                  // a lock, a condition or work: the kernel's stack is the same for all
	Poll                   // the first of many events: idle, or an answer
	Callee                 // of Poll, what was for an answer; no rule gives it, see SplitPolls
	classes
)

// Classes is the number of classes; each is below it.
const Classes = int(classes)

var classNames = [Classes]string{
	"other", "lock", "disk", "network", "sleep", "idle", "child", "pipe", "page-fault", "preempted", "futex", "poll", "callee",
}

// String gives the word reports use.
func (c Class) String() string { return classNames[c] }

// rule says what threads wait for whose stack has a function.
type rule struct {
	class Class
	why   string // what waits there, and how that is known
	// over rules beat the others on the stack, else the frame nearest to the
	// leaf does.
	over bool
	// names are functions, without what compilers append (.constprop.0) and
	// with sys_ for the prefixes of system calls; * at the end stands for
	// anything, and of user frames also at the start.
	names string
}

// kernelRules tell kernel frames. Names differ by kernel; where one replaced
// another both stand. Sources: the kernels' code, /proc/PID/stack of threads
// made to wait on 6.18, call traces of hung tasks on 6.1 and 6.12.
var kernelRules = []rule{
	{PageFault, "the thread touched memory that is not there; the disk below is how, the fault is why", true,
		"handle_mm_fault hugetlb_fault do_swap_page handle_userfault"},
	{PageFault, "it has to free memory first: direct reclaim, or its cgroup is at memory.high", true,
		"try_to_free_pages try_to_free_mem_cgroup_pages mem_cgroup_handle_over_high __mem_cgroup_handle_over_high"},

	{Futex, "futex(2) with an operation that waits; futex_do_wait since 6.14, futex_wait_queue since 5.16, futex_wait_queue_me before", false,
		"futex_do_wait futex_wait_queue futex_wait_queue_me __futex_wait futex_wait futex_wait_multiple futex_wait_multiple_setup futex_wait_requeue_pi sys_futex_wait sys_futex_waitv"},
	{Lock, "FUTEX_LOCK_PI is always a lock", false, "futex_lock_pi"},
	{Lock, "sleeping locks of the kernel", false,
		"__mutex_lock* mutex_lock* rwsem_down_* down_read* down_write* __down* down down_interruptible down_killable down_timeout percpu_rwsem_wait __percpu_down_read rt_mutex_* __rt_mutex_* rwbase_* rtlock_*"},
	{Lock, "another thread uses the same socket", false, "__lock_sock lock_sock_nested"},
	{Lock, "flock(2) and fcntl(2) locks", false,
		"locks_lock_inode_wait flock_lock_inode_wait posix_lock_inode_wait fcntl_setlk sys_flock"},
	{Lock, "semop(2): System V semaphores serve as locks", false, "do_semtimedop __do_semtimedop"},

	{Network, "file systems over the network: their pages wait as a disk's do, below these", true,
		"rpc_wait_bit_killable nfs_wait_bit_killable nfs_file_read nfs_file_write nfs_file_fsync nfs4_file_fsync cifs_strict_readv cifs_strict_writev cifs_strict_fsync ceph_read_iter ceph_write_iter ceph_fsync"},
	{Disk, "io_schedule marks waits for IO (iowait); blk_io_schedule those for direct IO", false,
		"io_schedule io_schedule_timeout blk_io_schedule bit_wait_io folio_wait_bit* folio_wait_writeback folio_wait_stable filemap_* wait_on_page_* __wait_on_buffer __lock_buffer wait_on_buffer"},
	{Disk, "the block layer: tags, quotas of cgroups and writeback, flushes", false,
		"blk_* blkdev_* blk_mq_* bt_get rq_qos_wait wbt_wait submit_bio_wait __submit_bio* __blkdev_* balance_dirty_pages* iomap_dio_* __iomap_dio_rw dio_await_completion do_blockdev_direct_IO"},
	{Disk, "the journal, or elsewhere in a file system on a disk, where no lock is the leaf", false,
		"jbd2_* wait_transaction_locked do_get_write_access ext4_* xfs_* xlog_* btrfs_* f2fs_* vfs_fsync* do_fsync sys_fsync sys_fdatasync sync_inodes_sb wb_wait_for_completion"},
	{Disk, "io_getevents(2): asynchronous direct IO", false, "read_events"},
	{Disk, "a file system in user space answers slowly", false, "request_wait_answer fuse_*"},

	{Idle, "a server that waits for a connection", false, "inet_csk_accept unix_accept vsock_accept do_accept"},
	{Network, "one socket: data to come, room to send, a connection to stand", false,
		"tcp_recvmsg* tcp_sendmsg* tcp_splice_read sk_wait_data sk_stream_wait_memory sk_stream_wait_connect inet_wait_for_connect inet_stream_connect __inet_stream_connect udp_recvmsg udpv6_recvmsg raw_recvmsg unix_stream_* __unix_dgram_recvmsg unix_dgram_* unix_wait_for_peer sock_alloc_send_pskb netlink_recvmsg packet_recvmsg vsock_* sock_recvmsg __sys_recvfrom __sys_sendto __sys_connect"},
	{Network, "close(2) of a socket that lingers", false, "sk_stream_wait_close tcp_close inet_release"},

	{Sleep, "nanosleep(2), clock_nanosleep(2), and the kernel's own", false,
		"hrtimer_nanosleep do_nanosleep common_nsleep* sys_nanosleep sys_clock_nanosleep alarm_timer_nsleep msleep* usleep_range* fsleep"},
	{Child, "wait(2), and vfork(2) until the child runs its program", false,
		"do_wait kernel_wait4 kernel_waitid sys_wait4 sys_waitid wait_for_vfork_done kernel_clone"},
	{Pipe, "pipes and fifos; anon_pipe_* since 6.15", false,
		"pipe_read pipe_write anon_pipe_read anon_pipe_write fifo_pipe_read fifo_pipe_write pipe_wait_readable pipe_wait_writable wait_for_partner fifo_open splice_from_pipe_next"},
	{Pipe, "message queues", false, "do_msgrcv do_msgsnd wq_sleep do_mq_timedreceive do_mq_timedsend"},
	{Poll, "epoll_wait, poll, select and io_uring_enter: event loops", false,
		"ep_poll do_epoll_wait do_sys_poll do_poll do_select core_sys_select poll_schedule_timeout io_cqring_wait* io_cqring_schedule_timeout"},
	{Idle, "waits for a signal, a counter, a timer, a key, a file's change: nothing of its own is under way", false,
		"do_sigtimedwait sigsuspend sys_pause sys_rt_sigsuspend eventfd_read timerfd_read timerfd_read_iter signalfd_read* inotify_read fanotify_read n_tty_read perf_read"},
	{Idle, "a virtual CPU or its helper with nothing to run", false, "kvm_vcpu_block kvm_vcpu_halt vhost_task_fn vhost_worker"},

	{Other, "a kernel worker in the middle of a piece of work", false, "process_one_work"},
	{Idle, "a kernel thread in its own loop", false,
		"worker_thread rescuer_thread smpboot_thread_fn kthread_worker_fn kthreadd kthread io_wq_worker io_sq_thread"},
}

// userRules tell a futex or an event loop that waits by who calls it in the
// program; and of sleeps, those of a runtime with nothing to do. Sources: the runtimes' code. A condition variable has no rule: it
// may be for work or for another thread's result.
var userRules = []rule{
	{Idle, "Go: a thread without a goroutine, the monitor, and timed waits of the runtime", false,
		"runtime.stopm runtime.findRunnable runtime.findrunnable runtime.stoplockedm runtime.gcstopm runtime.sysmon runtime.templateThread os/signal.signal_recv"},
	{Lock, "Go: a lock of the runtime itself; goroutines wait without a thread", false, "runtime.lock2 runtime.lockWithRank runtime.semasleep1"},
	{Lock, "C: mutexes and read-write locks of glibc and musl", false,
		"pthread_mutex_lock* __pthread_mutex_lock* ___pthread_mutex_lock* __lll_lock_wait* __GI___lll_lock_wait* lll_lock_wait* pthread_rwlock_* __pthread_rwlock_* ___pthread_rwlock_* __GI___pthread_rwlock_*"},
	{Lock, "Rust: std and parking_lot mutexes", false,
		"*::sys::sync::mutex::futex::Mutex::lock_contended* *::sys::sync::rwlock::futex::* parking_lot::raw_mutex::RawMutex::lock_slow* parking_lot::raw_rwlock::*"},
	{Lock, "Java: monitors", false, "*ObjectMonitor::enter* *ObjectMonitor::EnterI* ObjectSynchronizer::enter*"},
	{Lock, "Python: the interpreter lock", false, "take_gil"},
	{Lock, "PostgreSQL: lightweight and heavyweight locks", false, "LWLockAcquire* LWLockWaitForVar ProcSleep WaitOnLock"},
	{Idle, "Java: a pool's thread without a task", false,
		"*ThreadPoolExecutor*getTask* *ForkJoinPool*awaitWork* *ForkJoinPool*runWorker* *GangWorker* *WorkerThread::run* *CompilerThread* *CompileQueue::get*"},
	{Idle, "Rust: tokio and rayon workers without a task", false,
		"*tokio::runtime::*::worker::Context::park* *tokio::runtime::blocking::pool::* *rayon_core::sleep::Sleep::sleep*"},
	{Idle, "C and C++: nginx and node pools without a task", false, "ngx_thread_pool_cycle *node::TaskQueue*BlockingPop*"},
	{Idle, "PostgreSQL: a backend waits for its client's next command", false, "ReadCommand secure_read"},
}

// ruleSet finds the rule of a function.
type ruleSet struct {
	exact    map[string]*rule
	patterns []pattern // "name*" and "*part*"
}

// pattern is parts that follow one another in a name.
type pattern struct {
	parts  []string
	inside bool // the first is anywhere, else at the start
	rule   *rule
}

var (
	kernelSet = newRuleSet(kernelRules)
	userSet   = newRuleSet(userRules)
)

func newRuleSet(rules []rule) ruleSet {
	s := ruleSet{exact: map[string]*rule{}}
	for i := range rules {
		r := &rules[i]
		for _, name := range strings.Fields(r.names) {
			text, open := strings.CutSuffix(name, "*")
			text, inside := strings.CutPrefix(text, "*")
			if open || inside {
				s.patterns = append(s.patterns, pattern{strings.Split(text, "*"), inside, r})
				continue
			}
			s.exact[name] = r
		}
	}
	return s
}

// find gives the rule of a function, nil when there is none. An exact name
// beats a pattern, and a pattern those after it in the table.
func (s *ruleSet) find(name string) *rule {
	if r := s.exact[name]; r != nil {
		return r
	}
	for i := range s.patterns {
		if s.patterns[i].matches(name) {
			return s.patterns[i].rule
		}
	}
	return nil
}

func (p *pattern) matches(name string) bool {
	if !p.inside && !strings.HasPrefix(name, p.parts[0]) {
		return false
	}
	for _, part := range p.parts {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return true
}

// ruleOf gives the rule of a frame, nil when there is none.
func ruleOf(f *format.Frame) *rule {
	if f.Symbol == "" {
		return nil
	}
	if f.Kind == format.FrameKernel {
		return kernelSet.find(plain(f.Symbol))
	}
	return userSet.find(f.Symbol)
}

// plain gives a kernel function's name without what compilers and the macros
// of system calls add.
func plain(name string) string {
	name, _, _ = strings.Cut(name, ".")
	for _, prefix := range []string{"__x64_", "__arm64_", "__ia32_", "__se_", "__do_"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.HasPrefix(rest, "sys_") {
			return rest
		}
	}
	return name
}
