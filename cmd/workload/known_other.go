//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func runKnown(context.Context, io.Writer, []string) error {
	return errors.New("known works on Linux only")
}
