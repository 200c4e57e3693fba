package symbol

import (
	"encoding/hex"
	"hash/maphash"

	"kmon/format"
)

// frameKey says which place in code a frame is: of the kernel by its address,
// of a file by build id and offset, of a process's memory by pid and address.
type frameKey struct {
	offset  uint64
	buildID [20]byte // zero: none
	pid     int32    // 0 with a build id, and for the kernel
	age     uint32   // of what the process has in memory, see changes
	kind    format.FrameKind
}

// buildIDText is the build id in hex; "": none. The kernel pads the ids of some
// linkers, of 16 or 8 bytes, to 20.
func (k frameKey) buildIDText() string {
	for _, size := range []int{0, 8, 16} {
		if [20]byte(append(k.buildID[:size:size], make([]byte, 20-size)...)) == k.buildID {
			return hex.EncodeToString(k.buildID[:size])
		}
	}
	return hex.EncodeToString(k.buildID[:])
}

// pending is what waits for Rows.
type pending struct {
	stacks      []pendingStack
	stackFrames []int64 // frame ids of the stacks, one stack after the other
	frames      []pendingFrame
}

type pendingStack struct {
	id    int64
	first int // its first frame in stackFrames; its last is before the next stack's first
}

type pendingFrame struct {
	id     int64
	seenIn int32 // process; 0: the kernel
	frameKey
}

// number returns the id of the stack in keys, of a process or, with pid 0, of
// the kernel; p is where it waits if it is new. r.mu is held.
func (r *Resolver) number(pid int32, p *pending) int64 {
	if len(r.keys) == 0 {
		return 0
	}
	var sum uint64
	for _, key := range r.keys {
		sum = (sum ^ maphash.Comparable(r.seed, key)) * 0x9e3779b97f4a7c15 // odd, so that order counts
	}
	if id, known := r.stacks[sum]; known {
		return id
	}
	if len(p.stackFrames)+len(r.keys) > r.options.MaxPending {
		r.dropped++
		return NotTaken
	}
	if len(r.stacks) >= r.options.MaxStacks {
		clear(r.stacks)
	}
	r.stackID++
	r.stacks[sum] = r.stackID
	p.stacks = append(p.stacks, pendingStack{r.stackID, len(p.stackFrames)})
	for _, key := range r.keys {
		p.stackFrames = append(p.stackFrames, r.frame(pid, key, p))
	}
	return r.stackID
}

// frame returns the id of a frame. r.mu is held.
func (r *Resolver) frame(pid int32, key frameKey, p *pending) int64 {
	sum := maphash.Comparable(r.seed, key)
	if id, known := r.frames[sum]; known {
		return id
	}
	if len(r.frames) >= r.options.MaxFrames {
		clear(r.frames)
	}
	r.frameID++
	r.frames[sum] = r.frameID
	p.frames = append(p.frames, pendingFrame{r.frameID, pid, key})
	return r.frameID
}
