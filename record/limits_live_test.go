package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kmon/format"
)

// cpuCgroup makes a cgroup with a quota of 20 ms of 100 for one process, and
// gives its path. The test is skipped where the CPU controller is out of reach.
func cpuCgroup(t *testing.T, pid int32) string {
	t.Helper()
	name := fmt.Sprintf("kmon-test-%d", os.Getpid())
	quota, dir := map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "20000"}, "/sys/fs/cgroup/cpu/"+name
	if on, err := os.ReadFile("/sys/fs/cgroup/cgroup.subtree_control"); err == nil && strings.Contains(string(on), "cpu") {
		quota, dir = map[string]string{"cpu.max": "20000 100000"}, "/sys/fs/cgroup/"+name
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no CPU controller to make a cgroup with: ", err)
	}
	t.Cleanup(func() {
		err := os.Remove(dir) // busy until the kernel has done with the process
		for until := time.Now().Add(10 * time.Second); errors.Is(err, syscall.EBUSY) && time.Now().Before(until); err = os.Remove(dir) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	})
	quota["cgroup.procs"] = strconv.Itoa(int(pid))
	for file, text := range quota {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Skip("no quota can be set: ", err)
		}
	}
	return dir
}

// throttled reads how often a cgroup was throttled.
func throttled(t *testing.T, dir string) (count int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "nr_throttled "); ok {
			if count, err = strconv.ParseInt(strings.TrimSpace(n), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return count
}

// TestThrottlingIsRecorded holds what is recorded of a quota against what the
// kernel counted before and after.
func TestThrottlingIsRecorded(t *testing.T) {
	requireBPF(t)
	pid, _ := startSpinner(t)
	dir := cpuCgroup(t, pid)
	t.Cleanup(func() { // before the cgroup is removed
		_ = syscall.Kill(int(pid), syscall.SIGKILL)
	})
	var before, after int64
	atFirst := throttled(t, dir)
	result := whileRecording(t, Options{Collectors: []string{"proc"}}, func() {
		before = throttled(t, dir)
		for until := time.Now().Add(time.Minute); after < before+5 && time.Now().Before(until); after = throttled(t, dir) {
			time.Sleep(100 * time.Millisecond)
		}
	})
	atLast := throttled(t, dir)
	c := opened(t, result.Path)
	var sum format.Limit
	for _, row := range all[format.Limit](t, c) {
		if filepath.Base(row.SetBy) != filepath.Base(dir) {
			continue
		}
		if row.QuotaNs != 20e6 || row.PeriodNs != 100e6 || row.DeviceID != 0 || row.PID != pid && row.PID != 0 || row.EndNs < row.StartNs {
			t.Errorf("row is %+v", row)
		}
		sum.ThrottledPeriods += row.ThrottledPeriods
		sum.ThrottledNs += row.ThrottledNs
	}
	if n := sum.ThrottledPeriods; n < after-before || n > atLast-atFirst || sum.ThrottledNs <= 0 {
		t.Errorf("throttled %d times for %d ns, the kernel counted %d to %d", n, sum.ThrottledNs, after-before, atLast-atFirst)
	}
	for _, k := range c.Manifest.Collectors {
		if k.Name == "proc" && k.Variants["limits"] == "" {
			t.Errorf("collector proc is %+v", k)
		}
	}
}
