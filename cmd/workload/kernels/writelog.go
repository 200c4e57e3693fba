package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// A write log is what qemu's driver blklogwrites keeps of a disk: every write
// and flush, in the order in which they ended, in the form of dm-log-writes
// (Linux, drivers/md/dm-log-writes.c). A disk may lose whatever it was not told
// to flush, so the log holds the disk as every power cut could leave it.

// Layout of the log: a sector that says how many entries there are, as of the
// last flush; then each entry, a sector and what was written.
const (
	writeLogMagic   = 0x6a736677736872
	writeLogVersion = 1
	logSector       = 512

	logFlush   = 1 << 0
	logDiscard = 1 << 2
)

// write is an entry of a write log.
type write struct {
	flush  bool
	offset int64
	data   []byte
}

// readWriteLog reads the entries up to the last flush.
func readWriteLog(path string) ([]write, error) {
	log, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var head struct {
		Magic, Version, Entries uint64
		Sector                  uint32
	}
	rest := bytes.NewReader(log)
	if err := binary.Read(rest, binary.LittleEndian, &head); err != nil {
		return nil, fmt.Errorf("write log %s: %w", path, err)
	}
	if head.Magic != writeLogMagic || head.Version != writeLogVersion || head.Sector != logSector {
		return nil, fmt.Errorf("write log %s: unknown head %+v", path, head)
	}
	var list []write
	at := int64(logSector)
	for range head.Entries {
		var e struct{ Sector, Sectors, Flags, Bytes uint64 }
		rest.Reset(log[min(at, int64(len(log))):])
		if err := binary.Read(rest, binary.LittleEndian, &e); err != nil {
			return nil, fmt.Errorf("write log %s: entry at %d: %w", path, at, err)
		}
		at += logSector
		w := write{flush: e.Flags&logFlush != 0, offset: int64(e.Sector) * logSector}
		if size := int64(e.Sectors) * logSector; e.Flags&logDiscard == 0 {
			if size < 0 || size > int64(len(log))-at {
				return nil, fmt.Errorf("write log %s: entry at %d of %d bytes is cut off", path, at, size)
			}
			w.data = log[at : at+size]
			at += size
		}
		list = append(list, w)
	}
	return list, nil
}

// apply writes an entry to the image of a disk.
func (w write) apply(disk *os.File) error {
	_, err := disk.WriteAt(w.data, w.offset)
	return err
}
