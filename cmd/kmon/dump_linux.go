package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"kmon/record"
)

// recorderPIDs lists the recorders that run here.
func recorderPIDs() []int { return record.Recorders() }

// runDump asks for a dump and says where it is.
func runDump(cmd *cobra.Command, pid int, reason string) error {
	var said atomic.Value
	said.Store("waiting for the recorder")
	stop := startProgress(cmd.ErrOrStderr(), func() string { return said.Load().(string) })
	defer stop()
	dumped, err := record.Dump(cmd.Context(), pid, reason, func(text string) { said.Store(text) })
	stop()
	switch {
	case errors.Is(err, record.ErrNotRecording):
		return fmt.Errorf("%w; kmon record --ring 10m keeps the last minutes from now on", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s (recorder %d)\n", oneLine(dumped.Path), oneLine(dumped.Text), dumped.PID)
	return nil
}
