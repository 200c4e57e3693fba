package record

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// turns is over how many turns these tests record.
const turns = 6

// spinnerMode makes the test binary a process that calls getppid until there is
// a file of the name that is its value, and then writes into it how often.
const spinnerMode = "KMON_RECORD_TEST_SPINNER"

func spin() {
	name := os.Getenv(spinnerMode)
	for n := 0; ; n++ {
		unix.Getppid()
		if n%1000 != 0 {
			continue
		}
		if _, err := os.Stat(name); err == nil {
			if err := os.WriteFile(name+".count", fmt.Append(nil, n+1), 0o600); err != nil {
				panic(err)
			}
			return
		}
	}
}

// startSpinner starts that process. stop ends it and returns its count.
func startSpinner(t *testing.T) (pid int32, stop func() int64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "stop")
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), spinnerMode+"="+name)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = wait() // killed, which is no failure
	})
	return int32(cmd.Process.Pid), func() (n int64) {
		t.Helper()
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name + ".count")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(text), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// partsOf opens all parts of a recording of which none was removed.
func partsOf(t *testing.T, result Result) []*format.Capture {
	t.Helper()
	if result.Parts == nil || result.Parts.Removed != 0 {
		t.Fatalf("the result has parts %+v", result.Parts)
	}
	stem, _ := strings.CutSuffix(result.Parts.First, "-000001.kmon")
	var captures []*format.Capture
	var bytes int64
	for i := range result.Parts.Count {
		path := fmt.Sprintf("%s-%06d.kmon", stem, i+1)
		captures = append(captures, opened(t, path))
		bytes += stat(t, path).Size
	}
	if last := captures[len(captures)-1].Path; last != result.Path || bytes != result.SizeBytes {
		t.Errorf("the last of %d bytes is %s, the result says %d and %s", bytes, last, result.SizeBytes, result.Path)
	}
	return captures
}

// allOf are the rows of a table in all parts.
func allOf[T format.Row](t *testing.T, captures []*format.Capture) []T {
	t.Helper()
	var rows []T
	for _, c := range captures {
		rows = append(rows, all[T](t, c)...)
	}
	return rows
}

// joined is the recording of all parts. A socket that is listed again begins
// where it was told first.
func joined(t *testing.T, captures []*format.Capture) recording {
	t.Helper()
	r := recording{byID: map[int64]format.Socket{}, closes: map[int64]format.Socket{}}
	r.exchanges = allOf[format.Exchange](t, captures)
	for _, row := range allOf[format.Socket](t, captures) {
		if row.Event == format.SocketClose {
			if before, twice := r.closes[row.SocketID]; twice && before != row { // the same stands for a late exchange
				t.Errorf("socket %d ends twice: %+v, %+v", row.SocketID, before, row)
			}
			r.closes[row.SocketID] = row
			continue
		}
		if _, known := r.byID[row.SocketID]; known {
			if row.Event != format.SocketExisting {
				t.Errorf("socket %d begins twice: %+v", row.SocketID, row)
			}
			continue
		}
		r.byID[row.SocketID] = row
		r.sockets = append(r.sockets, row)
	}
	return r
}

// checkSeams holds that one part follows the other without a gap, that each says
// the truth of itself, and that final.json has the rows and losses of it.
func checkSeams(t *testing.T, captures []*format.Capture, reason string, losses map[string]int64) {
	t.Helper()
	lost := map[string]int64{}
	for i, c := range captures {
		want := "rotate"
		if i == len(captures)-1 {
			want = reason
		}
		of := c.Manifest.Recording
		if of == nil || of.Part != i+1 || of.ID != captures[0].Manifest.Recording.ID || len(of.ID) != 16 {
			t.Errorf("part %d says that it is %+v", i+1, of)
		}
		if c.Final == nil || c.Final.StopReason != want || c.Final.Error != "" {
			t.Fatalf("part %d ends with %+v, want %q", i+1, c.Final, want)
		}
		if i > 0 && c.Manifest.Clock.MonotonicNs != captures[i-1].Final.EndNs {
			t.Errorf("part %d begins at %d, the one before ends at %d", i+1, c.Manifest.Clock.MonotonicNs, captures[i-1].Final.EndNs)
		}
		for _, p := range c.Problems() {
			t.Errorf("part %d: %s", i+1, p)
		}
		checkSelf(t, i+1, c)
		for _, row := range all[format.Loss](t, c) {
			lost[row.Collector+"/"+row.Cause.String()] += row.Count
		}
	}
	maps.DeleteFunc(losses, func(_ string, n int64) bool { return n == 0 })
	if !maps.Equal(lost, losses) {
		t.Errorf("the rows count losses %v, the result %v", lost, losses)
	}
}

// checkSelf holds that a part counts what it cost itself, from its own start.
func checkSelf(t *testing.T, number int, c *format.Capture) {
	t.Helper()
	rows := all[format.Self](t, c)
	if len(rows) == 0 {
		t.Fatalf("part %d has no row of the recorder", number)
	}
	last := rows[len(rows)-1]
	if c.Final.CPUNs < last.CPUNs || c.Final.CPUNs > last.CPUNs+2e9 {
		t.Errorf("part %d: CPU of %d ns in final.json, %d in the last row", number, c.Final.CPUNs, last.CPUNs)
	}
	if number > 1 && rows[0].CPUNs > last.CPUNs/2+1e8 {
		t.Errorf("part %d begins with a CPU time of %d ns and ends with %d", number, rows[0].CPUNs, last.CPUNs)
	}
}

// checkWhole holds that a part can be read without the others: what its rows
// refer to is in it.
func checkWhole(t *testing.T, number int, c *format.Capture) {
	t.Helper()
	sockets, stacks, frames := map[int64]bool{}, map[int64]bool{}, map[int64]bool{}
	for _, row := range all[format.Socket](t, c) {
		sockets[row.SocketID] = true
	}
	for _, row := range all[format.Frame](t, c) {
		frames[row.FrameID] = true
	}
	for _, row := range all[format.Stack](t, c) {
		if stacks[row.StackID] = true; !frames[row.FrameID] {
			t.Errorf("part %d: stack %d has frame %d, which is not in it", number, row.StackID, row.FrameID)
		}
	}
	strange := 0
	for _, row := range all[format.Exchange](t, c) {
		if !sockets[row.SocketID] {
			strange++
		}
	}
	if strange > 0 && c.Final.Losses["tcp/ring-full"] == 0 { // else sockets may be lost
		t.Errorf("part %d: %d exchanges are of sockets that are not in it", number, strange)
	}
	known := func(id int64) bool { return id <= 0 || stacks[id] }
	for _, row := range all[format.OffCPU](t, c) {
		if !known(row.StackID) || !known(row.UserStackID) {
			t.Errorf("part %d: stacks of %+v are not in it", number, row)
		}
	}
	for _, row := range all[format.OnCPU](t, c) {
		if !known(row.StackID) || !known(row.UserStackID) {
			t.Errorf("part %d: stacks of %+v are not in it", number, row)
		}
	}
}

// checkIntervals holds that what is added up over time lies in the time of its
// part. A thread that ended is in the ring, and may be read later.
func checkIntervals(t *testing.T, number int, c *format.Capture) {
	t.Helper()
	start, end := c.Manifest.Clock.MonotonicNs, c.Final.EndNs
	late := int64(0)
	for _, row := range all[format.Interval](t, c) {
		if row.EndNs > end || row.StartNs < start && row.EndNs > start {
			t.Errorf("part %d from %d to %d has %+v", number, start, end, row)
		}
		late = max(late, start-row.EndNs)
	}
	if late > 2e9 {
		t.Errorf("part %d has intervals that ended %d ns before it", number, late)
	}
	for _, row := range all[format.Syscall](t, c) {
		if row.StartNs < start || row.EndNs > end {
			t.Errorf("part %d from %d to %d has %+v", number, start, end, row)
		}
	}
}

// checkState holds that each part tells what was there when it began.
func checkState(t *testing.T, number int, c *format.Capture, pid, listener int32) {
	t.Helper()
	if !slices.ContainsFunc(all[format.Process](t, c), func(p format.Process) bool { return p.PID == pid && p.Exe != "" }) {
		t.Errorf("part %d does not have process %d", number, pid)
	}
	if !slices.ContainsFunc(all[format.Listener](t, c), func(l format.Listener) bool { return l.Port == listener }) {
		t.Errorf("part %d does not have the listener at %d", number, listener)
	}
	for what, n := range map[string]int{
		"disks": len(all[format.Disk](t, c)), "mounts": len(all[format.Mount](t, c)), "interfaces": len(all[format.Interface](t, c)),
		"memory": len(all[format.Memory](t, c)),
	} {
		if n == 0 {
			t.Errorf("part %d has no %s", number, what)
		}
	}
}

// TestTurnsLoseNothing records loads over some turns, and holds all parts
// together against what the loads counted.
func TestTurnsLoseNothing(t *testing.T) {
	requireBPF(t)
	requireTool(t, "fio")
	device := fullLoop(t)
	writing := &Writing{}
	var echoes []truth
	var reads, count int64
	var pid int32
	result := whileRecording(t, Options{
		Output:   filepath.Join(t.TempDir(), "x.kmon"),
		Rotate:   Rotation{Every: MinRotateEvery},
		Interval: time.Second, Syscalls: []string{"getppid"}, Writing: writing, DataRingBytes: 64 << 20,
	}, func() {
		var stop func() int64
		pid, stop = startSpinner(t)
		over := func() bool { return partNumberOf(t, writing.Path()) > turns }
		var loads sync.WaitGroup
		loads.Go(func() {
			for !over() {
				reads += readDevice(t, device)
			}
		})
		for !over() && !t.Failed() {
			_, wait := startLoad(t, "echo", "-requests", "20000", "-connections", "8")
			echoes = append(echoes, wait())
			_, wait = startLoad(t, "echo", "-requests", "500", "-fresh")
			echoes = append(echoes, wait())
		}
		loads.Wait()
		count = stop()
	})
	captures := partsOf(t, result)
	if len(captures) <= turns {
		t.Errorf("%d parts, want more than %d", len(captures), turns)
	}
	checkLosses(t, result, callsCollector)
	checkSeams(t, captures, "signal", result.Losses)
	for i, c := range captures {
		checkWhole(t, i+1, c)
		checkIntervals(t, i+1, c)
	}
	r := joined(t, captures)
	lostOf := func(collector string) (n int64) {
		for what, lost := range result.Losses {
			if owner, _, _ := strings.Cut(what, "/"); owner == collector {
				n += lost
			}
		}
		return n
	}
	for _, echo := range echoes {
		server, client := echo.Services[0], echo.Edges[0]
		lost := lostOf("tcp") // where so much else runs that the recorder does not
		got := r.sum(r.ofProcess(server.PID, format.RoleServer))
		if got.requests > server.Requests || got.requests+lost < server.Requests || lost == 0 && (got.received != server.BytesIn || got.sent != server.BytesOut) {
			t.Errorf("server: got %+v and %d lost, the load counted %+v", got, lost, server)
		}
		got = r.sum(r.ofProcess(client.PID, format.RoleClient))
		if got.requests > client.Requests || got.requests+lost < client.Requests || lost == 0 && (got.sent != client.BytesSent || got.received != client.BytesReceived) {
			t.Errorf("client: got %+v and %d lost, the load counted %+v", got, lost, client)
		}
	}
	if got := called(allOf[format.Syscall](t, captures), pid)["getppid"].Count; got < count-2 || got > count {
		t.Errorf("%d calls of getppid, the caller counted %d", got, count)
	}
	fios := map[int32]bool{}
	for _, row := range allOf[format.Proc](t, captures) {
		fios[row.PID] = fios[row.PID] || row.Event == format.ProcExec && filepath.Base(row.Exe) == "fio"
	}
	ios := slices.DeleteFunc(allOf[format.IO](t, captures), func(io format.IO) bool {
		return !fios[io.PID] || io.DeviceID != rawDevice(stat(t, device).Rdev)
	})
	if n := int64(len(ios)); n > reads || n+lostOf("block") < reads || reads == 0 {
		t.Errorf("%d reads and %d lost, fio made %d", n, lostOf("block"), reads)
	}
}

// readDevice reads a device with fio and returns how many IOs that took.
func readDevice(t *testing.T, device string) int64 {
	report := filepath.Join(t.TempDir(), "fio.json")
	command := fioOn(t, device, report, "--rw=randread", "--bs=4k", "--iodepth=1", "--time_based=0")
	run(t, command[0], command[1:]...)
	data, err := os.ReadFile(report)
	if err != nil {
		t.Error(err)
		return 0
	}
	return readFio(t, data).Read.IOs
}

// partNumberOf reads the number in the name of a part.
func partNumberOf(t *testing.T, path string) (number int) {
	t.Helper()
	name := filepath.Base(path)
	if _, err := fmt.Sscanf(name[strings.LastIndexByte(name, '-')+1:], "%06d", &number); err != nil {
		t.Errorf("the file that is written is %q: %v", path, err)
		return 1 << 30
	}
	return number
}

// TestPartsTellWhatIsThere: what began before a part, and goes on, is in it: a
// connection that is silent and then used, a listener, processes, the node.
func TestPartsTellWhatIsThere(t *testing.T) {
	long(t)
	requireBPF(t)
	config := filepath.Join(t.TempDir(), "kmon.yaml")
	if err := os.WriteFile(config, []byte("targets: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writing := &Writing{}
	gate := newGate(t)
	var truth truth
	result := whileRecording(t, Options{
		Output: filepath.Join(t.TempDir(), "x.kmon"), Rotate: Rotation{Every: MinRotateEvery}, ConfigPath: config, Writing: writing,
	}, func() {
		_, wait := startLoad(t, "echo", "-requests", "9", "-connections", "3", "-gate", string(gate))
		gate.wait(t, "connected", 3)
		later := func(n int) func() bool { return func() bool { return partNumberOf(t, writing.Path()) >= n } }
		waitUntil(t, "the third part", later(3))
		gate.open(t, "ask") // the exchange is under way at two turns at least
		gate.wait(t, "asked", 3)
		waitUntil(t, "the sixth part", later(6))
		gate.open(t, "answer")
		truth = wait()
	})
	captures := partsOf(t, result)
	checkSeams(t, captures, "signal", result.Losses)
	server := truth.Services[0]
	var port int32
	for _, row := range all[format.Listener](t, captures[0]) {
		if row.PID == server.PID {
			port = row.Port
		}
	}
	for i, c := range captures[1:] {
		if i+2 < len(captures) { // by the end of the last they may be gone
			checkState(t, i+2, c, server.PID, port)
		}
		if configs := all[format.Config](t, c); len(configs) != 1 || configs[0].Version != 1 || configs[0].Path != config {
			t.Errorf("part %d has configurations %+v", i+2, configs)
		}
		checkWhole(t, i+2, c)
		for _, row := range all[format.Socket](t, c) {
			if row.PID == server.PID && row.Event == format.SocketExisting && (row.TsNs != c.Manifest.Clock.MonotonicNs || row.RoleSource != format.RoleSourceAccept) {
				t.Errorf("part %d lists %+v", i+2, row)
			}
		}
	}
	r := joined(t, captures)
	if got := r.sum(r.ofProcess(server.PID, format.RoleServer)); got.requests != server.Requests || got.sockets != 3 {
		t.Errorf("got %+v, the server counted %+v", got, server)
	}
	for _, s := range r.sockets {
		if s.PID == server.PID && s.Event != format.SocketOpen {
			t.Errorf("the connection begins as %+v", s)
		}
	}
}

// TestSumsOverTurnsEqualProc: what threads did in all parts adds up to /proc's
// numbers.
func TestSumsOverTurnsEqualProc(t *testing.T) {
	long(t)
	untilNoDoubt(t, checkSumsOverTurns)
}

func checkSumsOverTurns(t *testing.T, d *doubts) {
	r := recordKnown(t, d, Options{Collectors: []string{"cpu"}, Rotate: Rotation{Every: MinRotateEvery}}, workloadBinary, "known", "-times", "100")
	captures := partsOf(t, r.result)
	checkSeams(t, captures, "signal", r.result.Losses)
	for i, c := range captures {
		checkIntervals(t, i+1, c)
	}
	sums := sumByThread(allOf[format.Interval](t, captures))
	if len(captures) < turns/2 {
		t.Errorf("%d parts are too few for this test", len(captures))
	}
	for name, thread := range r.threads {
		if got, want := sums[thread.TID], r.proc[thread.TID]; got != want {
			d.Errorf("%s: got %+v, /proc says %+v", name, got, want)
		}
	}
}

// TestPartsStayWithinTheirBounds records a load that fills parts, and watches that
// there never are more of them, and never larger ones, than asked for.
func TestPartsStayWithinTheirBounds(t *testing.T) {
	long(t)
	requireBPF(t)
	for name, c := range map[string]struct {
		o         Options
		files     int
		bytes     int64
		withMarks string
	}{
		"files": {Options{Rotate: Rotation{SizeBytes: MinMaxSizeBytes, Count: 3}}, 3, 3 * MinMaxSizeBytes, "--rotate-count"},
		"bytes": {Options{Rotate: Rotation{Every: time.Second}, MaxSizeBytes: 4 << 20}, 1000, 4 << 20, "--max-size"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, writing := t.TempDir(), &Writing{}
			c.o.Output, c.o.Writing, c.o.MinFreeBytes = filepath.Join(dir, "x.kmon"), writing, -1
			result := whileRecording(t, c.o, func() {
				load, _ := startLoad(t, "echo", "-requests", "100000000", "-connections", "4")
				defer func() {
					_ = load.Process.Kill()
					_ = load.Wait() // killed, which is no failure
				}()
				waitUntil(t, "the eighth part, and the first one's end", func() bool {
					files, bytes := filesAndBytes(t, dir)
					if files > c.files || bytes > c.bytes {
						t.Fatalf("there are %d files of %d bytes, at most %d of %d may be", files, bytes, c.files, c.bytes)
					}
					_, err := os.Stat(filepath.Join(dir, "x-000001.kmon"))
					return partNumberOf(t, writing.Path()) >= 8 && errors.Is(err, fs.ErrNotExist)
				})
			})
			if files, bytes := filesAndBytes(t, dir); files > c.files || bytes > c.bytes || bytes != result.SizeBytes || files != result.Parts.Count-result.Parts.Removed {
				t.Errorf("left are %d files of %d bytes, the result says %+v and %d bytes", files, bytes, *result.Parts, result.SizeBytes)
			}
			if result.Parts.Removed == 0 || stat(t, result.Parts.First).Size == 0 {
				t.Errorf("the parts are %+v", *result.Parts)
			}
			marks := all[format.Mark](t, opened(t, result.Path))
			if c.files == 3 && !slices.ContainsFunc(marks, func(m format.Mark) bool { return m.Kind == "rotate" && strings.Contains(m.Text, c.withMarks) }) {
				t.Errorf("no mark of the last part tells what was removed: %+v", marks)
			}
		})
	}
}

// filesAndBytes counts what is in a directory. A file that has two names while it
// gets its last one is one.
func filesAndBytes(t *testing.T, dir string) (files int, bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Lstat(filepath.Join(dir, e.Name()), &st) == nil && !seen[st.Ino] {
			seen[st.Ino] = true
			files++
			bytes += st.Size
		}
	}
	return files, bytes
}
