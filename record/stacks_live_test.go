package record

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// knownFunctions computes and sleeps in functions of known names.
const knownFunctions = `
#include <time.h>
#define F static __attribute__((noinline, used))
volatile unsigned long sink;
F void burn(void) { for (int i = 0; i < 1000000; i++) sink += i; }
F void work(void) { burn(); sink++; }
F void doze(void) { struct timespec t = {0, 20000000}; nanosleep(&t, 0); sink++; }
F void rest(void) { doze(); sink++; }
int main(void) {
	for (int i = 1; i <= 50; i++, rest())
		while (clock() < i * (CLOCKS_PER_SEC / 25)) work(); /* 2 s of CPU time in all */
}
`

// TestStacksLive: the stacks of a program come out with its functions' names,
// also when it is gone by the time they are looked up.
func TestStacksLive(t *testing.T) {
	long(t)
	untilNoDoubt(t, checkStacks)
}

func checkStacks(t *testing.T, d *doubts) {
	requireBPF(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "known")
	if err := os.WriteFile(program+".c", []byte(knownFunctions), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-O0", // each function has its frame, leaves too
		"-Wl,--build-id", "-o", program, program+".c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	result, err := Run(context.Background(), Options{
		Output: filepath.Join(dir, "stacks.kmon"), Collectors: []string{"cpu"}, UserStacks: true, Interval: time.Second,
		Command: []string{program},
	})
	if err != nil {
		t.Fatal(err)
	}
	stacks := readStacks(t, result, program)
	if n := stacks.samples("burn < work < main"); n < 40 {
		d.Errorf("%d samples of burn, want about 200; stacks:\n%s", n, stacks)
	}
	// libc's own frame has no frame pointer, which hides doze, its caller.
	asleep := waits(stacks.asleep, "hrtimer_nanosleep", "rest < main")
	// One that is put aside on its way to sleep may find that its time is over.
	queued := waits(stacks.queued, "hrtimer_nanosleep", "rest < main")
	if asleep > 50 || asleep+queued < 50 {
		d.Errorf("%d sleeps below rest, %d waits for a CPU, want 50 sleeps; stacks:\n%s", asleep, queued, stacks)
	}
}

// namedCounts are the counts of a program's stacks, kernel and user, as text:
// samples, sleeps, and waits for a CPU.
type namedCounts struct{ onCPU, asleep, queued map[[2]string]int64 }

// readStacks counts the stacks of processes that ran the program.
func readStacks(t *testing.T, result Result, program string) namedCounts {
	t.Helper()
	capture := opened(t, result.Path)
	for _, problem := range capture.Problems() {
		t.Errorf("capture: %v", problem)
	}
	frames := map[int64]string{}
	mine := map[int64]bool{} // frames of the program
	for _, f := range all[format.Frame](t, capture) {
		frames[f.FrameID] = f.Symbol
		mine[f.FrameID] = f.Module == program
	}
	text, ours := map[int64]string{}, map[int64]bool{}
	for _, s := range all[format.Stack](t, capture) {
		name, known := frames[s.FrameID]
		if !known {
			t.Errorf("stack %d has frame %d, which has no row", s.StackID, s.FrameID)
		}
		if s.Depth > 0 {
			name = text[s.StackID] + " < " + name
		}
		text[s.StackID] = name
		ours[s.StackID] = ours[s.StackID] || mine[s.FrameID]
	}
	counts := namedCounts{map[[2]string]int64{}, map[[2]string]int64{}, map[[2]string]int64{}}
	for _, o := range all[format.OnCPU](t, capture) {
		if ours[o.UserStackID] {
			counts.onCPU[[2]string{text[o.StackID], text[o.UserStackID]}]++
		}
	}
	for _, o := range all[format.OffCPU](t, capture) {
		if !ours[o.UserStackID] {
			continue
		}
		stack := [2]string{text[o.StackID], text[o.UserStackID]}
		switch o.State {
		case format.StateSleep:
			counts.asleep[stack] += o.Count
		case format.StateRunnable:
			counts.queued[stack] += o.Count
		}
	}
	return counts
}

func (c namedCounts) samples(user string) (n int64) {
	for stack, count := range c.onCPU {
		if strings.Contains(stack[1], user) {
			n += count
		}
	}
	return n
}

func waits(counts map[[2]string]int64, kernel, user string) (n int64) {
	for stack, count := range counts {
		if strings.Contains(stack[0], kernel) && strings.Contains(stack[1], user) {
			n += count
		}
	}
	return n
}

func (c namedCounts) String() string {
	var lines []string
	for _, counts := range []map[[2]string]int64{c.onCPU, c.asleep, c.queued} {
		for stack := range counts {
			lines = append(lines, "kernel: "+stack[0]+"  user: "+stack[1])
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
