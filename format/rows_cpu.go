package format

// Interval is a row of table intervals: what one thread did in one interval,
// from the kernel's own accounts (struct task_struct: se.sum_exec_runtime,
// sched_info, nvcsw, nivcsw), so that the rows of a thread add up to /proc's
// numbers. A thread that did not run in an interval has no row; one that ended
// in it has its last row.
type Interval struct {
	StartNs     int64  `parquet:"start_ns,delta"`
	EndNs       int64  `parquet:"end_ns,delta"`
	PID         int32  `parquet:"pid,dict"`
	TID         int32  `parquet:"tid,dict"`
	Comm        string `parquet:"comm,dict"` // of the thread
	OnCPUNs     int64  `parquet:"on_cpu_ns,delta"`
	RunQueueNs  int64  `parquet:"run_queue_ns,delta"` // runnable, waiting for a CPU
	Timeslices  int64  `parquet:"timeslices,delta"`   // times it was given a CPU
	Voluntary   int64  `parquet:"voluntary,delta"`    // switches because it waited
	Involuntary int64  `parquet:"involuntary,delta"`  // switches while it could have run on
}

// Wake is a row of table wakes: how often one thread woke another in one
// interval. Wake-ups from an interrupt, as of a timer or of packets, count for
// the thread that was interrupted, or for 0 when the CPU was idle.
type Wake struct {
	StartNs  int64 `parquet:"start_ns,delta"`
	EndNs    int64 `parquet:"end_ns,delta"`
	WakerPID int32 `parquet:"waker_pid,dict"` // 0: an interrupt of an idle CPU
	WakerTID int32 `parquet:"waker_tid,dict"`
	PID      int32 `parquet:"pid,dict"` // of the thread that was woken
	TID      int32 `parquet:"tid,dict"`
	Count    int64 `parquet:"count,delta"`
}

// ThreadState is what a thread that is not on a CPU waits for. Stored numbers.
type ThreadState int32

const (
	StateSleep    ThreadState = 1 // interruptible (S): an event, a lock, a timer, a socket
	StateDisk     ThreadState = 2 // uninterruptible (D): mostly disks
	StateRunnable ThreadState = 3 // a CPU: it was preempted, or has been woken
)

// OffCPU is a row of table offcpu: the waits of one process in one state with
// one pair of stacks that ended in the interval and took at least off_cpu_min_ns
// (Manifest.Collectors[cpu].Settings). A thread that is woken and then has to
// wait for a CPU has waited twice: first asleep, then runnable.
type OffCPU struct {
	StartNs     int64       `parquet:"start_ns,delta"`
	EndNs       int64       `parquet:"end_ns,delta"`
	PID         int32       `parquet:"pid,dict"`
	State       ThreadState `parquet:"state,dict"`
	StackID     int64       `parquet:"stack_id,dict"`      // kernel stack at the wait; 0: none, -1: could not be taken
	UserStackID int64       `parquet:"user_stack_id,dict"` // 0: not asked for, or none; -1: could not be taken
	Count       int64       `parquet:"count,delta"`
	TotalNs     int64       `parquet:"total_ns,delta"`
	MaxNs       int64       `parquet:"max_ns,delta"`
	Waiting     int64       `parquet:"waiting,dict"` // of count, waits that had not ended when the recording did
}

// OnCPU is a row of table oncpu: one sample of what a CPU did. Idle CPUs give
// no samples. Manifest.Collectors[cpu].Settings["sample_hz"] is the rate.
type OnCPU struct {
	TsNs        int64 `parquet:"ts_ns,delta"`
	CPU         int32 `parquet:"cpu,dict"`
	PID         int32 `parquet:"pid,dict"`
	TID         int32 `parquet:"tid,dict"`
	StackID     int64 `parquet:"stack_id,dict"`      // kernel stack; 0: it ran in user mode, -1: could not be taken
	UserStackID int64 `parquet:"user_stack_id,dict"` // 0: a kernel thread, -1: could not be taken
}

// Stack is a row of snapshot stacks: one frame of one stack. The rows of a
// stack stand together, leaf first.
type Stack struct {
	TsNs    int64 `parquet:"ts_ns,delta"` // when the stack was first written
	StackID int64 `parquet:"stack_id,delta"`
	Depth   int32 `parquet:"depth,dict"` // 0: the leaf
	FrameID int64 `parquet:"frame_id,dict"`
}

// FrameKind is where code lives. Stored numbers.
type FrameKind int32

const (
	FrameKernel FrameKind = 1
	FrameUser   FrameKind = 2
)

// SymbolSource is how a symbol is known. Stored numbers.
type SymbolSource int32

const (
	SymbolNone      SymbolSource = 0 // no name: module and offset are all
	SymbolKallsyms  SymbolSource = 1
	SymbolTable     SymbolSource = 2 // ELF .symtab, or .dynsym where it says that the function holds the place
	SymbolDynamic   SymbolSource = 3 // ELF .dynsym of a stripped file: the exported name before the place, approximate
	SymbolGo        SymbolSource = 4 // Go's pclntab
	SymbolPerfMap   SymbolSource = 5 // perf-PID.map of a JIT
	SymbolDebugFile SymbolSource = 6 // separate debug file
)

// Frame is a row of snapshot frames: one place in code.
type Frame struct {
	TsNs    int64     `parquet:"ts_ns,delta"` // when the frame was first written
	FrameID int64     `parquet:"frame_id,delta"`
	Kind    FrameKind `parquet:"kind,dict"`
	Symbol  string    `parquet:"symbol,dict"` // demangled; "": no name
	// Module is the path of the file as the process sees it; memory without a
	// file in brackets, as [vdso], [jit] or [anon]; of the kernel: "kernel", a
	// module's name, "bpf"; "": not known.
	Module string `parquet:"module,dict"`
	// Offset is, of a user frame, in the file, or the address in memory when
	// there is no file; of a kernel frame, from the symbol's start, or the address
	// when there is no symbol. Above the leaf it is one byte before the return
	// address: inside the call.
	Offset  int64        `parquet:"offset,delta"`
	BuildID string       `parquet:"build_id,dict"`
	Source  SymbolSource `parquet:"source,dict"`
}
