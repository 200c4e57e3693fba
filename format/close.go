package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	err := w.checkPart()
	errs = append(errs, err, w.archive.f.Close())
	if err == nil {
		err = w.giveName()
		w.named = err == nil
		errs = append(errs, err)
	}
	return errors.Join(append(errs, w.dir.Close())...)
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
	return errors.Join(w.abandon(), w.dir.Remove(w.name+partSuffix), w.dir.Close())
}

// Abandon stops writing without finishing the capture: the .part file stays
// and holds what was sealed. kmon repair makes a capture of it.
func (w *Writer) Abandon() error { return errors.Join(w.abandon(), w.dir.Close()) }

func (w *Writer) abandon() error {
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

// giveName names the file, without ever overwriting one of that name. Where the
// file system has no hard links it looks before it renames.
func (w *Writer) giveName() error {
	part := w.name + partSuffix
	err := w.dir.Link(part, w.name)
	switch {
	case err == nil:
		err = w.dir.Remove(part)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s appeared while recording and is not overwritten: the capture is %s: %w", w.path, w.path+partSuffix, fs.ErrExist)
	default:
		if _, statErr := w.dir.Lstat(w.name); statErr == nil {
			return fmt.Errorf("%s appeared while recording and is not overwritten: the capture is %s: %w", w.path, w.path+partSuffix, fs.ErrExist)
		}
		err = w.dir.Rename(part, w.name)
	}
	if err != nil {
		return err
	}
	if !w.options.NoSync {
		syncDirectory(w.dir)
	}
	return nil
}

// checkPart sees whether the name still is that of the file that was written.
func (w *Writer) checkPart() error {
	mine, err := w.Stat()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if named, err := w.dir.Lstat(w.name + partSuffix); err != nil || !os.SameFile(mine, named) {
		return errors.Join(fmt.Errorf("%s was removed or replaced while recording; the capture has no name any more", w.path+partSuffix), err)
	}
	return nil
}

// syncDirectory makes a new name durable where the system can; it is a best
// effort, since the data are safe under one of the two names.
func syncDirectory(dir *os.Root) {
	if d, err := dir.Open("."); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
