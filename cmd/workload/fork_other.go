//go:build !unix

package main

import (
	"context"
	"errors"
	"io"
)

var errNoFork = errors.New("the fork load needs inherited descriptors, which this system has not")

func runFork(context.Context, io.Writer, []string) error { return errNoFork }

func forkWorker(context.Context, []byte, func(string)) (Truth, error) { return Truth{}, errNoFork }

func runSpawn(context.Context, io.Writer, []string) error {
	return errors.New("spawn does not work on this system")
}
