//go:build unix

package format

import (
	"fmt"
	"io/fs"
	"syscall"
)

// ownerOf returns the user id of a file's owner.
func ownerOf(info fs.FileInfo) (id string, known bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(st.Uid), true
	}
	return "", false
}
