package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kmon/format"
	"kmon/reports"
)

// redactFlags is the command line of redact.
type redactFlags struct {
	output string
	key    string
	newKey string
	keep   []string
	check  bool
}

func newRedact() *cobra.Command {
	var f redactFlags
	cmd := &cobra.Command{
		Use:   "redact CAPTURE... -o FILE|DIR",
		Short: "Write copies with pseudonyms for all names, to be shared",
		Long: `Write a copy of a capture in which what names something has a pseudonym:
addresses, hosts, services, programs, threads, pods, containers, paths, cgroups,
disks, interfaces, functions of programs, command lines, the texts of marks,
errors and the configuration. Whoever analyzes the copy finds the same latencies,
edges and findings under other names. CAPTURE is not changed, an existing file is
never overwritten.

Of several captures (the nodes of a system, the parts of one recording) -o names
the directory for the copies, which is made if it is missing. They are called as
their captures are, with the host's pseudonym in the place of its name: look at
the names that you gave. Each copy is complete or is not there; if one fails the
others are written all the same, and the exit code is 2.

A name has one pseudonym in all tables, as service-k3f9a2bq, in all captures of
one call, and in all that were redacted with the same --key. Without one the key
is thrown away. An address becomes another of its kind: private, link-local,
global; loopback stays. Functions of the kernel, of public libraries and of
languages' runtimes stay, words of the kernel's and kmon's own too, and every
number: times, sizes, ports, ids of processes. SECURITY.md says what these still
tell. Tables and columns of a newer kmon are left out.

--keep leaves a class of names as they are, or one name of it:
  ` + wrapped(format.RedactClasses()) + `

--check writes every text that can be read in a capture: where it stands, how
often, and the text; pseudonyms are only counted. Its exit code says nothing but
whether the capture could be read.`,
		Example: `  $ kmon redact shop.kmon -o public.kmon
  $ kmon redact public.kmon --check
  $ kmon redact long-*.kmon -o public
  $ kmon redact node-a.kmon node-b.kmon -o both --new-key team.key
  $ kmon redact shop.kmon -o later.kmon --key team.key
  $ kmon redact shop.kmon -o named.kmon --keep service --keep host=shop-1`,
		Args:              captures(1, 0),
		ValidArgsFunction: completeCaptures,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.sound(); err != nil {
				return err
			}
			if err := distinct(args); err != nil {
				return err
			}
			if f.check {
				return checkReadable(cmd, args)
			}
			return redact(cmd, f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write this `FILE`, or into this directory")
	flags.StringVar(&f.key, "key", "", "make pseudonyms with the key in this `FILE`")
	flags.StringVar(&f.newKey, "new-key", "", "make a key, write it to this `FILE` (mode 0600) and use it")
	flags.StringArrayVar(&f.keep, "keep", nil, "leave this `CLASS` of names, or CLASS=NAME, as it is; repeatable")
	flags.BoolVar(&f.check, "check", false, "write the texts that can be read in CAPTURE")
	must(cmd.RegisterFlagCompletionFunc("output", completeEndings("kmon")))
	must(cmd.RegisterFlagCompletionFunc("keep", completeWords(format.RedactClasses()...)))
	return cmd
}

// wrapped lists words in lines of a help text.
func wrapped(words []string) string {
	var b strings.Builder
	used := 0
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		switch {
		case i == 0:
		case used+len(w) > 72:
			b.WriteString("\n  ")
			used = 0
		default:
			b.WriteString(" ")
		}
		b.WriteString(w)
		used += len(w) + 1
	}
	return b.String()
}

// sound refuses flags that don't fit together.
func (f redactFlags) sound() error {
	switch {
	case f.check && (f.output != "" || f.key != "" || f.newKey != "" || len(f.keep) > 0):
		return usagef("--check writes nothing but what can be read in CAPTURE: it goes with no other flag")
	case !f.check && f.output == "":
		return usagef("redact needs a file to write, or a directory for several: -o FILE")
	case f.output == stdoutName:
		return captureOutput(f.output)
	case f.key != "" && f.newKey != "":
		return usagef("--key and --new-key: give one of them")
	}
	for _, what := range f.keep {
		if err := format.CheckKeep(what); err != nil {
			return &usageError{err}
		}
	}
	return nil
}

func redact(cmd *cobra.Command, f redactFlags, paths []string) error {
	captures, err := openEach(paths) // before anything is made for what is none
	if err != nil {
		return err
	}
	defer closeEach(captures)
	into, err := f.intoDirectory(len(paths)) // before a key is made
	if err != nil {
		return err
	}
	o := format.RedactOptions{Keep: f.keep}
	if o.Key, err = f.readKey(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if o.Key == nil {
		o.Key = newKey() // of all copies
	}
	targets := []string{f.output}
	if into {
		if targets, err = f.targets(captures, o); err != nil {
			return err
		}
	}
	var failed []error
	for i, c := range captures {
		if err := redactOne(cmd, targets[i], c, o); err != nil {
			failed = append(failed, err)
		}
		if cmd.Context().Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// redactOne writes one copy, or none of it.
func redactOne(cmd *cobra.Command, target string, c *format.Capture, o format.RedactOptions) error {
	stop := startProgress(cmd.ErrOrStderr(), working("writing", target))
	r, err := format.Redact(cmd.Context(), target, c, o)
	stop()
	if err != nil {
		return explain(err)
	}
	warnDamage(cmd.ErrOrStderr(), texts(r.Problems))
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: redacted, %s; kmon redact %[1]s --check writes what can still be read\n", oneLine(target), rowsText(r.Rows))
	return err
}

// texts gives problems as sentences.
func texts(problems []format.Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

// checkReadable lists the texts of captures, those of the parts of a recording
// together.
func checkReadable(cmd *cobra.Command, paths []string) error {
	return withCaptures(paths, func(_ int, c *format.Capture) error {
		stop := startProgress(cmd.ErrOrStderr(), working("reading", c.Path))
		found, further, err := format.ReadableTexts(c)
		stop()
		if err != nil {
			return err
		}
		warnDamage(cmd.ErrOrStderr(), texts(c.Problems()))
		in := info{File: c.Path}
		in.seeParts(c)
		pseudonyms := 0
		return buffered(cmd.OutOrStdout(), func(w io.Writer) error {
			for _, t := range found {
				if t.Pseudonym() {
					pseudonyms++
					continue
				}
				fmt.Fprintf(w, "%s\t%d\t%s\n", oneLine(t.Where), t.Count, oneLine(t.Text))
			}
			fmt.Fprintf(w, "%s: %s texts can be read; %s pseudonyms are not listed\n", oneLine(in.files()),
				reports.CountText(int64(len(found)-pseudonyms)), reports.CountText(int64(pseudonyms)))
			if further > 0 {
				fmt.Fprintf(w, "%s further texts are too many to list\n", reports.CountText(further))
			}
			return nil
		})
	})
}
