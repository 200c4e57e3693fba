package record

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/format"
	"kmon/record/probe"
)

func TestMarkText(t *testing.T) {
	for text, want := range map[string]string{
		"deploy 42":                         "",
		"日本":                                "",
		strings.Repeat("x", MaxMarkBytes):   "",
		strings.Repeat("x", 1+MaxMarkBytes): "a mark has at most 1024 bytes, this one has 1025",
		"":                                  "a mark needs a text",
		" \t":                               "a mark needs a text",
		"a\nb":                              "a mark is one line of text",
		"a\x1b[2J":                          "a mark is one line of text",
		"\xff":                              "a mark is one line of text",
	} {
		got := ""
		if err := checkMark(text); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.20q: got %q, want %q", text, got, want)
		}
	}
}

func TestMarkSocketsInList(t *testing.T) {
	const list = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00000000 0002 01 22222 @kmon-record-20
0000000000000000: 00000002 00000000 00000000 0002 01 22223 @kmon-record-3.2
0000000000000000: 00000002 00000000 00000000 0002 01 22224 @kmon-record-3
0000000000000000: 00000002 00000000 00000000 0002 01 22224 @kmon-record-3
0000000000000000: 00000002 00000000 00000000 0002 01 22225 @kmon-record--1
0000000000000000: 00000002 00000000 00000000 0002 01 22226 @kmon-record-
0000000000000000: 00000002 00000000 00000000 0002 01 22227 /run/kmon-record-5
0000000000000000: 00000002 00000000 00000000 0002 01 22228
`
	var got []string
	for _, s := range markSocketsIn(list) {
		got = append(got, s.name)
	}
	if want := "@kmon-record-3 @kmon-record-3.2 @kmon-record-20"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Only root and the recorder's own user are heard.
func TestSendersOfMarks(t *testing.T) {
	own := uint32(os.Geteuid())
	for _, test := range []struct {
		control []byte
		want    bool
	}{
		{unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: 0}), true},
		{unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: own}), true},
		{unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: own + 65534}), false},
		{nil, false},
		{[]byte("garbage"), false},
	} {
		if _, got := trusted(test.control); got != test.want {
			t.Errorf("%x: got %v, want %v", test.control, got, test.want)
		}
	}
}

// A mark stands in the capture at the time it was sent; what is not a mark is
// refused by the recorder too.
func TestMarksReachTheCapture(t *testing.T) {
	requireBPF(t)
	ctx, stop := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "marked.kmon")
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, Options{Output: path, Collectors: []string{"proc"}})
		done <- err
	}()
	var marked []Marked
	waitUntil(t, "a recording that takes marks", func() bool {
		var err error
		if marked, err = Mark(ctx, "deploy 42", os.Getpid()); err != nil && !errors.Is(err, ErrNotRecording) {
			t.Fatal(err)
		}
		return len(marked) > 0
	})
	if len(marked) != 1 || marked[0].Path != path || marked[0].PID != os.Getpid() || marked[0].Err != nil {
		t.Errorf("marked %+v, want %s", marked, path)
	}
	for _, s := range ownSockets(t) {
		if _, err := sendMark(ctx, s, "two\nlines"); err == nil || err.Error() != "a mark is one line of text" {
			t.Errorf("two lines: %v", err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	capture := opened(t, path)
	marks, err := format.All[format.Mark](capture)
	if err != nil || len(marks) != 1 || marks[0].Kind != "user" || marks[0].Text != "deploy 42" ||
		marks[0].TsNs < capture.Manifest.Clock.MonotonicNs || marks[0].TsNs > capture.Final.EndNs {
		t.Errorf("marks %+v, %v", marks, err)
	}
	if _, err := Mark(t.Context(), "late", os.Getpid()); !errors.Is(err, ErrNotRecording) {
		t.Errorf("after the end: %v", err)
	}
}

// Whoever sends files along with a mark does not fill the recorder's table of
// open files.
func TestMarksBringNoFiles(t *testing.T) {
	r := &recorder{session: new(probe.Session)}
	r.listenForMarks(t.Context())
	if r.conn == nil {
		t.Fatal("no socket")
	}
	sender, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := open()
	for range 20 {
		if _, _, err := sender.WriteMsgUnix([]byte("mark"), unix.UnixRights(0, 1, 2, 0, 1, 2), r.conn.LocalAddr().(*net.UnixAddr)); err != nil {
			t.Fatal(err)
		}
		if m := <-r.received; m.text != "mark" {
			t.Errorf("received %q", m.text)
		}
	}
	if after := open(); after > before+5 { // other tests may open some
		t.Errorf("%d files are open, %d before", after, before)
	}
}

func ownSockets(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range markSocketsIn(string(list)) {
		if s.pid == os.Getpid() {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		t.Error("no socket takes marks")
	}
	return names
}

// The first second of each burst of losses has a mark.
func TestLossBurstsAreMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "losses.kmon")
	writer, err := format.Create(path, format.Manifest{}, format.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{writer: writer}
	some := []probe.Lost{
		{Collector: "tcp", Table: "sockets", Cause: format.LossStateFull, Count: 3},
		{Collector: "tcp", Table: "exchanges", Cause: format.LossRingFull, Count: 1200},
	}
	for second, lost := range [][]probe.Lost{nil, some, some, nil, nil, some[:1], nil} {
		if err := r.markLosses(int64(second+1), lost); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(format.Final{}); err != nil {
		t.Fatal(err)
	}
	capture := opened(t, path)
	marks := all[format.Mark](t, capture)
	want := []format.Mark{
		{TsNs: 2, Kind: "loss", Text: "rows begin to be lost: 1200 of exchanges (ring-full), 3 of sockets (state-full)"},
		{TsNs: 6, Kind: "loss", Text: "rows begin to be lost: 3 of sockets (state-full)"},
	}
	if len(marks) != len(want) || marks[0] != want[0] || marks[1] != want[1] {
		t.Errorf("got %+v, want %+v", marks, want)
	}
}
