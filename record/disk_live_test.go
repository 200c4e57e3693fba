package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	Read   fioSide `json:"read"`
	Write  fioSide `json:"write"`
	Trim   fioSide `json:"trim"`
	Sync   fioSide `json:"sync"`
	Errors int64   `json:"total_err"`
}

// diskRecording is a recording of a load on one loop device.
type diskRecording struct {
	fio    fioJob
	pid    int32       // of fio, if it was the command
	device int64       // the loop device
	own    []format.IO // by fio, on the loop device
	all    []format.IO // by anybody, on any device
	// Ends that were not seen, of IOs on any device: a kernel may run no
	// programs in interrupts of some processes. They are counted, so it is known
	// when numbers need not be equal.
	missed int64
}

// loop makes a loop device over a new file of this size in dir.
func loop(t *testing.T, dir string, sizeBytes int64) (device string) {
	t.Helper()
	requireTool(t, "losetup")
	file := filepath.Join(dir, "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, sizeBytes); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
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
	return device
}

// fullLoop makes a loop device over a file without holes, past the page cache,
// so that what is asked of it is asked of the disk below.
func fullLoop(t *testing.T) (device string) {
	t.Helper()
	requireBPF(t)
	device = loop(t, t.TempDir(), loopBytes)
	run(t, "dd", "if=/dev/zero", "of="+device, "bs=1M", "count=32", "conv=fsync")
	run(t, "losetup", "--direct-io=on", device)
	return device
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	requireTool(t, name)
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
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
	return recordFioOn(t, fullLoop(t), o, args...)
}

// fioOn is the command of a load on a device. fio goes before all others, so
// that its times are those of the disk and not of a busy machine.
func fioOn(t *testing.T, device, report string, args ...string) []string {
	t.Helper()
	requireTool(t, "fio")
	requireTool(t, "chrt")
	return append([]string{"chrt", "--fifo", "50", "fio", "--name=load", "--thread", "--filename=" + device, "--size=32m",
		"--direct=1", "--randseed=1", "--output-format=json", "--output=" + report}, args...)
}

func recordFioOn(t *testing.T, device string, o Options, args ...string) diskRecording {
	t.Helper()
	requireBPF(t)
	report := filepath.Join(t.TempDir(), "fio.json")
	o.Command = fioOn(t, device, report, args...)
	r := recordDisk(t, device, o, nil)
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	r.fio = readFio(t, data)
	return r
}

// recordDisk records what is asked of disks while the command runs, or during does.
func recordDisk(t *testing.T, device string, o Options, during func()) diskRecording {
	t.Helper()
	requireBPF(t)
	o.Output, o.Collectors = filepath.Join(t.TempDir(), "x.kmon"), []string{"block", "proc"}
	var result Result
	if during != nil {
		result = whileRecording(t, o, during)
	} else {
		var err error
		if result, err = Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	r := diskRecording{device: rawDevice(stat(t, device).Rdev), missed: result.Losses["block/missed-hit"]}
	delete(result.Losses, "block/missed-hit")
	checkLosses(t, result, "block", "proc")
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
	return r
}

// readFio reads fio's report, before which it may put messages.
func readFio(t *testing.T, text []byte) fioJob {
	t.Helper()
	var report struct{ Jobs []fioJob }
	begin := max(bytes.IndexByte(text, '{'), 0)
	if err := json.Unmarshal(text[begin:], &report); err != nil || len(report.Jobs) != 1 {
		t.Fatalf("fio's report: %v: %.1000s", err, text)
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
	if len(ios) == 0 {
		return 0
	}
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

// compare tells how the rows of one operation differ from what fio counted.
func (r diskRecording) compare(op format.Operation, want fioSide) error {
	ios := of(r.own, op)
	if got := int64(len(ios)); got != want.IOs {
		return fmt.Errorf("%d IOs of kind %v, fio counted %d", got, op, want.IOs)
	}
	if got := bytesOfIOs(ios); got != want.Bytes {
		return fmt.Errorf("%d bytes of kind %v, fio counted %d", got, op, want.Bytes)
	}
	for _, p := range []float64{50, 95, 99} {
		got, fio := percentile(ios, p), want.Complete.Percentile[fmt.Sprintf("%.6f", p)]
		if off := fio - got; float64(got) > 1.05*float64(fio) || off > fioFloorNs && float64(off) > 0.05*float64(fio) {
			return fmt.Errorf("%v p%.0f: %d ns, fio has %d ns", op, p, got, fio)
		}
	}
	return nil
}

// below tells if the disk under the loop device did less than that: an end that no
// program saw is missing there.
func (r diskRecording) below(t *testing.T) error {
	disk := wholeDisk(t, os.TempDir())
	n := bytesOfIOs(slices.DeleteFunc(slices.Clone(r.all), func(io format.IO) bool { return io.DeviceID != disk }))
	if own := bytesOfIOs(r.own); n < own {
		return fmt.Errorf("the disk below did %d bytes, the loop device %d", n, own)
	}
	return nil
}

// fioAttempts is how often a difference has to come to stand: both clocks measure
// a machine that others use too, and fio's has the wait for a CPU in it.
const fioAttempts = 10

// compareFio compares all of a recording.
func compareFio(t *testing.T, record func() diskRecording) (r diskRecording) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		r = record()
		err := errors.Join(r.compare(format.OperationRead, r.fio.Read), r.compare(format.OperationWrite, r.fio.Write), r.below(t))
		if err == nil {
			return r
		}
		if attempt == fioAttempts {
			t.Fatalf("%v (%d ends missed)", err, r.missed)
		}
		t.Logf("attempt %d: %v (%d ends missed)", attempt, err, r.missed)
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
			r := compareFio(t, func() diskRecording {
				return recordFio(t, Options{Variants: test.variants}, "--rw=randrw", "--bs=256k", "--number_ios=2000")
			})
			for _, io := range r.own {
				if io.TID == 0 || io.TID == io.PID { // fio's job is a thread of its own
					t.Fatalf("IO of thread %d of process %d: %+v", io.TID, io.PID, io)
				}
				if io.StartNs <= 0 || io.QueueNs <= 0 || io.DeviceNs <= 0 || io.Error != 0 || io.Merges != 0 || io.Sector%512 != 0 {
					t.Fatalf("%+v", io)
				}
			}
		})
	}
}

// wholeDisk is the disk that a directory is on.
func wholeDisk(t *testing.T, dir string) int64 {
	t.Helper()
	dev := stat(t, dir).Dev
	sys, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev)))
	if err != nil {
		t.Fatalf("%s is on no block device: set TMPDIR to one that is: %v", dir, err)
	}
	if _, err := os.Stat(filepath.Join(sys, "partition")); err == nil {
		sys = filepath.Dir(sys)
	}
	text, err := os.ReadFile(filepath.Join(sys, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int64
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major<<20 | minor
}

// Small writes to neighbouring places, handed in together, become few requests.
func TestMergedIOs(t *testing.T) {
	for _, variant := range askerVariants {
		t.Run(variant, func(t *testing.T) {
			untilNoDoubt(t, func(t *testing.T, d *doubts) { checkMerges(t, d, variant) })
		})
	}
}

// askerVariants are the hooks by which it is known who asked for an IO.
var askerVariants = []string{"tp_btf:block_io_start", "tp_btf:block_getrq"}

func checkMerges(t *testing.T, d *doubts, variant string) {
	r := recordFio(t, Options{Variants: map[string]string{"asker": variant}},
		"--rw=write", "--bs=4k", "--number_ios=1600", "--ioengine=libaio", "--iodepth=16", "--iodepth_batch_submit=16", "--iodepth_low=1")
	var bios, merged int64
	for _, io := range r.own {
		bios += 1 + int64(io.Merges)
		if io.Merges > 0 {
			merged++
		}
		if io.Bytes != 4096*int64(1+io.Merges) {
			d.Errorf("%+v", io)
		}
	}
	t.Logf("%d requests, %d of them merged", len(r.own), merged)
	if bios != r.fio.Write.IOs || bytesOfIOs(r.own) != r.fio.Write.Bytes {
		d.Errorf("%d bios with %d bytes, fio counted %d with %d (%d ends missed)", bios, bytesOfIOs(r.own), r.fio.Write.IOs, r.fio.Write.Bytes, r.missed)
	}
	if merged == 0 {
		d.Errorf("nothing was merged")
	}
}

// Each fsync is a flush, and known to be fio's though the kernel makes it.
func TestFlushesAndDiscards(t *testing.T) {
	for _, variant := range askerVariants {
		t.Run(variant, func(t *testing.T) {
			device, o := fullLoop(t), Options{Variants: map[string]string{"asker": variant}}
			untilNoDoubt(t, func(t *testing.T, d *doubts) { checkFlushes(t, d, device, o) })
			untilNoDoubt(t, func(t *testing.T, d *doubts) { checkDiscards(t, d, device, o) })
		})
	}
}

func checkFlushes(t *testing.T, d *doubts, device string, o Options) {
	r := recordFioOn(t, device, o, "--rw=randwrite", "--bs=4k", "--number_ios=300", "--fsync=3")
	flushes := of(r.own, format.OperationFlush)
	if got := int64(len(flushes)); got != r.fio.Sync.IOs || got == 0 {
		d.Errorf("%d flushes, fio made %d (%d ends missed)", got, r.fio.Sync.IOs, r.missed)
	}
	for _, io := range flushes {
		if io.Sector != -1 || io.Bytes != 0 || io.DeviceNs <= 0 || io.QueueNs <= 0 || io.TID == io.PID {
			d.Errorf("%+v", io)
		}
	}
	if got := int64(len(of(r.own, format.OperationWrite))); got != r.fio.Write.IOs {
		d.Errorf("%d writes, fio made %d (%d ends missed)", got, r.fio.Write.IOs, r.missed)
	}
}

func checkDiscards(t *testing.T, d *doubts, device string, o Options) {
	r := recordFioOn(t, device, o, "--rw=randtrim", "--bs=64k", "--number_ios=100")
	discards := of(r.own, format.OperationDiscard)
	if got := int64(len(discards)); got != r.fio.Trim.IOs || bytesOfIOs(discards) != r.fio.Trim.Bytes || got == 0 {
		d.Errorf("%d discards of %d bytes, fio made %d of %d (%d ends missed)", got, bytesOfIOs(discards), r.fio.Trim.IOs, r.fio.Trim.Bytes, r.missed)
	}
}

// The kernel's own statistics may be off.
func TestIOsWithoutTheKernelsStatistics(t *testing.T) {
	device := fullLoop(t)
	if err := os.WriteFile(filepath.Join("/sys/block", filepath.Base(device), "queue/iostats"), []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	compareFio(t, func() diskRecording {
		return recordFioOn(t, device, Options{}, "--rw=randread", "--bs=4k", "--number_ios=500")
	})
}

// A file system that is full cannot take what is written to a hole of its file.
func TestFailedIOs(t *testing.T) { untilNoDoubt(t, checkFailedIOs) }

func checkFailedIOs(t *testing.T, d *doubts) {
	requireBPF(t)
	dir := t.TempDir()
	if err := unix.Mount("kmon-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	device := loop(t, dir, loopBytes)
	r := recordFioOn(t, device, Options{}, "--rw=write", "--bs=64k", "--continue_on_error=write", "--ignore_error=,ENOSPC:EIO")
	var failed, done int64
	for _, io := range of(r.own, format.OperationWrite) {
		switch {
		case io.Error == int32(unix.ENOSPC) && io.Bytes == 0:
			failed++
		case io.Error == 0 && io.Bytes == 64<<10:
			done++
		default:
			d.Errorf("%+v", io)
		}
	}
	if all := failed + done; failed == 0 || done == 0 || failed != r.fio.Errors || all != loopBytes/(64<<10) {
		d.Errorf("%d IOs failed and %d did not, fio counted %d errors of %d (%d ends missed)", failed, done, r.fio.Errors, loopBytes/(64<<10), r.missed)
	}
}

// startFio runs a load in the background for as long as the test lasts, and waits
// until it writes.
func startFio(t *testing.T, device string, args ...string) (pid int32) {
	t.Helper()
	command := fioOn(t, device, filepath.Join(t.TempDir(), "fio.json"), append(args, "--time_based", "--runtime=600")...)
	load := exec.Command(command[0], command[1:]...)
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = load.Process.Kill()
		_ = load.Wait() // killed, which is no failure
	})
	pid = int32(load.Process.Pid) // chrt becomes fio
	waitUntil(t, "fio writes", func() bool { return writtenBy(t, pid) > 0 })
	return pid
}

// writtenBy is how many bytes a process has had written to disks.
func writtenBy(t *testing.T, pid int32) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		t.Fatalf("/proc/%d/io: %q", pid, text)
	}
	return bytes
}

// whileWriting records until a process has had so many more bytes written.
func whileWriting(t *testing.T, device string, o Options, pid int32, bytes int64) diskRecording {
	t.Helper()
	return recordDisk(t, device, o, func() {
		from := writtenBy(t, pid)
		waitUntil(t, "fio has written", func() bool { return writtenBy(t, pid) >= from+bytes })
	})
}

func TestIOsOfTargetsOnly(t *testing.T) {
	device := fullLoop(t)
	wanted := startFio(t, device, "--rw=randwrite", "--bs=4k", "--fsync=8", "--rate_iops=1000")
	other := startFio(t, device, "--rw=randwrite", "--bs=8k", "--fsync=8", "--rate_iops=1000")
	for _, variant := range askerVariants {
		r := whileWriting(t, device, Options{PIDs: []int32{wanted}, Variants: map[string]string{"asker": variant}}, wanted, 500*4096)
		for _, io := range r.all {
			if io.PID != wanted || io.DeviceID != r.device || io.Bytes > 4096 {
				t.Errorf("%s: not of process %d (the other is %d): %+v", variant, wanted, other, io)
			}
		}
		if writes, flushes := len(of(r.all, format.OperationWrite)), len(of(r.all, format.OperationFlush)); writes < 10 || flushes == 0 {
			t.Errorf("%s: %d writes, %d flushes", variant, writes, flushes)
		}
	}
}

// What is under way when the recording ends has a row too.
func TestOpenIOs(t *testing.T) {
	long(t)
	device := fullLoop(t)
	const depth = 4
	pid := startFio(t, device, "--rw=randwrite", "--bs=256k", "--ioengine=libaio", "--iodepth="+strconv.Itoa(depth))
	r := whileWriting(t, device, Options{}, pid, 100*(256<<10))
	var endNs int64
	var open []format.IO
	for _, io := range r.all {
		if io.DeviceID != r.device || io.PID != pid {
			continue
		}
		if io.Flags&format.IOOpen != 0 {
			open = append(open, io)
			continue
		}
		if io.Bytes != 256<<10 {
			t.Fatalf("%+v", io)
		}
		endNs = max(endNs, io.StartNs+io.QueueNs+io.DeviceNs)
	}
	if len(open) == 0 || len(open) > depth {
		t.Errorf("%d IOs under way, want 1 to %d", len(open), depth)
	}
	for _, io := range open {
		end := io.StartNs + io.QueueNs + io.DeviceNs
		if io.Bytes != 0 || io.Op != format.OperationWrite || end != open[0].StartNs+open[0].QueueNs+open[0].DeviceNs || endNs-end > int64(100*time.Millisecond) {
			t.Errorf("%+v", io)
		}
	}
}

// The recorder's own IO is not recorded.
func TestOwnIOsAreNotRecorded(t *testing.T) {
	device := fullLoop(t)
	file, err := os.OpenFile(device, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	var writes atomic.Int64
	go func() {
		defer close(done)
		defer file.Close()
		page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		for err == nil {
			select {
			case <-stop:
				return
			default:
			}
			_, err = file.WriteAt(page, writes.Add(1)%1000*4096)
		}
		t.Error(err)
	}()
	r := recordDisk(t, device, Options{}, func() {
		from := writes.Load()
		waitUntil(t, "a hundred writes", func() bool { return writes.Load() >= from+100 || t.Failed() })
	})
	close(stop)
	<-done
	for _, io := range r.all {
		// Those that were asked for before the hooks were there are nobody's.
		if io.DeviceID == r.device && io.PID != 0 || io.PID == int32(os.Getpid()) {
			t.Errorf("%+v", io)
		}
	}
}
