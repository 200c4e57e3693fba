package symbol

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// processFile is the path of a process's file in /proc.
func processFile(proc string, pid int32, name string) string {
	return path.Join(proc, strconv.Itoa(int(pid)), name)
}

// maxPrograms bounds the processes whose program is remembered.
const maxPrograms = 4096

// programs are the files that the last processes executed, as the kernel told.
type programs struct {
	mu    sync.Mutex
	paths map[int32]string
	order []int32 // oldest first
}

func (p *programs) add(pid int32, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paths == nil {
		p.paths = map[int32]string{}
	}
	if _, known := p.paths[pid]; !known {
		if len(p.order) >= maxPrograms {
			delete(p.paths, p.order[0])
			p.order = p.order[1:]
		}
		p.order = append(p.order, pid)
	}
	p.paths[pid] = path
}

func (p *programs) of(pid int32) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[pid]
}

// nameVDSO names frames in the code that the kernel maps into each process. It
// is the same in all, so the recorder's own serves.
func (b *batch) nameVDSO() {
	if len(b.vdso) == 0 {
		return
	}
	memory, err := os.Open(path.Join(b.proc, "self/mem"))
	if err != nil {
		return
	}
	defer memory.Close()
	for _, m := range readMaps(path.Join(b.proc, "self/maps")) {
		if m.path != vdso {
			continue
		}
		code := make([]byte, min(m.end-m.start, 64<<10))
		if _, err := memory.ReadAt(code, int64(m.start)); err != nil {
			return
		}
		im, err := readImage(bytes.NewReader(code))
		if err != nil {
			return
		}
		var offsets []uint64
		for _, i := range b.vdso {
			offsets = append(offsets, uint64(b.frames[i].Offset))
		}
		found := im.lookUp(offsets, func() (*image, func()) { return nil, nil })
		for _, i := range b.vdso {
			if fn, ok := found.find(uint64(b.frames[i].Offset)); ok {
				b.frames[i].Symbol, b.frames[i].Source = fn.name, fn.source
			}
		}
	}
}

// nameJIT names frames in memory of a process by the map that its JIT writes
// to /tmp, see jit-interface.txt of the kernel's tools/perf. Offset stays the
// address.
func (b *batch) nameJIT(pid int32, frames []int) {
	file, err := openPerfMap(b.proc, pid)
	if err != nil {
		return
	}
	defer file.Close()
	var addrs []uint64
	for _, i := range frames {
		addrs = append(addrs, uint64(b.frames[i].Offset))
	}
	found := perfMap(file, addrs)
	for _, i := range frames {
		if fn, ok := found[uint64(b.frames[i].Offset)]; ok {
			b.frames[i].Symbol, b.frames[i].Module, b.frames[i].Source = fn.name, fn.module, fn.source
		}
	}
}

// openPerfMap opens the map of a process in its own mount namespace, under the
// number it has in its own pid namespace. The map must belong to its user, for
// anyone may write to /tmp, and be no link: the process could have a file of
// root's read that it cannot read itself.
func openPerfMap(proc string, pid int32) (*os.File, error) {
	status, err := readSmall(processFile(proc, pid, "status"))
	if err != nil {
		return nil, err
	}
	own := strconv.Itoa(int(pid))
	if fields := statusFields(status, "NSpid:"); len(fields) > 0 {
		own = string(fields[len(fields)-1]) // from the outermost namespace to its own
	}
	file, err := openInWith(processFile(proc, pid, "root"), "tmp/perf-"+own+".map", unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		owner := info.Sys().(*syscall.Stat_t).Uid
		users := statusFields(status, "Uid:") // real, effective, saved, file system
		if len(users) < 2 || string(users[1]) != strconv.Itoa(int(owner)) {
			err = fmt.Errorf("%s belongs to user %d, not to the process", file.Name(), owner)
		}
	}
	if err != nil {
		_ = file.Close() // only read
		return nil, err
	}
	return file, nil
}

// statusFields returns the values of one line of /proc/PID/status.
func statusFields(status []byte, name string) [][]byte {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return bytes.Fields(rest)
		}
	}
	return nil
}

// readSmall reads a small file of /proc.
func readSmall(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 64<<10))
}
