package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kmon/format"
)

const (
	captureEnding = ".kmon"
	ringEnding    = ".ring"
	// stampLayout is the time in names of captures, UTC.
	stampLayout = "20060102T150405Z"
)

// ringDir is the directory of a ring's parts, NAME.ring beside NAME.kmon. No
// other recorder uses it.
type ringDir struct {
	above *os.Root // that it is in
	root  *os.Root
	lock  *os.File
	base  string // path of the dumps, without the time and .kmon
	name  string // in above
}

// openRingDir makes the directory of the ring of output. One that exists and is
// not ours alone, or holds other things than parts, is refused. Parts that a
// killed recorder has left go into the directory aside, "" if there are none.
func openRingDir(output string, now time.Time) (_ *ringDir, aside string, err error) {
	base := strings.TrimSuffix(output, captureEnding)
	above, name, err := format.OpenDir(base + ringEnding)
	if err != nil {
		return nil, "", err
	}
	d := &ringDir{above: above, base: base, name: name}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := d.open(); err != nil {
		return nil, "", err
	}
	left, err := d.parts()
	if err != nil || !left {
		return d, "", err
	}
	aside = d.stamped(now) + ringEnding
	if err := above.Rename(name, filepath.Base(aside)); err != nil {
		return nil, "", fmt.Errorf("move the ring of a recorder that was killed: %w", err)
	}
	d.release()
	return d, aside, d.open()
}

// stamped is the path of what is made at a time.
func (d *ringDir) stamped(at time.Time) string { return d.base + "-" + at.UTC().Format(stampLayout) }

// path is that of the directory.
func (d *ringDir) path() string { return d.base + ringEnding }

// output is the path that parts are named after.
func (d *ringDir) output() string {
	return filepath.Join(d.path(), filepath.Base(d.base)+captureEnding)
}

// open makes the directory, or takes one that is ours alone, and keeps other
// recorders out of it.
func (d *ringDir) open() error {
	if err := d.above.Mkdir(d.name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := d.above.Lstat(d.name)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s, where the ring is to be, is no directory; remove it, or name another file with -o", d.path())
	case !ownedByUs(info) || info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s, where the ring is to be, is not this user's alone (mode 0700); remove it, or name another file with -o", d.path())
	}
	if d.root, err = d.above.OpenRoot(d.name); err != nil {
		return err
	}
	if d.lock, err = d.root.Open("."); err != nil {
		return err
	}
	if opened, err := d.lock.Stat(); err != nil || !os.SameFile(info, opened) {
		return errors.Join(fmt.Errorf("%s was replaced while it was opened", d.path()), err)
	}
	err = unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("another recorder keeps its ring in %s; name another file with -o", d.path())
	}
	return err
}

// ownedByUs says whether this process's user owns a file.
func ownedByUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

func (d *ringDir) isPart(e fs.DirEntry) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), partSuffix), filepath.Base(d.base)+"-")
	digits, ends := strings.CutSuffix(rest, captureEnding)
	return ok && ends && len(digits) >= 6 && strings.Trim(digits, "0123456789") == "" && e.Type().IsRegular()
}

// parts says whether there are any, and refuses what is something else.
func (d *ringDir) parts() (bool, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	for _, e := range entries {
		if !d.isPart(e) {
			return false, fmt.Errorf("%s holds %s, which is no part of a ring; remove it, or name another file with -o", d.path(), e.Name())
		}
	}
	return len(entries) > 0, err
}

// nextDump is a path for a dump that no other has.
func (d *ringDir) nextDump(at time.Time) string {
	path := d.stamped(at) + captureEnding
	for i := 2; ; i++ {
		if _, err := d.above.Lstat(filepath.Base(path)); errors.Is(err, fs.ErrNotExist) || i > maxDumpsASecond {
			return path // format.Join overwrites nothing
		}
		path = fmt.Sprintf("%s-%d%s", d.stamped(at), i, captureEnding)
	}
}

// maxDumpsASecond bounds the search for a name.
const maxDumpsASecond = 100

// removeAll removes the parts and the directory. What else is in it stays, with it.
func (d *ringDir) removeAll() error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	errs := []error{err}
	for _, e := range entries {
		if d.isPart(e) {
			errs = append(errs, d.root.Remove(e.Name()))
		}
	}
	if err := d.above.Remove(d.name); !errors.Is(err, unix.ENOTEMPTY) {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, d.close())...)
}

// release lets others have the directory.
func (d *ringDir) release() {
	if d.lock != nil {
		_ = d.lock.Close() // only read
	}
	if d.root != nil {
		_ = d.root.Close() // only read
	}
	d.lock, d.root = nil, nil
}

func (d *ringDir) close() error {
	d.release()
	return d.above.Close()
}
