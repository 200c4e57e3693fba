package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"kmon/format"
)

const (
	// maxFunctionBytes is more than any kernel function is long: an address further
	// from the symbol before it lies in code without symbols, as of a module that
	// is gone.
	maxFunctionBytes = 1 << 20
	// maxKallsymsLine is more than KSYM_NAME_LEN (512) and a module's name take.
	maxKallsymsLine = 1 << 10
	kernelModule    = "kernel"
	bpfModule       = "bpf"
)

// kernel names the kernel's addresses. The functions of the kernel proper that
// were met are kept, a few hundred: most calls then read nothing.
type kernel struct {
	path      string // of kallsyms
	functions functions
}

// name fills in frames whose Offset still is the address.
func (k *kernel) name(frames []format.Frame) {
	var unknown []uint64
	for i := range frames {
		f := &frames[i]
		if known, ok := k.functions.find(uint64(f.Offset)); ok {
			known.fill(f, uint64(f.Offset))
		} else {
			unknown = append(unknown, uint64(f.Offset))
		}
	}
	if len(unknown) == 0 {
		return
	}
	found := k.look(unknown)
	for i := range frames {
		f := &frames[i]
		if f.Module != "" {
			continue
		}
		if known, ok := found.find(uint64(f.Offset)); ok {
			known.fill(f, uint64(f.Offset))
		}
	}
}

// fill names a frame at an address of the function.
func (fn function) fill(f *format.Frame, addr uint64) {
	f.Symbol, f.Module, f.Source = fn.name, fn.module, fn.source
	f.Offset = int64(addr - fn.start)
}

// look finds the functions of addresses in one pass over kallsyms, and keeps
// those that stay where they are.
func (k *kernel) look(addrs []uint64) functions {
	n := newNearest(addrs)
	if err := readKallsyms(k.path, n); err != nil {
		return nil
	}
	var found functions
	n.each(func(addr uint64, s symbol, end uint64) {
		if !s.found || addr-s.start > maxFunctionBytes {
			return
		}
		name, module, ok := bytes.Cut(s.name, []byte("\t"))
		fn := function{start: s.start, end: min(end, s.start+maxFunctionBytes), name: clean(name), source: format.SymbolKallsyms, module: kernelModule}
		if ok {
			fn.module = strings.Trim(clean(module), "[]")
		} else {
			k.functions = append(k.functions, fn)
		}
		found = append(found, fn)
	})
	k.functions = k.functions.sorted()
	return found.sorted()
}

// readKallsyms passes the kernel's symbols to n: lines of address, type, name
// and, in brackets, module. All addresses are 0 for those who may not see them.
func readKallsyms(path string, n *nearest) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if addr, kind, name, ok := kallsymsLine(line); ok && addr != 0 {
			if bytes.IndexByte([]byte("tTwWiI"), kind) < 0 {
				n.bound(addr)
			} else {
				n.add(symbol{start: addr, name: name, rank: kernelRank(kind, name)})
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// kallsymsLine takes a line apart; name is the rest of the line.
func kallsymsLine(line []byte) (addr uint64, kind byte, name []byte, ok bool) {
	i := 0
	for ; i < len(line) && i < 16; i++ {
		digit := bytes.IndexByte([]byte("0123456789abcdef"), line[i])
		if digit < 0 {
			break
		}
		addr = addr<<4 | uint64(digit)
	}
	if i == 0 || len(line) < i+4 || len(line) > maxKallsymsLine || line[i] != ' ' || line[i+2] != ' ' {
		return 0, 0, nil, false
	}
	return addr, line[i+1], bytes.TrimRight(line[i+3:], "\n"), true
}

// kernelRank prefers, of several names of one address, a global one, and one
// that does not begin with underscores.
func kernelRank(kind byte, name []byte) int {
	rank := 0
	if kind == 'T' {
		rank = 16
	}
	return rank - min(len(name)-len(bytes.TrimLeft(name, "_")), 15)
}

// hiding is what a kernel frame may be at the top of a stack.
type hiding int8

const (
	hidesProgram  hiding = 1 // a BPF program, or what called it
	hidesSchedule hiding = 2 // the scheduler, left out below a program
)

// maxHidden bounds what is noted; there are as many as there are programs.
const maxHidden = 4096

// noteHidden remembers a frame of the kernel that may be left out of stacks.
func (r *Resolver) noteHidden(f format.Frame) {
	how := hiding(0)
	switch {
	case f.Module == bpfModule, slices.ContainsFunc(callers, func(prefix string) bool { return strings.HasPrefix(f.Symbol, prefix) }):
		how = hidesProgram
	case f.Symbol == "__schedule":
		how = hidesSchedule
	default:
		return
	}
	if len(r.hidden) >= maxHidden {
		clear(r.hidden)
	}
	r.hidden[f.FrameID] = how
}

// callers is what stands between a hook and its program.
var callers = []string{"bpf_trace_run", "__bpf_trace_", "__traceiter_", "bpf_trampoline_", "trace_call_bpf", "bpf_get_stack"}

// withoutTop returns a stack without the program that took it. A stack that
// holds nothing else stays as it is.
func (r *Resolver) withoutTop(frames []int64) []int64 {
	top := 0
	for top < len(frames) && r.hidden[frames[top]] == hidesProgram {
		top++
	}
	if top > 0 && top < len(frames) && r.hidden[frames[top]] == hidesSchedule {
		top++
	}
	if top == len(frames) {
		return frames
	}
	return frames[top:]
}
