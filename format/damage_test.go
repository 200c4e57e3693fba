package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeSegmented writes a capture with several segments of several tables and
// gives its bytes.
func writeSegmented(t testing.TB) (path string, data []byte) {
	t.Helper()
	w, path := create(t)
	now := int64(1e9)
	for i := range 6 {
		must(t, Append(w, Socket{TsNs: now, SocketID: int64(i + 1), Event: SocketOpen, Family: 4, LocalAddr: "10.0.0.1"}))
		rows := traffic(50, uint64(i))
		for k := range rows {
			rows[k].SocketID = int64(i + 1)
		}
		must(t, w.AppendExchanges(rows))
		must(t, Append(w, Mark{TsNs: now, Kind: "user", Text: strings.Repeat("x", i)}))
		must(t, w.Tick(now))
		now += quietAgeNs
		must(t, w.Tick(now))
	}
	must(t, w.Close(Final{EndNs: now, StopReason: "duration"}))
	data, err := os.ReadFile(path)
	must(t, err)
	return path, data
}

// rewrite puts data in a file of its own.
func rewrite(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.kmon")
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

// readEverything reads all rows by all ways; the result counts them per table.
func readEverything(t testing.TB, c *Capture) map[string]int {
	t.Helper()
	rows := map[string]int{}
	for _, name := range c.Tables() {
		must(t, c.eachSegment(name, func(_ []columnValues, n int) error {
			rows[name] += n
			return nil
		}))
	}
	var cols ExchangeColumns
	for _, s := range c.Segments("exchanges") {
		err := s.ReadExchanges(&cols)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("ReadExchanges: %v, want ErrCorrupt", err)
		}
		if _, err := s.SocketsWithFlag(ExchangeClient); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("SocketsWithFlag: %v, want ErrCorrupt", err)
		}
	}
	return rows
}

// rowsBefore counts the rows of the entries that end at or before cut.
func rowsBefore(t *testing.T, c *Capture, cut int64) map[string]int {
	rows := map[string]int{}
	for _, name := range c.Tables() {
		for _, s := range c.Segments(name) {
			if s.entry.data+s.entry.size <= cut {
				n, err := s.Rows()
				must(t, err)
				rows[name] += int(n)
			}
		}
	}
	return rows
}

func TestCutCaptureGivesAllThatIsComplete(t *testing.T) {
	path, data := writeSegmented(t)
	whole := open(t, path)
	cuts := []int64{}
	for _, e := range whole.entries {
		cuts = append(cuts, e.offset, e.offset+1, e.data, e.data+e.size-1, e.data+e.size)
	}
	for cut := int64(0); cut < int64(len(data)); cut += 97 {
		cuts = append(cuts, cut)
	}
	firstEnd := whole.entries[0].data + whole.entries[0].size
	for _, cut := range cuts {
		c, err := Open(rewrite(t, data[:cut]))
		if cut < firstEnd {
			if !errors.Is(err, ErrNotCapture) {
				t.Errorf("cut at %d: error %v, want ErrNotCapture", cut, err)
			}
			continue
		}
		must(t, err, "cut at ", cut, ": ")
		if got, want := fmt.Sprint(readEverything(t, c)), fmt.Sprint(rowsBefore(t, whole, cut)); got != want {
			t.Errorf("cut at %d: read %s, want %s", cut, got, want)
		}
		if len(c.Problems()) == 0 {
			t.Errorf("cut at %d: no problem stated", cut)
		}
		c.Close()
	}
}

func TestFlippedByteGivesErrorOrData(t *testing.T) {
	long(t)
	path, data := writeSegmented(t)
	want := readEverything(t, open(t, path))
	total := 0
	for _, n := range want {
		total += n
	}
	step := 29
	if testing.Short() {
		step = 149
	}
	for i := 0; i < len(data); i += step {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		c, err := Open(rewrite(t, flipped))
		if err != nil {
			if !errors.Is(err, ErrNotCapture) && !errors.Is(err, ErrTooNew) {
				t.Errorf("byte %d flipped: %v", i, err)
			}
			continue
		}
		got := 0
		for _, n := range readEverything(t, c) {
			got += n
		}
		if got < total && len(c.Problems()) == 0 {
			t.Errorf("byte %d flipped: %d of %d rows and no problem stated", i, got, total)
		}
		if got < total-50 {
			t.Errorf("byte %d flipped: %d of %d rows, one segment at most may go: %v", i, got, total, c.Problems())
		}
		c.Close()
	}
}

// buildZip writes entries as a Writer would, to change them before or after.
type buildZip struct {
	buf     []byte
	central []byte
	count   int
}

func (z *buildZip) add(name string, data []byte) *buildZip {
	a := &archive{f: &memoryFile{}}
	_, err := a.add(name, append(entryBuffer(nil, name), data...), 0)
	if err != nil {
		panic(err)
	}
	file := a.f.(*memoryFile).data
	e := entry{name: name, offset: int64(len(z.buf)), size: int64(len(data)), crc: le.Uint32(file[14:])}
	z.buf = append(z.buf, file[:localHeaderLen+len(name)+len(data)]...)
	z.central = appendCentralHeader(z.central, e)
	z.count++
	return z
}

func (z *buildZip) bytes() []byte {
	out := append(bytes.Clone(z.buf), z.central...)
	return appendEnd(out, z.count, int64(len(z.central)), int64(len(z.buf)))
}

// memoryFile is a file in memory that fails once it is full.
type memoryFile struct {
	data   []byte
	limit  int // bytes it takes, 0: any number
	synced int
	closed bool
}

var errFull = errors.New("no space left on device")

func (m *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	end := int(off) + len(p)
	fit := end
	if m.limit > 0 {
		fit = min(end, max(m.limit, len(m.data)))
	}
	if fit > len(m.data) {
		m.data = append(m.data, make([]byte, fit-len(m.data))...)
	}
	n := copy(m.data[off:], p)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (m *memoryFile) Truncate(size int64) error { m.data = m.data[:size]; return nil }
func (m *memoryFile) Sync() error               { m.synced++; return nil }
func (m *memoryFile) Close() error              { m.closed = true; return nil }

func manifestJSON(t testing.TB, change func(*Manifest)) []byte {
	m := testManifest()
	if change != nil {
		change(&m)
	}
	data, err := json.Marshal(m)
	must(t, err)
	return data
}

func TestHostileArchives(t *testing.T) {
	manifest := manifestJSON(t, nil)
	sound := func() *buildZip { return new(buildZip).add(manifestName, manifest) }
	cases := []struct {
		name    string
		data    []byte
		wantErr error
		problem string // a part of one problem, or of the error
	}{
		{"empty file", nil, ErrNotCapture, "leave it out"},
		{"text file", []byte("hello"), ErrNotCapture, "no entry can be read"},
		{"another zip", new(buildZip).add("a.txt", []byte("x")).bytes(), ErrNotCapture, ""},
		{"foreign manifest", new(buildZip).add(manifestName, []byte(`{"format":"other"}`)).bytes(), ErrNotCapture, ""},
		{"name leads outside", sound().add("../../etc/passwd", []byte("x")).bytes(), nil, `entry name "../../etc/passwd"`},
		{"absolute name", sound().add("/etc/passwd", []byte("x")).bytes(), nil, `entry name "/etc/passwd"`},
		{"drive name", sound().add(`c:\x`, []byte("x")).bytes(), nil, `entry name "c:\\x"`},
		{"same name twice", sound().add("a", []byte("x")).add("a", []byte("y")).bytes(), nil, "a second entry"},
		{"two manifests", sound().add(manifestName, manifest).bytes(), nil, "a second entry"},
		{"overlap", overlapping(manifest), nil, "overlap"},
		{"wrong size in directory", patched(sound().add("events/marks/000001.parquet", []byte("abc")), 1, 24, 9), nil, "differ"},
		{"compressed entry", compressed(manifest), nil, "compressed"},
		{"segment is no Parquet", sound().add("events/marks/000001.parquet", []byte("PAR1 no PAR1")).bytes(), nil, "Parquet"},
		{"footer larger than file", sound().add("events/marks/000001.parquet", []byte("PAR1\xff\xff\xff\x7fPAR1")).bytes(), nil, "footer"},
		{"segment 2 without 1", sound().add("events/marks/000002.parquet", []byte("PAR1\xff\xff\xff\x7fPAR1")).bytes(), nil, "segment 1 of table marks was expected here"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Open(rewrite(t, c.data))
			if c.wantErr != nil {
				if !errors.Is(err, c.wantErr) || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("error %v, want %v with %q", err, c.wantErr, c.problem)
				}
				return
			}
			must(t, err)
			defer got.Close()
			readEverything(t, got)
			if !slices.ContainsFunc(got.Problems(), func(p Problem) bool { return strings.Contains(p.String(), c.problem) }) {
				t.Errorf("problems %v, want one with %q", got.Problems(), c.problem)
			}
		})
	}
}

// compressed has an entry that claims to be deflated.
func compressed(manifest []byte) []byte {
	z := new(buildZip).add(manifestName, manifest)
	at := len(z.buf)
	z.add("events/marks/000001.parquet", []byte("abc"))
	z.buf[at+8] = 8
	return z.bytes()
}

// overlapping has two directory records whose data share bytes.
func overlapping(manifest []byte) []byte {
	inner := new(buildZip).add("inner", []byte("x"))
	z := new(buildZip).add(manifestName, manifest)
	at := len(z.buf) + localHeaderLen + len("outer")
	z.add("outer", inner.buf)
	e := entry{name: "inner", offset: int64(at), size: 1, crc: le.Uint32(inner.buf[14:])}
	z.central = appendCentralHeader(z.central, e)
	z.count++
	return z.bytes()
}

// patched changes the n-th directory record of z at a byte.
func patched(z *buildZip, n, at int, value byte) []byte {
	pos := 0
	for range n {
		pos += centralHeaderLen + int(le.Uint16(z.central[pos+28:]))
	}
	z.central[pos+at] = value
	return z.bytes()
}

func TestNewerFormatNamesWhatItNeeds(t *testing.T) {
	data := manifestJSON(t, func(m *Manifest) { m.Version, m.KmonVersion = Version+1, "9.8.7" })
	_, err := Open(rewrite(t, new(buildZip).add(manifestName, data).bytes()))
	if !errors.Is(err, ErrTooNew) || !strings.Contains(err.Error(), "needs kmon 9.8.7 or later") {
		t.Errorf("error is %v", err)
	}
	var place *FileError
	if !errors.As(err, &place) || place.Entry != manifestName {
		t.Errorf("error %v does not name the entry", err)
	}
}
