package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/reports"
)

// tableFormat is the format of a --table on standard output, and finds a table that
// is not known before any work.
func (f analyzeFlags) tableFormat() (reports.Format, error) {
	if tables := reports.ValueTables(); !slices.Contains(tables, f.table) {
		if near := nearest(f.table, tables); near != "" {
			return "", usagef("--table %q is not known; did you mean %s?", f.table, near)
		}
		return "", usagef("--table %q is not known: %s", f.table, strings.Join(tables, ", "))
	}
	switch f.format {
	case "", "csv":
		return reports.CSV, nil
	case "ndjson", "jsonl":
		return reports.NDJSON, nil
	}
	return "", usagef("--format %q is not for a table: csv or ndjson", f.format)
}

// planTable is plan for a --table.
func (f analyzeFlags) planTable() ([]report, error) {
	format, err := f.tableFormat()
	if err != nil {
		return nil, err
	}
	return planOutputs(f.outputs, f.format, format, reports.ValuesFormatForPath)
}

// formatForPath is the format of a report that the ending of a file tells.
func (f analyzeFlags) formatForPath(name string) (reports.Format, error) {
	format, err := reports.FormatForPath(name)
	if _, isTable := reports.ValuesFormatForPath(name); err != nil && isTable == nil {
		return "", usagef("-o %s needs a --table, as --table edges", name)
	}
	return format, err
}

// write writes a report, or the table asked for.
func (f analyzeFlags) write(w io.Writer, a *analyze.Analysis, format reports.Format, o reports.Options) error {
	if f.table != "" {
		return reports.WriteValues(w, a, f.table, format)
	}
	return reports.Write(w, a, format, o)
}

// complete offers what fits a report, or a table if one is asked for.
func (f *analyzeFlags) complete(report, table cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		if f.table != "" {
			return table(cmd, args, start)
		}
		return report(cmd, args, start)
	}
}
