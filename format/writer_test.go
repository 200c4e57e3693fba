package format

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestCreateNeverOverwrites(t *testing.T) {
	for _, suffix := range []string{"", partSuffix} {
		path := t.TempDir() + "/x.kmon"
		must(t, os.WriteFile(path+suffix, []byte("precious"), 0o600))
		_, err := Create(path, testManifest(), WriterOptions{})
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path+suffix) {
			t.Errorf("with %q there: error %v", suffix, err)
		}
		if data, _ := os.ReadFile(path + suffix); string(data) != "precious" {
			t.Errorf("%q was overwritten", suffix)
		}
	}
}

func TestCloseNeverOverwrites(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Mark{TsNs: 1e9}))
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	if err := w.Close(Final{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Close gives %v, want ErrExist", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Error("the file was overwritten")
	}
	if got, err := All[Mark](open(t, path+partSuffix)); len(got) != 1 || err != nil {
		t.Errorf("the recording is lost: %v, %v", got, err)
	}
}

func TestFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	w, path := create(t)
	for _, name := range []string{path + partSuffix, path} {
		if strings.HasSuffix(name, "kmon") {
			must(t, w.Close(Final{}))
		}
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if _, err := os.Stat(path + partSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf(".part is still there: %v", err)
	}
}

func TestAbandonLeavesAReadablePart(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Mark{TsNs: 1e9}))
	must(t, w.Tick(1e9))
	must(t, w.Tick(1e9+quietAgeNs))
	must(t, Append(w, Mark{TsNs: 2e9})) // never sealed
	must(t, w.Abandon())
	c := open(t, path+partSuffix)
	if got, err := All[Mark](c); len(got) != 1 || err != nil {
		t.Errorf("read %v, %v", got, err)
	}
	if c.Final != nil || len(c.Problems()) != 1 {
		t.Errorf("final %v, problems %v", c.Final, c.Problems())
	}
	if err := Append(w, Mark{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Abandon gives %v", err)
	}
}

// TestFullDisk fills the disk at every size in steps, and expects every
// segment that was written before to be readable, with a sound directory.
func TestFullDisk(t *testing.T) {
	free := &memoryFile{}
	fullRecording(t, free)
	for limit := len(readmeText()) + 3000; limit < len(free.data); limit += 301 {
		m := &memoryFile{limit: limit}
		lost := fullRecording(t, m)
		if len(m.data) > limit {
			t.Fatalf("limit %d: file of %d bytes", limit, len(m.data))
		}
		if _, err := zip.NewReader(bytes.NewReader(m.data), int64(len(m.data))); err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		c := open(t, rewrite(t, m.data))
		got := readEverything(t, c)
		if c.Final != nil && c.Final.Losses["marks/write"] != lost["marks"] {
			t.Errorf("limit %d: final.json says %v are lost, want %d marks", limit, c.Final.Losses, lost["marks"])
		}
		if got["marks"]+int(lost["marks"]) != 40 {
			t.Errorf("limit %d: read %d marks, lost %d of 40", limit, got["marks"], lost["marks"])
		}
		for _, p := range c.Problems() {
			if p.Damage {
				t.Errorf("limit %d: %s", limit, p)
			}
		}
	}
}

// fullRecording writes 40 marks, a segment each, as far as f takes them, and
// gives the number of rows the Writer says it lost.
func fullRecording(t *testing.T, f *memoryFile) map[string]int64 {
	w, err := Create(t.TempDir()+"/x.kmon", testManifest(), WriterOptions{openFile: func(path string) (file, error) {
		return f, os.WriteFile(path, nil, 0o600)
	}})
	must(t, err)
	now := int64(1e9)
	for range 40 {
		_ = Append(w, Mark{TsNs: now, Text: "full"})
		_ = w.Tick(now)
		now += quietAgeNs
		_ = w.Tick(now)
	}
	err = w.Close(Final{})
	if (f.limit > 0) != errors.Is(err, errFull) {
		t.Errorf("limit %d: Close gives %v", f.limit, err)
	}
	if !f.closed {
		t.Error("file was not closed")
	}
	return w.Unwritten()
}

func TestDirectoryOfManyEntries(t *testing.T) {
	m := &memoryFile{}
	a := &archive{f: m}
	add := func(n int, now int64) {
		for range n {
			name := tables[0].entryName(a.count + 1)
			_, err := a.add(name, append(entryBuffer(nil, name), "data"...), now)
			must(t, err)
		}
	}
	add(lazyDirectoryEntries, 1)
	if a.dirStale {
		t.Error("directory is stale before the limit")
	}
	add(5, 2)
	if !a.dirStale {
		t.Error("directory is written although it was a moment ago")
	}
	if entries, _ := scan(bytes.NewReader(m.data), int64(len(m.data))); len(entries) != a.count {
		t.Errorf("scan finds %d of %d entries", len(entries), a.count)
	}
	add(1, 2+lazyDirectoryNs)
	if _, err := zip.NewReader(bytes.NewReader(m.data), int64(len(m.data))); err != nil || a.dirStale {
		t.Errorf("directory is not written after its time: %v", err)
	}
}

// TestOpenWithAStaleDirectory opens what a kill leaves of a long recording:
// the last entries stand in no directory.
func TestOpenWithAStaleDirectory(t *testing.T) {
	m := &memoryFile{}
	a := &archive{f: m}
	add := func(name string, data []byte) {
		_, err := a.add(name, append(entryBuffer(nil, name), data...), 1)
		must(t, err)
	}
	add(manifestName, manifestJSON(t, nil))
	segment := parquetOf(t, []Mark{{TsNs: 1}})
	const n = lazyDirectoryEntries + 50
	for i := range n {
		add(tableOf[Mark]().entryName(i+1), segment)
	}
	if !a.dirStale {
		t.Fatal("the directory is not stale")
	}
	c := open(t, rewrite(t, m.data))
	if rows, err := All[Mark](c); len(rows) != n || err != nil {
		t.Errorf("read %d of %d rows, %v", len(rows), n, err)
	}
	for _, p := range c.Problems() {
		if p.Damage {
			t.Errorf("problem: %s", p)
		}
	}
}

func TestDirectoryBeyond4GB(t *testing.T) {
	m := &sparseFile{base: 5 << 30}
	a := &archive{f: m, end: m.base}
	for i := range 3 {
		name := tables[0].entryName(i + 1)
		_, err := a.add(name, append(entryBuffer(nil, name), "data"...), 0)
		must(t, err)
	}
	size := m.base + int64(len(m.data))
	r, err := zip.NewReader(m, size)
	must(t, err)
	entries, _, err := readDirectory(m, size)
	must(t, err)
	if len(r.File) != 3 || len(entries) != 3 || entries[0].offset != m.base {
		t.Errorf("archive/zip sees %d entries, we %+v", len(r.File), entries)
	}
	f, err := r.File[2].Open()
	must(t, err)
	if data, err := io.ReadAll(f); string(data) != "data" || err != nil {
		t.Errorf("entry holds %q, %v", data, err)
	}
}

// sparseFile is a file whose first base bytes are a hole.
type sparseFile struct {
	memoryFile
	base int64
}

func (s *sparseFile) WriteAt(p []byte, off int64) (int, error) {
	return s.memoryFile.WriteAt(p, off-s.base)
}
func (s *sparseFile) Truncate(size int64) error { return s.memoryFile.Truncate(size - s.base) }
func (s *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	if off < s.base {
		hole := int(min(s.base-off, int64(len(p))))
		clear(p[:hole])
		n, err := s.ReadAt(p[hole:], off+int64(hole))
		return hole + n, err
	}
	return bytes.NewReader(s.data).ReadAt(p, off-s.base)
}

// TestOtherReaders holds a capture against independent readers of its formats.
func TestOtherReaders(t *testing.T) {
	path := writeSample(t, 3000)
	r, err := zip.OpenReader(path)
	must(t, err)
	defer r.Close()
	if first, last := r.File[0].Name, r.File[len(r.File)-1].Name; first != manifestName || last != finalName {
		t.Errorf("first entry is %s, last is %s", first, last)
	}
	for _, f := range r.File {
		in, err := f.Open()
		must(t, err)
		data, err := io.ReadAll(in) // checks the CRC
		must(t, err, f.Name, ": ")
		if f.Method != zip.Store {
			t.Errorf("%s is not stored", f.Name)
		}
		if strings.HasSuffix(f.Name, ".parquet") {
			checkParquet(t, f.Name, data)
		}
	}
	for _, command := range [][]string{{"unzip", "-t", path}, {"python3", "-m", "zipfile", "-t", path}} {
		if _, err := exec.LookPath(command[0]); err != nil {
			continue
		}
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}

// checkParquet reads a segment with parquet-go's own reader.
func checkParquet(t *testing.T, name string, data []byte) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	must(t, err, name, ": ")
	m := f.Metadata()
	if len(m.RowGroups) != 1 {
		t.Errorf("%s has %d row groups", name, len(m.RowGroups))
	}
	for i, c := range m.RowGroups[0].Columns {
		if len(c.MetaData.PathInSchema) != 1 || c.MetaData.PathInSchema[0] != m.Schema[i+1].Name {
			t.Errorf("%s: path_in_schema of column %d is %q, want %q", name, i, c.MetaData.PathInSchema, m.Schema[i+1].Name)
		}
	}
	for i, e := range m.Schema[1:] {
		if !e.RepetitionType.Valid || e.RepetitionType.V != 0 {
			t.Errorf("%s: column %d is not required", name, i)
		}
	}
	rows := f.RowGroups()[0].Rows()
	defer rows.Close()
	n, buf := int64(0), make([]parquet.Row, 100)
	for {
		k, err := rows.ReadRows(buf)
		n += int64(k)
		if err == io.EOF {
			break
		}
		must(t, err, name, ": ")
	}
	if n != f.NumRows() {
		t.Errorf("%s: %d rows read of %d", name, n, f.NumRows())
	}
}

func TestAppendExchangesAllocatesNothing(t *testing.T) {
	w, _ := create(t)
	defer w.Close(Final{})
	rows := traffic(100, 1)
	must(t, w.AppendExchanges(rows))
	if n := testing.AllocsPerRun(20, func() { must(t, w.AppendExchanges(rows)) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func TestSocketsAreSealedBeforeTheirExchanges(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Socket{TsNs: 1e9, SocketID: 7}))
	rows := make([]Exchange, busyRows)
	for i := range rows {
		rows[i].SocketID = 7
	}
	must(t, w.AppendExchanges(rows))
	must(t, w.Tick(1e9))
	must(t, w.Tick(1e9+busyAgeNs))
	must(t, w.Abandon())
	c := open(t, path+partSuffix)
	sockets, exchanges := c.Segments("sockets"), c.Segments("exchanges")
	if len(sockets) != 1 || len(exchanges) != 1 || sockets[0].Offset > exchanges[0].Offset {
		t.Errorf("segments of sockets %v, of exchanges %v", sockets, exchanges)
	}
}
