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

// exportFormats are the formats of export; all but parquet are of stacks.
var exportFormats = []string{"folded", "pprof", "speedscope", formatParquet}

const formatParquet = "parquet"

func newExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export CAPTURE --format FORMAT",
		Short: "Write a capture's stacks or tables for other tools",
		Long: `Write what a capture holds in a format that other tools read. Existing files are
never overwritten.

  folded      stacks as text, a line a path: "service;frame;frame value"
  pprof       stacks for go tool pprof, with the label service
  speedscope  stacks for speedscope, which shows them best as "Left Heavy"
  parquet     every table, a directory each, as it stands in the capture, and
              the tables exchanges_named, oncpu_folded and offcpu_folded, which
              have names and Unix times in every row. DIR/README.txt explains them

Values are samples on the CPU, or with --kind off-cpu nanoseconds waited. Stacks
go to standard output unless -o names a file.`,
		Example: `  $ kmon export cpu.kmon --format folded
  $ kmon export cpu.kmon --format folded --kind off-cpu --service cart
  $ kmon export cpu.kmon --format pprof -o cpu.pb.gz
  $ kmon export cpu.kmon --format speedscope --since 1s -o cpu.speedscope.json
  $ kmon export cpu.kmon --format parquet -o tables`,
		Args:              captures(1, 1),
		ValidArgsFunction: completeOneCapture,
		RunE:              func(cmd *cobra.Command, args []string) error { return runExport(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", "`FORMAT`: folded, pprof, speedscope or parquet")
	flags.StringVarP(&f.output, "output", "o", stdoutName, "write this `FILE`; for parquet make this directory")
	flags.StringVar(&f.kind, "kind", string(export.OnCPU), "stacks of this `KIND`: on-cpu or off-cpu")
	flags.StringVar(&f.since, "since", "", "leave out stacks before this `TIME`, as analyze does")
	flags.StringVar(&f.until, "until", "", "leave out stacks after this `TIME`")
	flags.StringArrayVar(&f.services, "service", nil, "only stacks of the service `NAME`; repeatable")
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
	if f.format != formatParquet {
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
	if f.output == stdoutName {
		return buffered(cmd.OutOrStdout(), func(w io.Writer) error { return f.write(w, p, path) })
	}
	return newFile(f.output, func(w io.Writer) error { return f.write(w, p, path) })
}

// some is the error when there is nothing to write.
func (f exportFlags) some(p *analyze.Profile, path string) error {
	switch {
	case len(export.Kind(f.kind).Cells(p)) > 0:
		return nil
	case f.since != "" || f.until != "" || len(f.services) > 0:
		return exit(codeInconclusive, fmt.Errorf("%s: no %s stacks are left by --since, --until and --service", path, f.kind))
	}
	return exit(codeInconclusive, fmt.Errorf("%s has no %s stacks: they come with kmon record -e cpu", path, f.kind))
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
	return fmt.Errorf("%s exists and is never overwritten: give another name or remove it", name)
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
