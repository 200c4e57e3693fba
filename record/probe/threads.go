package probe

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"kmon/bpf"
	"kmon/format"
	"kmon/record/symbol"
)

// CPUOptions are the settings of collector cpu.
type CPUOptions struct {
	OffCPUMinNs int64 // shorter waits are not kept
	SampleHz    int
	UserStacks  bool             // of every wait, not only those of targets
	Symbols     *symbol.Resolver // gives stacks their ids; never nil when cpu is planned
}

// threads is what a Session keeps for collector cpu.
type threads struct {
	options   CPUOptions
	collector *link.Iter
	clocks    []int // file descriptors
	epoch     uint32
	stacks    stackIDs
}

func newThreads(o CPUOptions) threads { return threads{options: o, stacks: newStackIDs(o.Symbols)} }

// Threads is what threads did in one interval.
type Threads struct {
	Intervals []format.Interval
	Wakes     []format.Wake
	OffCPU    []format.OffCPU
}

const intervalSize = int(unsafe.Sizeof(bpf.KmonIntervalRecord{}))

// seqBytes is how much is read of an iterator at once. The kernel's buffer is
// twice as large: what a program writes always has room.
const seqBytes = 16 << 10

// hasThreads says whether collector cpu is planned.
func (s *Session) hasThreads() bool { return s.collection.Programs[bpf.KmonProgCpuCollect] != nil }

// beginThreads makes the states of all threads: what they did so far does not
// count.
func (s *Session) beginThreads() error {
	if !s.hasThreads() {
		return nil
	}
	return s.readThreads(bpf.KmonCollectModeCOLLECT_BASELINE, func([]byte) {})
}

// targetThreads tells the programs of collector cpu that targets have changed.
// Ports say nothing of processes: where they are all that is asked for, every
// thread is recorded.
func (s *Session) targetThreads() error {
	if !s.hasThreads() {
		return nil
	}
	return errors.Join(
		s.setVariable(bpf.KmonVarAllThreads, s.allThreads()),
		s.setVariable(bpf.KmonVarTakeUserStacks, s.takesUserStacks()),
		s.setVariable(bpf.KmonVarThreadTargets, s.value.Generation))
}

func (s *Session) allThreads() bool {
	return s.targets.All || len(s.targets.PIDs)+len(s.targets.CgroupIDs) == 0 && len(s.targets.Ports) > 0
}

// takesUserStacks says whether the user stacks of waits are taken.
func (s *Session) takesUserStacks() bool { return s.threads.options.UserStacks || !s.allThreads() }

// readThreads runs the iterator over all threads and hands out what it writes.
func (s *Session) readThreads(mode bpf.KmonCollectMode, take func(record []byte)) error {
	if err := s.setVariable(bpf.KmonVarCollecting, uint32(mode)); err != nil {
		return err
	}
	if s.threads.collector == nil {
		it, err := link.AttachIter(link.IterOptions{Program: s.collection.Programs[bpf.KmonProgCpuCollect]})
		if err != nil {
			return fmt.Errorf("attach iterator %s: %w", bpf.KmonProgCpuCollect, err)
		}
		s.threads.collector = it
	}
	reader, err := s.threads.collector.Open()
	if err != nil {
		return fmt.Errorf("open iterator %s: %w", bpf.KmonProgCpuCollect, err)
	}
	err = readRecords(reader, intervalSize, take)
	return errors.Join(err, reader.Close())
}

// readRecords reads records of one size until the end.
func readRecords(r io.Reader, size int, take func(record []byte)) error {
	words := make([]uint64, seqBytes/8) // aligned as records are
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), seqBytes)
	have := 0
	for {
		n, err := r.Read(buffer[have:])
		have += n
		at := 0
		for ; have-at >= size; at += size {
			take(buffer[at : at+size])
		}
		have = copy(buffer, buffer[at:have])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !restsOnly(err):
			return fmt.Errorf("read iterator: %w", err)
		}
	}
}

// CollectThreads returns what threads did from startNs to endNs, the time of
// the call and of the call before, CLOCK_MONOTONIC. The last call, with the
// hooks detached, adds the waits that are not over.
func (s *Session) CollectThreads(startNs, endNs int64, last bool) (Threads, error) {
	var t Threads
	if !s.hasThreads() {
		return t, nil
	}
	mode := bpf.KmonCollectModeCOLLECT_INTERVAL
	if last {
		mode = bpf.KmonCollectModeCOLLECT_LAST
	}
	err := s.readThreads(mode, func(record []byte) {
		r := (*bpf.KmonIntervalRecord)(unsafe.Pointer(&record[0]))
		t.Intervals = append(t.Intervals, intervalRow(r, startNs, endNs))
	})
	if err != nil {
		return t, err
	}
	epoch := s.threads.epoch
	s.threads.epoch = (epoch + 1) & 0xffff
	// Programs that still add to the old epoch run for microseconds, with
	// interrupts off; reading the tables takes longer than that to begin.
	if err := s.setVariable(bpf.KmonVarEpoch, s.threads.epoch); err != nil {
		return t, err
	}
	if t.Wakes, err = s.takeWakes(epoch, startNs, endNs); err != nil {
		return t, err
	}
	if t.OffCPU, err = s.takeWaits(epoch, startNs, endNs); err != nil {
		return t, err
	}
	t.sort()
	return t, s.trimStacks()
}

// sort puts the rows that come from hash tables in an order.
func (t *Threads) sort() {
	slices.SortFunc(t.Wakes, func(a, b format.Wake) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.TID, b.TID), cmp.Compare(a.WakerTID, b.WakerTID))
	})
	slices.SortFunc(t.OffCPU, func(a, b format.OffCPU) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.State, b.State),
			cmp.Compare(a.StackID, b.StackID), cmp.Compare(a.UserStackID, b.UserStackID))
	})
}

func (s *Session) takeWakes(epoch uint32, startNs, endNs int64) ([]format.Wake, error) {
	var rows []format.Wake
	err := takeAll(s.collection.Maps[bpf.KmonMapWakes], func(k bpf.KmonWakeKey, count uint64) bool {
		if k.Epoch != uint64(epoch) {
			return false
		}
		rows = append(rows, format.Wake{
			StartNs: startNs, EndNs: endNs, Count: int64(count),
			WakerPID: int32(k.Waker >> 32), WakerTID: int32(uint32(k.Waker)),
			PID: int32(k.Woken >> 32), TID: int32(uint32(k.Woken)),
		})
		return true
	})
	return rows, err
}

func (s *Session) takeWaits(epoch uint32, startNs, endNs int64) ([]format.OffCPU, error) {
	var rows []format.OffCPU
	err := takeAll(s.collection.Maps[bpf.KmonMapWaits], func(k bpf.KmonWaitKey, sum bpf.KmonWaitSum) bool {
		if uint32(k.Epoch) != epoch {
			return false
		}
		rows = append(rows, format.OffCPU{
			StartNs: startNs, EndNs: endNs, PID: int32(k.Tgid), State: format.ThreadState(k.State),
			StackID: s.kernelStack(k.KernelStack), UserStackID: s.userStack(int32(k.Tgid), k.UserStack),
			Count: int64(sum.Count), TotalNs: int64(sum.TotalNs), MaxNs: int64(sum.MaxNs), Waiting: int64(sum.Waiting),
		})
		return true
	})
	return rows, err
}

// takeBatch is how many elements are read with one call.
const takeBatch = 512

// takeAll goes through a hash map and deletes the elements that take wants.
func takeAll[K, V any](m *ebpf.Map, take func(K, V) bool) error {
	var taken []K
	keys, values := make([]K, takeBatch), make([]V, takeBatch)
	cursor := new(ebpf.MapBatchCursor)
	for {
		n, err := m.BatchLookup(cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read %s: %w", m, err)
		}
		for i := range n {
			if take(keys[i], values[i]) {
				taken = append(taken, keys[i])
			}
		}
		if err != nil {
			break
		}
	}
	if err := deleteAll(m, taken); err != nil {
		return fmt.Errorf("empty %s: %w", m, err)
	}
	return nil
}

// deleteAll deletes keys, passing over those that are not there: the kernel
// stops at each.
func deleteAll[K any](m *ebpf.Map, keys []K) error {
	for len(keys) > 0 {
		n, err := m.BatchDelete(keys, nil)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			n++
		} else if err != nil {
			return err
		}
		keys = keys[min(n, len(keys)):]
	}
	return nil
}

// attachSamples starts a clock on every CPU that is online.
func (s *Session) attachSamples(prog *ebpf.Program) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	for cpu := range cpus {
		fd, err := openClock(cpu, s.threads.options.SampleHz)
		if errors.Is(err, unix.ENODEV) {
			continue // offline
		}
		if err != nil {
			return fmt.Errorf("open clock on CPU %d: %w", cpu, os.NewSyscallError("perf_event_open", err))
		}
		s.threads.clocks = append(s.threads.clocks, fd)
		l, err := link.AttachRawLink(link.RawLinkOptions{Target: fd, Program: prog, Attach: ebpf.AttachPerfEvent})
		if err != nil {
			return fmt.Errorf("attach %s to the clock of CPU %d: %w", bpf.KmonProgCpuSample, cpu, err)
		}
		s.links = append(s.links, attached{bpf.KmonProgCpuSample, l})
	}
	return nil
}

// stopClocks closes what attachSamples opened.
func (t *threads) stopClocks() error {
	var errs []error
	for _, fd := range t.clocks {
		errs = append(errs, unix.Close(fd))
	}
	t.clocks = nil
	return errors.Join(errs...)
}

func intervalRow(r *bpf.KmonIntervalRecord, startNs, endNs int64) format.Interval {
	return format.Interval{
		StartNs: startNs, EndNs: endNs, PID: int32(r.Tgid), TID: int32(r.Tid), Comm: name(chars(r.Comm[:])),
		OnCPUNs: int64(r.OnCpuNs), RunQueueNs: int64(r.RunQueueNs), Timeslices: int64(r.Timeslices),
		Voluntary: int64(r.Voluntary), Involuntary: int64(r.Involuntary),
	}
}

// lastInterval is the row of a thread that ended.
func (d *Decoder) lastInterval(r *bpf.KmonIntervalRecord) format.Interval {
	startNs, endNs := d.IntervalStartNs, int64(r.TsNs)
	if endNs < startNs {
		startNs = d.IntervalBeforeNs
	}
	return intervalRow(r, min(startNs, endNs), endNs)
}

func sampleRow(r *bpf.KmonSampleRecord) format.OnCPU {
	return format.OnCPU{
		TsNs: int64(r.TsNs), CPU: int32(r.Cpu), PID: int32(r.Tgid), TID: int32(r.Tid),
		StackID: int64(r.KernelStack), UserStackID: int64(r.UserStack),
	}
}
