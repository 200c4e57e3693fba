package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/format"
	"kmon/reports"
)

// cutFlags is the command line of cut.
type cutFlags struct {
	output string
	since  string
	until  string
}

func newCut() *cobra.Command {
	var f cutFlags
	cmd := &cobra.Command{
		Use:   "cut CAPTURE... -o FILE",
		Short: "Write what happened in a time as a capture of its own",
		Long: `Write what a capture recorded between two times as a smaller capture, which says
the same as kmon analyze --since --until of CAPTURE: exchanges and IOs that began
in that time, what was going on, and what was lost. What they refer to stays,
whenever it was recorded: open connections, processes that had begun, listeners,
disks, the stacks that are used. The manifest says what was cut out of what.
CAPTURE is not changed, an existing file never overwritten.

Parts of one recording (kmon record --rotate) are given together. What comes out
is no part of it any more.`,
		Example: `  $ kmon cut shop.kmon --since 1s --until 5s -o slow.kmon
  $ kmon cut shop.kmon --since -3s -o end.kmon
  $ kmon cut long-*.kmon --since 2025-10-09T08:53:23Z --until 2025-10-09T08:53:33Z -o incident.kmon`,
		Args:              captures(1, 0),
		ValidArgsFunction: completeCaptures,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.sound(); err != nil {
				return err
			}
			if err := distinct(args); err != nil {
				return err
			}
			return cutOut(cmd, f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write this `FILE`")
	flags.StringVar(&f.since, "since", "", "leave out what came before this `TIME`: 30s from the start, -30s from the end, or RFC 3339")
	flags.StringVar(&f.until, "until", "", "leave out what came after this `TIME`")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	for _, name := range []string{"since", "until"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}

func (f cutFlags) sound() error {
	switch {
	case f.output == "":
		return usagef("cut needs a file to write: -o FILE")
	case f.output == stdoutName:
		return captureOutput(f.output)
	case f.since == "" && f.until == "":
		return usagef("cut needs a time: --since, --until or both")
	}
	for _, moment := range []string{f.since, f.until} {
		if _, err := analyze.ParseMoment(moment, 0, 0); moment != "" && err != nil {
			return &usageError{err}
		}
	}
	return nil
}

func cutOut(cmd *cobra.Command, f cutFlags, paths []string) error {
	captures, err := format.OpenAll(paths)
	if err != nil {
		return explain(err)
	}
	defer closeAll(captures)
	if len(captures) > 1 {
		return usagef("%s and %s are different recordings: cut one after the other", captures[0].Path, captures[1].Path)
	}
	return cutOne(cmd, f, captures[0])
}

// closeAll closes captures that were only read.
func closeAll(captures []*format.Capture) {
	for _, c := range captures {
		_ = c.Close()
	}
}

func cutOne(cmd *cobra.Command, f cutFlags, c *format.Capture) error {
	options, err := f.times(c)
	if err != nil {
		return err
	}
	stop := startProgress(cmd.ErrOrStderr(), working("writing", f.output))
	r, err := format.Cut(cmd.Context(), f.output, c, options)
	stop()
	if err != nil {
		return explain(err)
	}
	warnDamage(cmd.ErrOrStderr(), texts(r.Problems))
	return withCapture(f.output, func(cut *format.Capture) error {
		start, end := cut.Range()
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\n", oneLine(f.output), reports.DurationText(end-start), rowsText(r.Rows))
		return err
	})
}

// times gives the moments that the flags mean for a capture.
func (f cutFlags) times(c *format.Capture) (o format.CutOptions, err error) {
	start, end := c.Range()
	offset := c.Manifest.Clock.RealtimeNs - c.Manifest.Clock.MonotonicNs
	moment := func(text string) (ns int64) {
		if text == "" || err != nil {
			return 0
		}
		ns, err = analyze.ParseMoment(text, start+offset, end+offset)
		return max(ns-offset, 1) // 0 is no limit
	}
	o.SinceNs, o.UntilNs = moment(f.since), moment(f.until)
	return o, err
}
