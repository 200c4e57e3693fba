package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/reports"
)

func newVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify CAPTURE...",
		Short: "Check everything in a capture that readers rely on",
		Long: `Check every checksum, every row and every rule that readers of a capture rely
on, and list what is wrong with it and what mends it.

Exit codes: 0 sound; 1 damaged, but what is left can be read; 2 not a capture,
from a newer kmon, or unreadable.`,
		Example: `  $ kmon verify shop.kmon
  $ kmon verify node-*.kmon`,
		Args:              captures(1, 0),
		ValidArgsFunction: completeCaptures,
		RunE: func(cmd *cobra.Command, args []string) error {
			damaged := false
			var failed []error
			for _, path := range args {
				stop := startProgress(cmd.ErrOrStderr(), working("checking", path))
				r, err := format.Verify(cmd.Context(), path)
				stop()
				if err != nil {
					failed = append(failed, explain(err))
					if cmd.Context().Err() != nil {
						break
					}
					continue
				}
				damaged = damaged || r.Damaged()
				if err := showReport(cmd.OutOrStdout(), r); err != nil && !isClosedPipe(err) { // as analyze
					return err
				}
			}
			if len(failed) == 0 && damaged {
				return exit(codeGate, nil)
			}
			return errors.Join(failed...)
		},
	}
}

// showReport writes one line on the capture and one on each problem.
func showReport(w io.Writer, r format.Report) error {
	p := palette(wantsColour(w))
	verdict := p.good("sound")
	switch {
	case r.Damaged():
		verdict = p.bad("damaged")
	case len(r.Problems) > 0: // notes
		verdict = "sound as far as it goes"
	}
	return buffered(w, func(w io.Writer) error {
		fmt.Fprintf(w, "%s: %s, %s\n", oneLine(r.File), verdict, rowsText(r.Rows))
		for _, problem := range r.Problems {
			fmt.Fprintln(w, oneLine(problem.String()))
		}
		return nil
	})
}

// rowsText counts rows and the tables that have some.
func rowsText(rows map[string]int64) string {
	total := int64(0)
	for _, n := range rows {
		total += n
	}
	if total == 0 {
		return "no rows"
	}
	return fmt.Sprintf("%s rows (%s)", reports.CountText(total), strings.Join(slices.Sorted(maps.Keys(rows)), ", "))
}
