package symbol

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

// kallsymsText is a kernel in little. Modules and programs are not in order.
const kallsymsText = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 T __x64_sys_read
ffffffff81000100 T ksys_read
ffffffff81000100 t read_alias
ffffffff81000200 t vfs_read.part.0
ffffffff81000300 t __schedule
ffffffff81000400 T schedule
ffffffff81000500 T bpf_trace_run4
ffffffff81000600 T _etext
ffffffff82000000 D init_task
ffffffffc0002000 t ext4_sync	[ext4]
ffffffffc0001000 t ext4_open	[ext4]
ffffffffa0000000 t bpf_prog_6deef7357e7b4530_on_switch	[bpf]
`

// procWith makes a proc file system that holds kallsyms.
func procWith(t testing.TB, kallsyms string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kallsyms"), kallsyms)
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// text writes stacks a line each: the id and its frames, as symbol+offset
// [module], leaf first.
func text(stacks []format.Stack, frames ...[]format.Frame) string {
	names := map[int64]string{}
	for _, f := range slices.Concat(frames...) {
		names[f.FrameID] = fmt.Sprintf("%s+%#x", f.Symbol, uint64(f.Offset))
		if f.Module != "kernel" {
			names[f.FrameID] += " [" + f.Module + "]"
		}
	}
	var b strings.Builder
	for i, s := range stacks {
		if s.Depth == 0 {
			if i > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "%d:", s.StackID)
		}
		fmt.Fprintf(&b, " %s", names[s.FrameID])
	}
	return b.String()
}

func TestKernelStacks(t *testing.T) {
	r := New(Options{Proc: procWith(t, kallsymsText)})
	stacks := []struct {
		addrs []uint64
		want  string
	}{
		{[]uint64{0xffffffff81000110, 0xffffffff81000210}, "1: ksys_read+0x10 vfs_read.part.0+0xf"},
		// a call that is the last of vfs_read returns to the start of __schedule
		{[]uint64{0xffffffff81000100, 0xffffffff81000300}, "2: ksys_read+0x0 vfs_read.part.0+0xff"},
		{[]uint64{0xffffffffc0002010, 0xffffffffc0001fff}, "3: ext4_sync+0x10 [ext4] ext4_open+0xffe [ext4]"},
		{[]uint64{0xffffffff80000000}, "4: +0xffffffff80000000 []"},                         // before every symbol
		{[]uint64{0xffffffffc2000000}, "5: +0xffffffffc2000000 []"},                         // in a module that is gone
		{[]uint64{0xffffffff81000401, 0, 7}, "6: schedule+0x1"},                             // 0 ends a stack
		{[]uint64{0xffffffff82000010}, "7: +0xffffffff82000010 []"},                         // data, far from any function
		{[]uint64{0xffffffffa0000010}, "8: bpf_prog_6deef7357e7b4530_on_switch+0x10 [bpf]"}, // nothing else: it stays
		// taken by a program at a switch
		{[]uint64{0xffffffffa0000020, 0xffffffff81000510, 0xffffffff81000310, 0xffffffff81000410}, "9: schedule+0xf"},
		// a sample that hit the scheduler
		{[]uint64{0xffffffff81000310, 0xffffffff81000410}, "10: __schedule+0x10 schedule+0xf"},
	}
	var want []string
	for i, s := range stacks {
		if id := r.KernelStack(s.addrs); id != int64(i+1) {
			t.Errorf("id of %#x is %d, want %d", s.addrs, id, i+1)
		}
		want = append(want, s.want)
	}
	if id := r.KernelStack(stacks[2].addrs); id != 3 {
		t.Errorf("the same stack again is %d, want 3", id)
	}
	if id := r.KernelStack(nil); id != 0 {
		t.Errorf("no stack is %d, want 0", id)
	}
	rows, frames := r.Rows(77)
	if got, want := text(rows, frames), strings.Join(want, "\n"); got != want {
		t.Errorf("stacks:\n%s\nwant:\n%s", got, want)
	}
	for _, f := range frames {
		wantSource := format.SymbolKallsyms
		if f.Symbol == "" {
			wantSource = format.SymbolNone
		}
		if f.TsNs != 77 || f.Kind != format.FrameKernel || f.Source != wantSource {
			t.Errorf("frame %+v", f)
		}
	}
	if rows, frames := r.Rows(78); len(rows)+len(frames) != 0 {
		t.Errorf("nothing is new, but there are %v and %v", rows, frames)
	}
}

// TestKernelKept: a function that was met needs no second pass, one of a module
// is looked up again, since another module may have come to its place.
func TestKernelKept(t *testing.T) {
	proc := procWith(t, kallsymsText)
	r := New(Options{Proc: proc})
	r.KernelStack([]uint64{0xffffffff81000110, 0xffffffffc0001010})
	_, before := r.Rows(1)
	write(t, filepath.Join(proc, "kallsyms"), "ffffffffc0001000 t xfs_open\t[xfs]\n")
	r.KernelStack([]uint64{0xffffffff81000120, 0xffffffffc0001010, 0xffffffffc0001020})
	stacks, frames := r.Rows(2)
	want := "2: ksys_read+0x20 ext4_open+0xf [ext4] xfs_open+0x1f [xfs]"
	if got := text(stacks, before, frames); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestKernelUnreadable: who may not see addresses gets addresses of 0.
func TestKernelUnreadable(t *testing.T) {
	for _, kallsyms := range []string{"0000000000000000 T ksys_read\n", "", "\n\n \nxyz\nffffffff81000100\nffffffff81000100 T\n" + strings.Repeat("f", 1<<17)} {
		r := New(Options{Proc: procWith(t, kallsyms)})
		r.KernelStack([]uint64{0xffffffff81000110})
		stacks, frames := r.Rows(1)
		if got, want := text(stacks, frames), "1: +0xffffffff81000110 []"; got != want {
			t.Errorf("with %.20q: got %s, want %s", kallsyms, got, want)
		}
	}
	r := New(Options{Proc: t.TempDir()})
	r.KernelStack([]uint64{1})
	if stacks, frames := r.Rows(1); len(stacks) != 1 || len(frames) != 1 {
		t.Errorf("without kallsyms: %v, %v", stacks, frames)
	}
}

// TestKernelLive looks up every text symbol of the running kernel by its own
// address and finds it, or another name of the same address.
func TestKernelLive(t *testing.T) {
	data, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Skip("no kallsyms: ", err)
	}
	names := map[uint64][]string{}
	var addrs []uint64
	for line := range strings.Lines(string(data)) {
		addr, kind, name, ok := kallsymsLine([]byte(line))
		if !ok || addr == 0 || !strings.ContainsRune("tT", rune(kind)) {
			continue
		}
		symbol, module, _ := strings.Cut(string(name), "\t")
		if module == "[bpf]" {
			continue // may go at any time
		}
		names[addr] = append(names[addr], symbol)
		addrs = append(addrs, addr)
	}
	if len(addrs) == 0 {
		t.Skip("kallsyms hides its addresses")
	}
	r := New(Options{})
	step := max(len(addrs)/5000, 1)
	for i := 0; i < len(addrs); i += step {
		r.KernelStack(addrs[i : i+1])
	}
	_, frames := r.Rows(1)
	for _, f := range frames {
		if f.Offset != 0 || f.Module == "" {
			t.Errorf("frame %+v is not at a symbol's start", f)
		}
	}
	if len(frames) < len(addrs)/step/2 {
		t.Errorf("%d frames of %d addresses", len(frames), len(addrs)/step)
	}
	i := 0
	for addr := range names {
		if i++; i > 20 {
			break
		}
		r.KernelStack([]uint64{addr})
		_, frames := r.Rows(2)
		if len(frames) == 1 && !slices.Contains(names[addr], frames[0].Symbol) {
			t.Errorf("%#x is %s, want one of %v", addr, frames[0].Symbol, names[addr])
		}
	}
}

func BenchmarkKernel5000(b *testing.B) {
	data, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		b.Skip("no kallsyms: ", err)
	}
	var addrs []uint64
	for line := range strings.Lines(string(data)) {
		if addr, _, _, ok := kallsymsLine([]byte(line)); ok && addr != 0 {
			addrs = append(addrs, addr)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		r := New(Options{})
		for i := 0; i < len(addrs); i += len(addrs) / 5000 {
			r.KernelStack(addrs[i : i+1])
		}
		r.Rows(1)
	}
}
