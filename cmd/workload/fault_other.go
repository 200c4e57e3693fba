//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

func runFault(context.Context, io.Writer, []string) error {
	return errors.New("fault works on Linux only")
}

func faultAsker(context.Context, []byte, func(string)) (Truth, error) {
	return Truth{}, errors.New("fault works on Linux only")
}

func faultServe(context.Context, []byte, func(string)) (Truth, error) {
	return Truth{}, errors.New("fault works on Linux only")
}

func faultBurner(context.Context, []byte, func(string)) (Truth, error) {
	return Truth{}, errors.New("fault works on Linux only")
}
