package record

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kmon/format"
	"kmon/record/probe"
)

// Rotation divides a recording into files, its parts, while the programs in the
// kernel go on: NAME-000001.kmon, NAME-000002.kmon, … Each is a capture of its
// own. The zero value is a recording of one file.
type Rotation struct {
	// SizeBytes is what no part exceeds, at least MinMaxSizeBytes; 0: no limit.
	SizeBytes int64
	// Every is how long a part lasts, at least MinRotateEvery; 0: no limit.
	Every time.Duration
	// Count is how many files there are at most, the one that is written and
	// one that is being closed among them: the oldest is removed. At least 2;
	// 0: none is removed.
	Count int
}

// MinRotateEvery is the least Rotation.Every: each part begins with all that is
// known of the node.
const MinRotateEvery = time.Second

// on says whether the recording is divided.
func (o Rotation) on() bool { return o.SizeBytes > 0 || o.Every > 0 }

func (o Rotation) check(maxSizeBytes int64) error {
	switch {
	case o.Count != 0 && !o.on():
		return errors.New("a number of parts without their size or duration divides nothing; say when a part ends, too (--rotate)")
	case o.SizeBytes != 0 && o.SizeBytes < MinMaxSizeBytes:
		return fmt.Errorf("parts of %d bytes are too small for captures, they have at least %s", o.SizeBytes, mib(MinMaxSizeBytes))
	case o.Every != 0 && o.Every < MinRotateEvery:
		return fmt.Errorf("parts of %v are too short, they last at least %v", o.Every, MinRotateEvery)
	case o.Count < 0 || o.Count == 1:
		return fmt.Errorf("%d parts are too few: one is closed while the next is written already, so there are at least 2", o.Count)
	case o.on() && maxSizeBytes != 0 && maxSizeBytes < 2*MinMaxSizeBytes:
		return fmt.Errorf("%s are too little for two parts, they have at least %s together", mib(maxSizeBytes), mib(2*MinMaxSizeBytes))
	}
	return nil
}

// parts are the files of a recording that is divided. They are in a directory
// that is held open: nothing is made or removed anywhere else.
type parts struct {
	rotation   Rotation
	dir        *os.Root
	parent     string // of the files' paths, as it was given
	stem, end  string // of their names
	manifest   format.Manifest
	partBytes  int64 // no part exceeds; 0: no limit
	totalBytes int64 // all parts together do not exceed; 0: no limit
	keepNs     int64 // parts that ended longer ago are removed; 0: none
	pinnedNs   int64 // but not those that ended since, for a dump needs them; 0: there is none

	current   partFile    // that is written
	preparing *preparing  // the next one; nil: it is not due
	ending    *endingPart // the part before, until it is complete; nil: it is
	complete  []partFile  // that are there, oldest first; none are kept here when none is ever removed
	removed   int
	said      []string // of removed parts, to be marked
	late      late     // sockets of the part before

	wanted    bool              // the current part is to end as soon as it can
	next      time.Time         // when a part ends by its duration
	began     time.Time         // when the current part did
	filled    int               // parts one after the other that were filled at once
	restating time.Time         // since when the Provider is asked for its rows; zero: it has given them
	sockets   *probe.SocketList // that are to be listed yet; nil: none

	// Of the parts that are complete or removed:

	bytes   int64 // of those that are there
	rows    map[string]int64
	losses  map[string]int64
	failure error // of their disk
}

// partFile is one file of a recording.
type partFile struct {
	number         int
	startNs, endNs int64 // CLOCK_MONOTONIC; of the current part endNs is 0
	bytes          int64 // its size; until it is complete, what it may become
	device, inode  uint64
}

// newParts finds the place for the parts of a recording to path. None must be
// there yet.
func newParts(path string, o Options, m format.Manifest) (*parts, error) {
	dir, name, err := format.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return partsIn(dir, name, path, o, m)
}

// partsIn is newParts for a name in a directory that is open, which it takes over.
func partsIn(dir *os.Root, name, path string, o Options, m format.Manifest) (*parts, error) {
	end := filepath.Ext(name)
	p := &parts{
		rotation: o.Rotate, dir: dir, parent: strings.TrimSuffix(path, name), stem: strings.TrimSuffix(name, end), end: end,
		manifest: m, partBytes: o.Rotate.SizeBytes, totalBytes: o.MaxSizeBytes,
		rows: map[string]int64{}, losses: map[string]int64{},
	}
	if half := p.totalBytes / 2; half > 0 && (p.partBytes == 0 || half < p.partBytes) {
		p.partBytes = half // one is closed while the next is written
	}
	if err := p.checkNames(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	p.manifest.Recording = &format.RecordingPart{ID: hex.EncodeToString(id[:])}
	return p, nil
}

func (p *parts) name(number int) string { return fmt.Sprintf("%s-%06d%s", p.stem, number, p.end) }

func (p *parts) path(number int) string { return p.parent + p.name(number) }

// partSuffix ends the name of a capture that is not complete.
const partSuffix = ".part"

// isPart says whether a name is one that a part may get.
func (p *parts) isPart(name string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(name, partSuffix), p.stem+"-")
	digits, ends := strings.CutSuffix(rest, p.end)
	return ok && ends && len(digits) >= 6 && strings.Trim(digits, "0123456789") == ""
}

// checkNames refuses to mix the parts of two recordings.
func (p *parts) checkNames() error {
	d, err := p.dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if p.isPart(name) {
			return fmt.Errorf("%s exists, and parts of two recordings are never mixed: give another name or move it away: %w", p.parent+name, fs.ErrExist)
		}
	}
	return nil
}

// preparing is a part that is being opened in the background.
type preparing struct {
	file partFile
	done chan prepared
}

type prepared struct {
	part          *format.Prepared
	device, inode uint64
	removed       int
	said          []string
	err           error
}

// leaving is a part that is to be removed.
type leaving struct {
	partFile
	why string
}

// prepare opens the next part, once those that have to make room for it are
// removed. The current one stays what it is.
func (p *parts) prepare(nowNs int64) {
	old := p.takeOld(nowNs)
	next := &preparing{done: make(chan prepared, 1), file: partFile{number: p.current.number + 1, bytes: p.room()}}
	p.preparing = next
	go func() {
		var made prepared
		for _, f := range old {
			said, removed, err := p.remove(f)
			made.said = append(made.said, said)
			if made.err = err; err != nil {
				break
			}
			if removed {
				made.removed++
			}
		}
		if made.err == nil {
			made.open(p, next.file)
		}
		next.done <- made
	}()
}

func (m *prepared) open(p *parts, file partFile) {
	options := format.WriterOptions{MaxBytes: file.bytes}
	if m.part, m.err = format.Prepare(p.dir, p.name(file.number), p.path(file.number), options); m.err != nil {
		m.err = fmt.Errorf("begin part %d: %w", file.number, m.err)
		return
	}
	info, err := m.part.Stat()
	if err != nil {
		m.err = errors.Join(err, m.part.Discard())
		return
	}
	m.device, m.inode = identity(info)
}

// begin begins the part that was prepared. The current one stays what it is.
func (p *parts) begin(made prepared, clock format.ClockPair) (*format.Writer, partFile, error) {
	file := p.preparing.file
	p.preparing = nil
	p.said, p.removed = append(p.said, made.said...), p.removed+made.removed
	if made.err != nil {
		return nil, file, made.err
	}
	file.startNs, file.device, file.inode = clock.MonotonicNs, made.device, made.inode
	m := p.manifest
	m.Clock, m.CreatedUnixNs = clock, clock.RealtimeNs
	m.Recording = &format.RecordingPart{ID: m.Recording.ID, Part: file.number}
	w, err := made.part.Begin(m)
	if err != nil {
		err = errors.Join(err, made.part.Discard())
	}
	return w, file, err
}

// discard removes a part that was prepared and is not to begin.
func (p *parts) discard() error {
	if p == nil || p.preparing == nil {
		return nil
	}
	made := <-p.preparing.done
	p.preparing = nil
	p.removed += made.removed
	if made.part == nil {
		return nil // it is not needed any more, so its error does not matter
	}
	return made.part.Discard()
}

// files is how many there are.
func (p *parts) files() int {
	n := len(p.complete)
	if p.current.number > 0 {
		n++
	}
	if p.ending != nil {
		n++
	}
	return n
}

// taken is what all parts have, or may yet become.
func (p *parts) taken() int64 {
	n := p.current.bytes
	if p.ending != nil {
		n += p.ending.file.bytes
	}
	for _, f := range p.complete {
		n += f.bytes
	}
	return n
}

// room is how large another part may become; 0: no limit.
func (p *parts) room() int64 {
	if p.totalBytes == 0 {
		return p.partBytes
	}
	return min(p.partBytes, p.totalBytes-p.taken())
}

// takeOld takes out the oldest parts until there may be another one.
func (p *parts) takeOld(nowNs int64) (old []leaving) {
	files := p.files()
	for ; len(p.complete) > 0; files-- {
		var why string
		switch oldest := p.complete[0]; {
		case p.rotation.Count > 0 && files >= p.rotation.Count:
			why = fmt.Sprintf("there are at most %d files (--rotate-count)", p.rotation.Count)
		case p.totalBytes > 0 && p.room() < max(p.partBytes/4, MinMaxSizeBytes):
			why = p.tooMuch()
		case p.keepNs > 0 && oldest.endNs < nowNs-p.keepNs && (p.pinnedNs == 0 || oldest.endNs < p.pinnedNs):
			why = fmt.Sprintf("it ended more than %v ago", time.Duration(p.keepNs))
		default:
			return old
		}
		old = append(old, p.takeOldest(why))
	}
	return old
}

// takeOldest takes the oldest part out, to be removed.
func (p *parts) takeOldest(why string) leaving {
	f := p.complete[0]
	p.complete = p.complete[1:]
	p.bytes -= f.bytes
	return leaving{f, why}
}

func (p *parts) tooMuch() string {
	return fmt.Sprintf("all parts have at most %s (--max-size)", mib(p.totalBytes))
}

// remove removes a complete part, if its name still is that of the file that was
// written, and tells what has become of it. Any goroutine may call it.
func (p *parts) remove(f leaving) (said string, removed bool, err error) {
	name := p.name(f.number)
	info, err := p.dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("part %d (%s) is gone: somebody moved or removed it", f.number, name), false, nil
	case err == nil && !f.is(info):
		return fmt.Sprintf("part %d (%s) was replaced by another file, which stays", f.number, name), false, nil
	case err == nil:
		err = p.dir.Remove(name)
	}
	if err != nil {
		return "", false, fmt.Errorf("remove part %d, because %s: %w", f.number, f.why, err)
	}
	return fmt.Sprintf("part %d (%s) was removed: %s", f.number, name, f.why), true, nil
}

// keep takes a part that is complete.
func (p *parts) keep(f partFile) {
	p.bytes += f.bytes
	if p.rotation.Count > 0 || p.totalBytes > 0 || p.keepNs > 0 {
		p.complete = append(p.complete, f)
	}
}

// is says whether a name is that of the complete part that was written: another
// file may even have got its inode.
func (f partFile) is(info fs.FileInfo) bool {
	device, inode := identity(info)
	return info.Mode().IsRegular() && device == f.device && inode == f.inode && info.Size() == f.bytes
}

func identity(info fs.FileInfo) (device, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), st.Ino
	}
	return 0, 0
}

// failed keeps an error of the disk.
func (p *parts) failed(err error) {
	if format.DiskFailed(err) {
		p.failure = errors.Join(p.failure, err)
	}
}

// diskFailed says whether the disk ended one of the parts.
func (p *parts) diskFailed() bool { return p != nil && p.failure != nil }

// tell adds the parts to the result, which is that of the last one. nil: it is
// the only file.
func (p *parts) tell(result *Result) {
	if p == nil {
		return
	}
	add(result.Rows, p.rows)
	add(result.Losses, p.losses)
	result.Parts = &Parts{Count: p.current.number, Removed: p.removed, First: p.path(p.first())}
}

// first is the number of the oldest part that is there.
func (p *parts) first() int {
	switch {
	case len(p.complete) > 0:
		return p.complete[0].number
	case p.removed > 0:
		return p.current.number
	}
	return 1
}

// busy says whether the part still is to get what it begins with.
func (p *parts) busy() bool { return p != nil && p.sockets != nil }

// close gives the directory back.
func (p *parts) close() error {
	if p == nil {
		return nil
	}
	return p.dir.Close()
}

func add(to, more map[string]int64) {
	for key, n := range more {
		to[key] += n
	}
}

// sum is a with b added to it.
func sum(a, b map[string]int64) map[string]int64 {
	both := maps.Clone(a)
	add(both, b)
	return both
}
