package format

import (
	"io/fs"
	"os"
)

// Prepared is a capture that has not begun: what takes time is done, so that it
// begins at once.
type Prepared struct{ w *Writer }

// Prepare opens a capture, as Create does, for a name in a directory that is
// open, as by [OpenDir], and stays the caller's. path is what the file is called
// in errors. Begin or Discard is to be called.
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
