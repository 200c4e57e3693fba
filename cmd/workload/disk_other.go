//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func runDisk(context.Context, io.Writer, []string) error {
	return errors.New("disk works on Linux only")
}
