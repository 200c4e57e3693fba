package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kmon/analyze"
	"kmon/format"
	"kmon/reports/export"
)

// exportFlags is the command line of export.
type exportFlags struct {
	output   string
	format   string
	kind     string
	since    string
	until    string
	services []string
}

// exportFormats are the formats of export; the first three are of stacks.
var exportFormats = []string{"folded", "pprof", "speedscope", formatPerfetto, formatParquet}

// binaryFormats would garble a terminal.
var binaryFormats = map[string]bool{"pprof": true, formatPerfetto: true}

const (
	formatPerfetto = "perfetto"
	formatParquet  = "parquet"
)

func newExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export CAPTURE --format FORMAT",
		Short: "Write a capture for other tools: stacks, a trace, tables",
		Long: `Write what a capture holds in a format that other tools read. Existing files are
never overwritten.

  folded      stacks as text, a line a path: "service;frame;frame value".
              Opens with flamegraph.pl, inferno, grep
  pprof       stacks with the label service. Opens with go tool pprof
  speedscope  stacks. Opens with speedscope (www.speedscope.app, or offline from
              npm), best as "Left Heavy"
  perfetto    what happened when: requests as slices on the threads that answered
              them, with arrows from the client's end, requests to disks, CPU use
              and run queue of each thread, samples with stacks, marks, losses.
              Opens with ui.perfetto.dev ("Open trace file"), which reads it in
              the browser and uploads nothing; by SQL with trace_processor
  parquet     every table, a directory each, as it stands in the capture, and
              the tables exchanges_named, oncpu_folded and offcpu_folded, which
              have names and Unix times in every row; DIR/README.txt explains
              them. Opens with DuckDB, pandas, Spark

Values of stacks are samples on the CPU, or with --kind off-cpu nanoseconds
waited. All but parquet go to standard output unless -o names a file.

In a trace, requests have the category "request", on the client's end "call". Such
as overlap others of their thread are in lanes of the process; joined or
interleaved ones, whose times are not sound, are instants. Choose "UTC" for the
format of timestamps to see times as in reports. A trace takes some 150 bytes for
each end of a request: narrow it with --since, --until and --service.`,
		Example: `  $ kmon export cpu.kmon --format folded
  $ kmon export cpu.kmon --format folded --kind off-cpu --service cart
  $ kmon export cpu.kmon --format pprof -o cpu.pb.gz
  $ kmon export cpu.kmon --format speedscope --since 1s -o cpu.speedscope.json
  $ kmon export shop.kmon --format perfetto --since 1s --until 3s -o shop.pftrace
  $ kmon export cpu.kmon --format parquet -o tables`,
		Args:              captures(1, 1),
		ValidArgsFunction: completeOneCapture,
		RunE:              func(cmd *cobra.Command, args []string) error { return runExport(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", "`FORMAT`: "+strings.Join(exportFormats, ", "))
	flags.StringVarP(&f.output, "output", "o", stdoutName, "write this `FILE`; for parquet make this directory")
	flags.StringVar(&f.kind, "kind", string(export.OnCPU), "stacks of this `KIND`: on-cpu or off-cpu")
	flags.StringVar(&f.since, "since", "", "leave out what came before this `TIME`, as analyze does")
	flags.StringVar(&f.until, "until", "", "leave out what came after this `TIME`")
	flags.StringArrayVar(&f.services, "service", nil, "only the service `NAME`; repeatable")
	must(cmd.RegisterFlagCompletionFunc("format", completeWords(exportFormats...)))
	must(cmd.RegisterFlagCompletionFunc("kind", completeWords(string(export.OnCPU), string(export.OffCPU))))
	for _, name := range []string{"since", "until", "service"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}

// check finds mistakes in the flags before any work.
func (f exportFlags) check(cmd *cobra.Command) error {
	if !slices.Contains(exportFormats, f.format) {
		if f.format == "" {
			return usagef("export needs --format: %s", strings.Join(exportFormats, ", "))
		}
		return usagef("--format %q is not known: %s", f.format, strings.Join(exportFormats, ", "))
	}
	if f.kind != string(export.OnCPU) && f.kind != string(export.OffCPU) {
		return usagef("--kind %q is not known: on-cpu or off-cpu", f.kind)
	}
	for _, moment := range []string{f.since, f.until} {
		if _, err := analyze.ParseMoment(moment, 0, 0); moment != "" && err != nil {
			return &usageError{err}
		}
	}
	switch {
	case f.format == formatPerfetto && cmd.Flags().Changed("kind"):
		return usagef("--kind is for stacks; a trace has those on the CPU")
	case binaryFormats[f.format] && f.output == stdoutName && isTerminal(cmd.OutOrStdout()):
		return usagef("%s is not for a terminal: name a file with -o", f.format)
	case f.format != formatParquet:
		return nil
	}
	for _, name := range []string{"kind", "since", "until", "service"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for stacks; parquet has every row, to be chosen by a query", name)
		}
	}
	if f.output == stdoutName {
		return usagef("parquet needs a directory to make: -o DIR")
	}
	return nil
}

func runExport(cmd *cobra.Command, f exportFlags, path string) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	if f.output != stdoutName {
		if _, err := os.Lstat(f.output); err == nil {
			return existsAlready(f.output)
		}
	}
	if f.format == formatPerfetto {
		return exportTrace(cmd, f, path)
	}
	stop := startProgress(cmd.ErrOrStderr(), working("reading", path))
	defer stop()
	if f.format == formatParquet {
		return withCapture(path, func(c *format.Capture) error {
			err := exportParquet(cmd.Context(), c, f.output)
			stop()
			warnProblems(cmd.ErrOrStderr(), c)
			return err
		})
	}
	p, problems, err := analyze.Stacks(cmd.Context(), []string{path}, analyze.Options{Since: f.since, Until: f.until, Services: f.services})
	stop()
	if err != nil {
		return explain(err)
	}
	warnDamage(cmd.ErrOrStderr(), problems)
	if err := f.some(p, path); err != nil {
		return err
	}
	return f.writeNew(cmd.OutOrStdout(), func(w io.Writer) error { return f.write(w, p, path) })
}

// writeNew hands write a writer for the output, a new file unless it is stdout.
func (f exportFlags) writeNew(stdout io.Writer, write func(io.Writer) error) error {
	if f.output == stdoutName {
		return buffered(stdout, write)
	}
	return newFile(f.output, write)
}

// some is the error when there is nothing to write.
func (f exportFlags) some(p *analyze.Profile, path string) error {
	if len(export.Kind(f.kind).Cells(p)) > 0 {
		return nil
	}
	return f.nothing(path, f.kind+" stacks", "they come with kmon record -e cpu")
}

// nothing is the error when there is none of what should be written.
func (f exportFlags) nothing(path, what string, how ...string) error {
	if flags := narrowedBy(f.since, f.until, f.services); flags != "" {
		return exit(codeInconclusive, fmt.Errorf("%s: no %s are left by %s", path, what, flags))
	}
	return exit(codeInconclusive, errors.New(strings.Join(append([]string{path + " has no " + what}, how...), ": ")))
}

// write writes stacks in the format asked for.
func (f exportFlags) write(w io.Writer, p *analyze.Profile, path string) error {
	kind := export.Kind(f.kind)
	switch f.format {
	case "folded":
		return export.Folded(w, p, kind)
	case "pprof":
		return export.Pprof(w, p, kind)
	}
	return export.Speedscope(w, p, kind, filepath.Base(path), "kmon "+readBuild().Version)
}

// existsAlready refuses to overwrite a file.
func existsAlready(name string) error {
	return fmt.Errorf("%s: file already exists, and is never overwritten: give another name or remove it", name)
}

// newFile writes a file that must not exist and that, like a capture, only its
// owner can read. What is left after an error is removed.
func newFile(name string, write func(io.Writer) error) error {
	dir, base, err := format.OpenDir(name)
	if err != nil {
		return writeFailed(name, err)
	}
	defer dir.Close()
	f, err := dir.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return existsAlready(name)
	}
	if err != nil {
		return writeFailed(name, err)
	}
	if err := errors.Join(buffered(f, write), f.Close()); err != nil {
		_ = dir.Remove(base) // half a file helps nobody; err says why
		return writeFailed(name, err)
	}
	return nil
}
