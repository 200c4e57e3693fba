//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// collectorNames lists what -e takes: nothing here.
func collectorNames() []string { return nil }

// callNames lists what --syscalls takes: nothing here.
func callNames() []string { return nil }

// runRecord tells that this system cannot record.
func runRecord(_ *cobra.Command, f recordFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	return fmt.Errorf("recording needs Linux, this is %s; record on the node and analyze the capture here", runtime.GOOS)
}

// runMark tells that nothing can be recording here.
func runMark(*cobra.Command, string, int) error {
	return fmt.Errorf("recording needs Linux, this is %s; there is no capture to mark", runtime.GOOS)
}

// recorderPIDs lists the recorders that run here: none.
func recorderPIDs() []int { return nil }

// runDump tells that nothing can be recording here.
func runDump(*cobra.Command, int, string) error {
	return fmt.Errorf("recording needs Linux, this is %s; there is no recorder to ask for a dump", runtime.GOOS)
}
