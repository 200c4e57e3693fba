package record

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

// The tests of this file record onto disks that are small, get full, or fail:
// file systems that only the test's own thread sees.

// The main thread is not for tests: it cannot end, and what it sees is what the
// process sees (/proc/self).
func init() { runtime.LockOSThread() }

// ownMounts gives the test a mount namespace; it ends with the test's thread.
func ownMounts(t *testing.T) {
	t.Helper()
	requireBPF(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("mount / private: %v", err)
	}
}

// mounted mounts a file system and gives its directory.
func mounted(t *testing.T, source, kind, options string) (dir string, unmount func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "mount")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, dir, kind, 0, options); err != nil {
		t.Fatalf("mount %s: %v", kind, err)
	}
	there := true
	unmount = func() {
		if !there {
			return
		}
		there = false
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	}
	t.Cleanup(unmount)
	return dir, unmount
}

// longLoad is more than any of these tests records.
func longLoad(t *testing.T) []string {
	return []string{workloadBinary, "echo", "-requests", "10000000", "-connections", "4", "-truth", filepath.Join(t.TempDir(), "truth.json")}
}

// busyRows is more rows than a recording has before its load runs.
const busyRows = 5000

// boundedRun records longLoad until a bound ends it. do is called once, when the
// load has been recorded for so many ticks: seconds in which the recorder ran.
func boundedRun(t *testing.T, o Options, after int, do func()) (Result, error) {
	t.Helper()
	o.Duration, o.Command = 3*time.Minute, longLoad(t)
	status := make(chan Status)
	over := make(chan struct{})
	o.Status = status
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for busy := 0; ; { // ticks in which the load ran
			select {
			case s := <-status:
				if s.Rows < busyRows {
					continue
				}
				if busy++; busy == after+1 && do != nil {
					do()
				}
			case <-over:
				return
			}
		}
	}()
	result, err := Run(t.Context(), o)
	close(over)
	<-watched
	if time.Duration(result.DurationNs) > o.Duration/2 {
		t.Errorf("nothing ended the recording for %v", time.Duration(result.DurationNs))
	}
	return result, err
}

// checkBounded holds that the capture opens, says why it ended, and has the
// rows that the Result says.
func checkBounded(t *testing.T, result Result, reason string) *format.Capture {
	t.Helper()
	c := opened(t, result.Path)
	if result.StopReason != reason || c.Final == nil || c.Final.StopReason != reason {
		t.Fatalf("stop reason %q, in the file %+v; want %q", result.StopReason, c.Final, reason)
	}
	if n := int64(len(all[format.Exchange](t, c))); n == 0 || n != result.Rows["exchanges"] || n != c.Final.Rows["exchanges"] {
		t.Errorf("the file has %d exchanges, final.json says %d, the result %d", n, c.Final.Rows["exchanges"], result.Rows["exchanges"])
	}
	for what, n := range result.Losses {
		if strings.HasSuffix(what, "/write") && c.Final.Losses[what] != n {
			t.Errorf("lost %d %s, final.json says %d", n, what, c.Final.Losses[what])
		}
	}
	for _, p := range c.Problems() {
		t.Errorf("problem: %s", p)
	}
	if st := stat(t, result.Path); st.Size != result.SizeBytes || st.Blocks*512 > st.Size+reservedSlack {
		t.Errorf("the file has %d bytes in %d blocks, the result says %d bytes", st.Size, st.Blocks, result.SizeBytes)
	}
	return c
}

// reservedSlack is less than what is reserved beyond a file while it grows; file
// systems may round its end up to it.
const reservedSlack = 16 << 10

// checkMarked holds that capture and result name the bound that ended it.
func checkMarked(t *testing.T, result Result, c *format.Capture, option string) {
	t.Helper()
	if !slices.ContainsFunc(result.Warnings, func(s string) bool { return strings.Contains(s, option) }) {
		t.Errorf("warnings %q do not name %s", result.Warnings, option)
	}
	if marks := all[format.Mark](t, c); !slices.ContainsFunc(marks, func(m format.Mark) bool { return strings.Contains(m.Text, option) }) {
		t.Errorf("marks %+v do not name %s", marks, option)
	}
}

func TestMaxSizeEndsTheRecording(t *testing.T) { untilNoDoubt(t, checkMaxSize) }

func checkMaxSize(t *testing.T, d *doubts) {
	requireBPF(t)
	o := Options{Output: filepath.Join(t.TempDir(), "x.kmon"), MaxSizeBytes: 3 << 20, MinFreeBytes: -1}
	result, err := boundedRun(t, o, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := checkBounded(t, result, "size")
	checkMarked(t, result, c, "--max-size")
	checkLosses(d, result) // all could be written, unless the recorder came too late
	if result.SizeBytes > o.MaxSizeBytes || result.SizeBytes < o.MaxSizeBytes/2 {
		t.Errorf("the capture has %d bytes of at most %d", result.SizeBytes, o.MaxSizeBytes)
	}
}

func TestMinFreeEndsTheRecording(t *testing.T) {
	long(t)
	ownMounts(t)
	dir, _ := mounted(t, "tmpfs", "tmpfs", "size=16m")
	neighbour, err := os.Create(filepath.Join(dir, "neighbour"))
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	const keep = 8 << 20
	o := Options{Output: filepath.Join(dir, "x.kmon"), MinFreeBytes: keep}
	result, err := boundedRun(t, o, 1, func() {
		if _, err := neighbour.Write(make([]byte, 4<<20)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	c := checkBounded(t, result, "disk")
	checkMarked(t, result, c, "--min-free")
	checkLosses(t, result)
	if free, _ := space(dir); free < keep {
		t.Errorf("%d bytes are free, want %d", free, keep)
	}
}

func TestFullDiskEndsTheRecording(t *testing.T) {
	ownMounts(t)
	dir, _ := mounted(t, "tmpfs", "tmpfs", "size=1m")
	result, err := boundedRun(t, Options{Output: filepath.Join(dir, "x.kmon"), MinFreeBytes: -1}, 0, nil)
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	c := checkBounded(t, result, "disk")
	if result.Losses["exchanges/write"] == 0 || c.Final.Error == "" {
		t.Errorf("losses %v, error %q", result.Losses, c.Final.Error)
	}
	if filepath.Base(result.Path) != "x.kmon" {
		t.Errorf("the capture is %s", result.Path)
	}
}

// A disk that fails, or a file system that the kernel makes read-only because it
// is damaged, keeps what was synced to it, under the name it had.
func TestFailedDiskEndsTheRecording(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name, options string
		fail          func(device string, dir *os.File) error
		errs          []error
	}{
		{"fails", "", shutDown, []error{syscall.EIO}},
		{"read-only", "errors=remount-ro", makeReadOnly, []error{syscall.EROFS, syscall.EIO}}, // of the file system, of its journal
	} {
		t.Run(test.name, func(t *testing.T) {
			ownMounts(t)
			device := loop(t, t.TempDir(), 64<<20)
			run(t, "mkfs.ext4", "-q", device)
			dir, unmount := mounted(t, device, "ext4", test.options)
			d, err := os.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			result, err := boundedRun(t, Options{Output: filepath.Join(dir, "x.kmon"), MinFreeBytes: -1}, 5, func() {
				if err := test.fail(device, d); err != nil {
					t.Error(err)
				}
			})
			if !slices.ContainsFunc(test.errs, func(e error) bool { return errors.Is(err, e) }) || strings.Contains(err.Error(), "\n") ||
				result.StopReason != "disk" || !strings.HasSuffix(result.Path, ".part") {
				t.Errorf("stop reason %q, file %s, error %v", result.StopReason, result.Path, err)
			}
			_ = d.Close()           // of a file system that has failed
			if test.options != "" { // it can be read as it stands
				checkLeft(t, result)
			}
			unmount()
			if err := unix.Mount(device, dir, "ext4", 0, ""); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(dir, unix.MNT_DETACH)
			checkLeft(t, result)
		})
	}
}

// checkLeft holds that what a recording left can be read.
func checkLeft(t *testing.T, result Result) {
	t.Helper()
	c, err := format.Open(result.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := int64(len(all[format.Exchange](t, c))); n == 0 || n > result.Rows["exchanges"] {
		t.Errorf("%d exchanges are left of %d written", n, result.Rows["exchanges"])
	}
}

// makeReadOnly has the kernel find an error in a file system that is mounted with
// errors=remount-ro. (Nobody else could: a file in it is open for writing.)
func makeReadOnly(device string, dir *os.File) error {
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(device), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("kmon test"), 0); err != nil {
		return err
	}
	if err := unix.Mkdirat(int(dir.Fd()), "more", 0o700); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("the file system is not read-only: %w", err)
	}
	return nil
}

// shutDown makes the file system fail like a disk that is gone
// (EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH).
func shutDown(_ string, dir *os.File) error {
	return unix.IoctlSetPointerInt(int(dir.Fd()), 0x8004587d, 2)
}

// What no recording fits in is refused, and leaves no file.
func TestBoundsRefused(t *testing.T) {
	requireBPF(t)
	for name, o := range map[string]Options{
		"min-free":  {MinFreeBytes: math.MaxInt64 / 2},
		"too small": {MaxSizeBytes: 4096},
	} {
		dir := t.TempDir()
		o.Output, o.Duration = filepath.Join(dir, "x.kmon"), time.Second
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: it left %v", name, left)
		}
	}
}
