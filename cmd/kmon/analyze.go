package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/analyze/finding"
	"kmon/reports"
)

// analyzeFlags is the command line of analyze.
type analyzeFlags struct {
	outputs  []string
	format   string
	since    string
	until    string
	services []string
	table    string
	findingFlags
}

// report is one output of analyze.
type report struct {
	name   string // file, or "-"
	format reports.Format
}

func newAnalyze() *cobra.Command {
	var f analyzeFlags
	cmd := &cobra.Command{
		Use:     "analyze CAPTURE...",
		Aliases: []string{"report"},
		Short:   "Say what is wrong, and rebuild services, topology and latencies",
		Long: `Say from one or more captures what is wrong (findings, with the evidence for and
against), which services talked to which, how fast each answered, and what the
recording missed. Both ends of a connection are matched, also across captures of
several nodes. Files that are parts of one recording (kmon record --rotate) are
one capture, in whatever order they are given; of the time of a part that is
missing nothing is said.

With --since and --until the report is of that time: what began in it, what was
going on, what was lost in it, and so the coverage. kmon cut writes such a time as
a capture of its own.

For each service it says where the time of the requests around p99, and around
p50, went: on a CPU, in the run queue, waiting for a lock, a disk, a time, the
network, or for a service that was asked. That is what the thread which took and
answered a request did meanwhile, also for others. Where another thread answered
(in Go often), or what threads waited for was not recorded (kmon info says why),
only services that were asked are known, and the rest is "not known".

Without -o the report is text on standard output. The ending of FILE gives its
format: .html, .md, .json or .txt. A FILE that exists is replaced once the new
report is complete; "-" is standard output, in the --format given.

--table NAME gives one table instead, with the values of the JSON report, as csv
or ndjson: by --format, or the ending of FILE (.csv, .ndjson, .jsonl). Tables are
the lists of the JSON report (services, edges, findings, threads, disks, …), and
the lists in their elements (services.series, services.breakdown.slow.parts). A
cell of csv is empty where nothing was measured; in ndjson, as in the JSON report,
the latencies of a count of 0 are 0 and mean nothing. A table that was not
recorded is an error (exit code 3).

Findings compare with the --baseline, captures of a healthy time of the same
nodes; else with peers and quiet windows, and then none is more than a warning.
Their thresholds are printed by --print-rules and changed by --rules. With
--fail-on the exit code is 1 if there is a finding of that severity or above. It
is 3 if there is none and that proves nothing: a table was recorded to less than
0.9, a collector recorded nothing though it was asked for, or nothing at all could
be judged. Kinds that were left out on purpose (record -e), or had too few
samples, are named on standard error and leave it at 0.

Exit code 3 means inconclusive: the report is written, but there is too little
data to go by, or too much was lost (coverage of the exchanges under 0.9).`,
		Example: `  $ kmon analyze shop.kmon
  $ kmon analyze shop.kmon -o report.html -o report.md
  $ kmon analyze shop.kmon --since 1s --until 5s --service cart
  $ kmon analyze node-a.kmon node-b.kmon -o both.json
  $ kmon analyze long-*.kmon -o report.html
  $ kmon analyze cpu.kmon --baseline shop.kmon
  $ kmon analyze --print-rules > rules.yaml
  $ kmon analyze shop.kmon -o - --format json | jq .verdict
  $ kmon analyze shop.kmon --table edges -o edges.csv
  $ kmon analyze shop.kmon --table services.series --format ndjson | jq 'select(.latency_count > 0).p99'`,
		Args:              func(cmd *cobra.Command, args []string) error { return f.takes(cmd, args) },
		ValidArgsFunction: completeCaptures,
		RunE:              func(cmd *cobra.Command, args []string) error { return runAnalyze(cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "write this `FILE`, format by its ending; repeatable")
	flags.StringVar(&f.format, "format", "", "`FORMAT` of standard output: text, markdown, json or html (default text); of a --table: csv or ndjson (default csv)")
	flags.StringVar(&f.table, "table", "", "write this table `NAME` instead of a report: services, edges, …")
	flags.StringVar(&f.since, "since", "", "leave out what came before this `TIME`: 30s from the start, -30s from the end, or RFC 3339")
	flags.StringVar(&f.until, "until", "", "leave out what came after this `TIME`")
	flags.StringArrayVar(&f.services, "service", nil, "only the service `NAME` and its edges; repeatable")
	must(cmd.RegisterFlagCompletionFunc("output", f.complete(completeEndings("html", "md", "json", "txt"), completeEndings("csv", "ndjson", "jsonl"))))
	must(cmd.RegisterFlagCompletionFunc("format", f.complete(completeWords("text", "markdown", "json", "html"), completeWords("csv", "ndjson"))))
	must(cmd.RegisterFlagCompletionFunc("table", completeWords(reports.ValueTables()...)))
	f.register(cmd)
	for _, name := range []string{"since", "until", "service"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}

// takes holds that there are captures, or rules to print.
func (f *analyzeFlags) takes(cmd *cobra.Command, args []string) error {
	switch {
	case f.printRules && len(args) > 0:
		return usagef("--print-rules takes no capture %q", args[0])
	case f.printRules:
		return nil
	}
	return captures(1, 0)(cmd, args)
}

func runAnalyze(cmd *cobra.Command, f analyzeFlags, paths []string) error {
	if f.printRules {
		_, err := cmd.OutOrStdout().Write(finding.RulesText)
		return err
	}
	for _, moment := range []string{f.since, f.until} {
		if _, err := analyze.ParseMoment(moment, 0, 0); moment != "" && err != nil {
			return &usageError{err}
		}
	}
	planned, err := f.plan()
	if err != nil {
		return err
	}
	if err := distinct(paths); err != nil {
		return err
	}
	if err := f.check(paths); err != nil {
		return err
	}
	rules, err := f.thresholds()
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // ten minutes of a busy node in 172 MiB, not 213
	}
	progress := new(analyze.Progress)
	stop := startProgress(cmd.ErrOrStderr(), func() string { return reports.CountText(progress.Rows()) + " exchanges" })
	a, err := analyze.Run(cmd.Context(), paths, analyze.Options{Since: f.since, Until: f.until, Services: f.services,
		Version: readBuild().Version, Progress: progress, Rules: rules, Baseline: f.baseline})
	stop()
	if err != nil {
		return explain(err)
	}
	for _, c := range a.Captures {
		warnDamage(cmd.ErrOrStderr(), c.Problems)
	}
	stdout := cmd.OutOrStdout()
	for _, r := range planned {
		options := reports.Options{Command: commandLine(f, paths)}
		if r.name == stdoutName {
			options.Width, _ = terminalWidth(stdout)
			options.Color = wantsColour(stdout)
		}
		err := writeOutput(stdout, r.name, reportMode, func(w io.Writer) error { return f.write(w, a, r.format, options) })
		if errors.Is(err, reports.ErrNotRecorded) {
			return exit(codeInconclusive, err)
		}
		if err != nil && !isClosedPipe(err) { // whoever reads has seen enough; the gate holds all the same
			return err
		}
	}
	return f.gate(a, cmd.ErrOrStderr())
}

// distinct refuses a file given twice, whose traffic would count twice.
func distinct(paths []string) error {
	var seen []os.FileInfo
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue // analyze tells
		}
		if slices.ContainsFunc(seen, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
			return usagef("%s is given twice", path)
		}
		seen = append(seen, info)
	}
	return nil
}

// plan turns -o and --format into the reports to write.
func (f analyzeFlags) plan() ([]report, error) {
	if f.table != "" {
		return f.planTable()
	}
	return planReports(f.outputs, f.format, f.formatForPath)
}

// planReports turns -o and --format into the reports to write, so that a
// mistake in them comes before the work.
func planReports(outputs []string, formatName string, forPath func(string) (reports.Format, error)) ([]report, error) {
	format, err := formatNamed(formatName)
	if err != nil {
		return nil, err
	}
	return planOutputs(outputs, formatName, format, forPath)
}

// planOutputs is planReports for a format of standard output that is known.
func planOutputs(outputs []string, formatName string, format reports.Format, forPath func(string) (reports.Format, error)) (planned []report, err error) {
	if len(outputs) == 0 {
		return []report{{stdoutName, format}}, nil
	}
	used := formatName == ""
	for _, name := range outputs {
		r := report{name, format}
		if name != stdoutName {
			if r.format, err = forPath(name); err != nil {
				return nil, &usageError{err}
			}
		}
		used = used || r.format == format
		if isPlanned(planned, name) {
			return nil, usagef("-o %s is given twice", name)
		}
		planned = append(planned, r)
	}
	if !used {
		return nil, usagef("--format %s is for standard output (-o -); a file has the format of its ending", formatName)
	}
	return planned, nil
}

// isPlanned says whether something is written to name already.
func isPlanned(planned []report, name string) bool {
	return slices.ContainsFunc(planned, func(p report) bool { return filepath.Clean(p.name) == filepath.Clean(name) })
}

// formatNamed is the report format a user calls name; "" is text.
func formatNamed(name string) (reports.Format, error) {
	switch name {
	case "", "text", "txt":
		return reports.Text, nil
	case "markdown", "md":
		return reports.Markdown, nil
	case "json":
		return reports.JSON, nil
	case "html":
		return reports.HTML, nil
	}
	return "", usagef("--format %q is not known: text, markdown, json or html", name)
}

// commandLine is how to make the same analysis again, for the foot of a
// report.
func commandLine(f analyzeFlags, paths []string) string {
	words := append([]string{"kmon", "analyze"}, paths...)
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	add("--since", f.since)
	add("--until", f.until)
	for _, s := range f.services {
		add("--service", s)
	}
	for _, b := range f.baseline {
		add("--baseline", b)
	}
	add("--rules", f.rules)
	return shellLine(words)
}

// shellLine quotes words as a shell wants them.
func shellLine(words []string) string {
	for i, w := range words {
		if strings.ContainsAny(w, " \t\n'\"$&|;<>()*?[]#~`\\") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// minCoverage is the share of seen exchanges below which numbers that depend
// on completeness are not to be trusted (the findings' own limit).
const minCoverage = 0.9

// worked says whether collectors beside tcp found anything.
func worked(a *analyze.Analysis) bool {
	return len(a.Threads)+len(a.Syscalls)+len(a.Disks)+len(a.Drops) > 0
}

// narrowing names the flags that left something out of an analysis, and the
// services of them that are not there.
func narrowing(a *analyze.Analysis) string {
	text := narrowedBy(a.Filter.Since, a.Filter.Until, a.Filter.Services)
	for _, warning := range a.Warnings {
		if strings.HasPrefix(warning, analyze.NoService) {
			text += ": " + oneLine(warning)
		}
	}
	return text
}

// narrowedBy names the flags that were given; "": none.
func narrowedBy(since, until string, services []string) string {
	var flags []string
	for _, f := range []struct {
		name  string
		given bool
	}{{"--since", since != ""}, {"--until", until != ""}, {"--service", len(services) > 0}} {
		if f.given {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, ", ")
}

// inconclusive is the error that ends analyze with codeInconclusive, nil when
// there is enough to go by.
func inconclusive(a *analyze.Analysis) error {
	seen, traffic := false, false
	for _, c := range a.Captures {
		for _, cov := range c.Coverage {
			if cov.Table == "exchanges" && cov.Lost > 0 && cov.Ratio < minCoverage {
				return exit(codeInconclusive, fmt.Errorf("%s: inconclusive: %.0f%% of the exchanges were lost (coverage %.2f, needed %.1f)",
					c.File, 100*(1-cov.Ratio), cov.Ratio, minCoverage))
			}
		}
		seen = seen || c.Rows["exchanges"] > 0
	}
	for _, s := range a.Services {
		traffic = traffic || s.Requests > 0 || s.Streams.Connections > 0 || s.Streams.OneWay > 0
	}
	for _, e := range a.Edges {
		traffic = traffic || e.Connections > 0 || e.Requests > 0
	}
	switch {
	case traffic || worked(a):
		return nil
	case seen && narrowing(a) != "":
		return exit(codeInconclusive, fmt.Errorf("inconclusive: no traffic is left by %s", narrowing(a)))
	default:
		return exit(codeInconclusive, fmt.Errorf("inconclusive: no traffic was recorded"))
	}
}
