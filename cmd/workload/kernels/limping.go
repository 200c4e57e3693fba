package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kmon/format"
)

// The disks of a guest with faults, beside those that every guest has. The first
// and the one with a file system become slow when a fault begins.
var (
	peerDisks  = []string{"/dev/vdc", "/dev/vdd", "/dev/vde", "/dev/vdf"}
	belowDisk  = "/dev/vdg" // ext4
	loopDevice = "/dev/loop0"
)

const (
	// limpingIOPS is what the hypervisor leaves a disk that limps: less than half
	// of what is asked.
	limpingIOPS = 20
	// faultDuration is how long a load with a fault lasts: half of it healthy, which a
	// model of a disk needs seven windows of.
	faultDuration = 80 * time.Second
	// What cmd/workload says.
	onsetWord  = "workload: onset"
	mendedWord = "workload: mended"
)

var faultTrials = []trial{
	{Name: "disk", Fault: load{"-kind", "disk", "-disks", strings.Join(peerDisks, ",")}},
	{Name: "disk-healthy", Fault: load{"-kind", "disk", "-disks", strings.Join(peerDisks, ","), "-healthy"}},
	{Name: "loop", Fault: load{"-kind", "disk", "-disks", loopDevice}},
	{Name: "loop-healthy", Fault: load{"-kind", "disk", "-disks", loopDevice, "-healthy"}},
	{Name: "path", Fault: load{"-kind", "path"}},
	{Name: "node", Fault: load{"-kind", "late", "-apart"}},
	{Name: "apart-healthy", Fault: load{"-kind", "path", "-healthy"}},
}

// bootWithFaults is boot with more disks, some of which are made slow when the
// guest says so.
func (o options) bootWithFaults(ctx context.Context, m machine, files kernelFiles, trials []trial, dir string) error {
	p, err := o.programsFor(m)
	if err != nil {
		return err
	}
	if files.tools, err = findTools(ctx, "ip", "tc"); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	in := func(name string) string { return filepath.Join(work, name) }
	err = errors.Join(o.writeInitramfs(in("initramfs"), p, files, trials), makeDisk(in("load"), diskBytes), makeDisk(in("hand"), handBytes))
	args := []string{"-kernel", files.image, "-initrd", in("initramfs"), "-qmp", "unix:" + in("qmp") + ",server=on,wait=off",
		"-drive", "file=" + in("load") + ",format=raw,if=virtio", "-drive", "file=" + in("hand") + ",format=raw,if=virtio"}
	for i := range peerDisks {
		name := fmt.Sprintf("peer%d", i)
		err = errors.Join(err, makeDisk(in(name), diskBytes))
		args = append(args, "-drive", fmt.Sprintf("file=%s,format=raw,if=virtio,id=%s", in(name), name))
	}
	if err == nil {
		err = makeDisk(in("below"), cutDiskBytes)
	}
	if err == nil {
		_, err = output(ctx, work, "mkfs.ext4", "-q", "-F", in("below"))
	}
	if err != nil {
		return err
	}
	args = append(args, "-drive", fmt.Sprintf("file=%s,format=raw,if=virtio,id=below", in("below")))
	throttle := func(iops int) func() error {
		return func() error {
			return errors.Join(throttleDisk(in("qmp"), "peer0", iops), throttleDisk(in("qmp"), "below", iops))
		}
	}
	console := filepath.Join(dir, consoleName)
	ended := o.emulate(ctx, m, console, map[string]func() error{onsetWord: throttle(limpingIOPS), mendedWord: throttle(0)}, args...)
	n, err := takeOut(in("hand"), dir)
	if n == 0 {
		err = errors.Join(errors.New("the guest handed nothing out"), err)
	}
	if err := errors.Join(ended, err); err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, console, tail(console))
	}
	return nil
}

// findTools gives the paths of programs of this computer, and of the libraries that
// they need.
func findTools(ctx context.Context, names ...string) (paths []string, err error) {
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		text, err := output(ctx, ".", "ldd", path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
		for word := range strings.FieldsSeq(text) {
			if filepath.IsAbs(word) && !slices.Contains(paths, word) {
				paths = append(paths, word)
			}
		}
	}
	return paths, nil
}

// throttleDisk has qemu do that many IOs of a disk a second, at most; 0: any number.
// It speaks the QEMU machine protocol.
func throttleDisk(socket, id string, iops int) error {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	limits := map[string]any{"device": id, "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": iops, "iops_rd": 0, "iops_wr": 0}
	commands := []map[string]any{
		{"execute": "qmp_capabilities"},
		{"execute": "block_set_io_throttle", "arguments": limits},
	}
	answers := bufio.NewReader(conn)
	if _, err := answers.ReadBytes('\n'); err != nil { // its greeting
		return err
	}
	for _, c := range commands {
		if err := json.NewEncoder(conn).Encode(c); err != nil {
			return err
		}
		if err := readQMP(answers); err != nil {
			return fmt.Errorf("%s of disk %s: %w", c["execute"], id, err)
		}
	}
	return nil
}

// readQMP reads up to the answer of a command.
func readQMP(answers *bufio.Reader) error {
	for {
		line, err := answers.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var answer struct {
			Return *json.RawMessage `json:"return"`
			Error  struct{ Desc string }
		}
		if e := json.Unmarshal(line, &answer); e != nil {
			return errors.Join(err, e)
		}
		if answer.Error.Desc != "" {
			return errors.New(answer.Error.Desc)
		}
		if answer.Return != nil {
			return nil
		}
	}
}

// checkFault holds that the capture of a trial with a fault can be judged: what kmon
// finds in it is for cmd/workload/faults to say.
func (t trial) checkFault(ctx context.Context, r *result, path string) error {
	report, err := format.Verify(ctx, path+captureEnding)
	if err != nil {
		return err
	}
	for _, problem := range report.Problems {
		r.fail(errors.New(problem.String()))
	}
	capture, err := format.Open(path + captureEnding)
	if err != nil {
		return err
	}
	defer capture.Close()
	exchanges, err := format.All[format.Exchange](capture)
	if err == nil && len(exchanges) == 0 {
		err = errors.New("no exchange was recorded")
	}
	if _, e := os.Stat(path + truthEnding); e != nil {
		err = errors.Join(err, e)
	}
	r.saw = fmt.Sprintf("%d exchanges", len(exchanges))
	return err
}

// truthEnding ends the name of what a load with a fault says of itself.
const truthEnding = ".json"
