package format

import (
	"errors"
	"os"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE of linux/falloc.h.
const keepSize = 1

// diskFile is a file whose Sync flushes data and size, not times: half the
// journal traffic of fsync while a recording runs.
type diskFile struct{ *os.File }

// Sync is fdatasync(2).
func (f diskFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

// Reserve is fallocate(2).
func (f diskFile) Reserve(from, to int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, from, to-from)
		switch {
		case err == syscall.EINTR:
			continue
		case errors.Is(err, errors.ErrUnsupported): // NFS before 4.2, FUSE, ramfs
			return nil
		}
		return err
	}
}
