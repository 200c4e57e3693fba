package format

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

// TestEveryTextHasAClass holds that a new column of text says what Redact is to
// make of it.
func TestEveryTextHasAClass(t *testing.T) {
	for _, table := range tables {
		for _, c := range table.textColumns() {
			if c.class != textWord && keptAs(c.class) == "" {
				t.Errorf("%s.%s has class %q; redact_class.go has those there are", table.name, c.name, c.class)
			}
		}
	}
}

// named is a text of a class, as a recorder would store it, with a name in it.
func named(secret, class, table, column string, i int) string {
	name := fmt.Sprintf("%s-%s-%s-%d", secret, table, column, i)
	switch class {
	case textWord:
		return "word"
	case textAddress:
		kinds := []string{"203.0.%d.%d", "192.168.%d.%d", "2001:4860::%x:%x", "fd12:3456::%x:%x"}
		address := fmt.Sprintf(kinds[i%len(kinds)], i/250, 1+i%250)
		if table == "interfaces" {
			address += "/24"
		}
		return address
	case textThread:
		return []string{name, "kworker/" + secret, "jbd2/" + secret + "-8"}[i%3]
	case textPath, textProgram:
		return "/srv/" + name + "/lib/" + name
	}
	return name
}

// writeNamed writes a capture with rows in which every text names something, in
// all tables, and gives the addresses in it. Other names have acme in them.
func writeNamed(t *testing.T, rows int) (path string, addresses []string) {
	t.Helper()
	return writeNamedAs(t, "acme", rows)
}

// writeNamedAs is writeNamed with another name than acme.
func writeNamedAs(t testing.TB, secret string, rows int) (path string, addresses []string) {
	t.Helper()
	m := testManifest()
	m.Host.Name, m.Host.MachineID, m.Host.BootID = secret+"-host", secret+"-machine", secret+"-boot"
	m.Options = map[string]string{"duration": "10s", "services": secret + "-cart", "host_root": "/" + secret}
	m.CommandLine = []string{"kmon", "record", "--service", secret + "-cart"}
	m.Synthetic = "made by " + secret
	m.Collectors[0].Missing = map[string]string{"mptcp": secret + " said no", "calls": "not asked for (-e syscall, --syscalls or --count): counting makes every system call of the machine some 50 ns slower"}
	head, err := encodeManifest(m)
	must(t, err)
	var text strings.Builder
	fmt.Fprintf(&text, "%s\nmanifest %s\n", textHeader, bytes.ReplaceAll(bytes.TrimSpace(head), []byte("\n"), nil))
	for _, table := range tables {
		columns := table.textColumns()
		if len(columns) == 0 {
			continue
		}
		text.WriteString("table " + table.name + " " + table.timeColumn())
		for _, c := range columns {
			text.WriteString(" " + c.name)
		}
		for i := range rows {
			text.WriteString("\n2000000000")
			for _, c := range columns {
				value := named(secret, c.class, table.name, c.name, i)
				text.WriteString(" " + quoteText(value))
				if c.class == textAddress {
					addresses = append(addresses, strings.TrimSuffix(value, "/24"))
				}
			}
		}
		text.WriteByte('\n')
	}
	fmt.Fprintln(&text, strings.ReplaceAll(`final {"end_ns":5000000000,"end_unix_ns":1,"stop_reason":"disk","error":"no room for acme","rows":{},"losses":{"tcp/ring-full":1},"cpu_ns":1,"max_rss_bytes":1}`, "acme", secret))
	path = filepath.Join(t.TempDir(), "named.kmon")
	must(t, ReadText(strings.NewReader(text.String()), path))
	return path, addresses
}

// allBytes gives the bytes of a capture's file and of all its pages, decompressed.
func allBytes(t *testing.T, path string) []byte {
	t.Helper()
	all, err := os.ReadFile(path)
	must(t, err)
	c := open(t, path)
	for _, segments := range c.segments {
		for _, s := range segments {
			must(t, s.read(func(o *openSegment) error {
				for _, chunks := range o.columns {
					for _, chunk := range chunks {
						must(t, o.pages(chunk, func(p *page) error {
							data, err := p.data()
							all = append(append(all, 0), data...)
							return err
						}))
					}
				}
				return nil
			}))
		}
	}
	return all
}

// TestRedactedHoldsNoName looks for every name in all bytes of a redacted capture:
// rows, dictionaries, the bounds in footers, manifest and summary.
func TestRedactedHoldsNoName(t *testing.T) {
	src, addresses := writeNamed(t, 3000)
	if before := allBytes(t, src); !bytes.Contains(before, []byte(addresses[0])) || bytes.Count(before, []byte("acme")) < 3000 {
		t.Fatal("the capture has none of the names that are looked for")
	}
	dst := filepath.Join(t.TempDir(), "redacted.kmon")
	r, err := Redact(t.Context(), dst, open(t, src), RedactOptions{Key: testKey, NoSync: true})
	must(t, err)
	if len(r.Problems) > 0 {
		t.Errorf("problems %v", r.Problems)
	}
	noProblems(t, open(t, dst))
	after := allBytes(t, dst)
	if at := bytes.Index(after, []byte("acme")); at >= 0 {
		t.Errorf("a name is left: %q", after[max(0, at-50):at+50])
	}
	pseudonym := map[netip.Addr]bool{} // of one that may be one of the others by chance
	p, original := newPseudonyms(testKey), map[string]bool{}
	for _, a := range addresses {
		original[a] = true
		pseudonym[p.address(netip.MustParseAddr(a))] = true
	}
	for _, token := range addressLike.FindAll(after, -1) {
		if a, err := netip.ParseAddr(string(token)); err == nil && original[a.String()] && !pseudonym[a] {
			t.Fatalf("address %s is left", a)
		}
	}
	if info, err := os.Stat(dst); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if _, err := Redact(t.Context(), dst, open(t, src), RedactOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting gives %v", err)
	}
}

var addressLike = regexp.MustCompile(`[0-9a-f.:]{7,39}`)

// rowsOf gives the rows of a capture as text.
func rowsOf(t *testing.T, c *Capture) string {
	t.Helper()
	var b strings.Builder
	must(t, Print(&b, c, "", PrintOptions{Format: PrintNDJSON}))
	return b.String()
}

func TestRedactKey(t *testing.T) {
	src, _ := writeNamed(t, 5)
	redacted := func(o RedactOptions) *Capture {
		dst := filepath.Join(t.TempDir(), "redacted.kmon")
		o.NoSync = true
		_, err := Redact(t.Context(), dst, open(t, src), o)
		must(t, err)
		return open(t, dst)
	}
	one, two, other := redacted(RedactOptions{Key: testKey}), redacted(RedactOptions{Key: testKey}), redacted(RedactOptions{})
	if rowsOf(t, one) != rowsOf(t, two) || one.Manifest.Host != two.Manifest.Host || one.Manifest.Redacted.KeyID != two.Manifest.Redacted.KeyID {
		t.Error("one key gives different pseudonyms")
	}
	if rowsOf(t, one) == rowsOf(t, other) || one.Manifest.Host.Name == other.Manifest.Host.Name || one.Manifest.Redacted.KeyID == other.Manifest.Redacted.KeyID {
		t.Error("two keys give the same pseudonyms")
	}
	if _, err := Redact(t.Context(), filepath.Join(t.TempDir(), "x.kmon"), open(t, src), RedactOptions{Key: []byte("short")}); err == nil {
		t.Error("a key of 5 bytes is taken")
	}
}

func TestRedactKeep(t *testing.T) {
	src, _ := writeNamed(t, 2)
	dst := filepath.Join(t.TempDir(), "redacted.kmon")
	_, err := Redact(t.Context(), dst, open(t, src), RedactOptions{Key: testKey, Keep: []string{"mark", "service=acme-processes-service-1"}, NoSync: true})
	must(t, err)
	c := open(t, dst)
	marks, err := All[Mark](c)
	must(t, err)
	processes, err := All[Process](c)
	must(t, err)
	if marks[0].Text != "acme-marks-text-0" || processes[1].Service != "acme-processes-service-1" || strings.Contains(processes[0].Service, "acme") {
		t.Errorf("marks are %v, services %q and %q", marks, processes[0].Service, processes[1].Service)
	}
	if !slices.Equal(c.Manifest.Redacted.Kept, []string{"mark", "service=acme-processes-service-1"}) {
		t.Errorf("it says %v", c.Manifest.Redacted.Kept)
	}
	if CheckKeep("ports") == nil || CheckKeep("address") != nil {
		t.Error("classes are not told from other words")
	}
}

func TestPseudonymOfAddress(t *testing.T) {
	p := newPseudonyms(testKey)
	for _, same := range []string{"127.0.0.1", "127.0.0.53", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1"} {
		if a := netip.MustParseAddr(same); p.address(a) != a {
			t.Errorf("%s is %s", same, p.address(a))
		}
	}
	for _, text := range []string{"10.1.2.3", "172.20.0.9", "192.168.0.7", "100.64.3.2", "169.254.1.1", "224.0.0.251", "8.8.8.8", "93.184.216.34",
		"fe80::1", "fd00::12", "2a00:1450::1", "ff02::fb", "::ffff:10.1.2.3", "64:ff9b::a01:203"} {
		a := netip.MustParseAddr(text)
		b := p.address(a)
		if a == b || a.Is4() != b.Is4() || a.Is4In6() != b.Is4In6() || a.IsPrivate() != b.IsPrivate() || a.IsLinkLocalUnicast() != b.IsLinkLocalUnicast() ||
			a.IsMulticast() != b.IsMulticast() || a.IsGlobalUnicast() != b.IsGlobalUnicast() || b.IsLoopback() {
			t.Errorf("%s becomes %s, of another kind", a, b)
		}
		if again := newPseudonyms(testKey).address(a); again != b {
			t.Errorf("%s becomes %s, and then %s", a, b, again)
		}
	}
	seen := map[netip.Addr]bool{}
	for i := range 1 << 16 {
		b := p.address(netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)}))
		if seen[b] || b.As4()[0] != 192 || b.As4()[1] != 168 {
			t.Fatalf("%s comes twice, or is elsewhere", b)
		}
		seen[b] = true
	}
}

func TestRedactTexts(t *testing.T) {
	m := mask{pseudonyms: newPseudonyms(testKey)}
	for _, same := range []struct{ class, text string }{
		{textService, "kernel"}, {textThread, "ksoftirqd/0"}, {textThread, "kworker/1:2"}, {textThread, "C2 CompilerThre"}, {textProgram, "[vdso]"},
		{textProgram, "/usr/lib/x86_64-linux-gnu/libc.so.6"}, {textPath, "/"}, {textPath, "/proc/sys"}, {textWord, "NOT_SPECIFIED"}, {textMark, ""},
	} {
		if got := m.text(same.class, same.text); got != same.text {
			t.Errorf("%s %q becomes %q", same.class, same.text, got)
		}
	}
	service, thread := m.text(textService, "cart"), m.text(textThread, "cart")
	program := m.text(textProgram, "/srv/shop/cart")
	if service != thread || filepath.Base(program) != service || !strings.HasPrefix(program, "/srv/dir-") {
		t.Errorf("one name is %q, %q and %q", service, thread, program)
	}
	if !(ReadableText{Text: service}).Pseudonym() || (ReadableText{Text: "cart"}).Pseudonym() {
		t.Errorf("%q is not known as a pseudonym", service)
	}
	parent, child := m.text(textPath, "/acme.slice"), m.text(textPath, "/acme.slice/cart.service")
	if !strings.HasPrefix(child, parent+"/") {
		t.Errorf("a cgroup %q is not below %q", child, parent)
	}
	for _, f := range []Frame{{Kind: FrameKernel, Symbol: "do_syscall_64", Module: "kernel"}, {Kind: FrameUser, Symbol: "runtime.mallocgc", Module: "/srv/cart"},
		{Kind: FrameUser, Symbol: "internal/poll.(*FD).Read", Module: "/srv/cart"}, {Kind: FrameUser, Symbol: "anything", Module: "/lib/libc.so.6"}} {
		if got := m.symbol(&f); got != f.Symbol {
			t.Errorf("public function %s becomes %s", f.Symbol, got)
		}
	}
	for _, f := range []Frame{{Kind: FrameUser, Symbol: "main.sell", Module: "/srv/cart"}, {Kind: FrameUser, Symbol: "slices.Sort[acme.Order]", Module: "/srv/cart"},
		{Kind: FrameKernel, Symbol: "bpf_prog_1234_acme", Module: "bpf"}} {
		if got := m.symbol(&f); got == f.Symbol {
			t.Errorf("function %s of a program stays", f.Symbol)
		}
	}
}

// TestRedactThreads holds that what a program calls its threads does not stay because
// it begins as a runtime's names do, and that the runtime's own names stay.
func TestRedactThreads(t *testing.T) {
	m := mask{pseudonyms: newPseudonyms(testKey)}
	for _, own := range []string{"GC Thread#3", "C2 CompilerThre", "C1 CompilerThread0", "G1 Main Marker", "G1 Conc#0", "VM Thread", "ZWorkerYoung#1", "lcore-worker-12",
		"vpp_wk_3", "reactor_0", ".NET Tiered Com", "JIT", "V8 DefaultWorke", "kworker/u8:2", "ksoftirqd/1", "kswapd0"} {
		if got := m.text(textThread, own); got != own {
			t.Errorf("%q becomes %q", own, got)
		}
	}
	for _, hostile := range []string{"GC-acme", "GC Thread acme", "GC Thread#3 acme", "JIT-acme", "JITacme", "lcore-acme", "lcore-worker-acme", "C2 CompilerThre acme", "VM Threadacme",
		"rte_acme", "spdk_acme", "kworker/u8:2-acme", "GC Thread\nacme", "G1 acme", "ZWorker#1acme", "acme GC Thread", "GC Thread#12acme"} {
		got := m.text(textThread, hostile)
		if strings.Contains(got, "acme") || m.text(textThread, hostile) != got {
			t.Errorf("%q becomes %q", hostile, got)
		}
		for _, r := range runtimeThreads { // findings go by it
			if strings.HasPrefix(hostile, r.begin) != strings.HasPrefix(got, r.begin) {
				t.Errorf("%q becomes %q: it no longer begins as those of a runtime, or does now", hostile, got)
			}
		}
	}
	if one, two := m.text(textThread, "JIT-acme"), m.text(textThread, "JIT-other"); one == two {
		t.Errorf("two threads are both %q", one)
	}
}

// TestRedactZones holds that the zone of an address, which names an interface, goes.
func TestRedactZones(t *testing.T) {
	m := mask{pseudonyms: newPseudonyms(testKey)}
	for _, text := range []string{"::1%acme0", "fe80::1%acme0", "::%acme0", "::ffff:127.0.0.1%acme0"} {
		if got := m.text(textAddress, text); strings.Contains(got, "acme") {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestRedactedName(t *testing.T) {
	c := &Capture{Manifest: Manifest{Host: Host{Name: "node-a.acme.org"}}}
	o := RedactOptions{Key: testKey}
	m, err := newMask(o)
	must(t, err)
	stand := m.text(textHost, "node-a.acme.org")
	for name, want := range map[string]string{
		"kmon-node-a.acme.org-20251009T085320Z.kmon": "kmon-" + stand + "-20251009T085320Z.kmon",
		"node-a.kmon": stand + ".kmon", "node-ab.kmon": "node-ab.kmon", "incident.kmon": "incident.kmon", "xnode-a.kmon": "xnode-a.kmon",
	} {
		if got, err := RedactedName(name, c, o); got != want || err != nil {
			t.Errorf("%s becomes %s, %v; want %s", name, got, err, want)
		}
	}
	o.Keep = []string{"host"}
	if got, _ := RedactedName("node-a.kmon", c, o); got != "node-a.kmon" {
		t.Errorf("a name that is to stay becomes %s", got)
	}
}

// later is a row of a table that this version does not know.
type later struct {
	TsNs int64  `parquet:"ts_ns"`
	Kind string `parquet:"kind,dict"`
	Name string `parquet:"name,dict"`
}

func TestRedactLeavesOutWhatItDoesNotKnow(t *testing.T) {
	var file bytes.Buffer
	rows := parquet.NewGenericWriter[later](&file)
	_, err := rows.Write([]later{{2e9, "user", "acme"}})
	must(t, errors.Join(err, rows.Close()))
	m := testManifest()
	manifest, err := encodeManifest(m)
	must(t, err)
	manifest = bytes.Replace(manifest, []byte(`"host"`), []byte(`"customer": "acme", "host"`), 1)
	src := filepath.Join(t.TempDir(), "later.kmon")
	w, err := createWriter(src, manifest, WriterOptions{NoSync: true})
	must(t, err)
	must(t, w.addEntry("events/marks/000001.parquet", file.Bytes()))
	must(t, w.addEntry("events/orders/000001.parquet", file.Bytes()))
	must(t, w.addEntry("acme.txt", []byte("acme")))
	w.startEncoder()
	must(t, w.Close(Final{EndNs: 5e9, StopReason: "duration"}))

	dst := filepath.Join(t.TempDir(), "redacted.kmon")
	r, err := Redact(t.Context(), dst, open(t, src), RedactOptions{Key: testKey, NoSync: true})
	must(t, err)
	if bytes.Contains(allBytes(t, dst), []byte("acme")) {
		t.Error("what is not known is still there")
	}
	c := open(t, dst)
	if want := []string{"column name of table marks", "table orders"}; !slices.Equal(c.Manifest.Redacted.LeftOut, want) || len(r.Problems) < 2 {
		t.Errorf("left out is %q, problems %v", c.Manifest.Redacted.LeftOut, r.Problems)
	}
	if marks, err := All[Mark](c); len(marks) != 1 || err != nil {
		t.Errorf("marks %v, %v, %v", marks, err, r.Problems)
	}
}

// TestRedactDamaged holds that of a damaged capture the rest is redacted, and the
// rows that are missing are told.
func TestRedactDamaged(t *testing.T) {
	path, data := writeSegmented(t)
	segment := open(t, path).Segments("marks")[2]
	data = bytes.Clone(data)
	data[segment.entry.data+segment.Size/2] ^= 1
	src, dst := rewrite(t, data), filepath.Join(t.TempDir(), "redacted.kmon")
	r, err := Redact(t.Context(), dst, open(t, src), RedactOptions{Key: testKey, NoSync: true})
	must(t, err)
	c := open(t, dst)
	losses, err := All[Loss](c)
	must(t, err)
	if len(losses) != 1 || losses[0].Cause != LossDamage || losses[0].Table != "marks" || losses[0].Count != 1 || len(r.Problems) == 0 {
		t.Errorf("losses %v, problems %v", losses, r.Problems)
	}
	if v, err := Verify(t.Context(), dst); err != nil || v.Damaged() {
		t.Errorf("the copy has %v, %v", v.Problems, err)
	}
}

func TestReadableTexts(t *testing.T) {
	src, _ := writeNamed(t, 3)
	texts, further, err := ReadableTexts(open(t, src))
	must(t, err)
	for _, want := range []ReadableText{{"acme-marks-text-1", "marks.text", 1}, {"word", "marks.kind", 3}, {"acme-host", "manifest.json host name", 1},
		{"no room for acme", "final.json error", 1}} {
		if !slices.Contains(texts, want) {
			t.Errorf("%+v is not listed", want)
		}
	}
	if further != 0 {
		t.Errorf("%d further", further)
	}
}

// TestRedactWhatIsOpen: the capture that was looked at is the one that is redacted,
// whatever has its name meanwhile.
func TestRedactWhatIsOpen(t *testing.T) {
	src, _ := writeNamed(t, 5)
	c := open(t, src)
	want := rowsOf(t, c)
	if err := os.Rename(src, src+".old"); err != nil {
		t.Skip("a file that is open keeps its name here:", err)
	}
	must(t, os.WriteFile(src, []byte("another"), 0o600))
	dst := filepath.Join(t.TempDir(), "redacted.kmon")
	_, err := Redact(t.Context(), dst, c, RedactOptions{Key: testKey, NoSync: true})
	must(t, err)
	if got := rowsOf(t, open(t, dst)); strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Errorf("%d of %d rows", strings.Count(got, "\n"), strings.Count(want, "\n"))
	}
}
