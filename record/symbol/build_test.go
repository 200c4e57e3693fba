package symbol

import (
	"bufio"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shop is a program with functions of known names. The names of C++ and Rust
// are given by hand, so that no other compiler is needed.
const shop = `
#include <unistd.h>
#define F __attribute__((noinline, used))
F int price(int n) { return n * 3 + 1; }
static F int hidden(int n) { return n * 5 + 2; }
F int cart(int n) __asm__("_ZNK4shop4Cart3addERKSsi");
F int cart(int n) { return n * 7 + 3; }
F int rusty(int n) __asm__("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE");
F int rusty(int n) { return n * 11 + 4; }
F int rustier(int n) __asm__("_RNvNtCs1234_7mycrate3foo3bar");
F int rustier(int n) { return n * 13 + 5; }
int main(void) {
	char c = 0;
	write(1, "up\n", 3);
	read(0, &c, 1); /* until the test closes it */
	return (price(c) + hidden(c) + cart(c) + rusty(c) + rustier(c)) & 1;
}
`

const goShop = `package main

import "os"

type cart struct{ n int }

//go:noinline
func (c *cart) add(n int) int { c.n += n; return c.n }

//go:noinline
func price(n int) int { return n*3 + 1 }

func main() {
	var c cart
	os.Stdout.WriteString("up\n")
	n, _ := os.Stdin.Read(make([]byte, 1))
	os.Exit(c.add(price(n)) & 1)
}
`

// compile compiles a C program, with a build id unless flags say otherwise.
func compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	needs(t, "gcc")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.c"), source)
	out := filepath.Join(dir, "program")
	run(t, dir, "gcc", slices.Concat([]string{"-O1", "-Wl,--build-id", "-o", out, "main.c"}, flags)...)
	return out
}

// compileGo compiles a Go program.
func compileGo(t testing.TB, source string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), source)
	write(t, filepath.Join(dir, "go.mod"), "module shop\n\ngo 1.26\n")
	out := filepath.Join(dir, "program")
	run(t, dir, "go", slices.Concat([]string{"build", "-o", out}, flags)...)
	return out
}

// strip makes a copy of a program without its symbols, and says how.
func strip(t testing.TB, program string, how ...string) string {
	t.Helper()
	needs(t, "strip")
	out := filepath.Join(t.TempDir(), "program")
	run(t, ".", "strip", slices.Concat(how, []string{"-o", out, program})...)
	return out
}

func needs(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// process is a running program, which waits.
type process struct {
	pid  int32
	path string
	stop func()
}

// start runs a program and waits until it says that it is up.
func start(t testing.TB, program string) process {
	t.Helper()
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	p := process{pid: int32(cmd.Process.Pid), path: program, stop: func() {
		if !stopped {
			stopped = true
			in.Close()
			cmd.Wait()
		}
	}}
	t.Cleanup(p.stop)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("%s says %q, %v", program, line, err)
	}
	return p
}

// code is where functions lie, as debug/elf tells of an unstripped program: the
// oracle of these tests.
type code struct {
	t       testing.TB
	buildID [20]byte
	hasID   bool
	offsets map[string]uint64 // in the file, of the second byte of a function
	entries map[string]uint64 // addresses as linked
}

func codeOf(t testing.TB, program string) code {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := code{t: t, offsets: map[string]uint64{}, entries: map[string]uint64{}}
	if s := file.Section(".note.gnu.build-id"); s != nil {
		data, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		copy(c.buildID[:], data[16:])
		// the kernel looks where the program header says, and Go's linker leaves its id out
		c.hasID = file.Section(".note.go.buildid") == nil
	}
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		for _, p := range file.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				c.offsets[s.Name] = s.Value - p.Vaddr + p.Off + 1
				c.entries[s.Name] = s.Value
			}
		}
	}
	return c
}

// frames are frames at functions, as the kernel gives them: leaf first, and
// return addresses above it.
func (c code) frames(p process, names ...string) []UserFrame {
	c.t.Helper()
	maps := readMaps(processFile("/proc", p.pid, "maps"))
	var frames []UserFrame
	for depth, name := range names {
		offset, ok := c.offsets[name]
		if !ok {
			c.t.Fatalf("there is no function %s", name)
		}
		if depth > 0 {
			offset++
		}
		f := UserFrame{BuildID: c.buildID, HasBuildID: c.hasID, Offset: offset}
		if !c.hasID {
			f.Offset = 0
			for _, m := range maps {
				if m.path == p.path && offset >= m.offset && offset-m.offset < m.end-m.start {
					f.IP = m.start + offset - m.offset
				}
			}
		}
		frames = append(frames, f)
	}
	return frames
}
