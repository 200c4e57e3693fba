package record

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"kmon/format"
	"kmon/record/provider"
)

const (
	// MinMaxSizeBytes is the least Options.MaxSizeBytes: what describes a capture
	// and its last second take a part of that already.
	MinMaxSizeBytes = 1 << 20
	// DefaultMinFreeBytes leaves a node's other programs room to write until
	// somebody looks.
	DefaultMinFreeBytes = 100 << 20

	// Ending a recording writes what the kernel still holds, a last look at
	// processes and the names of stacks. An eighth of a bound is kept for that,
	// between these: a quiet node needs the lower, a hundred thousand threads the
	// upper. The capture's own bound holds whatever comes.
	minEndBytes, maxEndBytes = 128 << 10, 8 << 20
)

// bounds are what the recording may take of the disk.
type bounds struct {
	maxBytes int64 // 0: no limit
	minFree  int64 // 0: not looked at
	dir      string
	free     int64 // bytes at the last look; -1: not known
	reason   string
	why      string // the recording ended, a sentence; "": not by a bound
}

// beginBounds checks that the recording may begin at path.
func (r *recorder) beginBounds(path string) error {
	o := r.options.divided()
	if o.MaxSizeBytes != 0 && o.MaxSizeBytes < MinMaxSizeBytes {
		return fmt.Errorf("a limit of %d bytes is too small for a capture, it is at least %s", o.MaxSizeBytes, mib(MinMaxSizeBytes))
	}
	if err := o.Rotate.check(o.MaxSizeBytes); err != nil {
		return err
	}
	b := bounds{maxBytes: o.MaxSizeBytes, dir: filepath.Dir(path)}
	if o.Rotate.on() {
		b.maxBytes = 0 // parts are removed instead
	}
	free, total := space(b.dir)
	b.free, b.minFree = free, o.minFreeBytes(total)
	if b.nearlyFull(0) {
		return fmt.Errorf("%s has only %s free, and recording ends before less than %s are; make room, name a file elsewhere, or ask for less (--min-free)",
			b.dir, mib(b.free), mib(b.minFree))
	}
	r.bounds = b
	return nil
}

// minFreeBytes is what stays free on a file system of totalBytes, 0: unknown.
func (o Options) minFreeBytes(totalBytes int64) int64 {
	switch {
	case o.MinFreeBytes < 0:
		return 0
	case o.MinFreeBytes > 0:
		return o.MinFreeBytes
	}
	return min(DefaultMinFreeBytes, totalBytes/100)
}

// space is what an ordinary user can still write to the file system of dir, and
// its size (statfs(2)); -1 and 0: it does not say, as ramfs.
func space(dir string) (freeBytes, totalBytes int64) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Blocks == 0 {
		return -1, 0
	}
	return int64(s.Bavail) * s.Frsize, int64(s.Blocks) * s.Frsize
}

// look sees how much is free.
func (b *bounds) look() {
	if b.minFree > 0 {
		b.free, _ = space(b.dir)
	}
}

// nearlyFull says whether less than minFree would be free once pendingBytes
// and what ends the recording are written.
func (b *bounds) nearlyFull(pendingBytes int64) bool {
	return b.minFree > 0 && b.free >= 0 && b.free-pendingBytes-endBytes(b.minFree) < b.minFree
}

// nearlyLarge says whether a capture of sizeBytes would be larger than maxBytes,
// 0: no limit, once pendingBytes and what ends it are in it.
func nearlyLarge(maxBytes, sizeBytes, pendingBytes int64) bool {
	return maxBytes > 0 && sizeBytes+pendingBytes+endBytes(maxBytes) > maxBytes
}

// endBytes is kept under a bound for the end of the recording.
func endBytes(bound int64) int64 { return min(max(bound/8, minEndBytes), maxEndBytes) }

// outOfRoom looks whether a bound ends the recording.
func (r *recorder) outOfRoom() bool {
	b := &r.bounds
	pending := r.writer.Pending()
	if r.parts != nil && r.parts.ending != nil && r.parts.ending.closed == nil {
		pending += r.parts.ending.writer.Pending()
	}
	switch {
	case nearlyLarge(b.maxBytes, r.writer.Size(), pending):
		b.reason, b.why = "size", fmt.Sprintf("the recording ended before the capture exceeds %s (--max-size)", mib(b.maxBytes))
	case b.nearlyFull(pending):
		b.reason, b.why = "disk", fmt.Sprintf("the recording ended before less than %s are free on the file system of %s (--min-free)", mib(b.minFree), b.dir)
	default:
		return false
	}
	r.stopReason = b.reason
	return true
}

// markBound writes into the capture which bound ended it.
func (r *recorder) markBound() error {
	if r.bounds.why == "" {
		return nil
	}
	return r.mark(provider.Clock().MonotonicNs, "warning", r.bounds.why)
}

func (b *bounds) sentences() []string {
	if b.why == "" {
		return nil
	}
	return []string{b.why}
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// writtenRows is how many rows of each table are in a file that is closed.
func writtenRows(w *format.Writer) map[string]int64 {
	rows := w.Rows()
	for table, n := range w.Unwritten() {
		if rows[table] -= n; rows[table] == 0 {
			delete(rows, table)
		}
	}
	return rows
}

// unwritten counts, as losses, the rows that a closed file does not have.
func unwritten(w *format.Writer) map[string]int64 {
	losses := map[string]int64{}
	for table, n := range w.Unwritten() {
		losses[table+"/"+format.LossWrite.String()] = n
	}
	return losses
}

// diskError is a recording that its disk ended: the first error, and where what
// was written before is. Those that follow from the first are only unwrapped.
type diskError struct {
	path string
	err  error
}

func (e *diskError) Error() string {
	first, _, _ := strings.Cut(e.err.Error(), "\n")
	return fmt.Sprintf("%s; what was written before is in %s", first, e.path)
}

func (e *diskError) Unwrap() error { return e.err }

// distinct leaves out of joined errors those that say the same: once the file
// cannot be written, all that is appended gets the same error.
func distinct(err error) error {
	var kept []error
	said := map[string]bool{}
	var keep func(error)
	keep = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				keep(e)
			}
		} else if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			kept = append(kept, err)
		}
	}
	keep(err)
	return errors.Join(kept...)
}
