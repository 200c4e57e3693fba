//go:build !unix

package format

import "io/fs"

// ownerOf knows no user ids here.
func ownerOf(fs.FileInfo) (id string, known bool) { return "", false }
