//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
	"net"
)

func listenMapped() (net.Listener, error) {
	return nil, errors.New("--mapped needs Linux")
}

func runPaths(context.Context, io.Writer, []string) error {
	return errors.New("the paths load needs Linux")
}
