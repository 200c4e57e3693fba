package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan writes the manual pages. Cobra's own generator takes help texts for
// Markdown, which fills the lists in them, and gives flags no names of values.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages",
		Hidden: true,
		Long: `Write the manual pages kmon.1 and kmon-VERB.1 into a directory, which is made if
it is missing. make install puts them where man finds them.`,
		Example: `  $ kmon man dist/man
  $ kmon man man1 | cat`,
		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("man needs a directory: %s", cmd.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return writeMan(cmd.OutOrStdout(), cmd.Root(), args[0]) },
	}
}

// writeMan writes the pages of root and its verbs, and tells their number.
func writeMan(stdout io.Writer, root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	pages := 0
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		if cmd != root && !cmd.IsAvailableCommand() {
			continue
		}
		name := filepath.Join(dir, manName(cmd)+".1")
		if err := replaceFile(name, reportMode, func(w io.Writer) error { return manPage(w, cmd) }); err != nil {
			return err
		}
		pages++
	}
	_, err := fmt.Fprintf(stdout, "wrote %d pages to %s\n", pages, oneLine(dir))
	return err
}

// manName is what man calls a command's page.
func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes the page of a command, in the macros of man(7).
func manPage(w io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	name := manName(cmd)
	build := readBuild()
	fmt.Fprintf(&b, ".TH %s 1 %q %q \"User Commands\"\n", strings.ToUpper(name), build.date, "kmon "+build.Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(usageOf(cmd)))
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, aboutOf(cmd))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, ".PP\nAlso called: %s\n", roff(strings.Join(cmd.Aliases, ", ")))
	}
	manVerbs(&b, cmd)
	cmd.InitDefaultHelpFlag()
	manFlags(&b, cmd.LocalFlags())
	if cmd.HasExample() {
		b.WriteString(".SH EXAMPLES\n")
		manVerbatim(&b, strings.Split(cmd.Example, "\n"))
	}
	b.WriteString(".SH SEE ALSO\n")
	var also []string
	for _, other := range append([]*cobra.Command{cmd.Root()}, cmd.Root().Commands()...) {
		if other != cmd && (other == cmd.Root() || other.IsAvailableCommand()) {
			also = append(also, ".BR "+roff(manName(other))+" (1)")
		}
	}
	b.WriteString(strings.Join(also, ",\n") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// manVerbs lists the verbs of the root.
func manVerbs(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH VERBS\n")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
		}
	}
}

// manFlags lists flags with the names of their values.
func manFlags(b *strings.Builder, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString(".SH OPTIONS\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(value))
		}
		fmt.Fprintf(b, "\n%s\n", roffLine(usage))
	})
}

// manText writes a help text: paragraphs are filled, lines that are set in stay as
// they are.
func manText(b *strings.Builder, text string) {
	for i, paragraph := range strings.Split(text, "\n\n") {
		lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(lines[0], " ") {
			manVerbatim(b, lines)
			continue
		}
		for _, line := range lines {
			b.WriteString(roffLine(line) + "\n")
		}
	}
}

// manVerbatim writes lines that are not filled.
func manVerbatim(b *strings.Builder, lines []string) {
	b.WriteString(".nf\n")
	for _, line := range lines {
		b.WriteString(roffLine(line) + "\n")
	}
	b.WriteString(".fi\n")
}

// roff writes text so that nothing of it is a request, in ASCII. A hyphen that is to
// be copied into a shell must not become a typographic one.
func roff(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r > '~' || strings.ContainsRune("'`^~", r): // which may be shown as others
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// roffLine is roff for a whole line, which a dot must not begin.
func roffLine(s string) string {
	s = roff(s)
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}
