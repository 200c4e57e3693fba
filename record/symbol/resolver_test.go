package symbol

import (
	"sync"
	"testing"
)

// TestForgets: beyond its bounds a Resolver gives new ids, and the rows that
// belong to them.
func TestForgets(t *testing.T) {
	r := New(Options{Proc: t.TempDir(), MaxStacks: 3, MaxFrames: 3})
	last := int64(0)
	for addr := range uint64(10) {
		id := r.KernelStack([]uint64{addr + 1})
		if id != last+1 {
			t.Fatalf("stack %d has id %d", addr, id)
		}
		last = id
	}
	if len(r.stacks) > 3 || len(r.frames) > 3 {
		t.Errorf("%d stacks and %d frames are remembered", len(r.stacks), len(r.frames))
	}
	if id := r.KernelStack([]uint64{1}); id != last+1 {
		t.Errorf("a forgotten stack has id %d, want %d", id, last+1)
	}
	stacks, frames := r.Rows(1)
	have := map[int64]bool{}
	for _, f := range frames {
		have[f.FrameID] = true
	}
	for _, s := range stacks {
		if !have[s.FrameID] {
			t.Errorf("stack %d refers to frame %d, which has no row", s.StackID, s.FrameID)
		}
	}
	if len(stacks) != 11 {
		t.Errorf("%d rows, want 11", len(stacks))
	}
}

// TestPendingFull: what waits for Rows is bounded, and what found no room is
// counted.
func TestPendingFull(t *testing.T) {
	r := New(Options{Proc: t.TempDir(), MaxPending: 4})
	stacks := [][]uint64{{1, 2}, {3, 4}, {5}}
	want := []int64{1, 2, NotTaken}
	for i, addrs := range stacks {
		if id := r.KernelStack(addrs); id != want[i] {
			t.Errorf("stack %v has id %d, want %d", addrs, id, want[i])
		}
	}
	if id := r.KernelStack(stacks[0]); id != 1 {
		t.Errorf("a known stack has id %d, want 1", id)
	}
	if n := r.Dropped(); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	r.Rows(1)
	if id := r.KernelStack(stacks[2]); id != 3 {
		t.Errorf("after Rows the stack has id %d, want 3", id)
	}
}

// TestStackIdentity: order and kind tell stacks apart, and so does the process
// when its frames are known by address only.
func TestStackIdentity(t *testing.T) {
	r := New(Options{Proc: t.TempDir()})
	byFile := []UserFrame{{BuildID: [20]byte{1}, HasBuildID: true, Offset: 8, IP: 99}}
	byAddress := []UserFrame{{IP: 8}}
	ids := map[int64]string{}
	for _, s := range []struct {
		name string
		id   int64
		same bool
	}{
		{"kernel 8 9", r.KernelStack([]uint64{8, 9}), false},
		{"kernel 9 8", r.KernelStack([]uint64{9, 8}), false},
		{"kernel 8", r.KernelStack([]uint64{8}), false},
		{"address", r.UserStack(5, byAddress), false},
		{"address in another process", r.UserStack(6, byAddress), false},
		{"file", r.UserStack(5, byFile), false},
		{"file in another process", r.UserStack(6, byFile), true},
	} {
		if other, taken := ids[s.id]; taken != s.same {
			t.Errorf("%s has id %d, taken by %q", s.name, s.id, other)
		}
		ids[s.id] = s.name
	}
	if id := r.UserStack(5, nil); id != 0 {
		t.Errorf("no frames have id %d", id)
	}
	_, frames := r.Rows(1)
	for _, f := range frames {
		wantID := ""
		if f.FrameID == 6 {
			wantID = "0100000000000000"
		}
		if f.BuildID != wantID {
			t.Errorf("frame %+v has the build id %q, want %q", f, f.BuildID, wantID)
		}
	}
}

// BenchmarkKnownStack is the cost of a sample whose stack was met before.
func BenchmarkKnownStack(b *testing.B) {
	r := New(Options{Proc: b.TempDir()})
	addrs := make([]uint64, 30)
	for i := range addrs {
		addrs[i] = 0xffffffff81000000 + uint64(i)*100
	}
	b.ReportAllocs()
	for b.Loop() {
		r.KernelStack(addrs)
	}
}

// TestTakeOfProcesses: stacks of the kernel wait until all are taken.
func TestTakeOfProcesses(t *testing.T) {
	r := New(Options{Proc: t.TempDir()})
	r.KernelStack([]uint64{1, 5})
	r.UserStack(5, []UserFrame{{IP: 3}})
	for i, want := range []int{1, 0} {
		if stacks, frames := r.Name(r.Take(false), 1); len(stacks) != want || len(frames) != want {
			t.Errorf("call %d gives %v, %v, want %d of each", i, stacks, frames, want)
		}
	}
	r.UserStack(5, []UserFrame{{IP: 4}})
	stacks, frames := r.Rows(2)
	if len(stacks) != 3 || len(frames) != 3 || stacks[0].StackID != 3 || stacks[1].StackID != 1 {
		t.Errorf("then %v, %v", stacks, frames)
	}
}

// TestTakeLast: what was named for one file is named again for the next, under
// other ids; what is taken out does not mix with what comes later.
func TestTakeLast(t *testing.T) {
	r := New(Options{Proc: t.TempDir()})
	meet := func() (kernel, user int64) {
		return r.KernelStack([]uint64{1, 5}), r.UserStack(5, []UserFrame{{IP: 4096}})
	}
	r.hidden[1] = hidesProgram
	kernel, user := meet()
	first := r.TakeLast()
	nextKernel, nextUser := meet()
	if kernel == nextKernel || user == nextUser {
		t.Errorf("ids %d and %d are given again", kernel, user)
	}
	for i, want := range []struct {
		stacks       Unnamed
		kernel, user int64
	}{{first, kernel, user}, {r.TakeLast(), nextKernel, nextUser}, {r.TakeLast(), 0, 0}} {
		stacks, frames := r.Name(want.stacks, 1)
		known := map[int64]bool{}
		for _, f := range frames {
			known[f.FrameID] = true
		}
		ids := map[int64]bool{}
		for _, s := range stacks {
			if ids[s.StackID] = true; !known[s.FrameID] {
				t.Errorf("file %d: stack %d has frame %d, which is not in it", i+1, s.StackID, s.FrameID)
			}
		}
		if want.kernel == 0 && len(ids) == 0 {
			continue
		}
		if len(ids) != 2 || !ids[want.kernel] || !ids[want.user] {
			t.Errorf("file %d has stacks %v, want %d and %d", i+1, ids, want.kernel, want.user)
		}
	}
	if len(r.hidden) != 0 {
		t.Errorf("frames %v of files that are complete are still remembered", r.hidden)
	}
}

// TestAstray: a stack ends where its next frame is no place in code; where it
// was sampled always is one.
func TestAstray(t *testing.T) {
	file := func(offset int64) UserFrame {
		return UserFrame{BuildID: [20]byte{1}, HasBuildID: true, Offset: uint64(offset)}
	}
	memory := func(ip uint64) UserFrame { return UserFrame{IP: ip} }
	for _, test := range []struct {
		frames []UserFrame
		want   int
	}{
		{[]UserFrame{file(8), file(9), memory(0x7f0000001000)}, 3},
		{[]UserFrame{file(8), file(-94631827193857), file(9)}, 1},
		{[]UserFrame{file(8), memory(0), file(9)}, 1},
		{[]UserFrame{file(8), memory(7), file(9)}, 1},
		{[]UserFrame{file(8), file(9), memory(8245918498256596836)}, 2},
		{[]UserFrame{memory(0), file(9)}, 2},
	} {
		r := New(Options{Proc: t.TempDir()})
		r.UserStack(5, test.frames)
		if stacks, _ := r.Rows(1); len(stacks) != test.want {
			t.Errorf("%v has %d frames, want %d", test.frames, len(stacks), test.want)
		}
	}
}

// TestConcurrent: stacks are numbered while others are named, and none is lost.
func TestConcurrent(t *testing.T) {
	r := New(Options{Proc: procWith(t, kallsymsText)})
	const each = 2000
	var running sync.WaitGroup
	for worker := range int32(3) {
		running.Go(func() {
			for i := range uint64(each) {
				r.KernelStack([]uint64{0xffffffff81000100 + i})
				r.UserStack(worker+1, []UserFrame{{IP: 4096 + i}})
				r.Executed(worker, "/bin/true")
			}
		})
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	rows := 0
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		stacks, _ := r.Name(r.Take(false), 1)
		rows += len(stacks)
		stacks, _ = r.Rows(1)
		rows += len(stacks)
	}
	if want := each + 3*each; rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
}
