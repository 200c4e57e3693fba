package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kmon/format"
)

func newMerge() *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use:   "merge PART... -o FILE",
		Short: "Join the parts of one recording into one capture",
		Long: `Write the parts of one recording (kmon record --rotate), given in any order, into
one capture. It says what the parts say together; what is missing between them
stays known. The parts are not changed, an existing file is never overwritten.

analyze and info take parts as they are: files of one recording are one capture
to them. Captures of several recordings are no parts of each other: give them to
analyze together.`,
		Example: `  $ kmon merge long-*.kmon -o long.kmon
  $ kmon merge long-000002.kmon long-000003.kmon -o incident.kmon`,
		Args:              captures(1, 0),
		ValidArgsFunction: completeCaptures,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return usagef("merge needs a file to write: -o FILE")
			}
			if err := captureOutput(output); err != nil {
				return err
			}
			if err := distinct(args); err != nil {
				return err
			}
			return merge(cmd, args, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write this `FILE`")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	return cmd
}

func merge(cmd *cobra.Command, paths []string, output string) error {
	stop := startProgress(cmd.ErrOrStderr(), working("writing", output))
	r, err := format.Join(cmd.Context(), output, paths, format.JoinOptions{})
	stop()
	if err != nil {
		return explain(err)
	}
	var problems []string
	for _, p := range r.Problems {
		problems = append(problems, p.String())
	}
	warnDamage(cmd.ErrOrStderr(), problems)
	return withCapture(output, func(c *format.Capture) error {
		in := info{Manifest: c.Manifest, Final: c.Final}
		in.seeParts(c)
		return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
			for i, line := range in.partLines() {
				if i == 0 {
					line += ", " + rowsText(r.Rows)
				}
				fmt.Fprintf(w, "%s: %s\n", oneLine(output), line)
			}
			return nil
		})
	})
}
