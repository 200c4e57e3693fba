package format

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

const (
	// finalRoom is kept free for final.json in the file and on the disk:
	// whatever ends a recording, the file can say so. 24 tables and 60 causes of
	// losses take 6 KB, an error as much when every byte of it is escaped.
	finalRoom     = 16 << 10
	maxFinalError = 1 << 10
	// reserveStep is how much more is reserved at once: enough for most
	// segments, little against what a full disk has to spare.
	reserveStep = 64 << 10
	// segmentCost is what a segment takes beyond its rows: 1.5 KB for a table
	// of few columns, twice that for the widest.
	segmentCost = 3 << 10
	// packing is how many times smaller than in memory rows are in the file:
	// exchanges of a quiet node 6 times (12 bytes of 80), of a busy one 13 times.
	packing = 6
)

// errNoRoom: the entry would make the file larger than it may become.
var errNoRoom = errors.New("the capture would become larger than it may")

// reserver is a file that can take room on the disk beyond its end.
type reserver interface {
	// Reserve takes the bytes from from up to to, without changing the size of
	// the file. Where the file system cannot do so it does nothing.
	Reserve(from, to int64) error
}

// makeRoom sees to it that the file may become size bytes long and final.json
// still fits behind; last says that it is final.json which is to be written.
// With an error nothing has changed, and what was reserved before still is.
func (a *archive) makeRoom(size int64, last bool) error {
	if !last {
		size += finalRoom
	}
	maxBytes := a.maxBytes.Load()
	if maxBytes > 0 && size > maxBytes {
		return errNoRoom
	}
	f, ok := a.f.(reserver)
	if !ok || size <= a.reserved {
		return nil
	}
	to := size + reserveStep
	if maxBytes > 0 {
		to = min(to, maxBytes)
	}
	from := max(a.reserved, a.size.Load())
	err := f.Reserve(from, to)
	if err != nil { // nearly full
		to = size
		err = f.Reserve(from, to)
	}
	switch {
	case err == nil:
		a.reserved = to
	case !last: // final.json may find room all the same
		return fmt.Errorf("no room on the disk: %w", err)
	}
	return nil
}

// truncate cuts the file, and with it what was reserved beyond.
func (a *archive) truncate(size int64) error {
	if err := a.f.Truncate(size); err != nil {
		return err
	}
	a.reserved = size
	a.size.Store(size)
	return nil
}

// release gives back what was reserved and not used, also by a Reserve that
// failed half-way.
func (a *archive) release() error {
	if _, ok := a.f.(reserver); !ok {
		return nil
	}
	return a.truncate(a.size.Load())
}

// SetMaxBytes changes WriterOptions.MaxBytes. It must not be less than the file
// has already, and from a limit it may not go to none.
func (w *Writer) SetMaxBytes(maxBytes int64) { w.archive.maxBytes.Store(maxBytes) }

// Pending estimates how many bytes the appended rows that are not in the file
// yet will take there: as many a row as those of their table took so far. For
// tables with none in the file it is a guess.
func (w *Writer) Pending() int64 {
	var n int64
	for _, s := range w.sinks {
		n += s.pending()
	}
	return n
}

func (s *sink[T]) pending() int64 {
	sealed := s.sealed.Load()
	rows := s.appended - sealed
	if rows <= 0 {
		return 0
	}
	bytes := (rows*int64(unsafe.Sizeof(*new(T))) + int64(s.unsealedText)) / packing
	if sealed > 0 {
		bytes = min(bytes, int64(1.25*float64(rows)*float64(s.sealedBytes.Load())/float64(sealed)))
	}
	return segmentCost + bytes
}

// Unwritten gives, for each table, the rows that were recorded and could not be
// written any more, as final.json counts them; nil when there is none. They came
// after the last time that the recorder wrote of itself, but for tables that it
// writes more rarely.
func (c *Capture) Unwritten() []Loss {
	var losses []Loss
	eachOf(c, func(f *Capture) error {
		losses = append(losses, f.unwritten()...)
		return nil
	})
	return losses
}

// unwritten is Unwritten of one file.
func (c *Capture) unwritten() []Loss {
	if c.Final == nil {
		return nil
	}
	var losses []Loss
	sinceNs := c.lastSelf()
	for _, t := range tables {
		if n := c.Final.Losses[t.name+"/"+LossWrite.String()]; n > 0 {
			losses = append(losses, Loss{StartNs: min(sinceNs, c.Final.EndNs), EndNs: c.Final.EndNs,
				Collector: t.collector(), Table: t.name, Cause: LossWrite, Count: n})
		}
	}
	return losses
}

// lastSelf is when the recorder last wrote of itself.
func (c *Capture) lastSelf() int64 {
	last := c.Manifest.Clock.MonotonicNs
	_ = ReadRows(c, func(rows []Self) error { // fn does not fail
		for _, r := range rows {
			last = max(last, r.TsNs)
		}
		return nil
	})
	return last
}

// DiskFailed says whether err is the answer of a disk that is full, over quota,
// read-only or broken.
func DiskFailed(err error) bool {
	for _, no := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.ENXIO, syscall.ENODEV, syscall.ESTALE} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
