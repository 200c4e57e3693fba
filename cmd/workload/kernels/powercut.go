package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kmon/format"
)

const (
	// cutDisk is the only disk of a guest whose power is cut.
	cutDisk      = "/dev/vda"
	cutDiskBytes = 64 << 20
	// cutWord is what a guest says when its power is to be cut.
	cutWord = "guest: cut the power"
	// cutCapture is the capture then, as it is called while it is open.
	cutCapture = "cut" + captureEnding + ".part"
)

// bootUntilCut records onto a disk until the power is cut, and gives the disk
// as it was before and the log of what was written to it, in dir.
func (o options) bootUntilCut(ctx context.Context, k kernel, files kernelFiles, dir string) (before, log string, err error) {
	p, err := o.programsFor(k.machine)
	if err != nil {
		return "", "", err
	}
	work, err := os.MkdirTemp("", "kernels-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(work)
	initramfs, disk := filepath.Join(work, "initramfs"), filepath.Join(work, "disk")
	before, log = filepath.Join(dir, "disk"), filepath.Join(dir, "writes")
	err = errors.Join(o.writeInitramfs(initramfs, p, files, k.trials), makeDisk(log, 0), makeDisk(disk, cutDiskBytes))
	if err == nil {
		_, err = output(ctx, work, "mkfs.ext4", "-q", "-F", disk)
	}
	if err := errors.Join(err, copyFile(before, disk)); err != nil {
		return "", "", err
	}
	console := filepath.Join(dir, consoleName)
	err = o.emulate(ctx, k.machine, console, map[string]func() error{cutWord: func() error { return errCut }}, "-kernel", files.image, "-initrd", initramfs,
		"-blockdev", "driver=file,node-name=disk,cache.no-flush=on,filename="+disk,
		"-blockdev", "driver=file,node-name=log,cache.no-flush=on,filename="+log,
		"-blockdev", "driver=blklogwrites,node-name=logged,file=disk,log=log",
		"-device", "virtio-blk-pci,drive=logged")
	if err == nil {
		err = errors.New("the guest ended before its power was cut")
	} else if errors.Is(err, errCut) {
		return before, log, nil
	}
	return "", "", fmt.Errorf("%w; the end of %s:\n%s", err, console, tail(console))
}

// powerCuts are the captures that power cuts at different moments leave.
type powerCuts struct {
	r       *result
	dir     string
	flushed state // what the last flush made sure of
	cuts    int
	worstNs int64 // between what one flush and the next made sure of
	tickNs  int64 // the longest of the recorder
}

// state is what can be read of a capture.
type state struct {
	rows   int64
	lastNs int64 // the last row of the recorder about itself
}

// checkPowerCuts cuts the power at every flush of a write log: once so that the
// disk loses all that came after it, and once so that it keeps every other
// write of what came until the next.
func checkPowerCuts(ctx context.Context, r *result, dir, before, log string) error {
	writes, err := readWriteLog(log)
	if err != nil {
		return err
	}
	disk, err := os.OpenFile(before, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	c := powerCuts{r: r, dir: dir}
	for i, w := range writes {
		if err := w.apply(disk); err != nil {
			return err
		}
		if !w.flush {
			continue
		}
		if err := errors.Join(c.cut(ctx, before, nil), c.cut(ctx, before, everyOther(writes[i+1:]))); err != nil {
			return err
		}
	}
	return c.conclude(ctx, before)
}

// everyOther gives every other write up to the next flush.
func everyOther(writes []write) (kept []write) {
	for i, w := range writes {
		if w.flush {
			break
		}
		if i%2 == 1 {
			kept = append(kept, w)
		}
	}
	return kept
}

// cut reads what is left of the capture when the power is cut after a flush,
// with what the disk has written on its own since.
func (c *powerCuts) cut(ctx context.Context, disk string, written []write) error {
	path, err := c.recoverCapture(ctx, disk, written)
	if err != nil || path == "" {
		return err
	}
	got, tickNs, err := readState(path)
	if err != nil {
		c.r.fail(fmt.Errorf("power cut %d: %w", c.cuts, err))
		return nil
	}
	if got.rows < c.flushed.rows || got.lastNs < c.flushed.lastNs {
		c.r.fail(fmt.Errorf("power cut %d: %d rows until %d are left, and %d until %d were flushed", c.cuts, got.rows, got.lastNs, c.flushed.rows, c.flushed.lastNs))
	}
	c.cuts++
	if written != nil {
		return nil
	}
	if c.flushed.lastNs > 0 {
		c.worstNs = max(c.worstNs, got.lastNs-c.flushed.lastNs)
	}
	c.flushed, c.tickNs = got, max(c.tickNs, tickNs)
	return nil
}

// recoverCapture does what a machine does that starts again: it replays the
// journal of a disk, and gives the path of the capture that is found there, "" if
// there is none yet.
func (c *powerCuts) recoverCapture(ctx context.Context, disk string, written []write) (string, error) {
	image, path := filepath.Join(c.dir, "after"), filepath.Join(c.dir, cutCapture)
	if err := errors.Join(copyFile(image, disk), removeFile(path)); err != nil {
		return "", err
	}
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	for _, w := range written {
		err = errors.Join(err, w.apply(file))
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	_, err = output(ctx, c.dir, "e2fsck", "-f", "-y", image)
	if failed := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &failed) || failed.ExitCode() > 1) { // 1: the journal was replayed
		return "", err
	}
	if _, err := output(ctx, c.dir, "debugfs", "-R", "dump /"+cutCapture+" "+path, image); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return "", removeFile(path)
	}
	return path, nil
}

// readState reads a capture, and the recorder's longest tick.
func readState(path string) (s state, tickNs int64, err error) {
	capture, err := format.Open(path)
	if errors.Is(err, format.ErrNotCapture) {
		return s, 0, nil // its first bytes did not reach the disk yet
	}
	if err != nil {
		return s, 0, err
	}
	defer capture.Close()
	exchanges, err := format.All[format.Exchange](capture)
	if err != nil {
		return s, 0, err
	}
	self, err := format.All[format.Self](capture)
	s.rows = int64(len(exchanges) + len(self))
	for i, row := range self {
		s.lastNs = max(s.lastNs, row.TsNs)
		if i > 0 {
			tickNs = max(tickNs, row.TsNs-self[i-1].TsNs)
		}
	}
	for _, e := range exchanges {
		s.lastNs = max(s.lastNs, e.StartNs)
	}
	return s, tickNs, err
}

// conclude mends what the last cut left and holds what was lost against what
// may be: what came after the last force to disk, and what was not sealed then.
func (c *powerCuts) conclude(ctx context.Context, disk string) error {
	path, err := c.recoverCapture(ctx, disk, nil)
	if err != nil {
		return err
	}
	if path == "" || c.flushed.rows == 0 {
		c.r.fail(errors.New("no power cut left a row: nothing was recorded before"))
		return nil
	}
	mended := filepath.Join(c.dir, "mended"+captureEnding)
	if _, err := format.Repair(ctx, path, mended); err != nil {
		return err
	}
	report, err := format.Verify(ctx, mended)
	for _, problem := range report.Problems {
		if problem.Damage {
			c.r.fail(errors.New("mended: " + problem.String()))
		}
	}
	got, _, err2 := readState(mended)
	c.r.expect("rows of the mended capture", got.rows, c.flushed.rows)
	if may := 2*int64(forcedEvery+sealedAfter) + 3*c.tickNs; c.worstNs > may {
		c.r.fail(fmt.Errorf("a power cut loses up to %v, which may be %v with ticks of %v", time.Duration(c.worstNs), time.Duration(may), time.Duration(c.tickNs)))
	}
	c.r.saw = fmt.Sprintf("%d power cuts, the last left %d rows; from flush to flush up to %v",
		c.cuts, c.flushed.rows, time.Duration(c.worstNs).Round(100*time.Millisecond))
	return errors.Join(err, err2)
}

// How often a capture is forced to disk, and how old rows of a busy table are
// when they are written (format/writer.go, format/sink.go).
const (
	forcedEvery = 3 * time.Second
	sealedAfter = time.Second
)

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}

func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
