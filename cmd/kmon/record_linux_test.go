package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kmon/record"
)

func TestSummary(t *testing.T) {
	whole := record.Result{Path: "shop.kmon", SizeBytes: 1 << 20, CPUNs: 210e6, DurationNs: 10e9, MaxRSSBytes: 21 << 20,
		Rows: map[string]int64{"exchanges": 123456, "sockets": 34}}
	measured := whole
	measured.BPFRunNs = 42e6
	parted := func(parts record.Parts, path string) record.Result {
		r := whole
		r.Path, r.Parts = path, &parts
		return r
	}
	const start = "123,456 exchanges (123,490 rows) in 10.0 s, 1.00 MiB, nothing lost, kmon's own 2.1% of a core and 21.0 MiB: "
	lossy := whole
	lossy.Losses = map[string]int64{"tcp/state-full": 3, "tcp/ring-full": 1200, "proc/decode": 0}
	for _, c := range []struct {
		result  record.Result
		palette palette
		want    string
	}{
		{whole, true, "123,456 exchanges (123,490 rows) in 10.0 s, 1.00 MiB, nothing lost, kmon's own 2.1% of a core and 21.0 MiB: shop.kmon"},
		{measured, true, "123,456 exchanges (123,490 rows) in 10.0 s, 1.00 MiB, nothing lost, kmon's own 2.1% of a core (its programs in the kernel about 0.4% more) and 21.0 MiB: shop.kmon"},
		{lossy, false, "123,456 exchanges (123,490 rows) in 10.0 s, 1.00 MiB, 1,203 lost (tcp/ring-full 1,200, tcp/state-full 3), kmon's own 2.1% of a core and 21.0 MiB: shop.kmon"},
		{lossy, true, "123,456 exchanges (123,490 rows) in 10.0 s, 1.00 MiB, \x1b[31m1,203 lost\x1b[0m (tcp/ring-full 1,200, tcp/state-full 3), kmon's own 2.1% of a core and 21.0 MiB: shop.kmon"},
		{record.Result{Path: "x\x1b.kmon"}, true, "0 exchanges (0 rows) in 0 ns, 0 B, nothing lost, kmon's own 0.0% of a core and 0 B: x\uFFFD.kmon"},
		{parted(record.Parts{Count: 1, First: "shop-000001.kmon"}, "shop-000001.kmon"), true, start + "1 part, shop-000001.kmon"},
		{parted(record.Parts{Count: 3, First: "a/shop-000001.kmon"}, "a/shop-000003.kmon"), true, start + "3 parts, a/shop-000001.kmon to shop-000003.kmon"},
		{parted(record.Parts{Count: 9, Removed: 7, First: "shop-000008.kmon"}, "shop-000009.kmon"), true, start + "9 parts, the oldest 7 of them removed, shop-000008.kmon to shop-000009.kmon"},
	} {
		if got := summary(c.result, c.palette); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

// What cannot be counted is said before anything is recorded.
func TestRecordCountsOnlyWhatThereIs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct{ args, want string }{
		{"--syscalls raed", "kmon: there is no system call \"raed\" on this architecture; did you mean read?\n"},
		{"--count read --count tcp:", "kmon: \"tcp:\" is no tracepoint; one is named as tcp:tcp_probe\n"},
	} {
		args := append([]string{"record", "-d", "1s", "-o", "x.kmon"}, strings.Fields(c.args)...)
		if stdout, stderr, code := kmon(args...); code != codeError || stdout != "" || stderr != c.want {
			t.Errorf("%s: got exit code %d, stderr %q; want %q", c.args, code, stderr, c.want)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// Where --min-free is not even there at the start, nothing is begun.
func TestRecordNeedsRoom(t *testing.T) {
	need(t)
	t.Chdir(t.TempDir())
	stdout, stderr, code := kmon("record", "-d", "1s", "-o", "x.kmon", "--min-free", "8000000TiB")
	if code != codeError || stdout != "" || !regexp.MustCompile(`^kmon: \. has only [0-9.]+ MiB free, .*\(--min-free\)\n$`).MatchString(stderr) {
		t.Errorf("got exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func TestMarkWithoutRecording(t *testing.T) {
	const want = "kmon: no recording runs here as process 1; the mark is nowhere (kmon record starts one)\n"
	if stdout, stderr, code := kmon("mark", "--pid", "1", "deploy", "42"); code != codeError || stdout != "" || stderr != want {
		t.Errorf("got exit code %d, stdout %q, stderr %q; want %q", code, stdout, stderr, want)
	}
}

// record -- CMD ends as CMD does.
func TestRecordCommand(t *testing.T) {
	need(t, "sh")
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		name, script string
		want         int
	}{
		{"ends.kmon", "exit 0", 0},
		{"fails.kmon", "exit 7", 7},
		{"killed.kmon", "kill -KILL $$", 137},
	} {
		stdout, stderr, code := kmon("record", "-o", c.name, "--", "sh", "-c", c.script)
		if code != c.want || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, ": "+c.name+"\n") {
			t.Errorf("sh -c %q: got exit code %d, stdout %q, stderr %q; want %d and one line on %s", c.script, code, stdout, stderr, c.want, c.name)
		}
		if info, err := os.Stat(c.name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", c.name, info, err)
		}
	}
	if _, stderr, code := kmon("record", "-o", "ends.kmon", "-d", "1s"); code != codeError || !strings.Contains(stderr, "never overwritten") {
		t.Errorf("onto a capture: got exit code %d and stderr %q", code, stderr)
	}
	if _, stderr, code := kmon("record", "-e", "tpc", "-d", "1s"); code != codeError || !strings.Contains(stderr, "tpc") {
		t.Errorf("an unknown collector: got exit code %d and stderr %q", code, stderr)
	}
}

// recordStubborn starts kmon record on a command that does not end when asked,
// and waits until the command runs. It gives what the command says after that.
func recordStubborn(t *testing.T, script string, options ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer) {
	t.Helper()
	cmd := kmonProcess(t, slices.Concat([]string{"record", "-o", "x.kmon"}, options, []string{"--", "sh", "-c", script})...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdoutPipe()
	check(t, err)
	stdout := bufio.NewReader(pipe)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	check(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // what the test has left running
	if line, err := stdout.ReadString('\n'); line != "ready\n" {
		rest, _ := io.ReadAll(stdout)
		t.Fatalf("got %q %q, %v and stderr %q; want ready", line, rest, err, stderr)
	}
	return cmd, stdout, stderr
}

// A first interrupt finishes the file and ends the command.
func TestRecordInterrupted(t *testing.T) {
	need(t, "sh")
	t.Chdir(t.TempDir())
	cmd, _, stderr := recordStubborn(t, "echo ready; exec sleep 100")
	check(t, cmd.Process.Signal(os.Interrupt))
	if code := exitCodeOf(t, cmd); code != 128+int(syscall.SIGTERM) {
		t.Errorf("got exit code %d and stderr %q, want that of the command", code, stderr)
	}
	if stdout, _, code := kmon("verify", "x.kmon"); code != codeOK {
		t.Errorf("verify: got exit code %d and %q", code, stdout)
	}
}

// stubborn is a script that says when it is asked to end, and does not.
const stubborn = "trap '' INT; trap 'echo asked' TERM; echo ready; sleep 100 >/dev/null 2>&1 & while :; do wait; done"

// A second interrupt abandons: the .part stays and can be repaired.
func TestRecordAbandoned(t *testing.T) {
	need(t, "sh")
	t.Chdir(t.TempDir())
	cmd, stdout, stderr := recordStubborn(t, stubborn)
	if part := abandon(t, cmd, stdout, stderr); part != "x.kmon.part" {
		t.Errorf("it names %q", part)
	}
	if _, err := os.Stat("x.kmon"); err == nil {
		t.Error("x.kmon is there, want x.kmon.part only")
	}
	if stdout, errs, code := kmon("repair", "x.kmon.part"); code != codeOK {
		t.Errorf("repair: got exit code %d, %q %q", code, stdout, errs)
	}
	if stdout, _, code := kmon("verify", "x.repaired.kmon"); code != codeOK {
		t.Errorf("verify: got exit code %d and %q", code, stdout)
	}
}

// Of a recording in parts the one that is written then is named; those before are
// whole.
func TestRecordAbandonedInParts(t *testing.T) {
	need(t, "sh")
	t.Chdir(t.TempDir())
	cmd, stdout, stderr := recordStubborn(t, stubborn, "-e", "proc", "--rotate", "1s")
	eventually(t, "the second part", func() bool { return len(glob(t, "x-000001.kmon")) == 1 })
	part := abandon(t, cmd, stdout, stderr)
	if part < "x-000002.kmon.part" || !slices.Contains(glob(t, "x-*.kmon.part"), part) {
		t.Errorf("it names %q, there are %q", part, glob(t, "*"))
	}
	if stdout, errs, code := kmon("repair", part); code != codeOK {
		t.Errorf("repair: got exit code %d, %q %q", code, stdout, errs)
	}
	for _, whole := range glob(t, "x-*.kmon") {
		if stdout, _, code := kmon("verify", whole); code != codeOK {
			t.Errorf("verify: got exit code %d and %q", code, stdout)
		}
	}
}

// record --rotate -- CMD ends as CMD does, and its parts are whole.
func TestRecordCommandInParts(t *testing.T) {
	need(t, "sh")
	t.Chdir(t.TempDir())
	stdout, stderr, code := kmon("record", "-e", "proc", "--rotate", "1s", "-o", "x.kmon", "--", "sh", "-c",
		"while ! [ -e x-000001.kmon ]; do sleep 0.1; done; exit 7")
	parts := glob(t, "*")
	slices.Sort(parts)
	want := fmt.Sprintf(": %d parts, x-000001.kmon to x-%06d.kmon\n", len(parts), len(parts))
	if code != 7 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, want) || len(parts) < 2 {
		t.Errorf("got exit code %d, stdout %q, stderr %q; want 7 and a line that ends with %q", code, stdout, stderr, want)
	}
	for i, part := range parts {
		if stdout, _, code := kmon("verify", part); code != codeOK || part != fmt.Sprintf("x-%06d.kmon", i+1) {
			t.Errorf("verify %s: got exit code %d and %q", part, code, stdout)
		}
	}
}

// abandon interrupts twice, and returns the part that is told of.
func abandon(t *testing.T, cmd *exec.Cmd, stdout *bufio.Reader, stderr *bytes.Buffer) (part string) {
	t.Helper()
	check(t, cmd.Process.Signal(os.Interrupt))
	if line, err := stdout.ReadString('\n'); line != "asked\n" {
		t.Fatalf("got %q, %v; want the command asked to end", line, err)
	}
	check(t, cmd.Process.Signal(os.Interrupt))
	if _, err := cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the command holds the pipes
	_ = cmd.Wait()
	_, rest, _ := strings.Cut(stderr.String(), "what was written is in ")
	part, _, _ = strings.Cut(rest, " (")
	if want := fmt.Sprintf("kmon: abandoned; what was written is in %s (kmon repair %s)\n", part, part); stderr.String() != want {
		t.Errorf("stderr: got %q, want %q", stderr, want)
	}
	return part
}

// On a terminal the recording tells how it is doing and wipes that again.
func TestRecordStatus(t *testing.T) {
	need(t)
	t.Chdir(t.TempDir())
	cmd, controller := startOnTerminal(t, "NO_COLOR=", "record", "-o", "x.kmon", "-d", "2m") // until then it has to be told
	shown := readUntil(t, controller, regexp.MustCompile(`[1-9]\d* s: `))
	check(t, cmd.Process.Signal(os.Interrupt))
	_, _ = shown.ReadFrom(controller) // ends with EIO when kmon has gone
	_, last, wiped := strings.Cut(shown.String(), "nothing lost\r\x1b[K")
	if code := exitCodeOf(t, cmd); code != codeOK || !wiped || !strings.HasSuffix(last, ": x.kmon\r\n") {
		t.Errorf("got exit code %d and %q, want a state after a second or more, wiped, and the line on x.kmon", code, shown)
	}
}
