package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// readCPIO reads an archive back, by the layout that kernels document.
func readCPIO(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for at := 0; at < len(archive); {
		var magic, inode, mode, uid, gid, links, modified, size, a, b, c, d, nameSize, sum int
		_, err := fmt.Sscanf(string(archive[at:at+110]), "%6x%8x%8x%8x%8x%8x%8x%8x%8x%8x%8x%8x%8x%8x",
			&magic, &inode, &mode, &uid, &gid, &links, &modified, &size, &a, &b, &c, &d, &nameSize, &sum)
		check(t, err)
		if magic != 0x070701 || mode != 0o100755 {
			t.Fatalf("at %d: magic %x, mode %o", at, magic, mode)
		}
		name := string(archive[at+110 : at+110+nameSize-1])
		at = (at + 110 + nameSize + 3) &^ 3
		files[name] = string(archive[at : at+size])
		at = (at + size + 3) &^ 3
	}
	return files
}

func TestInitramfsHoldsWhatAGuestNeeds(t *testing.T) {
	dir := t.TempDir()
	o := options{limit: 10}
	p := programs{self: filepath.Join(dir, "s"), kmon: filepath.Join(dir, "k"), workload: filepath.Join(dir, "w")}
	module := filepath.Join(dir, "virtio.ko")
	for i, path := range []string{p.self, p.kmon, p.workload, module} {
		check(t, os.WriteFile(path, []byte(strings.Repeat("x", i)), 0o600)) // of all lengths, modulo four
	}
	path := filepath.Join(dir, "initramfs")
	check(t, o.writeInitramfs(path, p, kernelFiles{modules: []string{module}}, []trial{{Name: "best"}}))
	content, err := os.ReadFile(path)
	check(t, err)
	want := map[string]string{initName: "", kmonName: "x", workloadName: "xx", "virtio.ko": "xxx", cpioEnd: "",
		planName: `{"trials":[{"name":"best"}],"trial_limit_ns":5}`}
	if got := readCPIO(t, content); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.kmon = filepath.Join(dir, "none")
	if err := o.writeInitramfs(path, p, kernelFiles{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without kmon: %v", err)
	}
}

func TestProgramsOfGuestsNeedNoLibraries(t *testing.T) {
	if err := checkStatic("/bin/sh"); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("of a program with libraries: %v", err)
	}
	if err := checkStatic("/etc/passwd"); err == nil {
		t.Error("of no program: no error")
	}
}

// archiveOf makes a tar archive of names with their names as content.
func archiveOf(t *testing.T, names ...string) *bytes.Buffer {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, name := range names {
		check(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}))
		_, err := io.WriteString(w, name)
		check(t, err)
	}
	check(t, w.Close())
	return &buffer
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(dir, path)
			names = append(names, path)
		}
		return err
	}))
	return names
}

func TestOnlyWhatIsNeededIsUnpacked(t *testing.T) {
	dir := t.TempDir()
	archive := archiveOf(t, "./boot/vmlinuz-6.1.0", "./boot/config-6.1.0", "./lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko", "./lib/modules/6.1.0/kernel/x.ko")
	check(t, unpack(context.Background(), tar.NewReader(archive), dir))
	if got, want := listed(t, dir), []string{"virtio_blk.ko", "vmlinuz"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatAGuestHandsOutStaysInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	hand := filepath.Join(dir, "hand")
	check(t, os.WriteFile(hand, archiveOf(t, "best.kmon", "best/00-echo.json", "../../outside").Bytes(), 0o600))
	n, err := takeOut(hand, filepath.Join(dir, "out"))
	check(t, err)
	if got, want := listed(t, filepath.Join(dir, "out")), []string{"best/00-echo.json", "best.kmon", "outside"}; n != 3 || !slices.Equal(got, want) {
		t.Errorf("got %d: %v, want %v", n, got, want)
	}
	check(t, makeDisk(hand, 1<<20))
	if n, err := takeOut(hand, dir); n != 0 || err != nil {
		t.Errorf("of an empty disk: %d files, %v", n, err)
	}
}

func TestRefusalsAreOneSentence(t *testing.T) {
	refusing := trial{Name: "old", refusal: "no ring"}
	for _, test := range []struct {
		code, log string
		wrong     int
	}{
		{"2", "kmon: this kernel has no ring\n", 0},
		{"0", "kmon: this kernel has no ring\n", 1},
		{"2", "kmon: broken\n", 1},
		{"2", "kmon: this kernel has no ring\nand more\n", 1},
	} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "old"+codeEnding), []byte(test.code), 0o600))
		check(t, os.WriteFile(filepath.Join(dir, "old"+logEnding), []byte(test.log), 0o600))
		if r := refusing.check(t.Context(), dir, ""); len(r.wrong) != test.wrong {
			t.Errorf("%q, %q: %v", test.code, test.log, r)
		}
	}
	if r := refusing.check(t.Context(), t.TempDir(), ""); len(r.wrong) != 1 {
		t.Errorf("of nothing: %v", r)
	}
}

func TestOneByteOrRequestTooFewIsSeen(t *testing.T) {
	echo := truth{load: load{"echo"}, Services: []service{{Name: "echo-server", PID: 7, Requests: 2, BytesIn: 20, BytesOut: 40}},
		Edges: []edge{{PID: 8, Requests: 2, BytesSent: 20, BytesReceived: 40}}}
	exact := func() traffic {
		return traffic{processes: map[process]sum{{7, false}: {2, 40, 20}, {8, true}: {2, 20, 40}}}
	}
	for _, test := range []struct {
		name  string
		spoil func(traffic)
		wrong int
	}{
		{"exact", func(traffic) {}, 0},
		{"a request", func(s traffic) { s.processes[process{7, false}] = sum{1, 40, 20} }, 1},
		{"a byte", func(s traffic) { s.processes[process{8, true}] = sum{2, 20, 39} }, 1},
		{"everything", func(s traffic) { clear(s.processes) }, 2},
	} {
		r, rows := &result{}, exact()
		test.spoil(rows)
		if rows.check(r, echo); len(r.wrong) != test.wrong {
			t.Errorf("%s: %v", test.name, r)
		}
	}
}

func TestFaultsAreCountedByTheirEnds(t *testing.T) {
	closed := refused{Host: "127.0.0.1", Port: 9, PID: 7, Connects: 1}
	event := func(kind format.NetEventKind, local, remote int32) format.NetEvent {
		return format.NetEvent{Kind: kind, Reason: "NO_SOCKET", LocalAddr: "127.0.0.1", RemoteAddr: "127.0.0.1", LocalPort: local, RemotePort: remote, Count: 1}
	}
	f := faults{
		sockets: []format.Socket{{PID: 7, RemoteAddr: "127.0.0.1", RemotePort: 9, CloseReason: format.CloseRefused}},
		events:  []format.NetEvent{event(format.NetDrop, 9, 1234), event(format.NetResetSent, 9, 1234), event(format.NetResetReceived, 1234, 9)},
	}
	r := &result{}
	if f.checkRefused(r, closed); len(r.wrong) != 0 {
		t.Errorf("exact: %v", r)
	}
	for i := range f.events {
		less := faults{sockets: f.sockets, events: slices.Delete(slices.Clone(f.events), i, i+1)}
		r := &result{}
		if less.checkRefused(r, closed); len(r.wrong) != 1 {
			t.Errorf("without event %d: %v", i, r)
		}
	}
}

// A package that is gone is told of; one that is another is an error.
func TestPinnedPackages(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	nothing := fmt.Sprintf("%x", sha256.Sum256(nil))
	for _, test := range []struct {
		paths  []string
		sha256 string
		gone   bool
		failed bool
	}{
		{[]string{"/moved", "/there"}, nothing, false, false},
		{[]string{"/moved", "/removed"}, nothing, true, true},
		{[]string{"/there"}, "0123", false, true},
	} {
		p := pinned{name: "linux-image", sha256: test.sha256}
		for _, path := range test.paths {
			p.urls = append(p.urls, server.URL+path)
		}
		err := p.download(t.Context(), t.TempDir())
		if errors.Is(err, errGone) != test.gone || (err != nil) != test.failed {
			t.Errorf("%v: %v", test.paths, err)
		}
	}
}

func TestConsoleTellsOfTroubles(t *testing.T) {
	path := filepath.Join(t.TempDir(), consoleName)
	for text, wrong := range map[string]int{
		"guest: trial best: exit code 0 after 9.1 s\r\n[   13.1] reboot: Power down\r\n":           0,
		"[   28.8] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!\r\n[   29.1] RIP: 0010:x\r\n": 1,
		"[    9.0] WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:1 x+0x1/0x2\r\n":                1,
	} {
		check(t, os.WriteFile(path, []byte(text), 0o600))
		if r := checkConsole(path); len(r.wrong) != wrong {
			t.Errorf("%q: %v", text, r)
		}
	}
}
