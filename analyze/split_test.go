package analyze

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kmon/format"
)

// splitter divides a capture into parts as a recorder that rotates does: what
// has ended is in the part that was open then, and each part tells again what
// is known of the node, under new ids for its stacks.
type splitter struct {
	t     *testing.T
	from  *format.Capture
	cuts  []int64 // monotonic; part i + 1 begins at cuts[i]
	to    []*format.Writer
	final []format.Final
}

// split divides the capture at path at some times after its start, and gives
// the parts' files, which are named like the first of theirs.
func split(t *testing.T, path string, after ...int64) []string {
	t.Helper()
	c, err := format.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &splitter{t: t, from: c}
	start := c.Manifest.Clock
	for _, ns := range after {
		s.cuts = append(s.cuts, start.MonotonicNs+ns)
	}
	dir := t.TempDir()
	var paths []string
	for i := range len(after) + 1 {
		m := c.Manifest
		m.Recording = &format.RecordingPart{ID: "00112233445566aa", Part: i + 1}
		f := *c.Final
		f.Rows, f.Losses = nil, map[string]int64{}
		if i > 0 {
			m.Clock.MonotonicNs, m.Clock.RealtimeNs = s.cuts[i-1], start.RealtimeNs+after[i-1]
		}
		if i < len(after) {
			f.EndNs, f.EndUnixNs, f.StopReason = s.cuts[i], start.RealtimeNs+after[i], "rotate"
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("node-%06d.kmon", i+1)))
		w, err := format.Create(paths[i], m, format.WriterOptions{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		s.to, s.final = append(s.to, w), append(s.final, f)
	}
	s.state()
	s.events()
	for i, w := range s.to {
		if err := w.Close(s.final[i]); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// part is the part that was open at a time.
func (s *splitter) part(ns int64) int {
	i := 0
	for i < len(s.cuts) && ns >= s.cuts[i] {
		i++
	}
	return i
}

// each hands over the rows of a table, one after the other.
func each[T format.Row](s *splitter, fn func(row T)) {
	s.t.Helper()
	rows, err := format.All[T](s.from)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, row := range rows {
		fn(row)
	}
}

// event puts each row into the part that was open at its end.
func event[T format.Row](s *splitter, end func(row *T, part int) int64) {
	each(s, func(row T) {
		part := s.part(end(&row, 0))
		end(&row, part)
		add(s.t, s.to[part], []T{row})
	})
}

// again puts each row into its part, and those that stay into all later ones,
// with their time.
func again[T format.Row](s *splitter, ts func(row *T) *int64, stays func(row *T) bool) {
	each(s, func(row T) {
		first := s.part(*ts(&row))
		for part := first; part < len(s.to) && (part == first || stays(&row)); part++ {
			told := row
			if part > first {
				*ts(&told) = s.cuts[part-1]
			}
			add(s.t, s.to[part], []T{told})
		}
	})
}

// stays is for what is told again in any case.
func stays[T format.Row](*T) bool { return true }

// newID is the id of a stack or frame in a part.
func newID(id int64, part int) int64 {
	if id > 0 {
		id += int64(part) << 40
	}
	return id
}

func (s *splitter) state() {
	s.sockets()
	s.processes()
	s.listeners()
	again(s, func(r *format.Container) *int64 { return &r.TsNs }, stays)
	again(s, func(r *format.Interface) *int64 { return &r.TsNs }, stays)
	again(s, func(r *format.Disk) *int64 { return &r.TsNs }, stays)
	again(s, func(r *format.Mount) *int64 { return &r.TsNs }, stays)
	again(s, func(r *format.Config) *int64 { return &r.TsNs }, stays)
	for part, w := range s.to {
		each(s, func(r format.Frame) {
			r.FrameID = newID(r.FrameID, part)
			add(s.t, w, []format.Frame{r})
		})
		each(s, func(r format.Stack) {
			r.StackID, r.FrameID = newID(r.StackID, part), newID(r.FrameID, part)
			add(s.t, w, []format.Stack{r})
		})
	}
}

// sockets tells in each part of those that are open when it begins.
func (s *splitter) sockets() {
	open, order := map[int64]format.Socket{}, []int64{}
	now := 0
	each(s, func(r format.Socket) {
		part := s.part(r.TsNs)
		for ; now < part; now++ {
			s.existing(open, order, now+1)
		}
		if _, known := open[r.SocketID]; !known {
			order = append(order, r.SocketID)
		}
		open[r.SocketID] = r
		if r.Event == format.SocketClose || r.Event == format.SocketConnectFailed {
			delete(open, r.SocketID)
		}
		add(s.t, s.to[part], []format.Socket{r})
	})
	for ; now < len(s.cuts); now++ {
		s.existing(open, order, now+1)
	}
}

func (s *splitter) existing(open map[int64]format.Socket, order []int64, part int) {
	for _, id := range order {
		if r, ok := open[id]; ok {
			r.TsNs, r.Event = s.cuts[part-1], format.SocketExisting
			add(s.t, s.to[part], []format.Socket{r})
			delete(open, id)
			defer func() { open[id] = r }()
		}
	}
}

// listeners tells them again in another order.
func (s *splitter) listeners() {
	var all []format.Listener
	each(s, func(r format.Listener) {
		all = append(all, r)
		add(s.t, s.to[s.part(r.TsNs)], []format.Listener{r})
	})
	for _, r := range slices.Backward(all) {
		for part := s.part(r.TsNs) + 1; part < len(s.to); part++ {
			r.TsNs = s.cuts[part-1]
			add(s.t, s.to[part], []format.Listener{r})
		}
	}
}

// processes tells in each part what was told last of each process, also if it
// has executed another program since.
func (s *splitter) processes() {
	type identity struct {
		pid   int32
		start int64
	}
	last := map[identity]format.Process{}
	var order []identity
	now := 0
	begin := func() {
		for _, id := range order {
			r := last[id]
			r.TsNs = s.cuts[now]
			add(s.t, s.to[now+1], []format.Process{r})
		}
		now++
	}
	each(s, func(r format.Process) {
		part := s.part(r.TsNs)
		for now < part {
			begin()
		}
		id := identity{r.PID, r.StartNs}
		if _, known := last[id]; !known {
			order = append(order, id)
		}
		last[id] = r
		add(s.t, s.to[part], []format.Process{r})
	})
	for now < len(s.cuts) {
		begin()
	}
}

func (s *splitter) events() {
	event(s, func(r *format.Exchange, _ int) int64 { return r.StartNs + r.UploadNs + r.ServerNs + r.DownloadNs })
	event(s, func(r *format.Proc, _ int) int64 { return r.TsNs })
	event(s, func(r *format.NetEvent, part int) int64 { r.StackID = newID(r.StackID, part); return r.LastNs })
	event(s, func(r *format.AcceptQueue, _ int) int64 { return r.TsNs })
	event(s, func(r *format.Interval, _ int) int64 { return r.EndNs - 1 })
	event(s, func(r *format.Wake, _ int) int64 { return r.EndNs - 1 })
	event(s, func(r *format.OffCPU, part int) int64 {
		r.StackID, r.UserStackID = newID(r.StackID, part), newID(r.UserStackID, part)
		return r.EndNs - 1
	})
	event(s, func(r *format.OnCPU, part int) int64 {
		r.StackID, r.UserStackID = newID(r.StackID, part), newID(r.UserStackID, part)
		return r.TsNs
	})
	event(s, func(r *format.IO, _ int) int64 { return r.StartNs + r.QueueNs + r.DeviceNs })
	event(s, func(r *format.Syscall, _ int) int64 { return r.EndNs - 1 })
	event(s, func(r *format.Memory, _ int) int64 { return r.TsNs })
	event(s, func(r *format.Loss, _ int) int64 { return r.EndNs })
	again(s, func(r *format.Mark) *int64 { return &r.TsNs }, func(r *format.Mark) bool { return r.Kind == "warning" })
	s.costs()
}

// costs has each part count from 0.
func (s *splitter) costs() {
	var last format.Self
	spent := make([]format.Self, len(s.to)+1) // when part i began
	now := 0
	each(s, func(r format.Self) {
		for ; now < s.part(r.TsNs); now++ {
			spent[now+1] = last
		}
		last = r
		r.CPUNs, r.BPFRunNs, r.Events = r.CPUNs-spent[now].CPUNs, r.BPFRunNs-spent[now].BPFRunNs, r.Events-spent[now].Events
		add(s.t, s.to[now], []format.Self{r})
	})
	for ; now < len(s.cuts); now++ {
		spent[now+1] = last
	}
	for i := range s.final {
		until := s.from.Final.CPUNs
		if i+1 < len(s.final) {
			until = spent[i+1].CPUNs
		}
		s.final[i].CPUNs = until - spent[i].CPUNs
	}
}

// plain is the JSON of an analysis without what must differ between one file
// and several: names, hashes and numbers of rows, where state is told again.
func plain(t *testing.T, a *Analysis) string {
	t.Helper()
	for i := range a.Captures {
		c := &a.Captures[i]
		c.SHA256, c.Parts, c.Rows = "", nil, nil
		for j := range c.Coverage {
			c.Coverage[j].Seen = 0
			if c.Coverage[j].Lost > 0 {
				c.Coverage[j].Ratio = 0
			}
		}
	}
	text, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func analyzedFiles(t *testing.T, paths ...string) *Analysis {
	t.Helper()
	a, err := Run(context.Background(), paths, Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// named copies a file under the name that the first part of a split has.
func named(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "node-000001.kmon")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sameText fails at the first line that differs.
func sameText(t *testing.T, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			from := max(0, i-12)
			t.Errorf("%s differs in line %d:\n%s\nwant\n%s", what, i+1, strings.Join(g[min(from, len(g)):min(i+3, len(g))], "\n"), strings.Join(w[from:min(i+3, len(w))], "\n"))
			return
		}
	}
}

// Parts of a recording say what it would have said as one file, and so does
// the file that they are joined to.
func TestPartsSayWhatTheWholeSays(t *testing.T) {
	for name, path := range map[string]string{
		"shop":   "../testdata/captures/v1/shop.kmon",
		"node":   busyNode(t).write(),
		"faulty": faulty(t).write(),
		"disks":  database(t).write(),
		"random": randomStory(t, 7).write(),
		"stacks": stacksCapture(t),
	} {
		t.Run(name, func(t *testing.T) {
			whole := analyzedFiles(t, named(t, path))
			span := whole.Captures[0].DurationNs
			paths := split(t, path, span/5, span/2+1, span-span/10)
			want := plain(t, whole)
			parts := analyzedFiles(t, paths[2], paths[0], paths[3], paths[1])
			if n := len(parts.Captures); n != 1 || len(parts.Captures[0].Parts) != 4 {
				t.Fatalf("%d captures of parts %v", n, parts.Captures[0].Parts)
			}
			dst := filepath.Join(t.TempDir(), "node-000001.kmon")
			if _, err := format.Join(t.Context(), dst, paths, format.JoinOptions{NoSync: true}); err != nil {
				t.Fatal(err)
			}
			joined := analyzedFiles(t, dst)
			if got, want := joined.Captures[0].Rows, parts.Captures[0].Rows; !reflect.DeepEqual(got, want) {
				t.Errorf("joined, it has the rows %v, want %v", got, want)
			}
			sameText(t, "the joined file", plain(t, joined), want)
			sameText(t, "the parts", plain(t, parts), want)
		})
	}
}
