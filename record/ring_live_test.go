package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kmon/format"
	"kmon/record/trigger"
)

// flight is a flight recorder at work.
type flight struct {
	dir     string
	stop    context.CancelFunc
	done    chan struct{}
	result  Result
	err     error
	notices chan string
	dumps   chan string
}

// fly starts a flight recorder with shop.kmon as its output.
func fly(t *testing.T, o Options, triggers ...string) *flight {
	t.Helper()
	requireBPF(t)
	f := &flight{dir: t.TempDir(), done: make(chan struct{}), notices: make(chan string, 1000), dumps: make(chan string, 1)}
	for _, text := range triggers {
		c, err := trigger.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Triggers = append(o.Triggers, c)
	}
	o.Output, o.Notices, o.Dumps = filepath.Join(f.dir, "shop.kmon"), f.notices, f.dumps
	if o.Ring == 0 {
		o.Ring = 10 * time.Minute
	}
	o.triggerTail, o.shortRing = cmp.Or(o.triggerTail, time.Second), true
	began := make(chan Status, 1)
	o.Status = began
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	go func() {
		defer close(f.done)
		f.result, f.err = Run(ctx, o)
	}()
	t.Cleanup(func() { f.land(t) })
	select {
	case <-began:
	case <-f.done:
		t.Fatalf("it ended: %v", f.err)
	case <-time.After(time.Minute):
		t.Fatal("it does not begin")
	}
	return f
}

// land ends it.
func (f *flight) land(t *testing.T) Result {
	t.Helper()
	f.stop()
	<-f.done
	if f.err != nil {
		t.Errorf("it ended with %v", f.err)
	}
	return f.result
}

// hear waits for a notice that begins so.
func (f *flight) hear(t *testing.T, beginning string) string {
	t.Helper()
	for limit := time.After(2 * time.Minute); ; {
		select {
		case text := <-f.notices:
			if strings.HasPrefix(text, beginning) {
				return text
			}
		case <-limit:
			t.Fatalf("no notice begins with %q", beginning)
		}
	}
}

// dump asks for one and opens it.
func (f *flight) dump(t *testing.T, reason string) *format.Capture {
	t.Helper()
	d, err := Dump(t.Context(), os.Getpid(), reason, nil)
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, d.Path)
}

// load runs a load to its end and gives its truth.
func load(t *testing.T, args ...string) truth {
	t.Helper()
	path := filepath.Join(t.TempDir(), "truth.json")
	if out, err := exec.Command(workloadBinary, append(args, "-truth", path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var known truth
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	return known
}

// served counts the requests to a process, and their bytes in and out.
func served(t *testing.T, c *format.Capture, pid int32) (requests, bytesIn, bytesOut int64) {
	t.Helper()
	for _, e := range all[format.Exchange](t, c) {
		if e.PID != pid || e.Flags&format.ExchangeClient != 0 {
			continue
		}
		bytesIn += e.RequestBytes
		bytesOut += e.AnswerBytes
		if isRequest(e) {
			requests++
		}
	}
	return requests, bytesIn, bytesOut
}

// marksOf are the texts of the marks of a kind.
func marksOf(t *testing.T, c *format.Capture, kind string) []string {
	t.Helper()
	var texts []string
	for _, m := range all[format.Mark](t, c) {
		if m.Kind == kind {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// Dumps in the middle of a load cut it into parts. What the load counted is in the
// dump that holds all of it, each request once; and nothing is left at the end but
// the dumps.
func TestRingDumpsAreExact(t *testing.T) {
	f := fly(t, Options{Collectors: []string{"tcp", "proc"}})
	running, wait := startLoad(t, "echo", "-requests", "100000000", "-connections", "6", "-pause", "2ms")
	for dumps := range 3 {
		time.Sleep(300 * time.Millisecond) // for some requests between two dumps
		d := f.dump(t, fmt.Sprint("in the middle ", dumps))
		if marks := marksOf(t, d, "dump"); len(marks) != dumps+1 || !strings.HasSuffix(marks[dumps], fmt.Sprint("in the middle ", dumps)) {
			t.Fatalf("marks of dump %d: %q", dumps, marks)
		}
	}
	if err := running.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	known := wait()
	d := f.dump(t, "")
	if first, last := d.PartRange(); first != 1 || last < 3 {
		t.Errorf("it holds parts %d to %d, the test needs several", first, last)
	}
	server := known.Services[0]
	if requests, in, out := served(t, d, server.PID); requests != server.Requests || in != server.BytesIn || out != server.BytesOut {
		t.Errorf("the dump has %d requests of %d bytes and %d, the load counted %+v", requests, in, out, server)
	}
	if problems := d.Problems(); len(problems) > 0 || len(d.Gaps()) > 0 || d.Final.StopReason != "dump" {
		t.Errorf("problems %v, gaps %v, ended by %s", problems, d.Gaps(), d.Final.StopReason)
	}
	if marks := marksOf(t, d, "dump"); !regexp.MustCompile(fmt.Sprintf(`^the last [0-9.]+m?s: kmon dump, process %d of user 0$`, os.Getpid())).MatchString(marks[len(marks)-1]) {
		t.Errorf("marks %q", marks)
	}
	result := f.land(t)
	if result.Ring.Left != "" || result.Ring.Dumps != len(names(t, f.dir)) || result.Rows["exchanges"] == 0 || result.StopReason != "signal" {
		t.Errorf("result %+v, files %v", result, names(t, f.dir))
	}
	last := opened(t, result.Path)
	if requests, _, _ := served(t, last, server.PID); requests != server.Requests || last.Final.StopReason != "signal" {
		t.Errorf("the last dump has %d of %d requests and ended by %s", requests, server.Requests, last.Final.StopReason)
	}
	for _, name := range names(t, f.dir) {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// A service that becomes slow: one trigger, with the value that was measured, and a
// dump with what came before.
func TestRingTriggersOnASlowService(t *testing.T) {
	const fast, slow = 300, 64
	// A name and a size of its own: others may run this load here, too.
	size := fmt.Sprint(1000 + os.Getpid()%10000)
	config := filepath.Join(t.TempDir(), "kmon.yaml")
	rule := fmt.Sprintf("rules: [{service: slowing, match: {exe: echo-server, cmdline: '\"request_size\":%s,'}}]\n", size)
	if err := os.WriteFile(config, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	// The tail is far more than what the slow load takes from its first answers on.
	f := fly(t, Options{Collectors: []string{"tcp", "proc"}, ConfigPath: config, NoLastDump: true, triggerTail: 5 * time.Second}, "p99(service=slowing)>100ms")
	if text := f.hear(t, "trigger p99"); text != "trigger p99(service=slowing)>100ms: no process belongs to service slowing yet" {
		t.Errorf("notice %q", text)
	}
	before := load(t, "echo", "-requests", fmt.Sprint(fast), "-connections", "4", "-request-size", size)
	during := load(t, "echo", "-requests", fmt.Sprint(slow), "-connections", "16", "-sleep", "250ms", "-request-size", size)
	f.hear(t, "trigger: p99(service=slowing) was ")
	wrote := f.hear(t, "wrote ")
	path, text, _ := strings.Cut(strings.TrimPrefix(wrote, "wrote "), ": ")
	if !strings.Contains(text, "(trigger: p99(service=slowing) was ") {
		t.Errorf("notice %q", wrote)
	}
	d := opened(t, path)
	marks := marksOf(t, d, "trigger")
	m := regexp.MustCompile(`^p99\(service=slowing\) was ([^ ]+) in the last 10s, over 100ms \(\d+ requests\)$`).FindStringSubmatch(strings.Join(marks, "\n"))
	if m == nil {
		t.Fatalf("marks %q, want one", marks)
	}
	longest := time.Duration(0)
	for _, e := range all[format.Exchange](t, d) {
		ours := e.PID == during.Services[0].PID || e.PID == before.Services[0].PID
		if ours && e.Flags&format.ExchangeClient == 0 {
			longest = max(longest, time.Duration(e.UploadNs+e.ServerNs+e.DownloadNs))
		}
	}
	if value, err := time.ParseDuration(m[1]); err != nil || value < 245*time.Millisecond || value > longest+longest/50 {
		t.Errorf("the trigger says %s, the server slept 250 ms and took up to %v", m[1], longest)
	}
	for _, known := range []truth{before, during} {
		server := known.Services[0]
		if requests, _, _ := served(t, d, server.PID); requests != server.Requests {
			t.Errorf("the dump has %d requests, the load counted %d", requests, server.Requests)
		}
	}
	if left := names(t, f.dir); len(left) != 2 || f.land(t).Ring.Dumps != 1 || len(names(t, f.dir)) != 1 {
		t.Errorf("with the dump there are %v", left)
	}
}

// A burst of dropped packets in a network namespace of its own.
func TestRingTriggersOnDrops(t *testing.T) {
	f := fly(t, Options{Collectors: []string{"tcp", "drop"}, NoLastDump: true}, "drops>200/s")
	command, _ := netLoad(t, "scan")
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text := f.hear(t, "trigger: "); !regexp.MustCompile(`^trigger: drops was [0-9]{3,5}/s in the last 1s, over 200/s$`).MatchString(text) {
		t.Errorf("notice %q", text)
	}
	wrote := f.hear(t, "wrote ")
	path, _, _ := strings.Cut(strings.TrimPrefix(wrote, "wrote "), ": ")
	dropped := int64(0)
	for _, e := range all[format.NetEvent](t, opened(t, path)) {
		if e.Kind == format.NetDrop {
			dropped += e.Count
		}
	}
	if dropped < 200 {
		t.Errorf("the dump has %d dropped packets", dropped)
	}
}

// Memory pressure, as a file says.
func TestRingTriggersOnPressure(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "proc/pressure/memory")
	say := func(percent string) {
		text := "some avg10=" + percent + " avg60=0.00 avg300=0.00 total=0\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file+"~", []byte(text), 0o600), os.Rename(file+"~", file)); err != nil {
			t.Fatal(err)
		}
	}
	say("1.00")
	f := fly(t, Options{Collectors: []string{"proc"}, NoLastDump: true, pressure: os.DirFS(root)}, "pressure(memory)>10%")
	say("33.30")
	if text := f.hear(t, "trigger: "); text != "trigger: pressure(memory) was 33.3% in the last 10s, over 10%" {
		t.Errorf("notice %q", text)
	}
	say("1.00") // the dump comes all the same
	f.hear(t, "wrote ")
}

// Old parts go, those of the ring's length stay; a dump has no more.
func TestRingForgets(t *testing.T) {
	long(t)
	const length = 4 * time.Second
	f := fly(t, Options{Collectors: []string{"proc"}, Ring: length, NoLastDump: true})
	began := time.Now()
	kept := func() []string { return names(t, filepath.Join(f.dir, "shop.ring")) }
	for slices.ContainsFunc(kept(), func(name string) bool { return strings.HasPrefix(name, "shop-000001.kmon") }) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("the first part is still there: %v", kept())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if alive := time.Since(began); alive < length {
		t.Errorf("the first part was removed after %v", alive)
	}
	f.dumps <- "SIGUSR2"
	wrote := f.hear(t, "wrote ")
	if !regexp.MustCompile(`: the last 4s, [0-9.]+ MiB \(SIGUSR2\)$`).MatchString(wrote) {
		t.Errorf("notice %q", wrote)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(wrote, "wrote "), ": ")
	d := opened(t, path)
	held := time.Duration(d.Final.EndNs - d.Manifest.Clock.MonotonicNs)
	// A part lasts as long as it takes to come to its end, but none is begun more often
	// than that, unless a dump is asked for.
	first, last := d.PartRange()
	if most := int(length/MinRotateEvery) + 3; held < length-time.Second || last-first+1 > most {
		t.Errorf("the dump holds %v, parts %d to %d, want at most %d", held, first, last, most)
	}
}

// Who asks while a dump is being written waits for the next, which all share.
func TestRingDumpsComeOneByOne(t *testing.T) {
	f := fly(t, Options{Collectors: []string{"proc"}, NoLastDump: true})
	const askers = 8
	paths := make(chan string, askers)
	for i := range askers {
		go func() {
			d, err := Dump(t.Context(), os.Getpid(), fmt.Sprint("asker ", i), nil)
			if err != nil {
				t.Error(err)
			}
			paths <- d.Path
		}()
	}
	dumps := map[string]bool{}
	for range askers {
		dumps[<-paths] = true
	}
	if got := f.land(t).Ring.Dumps; got != len(dumps) || got > askers {
		t.Errorf("%d dumps were written, the askers have %v", got, dumps)
	}
}

// Whoever gives the ring's directory another name and puts another in its place
// chooses neither what is in a dump nor what is removed at the end.
func TestRingSwapped(t *testing.T) {
	f := fly(t, Options{Collectors: []string{"proc"}, NoLastDump: true})
	f.dump(t, "before")
	ring, moved := filepath.Join(f.dir, "shop.ring"), filepath.Join(f.dir, "moved")
	if err := errors.Join(os.Rename(ring, moved), os.Mkdir(ring, 0o700), os.WriteFile(filepath.Join(ring, "shop-000001.kmon"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d := f.dump(t, "after")
	if first, last := d.PartRange(); first != 1 || last < 2 {
		t.Errorf("it holds parts %d to %d", first, last)
	}
	f.land(t)
	if kept, left := names(t, ring), names(t, moved); len(kept) != 1 || len(left) > 0 {
		t.Errorf("there are %v, and of the ring %v", kept, left)
	}
}
