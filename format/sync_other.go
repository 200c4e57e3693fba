//go:build !linux

package format

import "os"

// diskFile is a file as os has it.
type diskFile struct{ *os.File }
