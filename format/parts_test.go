package format

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	partNs        = int64(10e9) // length of a part in these tests
	testRecording = "0123456789abcdef"
)

// partName is the file of a part.
func partName(dir string, part int) string {
	return filepath.Join(dir, fmt.Sprintf("shop-%06d.kmon", part))
}

// writePart writes a part that lasts from part × 10 s on: an exchange each tenth
// of a second on a socket that is open all the time, and one on a socket that
// the part sees opened and closed. change may alter the manifest.
func writePart(t testing.TB, dir string, part int, change func(*Manifest)) string {
	t.Helper()
	start := int64(part) * partNs
	m := testManifest()
	m.Clock.RealtimeNs += start - m.Clock.MonotonicNs
	m.Clock.MonotonicNs = start
	m.Recording = &RecordingPart{ID: testRecording, Part: part}
	if change != nil {
		change(&m)
	}
	path := partName(dir, part)
	w, err := Create(path, m, WriterOptions{NoSync: true})
	must(t, err)
	own := int64(100 + part)
	must(t, Append(w, Process{TsNs: start, PID: 7, Comm: "shop"}))
	must(t, Append(w,
		Socket{TsNs: start, SocketID: 1, Event: SocketExisting, Role: RoleServer, RoleSource: RoleSourceAccept, LocalPort: 80},
		Socket{TsNs: start + 1e9, SocketID: own, Event: SocketOpen, Role: RoleServer, RoleSource: RoleSourceAccept, LocalPort: 80},
		Socket{TsNs: start + 4e9, SocketID: own, Event: SocketClose, CloseReason: CloseLocal}))
	for i := range int64(100) {
		row := Exchange{SocketID: 1, StartNs: start + i*1e8, ServerNs: 1e6, RequestBytes: 10, AnswerBytes: 10, PID: 7}
		if i == 20 {
			row.SocketID = own
		}
		must(t, Append(w, row))
		if i%10 == 9 {
			must(t, Append(w, Self{TsNs: row.StartNs, RealtimeNs: 1, CPUNs: i * 1e6}))
			w.exchanges.flush(true)
		}
	}
	must(t, Append(w, Loss{StartNs: start, EndNs: start + 2e9, Collector: "tcp", Table: "exchanges", Cause: LossRingFull, Count: 5}))
	must(t, Append(w, Mark{TsNs: start + 3e9, Kind: "user", Text: fmt.Sprint("in part ", part)}))
	must(t, w.Close(Final{EndNs: start + partNs, EndUnixNs: 1, StopReason: "rotate", Losses: map[string]int64{"tcp/ring-full": 5},
		CPUNs: 1e8, MaxRSSBytes: 1 << 20}))
	return path
}

// writeParts writes parts and gives their files.
func writeParts(t testing.TB, dir string, parts ...int) []string {
	t.Helper()
	var paths []string
	for _, part := range parts {
		paths = append(paths, writePart(t, dir, part, nil))
	}
	return paths
}

// openParts opens parts and closes them with the test.
func openParts(t testing.TB, paths ...string) *Capture {
	t.Helper()
	c, err := OpenParts(paths...)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestPartsAreOneCapture(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 3)
	c := openParts(t, paths[2], paths[0], paths[1])
	noProblems(t, c)
	rows, err := All[Exchange](c)
	must(t, err)
	if len(rows) != 300 || !slices.IsSortedFunc(rows, func(a, b Exchange) int { return compareInt(a.StartNs, b.StartNs) }) {
		t.Errorf("%d exchanges, want 300 in the order of time", len(rows))
	}
	if c.Path != paths[0] || c.Manifest.Recording.Part != 1 || len(c.Parts()) != 3 {
		t.Errorf("it begins with %s, part %d of %d", c.Path, c.Manifest.Recording.Part, len(c.Parts()))
	}
	f := c.Final
	if f.EndNs != 4*partNs || f.Rows["exchanges"] != 300 || f.Losses["tcp/ring-full"] != 15 || f.CPUNs != 3e8 {
		t.Errorf("summary is %+v", f)
	}
	self, err := All[Self](c)
	must(t, err)
	if cost := CostOf(self, &c.Manifest); cost.CPUNs != 3*99e6 {
		t.Errorf("by its rows recording cost %d ns", cost.CPUNs)
	}
	places := map[int64]bool{}
	for _, table := range c.Tables() {
		for _, s := range c.Segments(table) {
			if places[s.Place] {
				t.Errorf("two segments are at %d", s.Place)
			}
			places[s.Place] = true
		}
	}
	if gaps := c.Gaps(); gaps != nil {
		t.Errorf("gaps %v, want none", gaps)
	}
}

func TestGapsBetweenParts(t *testing.T) {
	dir := t.TempDir()
	paths := writeParts(t, dir, 1, 2, 3, 4, 5, 6)
	cut := filepath.Join(t.TempDir(), "cut.kmon")
	cutAfter(t, paths[3], cut, "events/self/")
	for _, test := range []struct {
		name  string
		paths []string
		want  []Gap
	}{
		{"one part, the first", paths[:1], nil},
		{"one part", paths[2:3], []Gap{{Before: 3, EndNs: 3 * partNs}}},
		{"the last ones", paths[4:], []Gap{{Before: 5, EndNs: 5 * partNs}}},
		{"one in the middle", []string{paths[0], paths[2]}, []Gap{{After: 1, Before: 3, StartNs: 2 * partNs, EndNs: 3 * partNs}}},
		{"two holes", []string{paths[0], paths[3], paths[5]}, []Gap{
			{After: 1, Before: 4, StartNs: 2 * partNs, EndNs: 4 * partNs}, {After: 4, Before: 6, StartNs: 5 * partNs, EndNs: 6 * partNs}}},
		{"one was cut", []string{paths[2], cut, paths[4]}, []Gap{
			{Before: 3, EndNs: 3 * partNs}, {After: 4, Before: 5, StartNs: 5*partNs - 99e6, EndNs: 5 * partNs}}},
	} {
		if got := openParts(t, test.paths...).Gaps(); !slices.Equal(got, test.want) {
			t.Errorf("%s: gaps are %+v, want %+v", test.name, got, test.want)
		}
	}
}

// cutAfter copies a capture as far as its last segment of a table.
func cutAfter(t testing.TB, src, dst, table string) {
	t.Helper()
	data, err := os.ReadFile(src)
	must(t, err)
	end := int64(0)
	for _, e := range open(t, src).entries {
		if strings.HasPrefix(e.name, table) {
			end = e.data + e.size
		}
	}
	must(t, os.WriteFile(dst, data[:end], 0o600))
}

func TestPartsThatDoNotFit(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	paths := writeParts(t, dir, 1, 2)
	for _, test := range []struct {
		name  string
		paths []string
		want  string
	}{
		{"nothing", nil, "no capture given"},
		{"twice the same", []string{paths[1], paths[0], paths[1]}, "both have part 2"},
		{"another recording", []string{paths[0], writePart(t, other, 2, func(m *Manifest) { m.Recording.ID = "fedcba9876543210" })}, "different recordings"},
		{"another machine", []string{paths[0], writePart(t, other, 3, func(m *Manifest) { m.Host.BootID = "c" })}, "different recordings"},
		{"a whole recording", []string{paths[0], writeSample(t, 10)}, "is no part"},
		{"out of order", []string{paths[1], writePart(t, other, 4, func(m *Manifest) { m.Clock.MonotonicNs = 1 })}, "begins before"},
		{"no capture", []string{paths[0], "parts_test.go"}, "not a kmon capture"},
	} {
		if c, err := OpenParts(test.paths...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, error %v, want %q", test.name, c, err, test.want)
		}
	}
}

func TestOpenAllPutsPartsTogether(t *testing.T) {
	dir := t.TempDir()
	paths := writeParts(t, dir, 1, 2)
	whole := writeSample(t, 10)
	list, err := OpenAll([]string{paths[1], whole, paths[0]})
	must(t, err)
	defer closeEach(list)
	if len(list) != 2 || list[0].Path != paths[0] || len(list[0].Parts()) != 2 || list[1].Path != whole || list[1].Parts() != nil {
		t.Errorf("got %d captures", len(list))
	}
	if _, err := OpenAll([]string{paths[0], paths[0]}); err == nil {
		t.Error("a part was taken twice")
	}
}

// What is wrong with a part is told with its file.
func TestDamagedPart(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 3)
	at := open(t, paths[1]).Segments("exchanges")[3]
	f, err := os.OpenFile(paths[1], os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("xxxx"), at.entry.data+30)
	must(t, err)
	must(t, f.Close())
	c := openParts(t, paths...)
	rows, err := All[Exchange](c)
	must(t, err)
	problems := c.Problems()
	if len(rows) != 290 || len(problems) != 1 || problems[0].File != paths[1] || problems[0].Offset != at.Offset {
		t.Errorf("%d rows, problems %v", len(rows), problems)
	}
}

func TestNonsenseAboutParts(t *testing.T) {
	for _, r := range []RecordingPart{
		{ID: "", Part: 1},
		{ID: testRecording, Part: 0},
		{ID: "../../etc/passwd", Part: 1},
		{ID: testRecording, Part: 2, Joined: []PartSpan{{First: 1, Last: 2}}},
		{ID: testRecording, Part: 2, Joined: []PartSpan{{First: 2, Last: 1}}},
		{ID: testRecording, Part: 2, Joined: []PartSpan{{First: 2, Last: 3, StartNs: 5, EndNs: 4}}},
		{ID: testRecording, Part: 2, Joined: []PartSpan{{First: 2, Last: 3, EndNs: 4}, {First: 3, Last: 4, StartNs: 5, EndNs: 6}}},
		{ID: testRecording, Part: 2, Joined: []PartSpan{{First: 2, Last: 3, EndNs: 4}, {First: 5, Last: 5, StartNs: 3, EndNs: 6}}},
	} {
		c := open(t, writePart(t, t.TempDir(), 2, func(m *Manifest) { m.Recording = &r }))
		if p := c.Problems(); c.Manifest.Recording != nil || len(p) != 1 || !p[0].Damage || c.Gaps() != nil {
			t.Errorf("%+v was taken, problems %v", r, p)
		}
	}
}
