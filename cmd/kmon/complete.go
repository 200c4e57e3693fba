package main

import (
	"strings"

	"github.com/spf13/cobra"
)

const captureEnding = ".kmon"

// completeCaptures offers captures for every argument.
func completeCaptures(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return []string{strings.TrimPrefix(captureEnding, ".")}, cobra.ShellCompDirectiveFilterFileExt
}

// completeOneCapture offers a capture for the first argument and no more.
func completeOneCapture(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeCaptures(cmd, args, start)
}

// completeWords offers words for the value of a flag.
func completeWords(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completeEndings offers files with one of the endings for the value of a flag.
func completeEndings(endings ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt)
}

// must is for the registration of completions, which fails only when the flag
// it names does not exist: a mistake in this program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
