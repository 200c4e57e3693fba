package probe

import (
	"slices"

	"github.com/cilium/ebpf"

	"kmon/bpf"
	"kmon/format"
	"kmon/record/symbol"
)

// stackIDs remembers which stacks of the kernel's tables have an id.
type stackIDs struct {
	resolver *symbol.Resolver
	kernel   map[uint64]int64
	user     map[userStack]int64
	stack    bpf.KmonUserStack // of the last call of userStack, as its frames
	frames   []symbol.UserFrame
}

// userStack is a user stack of one process: frames without a build id mean
// something in that process only.
type userStack struct {
	key uint64
	pid int32
}

func newStackIDs(r *symbol.Resolver) stackIDs {
	return stackIDs{resolver: r, kernel: map[uint64]int64{}, user: map[userStack]int64{}}
}

// askAgain stands for the id of a stack that is in the kernel's table but whose
// id is to be asked for each time.
const askAgain = 0

const (
	stackNone     = 0
	stackNotTaken = ^uint64(0)
)

// nearlyFull is when the stacks of the recording so far are forgotten: with three
// quarters of the kernel's table.
func nearlyFull(m *ebpf.Map, stacks int) bool { return stacks > int(m.MaxEntries())*3/4 }

// NameStacks puts ids in place of the keys of the samples' stacks.
func (s *Session) NameStacks(samples []format.OnCPU) {
	for i := range samples {
		o := &samples[i]
		o.StackID = s.kernelStack(uint64(o.StackID))
		o.UserStackID = s.userStack(o.PID, uint64(o.UserStackID))
	}
}

func (s *Session) kernelStack(key uint64) int64 {
	if key == stackNone || key == stackNotTaken {
		return int64(key)
	}
	ids := &s.threads.stacks
	if id := ids.kernel[key]; id != askAgain {
		return id
	}
	var stack bpf.KmonKernelStack
	if s.collection.Maps[bpf.KmonMapKernelStacks].Lookup(key, &stack) != nil {
		return symbol.NotTaken
	}
	id := ids.resolver.KernelStack(stack.Addrs[:min(stack.Depth, uint64(len(stack.Addrs)))])
	if ids.kernel[key] = id; id == symbol.NotTaken {
		ids.kernel[key] = askAgain
	}
	return id
}

func (s *Session) userStack(pid int32, key uint64) int64 {
	if key == stackNone || key == stackNotTaken {
		return int64(key)
	}
	ids, at := &s.threads.stacks, userStack{key: key, pid: pid}
	if id := ids.user[at]; id != askAgain {
		return id
	}
	if s.collection.Maps[bpf.KmonMapUserStacks].Lookup(key, &ids.stack) != nil {
		return symbol.NotTaken
	}
	ids.frames = userFrames(ids.frames[:0], &ids.stack)
	id := ids.resolver.UserStack(pid, ids.frames)
	ids.user[at] = id
	if id == symbol.NotTaken || slices.ContainsFunc(ids.frames, func(f symbol.UserFrame) bool { return !f.HasBuildID }) {
		ids.user[at] = askAgain // there may be other code at an address by then
	}
	return id
}

// userFrames appends the kernel's frames as those of package symbol.
func userFrames(frames []symbol.UserFrame, stack *bpf.KmonUserStack) []symbol.UserFrame {
	for i := range min(stack.Depth, uint64(len(stack.Frames))) {
		raw := &stack.Frames[i]
		f := symbol.UserFrame{HasBuildID: raw.Status == stackBuildID}
		if f.HasBuildID {
			f.BuildID, f.Offset = raw.BuildId, raw.Offset
		} else {
			f.IP = raw.Offset // they share their place
		}
		frames = append(frames, f)
	}
	return frames
}

// stackBuildID is BPF_STACK_BUILD_ID_VALID.
const stackBuildID = 1

// trimStacks empties the kernel's tables of stacks before they are full. A stack
// whose wait has begun and not ended is then not known any more.
func (s *Session) trimStacks() error {
	ids, maps := &s.threads.stacks, s.collection.Maps
	if m := maps[bpf.KmonMapKernelStacks]; m != nil && nearlyFull(m, len(ids.kernel)) {
		clear(ids.kernel)
		if err := takeAll(m, func(uint64, bpf.KmonKernelStack) bool { return true }); err != nil {
			return err
		}
	}
	m := maps[bpf.KmonMapUserStacks]
	if m == nil || !nearlyFull(m, len(ids.user)) {
		return nil
	}
	clear(ids.user)
	return takeAll(m, func(uint64, bpf.KmonUserStack) bool { return true })
}

// ForgetStacks has every stack that is met from now on told to the Resolver
// again. What the kernel's tables hold stays, and is still counted.
func (s *Session) ForgetStacks() {
	ids := &s.threads.stacks
	for key := range ids.kernel {
		ids.kernel[key] = askAgain
	}
	for at := range ids.user {
		ids.user[at] = askAgain
	}
}
