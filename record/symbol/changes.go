package symbol

import (
	"fmt"
	"hash/maphash"
	"slices"
)

// maxChanging bounds the processes whose memory is watched.
const maxChanging = 4096

// changes notes when the code at an address of a process may have become
// other code: the process executed another program, its number went to
// another, its JIT wrote on. Frames known by address only are new then. It is
// looked at by Rows: until the next one a frame may have its old name.
type changes struct {
	ages map[int32]uint32
	seen map[int32]uint64 // what the process's code was at the last look
	met  map[int32]bool   // since the last look
	last uint32           // age given
	// forgot: what was seen did not fit, so nobody is known to be unchanged.
	forgot bool
}

// age numbers what a process's code is now, and has it looked at.
func (c *changes) age(pid int32) uint32 {
	if c.met == nil {
		c.ages, c.seen, c.met = map[int32]uint32{}, map[int32]uint64{}, map[int32]bool{}
	}
	if len(c.met) < maxChanging {
		c.met[pid] = true
	}
	return c.ages[pid]
}

// forgetChanged looks at the processes met since the last time.
func (r *Resolver) forgetChanged() {
	r.mu.Lock()
	var pids []int32
	for pid := range r.changes.met {
		pids = append(pids, pid)
	}
	clear(r.changes.met)
	r.mu.Unlock()
	slices.Sort(pids)
	for _, pid := range pids {
		now := r.code(pid)
		r.mu.Lock()
		r.changes.note(pid, now)
		r.mu.Unlock()
	}
}

// note takes what a process's code is now.
func (c *changes) note(pid int32, now uint64) {
	before, known := c.seen[pid]
	if known && before == now {
		return
	}
	if len(c.seen) >= maxChanging {
		clear(c.seen)
		clear(c.ages)
		c.forgot = true
	}
	c.seen[pid] = now
	if known || c.forgot {
		c.last++
		c.ages[pid] = c.last
	}
}

// code sums up the code that a process has mapped and its JIT's map.
func (r *Resolver) code(pid int32) uint64 {
	var sum maphash.Hash
	sum.SetSeed(r.seed)
	for _, m := range readMaps(processFile(r.options.Proc, pid, "maps")) {
		fmt.Fprintln(&sum, m)
	}
	if file, err := openPerfMap(r.options.Proc, pid); err == nil {
		if info, err := file.Stat(); err == nil {
			fmt.Fprintln(&sum, info.Size(), info.ModTime().UnixNano())
		}
		_ = file.Close() // only read
	}
	return sum.Sum64()
}
