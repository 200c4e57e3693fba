package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kmon/analyze/compare"
	"kmon/reports"
)

// compareFlags is the command line of compare.
type compareFlags struct {
	baseRuns   string
	newRuns    string
	noise      []string
	thresholds []string
	minEffect  string
	alpha      string
	services   []string
	warmUp     bool
	outputs    []string
	format     string
	junit      string
	sarif      string
}

func newCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:     "compare BASE NEW",
		Aliases: []string{"diff"},
		Short:   "Say whether a change made it worse, for whom, and if that is more than noise",
		Long: `Compare a recording from before a change (BASE) with one from after it (NEW), of
the same load: for each service and edge latency (p50, p95, p99), rate, errors and
retransmits, and bytes, CPU time, context switches, system calls and disk IO by
request; edges that are new or gone; and where the CPU time went.

BASE and NEW are each a capture; a directory with the captures of one recording
(several nodes, or the parts of kmon record --rotate); or a pattern for such files
in quotes, 'base-*.kmon'. Several runs of each side see more, and better:
--base-runs and --new-runs name directories in which each capture is a run. Parts
of one recording in them are one run, and so is a subdirectory. The least to go
by are three runs of each side, better five, or eight windows of 1 s. One
recording of each side cannot show changes of less than some 9%, for two of the
same system may differ by that: take several runs, or --min-effect 10%, or name
runs of an unchanged system with --noise-from, which say what they differ by.

What is compared are windows or runs, never single requests. A change counts when
it is unlikely to be chance (corrected for how many metrics there are: --alpha),
at least --min-effect, and more than twice what identical runs differ by. "No
change" is said only where such a change would have been seen. If another load
was asked for, that is said first.

A --threshold bounds the change of one metric and takes the place of --min-effect
there, of every service or of the one it names:

  p99(service=cart):+10%        no more than 10% over base, whatever noise allows
  p99(edge=web->cart):+5ms      on an edge; ->cart is every edge to cart
  cpu(service=cart):+10%        CPU time by request; rate(service=cart):-20%
  p99(service=cart):<200ms      whatever base was

Metrics are p50 p95 p99 rate errors retransmits request_bytes answer_bytes, and of
services cpu run_queue voluntary involuntary syscalls ios disk_bytes. Percentages
are of base; errors are a share of the requests, whose points are +0.1pp.

Without -o the report is text on standard output; the ending of FILE gives its
format: .html, .md, .json, .txt, .xml (JUnit) or .sarif.

Exit codes: 0 no regression, and such a one would have been seen; 1 a regression,
or a threshold was exceeded; 2 usage, or a file that cannot be read; 3
inconclusive: too few windows or runs, too much loss or noise, or a capture that
is damaged or cut short. Reports are written for 0, 1 and 3.`,
		Example: `  $ kmon compare --base-runs base --new-runs new --min-effect 10%
  $ kmon compare --base-runs base --new-runs new --min-effect 10% -o compare.md -o compare.html
  $ kmon compare --base-runs base --new-runs new --min-effect 10% --junit junit.xml --threshold 'p99(service=web):+10%'
  $ kmon compare before.kmon after.kmon --min-effect 15%
  $ kmon compare before.kmon after.kmon --noise-from noise --min-effect 15%
  $ kmon diff before.kmon after.kmon --min-effect 15% -o - --format json | jq .verdict`,
		Args: func(_ *cobra.Command, args []string) error { return f.checkSides(args) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) >= 2 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeCaptures(cmd, args, start)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCompare(cmd, f, args) },
	}
	f.register(cmd)
	return cmd
}

// register adds the flags.
func (f *compareFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.baseRuns, "base-runs", "", "compare the runs in this `DIR`, instead of BASE")
	flags.StringVar(&f.newRuns, "new-runs", "", "with the runs in this `DIR`, instead of NEW")
	flags.StringArrayVar(&f.noise, "noise-from", nil, "runs of an unchanged system: a `DIR` of runs, or a capture; repeatable")
	flags.StringArrayVar(&f.thresholds, "threshold", nil, "end with 1 if a metric is beyond this `BOUND`: 'p99(service=cart):+10%'; repeatable")
	flags.StringVar(&f.minEffect, "min-effect", "", "the least `CHANGE` that counts, in percent of base (default 5%; of single recordings without --noise-from, no change is said within 10%)")
	flags.StringVar(&f.alpha, "alpha", "", "the `SHARE` of chance among the changes that are found (default 0.05)")
	flags.StringArrayVar(&f.services, "service", nil, "only the service `NAME` and its edges; repeatable")
	flags.BoolVar(&f.warmUp, "keep-warm-up", false, "use the windows before the load was steady, too")
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "write this `FILE`, format by its ending; repeatable")
	flags.StringVar(&f.format, "format", "", "`FORMAT` of standard output: text, markdown, json or html (default text)")
	flags.StringVar(&f.junit, "junit", "", "write a test case for each metric and threshold into this `FILE`, as JUnit's XML")
	flags.StringVar(&f.sarif, "sarif", "", "write regressions into this `FILE`, as SARIF 2.1.0")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("html", "md", "json", "txt", "xml", "sarif")))
	must(cmd.RegisterFlagCompletionFunc("format", completeWords("text", "markdown", "json", "html")))
	must(cmd.RegisterFlagCompletionFunc("junit", completeEndings("xml")))
	must(cmd.RegisterFlagCompletionFunc("sarif", completeEndings("sarif")))
	for _, name := range []string{"base-runs", "new-runs"} {
		must(cmd.RegisterFlagCompletionFunc(name, completeDirectories))
	}
	must(cmd.RegisterFlagCompletionFunc("noise-from", completeDirectories))
	must(cmd.RegisterFlagCompletionFunc("threshold", completeThreshold))
	for _, name := range []string{"min-effect", "alpha", "service"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

func completeDirectories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeThreshold offers the metrics.
func completeThreshold(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return metricNames(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// runCompare reads both sides, writes the reports and gives the exit code.
func runCompare(cmd *cobra.Command, f compareFlags, args []string) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	planned, err := f.plan()
	if err != nil {
		return err
	}
	base, new, err := f.sides(args)
	if err != nil {
		return err
	}
	for _, value := range f.noise {
		runs, err := noiseRuns(value)
		if err != nil {
			return err
		}
		options.Noise = append(options.Noise, runs...)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as analyze
	}
	options.Progress = &compare.Progress{}
	stop := startProgress(cmd.ErrOrStderr(), func() string {
		done, total := options.Progress.Done()
		return fmt.Sprintf("comparing, %d of %d recordings read", done, total)
	})
	result, err := compare.Run(cmd.Context(), base, new, options)
	stop()
	if err != nil {
		return explain(err)
	}
	for _, side := range []compare.Side{result.Base, result.New} {
		for _, r := range side.Runs {
			warnDamage(cmd.ErrOrStderr(), r.Problems)
		}
	}
	suggest(result)
	if err := writeComparison(cmd.OutOrStdout(), result, planned, f.commandLine(args)); err != nil {
		return err
	}
	return compareGate(result)
}

// writeComparison writes the reports, and to standard output at least the
// verdict.
func writeComparison(stdout io.Writer, result *compare.Result, planned []report, command string) error {
	told := false
	for _, r := range planned {
		options := reports.Options{Command: command}
		if columns, ok := terminalWidth(stdout); ok && r.name == stdoutName {
			options.Width, options.Color = columns, wantsColour(stdout)
		}
		told = told || r.name == stdoutName
		err := writeOutput(stdout, r.name, reportMode, func(w io.Writer) error { return reports.WriteComparison(w, result, r.format, options) })
		if err != nil && !isClosedPipe(err) { // whoever reads has seen enough; the outcome holds all the same
			return err
		}
	}
	if !told {
		fmt.Fprintln(stdout, oneLine(result.Verdict))
	}
	return nil
}

// options are those of the command line.
func (f compareFlags) options() (compare.Options, error) {
	o := compare.Options{Version: readBuild().Version, Services: f.services, KeepWarmUp: f.warmUp}
	var err error
	if o.Thresholds, err = parseThresholds(f.thresholds); err != nil {
		return o, err
	}
	if f.minEffect != "" {
		number, ok := strings.CutSuffix(f.minEffect, "%")
		percent, plain := plainNumber(strings.TrimSpace(number))
		if !ok || !plain || percent <= 0 || percent > 1000 {
			return o, usagef("--min-effect %q: not a percentage of base, as 5%%", f.minEffect)
		}
		o.MinEffect = percent / 100
	}
	if f.alpha != "" {
		alpha, err := strconv.ParseFloat(f.alpha, 64)
		if err != nil || !(alpha >= 1e-6 && alpha <= 0.5) {
			return o, usagef("--alpha %q: not a share from 0.000001 to 0.5, as 0.05", f.alpha)
		}
		o.Alpha = alpha
	}
	return o, nil
}

// plan turns -o, --format, --junit and --sarif into the reports to write.
func (f compareFlags) plan() ([]report, error) {
	planned, err := planReports(f.outputs, f.format, reports.ComparisonFormatForPath)
	if err != nil {
		return nil, err
	}
	for _, extra := range []struct {
		flag, name string
		format     reports.Format
	}{{"--junit", f.junit, reports.JUnit}, {"--sarif", f.sarif, reports.SARIF}} {
		if extra.name == "" {
			continue
		}
		if extra.name == stdoutName && len(f.outputs) == 0 {
			planned = slices.DeleteFunc(planned, func(r report) bool { return r.name == stdoutName })
		}
		if isPlanned(planned, extra.name) {
			return nil, usagef("%s %s: something else is written there", extra.flag, extra.name)
		}
		planned = append(planned, report{extra.name, extra.format})
	}
	return planned, nil
}

// commandLine is how to make the same comparison again.
func (f compareFlags) commandLine(args []string) string {
	words := append([]string{"kmon", "compare"}, args...)
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				words = append(words, flag, v)
			}
		}
	}
	add("--base-runs", f.baseRuns)
	add("--new-runs", f.newRuns)
	add("--noise-from", f.noise...)
	add("--threshold", f.thresholds...)
	add("--min-effect", f.minEffect)
	add("--alpha", f.alpha)
	add("--service", f.services...)
	if f.warmUp {
		words = append(words, "--keep-warm-up")
	}
	return shellLine(words)
}

// shownRegressions bounds what the end of compare says on standard error.
const shownRegressions = 5

// compareGate is the error that ends compare: codeGate for a regression or a
// threshold that was exceeded, codeInconclusive where none was found and that
// proves nothing.
func compareGate(r *compare.Result) error {
	var worse []error
	var open []string
	for i := range r.Thresholds {
		switch j := &r.Thresholds[i]; j.Outcome {
		case compare.Failed:
			worse = append(worse, fmt.Errorf("threshold %s exceeded: %s", oneLine(j.Text), oneLine(j.Reason)))
		case compare.Undecided:
			open = append(open, "threshold "+oneLine(j.Text)+": "+oneLine(j.Reason))
		}
	}
	if r.Outcome == compare.Regression {
		worse = append(worse, fmt.Errorf("regression: %s", plainVerdict(r)))
	}
	switch {
	case len(worse) > shownRegressions:
		more := fmt.Errorf("and %d more: the report lists them", len(worse)-shownRegressions)
		return exit(codeGate, errors.Join(append(worse[:shownRegressions:shownRegressions], more)...))
	case len(worse) > 0:
		return exit(codeGate, errors.Join(worse...))
	case r.Outcome != compare.NoChange && r.Outcome != compare.Improvement:
		verdict := plainVerdict(r)
		if len(open) > 0 {
			verdict = strings.TrimSuffix(verdict, ".")
		}
		open = append([]string{verdict}, open...)
	}
	if len(open) > 0 {
		return exit(codeInconclusive, fmt.Errorf("inconclusive: %s", strings.Join(open[:min(len(open), shownRegressions)], "; ")))
	}
	return nil
}

// plainVerdict is the verdict without the outcome that stands before it.
func plainVerdict(r *compare.Result) string {
	_, verdict, ok := strings.Cut(r.Verdict, ": ")
	if !ok {
		verdict = r.Verdict
	}
	return oneLine(verdict)
}

// suggest adds to thresholds that name what is not there what they may mean.
func suggest(r *compare.Result) {
	var services []string
	for i := range r.Changes {
		if s := r.Changes[i].Subject.Service; s != "" && !slices.Contains(services, s) {
			services = append(services, s)
		}
	}
	for i := range r.Thresholds {
		j := &r.Thresholds[i]
		if len(j.Changes) > 0 {
			continue
		}
		for _, name := range []string{j.Service, j.Client, j.Server} {
			if near := nearest(name, services); near != "" && near != name {
				j.Reason += fmt.Sprintf("; did you mean %s?", near)
			}
		}
	}
}
