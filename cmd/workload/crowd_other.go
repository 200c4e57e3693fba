//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func runCrowd(context.Context, io.Writer, []string) error {
	return errors.New("crowd works on Linux only")
}
