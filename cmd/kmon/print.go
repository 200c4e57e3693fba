package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/reports"
)

// allTables stands for every table on print's command line.
const allTables = "all"

// printFlags is the command line of print.
type printFlags struct {
	output string
	format string
	limit  int64
}

func newPrint() *cobra.Command {
	var f printFlags
	cmd := &cobra.Command{
		Use:   "print CAPTURE [TABLE|all]",
		Short: "Print the rows of a capture as text, ndjson or csv",
		Long: `Print the rows of one table of a capture, or of all its tables. Without TABLE,
list the tables and how many rows each holds.

Text is for people: a line a row, what is zero or empty left out, flags and
kinds as words. ndjson and csv hold every column as it is stored; the README.txt
inside the capture (unzip -p CAPTURE README.txt) explains them. csv takes one
table.

The ending of FILE gives the format: .txt, .ndjson, .jsonl or .csv. Like the
capture it can be read by its owner only.`,
		Example: `  $ kmon print shop.kmon
  $ kmon print shop.kmon exchanges -n 5
  $ kmon print shop.kmon sockets -o sockets.csv
  $ kmon print shop.kmon all --format ndjson | jq .table`,
		Args:              captures(1, 2),
		ValidArgsFunction: completeTables,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return listTables(cmd, f, args[0])
			}
			return printTable(cmd, f, args[0], args[1])
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", stdoutName, "write this `FILE`, format by its ending")
	flags.StringVar(&f.format, "format", "", "`FORMAT` of standard output: text, ndjson or csv (default text)")
	flags.Int64VarP(&f.limit, "limit", "n", 0, "print at most `N` rows of each table (default all)")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("txt", "ndjson", "jsonl", "csv")))
	must(cmd.RegisterFlagCompletionFunc("format", completeWords("text", "ndjson", "csv")))
	must(cmd.RegisterFlagCompletionFunc("limit", cobra.NoFileCompletions))
	return cmd
}

// printTable writes the rows of table.
func printTable(cmd *cobra.Command, f printFlags, path, table string) error {
	options := format.PrintOptions{Limit: f.limit}
	var err error
	if options.Format, err = f.printFormat(); err != nil {
		return err
	}
	switch {
	case f.limit < 0:
		return usagef("--limit %d is less than nothing", f.limit)
	case table == allTables && options.Format == format.PrintCSV:
		return usagef("csv takes one table; name it instead of %s", allTables)
	case table == allTables:
		table = "" // every table, to format.Print
	}
	return withCapture(path, func(c *format.Capture) error {
		if err := hasTable(c, table); err != nil {
			return err
		}
		defer warnProblems(cmd.ErrOrStderr(), c)
		return writeOutput(cmd.OutOrStdout(), f.output, rowsMode, func(w io.Writer) error {
			return format.Print(cancelled{cmd.Context(), w}, c, table, options)
		})
	})
}

// printFormat is the format that --format or the ending of the output tells.
func (f printFlags) printFormat() (format.PrintFormat, error) {
	if f.output != stdoutName {
		return f.formatOfFile()
	}
	switch f.format {
	case "", "text":
		return format.PrintText, nil
	case "ndjson", "jsonl":
		return format.PrintNDJSON, nil
	case "csv":
		return format.PrintCSV, nil
	}
	return "", usagef("--format %q is not known: text, ndjson or csv", f.format)
}

// formatOfFile is the format that the ending of the output tells.
func (f printFlags) formatOfFile() (format.PrintFormat, error) {
	of, known := map[string]format.PrintFormat{
		".txt": format.PrintText, ".ndjson": format.PrintNDJSON, ".jsonl": format.PrintNDJSON, ".csv": format.PrintCSV,
	}[strings.ToLower(filepath.Ext(f.output))]
	if !known {
		return "", usagef("-o %s: the ending does not tell the format: use .txt, .ndjson, .jsonl or .csv", f.output)
	}
	if f.format != "" {
		if named, err := (printFlags{output: stdoutName, format: f.format}).printFormat(); err != nil || named != of {
			return "", usagef("--format %s is for standard output; a file has the format of its ending", f.format)
		}
	}
	return of, nil
}

// hasTable names the nearest table when c does not have the one asked for.
func hasTable(c *format.Capture, table string) error {
	tables := c.Tables()
	if table == "" || slices.Contains(tables, table) {
		return nil
	}
	hint := "it has " + strings.Join(tables, ", ")
	if len(tables) == 0 {
		hint = "it has no rows at all"
	}
	if near := nearest(table, tables); near != "" {
		hint = "did you mean " + near + "?"
	}
	return usagef("%s has no rows in a table %q; %s", c.Path, table, hint)
}

// listTables writes the names of the tables that path has and their rows.
func listTables(cmd *cobra.Command, f printFlags, path string) error {
	if f.output != stdoutName || f.format != "" || f.limit != 0 {
		return usagef("print needs a table for these flags; %q means every table", allTables)
	}
	return withCapture(path, func(c *format.Capture) error {
		stop := startProgress(cmd.ErrOrStderr(), working("reading", path))
		rows, err := countRows(cmd.Context(), c)
		stop()
		if err != nil {
			return err
		}
		defer warnProblems(cmd.ErrOrStderr(), c)
		return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
			tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
			for _, table := range c.Tables() {
				fmt.Fprintf(tab, "%s\t   %s\n", reports.CountText(rows[table]), oneLine(table))
			}
			return tab.Flush()
		})
	})
}

// countRows gives the rows of each table that can be read. What cannot becomes
// a problem of c; the error is that of ctx.
func countRows(ctx context.Context, c *format.Capture) (map[string]int64, error) {
	rows := map[string]int64{}
	for _, table := range c.Tables() {
		rows[table] = 0
		for _, s := range c.Segments(table) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if n, err := s.Rows(); err == nil {
				rows[table] += n
			}
		}
	}
	return rows, nil
}

// cancelled is a writer that fails once its context is done, which ends a
// long print.
type cancelled struct {
	ctx context.Context
	w   io.Writer
}

func (c cancelled) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// completeTables offers captures, then the tables of the one given.
func completeTables(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeOneCapture(cmd, args, start)
	}
	var tables []string
	_ = withCapture(args[0], func(c *format.Capture) error { // what cannot be opened has none
		for _, table := range append(c.Tables(), allTables) {
			if strings.HasPrefix(table, start) {
				tables = append(tables, table)
			}
		}
		return nil
	})
	return tables, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
