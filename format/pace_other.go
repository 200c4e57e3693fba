//go:build !linux

package format

import "errors"

// thread cannot be told to keep out of the way here; recording needs Linux, so
// there is nothing to keep out of.
type thread struct{}

func currentThread() thread  { return thread{} }
func (thread) last() error   { return errors.ErrUnsupported }
func (thread) normal() error { return errors.ErrUnsupported }
