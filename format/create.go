package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Create opens a capture for writing at path+".part", mode 0600, and writes
// its manifest. Format and Version of m are filled in. It is an error if path
// or path+".part" exists: a capture is never overwritten.
func Create(path string, m Manifest, o WriterOptions) (*Writer, error) {
	dir, name, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	return start(dir, name, path, m, o)
}

// CreateIn is Create for a name in a directory that is open, as by [OpenDir],
// and stays the caller's. path is what the file is called in errors.
func CreateIn(dir *os.Root, name, path string, m Manifest, o WriterOptions) (*Writer, error) {
	dir, err := dir.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	return start(dir, name, path, m, o)
}

// start starts a Writer that closes dir.
func start(dir *os.Root, name, path string, m Manifest, o WriterOptions) (*Writer, error) {
	m.Format, m.Version = formatName, Version
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	w, err := createOwning(dir, name, path, append(manifest, '\n'), o)
	if err != nil {
		return nil, err
	}
	w.nowNs = m.Clock.MonotonicNs
	w.syncedNs = w.nowNs
	w.startEncoder()
	return w, nil
}

// createWriter opens the file and writes the entries before the segments. The
// encoder goroutine does not run yet.
func createWriter(path string, manifest []byte, o WriterOptions) (*Writer, error) {
	dir, name, err := OpenDir(path)
	if err != nil {
		return nil, err
	}
	return createOwning(dir, name, path, manifest, o)
}

// createOwning is createIn for a directory that the Writer is to close.
func createOwning(dir *os.Root, name, path string, manifest []byte, o WriterOptions) (*Writer, error) {
	w, err := createIn(dir, name, path, manifest, o)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return w, nil
}

func createIn(dir *os.Root, name, path string, manifest []byte, o WriterOptions) (*Writer, error) {
	if _, err := dir.Lstat(name); err == nil {
		return nil, fmt.Errorf("%s exists and is never overwritten: give another name or remove it: %w", path, fs.ErrExist)
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
	w, err := newWriter(path, f, manifest, o)
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

func newWriter(path string, f file, manifest []byte, o WriterOptions) (*Writer, error) {
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
	if err := w.addEntry(manifestName, manifest); err != nil {
		return nil, err
	}
	return w, w.addEntry(readmeName, []byte(readmeText()))
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
