package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmon/format"
	"kmon/record"
)

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	check(t, err)
	return names
}

// recorderProcess starts kmon record in the current directory and waits until it
// takes requests.
func recorderProcess(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := kmonProcess(t, append([]string{"record", "-e", "proc"}, args...)...)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it still runs
	eventually(t, "the recorder listens", func() bool {
		list, err := os.ReadFile("/proc/net/unix")
		check(t, err)
		return regexp.MustCompile(fmt.Sprintf(`@kmon-record-%d\b`, cmd.Process.Pid)).Match(list)
	})
	return cmd, stderr
}

// A signal has the ring written out, kmon dump another time; the recorder goes on.
func TestDumps(t *testing.T) {
	need(t)
	t.Chdir(t.TempDir())
	cmd, stderr := recorderProcess(t, "--ring", "1m", "-o", "shop.kmon", "--no-last-dump")
	check(t, cmd.Process.Signal(syscall.SIGUSR2))
	eventually(t, "the dump of SIGUSR2", func() bool { return len(glob(t, "shop-*Z*.kmon")) == 1 })
	pid := fmt.Sprint(cmd.Process.Pid)
	if stdout, _, _ := kmon("__complete", "dump", ""); !strings.Contains(" "+offered(stdout)+" ", " "+pid+" ") {
		t.Errorf("dump is completed with %q, not with %s", offered(stdout), pid)
	}
	stdout, errors, code := kmon("dump", pid, "--reason", "orders fail")
	said := regexp.MustCompile(`^(/.*/shop-[0-9]{8}T[0-9]{6}Z(-2)?\.kmon): the last [0-9.ms]+, [0-9.]+ MiB \(recorder ` + pid + `\)\n$`).FindStringSubmatch(stdout)
	if said == nil || errors != "" || code != codeOK {
		t.Fatalf("got exit code %d, stdout %q, stderr %q", code, stdout, errors)
	}
	marks, _, _ := kmon("print", said[1], "marks")
	if !strings.Contains(marks, "SIGUSR2") || !strings.Contains(marks, ", orders fail") {
		t.Errorf("marks of the second dump: %s", marks)
	}
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	if code := exitCodeOf(t, cmd); code != codeOK || strings.Count(stderr.String(), "kmon: wrote shop-") != 2 ||
		!regexp.MustCompile(`2 dumps of .*, the last of [0-9.]+ KiB: shop-.*\.kmon\n$`).MatchString(stderr.String()) {
		t.Errorf("got exit code %d and stderr %s", code, stderr)
	}
	if left := glob(t, "*"); len(left) != 2 {
		t.Errorf("it left %v, want the two dumps", left)
	}
}

// Without a ring there is nothing to dump, and SIGUSR2 does not end a recording.
func TestDumpWithoutRing(t *testing.T) {
	const want = "kmon: no recording runs here as process 1; kmon record --ring 10m keeps the last minutes from now on\n"
	if stdout, stderr, code := kmon("dump", "1"); code != codeError || stdout != "" || stderr != want {
		t.Errorf("got exit code %d, stdout %q, stderr %q; want %q", code, stdout, stderr, want)
	}
	need(t)
	t.Chdir(t.TempDir())
	cmd, stderr := recorderProcess(t, "-o", "shop.kmon")
	check(t, cmd.Process.Signal(syscall.SIGUSR2))
	_, said, code := kmon("dump", fmt.Sprint(cmd.Process.Pid))
	if !strings.Contains(said, "it keeps no ring: all of it goes to /") || code != codeError {
		t.Errorf("got exit code %d and %q", code, said)
	}
	check(t, cmd.Process.Signal(syscall.SIGINT))
	if code := exitCodeOf(t, cmd); code != codeOK || !strings.HasPrefix(stderr.String(), "kmon: SIGUSR2 asks for a dump, and there is no ring to write out (--ring 10m)\n") {
		t.Errorf("got exit code %d and stderr %s", code, stderr)
	}
}

// What a killed recorder kept can be read, and the next one does not touch it.
func TestRingOfAKilledRecorder(t *testing.T) {
	need(t)
	t.Chdir(t.TempDir())
	cmd, _ := recorderProcess(t, "--ring", "10s", "-o", "shop.kmon")
	eventually(t, "three parts", func() bool { return len(glob(t, "shop.ring/*.kmon")) >= 3 })
	check(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	parts := glob(t, "shop.ring/*.kmon*")
	stdout, stderr, code := kmon(append([]string{"analyze", "-o", "x.json"}, parts...)...)
	if code != codeOK && code != codeInconclusive || strings.Contains(stderr, "cannot") {
		t.Errorf("analyze %v: exit code %d, %s%s", parts, code, stdout, stderr)
	}
	_, stderr, code = kmon("record", "-e", "proc", "--ring", "10s", "-o", "shop.kmon", "-d", "1s")
	aside := glob(t, "shop-*.ring")
	if code != codeOK || len(aside) != 1 || !strings.Contains(stderr, "a recorder was killed here; the parts that it left are in "+aside[0]) {
		t.Fatalf("the next recorder: exit code %d, stderr %q, moved to %v", code, stderr, aside)
	}
	if kept := glob(t, aside[0]+"/*"); len(kept) != len(parts) {
		t.Errorf("of %v it kept %v", parts, kept)
	}
	if dumps := glob(t, "shop-*.kmon"); len(dumps) != 1 || len(glob(t, "shop.ring")) > 0 {
		t.Errorf("it left %v, want one dump", glob(t, "*"))
	}
}

// When the disk becomes full the recording ends. Where a last dump has no room the
// parts stay, and hold it all.
func TestRingOnAFullDisk(t *testing.T) {
	long(t)
	need(t, "unshare", "mount")
	t.Chdir(t.TempDir())
	check(t, os.Mkdir("disk", 0o700))
	self, err := os.Executable()
	check(t, err)
	script := fmt.Sprintf(`set -e
mount -t tmpfs -o size=32m none disk
%s=1 %q record -e proc,cpu --ring 1m --min-free 16MiB -o disk/shop.kmon -- \
	sh -c 'head -c 14900000 /dev/zero >disk/neighbour; exec sleep 100' || code=$?
rm -f disk/neighbour
cp -r disk copy
echo "code $code"
`, actAsKmon, self)
	out, err := exec.Command("unshare", "--mount", "sh", "-c", script).CombinedOutput()
	check(t, err)
	said := string(out)
	if !strings.Contains(said, "code 143") || !strings.Contains(said, "no dump was written (the recording ended): it may need ") ||
		!strings.Contains(said, "(kmon analyze disk/shop.ring/*.kmon*)") {
		t.Errorf("it said %s", said)
	}
	parts := glob(t, "copy/shop.ring/*")
	if len(parts) == 0 || len(glob(t, "copy/*")) != 1 {
		t.Fatalf("it left %v", glob(t, "copy/*"))
	}
	whole, err := format.OpenParts(parts...)
	check(t, err)
	defer whole.Close()
	if whole.Final == nil || whole.Final.StopReason != "disk" || len(whole.Problems()) > 0 {
		t.Errorf("the parts end with %+v and problems %v", whole.Final, whole.Problems())
	}
}

func TestRingSummary(t *testing.T) {
	r := record.Result{Path: "shop-20261121T103014Z.kmon", Ring: &record.Ring{Dumps: 1}, SizeBytes: 1 << 20, CPUNs: 210e6, DurationNs: 10e9, MaxRSSBytes: 21 << 20}
	lossy := r
	lossy.Ring, lossy.Path, lossy.Losses = &record.Ring{Left: "shop.ring"}, "", map[string]int64{"tcp/ring-full": 1200, "block/shed": -1}
	for _, c := range []struct {
		result record.Result
		want   string
	}{
		{record.Result{}, ""},
		{r, "1 dump of 10.0 s, nothing lost, kmon's own 2.1% of a core and 21.0 MiB, the last of 1.00 MiB: shop-20261121T103014Z.kmon"},
		{lossy, "0 dumps of 10.0 s, 1,200 lost, kmon's own 2.1% of a core and 21.0 MiB; the ring stays in shop.ring (kmon analyze shop.ring/*.kmon*)"},
	} {
		if got := ringSummary(c.result, false); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
