package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create opens a capture for writing at path+".part", mode 0600, and writes
// its manifest. Format and Version of m are filled in. It is an error if path
// or path+".part" exists: a capture is never overwritten.
func Create(path string, m Manifest, o WriterOptions) (*Writer, error) {
	manifest, err := encodeManifest(m)
	if err != nil {
		return nil, err
	}
	w, err := createWriter(path, manifest, o)
	if err != nil {
		return nil, err
	}
	w.began(m)
	w.startEncoder()
	return w, nil
}

// encodeManifest gives what is stored of m.
func encodeManifest(m Manifest) ([]byte, error) {
	m.Format, m.Version = formatName, Version
	manifest, err := json.MarshalIndent(m, "", "  ")
	return append(manifest, '\n'), err
}

// began notes the time of the capture's start.
func (w *Writer) began(m Manifest) {
	w.nowNs = m.Clock.MonotonicNs
	w.syncedNs = w.nowNs
}

// createWriter opens the file and writes the entries before the segments. The
// encoder goroutine does not run yet.
func createWriter(path string, manifest []byte, o WriterOptions) (*Writer, error) {
	dir, name, err := o.place(path)
	if err != nil {
		return nil, err
	}
	w, err := createIn(dir, name, path, o)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	if err := w.encoder.writeHead(manifest, w.nowNs); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), w.archive.f.Close(), dir.Remove(name+partSuffix), dir.Close())
	}
	return w, nil
}

// place is OpenDir, or the directory that is held already.
func (o WriterOptions) place(path string) (dir *os.Root, name string, err error) {
	if o.dir == nil {
		return OpenDir(path)
	}
	dir, err = o.dir.OpenRoot(".") // the Writer closes its own
	return dir, filepath.Base(path), err
}

// writeHead writes the entries before the segments.
func (e *encoder) writeHead(manifest []byte, nowNs int64) error {
	for _, entry := range []struct {
		name string
		data []byte
	}{{manifestName, manifest}, {readmeName, []byte(readmeText())}} {
		buf, err := e.archive.add(entry.name, append(entryBuffer(e.buf, entry.name), entry.data...), nowNs)
		if e.buf = buf; err != nil {
			return err
		}
	}
	return nil
}

// createIn opens the file. The Writer will close dir.
func createIn(dir *os.Root, name, path string, o WriterOptions) (*Writer, error) {
	if _, err := dir.Lstat(name); err == nil {
		return nil, fmt.Errorf("%s: %w, and is never overwritten: give another name or remove it", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.openFile == nil {
		o.openFile = func(string) (file, error) { return createFile(dir, name+partSuffix) }
	}
	f, err := o.openFile(path + partSuffix)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: another recording writes it, or one ended early (kmon repair %s): %w",
			path+partSuffix, path+partSuffix, fs.ErrExist)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path + partSuffix, Err: cause(err)}
	}
	w, err := newWriter(path, f, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close(), dir.Remove(name+partSuffix))
	}
	w.dir, w.name = dir, name
	return w, nil
}

// createFile makes a file that nobody else can read. A link of its name, even
// one to nowhere, is a file that exists.
func createFile(dir *os.Root, name string) (file, error) {
	f, err := dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func newWriter(path string, f file, o WriterOptions) (*Writer, error) {
	w := &Writer{
		path:    path,
		options: o,
		archive: &archive{f: f},
		queue:   make(chan work, queueBatches),
		encoded: make(chan struct{}),
		copied:  map[string]int64{},
	}
	w.archive.maxBytes.Store(o.MaxBytes)
	var err error
	if w.encoder, err = newEncoder(w.archive); err != nil {
		return nil, err
	}
	w.addSinks()
	return w, nil
}

// addSinks makes a sink for each table.
func (w *Writer) addSinks() {
	w.exchanges = newSink(w, func(e *encoder, b *batch[Exchange]) { b.rows, e.spare = e.order.sortExchanges(b.rows, e.spare) })
	sockets, processes := newSink[Socket](w, nil), newSink[Process](w, nil)
	w.exchanges.before = []rowSink{sockets, processes}
	stacks, frames := newSink[Stack](w, nil), newSink[Frame](w, nil)
	stacks.before = []rowSink{frames}
	offCPU, onCPU, netEvents := newSink[OffCPU](w, nil), newSink[OnCPU](w, nil), newSink[NetEvent](w, nil)
	offCPU.before, onCPU.before, netEvents.before = []rowSink{stacks}, []rowSink{stacks}, []rowSink{stacks}
	w.sinks = []rowSink{
		w.exchanges,
		sockets,
		newSink[Proc](w, nil),
		netEvents,
		newSink[AcceptQueue](w, nil),
		newSink[Interval](w, nil),
		newSink[Wake](w, nil),
		offCPU,
		onCPU,
		newSink[IO](w, nil),
		newSink[Syscall](w, nil),
		newSink[Memory](w, nil),
		newSink[Limit](w, nil),
		newSink[Loss](w, nil),
		newSink[Self](w, nil),
		newSink[Mark](w, nil),
		processes,
		newSink[Listener](w, nil),
		newSink[Container](w, nil),
		newSink[Interface](w, nil),
		newSink[Disk](w, nil),
		newSink[Mount](w, nil),
		stacks,
		frames,
		newSink[Config](w, nil),
	}
}
