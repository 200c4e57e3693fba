package format

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"
)

const (
	// Beyond this many entries the directory (about 80 bytes an entry) would
	// dominate each write, so it is rewritten only every lazyDirectoryNs.
	lazyDirectoryEntries = 1000
	lazyDirectoryNs      = 10e9
)

// file is what an archive needs of a file; tests put failing ones in its place.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// archive appends stored entries to a ZIP file. After each append the file is
// a valid ZIP, because entry, directory and end record go out in one write that
// starts where the old directory started. One goroutine owns it, except size and
// maxBytes.
type archive struct {
	f         file
	end       int64        // where the next entry begins
	size      atomic.Int64 // of the file
	directory []byte       // central headers of the entries before end
	count     int
	dirNs     int64        // when the directory was last written, monotonic
	dirStale  bool         // the file lacks the directory of its last entries
	maxBytes  atomic.Int64 // what size must not exceed; 0: no limit
	reserved  int64        // up to here the file has room on the disk for sure
}

// entryBuffer returns buf emptied but for room for the local header of name.
// The data is then appended to it and handed to add.
func entryBuffer(buf []byte, name string) []byte {
	n := localHeaderLen + len(name)
	if cap(buf) < n {
		buf = make([]byte, 0, 4096)
	}
	return buf[:n]
}

// add appends the entry called name. buf comes from entryBuffer and holds the
// data after the header; add returns it, possibly grown, for the next entry.
// On an error the file keeps all earlier entries with a sound directory, as far
// as the file system lets it; errNoRoom has changed nothing.
func (a *archive) add(name string, buf []byte, nowNs int64) ([]byte, error) {
	head := localHeaderLen + len(name)
	data := buf[head:]
	e := entry{name: name, offset: a.end, size: int64(len(data)), crc: crc32.ChecksumIEEE(data)}
	putLocalHeader(buf, e)
	oldDirectory := len(a.directory)
	a.directory = appendCentralHeader(a.directory, e)
	next := a.end + int64(len(buf))
	if err := a.makeRoom(next+int64(len(a.directory))+maxEndLen, name == finalName); err != nil {
		a.directory = a.directory[:oldDirectory]
		return buf, fmt.Errorf("%s: %w", name, err)
	}
	lazy := a.count >= lazyDirectoryEntries && nowNs-a.dirNs < lazyDirectoryNs
	if !lazy {
		buf = append(buf, a.directory...)
		buf = appendEnd(buf, a.count+1, int64(len(a.directory)), next)
	}
	if err := a.write(buf, a.end); err != nil {
		a.directory = a.directory[:oldDirectory]
		return buf, errors.Join(fmt.Errorf("%s: %w", name, err), a.restore())
	}
	a.end, a.count, a.dirStale = next, a.count+1, lazy
	if !lazy {
		a.dirNs = nowNs
	}
	return buf, nil
}

// write puts buf at offset and cuts off what an older, longer directory left.
func (a *archive) write(buf []byte, offset int64) error {
	if _, err := a.f.WriteAt(buf, offset); err != nil {
		return err
	}
	end := offset + int64(len(buf))
	if end < a.size.Load() {
		return a.truncate(end)
	}
	a.size.Store(end)
	return nil
}

// restore makes the file end with the directory of the entries before end. It
// writes before it cuts: the room that the old directory had, once given back,
// may be gone.
func (a *archive) restore() error {
	if a.writeDirectory() == nil {
		return a.truncate(a.size.Load())
	}
	if err := a.truncate(a.end); err != nil {
		return err
	}
	return a.writeDirectory()
}

// writeDirectory writes directory and end record after the last entry.
func (a *archive) writeDirectory() error {
	size := int64(len(a.directory))
	buf := appendEnd(append([]byte(nil), a.directory...), a.count, size, a.end)
	if err := a.write(buf, a.end); err != nil {
		return err
	}
	a.dirStale = false
	return nil
}
