package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kmon/format"
)

func newRepair() *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use:   "repair CAPTURE",
		Short: "Write a sound capture from what is left of a damaged one",
		Long: `Write a new, sound capture from everything that can be read of a cut, damaged or
unfinished one, and list what is missing from it. CAPTURE itself is not changed.

Without -o the new capture of NAME.kmon, or of NAME.kmon.part, is
NAME.repaired.kmon. An existing file is never overwritten. The .part of a
recording that still runs needs no repair: it becomes a capture when the
recording ends.`,
		Example: `  $ kmon repair running.kmon.part
  $ kmon repair cut.kmon -o mended.kmon`,
		Args: captures(1, 1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"kmon", "part"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case output == "":
				output = repairedName(args[0])
			case output+partEnding == args[0]:
				return usagef("%s is in the way of writing %s; name another file with -o", args[0], output)
			}
			if err := captureOutput(output); err != nil {
				return err
			}
			return repair(cmd, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write this `FILE` (default NAME.repaired.kmon)")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	return cmd
}

func repair(cmd *cobra.Command, path, output string) error {
	stop := startProgress(cmd.ErrOrStderr(), working("mending", path))
	r, err := format.Repair(cmd.Context(), path, output)
	stop()
	if err != nil {
		return explain(err)
	}
	return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
		for _, p := range r.Problems {
			p.Mend = "" // this is it
			fmt.Fprintln(w, oneLine(p.String()))
		}
		if len(r.Problems) == 0 {
			fmt.Fprintf(w, "%s: nothing was damaged.\n", oneLine(r.File))
		}
		fmt.Fprintf(w, "%s: sound, %s\n", oneLine(output), rowsText(r.Rows))
		return nil
	})
}

// repairedName is where the repaired capture goes when the user does not say.
func repairedName(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, partEnding), captureEnding) + ".repaired" + captureEnding
}
