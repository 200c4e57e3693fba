package main

import (
	"context"
	"io"
)

func runDemo(context.Context, io.Writer, []string) error { return nil }
