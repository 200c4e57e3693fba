package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
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
	// MaxBytes is how large the file may become at any time, directory and
	// final.json included; 0: no limit. Segments that do not fit are left out,
	// and their rows stay Unwritten.
	MaxBytes int64
	// dir is the directory that the file is to be in; nil: its path leads there.
	dir *os.Root
	// openFile replaces the file underneath, for tests.
	openFile func(path string) (file, error)
}

// ErrClosed is returned by a Writer that was closed or abandoned.
var ErrClosed = errors.New("capture is closed")

// Writer writes one capture. One goroutine owns it: the methods must not be
// called concurrently, except Size.
type Writer struct {
	dir      *os.Root // that the file is in
	name     string   // of the capture in it
	path     string
	options  WriterOptions
	archive  *archive
	encoder  *encoder
	queue    chan work
	encoded  chan struct{} // closed when the encoder goroutine has ended
	pace     pace          // of the encoder goroutine
	waited   bool          // the last Tick left work in the queue
	syncing  sync.WaitGroup
	syncBusy atomic.Bool
	syncedNs int64
	nowNs    int64 // of the last Tick
	closed   bool
	named    bool                  // the file has lost its ending .part
	failure  atomic.Pointer[error] // first error of the encoder or of a sync

	exchanges *sink[Exchange]
	sinks     []rowSink        // in the order of tables
	copied    map[string]int64 // rows of tables without a sink, see Repair
}

// addEntry writes an entry that is no segment.
func (w *Writer) addEntry(name string, data []byte) error {
	buf, err := w.archive.add(name, append(entryBuffer(w.encoder.buf, name), data...), w.nowNs)
	w.encoder.buf = buf
	return err
}

// startEncoder runs the encoder goroutine, on a thread that ends with it.
func (w *Writer) startEncoder() {
	begun := make(chan thread)
	go func() {
		defer close(w.encoded)
		runtime.LockOSThread()
		begun <- currentThread()
		w.encodeAll()
	}()
	w.pace.begin(<-begun)
}

// encodeAll encodes what comes. After an error it takes batches and drops
// them, so that the owner never waits for ever.
func (w *Writer) encodeAll() {
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

// enqueue hands a batch to the encoder, waiting while the queue is full.
func (w *Writer) enqueue(b work) {
	if len(w.queue) >= hurryBatches {
		w.pace.hurry()
	}
	w.queue <- b
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

// Path is the name of the file at present: until Close has given it its name,
// that with the ending .part.
func (w *Writer) Path() string {
	if w.named {
		return w.path
	}
	return w.path + partSuffix
}

// ready gives the error that keeps the Writer from taking more.
func (w *Writer) ready() error {
	if w.closed {
		return fmt.Errorf("%s: %w", w.path, ErrClosed)
	}
	return w.err()
}

// Append adds rows to their table, copying them. An error is that of an
// earlier write: rows from then on are not in the capture but counted as
// Unwritten, everything sealed before is, and the Writer can still be closed.
func Append[T Row](w *Writer, rows ...T) error {
	for _, s := range w.sinks {
		if s, ok := s.(*sink[T]); ok {
			return s.appendOrLose(rows)
		}
	}
	return nil
}

// AppendExchanges is Append for the busiest table: it allocates nothing once
// the batches exist.
func (w *Writer) AppendExchanges(rows []Exchange) error {
	return w.exchanges.appendOrLose(rows)
}

// Tick tells the Writer the monotonic time. It seals segments by age and, every
// few seconds, starts forcing the file to disk in the background. Call it
// several times a second.
func (w *Writer) Tick(nowMonotonicNs int64) error {
	if err := w.ready(); err != nil {
		return err
	}
	w.nowNs = nowMonotonicNs
	if len(w.queue) == 0 {
		w.waited = false
		w.pace.ease()
	} else if w.waited {
		w.pace.hurry() // no CPU is free: what is due must reach the file all the same
	} else {
		w.waited = true
	}
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
// the file. While recording these are the open segments, and what did not fit;
// after Close they are lost.
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

// Stat tells which file is written, whatever has become of its name.
func (w *Writer) Stat() (fs.FileInfo, error) {
	f, ok := w.archive.f.(interface{ Stat() (fs.FileInfo, error) })
	if !ok { // in memory
		return nil, errors.ErrUnsupported
	}
	return f.Stat()
}
