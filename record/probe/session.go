package probe

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"kmon/bpf"
)

// Options are the settings a session cannot change once it runs.
type Options struct {
	// DataRingBytes and ControlRingBytes are powers of two, at least a page.
	DataRingBytes, ControlRingBytes int
	// CgroupV1 says that cgroup ids are those of the v1 memory hierarchy.
	CgroupV1 bool
	CPU      CPUOptions
	// Room gives maps of the kernel less room than they have, by name, and the
	// states of sockets ("sockets"); for tests.
	Room map[string]uint32
	// MeasureEvery is how often the run time of the programs is measured; 0:
	// every 10 s.
	MeasureEvery time.Duration
}

// Targets says what to record: everything, or what any of the lists selects.
type Targets struct {
	All       bool
	PIDs      []int32  // as the initial pid namespace counts them
	CgroupIDs []uint64 // exact: descendants are not implied
	Ports     []uint16 // at either end of a socket
}

// Session is a set of programs at work in the kernel. Closing it detaches
// them; so does the end of the process, whatever ends it.
type Session struct {
	plan       Plan
	collection *ebpf.Collection
	links      []attached
	shed       shedState
	sweeper    *link.Iter
	sweeps     pace
	lists      uint8 // begun, see SocketList
	queues     *link.Iter
	data       *Ring
	control    *Ring
	targets    Targets // those that have room, sorted
	// homeless targets have none; homelessTold were counted as lost.
	homeless, homelessTold int
	value                  bpf.KmonControl
	counted                [bpf.KmonLossSlotLOSS_SLOTS]uint64
	missed                 map[string]uint64
	ends                   lostEnds
	iosEndedNs             uint64 // 0: not yet
	counts                 callCounts
	meter                  *runMeter
	measureEvery           time.Duration
	threads                threads
}

// Load has the kernel check the programs of plan, as one collection, which takes it
// some tenths of a second. Nothing is recorded before Begin.
func Load(plan Plan, o Options) (_ *Session, err error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the limit on locked memory: %w", err)
	}
	spec, err := planned(plan, o)
	if err != nil {
		return nil, err
	}
	s := &Session{plan: plan, missed: map[string]uint64{}, threads: newThreads(o.CPU), measureEvery: o.MeasureEvery}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.collection, err = ebpf.NewCollection(spec); err != nil {
		return nil, fmt.Errorf("load eBPF programs: %w", err)
	}
	// The kernel's types were most of the memory so far, and are not needed any
	// more: give them back before the rings are mapped.
	debug.FreeOSMemory()
	if s.data, err = NewRing(s.collection.Maps[bpf.KmonMapDataRing]); err != nil {
		return nil, err
	}
	if s.control, err = NewRing(s.collection.Maps[bpf.KmonMapControlRing]); err != nil {
		return nil, err
	}
	if err = s.findSelf(); err != nil {
		return nil, err
	}
	if err = s.findCPUMemory(); err != nil {
		return nil, err
	}
	s.counts = callCounts{calls: plan.Calls}
	return s, nil
}

// Begin attaches the programs. Records are in the rings from then on. ListExisting is
// to be called next. With an error the session is of no use but to be closed.
func (s *Session) Begin(targets Targets) error {
	if err := s.SetTargets(targets); err != nil {
		return err
	}
	// Once for the recorder's own pid, once for the threads that began before
	// their hooks were there.
	if err := s.beginThreads(); err != nil {
		return err
	}
	if err := s.attach(); err != nil {
		return err
	}
	return s.beginThreads()
}

// planned is the collection with the plan's programs and the maps they use.
func planned(plan Plan, o Options) (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadKmon()
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	for name := range spec.Programs {
		if name != bpf.KmonProgFindSelf && !hasProgram(plan.hooks, name) {
			delete(spec.Programs, name)
		}
	}
	if plan.place == inStorage {
		delete(spec.Maps, bpf.KmonMapSocketsByAddress)
	} else {
		delete(spec.Maps, bpf.KmonMapSockets)
	}
	if err := errors.Join(plan.setCalls(spec), plan.setReasons(spec), plan.setQueues(spec), plan.setBlock(spec), plan.setAccounts(spec)); err != nil {
		return nil, err
	}
	spec.Maps[bpf.KmonMapDataRing].MaxEntries = uint32(o.DataRingBytes)
	spec.Maps[bpf.KmonMapControlRing].MaxEntries = uint32(o.ControlRingBytes)
	return spec, errors.Join(
		plan.setRoom(spec, o.Room),
		setVariable(spec.Variables, bpf.KmonVarCgroupV1, o.CgroupV1),
		setVariable(spec.Variables, bpf.KmonVarOffCpuMinNs, uint64(o.CPU.OffCPUMinNs)))
}

// setVariable sets one of the programs' variables, before they are loaded or
// after.
func setVariable[V interface{ Set(value any) error }](variables map[string]V, name string, value any) error {
	if err := variables[name].Set(value); err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

func (s *Session) setVariable(name string, value any) error {
	return setVariable(s.collection.Variables, name, value)
}

// findSelf learns the recorder's own pid, as the kernel's programs see it, so
// that they leave the recorder out.
func (s *Session) findSelf() error {
	if _, err := s.collection.Programs[bpf.KmonProgFindSelf].Run(&ebpf.RunOptions{}); err != nil {
		return fmt.Errorf("run %s: %w", bpf.KmonProgFindSelf, err)
	}
	if err := s.collection.Variables[bpf.KmonVarReaderTgid].Get(&s.value.SelfTgid); err != nil {
		return fmt.Errorf("read own pid from the kernel: %w", err)
	}
	return nil
}

// SelfPID is the pid of this process as the host counts them, in whatever pid
// namespace it is.
func (s *Session) SelfPID() int { return int(s.value.SelfTgid) }

func (s *Session) attach() error {
	for _, h := range s.plan.hooks {
		if !h.attached() {
			continue
		}
		if h.kind == kindSample {
			if err := s.attachSamples(s.collection.Programs[h.program]); err != nil {
				return err
			}
			continue
		}
		if err := s.attachHook(h); err != nil {
			return err
		}
	}
	return nil
}

func attach(prog *ebpf.Program, h hook) (link.Link, error) {
	switch h.kind {
	case kindRawTracepoint:
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: h.target, Program: prog})
	case kindKprobe:
		return link.Kprobe(h.target, prog, nil)
	default:
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
}

// Data is the ring of exchanges, Control that of sockets, listeners and
// processes. Both belong to the session.
func (s *Session) Data() *Ring { return s.data }

// Control is the ring of everything that tells what the data is about.
func (s *Session) Control() *Ring { return s.control }

// SetTargets changes what is recorded, without touching the programs. Sockets
// are judged anew when they next move bytes. The lists are sorted; what of them
// has no room is left out, and counted in Losses.
func (s *Session) SetTargets(t Targets) error {
	if err := s.replaceTargets(t); err != nil {
		return err
	}
	s.value.Generation++
	s.value.Flags = uint32(bpf.KmonControlFlagsCONTROL_BY_PROCESS | bpf.KmonControlFlagsCONTROL_BY_PORT)
	if t.All {
		s.value.Flags = 0
	}
	return errors.Join(s.updateControl(), s.targetThreads(), s.targetNetEvents())
}

func (s *Session) updateControl() error {
	if err := s.collection.Maps[bpf.KmonMapControl].Put(uint32(0), &s.value); err != nil {
		return fmt.Errorf("update control map: %w", err)
	}
	return nil
}

// Sweep walks over the live sockets and emits the exchanges that have waited
// long enough, with last all of them, and moves what waits in batches to the
// ring. Where there are so many sockets that walks would take more than a
// hundredth of a CPU, not every call makes one. After the last sweep nothing
// more comes from sockets that stay silent; detach first.
func (s *Session) Sweep(last bool) error {
	name, m := bpf.KmonProgSweepSockets, s.collection.Maps[bpf.KmonMapSockets]
	if s.plan.place == byAddress {
		name, m = bpf.KmonProgSweepSocketsByAddress, s.collection.Maps[bpf.KmonMapSocketsByAddress]
	}
	prog := s.collection.Programs[name]
	if prog == nil {
		return nil // collector tcp is not planned
	}
	mode := bpf.KmonSweepModeSWEEP_WAITING
	if last {
		mode = bpf.KmonSweepModeSWEEP_LAST
	}
	if err := s.setVariable(bpf.KmonVarSweeping, uint32(mode)); err != nil {
		return err
	}
	if s.sweeper == nil {
		it, err := link.AttachIter(link.IterOptions{Program: prog, Map: m})
		if err != nil {
			return fmt.Errorf("attach iterator %s: %w", name, err)
		}
		s.sweeper = it
	}
	return errors.Join(s.sweep(last), s.fetchBatches())
}

// fetchBatches moves the exchanges that wait in the CPUs' batches to the ring.
func (s *Session) fetchBatches() error {
	prog := s.collection.Programs[bpf.KmonProgFetchBatch]
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	for cpu := range cpus {
		_, err := prog.Run(&ebpf.RunOptions{CPU: uint32(cpu), Flags: unix.BPF_F_TEST_RUN_ON_CPU})
		if err != nil && !errors.Is(err, unix.ENXIO) { // ENXIO: offline
			return fmt.Errorf("fetch the batch of CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// Detach stops all hooks. Rings can still be drained and swept into.
func (s *Session) Detach() error {
	errs := []error{s.endIOs()}
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	s.links = nil
	return errors.Join(append(errs, s.threads.stopClocks())...)
}

// Close detaches and frees everything.
func (s *Session) Close() error {
	errs := []error{s.Detach()}
	if s.meter != nil {
		s.meter.stop()
	}
	if s.sweeper != nil {
		errs = append(errs, s.sweeper.Close())
	}
	if s.queues != nil {
		errs = append(errs, s.queues.Close())
	}
	if s.threads.collector != nil {
		errs = append(errs, s.threads.collector.Close())
	}
	for _, r := range []*Ring{s.data, s.control} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if s.collection != nil {
		s.collection.Close()
	}
	return errors.Join(errs...)
}
