package format

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// joined joins parts and opens the result.
func joined(t testing.TB, paths []string, o JoinOptions) (*Capture, Report) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "joined.kmon")
	r, err := Join(t.Context(), dst, paths, o)
	must(t, err)
	v, err := Verify(t.Context(), dst)
	must(t, err)
	for _, p := range v.Problems {
		t.Errorf("problem: %s", p)
	}
	if !reflect.DeepEqual(v.Rows, r.Rows) || v.Size != r.Size || v.Entries != r.Entries || r.File != dst {
		t.Errorf("the report is %+v, the file has %+v", r, v)
	}
	return open(t, dst), r
}

func TestJoinedPartsAreThatOfAll(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 4)
	parts := openParts(t, paths...)
	one, r := joined(t, []string{paths[1], paths[2], paths[0]}, JoinOptions{})
	if len(r.Problems) > 0 {
		t.Errorf("problems %v", r.Problems)
	}
	if !reflect.DeepEqual(one.Final, parts.Final) {
		t.Errorf("summary is %+v, want %+v", one.Final, parts.Final)
	}
	if !slices.Equal(one.Gaps(), parts.Gaps()) || len(one.Gaps()) != 1 {
		t.Errorf("gaps are %v, want %v", one.Gaps(), parts.Gaps())
	}
	parts.Manifest.Recording, one.Manifest.Recording = nil, nil
	var want, got bytes.Buffer
	must(t, WriteText(&want, parts))
	must(t, WriteText(&got, one))
	if got.String() != want.String() {
		t.Error("manifest or rows differ from those of the parts")
	}
	order := func(c *Capture) (tables []string) {
		for _, s := range c.inOrder() {
			tables = append(tables, s.Table)
		}
		return tables
	}
	if got, want := order(one), order(parts); !slices.Equal(got, want) {
		t.Errorf("segments are in the order %v, want %v", got, want)
	}
	info, err := os.Stat(one.Path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
}

// A joined capture may be joined with later parts, but not with what it holds.
func TestJoinAgain(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 3, 5)
	first, _ := joined(t, paths[:2], JoinOptions{})
	all, _ := joined(t, []string{paths[3], first.Path, paths[2]}, JoinOptions{})
	want := []PartSpan{{1, 3, partNs, 4 * partNs}, {5, 5, 5 * partNs, 6 * partNs}}
	if got := all.Manifest.Recording.Joined; !slices.Equal(got, want) || all.Final.Rows["exchanges"] != 400 {
		t.Errorf("it holds %v with %d exchanges, want %v", got, all.Final.Rows["exchanges"], want)
	}
	if _, err := OpenParts(first.Path, paths[1]); err == nil {
		t.Error("a joined capture and a part that it holds are taken together")
	}
}

func TestJoinSince(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 3)
	since := 2*partNs + 3.55e9
	c, _ := joined(t, paths, JoinOptions{SinceNs: int64(since), Marks: []Mark{{TsNs: 4 * partNs, Kind: "dump", Text: "asked for"}}, StopReason: "dump"})
	exchanges, err := All[Exchange](c)
	must(t, err)
	if n := len(exchanges); n != 100+64 || exchanges[0].StartNs != 2*partNs+3.6e9 {
		t.Errorf("%d exchanges from %d on, want 164", n, exchanges[0].StartNs)
	}
	sockets, err := All[Socket](c)
	must(t, err)
	if len(sockets) != 2*3 || sockets[0].SocketID != 1 { // 102 closes later than that
		t.Errorf("sockets are %v", sockets)
	}
	marks, err := All[Mark](c)
	must(t, err)
	if len(marks) != 2 || marks[0].Text != "in part 3" || marks[1].Kind != "dump" {
		t.Errorf("marks are %v", marks)
	}
	self, err := All[Self](c)
	must(t, err)
	if cost := CostOf(self, &c.Manifest); cost.CPUNs != 60e6+99e6 { // of the 99e6 of part 2, 39e6 were before
		t.Errorf("by its rows recording cost %d ns", cost.CPUNs)
	}
	if f := c.Final; f.CPUNs != 2e8-29e6 { // the last row before
		t.Errorf("by its summary recording cost %d ns", f.CPUNs)
	}
	if f := c.Final; f.StopReason != "dump" || f.Losses["tcp/ring-full"] != 5 || f.EndNs != 4*partNs {
		t.Errorf("summary is %+v", f)
	}
	m := c.Manifest
	if m.Clock.MonotonicNs != int64(since) || m.Clock.RealtimeNs-m.Clock.MonotonicNs != testManifest().Clock.RealtimeNs-testManifest().Clock.MonotonicNs {
		t.Errorf("the clock is %+v", m.Clock)
	}
	want := RecordingPart{ID: testRecording, Part: 2, SinceNs: int64(since), Joined: []PartSpan{{2, 3, int64(since), 4 * partNs}}}
	if !reflect.DeepEqual(*m.Recording, want) || c.Gaps() != nil {
		t.Errorf("it is %+v with gaps %v, want %+v", *m.Recording, c.Gaps(), want)
	}
}

// A socket that closed before, and its exchanges, are left out together.
func TestJoinSinceLeavesOutClosedSockets(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 2)
	c, _ := joined(t, paths, JoinOptions{SinceNs: 2*partNs + 4.1e9})
	sockets, err := All[Socket](c)
	must(t, err)
	processes, err := All[Process](c)
	must(t, err)
	if len(sockets) != 1 || sockets[0].SocketID != 1 || len(processes) != 1 {
		t.Errorf("sockets are %v, processes %v", sockets, processes)
	}
}

// What is asked for may reach further back than what is there.
func TestJoinSinceBeforeAll(t *testing.T) {
	for first, since := range map[int]int64{1: 0, 3: 3 * partNs} {
		paths := writeParts(t, t.TempDir(), first, first+1)
		c, _ := joined(t, paths, JoinOptions{SinceNs: partNs / 2})
		if c.Final.Rows["exchanges"] != 200 || c.Manifest.Clock.MonotonicNs != int64(first)*partNs || len(c.Gaps()) != 0 || c.Manifest.Recording.SinceNs != since {
			t.Errorf("from part %d on it has %v from %d on, gaps %v, since %d", first, c.Final.Rows, c.Manifest.Clock.MonotonicNs, c.Gaps(), c.Manifest.Recording.SinceNs)
		}
	}
}

// A part without an end gives a capture without one; one in between leaves a
// gap.
func TestJoinCutParts(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2)
	cut := filepath.Join(t.TempDir(), "cut.kmon")
	cutAfter(t, paths[1], cut, "events/self/")
	dst := filepath.Join(t.TempDir(), "joined.kmon")
	r, err := Join(t.Context(), dst, []string{paths[0], cut}, JoinOptions{})
	must(t, err)
	if c := open(t, dst); c.Final != nil || len(r.Problems) == 0 || r.Problems[0].File != cut || r.Rows["exchanges"] == 0 {
		t.Errorf("summary %v, problems %v", c.Final, r.Problems)
	}
	cutAfter(t, paths[0], cut+"1", "events/self/")
	if c, _ := joined(t, []string{cut + "1", paths[1]}, JoinOptions{}); len(c.Gaps()) != 1 || c.Gaps()[0].EndNs != 2*partNs {
		t.Errorf("gaps are %v", c.Gaps())
	}
}

func TestJoinCountsDamage(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2)
	at := open(t, paths[0]).Segments("exchanges")[3]
	f, err := os.OpenFile(paths[0], os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("xxxx"), at.entry.data+30)
	must(t, err)
	must(t, f.Close())
	c, r := joined(t, paths, JoinOptions{})
	losses, err := All[Loss](c)
	must(t, err)
	want := Loss{StartNs: partNs, EndNs: 2 * partNs, Collector: "tcp", Table: "exchanges", Cause: LossDamage, Count: 10}
	if !slices.Contains(losses, want) || len(r.Problems) != 1 || r.Problems[0].File != paths[0] {
		t.Errorf("losses are %v, problems %v", losses, r.Problems)
	}
}

func TestJoinRefuses(t *testing.T) {
	dir := t.TempDir()
	paths := writeParts(t, dir, 1, 2)
	for _, test := range []struct{ dst, want string }{
		{paths[0], "never overwritten"},
		{filepath.Join(dir, "missing", "x.kmon"), "no such file"},
	} {
		if _, err := Join(t.Context(), test.dst, paths, JoinOptions{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.dst, err, test.want)
		}
	}
	if _, err := Join(t.Context(), filepath.Join(dir, "new.kmon"), []string{writeSample(t, 10)}, JoinOptions{}); err == nil {
		t.Error("a whole recording was joined")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(left) != 2 {
		t.Errorf("files are %v", left)
	}
}

func TestJoinOnAFullDisk(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 3)
	dir := t.TempDir()
	size := open(t, paths[0]).Size
	for _, since := range []int64{0, 2*partNs + 3.55e9} {
		f := &disk{free: int(size)}
		o := WriterOptions{NoSync: true, openFile: func(path string) (file, error) { return f, os.WriteFile(path, nil, 0o600) }}
		_, err := join(t.Context(), filepath.Join(dir, "x.kmon"), paths, JoinOptions{SinceNs: since}, o)
		if !DiskFailed(err) {
			t.Errorf("error %v, want that the disk is full", err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("it left %v", left)
		}
	}
}
