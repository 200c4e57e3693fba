package format

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// cutOf cuts a capture, checks the result and opens it.
func cutOf(t *testing.T, c *Capture, o CutOptions) (*Capture, Report) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "cut.kmon")
	o.NoSync = true
	r, err := Cut(t.Context(), dst, c, o)
	must(t, err)
	v, err := Verify(t.Context(), dst)
	must(t, err)
	for _, p := range v.Problems {
		t.Errorf("problem: %s", p)
	}
	return open(t, dst), r
}

// TestEveryEventHasAMoment holds that Cut and Join know when the rows of a new
// table of events happened.
func TestEveryEventHasAMoment(t *testing.T) {
	for _, table := range tables {
		switch table.name {
		case "sockets", "procs": // of things that last
			continue
		}
		if _, ok := momentOf(reflect.New(table.row).Interface()); ok != (table.dir == "events") {
			t.Errorf("table %s: a moment is known: %v", table.name, ok)
		}
	}
}

func TestCut(t *testing.T) {
	whole := open(t, writePart(t, t.TempDir(), 2, func(m *Manifest) { m.Recording = nil }))
	start := 2 * partNs
	c, r := cutOf(t, whole, CutOptions{SinceNs: start + 3e9, UntilNs: start + 6e9})
	if r.Rows["exchanges"] != 30 || r.Rows["marks"] != 1 || r.Rows["processes"] != 1 || r.Rows["losses"] != 0 {
		t.Errorf("rows are %v", r.Rows)
	}
	hash, err := whole.SHA256()
	must(t, err)
	if want := (CutFacts{start + 3e9, start + 6e9, start, start + partNs, hash}); *c.Manifest.Cut != want {
		t.Errorf("it was cut %+v, want %+v", *c.Manifest.Cut, want)
	}
	clock, before := c.Manifest.Clock, whole.Manifest.Clock
	if clock.MonotonicNs != start+3e9 || clock.RealtimeNs-clock.MonotonicNs != before.RealtimeNs-before.MonotonicNs {
		t.Errorf("the clock is %+v", clock)
	}
	if f := c.Final; f.EndNs != start+6e9 || f.StopReason != "cut" || f.CPUNs != 30e6 || len(f.Losses) != 0 {
		t.Errorf("the summary is %+v", f)
	}
	sockets, err := All[Socket](c)
	must(t, err)
	if len(sockets) != 3 { // the second closes in the time
		t.Errorf("sockets are %v", sockets)
	}
	later, _ := cutOf(t, whole, CutOptions{SinceNs: start + 5e9})
	if sockets, err := All[Socket](later); len(sockets) != 1 || err != nil {
		t.Errorf("sockets after one has closed are %v, %v", sockets, err)
	}
	if f := later.Final; f.StopReason != "rotate" || later.Manifest.Cut.UntilNs != 0 {
		t.Errorf("a cut to the end has the summary %+v", f)
	}
	first, _ := cutOf(t, whole, CutOptions{UntilNs: start + 5e8})
	if sockets, err := All[Socket](first); len(sockets) != 1 || err != nil {
		t.Errorf("sockets before one is opened are %v, %v", sockets, err)
	}
	if _, err := Cut(t.Context(), filepath.Join(t.TempDir(), "x.kmon"), whole, CutOptions{SinceNs: start + partNs}); err == nil {
		t.Error("a time after the end is cut out")
	}
}

// A cut of a cut is that of the whole.
func TestCutTwice(t *testing.T) {
	whole := open(t, writePart(t, t.TempDir(), 2, func(m *Manifest) { m.Recording = nil }))
	start := 2 * partNs
	first, _ := cutOf(t, whole, CutOptions{SinceNs: start + 1e9, UntilNs: start + 8e9})
	twice, _ := cutOf(t, first, CutOptions{SinceNs: start + 3e9})
	once, _ := cutOf(t, whole, CutOptions{SinceNs: start + 3e9, UntilNs: start + 8e9})
	if rowsOf(t, twice) != rowsOf(t, once) {
		t.Error("rows differ")
	}
	if f := twice.Manifest.Cut; f.SinceNs != start+3e9 || f.UntilNs != start+8e9 {
		t.Errorf("it was cut %+v", f)
	}
}

func TestCutLosses(t *testing.T) {
	within := Range{100, 200}
	for _, test := range []struct{ loss, want Loss }{
		{Loss{StartNs: 50, EndNs: 150, Count: 10}, Loss{StartNs: 100, EndNs: 150, Count: 5}},
		{Loss{StartNs: 110, EndNs: 120, Count: 10}, Loss{StartNs: 110, EndNs: 120, Count: 10}},
		{Loss{StartNs: 0, EndNs: 420, Count: 8}, Loss{StartNs: 100, EndNs: 200, Count: 2}},   // with the capture, at 20
		{Loss{StartNs: 199, EndNs: 300, Count: 8}, Loss{StartNs: 199, EndNs: 200, Count: 1}}, // at least one, it is not known to be none
		{Loss{StartNs: 50, EndNs: 250, Count: LossUncounted}, Loss{StartNs: 100, EndNs: 200, Count: LossUncounted}},
		{Loss{StartNs: 150, EndNs: 150, Count: 3}, Loss{StartNs: 150, EndNs: 150, Count: 3}},
		{Loss{StartNs: 150, EndNs: 140, Count: 3}, Loss{StartNs: 150, EndNs: 150, Count: 3}}, // of a damaged row only the count is known
		{Loss{StartNs: 50, EndNs: 150, Count: math.MaxInt64}, Loss{StartNs: 100, EndNs: 150, Count: 1 << 62}},
		{Loss{StartNs: 10, EndNs: 100, Count: 3}, Loss{}},
		{Loss{StartNs: 201, EndNs: 300, Count: 3}, Loss{}},
	} {
		got, any := within.Clip(test.loss, 20)
		if !any {
			got = Loss{}
		}
		if got != test.want {
			t.Errorf("%+v becomes %+v, want %+v", test.loss, got, test.want)
		}
	}
}

// TestCutParts cuts across parts, one of which is missing.
func TestCutParts(t *testing.T) {
	paths := writeParts(t, t.TempDir(), 1, 2, 4)
	whole := openParts(t, paths...)
	c, r := cutOf(t, whole, CutOptions{SinceNs: 2*partNs + 5e9, UntilNs: 4*partNs + 5e9})
	if r.Rows["exchanges"] != 100 {
		t.Errorf("rows are %v", r.Rows)
	}
	want := []Gap{{After: 2, Before: 4, StartNs: 3 * partNs, EndNs: 4 * partNs}}
	if got := c.Gaps(); !slices.Equal(got, want) {
		t.Errorf("gaps are %v, want %v", got, want)
	}
	all, err := OpenAll([]string{c.Path, paths[0]})
	must(t, err)
	defer func() { must(t, closeEach(all)) }()
	if len(all) != 2 {
		t.Error("a cut capture counts as a part of its recording")
	}
	if _, err := Join(t.Context(), filepath.Join(t.TempDir(), "x.kmon"), []string{c.Path, paths[0]}, JoinOptions{}); err == nil {
		t.Error("a cut capture is joined with a part")
	}
	if _, err := Cut(t.Context(), filepath.Join(t.TempDir(), "y.kmon"), whole, CutOptions{SinceNs: 3*partNs + 1e9, UntilNs: 3*partNs + 2e9}); err == nil {
		t.Error("a time that is missing is cut out")
	}
}

// TestCutKeepsStreams holds that a socket which a row after the time labels a
// stream is one in the cut.
func TestCutKeepsStreams(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Socket{TsNs: 1e9, SocketID: 1, Event: SocketExisting, Role: RoleServer}, Socket{TsNs: 7e9, SocketID: 2, Event: SocketOpen, Role: RoleServer}))
	for i := range int64(10) {
		row := Exchange{SocketID: 1, StartNs: (1 + i) * 1e9, ServerNs: 1e6}
		if i >= 7 {
			row.Flags = ExchangeStream | ExchangeInterleaved
			must(t, Append(w, Exchange{SocketID: 2, StartNs: row.StartNs, Flags: row.Flags}))
		}
		must(t, Append(w, row))
	}
	must(t, w.Close(Final{EndNs: 12e9, StopReason: "duration"}))
	c, _ := cutOf(t, open(t, path), CutOptions{SinceNs: 2e9, UntilNs: 5e9})
	rows, err := All[Exchange](c)
	must(t, err)
	if len(rows) != 4 || rows[3].StartNs != 8e9 || rows[3].SocketID != 1 {
		t.Errorf("rows are %v", rows)
	}
}

// TestCutKeepsListedSockets holds that a socket which was open at the start is
// there, however late it was listed; one that opened later is not, also when the
// next part lists it.
func TestCutKeepsListedSockets(t *testing.T) {
	w, path := create(t)
	must(t, Append(w, Socket{TsNs: 6e9, SocketID: 1, Event: SocketExisting}, Socket{TsNs: 7e9, SocketID: 2, Event: SocketOpen},
		Socket{TsNs: 8e9, SocketID: 2, Event: SocketExisting}, Socket{TsNs: 9e9, SocketID: 1, Event: SocketClose}))
	must(t, w.Close(Final{EndNs: 12e9, StopReason: "duration"}))
	for _, test := range []struct {
		o    CutOptions
		want int
	}{{CutOptions{SinceNs: 2e9, UntilNs: 5e9}, 2}, {CutOptions{UntilNs: 5e9}, 2}, {CutOptions{SinceNs: 10e9}, 2}, {CutOptions{SinceNs: 2e9}, 4}} {
		c, _ := cutOf(t, open(t, path), test.o)
		if rows, err := All[Socket](c); len(rows) != test.want || err != nil {
			t.Errorf("%+v: sockets are %v, %v, want %d", test.o, rows, err, test.want)
		}
	}
}
