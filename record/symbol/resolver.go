package symbol

import (
	"cmp"
	"hash/maphash"
	"maps"
	"sync"

	"kmon/format"
)

// Options are where a Resolver looks and how much it keeps. The zero value is
// what a recorder wants.
type Options struct {
	Proc       string // the proc file system; "": /proc
	Kallsyms   string // the kernel's symbols; "": those of Proc
	Root       string // where programs and /usr/lib/debug lie; "": /
	MaxStacks  int    // stacks whose ids are remembered; 0: DefaultMaxStacks
	MaxFrames  int    // frames whose ids are remembered; 0: DefaultMaxFrames
	MaxPending int    // frames of stacks that wait for Rows, of kernel and processes each; 0: DefaultMaxPending
}

const (
	// DefaultMaxStacks and DefaultMaxFrames keep what is remembered below 8 MiB
	// (some 32 bytes an entry of a map).
	DefaultMaxStacks = 100_000
	DefaultMaxFrames = 100_000
	// DefaultMaxPending is 8,000 new stacks of 30 frames between two calls of
	// Rows, and 2 MiB.
	DefaultMaxPending = 240_000
)

// UserFrame is one user frame as the kernel's build-id stack map gives it
// (struct bpf_stack_build_id).
type UserFrame struct {
	BuildID    [20]byte // of the file the code is in, padded with zeros
	HasBuildID bool
	Offset     uint64 // in the file
	IP         uint64 // address in the process, when there is no build id
}

// NotTaken is the id of a stack that could not be taken.
const NotTaken = -1

// Resolver numbers stacks and names their frames.
type Resolver struct {
	options Options
	seed    maphash.Seed

	mu        sync.Mutex // guards what follows, never held while a file is read
	stacks    map[uint64]int64
	frames    map[uint64]int64
	stackID   int64 // the last given
	frameID   int64
	keys      []frameKey // of the stack at hand
	ofKernel  pending
	ofProcess pending
	changes   changes
	dropped   int64

	rows   sync.Mutex // held by Rows; guards what follows
	kernel kernel
	user   user
	hidden map[int64]hiding // frame ids that a stack may lose at its top
}

// New returns a Resolver. It reads nothing yet.
func New(o Options) *Resolver {
	o.Proc = cmp.Or(o.Proc, "/proc")
	o.Root = cmp.Or(o.Root, "/")
	o.MaxStacks = cmp.Or(o.MaxStacks, DefaultMaxStacks)
	o.MaxFrames = cmp.Or(o.MaxFrames, DefaultMaxFrames)
	o.MaxPending = cmp.Or(o.MaxPending, DefaultMaxPending)
	return &Resolver{
		options: o,
		seed:    maphash.MakeSeed(),
		stacks:  map[uint64]int64{},
		frames:  map[uint64]int64{},
		kernel:  kernel{path: cmp.Or(o.Kallsyms, o.Proc+"/kallsyms")},
		user:    user{proc: o.Proc, root: o.Root, files: map[fileID]*file{}, buildIDs: map[inode]fileID{}},
		hidden:  map[int64]hiding{},
	}
}

// KernelStack returns the id of a kernel stack, leaf first: the same for the
// same addresses. It is 0 for no addresses, and NotTaken when too many stacks
// wait for Rows. An address of 0 ends the stack. addrs is not kept.
//
// The program that took a stack from inside itself stands at its top. Rows
// leaves it out: programs, their trampolines and, if it was the scheduler they
// were called from, __schedule.
func (r *Resolver) KernelStack(addrs []uint64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = r.keys[:0]
	for depth, addr := range addrs {
		if addr == 0 {
			break
		}
		r.keys = append(r.keys, frameKey{kind: format.FrameKernel, offset: inCall(addr, depth)})
	}
	return r.number(0, &r.ofKernel)
}

// UserStack returns the id of a user stack of a process, leaf first: the same
// for the same frames. It is 0 for no frames, and NotTaken when too many stacks
// wait for Rows. frames is not kept.
//
// Code without frame pointers leads the kernel astray: the stack ends where its
// next frame can be no place in code.
func (r *Resolver) UserStack(pid int32, frames []UserFrame) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = r.keys[:0]
	for depth, f := range frames {
		if depth > 0 && f.astray() {
			break
		}
		key := frameKey{kind: format.FrameUser, pid: pid, offset: inCall(f.IP, depth)}
		if !f.HasBuildID {
			key.age = r.changes.age(pid)
		} else {
			key = frameKey{kind: format.FrameUser, buildID: f.BuildID, offset: inCall(f.Offset, depth)}
		}
		r.keys = append(r.keys, key)
	}
	return r.number(pid, &r.ofProcess)
}

// lowestAddress and highestAddress bound what a process may map: mmap_min_addr,
// and the half of 57-bit addresses that is not the kernel's.
const lowestAddress, highestAddress = 4096, 1 << 56

// astray says that a frame can be no place in code. The kernel takes an address
// before the first mapping for one in it (find_vma), with a negative offset.
func (f UserFrame) astray() bool {
	if f.HasBuildID {
		return int64(f.Offset) <= 0
	}
	return f.IP < lowestAddress || f.IP >= highestAddress
}

// Executed tells which file below Options.Root a process executed; "": one that
// is not there. It helps to find the files of processes that are gone when Rows
// looks for them. A file that the process saw under that path in another mount
// namespace must not be told.
func (r *Resolver) Executed(pid int32, path string) { r.user.programs.add(pid, path) }

// Dropped returns how many stacks got NotTaken because too many waited for
// Rows, since the Resolver was made.
func (r *Resolver) Dropped() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Unnamed are stacks that wait for their rows, out of the Resolver.
type Unnamed struct {
	all                 bool
	ofKernel, ofProcess pending
	lastFrame           int64 // of TakeLast: frames up to this id are not met again
}

// Take takes out the stacks that are new since the last call: those of
// processes, which may end, or with all the kernel's too, whose naming costs a
// pass over its symbols.
func (r *Resolver) Take(all bool) Unnamed {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := Unnamed{all: all, ofProcess: r.ofProcess}
	r.ofProcess = pending{}
	if all {
		u.ofKernel, r.ofKernel = r.ofKernel, pending{}
	}
	return u
}

// TakeLast is Take of all, and has every stack that is met from now on be a new
// one: those that are known get other ids.
func (r *Resolver) TakeLast() Unnamed {
	u := r.Take(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.stacks)
	clear(r.frames)
	u.lastFrame = r.frameID
	return u
}

// Name returns the rows of stacks that were taken out, which are the caller's:
// frames by id, stacks by id and depth, those of processes first. tsNs is the
// time they are written with.
func (r *Resolver) Name(u Unnamed, tsNs int64) ([]format.Stack, []format.Frame) {
	r.rows.Lock()
	defer r.rows.Unlock()
	frames := u.ofProcess.frameRows(tsNs)
	r.user.name(frames, u.ofProcess.frames)
	stacks := r.stackRows(tsNs, u.ofProcess)
	if !u.all {
		return stacks, frames
	}
	r.forgetChanged()
	rows := u.ofKernel.frameRows(tsNs)
	r.kernel.name(rows)
	for _, f := range rows {
		r.noteHidden(f)
	}
	stacks = append(stacks, r.stackRows(tsNs, u.ofKernel)...)
	maps.DeleteFunc(r.hidden, func(frame int64, _ hiding) bool { return frame <= u.lastFrame })
	return stacks, append(frames, rows...)
}

// Rows takes out all stacks and names them.
func (r *Resolver) Rows(tsNs int64) ([]format.Stack, []format.Frame) {
	return r.Name(r.Take(true), tsNs)
}

// frameRows are the rows of the frames in p, yet without names.
func (p pending) frameRows(tsNs int64) []format.Frame {
	rows := make([]format.Frame, len(p.frames))
	for i, f := range p.frames {
		rows[i] = format.Frame{TsNs: tsNs, FrameID: f.id, Kind: f.kind, Offset: int64(f.offset), BuildID: f.buildIDText()}
	}
	return rows
}

// stackRows are the rows of the stacks in p, without what hides at their top.
func (r *Resolver) stackRows(tsNs int64, p pending) []format.Stack {
	rows := make([]format.Stack, 0, len(p.stackFrames))
	for i, s := range p.stacks {
		end := len(p.stackFrames)
		if i+1 < len(p.stacks) {
			end = p.stacks[i+1].first
		}
		for depth, frame := range r.withoutTop(p.stackFrames[s.first:end]) {
			rows = append(rows, format.Stack{TsNs: tsNs, StackID: s.id, Depth: int32(depth), FrameID: frame})
		}
	}
	return rows
}

// inCall is where to look up the address at a depth of a stack.
func inCall(addr uint64, depth int) uint64 {
	if depth == 0 {
		return addr
	}
	return addr - 1
}
