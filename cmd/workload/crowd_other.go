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

func runIdle(context.Context, io.Writer, []string) error {
	return errors.New("idle works on Linux only")
}

func runScan(context.Context, io.Writer, []string) error {
	return errors.New("scan works on Linux only")
}

func idleHolder(context.Context, []byte, func(string)) (Truth, error) {
	return Truth{}, errors.New("idle works on Linux only")
}
