package provider

import (
	"io/fs"
	"syscall"
)

// inode returns the inode number of a file; 0 when its file system has none.
func inode(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int64(st.Ino)
	}
	return 0
}
