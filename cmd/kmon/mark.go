package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newMark() *cobra.Command {
	pid := ""
	cmd := &cobra.Command{
		Use:   "mark TEXT...",
		Short: "Write a mark into the captures being recorded here",
		Long: `Write TEXT into the captures of all recorders that run on this host, as a mark
at this moment: reports draw it as a line on every time axis.

Recorders take marks from root and from the user who started them, when they
are in the same network namespace; of those in another one, as in a container,
kmon says how they are reached. TEXT is one line of at most 1024 bytes.`,
		Example: `  $ kmon mark "deploy 42"
  $ kmon mark --pid 4711 load test begins`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(`mark needs a text: kmon mark "deploy 42"`)
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			recorder := 0
			if pid != "" {
				n, err := strconv.ParseInt(pid, 10, 32)
				if err != nil || n <= 0 {
					return usagef("--pid %q is not a process id", pid)
				}
				recorder = int(n)
			}
			return runMark(cmd, strings.Join(args, " "), recorder)
		},
	}
	cmd.Flags().StringVar(&pid, "pid", "", "only the recorder that is process `PID`")
	must(cmd.RegisterFlagCompletionFunc("pid", func(cmd *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
		return completeRecorders(cmd, nil, start)
	}))
	return cmd
}
