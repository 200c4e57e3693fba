package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func noDebugFile() (*image, func()) { return nil, nil }

// readHostile does with a file what Rows does, without the net that catches
// panics: lookUp's recover is for what no test has met.
func readHostile(data []byte, offsets []uint64) {
	im, err := readImage(bytes.NewReader(data))
	if err != nil {
		return
	}
	var addrs []uint64
	for _, offset := range offsets {
		if addr, ok := im.addr(offset); ok {
			addrs = append(addrs, addr)
		}
		addrs = append(addrs, offset)
	}
	im.byOffset(im.symbols(elf.SHT_SYMTAB, slices.Clone(addrs), 2))
	im.byOffset(im.goSymbols(slices.Clone(addrs)))
	im.byOffset(im.symbols(elf.SHT_DYNSYM, slices.Clone(addrs), 2))
}

// damaged calls do with copies of a file in which headers and tables were
// changed: what a reader follows lies in the first and last parts, and in the
// sections of its tables.
func damaged(t *testing.T, program string, do func(data []byte)) {
	whole, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	im := imageOf(t, program)
	var spots [][2]uint64
	spots = append(spots, [2]uint64{0, 2048})
	head := elf.Header64{}
	if err := readStruct(bytes.NewReader(whole), 0, &head); err != nil {
		t.Fatal(err)
	}
	spots = append(spots, [2]uint64{head.Shoff, uint64(head.Shnum) * 64})
	for _, s := range im.sections {
		if s.kind == elf.SHT_SYMTAB || s.kind == elf.SHT_STRTAB || s.kind == elf.SHT_DYNSYM || s.name == ".gopclntab" {
			spots = append(spots, [2]uint64{s.offset, min(s.size, 4096)})
		}
	}
	dice := rand.New(rand.NewPCG(1, 2))
	values := []uint64{0, 1, 0x7fffffff, 0xffffffff, 1 << 40, 1<<63 - 1, 1 << 63, ^uint64(0), uint64(len(whole))}
	for range 3000 {
		data := bytes.Clone(whole)
		for range 1 + dice.IntN(4) {
			spot := spots[dice.IntN(len(spots))]
			at := spot[0] + dice.Uint64N(spot[1])&^7
			if at+8 <= uint64(len(data)) {
				binary.LittleEndian.PutUint64(data[at:], values[dice.IntN(len(values))])
			}
		}
		if dice.IntN(4) == 0 {
			data = data[:dice.IntN(len(data))]
		}
		do(data)
	}
}

// TestDamagedFiles: whatever a file says, it is read without a panic.
func TestDamagedFiles(t *testing.T) {
	for _, program := range []string{compile(t, shop, "-static-pie"), compile(t, shop, "-rdynamic")} {
		damaged(t, program, func(data []byte) { readHostile(data, []uint64{0x1000, 0x1141, 0x1180, 1 << 62}) })
	}
	// Go's tables: a file cut down to them, so that 3000 copies take no time
	program := compileGo(t, goShop)
	im := imageOf(t, program)
	s, _ := im.section(".gopclntab", elf.SHT_PROGBITS)
	data := make([]byte, s.size)
	if _, err := im.file.ReadAt(data, int64(s.offset)); err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		head := bytes.Clone(data[:min(len(data), 128)])
		for range 1 + dice.IntN(3) {
			binary.LittleEndian.PutUint64(head[8+dice.IntN(8)*8:], dice.Uint64()>>dice.IntN(64))
		}
		broken := *im
		broken.file = patched{im.file, int64(s.offset), head}
		broken.goSymbols([]uint64{im.entry, im.entry + 0x1000})
	}
}

// patched is a file of which some bytes are others.
type patched struct {
	file interface {
		ReadAt([]byte, int64) (int, error)
	}
	at   int64
	data []byte
}

func (p patched) ReadAt(buf []byte, offset int64) (int, error) {
	n, err := p.file.ReadAt(buf, offset)
	for i := range n {
		if j := offset + int64(i) - p.at; j >= 0 && j < int64(len(p.data)) {
			buf[i] = p.data[j]
		}
	}
	return n, err
}

// TestHugeTable: a file that claims a table and names without end costs
// neither memory nor minutes. It is sparse, so it costs its owner nothing.
func TestHugeTable(t *testing.T) {
	program := compile(t, shop)
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	head := elf.Header64{}
	if err := readStruct(bytes.NewReader(data), 0, &head); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(head.Shnum) {
		at := head.Shoff + i*64
		if kind := elf.SectionType(binary.LittleEndian.Uint32(data[at+4:])); kind == elf.SHT_SYMTAB || kind == elf.SHT_STRTAB {
			binary.LittleEndian.PutUint64(data[at+32:], 1<<40)
		}
	}
	file, err := os.Create(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(1 << 40); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	im, err := readImage(file)
	if err != nil {
		t.Fatal(err)
	}
	im.lookUp([]uint64{0x1100, 0x1141}, noDebugFile)
	runtime.ReadMemStats(&after)
	if took, bytes := time.Since(began), after.TotalAlloc-before.TotalAlloc; took > 20*time.Second || bytes > 2<<20 {
		t.Errorf("took %v and %d bytes", took, bytes)
	}
}

// TestDemangleHostile: a name made to be long is cut, one made to be wrong is
// kept as it is.
func TestDemangleHostile(t *testing.T) {
	for _, test := range []struct{ symbol, want string }{
		{"main", "main"},
		{"_Z", "_Z"},
		{"_ZN3foo3barEi", "foo::bar"},
		{"_ZN3foo3barEi.part.0", "foo::bar"},
		{"_ZN3foo\x00\x1b3barEi", "_ZN3foo  3barEi"},
		{"_R" + string(bytes.Repeat([]byte("N"), 5000)), ""},
		{"_Z" + string(bytes.Repeat([]byte("P"), 5000)) + "i", ""},
		{"_Z1fI" + string(bytes.Repeat([]byte("1AIS0_S0_E"), 1000)) + "Evv", ""},
		{"\xff\xfe", "\uFFFD"},
	} {
		got := demangled([]byte(test.symbol))
		if test.want != "" && got != test.want {
			t.Errorf("%q is %q, want %q", test.symbol, got, test.want)
		}
		if len(got) > maxName || got == "" {
			t.Errorf("%.20q is %d bytes long", test.symbol, len(got))
		}
	}
}

// FuzzImage reads files that a fuzzer makes.
func FuzzImage(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"), uint64(0x1000))
	if data, err := os.ReadFile("/proc/self/exe"); err == nil {
		f.Add(data[:min(len(data), 8192)], uint64(0x1000))
	}
	f.Fuzz(func(_ *testing.T, data []byte, offset uint64) { readHostile(data, []uint64{offset}) })
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("ffffffff81000100 T __x64_sys_read\t[ext4]\n"))
	f.Add([]byte("00400000-00500000 r-xp 00000000 08:01 17 /lib/gone\\012.so (deleted)\n"))
	f.Add([]byte("400100 80 LazyCompile:~first\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		kallsymsLine(line)
		if m, ok := mapsLine(line); ok && m.start >= m.end {
			t.Errorf("mapping %+v", m)
		}
		perfMapLine(line)
		perfMap(bytes.NewReader(line), []uint64{1, 0x400100})
		if name := demangled(line); len(name) > maxName {
			t.Errorf("a name of %d bytes", len(name))
		}
	})
}
