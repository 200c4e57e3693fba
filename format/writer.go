package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Version is the format version this package writes, and the newest it reads.
const Version = 1

const (
	formatName   = "kmon.capture"
	manifestName = "manifest.json"
	readmeName   = "README.txt"
	finalName    = "final.json"
	partSuffix   = ".part"
	// syncNs is how often what was written is forced to disk: what a power
	// cut may cost.
	syncNs = 3e9
)

// WriterOptions are the choices of a Writer; the zero value is right.
type WriterOptions struct {
	// NoSync leaves forcing data to disk to the kernel.
	NoSync bool
	// openFile replaces the file underneath, for tests.
	openFile func(path string) (file, error)
}

// ErrClosed is returned by a Writer that was closed or abandoned.
var ErrClosed = errors.New("capture is closed")

// Writer writes one capture. One goroutine owns it: the methods must not be
// called concurrently, except Size.
type Writer struct {
	path     string
	options  WriterOptions
	archive  *archive
	encoder  *encoder
	queue    chan work
	encoded  chan struct{} // closed when the encoder goroutine has ended
	syncing  sync.WaitGroup
	syncBusy atomic.Bool
	syncedNs int64
	nowNs    int64 // of the last Tick
	closed   bool
	failure  atomic.Pointer[error] // first error of the encoder or of a sync

	exchanges *sink[Exchange]
	sinks     []rowSink        // in the order of tables
	copied    map[string]int64 // rows of tables without a sink, see Repair
}

// Create opens a capture for writing at path+".part", mode 0600, and writes
// its manifest. Format and Version of m are filled in. It is an error if path
// or path+".part" exists: a capture is never overwritten.
func Create(path string, m Manifest, o WriterOptions) (*Writer, error) {
	m.Format, m.Version = formatName, Version
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	w, err := createWriter(path, append(manifest, '\n'), o)
	if err != nil {
		return nil, err
	}
	w.nowNs = m.Clock.MonotonicNs
	w.syncedNs = w.nowNs
	go w.encodeAll()
	return w, nil
}

// createWriter opens the file and writes the entries before the segments. The
// encoder goroutine does not run yet.
func createWriter(path string, manifest []byte, o WriterOptions) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s exists and is never overwritten: give another name or remove it: %w", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.openFile == nil {
		o.openFile = createFile
	}
	f, err := o.openFile(path + partSuffix)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: another recording writes it, or one ended early (kmon repair %s): %w",
			path+partSuffix, path+partSuffix, fs.ErrExist)
	}
	if err != nil {
		return nil, err
	}
	w, err := newWriter(path, f, manifest, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close(), os.Remove(path+partSuffix))
	}
	return w, nil
}

func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
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
	w.sinks = []rowSink{
		w.exchanges,
		sockets,
		newSink[Proc](w, nil),
		newSink[Loss](w, nil),
		newSink[Self](w, nil),
		newSink[Mark](w, nil),
		processes,
		newSink[Listener](w, nil),
		newSink[Container](w, nil),
		newSink[Interface](w, nil),
		newSink[Config](w, nil),
	}
}

// addEntry writes an entry that is no segment.
func (w *Writer) addEntry(name string, data []byte) error {
	buf, err := w.archive.add(name, append(entryBuffer(w.encoder.buf, name), data...), w.nowNs)
	w.encoder.buf = buf
	return err
}

// encodeAll is the encoder goroutine. After an error it takes batches and
// drops them, so that the owner never waits for ever.
func (w *Writer) encodeAll() {
	defer close(w.encoded)
	for b := range w.queue {
		if w.err() != nil {
			b.drop()
			continue
		}
		if err := encodeSafely(b, w.encoder); err != nil {
			w.fail(err)
		}
	}
}

// encodeSafely turns a panic of the Parquet library into an error: the
// recording then ends in order, with what was written.
func encodeSafely(b work, e *encoder) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encoding a segment: %v", p)
		}
	}()
	return b.encode(e)
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	err = fmt.Errorf("%s: %w", w.path+partSuffix, err)
	w.failure.CompareAndSwap(nil, &err)
}

func (w *Writer) err() error {
	if p := w.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// ready gives the error that keeps the Writer from taking more.
func (w *Writer) ready() error {
	if w.closed {
		return fmt.Errorf("%s: %w", w.path, ErrClosed)
	}
	return w.err()
}

// Append adds rows to their table, copying them. An error is that of an
// earlier write: rows from then on are not in the capture, everything sealed
// before is, and the Writer can still be closed.
func Append[T Row](w *Writer, rows ...T) error {
	if err := w.ready(); err != nil {
		return err
	}
	for _, s := range w.sinks {
		if s, ok := s.(*sink[T]); ok {
			s.append(rows)
		}
	}
	return nil
}

// AppendExchanges is Append for the busiest table: it allocates nothing once
// the batches exist.
func (w *Writer) AppendExchanges(rows []Exchange) error {
	if err := w.ready(); err != nil {
		return err
	}
	w.exchanges.append(rows)
	return nil
}

// Tick tells the Writer the monotonic time. It seals segments by age and, every
// few seconds, starts forcing the file to disk in the background. Call it
// several times a second.
func (w *Writer) Tick(nowMonotonicNs int64) error {
	if err := w.ready(); err != nil {
		return err
	}
	w.nowNs = nowMonotonicNs
	for _, s := range w.sinks {
		s.tick(w.nowNs)
	}
	for _, s := range w.sinks {
		if s.due(w.nowNs) {
			s.flush(true)
		}
	}
	if !w.options.NoSync && w.nowNs-w.syncedNs >= syncNs {
		w.syncedNs = w.nowNs
		w.startSync()
	}
	return nil
}

// startSync forces the file to disk in a goroutine, unless one still does.
func (w *Writer) startSync() {
	if !w.syncBusy.CompareAndSwap(false, true) {
		return
	}
	w.syncing.Add(1)
	go func() {
		defer w.syncing.Done()
		defer w.syncBusy.Store(false)
		if err := w.archive.f.Sync(); err != nil {
			w.fail(err)
		}
	}()
}

// Rows gives, per table that has any, how many rows were appended.
func (w *Writer) Rows() map[string]int64 {
	rows := map[string]int64{}
	for _, s := range w.sinks {
		if n, _ := s.counts(); n > 0 {
			rows[s.table().name] = n
		}
	}
	return rows
}

// Unwritten gives, per table that has any, how many appended rows are not in
// the file. While recording these are the open segments; after Close they are
// lost.
func (w *Writer) Unwritten() map[string]int64 {
	rows := map[string]int64{}
	for _, s := range w.sinks {
		if appended, sealed := s.counts(); appended > sealed {
			rows[s.table().name] = appended - sealed
		}
	}
	return rows
}

// Size is the size of the file in bytes. Any goroutine may ask.
func (w *Writer) Size() int64 { return w.archive.size.Load() }

// Close seals what is open, writes f as final.json with Rows filled in, forces
// the file to disk and gives it its name. If something of that fails, the rest
// is still done, as far as it makes sense, and the error returned: all segments
// written before remain readable.
func (w *Writer) Close(f Final) error { return w.close(&f) }

// close is Close, without final.json when f is nil.
func (w *Writer) close(f *Final) error {
	if w.closed {
		return fmt.Errorf("%s: %w", w.path, ErrClosed)
	}
	w.stop(true)
	errs := []error{w.err()}
	if f != nil {
		errs = append(errs, w.writeFinal(*f))
	}
	if w.archive.dirStale {
		errs = append(errs, w.archive.writeDirectory())
	}
	if !w.options.NoSync {
		errs = append(errs, w.archive.f.Sync())
	}
	errs = append(errs, w.archive.f.Close(), rename(w.path+partSuffix, w.path))
	return errors.Join(errs...)
}

// writeFinal writes final.json.
func (w *Writer) writeFinal(f Final) error {
	f.Rows = maps.Clone(w.copied)
	for _, s := range w.sinks {
		if _, sealed := s.counts(); sealed > 0 {
			f.Rows[s.table().name] = sealed
		}
	}
	if err := w.err(); err != nil && f.Error == "" {
		f.Error = err.Error()
	}
	final, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return w.addEntry(finalName, append(final, '\n'))
}

// Discard stops writing and removes the file.
func (w *Writer) Discard() error {
	return errors.Join(w.Abandon(), os.Remove(w.path+partSuffix))
}

// Abandon stops writing without finishing the capture: the .part file stays
// and holds what was sealed. kmon repair makes a capture of it.
func (w *Writer) Abandon() error {
	if w.closed {
		return fmt.Errorf("%s: %w", w.path, ErrClosed)
	}
	w.stop(false)
	return errors.Join(w.err(), w.archive.f.Close())
}

// stop ends the goroutines, with seal after closing all open segments.
func (w *Writer) stop(seal bool) {
	w.closed = true
	if seal {
		for _, s := range w.sinks {
			s.flush(true)
		}
	}
	close(w.queue)
	<-w.encoded
	w.syncing.Wait()
}

// rename gives part the name path without ever overwriting a file of that
// name. Where the file system has no hard links it looks before it renames.
func rename(part, path string) error {
	err := os.Link(part, path)
	switch {
	case err == nil:
		err = os.Remove(part)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s appeared while recording and is not overwritten: the capture is %s: %w", path, part, fs.ErrExist)
	default:
		if _, statErr := os.Lstat(path); statErr == nil {
			return fmt.Errorf("%s appeared while recording and is not overwritten: the capture is %s: %w", path, part, fs.ErrExist)
		}
		err = os.Rename(part, path)
	}
	if err != nil {
		return err
	}
	syncDirectory(filepath.Dir(path))
	return nil
}

// syncDirectory makes a new name durable where the system can; it is a best
// effort, since the data are safe under one of the two names.
func syncDirectory(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
