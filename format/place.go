package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

var (
	errOthersLink = errors.New("a symbolic link that another user made; name the place that it leads to")
	errSwapped    = errors.New("was replaced while it was opened")
	errNotRegular = errors.New("not a regular file")
)

// OpenDir opens the directory that a path is in and returns the path's last
// name, which need not exist. Whatever becomes of the path, what is made in the
// directory that was opened stays there. For root, the path leads through no
// symbolic link that anybody else made, see [MadeByOthers]; an error says which
// it would have been.
func OpenDir(path string) (dir *os.Root, name string, err error) {
	parent, name := filepath.Split(path)
	if os.Geteuid() != 0 { // also where there is no such user
		dir, err = os.OpenRoot(filepath.Clean(parent))
		return dir, name, err
	}
	return openTrusted(path, false)
}

// OpenRegular opens a file for reading: a regular one, so that neither a pipe
// nor a device can keep the reader. For root the same holds as in OpenDir, for
// the last name too.
func OpenRegular(path string) (*os.File, error) { return openRegular(path, os.O_RDONLY) }

// OverwriteRegular opens a file that exists for writing, as OpenRegular does for
// reading, and empties it.
func OverwriteRegular(path string) (*os.File, error) {
	f, err := openRegular(path, os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// CheckLinks is the error of a path that, for root, leads through a symbolic link
// that anybody else made. What else is wrong with the path is not looked for:
// /dev/stdout may lead to what has none.
func CheckLinks(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	dir, _, err := openTrusted(path, true)
	switch {
	case err == nil:
		return dir.Close()
	case errors.Is(err, errOthersLink):
		return err
	}
	return nil
}

func openRegular(path string, flags int) (*os.File, error) {
	flags |= syscall.O_NONBLOCK // a pipe would wait for its other end
	var f *os.File
	var err error
	if os.Geteuid() != 0 {
		f, err = os.OpenFile(path, flags, 0)
	} else {
		var dir *os.Root
		var name string
		if dir, name, err = openTrusted(path, true); err == nil {
			f, err = dir.OpenFile(name, flags, 0)
			_ = dir.Close() // only read
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		_ = f.Close() // nothing is written
		return nil, err
	}
	return f, nil
}

// MadeByOthers says whether a file belongs to a user who has no say over this
// process. Root, the process's own user, and the user who called it by sudo
// have: the last named the path in the first place.
func MadeByOthers(info fs.FileInfo) bool {
	owner, known := ownerOf(info)
	return known && owner != "0" && owner != fmt.Sprint(os.Geteuid()) && owner != os.Getenv("SUDO_UID")
}

// walk is a path followed name by name, each directory held open, so that no
// name is looked up twice.
type walk struct {
	base string     // where it began: "/", ".", "../.."
	dirs []*os.Root // the first is base
}

// openTrusted follows a path to its last name; last: and through it, if that is
// a link.
func openTrusted(path string, last bool) (dir *os.Root, name string, err error) {
	w := &walk{}
	defer func() {
		for _, d := range w.dirs {
			if d != dir {
				_ = d.Close() // only read
			}
		}
		if err != nil {
			err = &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}()
	names, err := w.enter(path)
	for links := 0; err == nil && len(names) > 0; {
		name, names = names[0], names[1:]
		at := w.dirs[len(w.dirs)-1]
		var info fs.FileInfo
		switch {
		case name == "" || name == ".":
			continue
		case name == "..":
			err = w.up()
			continue
		case len(names) == 0 && !last:
			return at, name, nil
		}
		if info, err = at.Lstat(name); err != nil {
			return nil, "", cause(err)
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return nil, "", syscall.ELOOP
			}
			var more []string
			more, err = w.follow(at, name, info)
			names = append(more, names...)
		case len(names) == 0:
			return at, name, nil
		default:
			err = w.down(at, name, info)
		}
	}
	if err != nil {
		return nil, "", cause(err)
	}
	return w.dirs[len(w.dirs)-1], ".", nil
}

// enter opens where a path begins and returns the names in it.
func (w *walk) enter(path string) ([]string, error) {
	if filepath.IsAbs(path) {
		return strings.Split(path, "/"), w.restart("/")
	}
	if len(w.dirs) == 0 {
		return strings.Split(path, "/"), w.restart(".")
	}
	return strings.Split(path, "/"), nil
}

func (w *walk) restart(base string) error {
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	for _, d := range w.dirs {
		_ = d.Close() // only read
	}
	w.base, w.dirs = base, []*os.Root{root}
	return nil
}

// follow returns the names that a link leads through.
func (w *walk) follow(at *os.Root, name string, info fs.FileInfo) ([]string, error) {
	if MadeByOthers(info) {
		return nil, fmt.Errorf("%s is %w", name, errOthersLink)
	}
	target, err := at.Readlink(name)
	if err != nil {
		return nil, err
	}
	return w.enter(target)
}

// down goes into a directory: that which was looked at, and no other that has
// taken its name.
func (w *walk) down(at *os.Root, name string, info fs.FileInfo) error {
	sub, err := at.OpenRoot(name)
	if err != nil {
		return err
	}
	w.dirs = append(w.dirs, sub)
	if opened, err := sub.Stat("."); err != nil || !os.SameFile(info, opened) {
		return errors.Join(fmt.Errorf("%s %w", name, errSwapped), err)
	}
	return nil
}

func (w *walk) up() error {
	switch {
	case len(w.dirs) > 1:
		_ = w.dirs[len(w.dirs)-1].Close() // only read
		w.dirs = w.dirs[:len(w.dirs)-1]
		return nil
	case w.base == "/":
		return nil
	case w.base == ".":
		return w.restart("..")
	}
	return w.restart(w.base + "/..")
}

// cause is an error without the name that it has in its directory.
func cause(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
