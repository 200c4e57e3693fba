package analyze

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

// everyTenth is ten seconds of a request each 100 ms to a web server that batch
// runs beside.
func everyTenth(t *testing.T) *node {
	n := newNode(t, "node")
	n.process(10, "web")
	n.socket(1, format.RoleServer, 10, 0, "10.0.0.1 80", "203.0.113.9 40000")
	for i := range int64(100) {
		n.exchange(1, 10, i*100*ms+10*ms, 0, ms, 0, 0)
	}
	for at := range int64(10) {
		n.intervals = append(n.intervals, format.Interval{StartNs: mono0 + at*second, EndNs: mono0 + (at+1)*second, PID: 10, TID: 10, OnCPUNs: second / 2})
	}
	return n
}

// starts gives the seconds that a series has points of, marked when partial.
func starts(series []Point) (list []int64) {
	for _, p := range series {
		list = append(list, (p.StartNs-unix0)/second)
	}
	return list
}

// Of a part that is missing nothing is known: no point in a series says 0, and
// rates are of the time that was recorded.
func TestMissingPart(t *testing.T) {
	paths := split(t, everyTenth(t).write(), 3*second, 5*second+second/2, 9*second)
	a := analyzedFiles(t, paths[0], paths[2], paths[3])
	web := serviceNamed(t, a, "web")
	if web.Requests != 75 || web.RatePerS != 10 {
		t.Errorf("%d requests, %v/s, want 75, 10/s", web.Requests, web.RatePerS)
	}
	if got, want := starts(web.Series), []int64{0, 1, 2, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("points at %v s, want %v", got, want)
	}
	if p := web.Series[3]; !p.Partial || p.Requests != 5 || web.Series[2].Partial || web.Series[4].Partial {
		t.Errorf("beside the gap is %+v", web.Series[2:5])
	}
	if len(web.CPUSeries) != 8 || web.CPU.Cores < 0.5 {
		t.Errorf("%d points, %v cores", len(web.CPUSeries), web.CPU.Cores)
	}
	want := Span{unix0 + 3*second, unix0 + 5*second + second/2}
	c := a.Captures[0]
	if !slices.Equal(a.NotRecorded, []Span{want}) || len(c.Gaps) != 1 || c.Gaps[0] != (Gap{1, 3, want.StartNs, want.EndNs}) {
		t.Errorf("not recorded: %v, gaps %v", a.NotRecorded, c.Gaps)
	}
	warning := "part 2 of the recording is missing: nothing is known of the 2.5 s from 2023-11-14T22:13:23.000Z on"
	if !strings.Contains(strings.Join(a.Warnings, "\n"), warning) || !strings.Contains(a.Verdict, "nothing is known of 2.5 s of the 10.0 s") {
		t.Errorf("warnings %q, verdict %q", a.Warnings, a.Verdict)
	}
	dst := filepath.Join(t.TempDir(), filepath.Base(paths[0]))
	if _, err := format.Join(t.Context(), dst, []string{paths[0], paths[2], paths[3]}, format.JoinOptions{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	sameText(t, "the joined file", plain(t, analyzedFiles(t, dst)), plain(t, a))
}

// Two nodes: in the gap of one the other's services have points.
func TestMissingPartOfOneNode(t *testing.T) {
	paths := split(t, everyTenth(t).write(), 3*second, 6*second)
	other := newStory(t, "other")
	other.process(20, "db")
	other.socket(1, format.RoleServer, 20, 0, "10.0.0.2 5432", "203.0.113.9 40000")
	other.exchange(1, 20, 4*second+ms, 0, ms, 0, 0)
	a := analyzedFiles(t, paths[0], other.write(), paths[2])
	if len(a.Captures) != 2 || a.Captures[0].Host != "node" || len(a.NotRecorded) != 0 {
		t.Fatalf("%d captures, not recorded %v", len(a.Captures), a.NotRecorded)
	}
	web, db := serviceNamed(t, a, "web"), serviceNamed(t, a, "db")
	if got := starts(web.Series); !slices.Equal(got, []int64{0, 1, 2, 6, 7, 8, 9}) || len(db.Series) != 10 {
		t.Errorf("web has points at %v, db %d points", got, len(db.Series))
	}
}

func TestLaterPartAlone(t *testing.T) {
	paths := split(t, everyTenth(t).write(), 3*second, 6*second)
	a := analyzedFiles(t, paths[1])
	web := serviceNamed(t, a, "web")
	if web.Requests != 30 || web.RatePerS != 10 || len(web.Series) != 3 || len(a.NotRecorded) != 0 {
		t.Errorf("%d requests, %v/s, %d points, not recorded %v", web.Requests, web.RatePerS, len(web.Series), a.NotRecorded)
	}
	text := strings.Join(a.Warnings, "\n")
	for _, want := range []string{
		"it begins with part 2 of its recording; what was before is not known",
		"the recording went on after part 2; what came then is not known",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings %q, want %q", a.Warnings, want)
		}
	}
}

// The last minutes of a recording: what ended before is left out, what is known
// of sockets and processes is not.
func TestJoinedSince(t *testing.T) {
	paths := split(t, everyTenth(t).write(), 3*second, 6*second)
	dst := filepath.Join(t.TempDir(), "dump.kmon")
	if _, err := format.Join(t.Context(), dst, paths, format.JoinOptions{NoSync: true, SinceNs: mono0 + 4*second, StopReason: "dump"}); err != nil {
		t.Fatal(err)
	}
	a := analyzedFiles(t, dst)
	web := serviceNamed(t, a, "web")
	if web.Requests != 60 || web.RatePerS != 10 || len(web.Series) != 6 || web.CPU.Cores != 0.5 || a.StartNs != unix0+4*second {
		t.Errorf("%d requests, %v/s, %d points, %v cores", web.Requests, web.RatePerS, len(web.Series), web.CPU.Cores)
	}
	if len(a.Warnings) > 0 || len(a.Captures[0].Problems) > 0 || onlyEdge(t, a).Connections != 1 {
		t.Errorf("warnings %q, problems %q", a.Warnings, a.Captures[0].Problems)
	}
}

// A program that began just before a part is not the one that the part, from an
// older look at the node, still names.
func TestExecBeforeAPart(t *testing.T) {
	s := newStory(t, "node")
	s.process(10, "sh")
	s.procs = []format.Proc{{TsNs: mono0 + 3*second, Event: format.ProcExec, PID: 10, StartNs: mono0 - 100*second, Comm: "web", Exe: "/usr/bin/web"}}
	s.socket(1, format.RoleServer, 10, 4*second, "10.0.0.1 80", "203.0.113.9 40000")
	for i := range int64(50) {
		s.exchange(1, 10, 4*second+i*100*ms, 0, ms, 0, 0)
	}
	path := s.write()
	paths := split(t, path, 3*second+10*ms, 6*second)
	parts := analyzedFiles(t, paths...)
	if web := serviceNamed(t, parts, "web"); web.Requests != 50 {
		t.Errorf("%d requests, want 50", web.Requests)
	}
	sameText(t, "the parts", plain(t, parts), plain(t, analyzedFiles(t, named(t, path))))
}

// Telling processes, listeners, warnings and stacks again makes none more.
func TestToldAgain(t *testing.T) {
	s := faulty(t)
	for pid := int32(1000); pid < 1400; pid++ {
		s.process(pid, "worker")
	}
	s.socket(9, format.RoleServer, 1000, second, "10.0.0.1 81", "203.0.113.9 40000")
	for pid := int32(1000); pid < 1400; pid++ {
		s.exchange(9, pid, second+int64(pid)*ms, 0, ms/2, 0, 0)
	}
	// Of one drop, a stack that is the most frequent in no part is so in all.
	for i, stack := range []int64{8, 7, 8, 9, 8} {
		s.event(format.NetDrop, "OTHER", 0, int64(i)*2*second+second, 1, "10.0.0.1 9999", "10.0.0.9 50002").StackID = stack
		if i%2 == 0 {
			s.event(format.NetDrop, "OTHER", 0, int64(i)*2*second+second, 2, "10.0.0.1 9999", "10.0.0.9 50002").StackID = int64(20 + i)
		}
	}
	// Two processes in turn at one place: the later one counts from then on.
	s.listeners = append(s.listeners,
		format.Listener{TsNs: mono0, NetnsID: 1, Addr: "0.0.0.0", Port: 81, PID: 1001},
		format.Listener{TsNs: mono0 + second, NetnsID: 1, Addr: "0.0.0.0", Port: 81, PID: 100})
	s.events = append(s.events, format.NetEvent{TsNs: mono0 + 9*second, LastNs: mono0 + 9*second, Kind: format.NetResetSent, NetnsID: 1,
		LocalAddr: "10.0.0.1", LocalPort: 81, RemoteAddr: "10.0.0.9", RemotePort: 50001, Count: 1})
	s.marks = []format.Mark{{TsNs: mono0, Kind: "warning", Text: "no names"}, {TsNs: mono0 + second, Kind: "user", Text: "go"}}
	path := s.write()
	paths := split(t, path, 2*second, 4*second, 6*second, 8*second)
	parts := analyzedFiles(t, paths...)
	sameText(t, "the parts", plain(t, parts), plain(t, analyzedFiles(t, named(t, path))))
}

func TestPartsThatDoNotFit(t *testing.T) {
	paths := split(t, everyTenth(t).write(), 3*second, 6*second)
	_, err := Run(context.Background(), []string{paths[0], named(t, paths[0])}, Options{})
	if err == nil || !strings.Contains(err.Error(), "both have part 1") {
		t.Errorf("error %v", err)
	}
}
