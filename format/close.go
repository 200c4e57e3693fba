package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

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
	errs = append(errs, w.archive.release())
	if !w.options.NoSync {
		errs = append(errs, w.archive.f.Sync())
	}
	errs = append(errs, w.archive.f.Close())
	err := rename(w.path+partSuffix, w.path)
	w.named = err == nil
	return errors.Join(append(errs, err)...)
}

// writeFinal writes final.json. Rows that are not in the file are losses.
func (w *Writer) writeFinal(f Final) error {
	f.Rows, f.Losses = maps.Clone(w.copied), maps.Clone(f.Losses)
	for _, s := range w.sinks {
		if _, sealed := s.counts(); sealed > 0 {
			f.Rows[s.table().name] = sealed
		}
	}
	for table, n := range w.Unwritten() {
		if f.Losses == nil {
			f.Losses = map[string]int64{}
		}
		f.Losses[table+"/"+LossWrite.String()] += n
	}
	if err := w.err(); err != nil {
		f.failed(err)
	}
	if len(f.Error) > maxFinalError {
		f.Error = strings.ToValidUTF8(f.Error[:maxFinalError], "")
	}
	final, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return w.addEntry(finalName, append(final, '\n'))
}

// failed notes that the file could not be written to the end.
func (f *Final) failed(err error) {
	f.StopReason = "error"
	if DiskFailed(err) {
		f.StopReason = "disk"
	}
	if f.Error == "" {
		f.Error = err.Error()
	}
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
	return errors.Join(w.err(), w.archive.release(), w.archive.f.Close())
}

// stop ends the goroutines, with seal after closing all open segments.
func (w *Writer) stop(seal bool) {
	w.closed = true
	if seal {
		for _, s := range w.sinks {
			s.flush(true)
		}
	}
	w.pace.hurry()
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
