package main

import (
	"strconv"

	"github.com/spf13/cobra"
)

func newDump() *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "dump [PID]",
		Short: "Write out the last minutes of a flight recorder",
		Long: `Have a recorder that runs with --ring write its last minutes into a capture, and
wait until it has. The recorder goes on meanwhile. PID is the recorder's process;
it may be left out when only one runs. Signal SIGUSR2 to that process asks for the
same, without waiting.

Recorders listen to root and to the user who started them, when they are in the
same network namespace. While one writes a dump, all who ask share the next.`,
		Example: `  $ kmon dump
  $ kmon dump 4711 --reason "orders fail"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("dump takes one process id, not %d", len(args))
			}
			_, err := recorderPID(args)
			return err
		},
		ValidArgsFunction: completeRecorders,
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := recorderPID(args)
			if err != nil {
				return err
			}
			return runDump(cmd, pid, reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "one line of `TEXT` for the dump's mark")
	must(cmd.RegisterFlagCompletionFunc("reason", cobra.NoFileCompletions))
	return cmd
}

// recorderPID reads the process id, 0 if there is none.
func recorderPID(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	pid, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil || pid <= 0 {
		return 0, usagef("%q is not a process id", args[0])
	}
	return int(pid), nil
}

// completeRecorders offers the processes that record, as one argument or value.
func completeRecorders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var pids []string
	if len(args) == 0 {
		for _, pid := range recorderPIDs() {
			pids = append(pids, strconv.Itoa(pid))
		}
	}
	return pids, cobra.ShellCompDirectiveNoFileComp
}
