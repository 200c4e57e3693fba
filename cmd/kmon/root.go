package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "kmon",
		Short: "Record TCP exchanges with eBPF, analyze them anywhere",
		Long: `kmon records on a Linux node, with eBPF, which services talked to which and how
fast each answered, into one capture file; it analyzes captures on any system.

Exit codes: 0 ok; 1 a gate failed (compare found a regression, analyze --fail-on a
fault, verify damage, doctor that something is missing); 2 usage, unreadable or
internal error; 3 inconclusive (too little data, or too much loss, to go by).
record with a command after -- exits with the command's own code.`,
		Example: `  $ kmon record -o shop.kmon -d 60s
  $ kmon analyze shop.kmon
  $ kmon analyze shop.kmon -o report.html -o report.md
  $ kmon compare before.kmon after.kmon`,
		Version:       readBuild().Version,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	root.SetVersionTemplate("kmon {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(showHelp)
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		writeUsage(cmd.ErrOrStderr(), cmd)
		return nil
	})
	root.AddCommand(newRecord(), newMark(), newDump(), newAnalyze(), newCompare(), newInfo(), newPrint(), newExport(), newVerify(), newRepair(), newMerge(), newCut(), newRedact(), newGen(), newDoctor(), newVersion(), newCompletion(), newMan())
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.DisableDefaultCmd = true // newCompletion is ours
	return root
}

// unknownVerb names the nearest verb, or the likeliest meaning when the word
// is a capture.
func unknownVerb(root *cobra.Command, word string) error {
	if _, err := os.Stat(word); err == nil || strings.HasSuffix(word, captureEnding) {
		return usagef("unknown verb %q; did you mean kmon analyze %s?", word, word)
	}
	var verbs []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			verbs = append(append(verbs, c.Name()), c.Aliases...)
		}
	}
	if near := nearest(word, verbs); near != "" {
		return usagef("unknown verb %q; did you mean %s?", word, near)
	}
	return usagef("unknown verb %q", word)
}

// flagError says in one way what is wrong with a flag, and names the nearest
// flag that exists.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var (
		unknown *pflag.NotExistError
		lacking *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &lacking):
		return usagef("%s needs a value", flagName(lacking.GetFlag()))
	case errors.As(err, &invalid):
		return usagef("%s %q: %w", flagName(invalid.GetFlag()), invalid.GetValue(), plainly(invalid.Unwrap()))
	case !errors.As(err, &unknown):
		return &usageError{err}
	}
	name := unknown.GetSpecifiedName()
	if group := unknown.GetSpecifiedShortnames(); group != "" {
		return usagef("unknown flag -%s", name)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nearest(name, names); near != "" {
		return usagef("unknown flag --%s; did you mean --%s?", name, near)
	}
	return usagef("unknown flag --%s", name)
}

// flagName is a flag as most people type it.
func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}

// plainly replaces an error of strconv, which speaks of functions.
func plainly(err error) error {
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return errors.New("not a whole number")
	case errors.Is(err, strconv.ErrRange):
		return errors.New("out of range")
	}
	return err
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q", cmd.Name(), args[0])
	}
	return nil
}

// captures accepts min to max arguments (max 0: any number), each of them a
// capture, and says what is missing when there are fewer.
func captures(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min && len(args) == 0:
			return usagef("%s needs a capture: %s", cmd.Name(), cmd.UseLine())
		case len(args) < min:
			return usagef("%s needs %d arguments, not %d: %s", cmd.Name(), min, len(args), cmd.UseLine())
		case max > 0 && len(args) > max:
			return usagef("%s takes no further argument %q: %s", cmd.Name(), args[max], cmd.UseLine())
		}
		return nil
	}
}
