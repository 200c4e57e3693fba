package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// below reads a directory's files as a process would whose root it is: absolute
// links and ".." stay in it, and links of the kernel's own making, as
// /proc/PID/root, are read but not followed.
type below struct {
	dir *os.File // opened with O_PATH; closed when nobody has it any more
}

func openBelow(dir string) (below, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return below{}, fmt.Errorf("open %s: %w", dir, err)
	}
	return below{os.NewFile(uintptr(fd), dir)}, nil
}

// open opens with openat2(2).
func (b below) open(op, name string, flags uint64) (*os.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	defer runtime.KeepAlive(b.dir)
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(int(b.dir.Fd()), name, &how)
	for n := 0; n < openTries && (errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN)); n++ {
		fd, err = unix.Openat2(int(b.dir.Fd()), name, &how)
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	// Its entries are looked up by this name, see [os.File.ReadDir].
	return os.NewFile(uintptr(fd), path.Join(b.dir.Name(), name)), nil
}

// openTries: the kernel gives up when something above the file is moved, for it
// may have been moved out of the root.
const openTries = 16

// Open opens without waiting for whoever would open the other end.
func (b below) Open(name string) (fs.File, error) {
	return b.open("open", name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

func (b below) Stat(name string) (fs.FileInfo, error) { return b.stat("stat", name, 0) }

func (b below) Lstat(name string) (fs.FileInfo, error) {
	return b.stat("lstat", name, unix.O_NOFOLLOW)
}

func (b below) stat(op, name string, flags uint64) (fs.FileInfo, error) {
	file, err := b.open(op, name, unix.O_PATH|flags)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Stat()
}

func (b below) ReadLink(name string) (string, error) {
	dir, err := b.open("readlink", path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	buf := make([]byte, 256)
	for {
		n, err := unix.Readlinkat(int(dir.Fd()), path.Base(name), buf)
		if err != nil {
			return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
		}
		if n < len(buf) {
			return string(buf[:n]), nil
		}
		buf = make([]byte, 2*len(buf))
	}
}

// shown hides from a root what is not the host's. Of this process itself only
// its place among the others is shown.
type shown struct {
	below
	processes bool // proc shows the host's
	files     bool // all else is the host's, but for what the kernel tells of the machine
	cgroups   bool // sys/fs/cgroup shows the host's, whatever the files
}

// ofSelf is what a provider needs to know of its own process, to understand what
// it reads of others. Its mounts and network are not the host's.
var ofSelf = []string{"self", "self/cgroup", "self/ns/uts"}

// hides says whether a name is not to be seen.
func (s shown) hides(name string) bool {
	first, rest, _ := strings.Cut(name, "/")
	second, _, _ := strings.Cut(rest, "/")
	switch {
	case first == "proc" && (second == "self" || second == "thread-self" || second == "mounts" || second == "net"):
		return !slices.Contains(ofSelf, rest)
	case first == "proc":
		return !s.processes && second != "" && second[0] >= '0' && second[0] <= '9'
	case s.files, name == ".":
		return false
	case first != "sys": // files
		return true
	case name == "sys/fs/cgroup" || strings.HasPrefix(name, "sys/fs/cgroup/"):
		return !s.cgroups
	}
	return strings.HasPrefix(name, "sys/class/net") // of the network namespace that sys was mounted in
}

func (s shown) check(op, name string) error {
	if s.hides(path.Clean(name)) {
		return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w: %w", errHidden, fs.ErrNotExist)}
	}
	return nil
}

func (s shown) Open(name string) (fs.File, error) {
	if err := s.check("open", name); err != nil {
		return nil, err
	}
	return s.below.Open(name)
}

func (s shown) Stat(name string) (fs.FileInfo, error) {
	if err := s.check("stat", name); err != nil {
		return nil, err
	}
	return s.below.Stat(name)
}

func (s shown) Lstat(name string) (fs.FileInfo, error) {
	if err := s.check("lstat", name); err != nil {
		return nil, err
	}
	return s.below.Lstat(name)
}

func (s shown) ReadLink(name string) (string, error) {
	if err := s.check("readlink", name); err != nil {
		return "", err
	}
	return s.below.ReadLink(name)
}

// ReadDir lists a directory, sorted, without what is hidden in it.
func (s shown) ReadDir(name string) ([]fs.DirEntry, error) {
	file, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.(*os.File).ReadDir(-1)
	seen := entries[:0]
	for _, entry := range entries {
		if !s.hides(path.Join(name, entry.Name())) {
			seen = append(seen, entry)
		}
	}
	slices.SortFunc(seen, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return seen, err
}
