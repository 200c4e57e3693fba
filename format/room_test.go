package format

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// disk is a memoryFile on a disk with some room, which a neighbour wants too:
// whatever is given back is gone.
type disk struct {
	memoryFile
	free    int // bytes that nobody has
	held    int // bytes from the beginning that the file has
	highest int // the file was never larger
}

// hold takes room up to end, all or nothing.
func (d *disk) hold(end int) error {
	if end > d.held {
		if end-d.held > d.free {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		d.free, d.held = d.free-(end-d.held), end
	}
	return nil
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	fit, err := p, d.hold(int(off)+len(p))
	if err != nil { // as much as there is room for
		fit = p[:min(len(p), max(0, d.held+d.free-int(off)))]
		_ = d.hold(int(off) + len(fit))
	}
	n, _ := d.memoryFile.WriteAt(fit, off)
	d.highest = max(d.highest, len(d.data))
	return n, err
}

func (d *disk) Truncate(size int64) error {
	d.held = int(size)
	return d.memoryFile.Truncate(size)
}

// reservingDisk is a disk whose file system knows fallocate.
type reservingDisk struct{ disk }

func (d *reservingDisk) Reserve(_, to int64) error { return d.hold(int(to)) }

// writeMarks writes n marks, a segment each, and as many procs in a segment,
// and closes.
func writeMarks(t *testing.T, f file, n int, o WriterOptions) (*Writer, error) {
	t.Helper()
	o.openFile = func(path string) (file, error) { return f, os.WriteFile(path, nil, 0o600) }
	w, err := Create(t.TempDir()+"/x.kmon", testManifest(), o)
	must(t, err)
	now := int64(1e9)
	for i := range n {
		_ = Append(w, Mark{TsNs: now, Text: fmt.Sprint("mark ", i)})
		_ = Append(w, Proc{TsNs: now, PID: int32(i)})
		_ = w.Tick(now)
		now += quietAgeNs
		_ = w.Tick(now)
	}
	return w, w.Close(Final{EndNs: now, StopReason: "duration", Losses: map[string]int64{"tcp/ring-full": 1}})
}

// checkWhole opens what w wrote and holds it against what w says: every row is
// read or counted, in memory and in final.json.
func checkWhole(t *testing.T, w *Writer, data []byte, n int) *Capture {
	t.Helper()
	c := open(t, rewrite(t, data))
	if c.Final == nil {
		t.Fatalf("%d bytes: no final.json", len(data))
	}
	got, lost := readEverything(t, c), w.Unwritten()
	for _, table := range []string{"marks", "procs"} {
		if got[table]+int(lost[table]) != n || c.Final.Losses[table+"/write"] != lost[table] || c.Final.Rows[table] != int64(got[table]) {
			t.Errorf("%d bytes: %s: read %d, lost %d, final.json has rows %v and losses %v; want %d in all",
				len(data), table, got[table], lost[table], c.Final.Rows, c.Final.Losses, n)
		}
	}
	if c.Final.Losses["tcp/ring-full"] != 1 {
		t.Errorf("losses %v lack those of the recorder", c.Final.Losses)
	}
	for _, p := range c.Problems() {
		t.Errorf("%d bytes: %s", len(data), p)
	}
	return c
}

// TestMaxBytes holds the limit at every moment, whatever it is.
func TestMaxBytes(t *testing.T) {
	const n = 12
	whole := &disk{free: 1 << 30}
	w, err := writeMarks(t, whole, n, WriterOptions{})
	must(t, err)
	checkWhole(t, w, whole.data, n)
	for limit := len(readmeText()) + 3000 + finalRoom; limit < whole.highest+finalRoom; limit += 701 {
		d := &disk{free: 1 << 30}
		w, err := writeMarks(t, d, n, WriterOptions{MaxBytes: int64(limit)})
		must(t, err)
		if d.highest > limit {
			t.Errorf("limit %d: the file had %d bytes", limit, d.highest)
		}
		if c := checkWhole(t, w, d.data, n); c.Final.StopReason != "duration" || c.Final.Error != "" {
			t.Errorf("limit %d: stop reason %q, error %q", limit, c.Final.StopReason, c.Final.Error)
		}
	}
}

func TestMaxBytesTooSmallForTheManifest(t *testing.T) {
	path := t.TempDir() + "/x.kmon"
	if _, err := Create(path, testManifest(), WriterOptions{MaxBytes: 1000}); !errors.Is(err, errNoRoom) {
		t.Errorf("Create gives %v", err)
	}
	if _, err := os.Stat(path + partSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf(".part is left: %v", err)
	}
}

// TestFullDiskSaysSo fills a disk at every size: as room is reserved, the file
// always says why it ended and what it lacks.
func TestFullDiskSaysSo(t *testing.T) {
	const n = 100
	whole := &reservingDisk{disk{free: 1 << 30}}
	_, err := writeMarks(t, whole, n, WriterOptions{})
	must(t, err)
	if whole.held != len(whole.data) {
		t.Errorf("%d bytes are reserved after the end of %d", whole.held-len(whole.data), len(whole.data))
	}
	full := 0
	for room := len(readmeText()) + 3000 + finalRoom; room < whole.highest+finalRoom; room += 9001 {
		d := &reservingDisk{disk{free: room}}
		w, err := writeMarks(t, d, n, WriterOptions{})
		c := checkWhole(t, w, d.data, n)
		if len(w.Unwritten()) == 0 {
			continue
		}
		full++
		if !errors.Is(err, syscall.ENOSPC) || c.Final.StopReason != "disk" || c.Final.Error == "" {
			t.Errorf("room %d: error %v, stop reason %q, error %q", room, err, c.Final.StopReason, c.Final.Error)
		}
	}
	if full == 0 {
		t.Error("no disk was full")
	}
}

// TestRestoreNeedsNoRoom fills a disk that reserves nothing, where the neighbour
// takes what a failed write gives back: the directory must have kept its room.
func TestRestoreNeedsNoRoom(t *testing.T) {
	for room := len(readmeText()) + 3000; room < len(readmeText())+9000; room += 301 {
		d := &disk{free: room}
		w, err := writeMarks(t, d, 12, WriterOptions{})
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room %d: Close gives %v", room, err)
		}
		if _, _, err := readDirectory(bytes.NewReader(d.data), int64(len(d.data))); err != nil {
			t.Errorf("room %d: %v", room, err)
		}
		got, lost := readEverything(t, open(t, rewrite(t, d.data))), w.Unwritten()
		if got["marks"]+int(lost["marks"]) != 12 {
			t.Errorf("room %d: read %d marks, lost %d of 12", room, got["marks"], lost["marks"])
		}
	}
}

// TestPending holds the estimate against what is written in the end.
func TestPending(t *testing.T) {
	w, _ := create(t)
	if got := w.Pending(); got != 0 {
		t.Errorf("nothing appended: %d bytes pending", got)
	}
	rows := traffic(50_000, 1)
	for range 2 { // the second time rows were written before
		size := w.Size()
		must(t, w.AppendExchanges(rows))
		pending := w.Pending()
		w.exchanges.flush(true)
		for w.Pending() > 0 {
			must(t, w.err())
		}
		if took := w.Size() - size; pending < took {
			t.Errorf("%d bytes were pending, %d were written", pending, took)
		}
	}
	must(t, w.AppendExchanges(rows))
	if pending, most := w.Pending(), w.exchanges.sealedBytes.Load(); pending > most {
		t.Errorf("%d bytes are pending, twice as many rows took %d", pending, most)
	}
	must(t, w.Close(Final{}))
}

func TestUnwritten(t *testing.T) {
	c := &Capture{Manifest: Manifest{Clock: ClockPair{MonotonicNs: 8e9}}, Final: &Final{EndNs: 9e9, Losses: map[string]int64{
		"exchanges/write": 7, "marks/write": 0, "self/write": -1, "nonsense/write": 3, "tcp/ring-full": 4}}}
	want := Loss{StartNs: 8e9, EndNs: 9e9, Collector: "tcp", Table: "exchanges", Cause: LossWrite, Count: 7}
	if got := c.Unwritten(); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c.Final = nil
	if got := c.Unwritten(); got != nil {
		t.Errorf("a cut file: got %+v, want none", got)
	}
}

// TestPreparedHasRoom: what was prepared on a disk of any size begins with its
// manifest and can be read, though the disk gets full; else it is refused, and gone.
func TestPreparedHasRoom(t *testing.T) {
	refused, begun := 0, 0
	for free := 0; free < 256<<10; free += 4 << 10 {
		f, path := &reservingDisk{disk{free: free}}, t.TempDir()+"/x.kmon"
		dir, name, err := OpenDir(path)
		must(t, err)
		p, err := Prepare(dir, name, path, WriterOptions{openFile: func(path string) (file, error) { return f, os.WriteFile(path, nil, 0o600) }})
		if err != nil {
			if _, left := os.Stat(path + partSuffix); !errors.Is(err, syscall.ENOSPC) || !errors.Is(left, fs.ErrNotExist) {
				t.Errorf("%d bytes: %v; the file: %v", free, err, left)
			}
			refused++
			continue
		}
		f.free = 0 // a neighbour has it
		w, err := p.Begin(testManifest())
		must(t, err)
		_ = w.Close(Final{StopReason: "duration"})
		if c := open(t, rewrite(t, f.data)); c.Manifest.Host.Name != testManifest().Host.Name || c.Final == nil {
			t.Errorf("%d bytes: %+v", free, c.Manifest)
		}
		begun++
	}
	if refused == 0 || begun == 0 {
		t.Errorf("%d were refused, %d begun", refused, begun)
	}
}
