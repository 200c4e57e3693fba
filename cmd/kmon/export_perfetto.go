package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/format"
	"kmon/reports"
	"kmon/reports/export"
)

// exportTrace writes a Perfetto trace of the capture.
func exportTrace(cmd *cobra.Command, f exportFlags, path string) error {
	if err := withCapture(path, func(*format.Capture) error { return nil }); err != nil {
		return err // of the capture, before a file is made
	}
	progress := new(analyze.Progress)
	stop := startProgress(cmd.ErrOrStderr(), func() string { return reports.CountText(progress.Rows()) + " exchanges" })
	defer stop()
	options := analyze.Options{Since: f.since, Until: f.until, Services: f.services, Progress: progress}
	var trace *export.Perfetto
	var problems []string
	var nothing error
	err := f.writeNew(cmd.OutOrStdout(), func(w io.Writer) (err error) {
		trace = export.NewPerfetto(w)
		problems, err = analyze.ReadTimeline(cmd.Context(), path, options, trace)
		if err == nil && trace.Events == 0 {
			nothing = f.nothing(path, "events")
			return nothing
		}
		return errors.Join(err, trace.Close())
	})
	stop()
	if nothing != nil {
		return nothing
	}
	if err != nil {
		return explain(err)
	}
	warnDamage(cmd.ErrOrStderr(), problems)
	if trace.LeftOut > 0 {
		return fmt.Errorf("%s: %s events found no room in the trace, which has %s tracks: leave some out with --since, --until or --service",
			path, reports.CountText(trace.LeftOut), reports.CountText(export.MaxTracks))
	}
	return nil
}
