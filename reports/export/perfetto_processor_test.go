package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kmon/analyze"
)

// processor asks Perfetto's own trace processor about a trace: it gives the rows of
// each query, their columns joined by blanks, sorted. `make web-tools` installs it;
// without it the test is skipped, except in CI.
func processor(t *testing.T, trace []byte, queries map[string]string) map[string][]string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it is no Go code")
	}
	const dir = "../../.ci/web/"
	if _, err := os.Stat(dir + "node_modules/trace-processor"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no trace processor, which CI must have: make web-tools")
		}
		t.Skip("no trace processor: make web-tools")
	}
	path := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(path, trace, 0o600); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(queries)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", dir+"trace_processor.mjs", path)
	var complaints bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("trace processor: %v: %.2000s", err, complaints.String())
	}
	var tables map[string][][]any
	if err := json.Unmarshal(output, &tables); err != nil {
		t.Fatalf("trace processor: %v: %.200s", err, output)
	}
	answers := map[string][]string{}
	for name, rows := range tables {
		answers[name] = []string{}
		for _, row := range rows {
			answers[name] = append(answers[name], strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
		}
		slices.Sort(answers[name])
	}
	return answers
}

// faults is all that the trace processor counted, but for how long it took and a
// miss of its cache: what it cannot read, too, has the severity "info".
const faults = `SELECT name, severity, value FROM stats WHERE value > 0 AND name NOT GLOB '*_duration_ns' AND name != 'clock_sync_cache_miss'`

// questions are asked of every trace.
var questions = map[string]string{
	"faults": faults,
	"slices": `SELECT s.ts, s.dur, s.depth, COALESCE(s.category, '-'), COALESCE(p.pid, q.pid, 0), COALESCE(tid, 0), s.name FROM slice s
		LEFT JOIN thread_track tt ON tt.id = s.track_id LEFT JOIN thread t USING (utid) LEFT JOIN process p ON p.upid = t.upid
		LEFT JOIN process_track pt ON pt.id = s.track_id LEFT JOIN process q ON q.upid = pt.upid`,
	"arguments": `SELECT COALESCE(category, '-'), COALESCE(SUM(EXTRACT_ARG(arg_set_id, 'debug.server_ns')), 0), COALESCE(SUM(EXTRACT_ARG(arg_set_id, 'debug.answer_bytes')), 0),
		COALESCE(SUM(EXTRACT_ARG(arg_set_id, 'debug.bytes')), 0), COUNT(EXTRACT_ARG(arg_set_id, 'debug.peer')) FROM slice GROUP BY 1`,
	"threads":   `SELECT DISTINCT pid, tid, thread.name FROM thread_track JOIN thread USING (utid) JOIN process USING (upid)`,
	"processes": `SELECT DISTINCT pid, process.name FROM process_track JOIN process USING (upid)`,
	"counters": `SELECT pid, tid, c.ts, printf('%.4g', c.value), t.name FROM counter c JOIN thread_counter_track t ON t.id = c.track_id
		JOIN thread USING (utid) JOIN process USING (upid)`,
	"samples": `SELECT COUNT(*), f.name FROM perf_sample s LEFT JOIN stack_profile_callsite c ON c.id = s.callsite_id
		LEFT JOIN stack_profile_frame f ON f.id = c.frame_id GROUP BY f.name`,
	"flows": `SELECT COUNT(*) FROM flow JOIN slice o ON o.id = slice_out JOIN slice i ON i.id = slice_in
		WHERE o.category = 'call' AND i.category = 'request' AND o.name = i.name`,
	"wall": `SELECT to_realtime(MIN(ts)) - MIN(ts) FROM slice`,
	"served": `SELECT COUNT(*), COALESCE(p.name, q.name) FROM slice s
		LEFT JOIN thread_track tt ON tt.id = s.track_id LEFT JOIN thread t USING (utid) LEFT JOIN process p ON p.upid = t.upid
		LEFT JOIN process_track pt ON pt.id = s.track_id LEFT JOIN process q ON q.upid = pt.upid
		WHERE category = 'request' GROUP BY 2`,
	"disks": `SELECT COUNT(*), t.name FROM slice s JOIN track t ON t.id = s.track_id WHERE category = 'io' GROUP BY t.name`,
}

// TestPerfettoProcessor: Perfetto reads the trace of a real recording without a
// complaint, and has in its tables what the analysis counts and what the reader of
// these tests sees.
func TestPerfettoProcessor(t *testing.T) {
	for _, path := range captures {
		a, err := analyze.Run(context.Background(), []string{path}, analyze.Options{})
		if err != nil {
			t.Fatal(err)
		}
		trace, data := traceOf(t, path, analyze.Options{})
		got := processor(t, data, questions)
		want := trace.tables()
		want["faults"] = []string{}
		matched, disks := int64(0), []string{}
		for _, e := range a.Edges {
			matched += e.Matched
		}
		for _, d := range a.Disks {
			if n := d.IOs + d.Open; n > 0 {
				disks = append(disks, fmt.Sprint(n, " ", d.Name))
			}
		}
		want["flows"], want["disks"] = []string{fmt.Sprint(matched)}, disks
		want["wall"] = []string{fmt.Sprint(a.Captures[0].Clock.OffsetNs)}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			slices.Sort(want[name])
			if !slices.Equal(got[name], want[name]) {
				t.Errorf("%s: %s: %s", path, name, firstDifference(got[name], want[name]))
			}
		}
		checkServed(t, path, a, got["served"])
	}
}

// checkServed holds requests by process, as "count service (name)", against the
// services.
func checkServed(t *testing.T, path string, a *analyze.Analysis, rows []string) {
	t.Helper()
	served, want := map[string]int64{}, map[string]int64{}
	for _, row := range rows {
		count, name, _ := strings.Cut(row, " ")
		service, _, _ := strings.Cut(name, " (")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		served[service] += n
	}
	for _, s := range a.Services {
		if s.Ends == "server" && s.Requests > 0 {
			want[s.Name] = s.Requests
		}
	}
	if len(want) == 0 || !maps.Equal(served, want) {
		t.Errorf("%s: Perfetto has requests of %v, want %v", path, served, want)
	}
}

// firstDifference says where two lists part.
func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("row %d of %d is %q, want %q of %d", i, len(got), g, w, len(want))
		}
	}
	return "none"
}

// tables gives what questions should find, by the reader of these tests.
func (r *readTrace) tables() map[string][]string {
	list := map[string][]string{}
	add := func(name string, columns ...any) {
		list[name] = append(list[name], strings.TrimSuffix(fmt.Sprintln(columns...), "\n"))
	}
	arguments, leaves := map[string][4]int64{}, map[string]int{}
	for _, s := range r.slices {
		track, category := r.tracks[s.track], s.category
		pid, tid := r.owner(track)
		if category == "" {
			category = "-"
		}
		add("slices", s.ts, s.dur, s.depth, category, pid, tid, s.name)
		sums := arguments[category]
		for i, key := range []string{"server_ns", "answer_bytes", "bytes"} {
			n, _ := strconv.ParseInt(s.args[key], 10, 64) // absent: 0
			sums[i] += n
		}
		if s.args["peer"] != "" {
			sums[3]++
		}
		arguments[category] = sums
	}
	for _, track := range r.tracks {
		switch {
		case track.tid != 0:
			add("threads", track.pid, track.tid, track.name)
		case track.process != "":
			add("processes", track.pid, track.process)
		}
	}
	for id, values := range r.counters {
		track := r.tracks[id]
		pid, tid := r.owner(r.tracks[track.parent])
		for _, v := range values {
			ts, value, _ := strings.Cut(v, "=")
			add("counters", pid, tid, ts, value, track.name)
		}
	}
	for _, s := range r.samples {
		leaf := "<nil>"
		if len(s.frames) > 0 {
			_, leaf, _ = strings.Cut(s.frames[len(s.frames)-1], ":")
		}
		leaves[leaf]++
	}
	for category, n := range arguments {
		add("arguments", category, n[0], n[1], n[2], n[3])
	}
	for leaf, n := range leaves {
		add("samples", n, leaf)
	}
	return list
}

// owner is the process and the thread of a track, 0 where it has none.
func (r *readTrace) owner(track readTrack) (pid, tid int64) {
	tid = track.tid
	for track.pid == 0 && track.parent != 0 {
		track = r.tracks[track.parent]
	}
	return track.pid, tid
}

// TestPerfettoProcessorTells holds the other test up: Perfetto does complain of a
// trace that is wrong, and reads hostile text as text.
func TestPerfettoProcessorTells(t *testing.T) {
	var out bytes.Buffer
	p := NewPerfetto(&out)
	steps := []error{p.Start(analyze.TimelineClock{MonotonicNs: 1000, UnixNs: 5000})}
	hostile := "'; DROP TABLE slice; --\x1b[31m\u202e\xff"
	steps = append(steps, p.Mark(&analyze.TimelineMark{TsNs: 1500, Kind: "user", Text: hostile}))
	nameless := p.event(2000, typeInstant, 1, func(m *message) { m.integer(eventNameID, 99) })
	steps = append(steps, nameless, p.Close())
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := processor(t, out.Bytes(), map[string]string{"faults": faults, "names": "SELECT name FROM slice"})
	if len(got["faults"]) == 0 {
		t.Error("a name that is not there is no fault to the trace processor, so that it finds none proves nothing")
	}
	if want := []string{"<nil>", shown("user: " + hostile)}; !slices.Equal(got["names"], want) {
		t.Errorf("got %q, want %q", got["names"], want)
	}
}
