package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kmon/record"
)

// runMark marks and says which captures have the mark.
func runMark(cmd *cobra.Command, text string, pid int) error {
	marked, err := record.Mark(cmd.Context(), text, pid)
	if errors.Is(err, record.ErrNotRecording) {
		return fmt.Errorf("%w; the mark is nowhere (kmon record starts one)", err)
	}
	var refused []error
	for _, m := range marked {
		if m.Err != nil {
			refused = append(refused, fmt.Errorf("recorder %d did not take the mark: %w", m.PID, m.Err))
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "marked %s (recorder %d)\n", oneLine(m.Path), m.PID)
	}
	return errors.Join(append(refused, err)...)
}
