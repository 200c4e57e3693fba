package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Prepared is a capture that has not begun: what takes time is done, so that it
// begins at once.
type Prepared struct{ w *Writer }

// manifestRoom is kept free for a manifest that is not known yet: they have some
// 5 KB, and command lines that may be long.
const manifestRoom = 32 << 10

// Prepare opens a capture, as Create does, for a name in a directory that is
// open, as by [OpenDir], and stays the caller's. path is what the file is called
// in errors. What a capture begins with has its room on the disk then: one that
// could not have its manifest could not be read. Begin or Discard is to be called.
func Prepare(dir *os.Root, name, path string, o WriterOptions) (*Prepared, error) {
	dir, err := dir.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	w, err := createIn(dir, name, path, o)
	if err != nil {
		_ = dir.Close() // only read
		return nil, err
	}
	w.startEncoder()
	if err := w.archive.makeRoom(int64(len(readmeText()))+manifestRoom, false); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path+partSuffix, err), w.Discard())
	}
	return &Prepared{w}, nil
}

// Stat tells which file it is, whatever becomes of its name.
func (p *Prepared) Stat() (fs.FileInfo, error) { return p.w.Stat() }

// Begin begins the capture. The manifest is written in the background: an error
// of that is one of the Writer's methods.
func (p *Prepared) Begin(m Manifest) (*Writer, error) {
	manifest, err := encodeManifest(m)
	if err != nil {
		return nil, err
	}
	p.w.began(m)
	p.w.enqueue(head{manifest, m.Clock.MonotonicNs})
	return p.w, nil
}

// Discard removes the file of a capture that is not to begin.
func (p *Prepared) Discard() error { return p.w.Discard() }

// head is the work of writing what comes before the segments.
type head struct {
	manifest []byte
	nowNs    int64
}

func (head) drop() {}

func (h head) encode(e *encoder) error { return e.writeHead(h.manifest, h.nowNs) }
