package symbol

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmon/format"
)

// names returns the symbols of a stack, leaf first, with the source of each
// that is not want, and checks that all are of one module.
func names(t *testing.T, r *Resolver, id int64, module string, source format.SymbolSource) string {
	t.Helper()
	stacks, frames := r.Rows(1)
	byID := map[int64]format.Frame{}
	for _, f := range frames {
		byID[f.FrameID] = f
	}
	var all []string
	for _, s := range stacks {
		if s.StackID != id {
			continue
		}
		f := byID[s.FrameID]
		if f.Module != module || f.Source != source || f.Kind != format.FrameUser {
			t.Errorf("frame %+v, want source %d in %s", f, source, module)
		}
		all = append(all, f.Symbol)
	}
	return strings.Join(all, " < ")
}

var shopFunctions = []string{"price", "hidden", "_ZNK4shop4Cart3addERKSsi", "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "_RNvNtCs1234_7mycrate3foo3bar", "main"}

const shopNames = "price < hidden < shop::Cart::add < core::fmt::Formatter::pad < mycrate::foo::bar < main"

// TestPrograms names functions of running programs of several builds.
func TestPrograms(t *testing.T) {
	goFunctions := []string{"main.price", "main.(*cart).add", "main.main", "runtime.main"}
	const goNames = "main.price < main.(*cart).add < main.main < runtime.main"
	for _, test := range []struct {
		name   string
		build  func(t *testing.T) (program, unstripped string)
		ask    []string
		want   string
		source format.SymbolSource
	}{
		{"c", func(t *testing.T) (string, string) { p := compile(t, shop); return p, p }, shopFunctions, shopNames, format.SymbolTable},
		{"c not position independent", func(t *testing.T) (string, string) { p := compile(t, shop, "-no-pie"); return p, p }, shopFunctions, shopNames, format.SymbolTable},
		{"c static", func(t *testing.T) (string, string) { p := compile(t, shop, "-static"); return p, p }, shopFunctions, shopNames, format.SymbolTable},
		{"c without build id", func(t *testing.T) (string, string) {
			p := compile(t, shop, "-Wl,--build-id=none")
			return p, p
		}, shopFunctions, shopNames, format.SymbolTable},
		{"c without build id or position independence", func(t *testing.T) (string, string) {
			p := compile(t, shop, "-Wl,--build-id=none", "-no-pie")
			return p, p
		}, shopFunctions, shopNames, format.SymbolTable},
		{"c build id of 16 bytes", func(t *testing.T) (string, string) {
			p := compile(t, shop, "-Wl,--build-id=md5")
			return p, p
		}, shopFunctions, shopNames, format.SymbolTable},
		// what is exported holds its code exactly
		{"c stripped, exporting", func(t *testing.T) (string, string) {
			p := compile(t, shop, "-rdynamic")
			return strip(t, p), p
		}, []string{"price", "_ZNK4shop4Cart3addERKSsi", "main"}, "price < shop::Cart::add < main", format.SymbolTable},
		// a static function lies behind the exported one that is named
		{"c stripped, not exported", func(t *testing.T) (string, string) {
			p := compile(t, shop, "-rdynamic", "-fno-toplevel-reorder")
			return strip(t, p), p
		}, []string{"hidden"}, "price", format.SymbolDynamic},
		{"c stripped", func(t *testing.T) (string, string) { p := compile(t, shop); return strip(t, p), p }, []string{"price", "main"}, " < ", format.SymbolNone},
		{"go", func(t *testing.T) (string, string) { p := compileGo(t, goShop); return p, p }, goFunctions, goNames, format.SymbolTable},
		{"go stripped", func(t *testing.T) (string, string) {
			p := compileGo(t, goShop)
			return strip(t, p), p
		}, goFunctions, goNames, format.SymbolGo},
		{"go stripped, position independent", func(t *testing.T) (string, string) {
			p := compileGo(t, goShop, "-buildmode=pie")
			return strip(t, p), p
		}, goFunctions, goNames, format.SymbolGo},
	} {
		t.Run(test.name, func(t *testing.T) {
			program, unstripped := test.build(t)
			p := start(t, program)
			r := New(Options{})
			frames := codeOf(t, unstripped).frames(p, test.ask...)
			id := r.UserStack(p.pid, frames)
			if got := names(t, r, id, program, test.source); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestGoLinkedStripped: Go's own linker leaves the table of functions with -s -w.
func TestGoLinkedStripped(t *testing.T) {
	unstripped := compileGo(t, goShop)
	program := compileGo(t, goShop, "-ldflags=-s -w")
	im := imageOf(t, program)
	whole, parts := codeOf(t, unstripped), 0
	text, _ := im.section(".text", 1)
	for name, addr := range whole.entries {
		found := im.goSymbols([]uint64{addr + 1})
		// assembly is padded, type functions have other names in the symbol table
		if fn, ok := found.find(addr + 1); strings.HasPrefix(name, "main.") && (!ok || fn.name != name || fn.start != addr) {
			t.Errorf("at %#x is %+v, want %s", addr, fn, name)
		}
		parts++
	}
	if parts < 100 || text.size == 0 {
		t.Errorf("only %d functions", parts)
	}
}

func imageOf(t testing.TB, program string) *image {
	t.Helper()
	f, err := openIn("/", program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	im, err := readImage(f)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// TestSharedLibrary names functions of libc, which has exported names only
// unless its debug file is installed.
func TestSharedLibrary(t *testing.T) {
	p := start(t, compile(t, shop))
	maps := readMaps(processFile("/proc", p.pid, "maps"))
	i := slices.IndexFunc(maps, func(m mapping) bool { return strings.HasPrefix(filepath.Base(m.path), "libc.so") })
	if i < 0 {
		t.Fatalf("no libc in %v", maps)
	}
	im := imageOf(t, maps[i].path)
	offset := uint64(0)
	for _, s := range im.sections {
		if s.kind == 11 {
			im.records(s, symbolBytes, func(entry []byte) {
				if string(im.text(im.sections[s.link], int64(uint32(entry[0])|uint32(entry[1])<<8|uint32(entry[2])<<16), 100)) == "getppid" {
					addr := uint64(entry[8]) | uint64(entry[9])<<8 | uint64(entry[10])<<16 | uint64(entry[11])<<24
					offset = addr + 1 // its first segment is mapped from the file's start
				}
			})
		}
	}
	r := New(Options{Root: t.TempDir()}) // no debug files there
	id := r.UserStack(p.pid, []UserFrame{{BuildID: im.buildID, HasBuildID: true, Offset: offset}})
	if got := names(t, r, id, maps[i].path, format.SymbolTable); got != "getppid" {
		t.Errorf("got %q at %#x", got, offset)
	}
}

// TestDebugFile: a stripped program has its names in a file of its own.
func TestDebugFile(t *testing.T) {
	unstripped := compile(t, shop)
	program, c := strip(t, unstripped), codeOf(t, unstripped)
	root := t.TempDir()
	id := frameKey{buildID: c.buildID}.buildIDText()
	debug := filepath.Join(root, "usr/lib/debug/.build-id", id[:2], id[2:]+".debug")
	write(t, debug, "")
	run(t, ".", "objcopy", "--only-keep-debug", unstripped, debug)
	p := start(t, program)
	r := New(Options{Root: root})
	stack := r.UserStack(p.pid, c.frames(p, shopFunctions...))
	if got := names(t, r, stack, program, format.SymbolDebugFile); got != shopNames {
		t.Errorf("got  %s\nwant %s", got, shopNames)
	}
}

// TestExited: a process that is gone has names when its program is known from
// another, or when its execution was told.
func TestExited(t *testing.T) {
	program := compile(t, shop)
	c := codeOf(t, program)
	first := start(t, program)
	r := New(Options{})
	r.UserStack(first.pid, c.frames(first, "price"))
	r.Rows(1)
	frames := c.frames(first, "hidden", "main")
	first.stop()
	if got, want := names(t, r, r.UserStack(first.pid, frames), program, format.SymbolTable), "hidden < main"; got != want {
		t.Errorf("known from before: got %s, want %s", got, want)
	}

	r = New(Options{})
	if got, want := names(t, r, r.UserStack(first.pid, frames), "", format.SymbolNone), " < "; got != want {
		t.Errorf("not known: got %s, want %s", got, want)
	}

	r = New(Options{})
	r.Executed(first.pid, program)
	if got, want := names(t, r, r.UserStack(first.pid, frames), program, format.SymbolTable), "hidden < main"; got != want {
		t.Errorf("told of: got %s, want %s", got, want)
	}

	other := start(t, program)
	r = New(Options{})
	r.UserStack(other.pid, c.frames(other, "price"))
	if got, want := names(t, r, r.UserStack(first.pid, frames), program, format.SymbolTable), "hidden < main"; got != want {
		t.Errorf("known from another: got %s, want %s", got, want)
	}
}

// TestExitedByAddress: the program of a process that is gone says what was at
// an address, unless it is position-independent and could have been anywhere.
func TestExitedByAddress(t *testing.T) {
	for _, test := range []struct {
		flag, want string
		source     format.SymbolSource
	}{
		{"-buildmode=exe", "main.price < main.main", format.SymbolTable},
		{"-buildmode=pie", " < ", format.SymbolNone},
	} {
		program := compileGo(t, goShop, test.flag)
		p := start(t, program)
		frames := codeOf(t, program).frames(p, "main.price", "main.main")
		p.stop()
		r := New(Options{})
		r.Executed(p.pid, program)
		module := program
		if test.source == format.SymbolNone {
			module = ""
		}
		if got := names(t, r, r.UserStack(p.pid, frames), module, test.source); got != test.want {
			t.Errorf("%s: got %s, want %s", test.flag, got, test.want)
		}
	}
}

// TestVDSO names code that the kernel maps into each process.
func TestVDSO(t *testing.T) {
	p := start(t, compile(t, shop))
	for _, m := range readMaps(processFile("/proc", p.pid, "maps")) {
		if m.path != vdso {
			continue
		}
		r := New(Options{})
		stack := make([]UserFrame, 0)
		for at := m.start; at < m.end; at += 16 {
			stack = append(stack, UserFrame{IP: at})
		}
		for _, f := range stack {
			r.UserStack(p.pid, []UserFrame{f})
		}
		_, frames := r.Rows(1)
		found := map[string]bool{}
		for _, f := range frames {
			found[f.Symbol] = true
			if f.Module != vdso {
				t.Errorf("frame %+v", f)
			}
		}
		if !found["clock_gettime"] && !found["__vdso_clock_gettime"] && !found["__kernel_clock_gettime"] {
			t.Errorf("no clock_gettime in %v", found)
		}
		return
	}
	t.Skip("no vdso here")
}

// proc makes a proc file system with one process in it: its maps, and the
// folder that is its root.
func procOf(t *testing.T, pid, maps, status string) (proc, root string) {
	t.Helper()
	proc = t.TempDir()
	write(t, filepath.Join(proc, pid, "maps"), maps)
	write(t, filepath.Join(proc, pid, "status"), status)
	root = filepath.Join(proc, pid, "root")
	write(t, filepath.Join(root, "tmp/keep"), "")
	return proc, root
}

const jitMaps = `00400000-00500000 r-xp 00000000 00:00 0
00600000-00700000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 r-xp 00000000 00:00 0                  [anon:v8]
7ffc00000000-7ffc00001000 r-xp 00001000 08:01 17 /lib/gone\012.so (deleted)
`

func TestPerfMap(t *testing.T) {
	status := "Name:\tnode\nUid:\t" + strconv.Itoa(os.Getuid()) + "\t" + strconv.Itoa(os.Getuid()) + "\t0\t0\nNSpid:\t42\t7\n"
	proc, root := procOf(t, "42", jitMaps, status)
	file := filepath.Join(root, "tmp/perf-7.map")
	write(t, file, "400100 80 LazyCompile:~first\n"+
		"0x400200 0x80 _ZN3foo3barEi\n"+
		"400300 10 old\n400300 10 new\x1b[31m\n"+ // code over code
		"bad line\n400400\n400400 zz name\n400400 0 empty\nffffffffffffffff 2 wraps\n"+
		"400500 10 "+strings.Repeat("x", 1<<20)+"\n"+
		"400600 10 last, without an end")
	r := New(Options{Proc: proc})
	for _, ip := range []uint64{0x400100, 0x40017f, 0x400180, 0x400210, 0x400305, 0x400400, 0x400505, 0x400605, 0x7f0000000010, 0x7ffc00000010, 0x9} {
		r.UserStack(42, []UserFrame{{IP: ip}})
	}
	want := `1: LazyCompile:~first+0x400100 [[jit]]
2: LazyCompile:~first+0x40017f [[jit]]
3: +0x400180 [[anon]]
4: foo::bar+0x400210 [[jit]]
5: new [31m+0x400305 [[jit]]
6: +0x400400 [[anon]]
7: ` + strings.Repeat("x", maxName-3) + `…+0x400505 [[jit]]
8: last, without an end+0x400605 [[jit]]
9: +0x7f0000000010 [[anon:v8]]
10: +0x7ffc00000010 [/lib/gone .so]
11: +0x9 []`
	stacks, frames := r.Rows(1)
	if got := text(stacks, frames); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}

	// The JIT writes other code there: after the next look its frames are new.
	write(t, file, "400300 10 newer\n")
	r.UserStack(42, []UserFrame{{IP: 0x400305}})
	if stacks, frames := r.Rows(2); len(stacks)+len(frames) != 0 {
		t.Errorf("before the look there are %v, %v", stacks, frames)
	}
	r.UserStack(42, []UserFrame{{IP: 0x400305}})
	stacks, frames = r.Rows(3)
	if got, want := text(stacks, frames), "12: newer+0x400305 [[jit]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.UserStack(42, []UserFrame{{IP: 0x400305}})
	if stacks, _ := r.Rows(4); len(stacks) != 0 {
		t.Errorf("unchanged, but there are %v", stacks)
	}
}

// TestPerfMapRefused: a map that another user wrote, or that is no file, or
// that leads out of the process's root.
func TestPerfMapRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
	const status = "Uid:\t1000\t1000\t1000\t1000\n"
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "400100 80 outside\n")
	for _, test := range []struct {
		name string
		make func(path string) error
		want string
	}{
		{"own", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("400100 80 f\n"), 0o600), os.Chown(path, 1000, 0))
		}, "f"},
		{"root's", func(path string) error { return os.WriteFile(path, []byte("400100 80 f\n"), 0o600) }, ""},
		{"a link to its own", func(path string) error {
			real := filepath.Join(filepath.Dir(path), "real")
			return errors.Join(os.WriteFile(real, []byte("400100 80 f\n"), 0o600), os.Chown(real, 1000, 0), os.Symlink("real", path), os.Lchown(path, 1000, 0))
		}, ""},
		{"another's", func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("400100 80 f\n"), 0o600), os.Chown(path, 1001, 0))
		}, ""},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o666) }, ""},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o777) }, ""},
		{"a link out", func(path string) error { return os.Symlink(outside, path) }, ""},
		{"a link up", func(path string) error { return os.Symlink("../../../.."+outside, path) }, ""},
		{"a link to a link", func(path string) error { return os.Symlink(path, path) }, ""},
	} {
		proc, root := procOf(t, "42", jitMaps, status)
		if err := test.make(filepath.Join(root, "tmp/perf-42.map")); err != nil {
			t.Fatal(err)
		}
		r := New(Options{Proc: proc})
		r.UserStack(42, []UserFrame{{IP: 0x400100}})
		if _, frames := r.Rows(1); len(frames) != 1 || frames[0].Symbol != test.want {
			t.Errorf("%s: %+v, want the name %q", test.name, frames, test.want)
		}
	}
}

// TestPerfMapWork: entries that all hold all addresses cost a bounded time.
func TestPerfMapWork(t *testing.T) {
	addrs := make([]uint64, 5000)
	for i := range addrs {
		addrs[i] = uint64(i) + 1
	}
	began := time.Now()
	found := perfMap(strings.NewReader(strings.Repeat("0 ffffff all\n", 100_000)), addrs)
	if len(found) != len(addrs) {
		t.Errorf("%d of %d found", len(found), len(addrs))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestMappedDevice: what is mapped may be anything; only regular files are read.
func TestMappedDevice(t *testing.T) {
	proc, root := procOf(t, "42", "00400000-00500000 r-xp 00000000 00:05 99 /pipe\n", "")
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := New(Options{Proc: proc, Root: t.TempDir()})
	r.UserStack(42, []UserFrame{{IP: 0x400100}, {BuildID: [20]byte{1}, HasBuildID: true, Offset: 7}})
	stacks, frames := r.Rows(1)
	if got, want := text(stacks, frames), "1: +0x400100 [/pipe] +0x6 []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestInodeReused: a file that is built anew may get the inode of the one before.
func TestInodeReused(t *testing.T) {
	first := compile(t, shop)
	second := compile(t, shop+"int more(void) { return 1; }\n")
	maps := "00400000-00500000 r-xp 00000000 08:01 17 /program\n"
	proc, root := procOf(t, "42", maps, "")
	r := New(Options{Proc: proc, Root: t.TempDir()})
	for _, program := range []string{first, second} {
		os.Remove(filepath.Join(root, "program"))
		run(t, ".", "cp", program, filepath.Join(root, "program"))
		c := codeOf(t, program)
		frames := c.frames(process{pid: 42}, "price", "hidden")
		id := r.UserStack(42, frames)
		if got, want := names(t, r, id, "/program", format.SymbolTable), "price < hidden"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// BenchmarkUser5000 names frames all over one program, that of the benchmark
// unless KMON_PROGRAM names another.
func BenchmarkUser5000(b *testing.B) {
	program := os.Getenv("KMON_PROGRAM")
	if program == "" {
		program, _ = os.Executable()
	}
	im := imageOf(b, program)
	var frames []UserFrame
	for _, s := range im.segments {
		if s.code {
			for at := s.offset; at < s.offset+s.size; at += s.size/5000 + 1 {
				frames = append(frames, UserFrame{BuildID: im.buildID, HasBuildID: true, Offset: at})
			}
		}
	}
	named := 0
	b.ReportAllocs()
	for b.Loop() {
		r := New(Options{})
		r.Executed(1<<30, program)
		for i := range frames {
			r.UserStack(1<<30, frames[i:i+1])
		}
		_, rows := r.Rows(1)
		named = 0
		for _, f := range rows {
			if f.Symbol != "" {
				named++
			}
		}
	}
	b.ReportMetric(float64(len(frames)), "frames")
	b.ReportMetric(float64(named), "named")
}

// TestVersionedName: the version of an exported function is no part of its name.
func TestVersionedName(t *testing.T) {
	versions := filepath.Join(t.TempDir(), "versions")
	write(t, versions, "SHOP_1 { global: price; };\n")
	source := strings.Replace(shop, "int price(int n) {", `int price(int n) __asm__("price_1");
__asm__(".symver price_1,price@SHOP_1,remove");
F int price(int n) {`, 1)
	program := compile(t, source, "-rdynamic", "-Wl,--version-script="+versions)
	p := start(t, program)
	r := New(Options{})
	id := r.UserStack(p.pid, codeOf(t, program).frames(p, "price@SHOP_1"))
	if got := names(t, r, id, program, format.SymbolTable); got != "price" {
		t.Errorf("got %s, want price", got)
	}
}

// TestKernelFiles: a program replaced by a link into /proc or /sys is not read;
// reading there may take messages from others.
func TestKernelFiles(t *testing.T) {
	for _, target := range []string{"/proc/version", "/sys/kernel/notes", "/proc/self/status"} {
		if _, err := os.Stat(target); err != nil {
			continue
		}
		link := filepath.Join(t.TempDir(), "program")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if f, err := openIn("/", link); !errors.Is(err, errOfKernel) {
			t.Errorf("%s: got %v, %v", target, f, err)
		}
	}
}
