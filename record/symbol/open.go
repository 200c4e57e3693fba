package symbol

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	errNotRegular = errors.New("not a regular file")
	errOfKernel   = errors.New("a file of the kernel's")
)

// kernelFiles are the file systems whose files the kernel makes up. They look
// regular, but reading one may take from others what it gives (/proc/kmsg,
// trace_pipe), and a process can put one anywhere in its own mount namespace.
var kernelFiles = []int64{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.CGROUP_SUPER_MAGIC,
	unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC, unix.EFIVARFS_MAGIC, unix.PSTOREFS_MAGIC, unix.BINFMTFS_MAGIC, unix.RDTGROUP_SUPER_MAGIC,
	unix.SELINUX_MAGIC, unix.NSFS_MAGIC, unix.DEVPTS_SUPER_MAGIC,
}

// openIn opens a regular file for reading as a process with that root sees it:
// links lead nowhere outside of root, and no device is opened on the way.
func openIn(root, path string) (*os.File, error) { return openInWith(root, path, 0) }

func openInWith(root, path string, flags uint64) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC | flags,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", path, root, err)
	}
	defer unix.Close(fd)
	return reopen(fd, path)
}

// openLink opens what a link of /proc/PID/map_files leads to: the very file,
// even if it was deleted or lies in another mount namespace.
func openLink(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	return reopen(fd, path)
}

// reopen opens for reading what a descriptor stands for (O_PATH of open(2)),
// after it has proved to be a regular file.
func reopen(fd int, path string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("open %s: %w", path, errNotRegular)
	}
	var where unix.Statfs_t
	if err := unix.Fstatfs(fd, &where); err != nil {
		return nil, fmt.Errorf("stat file system of %s: %w", path, err)
	}
	if slices.Contains(kernelFiles, int64(where.Type)) {
		return nil, fmt.Errorf("open %s: %w", path, errOfKernel)
	}
	file, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(file), path), nil
}
