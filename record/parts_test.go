package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
)

// nextPart completes the part that is written, if there is one, and begins
// another.
func nextPart(t *testing.T, p *parts, w *format.Writer) (*format.Writer, error) {
	t.Helper()
	p.prepare(0)
	next, file, err := p.begin(<-p.preparing.done, format.ClockPair{MonotonicNs: int64(p.current.number + 1)})
	if err != nil {
		return w, err
	}
	if w != nil {
		if err := w.Close(format.Final{}); err != nil {
			t.Fatal(err)
		}
		p.current.bytes = w.Size()
		p.keep(p.current)
	}
	p.current = file
	return next, nil
}

// write makes parts until there are n in all.
func write(t *testing.T, p *parts, w *format.Writer, n int) *format.Writer {
	t.Helper()
	for p.current.number < n {
		var err error
		if w, err = nextPart(t, p, w); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func someParts(t *testing.T, dir string, o Options) *parts {
	t.Helper()
	p, err := newParts(filepath.Join(dir, "x.kmon"), o, format.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p
}

// TestOldestPartsMakeRoom: there are never more files than asked for, and what is
// not a part that was written here is left alone.
func TestOldestPartsMakeRoom(t *testing.T) {
	dir := t.TempDir()
	p := someParts(t, dir, Options{Rotate: Rotation{Every: time.Minute, Count: 3}})
	w := write(t, p, nil, 3)
	replaced := filepath.Join(dir, "x-000002.kmon")
	if err := errors.Join(os.Remove(replaced), os.WriteFile(replaced, []byte("somebody's"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w = write(t, p, w, 5)
	if err := os.Rename(filepath.Join(dir, "x-000003.kmon"), filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	w = write(t, p, w, 7)
	want := []string{"kept", "x-000002.kmon", "x-000005.kmon", "x-000006.kmon", "x-000007.kmon.part"}
	if got := filesIn(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if p.removed != 2 || len(p.said) != 4 || !strings.Contains(p.said[1], "another file") || !strings.Contains(p.said[2], "gone") {
		t.Errorf("%d removed: %q", p.removed, p.said)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
}

// TestPartsShareTheirBytes: with a bound of all, parts are removed before those
// that are there and what the next may become exceed it.
func TestPartsShareTheirBytes(t *testing.T) {
	p := &parts{partBytes: 10 << 20, totalBytes: 20 << 20, current: partFile{number: 4, bytes: 6 << 20}}
	for i := range 3 {
		p.keep(partFile{number: i + 1, bytes: 4 << 20})
	}
	old := p.takeOld(0)
	if len(old) != 1 || old[0].number != 1 || !strings.Contains(old[0].why, "--max-size") {
		t.Errorf("%+v are to be removed, want the first", old)
	}
	if room := p.room(); room != 6<<20 || p.taken()+room != p.totalBytes {
		t.Errorf("the next may have %d bytes, %d are taken", room, p.taken())
	}
}

// TestPartsAreNeverMixed: parts of another recording are neither overwritten nor
// taken for one's own.
func TestPartsAreNeverMixed(t *testing.T) {
	for name, mixed := range map[string]bool{
		"x-000001.kmon": true, "x-000007.kmon.part": true, "x-1000000.kmon": true,
		"x.kmon": false, "x-00001.kmon": false, "x-000001.kmo": false, "y-000001.kmon": false, "x-00000a.kmon": false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := newParts(filepath.Join(dir, "x.kmon"), Options{Rotate: Rotation{Every: time.Minute}}, format.Manifest{})
		if mixed != errors.Is(err, fs.ErrExist) {
			t.Errorf("beside %s: %v", name, err)
		}
		if err == nil {
			_ = p.close()
		}
	}
	dir := t.TempDir()
	p := someParts(t, dir, Options{Rotate: Rotation{Every: time.Minute}})
	w := write(t, p, nil, 1)
	if err := os.WriteFile(filepath.Join(dir, "x-000002.kmon"), []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := nextPart(t, p, w); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "begin part 2") {
		t.Errorf("a file of the next part's name: %v", err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	if got := filesIn(t, dir); !slices.Equal(got, []string{"x-000002.kmon"}) {
		t.Errorf("left are %v", got)
	}
}

// TestLateSockets: the row of a socket that ended before a turn comes again when
// an exchange of it comes after, once.
func TestLateSockets(t *testing.T) {
	var l late
	l.see([]format.Socket{{SocketID: 1, Event: format.SocketOpen}, {SocketID: 2, Event: format.SocketClose}, {SocketID: 3, Event: format.SocketClose}})
	l.turn()
	exchanges := []format.Exchange{{SocketID: 1}, {SocketID: 2}, {SocketID: 2}, {SocketID: 4}}
	if rows := l.missing(exchanges); len(rows) != 1 || rows[0].SocketID != 2 {
		t.Errorf("got %+v", rows)
	}
	if rows := l.missing(exchanges); rows != nil {
		t.Errorf("again %+v", rows)
	}
	l.turn()
	if rows := l.missing([]format.Exchange{{SocketID: 3}}); rows != nil {
		t.Errorf("a part later %+v", rows)
	}
}

func TestRotationsRefused(t *testing.T) {
	for _, c := range []struct {
		rotation Rotation
		maxSize  int64
		want     string
	}{
		{Rotation{Count: 3}, 0, "--rotate"},
		{Rotation{SizeBytes: MinMaxSizeBytes - 1}, 0, "too small"},
		{Rotation{Every: MinRotateEvery - 1}, 0, "too short"},
		{Rotation{Every: time.Minute, Count: 1}, 0, "too few"},
		{Rotation{Every: time.Minute}, MinMaxSizeBytes, "too little"},
		{Rotation{Every: time.Minute, Count: 2}, 2 * MinMaxSizeBytes, ""},
		{Rotation{}, MinMaxSizeBytes, ""},
	} {
		err := c.rotation.check(c.maxSize)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v of %d bytes: %v, want %q", c.rotation, c.maxSize, err, c.want)
		}
	}
}
