//go:build !linux

package main

import (
	"context"
	"errors"
)

func beGuest() {}

func play(context.Context, []string) error { return errors.New("guests run Linux") }
