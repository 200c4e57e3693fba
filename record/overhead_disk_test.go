package record

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kmon/format"
)

// IOs are left out and wanted again, several times, while a disk is busy: each
// is a row or counted, and none seems to have waited over a change.
func TestIOsLeftOutAreCounted(t *testing.T) {
	long(t)
	device := fullLoop(t)
	requireTool(t, "fio")
	// A shell that becomes fio: its pid is known before it does anything.
	fio := exec.Command("sh", "-c", `read go; exec fio --name=x --filename="$1" --rw=randread --bs=4k --direct=1 --ioengine=libaio `+
		`--iodepth=8 --thread --rate_iops=2000 --time_based --runtime=4 --output-format=json --output="$2"`, "sh", device, filepath.Join(t.TempDir(), "fio.json"))
	report := fio.Args[len(fio.Args)-1]
	in, err := fio.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := fio.Start(); err != nil {
		t.Fatal(err)
	}
	var c costly
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	status := make(chan Status, 1)
	path, done := filepath.Join(t.TempDir(), "shed.kmon"), make(chan error, 1)
	var result Result
	go func() {
		var err error
		result, err = Run(ctx, Options{
			Output: path, Collectors: []string{"block", "proc"}, PIDs: []int32{int32(fio.Process.Pid)}, Status: status, MaxOverhead: 0.01, costs: c.cost,
			pace: &pace{window: 1, wait: 100 * time.Millisecond, maxWait: time.Second, every: looksEvery},
		})
		done <- err
	}()
	select {
	case <-status:
	case err := <-done:
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- fio.Wait() }()
	for changed, running := c.looks.Load(), true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-time.After(10 * time.Millisecond):
			if looks := c.looks.Load(); looks >= changed+3 { // so that each change is seen
				changed = looks
				c.high.Store(!c.high.Load())
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	want := readFio(t, text).Read.IOs
	capture := opened(t, path)
	var rows, lost int64
	for _, row := range all[format.IO](t, capture) {
		if row.PID == int32(fio.Process.Pid) && row.DeviceID == rawDevice(stat(t, device).Rdev) && row.Op == format.OperationRead {
			rows++
		} else if row.PID == 0 && row.Op == format.OperationRead {
			t.Errorf("a read by nobody: %+v", row)
		}
	}
	for _, l := range all[format.Loss](t, capture) {
		if l.Cause == format.LossShed && l.Table == "ios" {
			lost += l.Count
		}
	}
	missed := result.Losses["block/missed-hit"]
	// fio reads a few blocks before its job, to know the device.
	if sum := rows + lost + missed; sum < want || sum > want+64 || rows == 0 || lost == 0 || len(result.Shed) != 1 {
		t.Errorf("%d rows, %d left out, %d missed: fio counts %d reads; steps %q", rows, lost, missed, want, result.Shed)
	}
	t.Logf("%d rows, %d left out, %d missed; fio counts %d", rows, lost, missed, want)
}
