//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// runDoctor tells that there is nothing to look at.
func runDoctor(*cobra.Command, string, string) error {
	return fmt.Errorf("recording needs Linux, this is %s; run kmon doctor on the node", runtime.GOOS)
}
