package record

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// The tests of this file let fio do IO on a loop device of their own, and hold
// the rows of table ios against what fio counted itself.

// requireTool ends the test when a program that it needs is missing.
func requireTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing", name)
	}
	t.Skipf("%s is missing", name)
}

// fioSide is what fio says of the IOs of one kind.
type fioSide struct {
	IOs      int64 `json:"total_ios"`
	Bytes    int64 `json:"io_bytes"`
	Complete struct {
		Percentile map[string]int64 `json:"percentile"`
	} `json:"clat_ns"`
}

type fioJob struct {
	Read  fioSide `json:"read"`
	Write fioSide `json:"write"`
	Trim  fioSide `json:"trim"`
	Sync  fioSide `json:"sync"`
}

// diskRecording is a recording of fio at work on one loop device.
type diskRecording struct {
	fio    fioJob
	pid    int32
	device int64       // the loop device
	own    []format.IO // by fio, on the loop device
	all    []format.IO // by anybody, on any device
	result Result
}

// loop makes a loop device over a file of this size.
func loop(t *testing.T, sizeBytes int64) (device, file string) {
	t.Helper()
	requireBPF(t)
	requireTool(t, "losetup")
	file = filepath.Join(t.TempDir(), "disk")
	content := make([]byte, sizeBytes) // written, so that the file system has nothing to allocate later
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--direct-io=on", "--find", "--show", file).CombinedOutput()
	device = strings.TrimSpace(string(out))
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("losetup: %v: %s", err, out)
	case err != nil:
		t.Skipf("losetup: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", device, err, out)
		}
	})
	return device, file
}

// rawDevice turns a dev_t into a device id of the tables.
func rawDevice(dev uint64) int64 { return int64(unix.Major(dev))<<20 | int64(unix.Minor(dev)) }

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return st
}

const loopBytes = 32 << 20

// recordFio records a run of fio on a new loop device.
func recordFio(t *testing.T, o Options, args ...string) diskRecording {
	t.Helper()
	requireTool(t, "fio")
	requireTool(t, "chrt")
	device, _ := loop(t, loopBytes)
	return recordFioOn(t, device, o, args...)
}

func recordFioOn(t *testing.T, device string, o Options, args ...string) diskRecording {
	t.Helper()
	dir := t.TempDir()
	report := filepath.Join(dir, "fio.json")
	o.Output, o.Collectors = filepath.Join(dir, "x.kmon"), []string{"block", "proc"}
	o.Command = append([]string{"chrt", "--fifo", "50", "fio", "--name=load", "--thread", "--filename=" + device, "--size=32m",
		"--output-format=json", "--output=" + report}, args...)
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Losses) != 0 {
		t.Errorf("losses: %v", result.Losses)
	}
	r := diskRecording{device: rawDevice(stat(t, device).Rdev), result: result}
	c := opened(t, result.Path)
	for _, proc := range all[format.Proc](t, c) {
		if proc.Event == format.ProcExec && filepath.Base(proc.Exe) == "fio" {
			r.pid = proc.PID
		}
	}
	r.all = all[format.IO](t, c)
	for _, io := range r.all {
		if io.DeviceID == r.device && io.PID == r.pid {
			r.own = append(r.own, io)
		}
	}
	r.fio = readFio(t, report)
	return r
}

func readFio(t *testing.T, path string) fioJob {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Jobs []fioJob }
	if err := json.Unmarshal(data, &report); err != nil || len(report.Jobs) != 1 {
		t.Fatalf("fio's report: %v: %s", err, data)
	}
	return report.Jobs[0]
}

// of selects the rows of one operation.
func of(ios []format.IO, op format.Operation) []format.IO {
	return slices.DeleteFunc(slices.Clone(ios), func(io format.IO) bool { return io.Op != op })
}

func bytesOfIOs(ios []format.IO) (sum int64) {
	for _, io := range ios {
		sum += io.Bytes
	}
	return sum
}

// percentile of the time from asked to done.
func percentile(ios []format.IO, p float64) int64 {
	times := make([]int64, len(ios))
	for i, io := range ios {
		times[i] = io.QueueNs + io.DeviceNs
	}
	slices.Sort(times)
	return times[max(int(math.Ceil(p/100*float64(len(times)))), 1)-1]
}

// fio's time begins before the kernel makes a request and ends when its thread
// runs again, so it is the longer by the way through the kernel and a wake-up:
// 10 µs, and some times that on a busy machine, though fio goes before all
// others there (chrt).
const fioFloorNs = 60_000

func (r diskRecording) compare(t *testing.T, op format.Operation, want fioSide) {
	t.Helper()
	ios := of(r.own, op)
	if got := int64(len(ios)); got != want.IOs {
		t.Errorf("%d IOs of kind %v, fio counted %d", got, op, want.IOs)
	}
	if got := bytesOfIOs(ios); got != want.Bytes {
		t.Errorf("%d bytes of kind %v, fio counted %d", got, op, want.Bytes)
	}
	for _, p := range []float64{50, 95, 99} {
		got, fio := percentile(ios, p), want.Complete.Percentile[fmt.Sprintf("%.6f", p)]
		t.Logf("%v p%.0f: %d ns, fio %d ns", op, p, got, fio)
		if off := fio - got; float64(got) > 1.05*float64(fio) || off > fioFloorNs && float64(off) > 0.05*float64(fio) {
			t.Errorf("%v p%.0f: %d ns, fio has %d ns", op, p, got, fio)
		}
	}
}

func TestIOsMatchFio(t *testing.T) {
	for _, test := range []struct {
		name     string
		variants map[string]string
	}{
		{"as planned", nil},
		{"asker known by the bio, as before 6.3", map[string]string{"asker": "tp_btf:block_getrq"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recordFio(t, Options{Variants: test.variants},
				"--rw=randrw", "--bs=256k", "--direct=1", "--number_ios=2000", "--randseed=1")
			r.compare(t, format.OperationRead, r.fio.Read)
			r.compare(t, format.OperationWrite, r.fio.Write)
			for _, io := range r.own {
				if io.TID == 0 || io.TID == io.PID { // fio's job is a thread of its own
					t.Fatalf("IO of thread %d of process %d: %+v", io.TID, io.PID, io)
				}
				if io.StartNs <= 0 || io.QueueNs <= 0 || io.DeviceNs <= 0 || io.Error != 0 || io.Merges != 0 || io.Sector%8 != 0 {
					t.Fatalf("%+v", io)
				}
			}
		})
	}
}
